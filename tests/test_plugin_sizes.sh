#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How long the shipped plugins are: a plugin that is too long shows that the API lacks a helper.
# A plugin's files are those its local.mk names; files called *_lists.c and *_lists.h are data and do not count. A prior
# counts as a template prior when it includes template_prior.h; other priors have no limit. A method that decodes texts has a
# network of its own to describe.
set -uo pipefail
cd "${INVERSESCOPE_SRCDIR:-$(dirname "${BASH_SOURCE[0]}")/..}" || exit 99

# One line a plugin: its name, then its sources.
plugins() {
  sed -e ':join' -e '/\\$/{N;s/\\\n//;bjoin' -e '}' plugins/*/local.mk |
    sed -n 's/^plugins_\(.*\)_la_SOURCES *=/\1/p'
}

limit() { # NAME SOURCES…
  case $1 in
    target_*) echo 150 ;;
    kernel_*) echo 60 ;;
    feature_*) echo 40 ;;
    method_*) if grep -qs '<inversescope/decoding.h>' "${@:2}"; then echo 1200; else echo 150; fi ;;
    prior_*) grep -qs '<inversescope/template_prior.h>' "${@:2}" && echo 60 ;;
  esac
}

results=() n=0 seen=()
report() { # CONDITION-STATUS TEXT
  n=$((n + 1))
  if [ "$1" = 0 ]; then results+=("ok $n - $2"); else results+=("not ok $n - $2"); fi
}

while read -r name sources; do
  read -ra files <<<"$sources"
  seen+=("${files[@]}")
  counted=()
  for f in "${files[@]}"; do
    case $f in *_lists.[ch]) ;; *) counted+=("$f") ;; esac
  done
  most=$(limit "$name" "${counted[@]}")
  lines=$(cat "${counted[@]}" | wc -l)
  [ -n "$most" ] || continue
  [ "$lines" -gt 0 ] && [ "$lines" -le "$most" ]
  report $? "$name has $lines lines, at most $most are allowed"
done < <(plugins)

# Short because the library does the work, not because the lines are long; a header hides nothing.
wide=$(LC_ALL=C.UTF-8 grep -nE '^.{101,}' plugins/*/*.[ch] | grep -vE ':[0-9]+: ?(/?\*|#)')
[ -z "$wide" ]
report $? "no line of code is wider than 100 columns"
stray=
for f in plugins/*/*.[ch]; do
  case " ${seen[*]} " in *" $f "*) ;; *) stray+=" $f" ;; esac
done
[ -z "$stray" ]
report $? "every source belongs to a plugin$stray"
[ "$n" -ge 10 ]
report $? "the plugins were found"

printf '%s\n' "${results[@]}" "1..$n"
[ -z "$wide" ] || printf '# %s\n' "$wide"
