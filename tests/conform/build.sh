#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUT SOURCE…: compile every broken plugin that the sources name (broken.h) into OUT/<check id>.so, and each
# source without a defect into OUT/good_<source>.so. The compiler and its flags come from the environment: CC, FLAGS, LIBS;
# HEADERS is a directory of headers that the plugins depend on. A case file x.conform.cfg beside x.c is put beside each of
# its plugins, with @srcdir@ replaced by the folder of the source.
set -eu
out=$1
shift
mkdir -p "$out"
for source in "$@"; do
  name=$(basename "$source" .c)
  folder=$(dirname "$source")
  for id in none $(sed -n 's/.*BROKEN("\([a-z.0-9-]*\)").*/\1/p' "$source" | sort -u); do
    case $id in none) so=$out/good_$name.so ;; *) so=$out/$id.so ;; esac
    if [ ! -e "$so" ] || [ -n "$(find "$source" "$folder/broken.h" ${HEADERS:+"$HEADERS"} -newer "$so")" ]; then
      # shellcheck disable=SC2086
      $CC $FLAGS -shared -fPIC -DDEFECT="\"$id\"" \
        "-DDEFECT_$(echo "$id" | tr '.-' '__')" -o "$so.new" "$source" $LIBS
      mv "$so.new" "$so"
    fi
    if [ -e "$folder/$name.conform.cfg" ]; then
      sed "s|@srcdir@|$folder|g" "$folder/$name.conform.cfg" >"${so%.so}.conform.cfg"
    fi
  done
done
