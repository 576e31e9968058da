#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# device.sh [OUT]: the CUDA backend on a real GPU. Ends in a table, and in failure when a line of it failed.
#
# In a directory made by pack.sh it runs what lies there; in the source tree it builds build-cuda for this machine's GPU first.
# It checks every rule for backends, with products of training by cuBLAS where that is found and with other choices of
# `products`, runs compute-sanitizer over some operations, and the shipped study on the processor and on the GPU with one seed,
# whose losses and samples must agree. At the end it times operations and stages, beside PyTorch where python3 has it.
# Logs go to OUT, by default a new directory. A step that needs what this machine lacks is skipped and says so.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$(mktemp -d)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
table=$out/table.txt
: >"$table"
failed=0

say() { printf '%-8s %-44s %s\n' "$1" "$2" "$3" | tee -a "$table"; }
seconds() { awk "BEGIN { printf \"%.1f s\", $(date +%s.%N) - $1 }"; }

# step NAME COMMAND…: its last line of output goes into the table.
step() {
  local name=$1 start log
  shift
  start=$(date +%s.%N)
  log=$out/$(echo "$name" | tr ' /,' '___').log
  if "$@" >"$log" 2>&1; then
    say passed "$name" "$(seconds "$start"); $(tail -1 "$log" | cut -c1-110)"
  else
    failed=$((failed + 1))
    say FAILED "$name" "$(seconds "$start"); see $log"
    grep -E 'failed|crashed|timed out|FAILED|Error|ERROR|inversescope:' "$log" | head -12 | cut -c1-300
  fi
}
skip() { say skipped "$1" "$2"; }

# ---- the machine

if ! nvidia-smi -L >"$out/gpu.txt" 2>&1; then
  skip "everything" "this machine has no NVIDIA GPU that nvidia-smi lists: $(head -1 "$out/gpu.txt")"
  exit 77
fi
gpu=$(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader | head -1)
echo "GPU: $gpu; $(nproc) processors"

build_here() {
  local top arch
  top=$(cd "$here/../.." && pwd)
  arch=sm_$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
  [ -x "$top/configure" ] || (cd "$top" && autoreconf -fi) || return 1
  mkdir -p "$top/build-cuda"
  cd "$top/build-cuda" && "$top/configure" -q --prefix="$top/build-cuda/inst" --with-cuda=yes --with-cuda-arch="$arch" &&
    make -s -j"$(nproc)" && make -s install >/dev/null && echo "built for $arch"
}

if [ -d "$here/inst" ]; then
  program=$here/inst/usr/bin/inversescope plugins=$here/inst/usr/lib/inversescope/plugins conf=$here/conf
  bench=$here/bench programs=$here/bench
else
  step "build" build_here
  top=$(cd "$here/../.." && pwd)
  program=$top/build-cuda/inst/bin/inversescope plugins=$top/build-cuda/inst/lib/inversescope/plugins conf=$top/conf
  bench=$top/bench programs=$top/build-cuda/bench
fi
module=$plugins/backend_cuda.so
[ -x "$program" ] && [ -f "$module" ] || { say FAILED "files" "no $program or $module"; exit 1; }

