#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Plugins out of the tree, as a stranger makes them: a project of each kind from `inversescope new`, built, tested,
# checked and installed against an installed prefix; one with autotools; one in C++.
#   tests/sdk.sh BUILDDIR    a build configured with a --prefix inside BUILDDIR, to which it is installed
# Ends with 1 when something was not as it should be.
set -uo pipefail

if [ $# != 1 ] || [ ! -f "$1/inversescope.pc" ]; then echo "usage: $0 BUILDDIR" >&2; exit 64; fi
build=$(cd "$1" && pwd)
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
prefix=$(sed -n 's/^prefix=//p' "$build/inversescope.pc")
case $prefix in
"$build"/*) ;;
*) echo "sdk: $build is to be installed to $prefix; configure it with a --prefix inside it" >&2; exit 64 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# check NAME COMMAND…: must succeed. refuse NAME TEXT COMMAND…: must fail, and say TEXT.
check() {
  local name=$1
  shift
  if "$@" >"$work/out" 2>&1; then echo "ok    $name"; return; fi
  echo "FAIL  $name"
  cat "$work/out"
  failed=1
}
refuse() {
  local name=$1 text=$2
  shift 2
  if ! "$@" >"$work/out" 2>&1 && grep -qF -- "$text" "$work/out"; then echo "ok    $name"; return; fi
  echo "FAIL  $name: no failure that says \"$text\""
  cat "$work/out"
  failed=1
}

rm -rf "$prefix"
check "make install" make -s -C "$build" install
unset INVERSESCOPE_SRCDIR INVERSESCOPE_BUILDDIR INVERSESCOPE_PLUGIN_PATH MAKEFLAGS
export PATH=$prefix/bin:$PATH
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name inversescope.pc)")
export PKG_CONFIG_PATH
plugindir=$(pkg-config --variable=plugindir inversescope)
cd "$work" || exit 1

# ---- what is installed

one_symbol() { [ "$(nm -D --defined-only "$1" | awk '{print $NF}')" = isc_plugin_v1 ]; }
listed() { INVERSESCOPE_PLUGIN_PATH=$work/plugins inversescope plugins | grep -q "^$1 *$2 "; }
described() { INVERSESCOPE_PLUGIN_PATH=$work/plugins inversescope describe "$1" --conf; }

check "every public header is installed" diff -r "$source/api/inversescope" "$prefix/include/inversescope"
named_sources() {
  local source
  for source in $(grep -oh 'plugins/[a-z]*/[a-z0-9_]*\.[ch]' "$prefix"/include/inversescope/*.h | sort -u); do
    [ -f "$prefix/share/doc/inversescope/$source" ] || { echo "$source is not installed"; return 1; }
  done
}
check "every source that a header names is installed" named_sources
header_abi=$(awk '/define ISC_ABI_M(AJ|IN)OR/ {a = a "." $3} END {print substr(a, 2)}' "$prefix/include/inversescope/plugin.h")
check "pkg-config says the header's ABI" test "$(pkg-config --variable=abi inversescope)" = "$header_abi"
check "the makefile fragment is where pkg-config says" test -f "$(pkg-config --variable=mk inversescope)"
cp -r "$prefix" "$work/moved"
moved_pc=${PKG_CONFIG_PATH/#"$prefix"/"$work/moved"}
moved() { PKG_CONFIG_PATH=$moved_pc pkg-config --define-prefix "$@" inversescope; }
check "a moved tree's pkg-config follows" test "$(moved --variable=plugindir)" = "${plugindir/#"$prefix"/"$work/moved"}"
check "a moved program finds its templates" "$work/moved/bin/inversescope" new feature moved --dir "$work/from-moved"

# ---- a project of each kind, with make

# Everything in a project but what version control ignores.
sources() { find . -type f | sort; }

for kind in target prior kernel feature method backend; do
  check "new $kind" inversescope new $kind sdk-$kind
  cd "$work/$kind-sdk-$kind" || exit 1
  so=${kind}_sdk_$kind.so
  before=$(sources)
  check "$kind: make" make CFLAGS="-O2 -Werror" CXXFLAGS="-O2 -Werror"
  check "$kind: make check" make check
  check "$kind: one exported symbol" one_symbol $so
  check "$kind: make install" make install PLUGINDIR="$work/plugins"
  check "$kind: listed" listed $kind sdk-$kind
  check "$kind: described" described $kind/sdk-$kind
  check "$kind: make install with DESTDIR" make install DESTDIR="$work/stage"
  check "$kind: is there" test -x "$work/stage$plugindir/$so"
  check "$kind: make uninstall" make uninstall DESTDIR="$work/stage"
  check "$kind: is gone" test -z "$(find "$work/stage" -name "$kind*")"
  check "$kind: make clean" make clean
  check "$kind: nothing is left" test "$before" = "$(sources)"
  cd "$work" || exit 1
done

# ---- what the makefile fragment promises

cd "$work/feature-sdk-feature" || exit 1
refuse "a library that pkg-config does not find" "Package inversescope was not found" \
  env PKG_CONFIG_PATH=/nowhere PKG_CONFIG_LIBDIR=/nowhere make
check "another compiler" make CC=clang CFLAGS="-O0 -Werror"
loud() {
  make clean && make V=1 CPPFLAGS=-DA CFLAGS=-DB LDFLAGS=-Wl,-O1 LIBS=-ldl | tee "$work/log" &&
    grep -q -- '-std=c17.* -DA -DB ' "$work/log" && grep -q -- '-shared.* -Wl,-O1 .* -ldl' "$work/log"
}
check "flags are used and V=1 shows them" loud
rebuilt() { make && touch "$prefix/include/inversescope/text.h" && make | tee "$work/log" && grep -q 'CC .*feature_sdk_feature.o' "$work/log"; }
check "a header that changes rebuilds" rebuilt
cp tests/feature_sdk_feature.c saved
sed -i 's/"Anna"/"went"/' tests/feature_sdk_feature.c
refuse "a test that fails fails make check" "FAIL: tests/feature_sdk_feature.test" make check-tests
mv saved tests/feature_sdk_feature.c
sed -i 's/isc_text_set(/isc_text_sett(/' feature_sdk_feature.c
refuse "what is defined nowhere is found at build time" isc_text_sett make CFLAGS=-w
printf 'PLUGIN = toy\ninclude %s\n' "$(pkg-config --variable=mk inversescope)" >wrong.mk
refuse "a name without a kind" 'PLUGIN = "toy", but must be KIND_NAME' make -f wrong.mk

mkdir "$work/plain" && cd "$work/plain" || exit 1
cp "$source/tests/data/sdk/prior_plain.cc" .
# shellcheck disable=SC2016
printf 'PLUGIN = prior_plain\nSOURCES = prior_plain.cc\ninclude $(shell pkg-config --variable=mk inversescope)\n' >Makefile
for cxx in g++ clang++; do
  check "C++17 with $cxx" make -B CXX=$cxx CXXFLAGS="-O0 -pedantic -Werror"
  check "C++17 with $cxx: one exported symbol" one_symbol prior_plain.so
  check "C++17 with $cxx: make check" make check
done

# ---- with autotools

cd "$work" || exit 1
export ACLOCAL_PATH=$prefix/share/aclocal
check "new --autotools" inversescope new kernel tools --autotools
cd kernel-tools || exit 1
refuse "autotools: a macro that aclocal does not find" "into ACLOCAL_PATH" env -u ACLOCAL_PATH autoreconf -i
check "autotools: autoreconf" autoreconf -i
check "autotools: configure" ./configure -q --with-plugindir="$work/tools"
check "autotools: make" make -s CFLAGS="-O2 -Werror"
check "autotools: make check" make -s check
check "autotools: one exported symbol" one_symbol .libs/kernel_tools.so
check "autotools: make install" make -s install
check "autotools: is there" test -x "$work/tools/kernel_tools.so"
check "autotools: make distcheck" make -s distcheck
for abi in "${header_abi%.*}.$((${header_abi#*.} + 1))" "$((${header_abi%.*} + 1)).0"; do
  mkdir -p "$work/abi-$abi" && cp -r ./*.ac ./*.am ./*.c ./*.md tests "$work/abi-$abi" && cd "$work/abi-$abi" || exit 1
  sed -i "s/INVERSESCOPE_PLUGIN(.*/INVERSESCOPE_PLUGIN([$abi])/" configure.ac
  check "ABI $abi: autoreconf" autoreconf -i
  refuse "ABI $abi is refused by configure" "written for InverseScope's plugin ABI $abi; the library speaks ABI $header_abi" ./configure -q
done

[ $failed = 0 ] && echo "sdk: a plugin of each kind builds, conforms and is installed"
exit $failed
