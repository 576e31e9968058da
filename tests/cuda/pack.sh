#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pack.sh DIR [BUILD]: all that DIR/device.sh needs on a machine with a GPU and nothing else, compiled here.
#
# Installs the build tree BUILD (default build-pack, made when it is not there, for the architectures in CUDA_ARCH, default
# sm_90) into DIR, with the shared libraries it needs but glibc and the driver. cuBLAS is left out: it is half a gigabyte, and
# device.sh looks for it.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
[ $# -ge 1 ] || { echo "usage: $0 DIR [BUILD]" >&2; exit 64; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
build=${2:-$top/build-pack}

if [ ! -f "$build/Makefile" ]; then
  [ -x "$top/configure" ] || (cd "$top" && autoreconf -fi >/dev/null)
  mkdir -p "$build"
  (cd "$build" && "$top/configure" -q --prefix=/usr --with-cuda=yes --with-cuda-arch="${CUDA_ARCH:-sm_90}" CFLAGS="-O2" \
    LDFLAGS="-Wl,--disable-new-dtags") # the program's own path then serves its plugins' libraries too
fi
make -s -C "$build" -j"$(nproc)"
rm -rf "$dir/inst" "$dir/bench" "$dir/conf"
make -s -C "$build" install DESTDIR="$dir/inst" >/dev/null
strip --strip-unneeded "$dir"/inst/usr/bin/inversescope "$dir"/inst/usr/lib/inversescope/inversescope-check
find "$dir/inst" -name '*.so*' -type f -exec strip --strip-unneeded {} +
rm -rf "$dir"/inst/usr/include "$dir"/inst/usr/share/doc "$dir"/inst/usr/share/man

# The closure of what is linked, without glibc's own parts.
find "$dir/inst" -type f \( -name '*.so*' -o -path '*/bin/*' -o -name inversescope-check \) -print0 |
  LD_LIBRARY_PATH=$dir/inst/usr/lib xargs -0 ldd 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  grep -Ev '/(libc|libm|libdl|libpthread|librt|libresolv|ld-linux[^/]*|libinversescope|libcuda)\.so' | while read -r lib; do
  cp -L "$lib" "$dir/inst/usr/lib/"
done
# The benchmarks are no installed programs.
mkdir -p "$dir/bench"
for f in bench_ops bench_stages; do
  [ ! -e "$build/bench/$f" ] || "$build/libtool" --mode=install install -s "$build/bench/$f" "$dir/bench/$f" >/dev/null 2>&1
done
for f in ops_pytorch.py gpu.py gpu_check.py gpu_models.py; do [ ! -f "$top/bench/$f" ] || cp "$top/bench/$f" "$dir/bench/"; done
cp -r "$top/conf" "$dir/conf"
cp "$top/tests/cuda/device.sh" "$dir/device.sh"
du -sh "$dir" | awk '{ print $1 " in '"$dir"'; run device.sh there on the machine with the GPU" }'