find_cublas() {
  local d
  for d in /usr/local/cuda*/lib64 /usr/local/cuda*/targets/*/lib /usr/lib/x86_64-linux-gnu \
    $(python3 -c 'import sys; print(*[p for p in sys.path if p])' 2>/dev/null | tr ' ' '\n' | sed 's|$|/nvidia/cublas/lib|') \
    $(python3 -c 'import sys; print(*[p for p in sys.path if p])' 2>/dev/null | tr ' ' '\n' | sed 's|$|/nvidia/cu13/lib|'); do
    ls "$d"/libcublas.so.1[123] >/dev/null 2>&1 && { echo "$d"; return 0; }
  done
  return 1
}
cublas=
if ldconfig -p 2>/dev/null | grep -q 'libcublas\.so\.1'; then
  cublas="the system's"
elif cublas=$(find_cublas); then
  export LD_LIBRARY_PATH=$cublas${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi

# ---- rules

conforms() { "$program" conform --jobs 4 --timeout-scale 3 "$@" "$module"; }
echo 'cases = ( { class = "backend/cuda"; name = "default"; } );' >"$out/default.cfg"
cat >"$out/cublas.cfg" <<'EOF'
cases = ( { class = "backend/cuda"; name = "exact"; options = { products = "exact"; }; },
          { class = "backend/cuda"; name = "gradients"; options = { products = "gradients"; }; },
          { class = "backend/cuda"; name = "cublas"; options = { products = "cublas"; }; } );
EOF
some=backend.gemm,backend.xent,backend.control,backend.control-grad,backend.zero-size,backend.repeat,any.same-seed
step "rules, products = auto" conforms --cases "$out/default.cfg"
step "rules, exact products" conforms --cases "$out/cublas.cfg" --case exact --only $some,backend.rows
if [ -n "$cublas" ]; then
  step "rules, gradients by cuBLAS" conforms --cases "$out/cublas.cfg" --case gradients --only $some,backend.rows
  step "rules, products by cuBLAS" conforms --cases "$out/cublas.cfg" --case cublas --only $some
else
  skip "rules, products by cuBLAS" "cuBLAS is neither in /usr/local/cuda nor among python3's packages"
fi

# ---- compute-sanitizer

sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | head -1)
sanitized() { # TOOL CHECKS
  "$sanitizer" --tool "$1" --target-processes all --log-file "$out/$1-%p.txt" --error-exitcode 99 \
    "$program" conform --jobs 4 --timeout-scale 60 --cases "$out/default.cfg" --only "$2" "$module" || return 1
  local reports errors
  reports=$(grep -lE 'ERROR SUMMARY|RACECHECK SUMMARY' "$out/$1"-*.txt | wc -l)
  errors=$(grep -hE 'ERROR SUMMARY|RACECHECK SUMMARY' "$out/$1"-*.txt | grep -cvE ' 0 (errors|hazards)')
  echo "$reports processes examined, $errors with errors"
  [ "$errors" = 0 ] && [ "$reports" -gt 0 ]
}
if [ -n "$sanitizer" ]; then
  step "compute-sanitizer memcheck" sanitized memcheck backend.gemm,backend.attention,backend.attention-grad,backend.xent,backend.layernorm,backend.layernorm-grad,backend.embed-grad,backend.sample,backend.noise,backend.adamw
  step "compute-sanitizer racecheck" sanitized racecheck any.same-seed,backend.attention,backend.attention-grad,backend.layernorm
else
  skip "compute-sanitizer" "it is not here"
fi

# ---- one study twice

study() { # DEVICE
  "$program" run "$conf/ioi-tiny.cfg" --dir "$out/study-$1" --set run.device="$1" --set method.backbone.steps=200 \
    --set method.control.steps=100 --set evaluate.conditions=64 --set evaluate.samples=8 --set prior.train=4000 --set prior.test=400 &&
    grep -h '"device"' "$out/study-$1/run.json" | head -1
}
losses() { # STAGE STEPS MOST: the largest difference of the losses of the first STEPS steps
  paste -d, <(cut -d, -f1,2 "$out/study-cpu/$1/curve.csv") <(cut -d, -f2 "$out/study-cuda/$1/curve.csv") |
    awk -F, -v steps="$2" -v most="$3" 'NR > 1 && $1 <= steps { d = $2 - $3; if (d < 0) d = -d; if (d > w) { w = d; at = $1 } n++ }
      END { printf "largest difference of the loss in %d steps: %.2g (step %d)\n", n, w, at; exit !(n > 0 && w <= most) }'
}
same_samples() {
  python3 - "$out" <<'EOF'
import sqlite3, sys
def read(d):
    db = sqlite3.connect(f"{sys.argv[1]}/study-{d}/sample/samples.db")
    return {r[:3]: r[3] for r in db.execute("SELECT site, cond, j, text.text FROM sample JOIN text ON text.id = sample.text")}
a, b = read("cpu"), read("cuda")
same = sum(b.get(k) == v for k, v in a.items())
print(f"{same} of {len(a)} samples are the same text ({100 * same / len(a):.1f} %)")
sys.exit(not (a and len(a) == len(b) and same >= 0.9 * len(a)))
EOF
}
step "study on the processor" study cpu
step "study on the GPU" study cuda
step "losses of the backbone agree" losses backbone 200 1e-3
step "losses of the control layers agree" losses control 100 1e-3
if python3 -c 'import sqlite3' 2>/dev/null; then
  step "samples agree" same_samples
else
  skip "samples agree" "needs python3 with sqlite3"
fi

# ---- speed

# A benchmark with our libraries, which are not for python3.
for name in bench_ops bench_stages; do
  printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' \
    "${program%/bin/inversescope}/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$programs/$name" >"$out/$name"
  chmod +x "$out/$name"
done
if [ -x "$programs/bench_ops" ]; then
  step "speed of operations" "$out/bench_ops" --device cuda
  cat "$out/speed_of_operations.log"
fi
if ! python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
  skip "speed beside PyTorch" "python3 has no PyTorch that sees a GPU"
else
  step "speed of PyTorch" env LD_LIBRARY_PATH= python3 "$bench/ops_pytorch.py" --device cuda "$out/speed_of_operations.log"
  cat "$out/speed_of_PyTorch.log"
  # Most of it is what torch.compile takes; nothing new is begun after --limit seconds.
  step "speed of stages" env LD_LIBRARY_PATH= python3 "$bench/gpu.py" "$out/bench_stages" --device cuda --limit 165 \
    --products "$([ -n "$cublas" ] && echo cublas || echo exact)" --only backbone,control,sample-backbone,harvest,sample
  cat "$out/speed_of_stages.log"
fi

echo
echo "GPU: $gpu; cuBLAS: ${cublas:-none}"
cat "$table"
[ "$failed" = 0 ]
