#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A short run of every fuzz target: each known input once, then a bounded number of changed ones from a fixed seed.
#   tests/fuzz/smoke.sh BUILDDIR [RUNS [SECONDS]]   a tree configured with --enable-fuzzing, after `make fuzz`
# Ends with 1 when a target crashed, leaked, or took too long or too much memory; the input is kept in BUILDDIR/fuzz.
# For a long hunt give more of both, under nice.
set -uo pipefail
if [ $# -lt 1 ] || [ ! -d "$1/tests/fuzz" ]; then echo "usage: $0 BUILDDIR [RUNS [SECONDS]]" >&2; exit 64; fi
build=$(cd "$1" && pwd) runs=${2:-20000} seconds=${3:-10}
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
unset LSAN_OPTIONS

# A tokenizer.json of each family: heads over bytes share one model, those over pieces another.
tokenizers() {
  local data=$top/tests/data/tokenizers name model text
  for name in gpt2 llama3 qwen2 smollm tekken llama2 mistral gemma words fused removed inverted; do
    case $name in gpt2 | llama3 | qwen2 | smollm | tekken) model=bytes ;; *) model=pieces ;; esac
    text=$(<"$data/$name.json")
    text=${text/'"@vocab"'/"$(<"$data/$model-vocab.json")"}
    printf '%s' "${text/'"@merges"'/"$(<"$data/$model-merges.json")"}" >"$1/$name.json"
  done
}

# Known inputs of a target: its own folder, and files that are here anyway.
seeds() {
  cp -r "$top/tests/fuzz/seeds/$1/." "$2" 2>/dev/null
  case $1 in
    config) cp "$top"/conf/*.cfg "$top"/conf/*.inc "$2" ;;
    gguf) cp "$top"/tests/data/*.gguf "$2" ;;
    tokenizer_json) tokenizers "$2" ;;
    tokenizer_model) cp "$top"/tests/data/tokenizers/*.model "$2" ;;
    npz) cp "$top/tests/data/arrays.npz" "$top/tests/data/packed.npz" "$top/tests/data/one.npy" "$2" ;;
  esac
}

failed=0 ran=0
for program in "$build"/tests/fuzz/fuzz_*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  name=${program##*/fuzz_}
  corpus=$build/fuzz/$name.corpus
  mkdir -p "$corpus"
  seeds "$name" "$corpus"
  if "$program" -seed=1 -runs="$runs" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
    -print_final_stats=1 -artifact_prefix="$build/fuzz/$name-" "$corpus" >"$build/fuzz/$name.log" 2>&1; then
    printf 'ok    %s: %s\n' "$name" "$(grep -E '^Done [0-9]+ runs' "$build/fuzz/$name.log")"
  else
    printf 'FAIL  %s: see %s\n' "$name" "$build/fuzz/$name.log"
    tail -40 "$build/fuzz/$name.log"
    failed=1
  fi
  ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "fuzz smoke: no target in $build/tests/fuzz; make fuzz first" >&2; exit 64; }
[ "$failed" = 0 ] && echo "fuzz smoke: $ran targets, nothing found"
exit $failed
