#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Every public header compiles alone: as C17, as C++17 and as CUDA, with every compiler that is here, without a
# warning. TAP; a compiler that is missing is a test skipped.
#   tests/test_headers.sh    INVERSESCOPE_SRCDIR: the source directory, else found beside this script
set -uo pipefail
top=${INVERSESCOPE_SRCDIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
headers=("$top"/api/inversescope/*.h)
n=0

# alone NAME SUFFIX COMPILER FLAG…: each header as the only thing in a file of that suffix.
alone() {
  local name=$1 suffix=$2 compiler=$3 header bad=()
  shift 3
  n=$((n + 1))
  if ! command -v "$compiler" >/dev/null; then
    echo "ok $n - $name # SKIP there is no $compiler here"
    return
  fi
  for header in "${headers[@]}"; do
    echo "#include <inversescope/${header##*/}>" >"$work/alone.$suffix"
    "$compiler" "$@" -I"$top/api" "$work/alone.$suffix" 2>"$work/err" && [ ! -s "$work/err" ] && continue
    bad+=("${header##*/}")
    sed 's/^/# /' "$work/err"
  done
  if [ ${#bad[@]} = 0 ]; then
    echo "ok $n - $name"
  else
    echo "not ok $n - $name: ${bad[*]}"
  fi
}

echo 1..5
strict=(-Wall -Wextra -Wshadow -Werror -pedantic -fsyntax-only)
alone "C17, gcc" c gcc -std=c17 -Wstrict-prototypes "${strict[@]}"
alone "C17, clang" c clang -std=c17 -Wstrict-prototypes "${strict[@]}"
alone "C++17, g++" cc g++ -std=c++17 "${strict[@]}"
alone "C++17, clang++" cc clang++ -std=c++17 "${strict[@]}"
# Line markers of nvcc's own preprocessing are not pedantic, so neither is this.
alone "CUDA, nvcc" cu nvcc -std=c++17 --cuda -o "$work/alone.ii" -Werror all-warnings -Xcompiler -Wall,-Wextra,-Werror
