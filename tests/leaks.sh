#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A whole micro study under a memory checker: pretrain, run, stop, resume, sample, and what can go wrong on the way.
#   tests/leaks.sh BUILDDIR             a build configured with --enable-sanitizers
#   tests/leaks.sh --valgrind BUILDDIR  any other build, under valgrind's memcheck
# Ends with 1 when the checker reported anything, leaks included, or the program ended otherwise than it should.
set -uo pipefail

usage() { echo "usage: $0 [--valgrind] BUILDDIR" >&2; exit 64; }

valgrind=no
[ "${1:-}" = --valgrind ] && { valgrind=yes; shift; }
if [ $# != 1 ] || [ ! -x "$1/inversescope" ]; then usage; fi
build=$(cd "$1" && pwd)
data=$(cd "$(dirname "${BASH_SOURCE[0]}")/data/micro" && pwd)
mkdir -p "$build/tests/scratch"
work=$(mktemp -d "$build/tests/scratch/leaks.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$data"/* "$work"
cd "$work" || exit 1

# 99 is no exit code of the program.
export ASAN_OPTIONS=detect_leaks=1:exitcode=99:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99
unset LSAN_OPTIONS
if [ $valgrind = yes ]; then
  command -v valgrind >/dev/null || { echo "leaks: valgrind is not installed" >&2; exit 1; }
  # OpenMP keeps its thread pool, which is still reachable, and that is no error here.
  checker=("$build/libtool" --mode=execute valgrind -q --error-exitcode=99 --leak-check=full
    "--show-leak-kinds=definite,indirect,possible" "--errors-for-leak-kinds=definite,indirect,possible")
  points=8
else
  grep -q fsanitize "$build/config.status" || { echo "leaks: $1 is not a sanitizer build" >&2; exit 1; }
  checker=()
  points=60
fi
program=("${checker[@]}" "$build/inversescope")

failed=0
# report NAME CODE WANTED: what the last program left in err.
report() {
  if [ "$2" = "$3" ] && ! grep -qE 'Sanitizer|runtime error|^==[0-9]+==' err; then
    printf 'ok    %s\n' "$1"
  else
    printf 'FAIL  %s: ended with %d, not %d\n' "$1" "$2" "$3"
    cat err
    failed=1
  fi
}

# check CODE ARGUMENT…: the program must end with CODE and without a report.
check() {
  local want=$1
  shift
  "${program[@]}" "$@" >out 2>err
  report "inversescope $*" $? "$want"
}

# stop SIGNAL CODE STAGE ARGUMENT…: sent as soon as the stage has a checkpoint. A kill leaves nothing to report.
stop() {
  local signal=$1 want=$2 stage=$3 pid
  shift 3
  "${program[@]}" "$@" >out 2>err &
  pid=$!
  until [ -e "study/$stage/checkpoint.safetensors" ] || ! kill -0 $pid 2>/dev/null; do sleep 0.01; done
  kill -s "$signal" $pid 2>/dev/null
  wait $pid 2>/dev/null
  report "SIG$signal in stage $stage" $? "$want"
}

text="After breakfast , Emma and Peter walked to the market . Emma handed a book to"

check 0 --help
check 0 plugins --json
for class in target/gpt2 prior/ioi kernel/cosine-band feature/regex method/inversescope backend/cpu; do
  check 0 describe "$class"
  check 0 describe "$class" --conf
done
check 0 pretrain pretrain.cfg
stop TERM 75 backbone run study.cfg --set run.checkpoint_seconds=0 --set method.backbone.steps=400
stop KILL 137 control run study.cfg --set run.checkpoint_seconds=0 --set method.control.steps=400
check 0 run study.cfg
check 0 run study.cfg
check 0 run study.cfg --set run.threads=2 --set kernel.profile=gaussian --set method.control.noise=mixed
check 0 sample study --site L1H1 --text "$text" -n 5
check 0 run study.cfg --dir other --set 'kernel={plugin="hard";}' --set target.sites='["resid_post", "mlp_out.0"]' \
  --set evaluate.max_support=0 --set method.control.value=projected --set target.weights=tl

check 0 run study.cfg --dry-run

cp study.cfg baselines.cfg
cat >>baselines.cfg <<'EOF'
baselines = ( { plugin = "inversionview"; layers = 1; heads = 2; width = 16; blocks = 1; steps = 30; batch = 16; } );
EOF
check 0 run baselines.cfg --dir both --set evaluate.any_position=true --set evaluate.scatter_noise='[0.5]' \
  --set evaluate.epsilons='[0.2]'
check 0 run baselines.cfg --dir both --set 'baselines.[0].variant="cross_attention"' \
  --set 'baselines.[0].position="any"' --set 'baselines.[0].noise="std"' --set method.control.blocks=1
check 0 run baselines.cfg --dry-run
check 0 compare both both/inversionview --output compared
check 0 compare both both/inversionview --json
check 0 inspect model --verify --harvest 10
check 0 inspect model --json --sites
check 0 generate model --text "$text" -n 3 --max-tokens 4 --top-k 5 --stop Peter --json
check 0 generate model --text "$text" --text "$text" --max-tokens 4
check 0 generate model --text "$text" --score --json

# What goes wrong must be cleaned up as well.
for config in study.cfg baselines.cfg; do
  "${checker[@]}" "$build/tests/alloc_sweep" $points $config >out 2>err
  report "alloc_sweep $points $config" $? 0
done
"${checker[@]}" "$build/tests/loader_sweep" "$data/.." >out 2>err
report loader_sweep $? 0
check 64 sample study --site L7H7 --text "$text"
check 65 sample study --site L1H1 --text "no such words"
check 65 generate model --text "$text" --text "no such words"
check 66 generate model --text "$text" --plugin llama --set target.tokenizer=absent
check 66 inspect absent
check 64 run
check 64 compare both
check 66 compare both absent
printf 'no table' | dd of=both/inversionview/score/conditions.safetensors conv=notrunc status=none
check 65 compare both both/inversionview
check 66 run absent.cfg
check 78 run study.cfg --set evaluate.sample=1
check 78 run study.cfg --set target.plugin=gpt3
check 78 run study.cfg --set 'target.sites=["head.7.*"]'
check 78 run study.cfg --set method.backbone.width=15 --dir odd
check 65 run study.cfg --set prior.n_objects=3 --dir odd
check 65 run study.cfg --set target.position=99 --dir odd
printf x >study/score/score.json
check 0 run study.cfg --set kernel.profile=gaussian --set method.control.noise=mixed
printf 'no database' | dd of=study/sample/samples.db conv=notrunc status=none
rm study/score/score.json
check 65 run study.cfg --set kernel.profile=gaussian --set method.control.noise=mixed
printf '\377\377\377\377\377\377\377\377' | dd of=study/control/model.safetensors conv=notrunc status=none
check 65 sample study --site L1H1 --text "$text"
truncate -s 9000 model/model.safetensors
check 65 run study.cfg
printf '{' >model/config.json
check 65 run study.cfg
[ $failed = 0 ] && echo "leaks: nothing reported"
exit $failed
