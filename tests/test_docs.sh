#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Facts about the documentation: it is complete, it is what the program and the headers say, it renders, its links hold.
# Speaks TAP. Nothing here lists what there is: commands come from the program, functions from the library's symbols.
set -u
LC_ALL=C
export LC_ALL
unset INVERSESCOPE_PLUGIN_PATH
src=${INVERSESCOPE_SRCDIR:?} build=${INVERSESCOPE_BUILDDIR:?}
program=$build/inversescope docs=$build/docs
awk=${AWK:-awk}
work=$build/tests/scratch/docs.$$
mkdir -p "$work"
trap 'rm -rf "$work"' EXIT
n=0

# ok NAME: passes when $work/problems is empty, and shows it otherwise.
ok() {
  n=$((n + 1))
  if [ -s "$work/problems" ]; then
    echo "not ok $n - $1"
    sed 's/^/# /' "$work/problems" | head -n 30
  else
    echo "ok $n - $1"
  fi
}

skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

parse() { "$awk" -f "$src/docs/generate/headers.awk" -f "$src/docs/generate/members.awk" "$@"; }

# ---- headers

for header in "$src"/api/inversescope/*.h; do
  parse -f "$src/docs/generate/lint.awk" "$header"
done >"$work/problems"
ok "every public declaration has a comment, and every header a thread rule"

printf '/* SPDX\n *\n * A header. Any thread. */\n/* said */\nint isc_a(int x);\nint isc_b(int x);\n\nISC_API int isc_c(void);\n' \
  >"$work/bad.h"
printf 'typedef struct isc_x_ops {\n  int (*f)(void); /* said */\n\n  int (*g)(void);\n} isc_x_ops;\n' >>"$work/bad.h"
parse -f "$src/docs/generate/lint.awk" "$work/bad.h" | sed 's/.*: //' >"$work/found"
printf 'isc_c has no comment\nisc_x_ops has no comment\nisc_x_ops.g has no comment\n' | diff - "$work/found" >"$work/problems"
ok "a declaration or a member without a comment is found"

# The symbols that the library exports and a header declares, and the functions that are in a header whole.
cat "$src"/api/inversescope/*.h >"$work/api"
{
  nm -D --defined-only "$build/.libs/libinversescope.so" | sed -n 's/.* T \(isc_[a-z0-9_]*\)$/\1/p'
  sed -n 's/^static inline .*[ *]\(isc_[a-z0-9_]*\)(.*/\1/p' "$work/api"
} | sort -u | while read -r f; do
  if grep -q "\<$f(" "$work/api"; then echo "$f"; fi
done >"$work/functions"
: >"$work/problems"
[ "$(wc -l <"$work/functions")" -gt 100 ] || echo "only $(wc -l <"$work/functions") functions were found" >"$work/problems"
for page in "$docs"/plugin-*.md; do
  "$awk" '/^```c/ { code = 1; next } /^```/ { code = 0 } code' "$page"
done >"$work/code"
while read -r f; do
  count=$(grep -c "^[a-z].*[ *]$f(\|^$f(" "$work/code")
  [ "$count" = 1 ] || echo "$f stands $count times in the pages" >>"$work/problems"
done <"$work/functions"
ok "every public function stands once in the pages"

# ---- made anew, they are the same

"$src/docs/generate/generate" "$program" "$src" "$work/new" >"$work/problems" 2>&1
for page in "$work"/new/*; do
  cmp "$page" "$docs/${page##*/}" >>"$work/problems" 2>&1
done
ok "the pages are what the program and the headers say now"

mkdir "$work/broken"
printf '#!/bin/sh\n[ "$2" != prior/ioi ] && exec "%s" "$@"\nexit 70\n' "$program" >"$work/liar"
chmod +x "$work/liar"
: >"$work/problems"
if "$src/docs/generate/generate" "$work/liar" "$src" "$work/broken" 2>/dev/null || [ -e "$work/broken/plugin-prior.md" ]; then
  echo "a program that fails made a page" >"$work/problems"
fi
ok "no page is made when the program fails"

# ---- man pages

: >"$work/problems"
for page in inversescope.1 inversescope-conf.5 inversescope-plugin.7; do
  if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$docs/$page" 2>&1 | grep -v 'outdated mandoc.db' >>"$work/problems"
  fi
  if command -v groff >/dev/null; then
    groff -Tutf8 -ww -z -mdoc "$docs/$page" >>"$work/problems" 2>&1
  fi
  grep -n '[^ -~	]' "$docs/$page" >>"$work/problems"
  grep -n '^@' "$docs/$page" >>"$work/problems"
