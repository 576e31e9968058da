#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUT SOURCE…: compile every broken plugin that the sources name (broken.h) into OUT/<check id>.so, and each
# source without a defect into OUT/good_<source>.so. The compiler and its flags come from the environment: CC, FLAGS, LIBS.
set -eu
out=$1
shift
mkdir -p "$out"
for source in "$@"; do
  name=$(basename "$source" .c)
  for id in none $(sed -n 's/.*BROKEN("\([a-z.0-9-]*\)").*/\1/p' "$source" | sort -u); do
    case $id in none) so=$out/good_$name.so ;; *) so=$out/$id.so ;; esac
    if [ ! -e "$so" ] || [ -n "$(find "$source" "$(dirname "$source")/broken.h" -newer "$so")" ]; then
      # shellcheck disable=SC2086
      $CC $FLAGS -shared -fPIC -DDEFECT="\"$id\"" \
        "-DDEFECT_$(echo "$id" | tr '.-' '__')" -o "$so.new" "$source" $LIBS
      mv "$so.new" "$so"
    fi
  done
done
