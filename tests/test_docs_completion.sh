#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Facts about the bash completion: what it offers at each place of a command line. Speaks TAP.
# The expected words come from the program's other outputs or from a directory made here.
set -u
src=${INVERSESCOPE_SRCDIR:?} build=${INVERSESCOPE_BUILDDIR:?}
unset INVERSESCOPE_PLUGIN_PATH
work=$build/tests/scratch/completion.$$
mkdir -p "$work/sub" "$work/with space"
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
touch one.cfg two.cfg notes.txt a.so m.gguf
n=0

# shellcheck source=/dev/null
. "$src/docs/completions/inversescope"

# offered WORD…: what is offered for the last word, sorted, on one line.
offered() {
  COMP_WORDS=("$build/inversescope" "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _inversescope
  printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' '
}

is() { # NAME GOT WANTED
  n=$((n + 1))
  if [ "$2" = "$3" ]; then
    echo "ok $n - $1"
  else
    printf 'not ok %d - %s\n# got:    %s\n# wanted: %s\n' "$n" "$1" "$2" "$3"
  fi
}

has() { # NAME GOT WORD…
  local name=$1 got=" $2 " word missing=
  shift 2
  for word; do case $got in *" $word "*) ;; *) missing="$missing $word" ;; esac; done
  is "$name" "${missing:-nothing missing}" "nothing missing"
}

complete -p inversescope >/dev/null 2>&1
is "the program has a completion" $? 0
is "a command" "$(offered des)" "describe"
has "every command" "$(offered '')" run sample generate inspect pretrain plugins describe --help --version
is "options of a command" "$(offered run --)" "--allow-outside-includes --dir --dry-run --help --set"
is "a part of an option" "$(offered sample run --te)" "--temperature --text"
is "short options too" "$(offered sample run -n)" "-n"
is "configs and directories" "$(offered run '')" "one.cfg sub two.cfg with space"
is "a part of a config" "$(offered pretrain o)" "one.cfg"
is "a config behind an option and its value" "$(offered run --set run.seed = 4 o)" "one.cfg"
is "directories for --dir" "$(offered run --dir '')" "sub with space"
is "directories for --dir=" "$(offered run --dir = s)" "sub"
is "nothing for a value that is free" "$(offered sample sub --text '')" ""
is "a run directory" "$(offered sample s)" "sub"
is "settings for --set" "$(offered run --set run.s)" "run.seed="
has "settings of every group" "$(offered run --set '')" run.seed= target.sites= evaluate.samples= 'features.[0].name=' plugin_path=
is "nothing for the value of a setting" "$(offered run --set run.seed = o)" ""
is "a class" "$(offered describe kernel/g)" "kernel/gaussian"
is "all that can be described" "$(offered describe '')" "$("$build/inversescope" describe --list | sort | paste -sd ' ')"
is "a model directory or a GGUF file" "$(offered inspect '')" "m.gguf sub with space"
is "a target for --plugin" "$(offered generate m.gguf --plugin gem)" "gemma2 gemma3"
is "a backend for --device" "$(offered generate m.gguf --device a)" "auto"
is "any file for --text-file" "$(offered generate m.gguf --text-file n)" "notes.txt"
is "nothing behind the end" "$(offered plugins '')" ""
is "nothing for a program that is not there" "$(COMP_WORDS=(/nowhere/inversescope x) COMP_CWORD=1 && _inversescope && echo "${COMPREPLY[*]}")" ""

if "$build/inversescope" new --help >/dev/null 2>&1; then
  is "the kinds for new" "$(offered new '')" "backend feature kernel method prior target"
  is "no second kind" "$(offered new prior '')" ""
fi
if "$build/inversescope" conform --help >/dev/null 2>&1; then
  has "plugins and classes for conform" "$(offered conform '')" a.so sub kernel/gaussian
  is "a class for conform" "$(offered conform kernel/g)" "kernel/gaussian"
  has "checks for --only" "$(offered conform --only '')" any.load
  has "one more check" "$(offered conform --only any.load,any.l)" any.load,any.load
  is "directories and configs for --cases" "$(offered conform --cases o)" "one.cfg"
fi
echo "1..$n"