done
if command -v mandoc >/dev/null || command -v groff >/dev/null; then
  ok "the man pages render without a warning"
else
  skip "the man pages render without a warning" "needs mandoc or groff"
fi

"$awk" -f "$src/tests/docs_plain.awk" "$docs/inversescope.1" >"$work/man1"
: >"$work/problems"
"$program" --help | sed -n 's/^  \([a-z][a-z-]*\)  *[^ ].*/\1/p' >"$work/commands"
[ "$(wc -l <"$work/commands")" -ge 5 ] || echo "--help lists fewer commands than there are" >>"$work/problems"
while read -r c; do
  grep -q "^\.Ss $c\$" "$work/man1" || echo "inversescope(1) does not tell about $c" >>"$work/problems"
  "$program" "$c" --help | grep -o '\(^\| \|\[\||\)--*[a-zA-Z][a-z-]*' | tr -d ' [|' | sort -u | while read -r o; do
    sed -n "/^\.Ss $c\$/,/^\.S[sh] /p" "$work/man1" | grep -q -e "\(^\.It \|[ [|]\)$o\>" || echo "inversescope(1) does not tell about $c $o"
  done >>"$work/problems"
  "$program" "$c" --help | sed "s/^usage: //" | tr -s ' \n' '\n\n' | while read -r word; do
    grep -qF -e "$word" "$work/man1" || echo "inversescope(1) lacks \"$word\" of $c --help"
  done >>"$work/problems"
done <"$work/commands"
ok "inversescope(1) has every command, every option and every word of the help"

: >"$work/problems"
grep -ho 'getenv("INVERSESCOPE_[A-Z_]*")' "$src"/core/*/*.c "$src"/kernels/*/*.c "$src"/plugins/*/*.c | sed 's/.*"\(.*\)".*/\1/' | sort -u |
  while read -r v; do
    grep -q "^\.It Ev $v\$" "$work/man1" || echo "inversescope(1) does not tell about the environment variable $v"
  done >>"$work/problems"
ok "inversescope(1) has every environment variable of our own that is read"

# ---- links

# GitHub's anchor of each heading, and the anchors that are written out.
anchors() {
  sed -n 's/^##* //p' "$1" | tr 'A-Z' 'a-z' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
  grep -o 'id="[^"]*"' "$1" | sed 's/id="\(.*\)"/\1/'
}

: >"$work/problems"
for page in README.md docs/architecture.md docs/dependencies.md docs/report.md docs/conformance.md "$docs"/plugin-*.md; do
  case $page in
    "$docs"/*) file=$page where=docs ;;
    *) file=$src/$page where=$(dirname "$page") ;;
  esac
  [ -e "$file" ] || file=$build/$page
  [ -e "$file" ] || continue
  "$awk" '/^```/ { code = !code } !code' "$file" | grep -o '](\([^)]*\))' | sed 's/](\(.*\))/\1/' | grep -v '^https*:' |
    while read -r link; do
      to=${link%%#*} anchor=
      case $link in *'#'*) anchor=${link#*#} ;; esac
      if [ -z "$to" ]; then target=$file
      elif [ -e "$src/$where/$to" ]; then target=$src/$where/$to
      else target=$build/$where/$to
      fi
      if [ ! -e "$target" ]; then echo "$page: $link: no such file"
      elif [ -n "$anchor" ] && ! anchors "$target" | grep -qxF -e "$anchor"; then echo "$page: $link: no such anchor"
      fi
    done >>"$work/problems"
done
ok "links and anchors hold"

: >"$work/problems"
"$program" conform --list | sed -n 's/^\([a-z]*\.[a-z0-9-]*\) .*/\1/p' >"$work/checks"
[ "$(wc -l <"$work/checks")" -ge 20 ] || echo "conform --list lists fewer checks than there are" >>"$work/problems"
while read -r id; do
  anchors "$docs/conformance.md" | grep -qxF -e "$(echo "$id" | tr . -)" || echo "no anchor for $id" >>"$work/problems"
done <"$work/checks"
anchors "$docs/conformance.md" | grep -qx case-files || echo "no anchor for what messages call #case-files" >>"$work/problems"
ok "every check has its anchor"

echo "1..$n"
