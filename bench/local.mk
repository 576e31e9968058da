# SPDX-License-Identifier: Apache-2.0
# Built with everything else so that it cannot rot; `make bench` runs it.
noinst_PROGRAMS += bench/bench_ops bench/bench_stages
bench_bench_ops_SOURCES = bench/bench_ops.c
bench_bench_ops_LDADD = libinversescope.la -lm
bench_bench_stages_SOURCES = \
  bench/bench.h \
  bench/bench_stages.c \
  bench/describe.c \
  bench/ops.c \
  bench/options.c \
  bench/products.c \
  bench/shapes.c \
  bench/stages.c \
  bench/study.c \
  bench/timing.c
bench_bench_stages_LDADD = libinversescope.la -lm
dist_check_SCRIPTS += bench/check_bench
EXTRA_DIST += bench/README.md bench/gpu.py bench/gpu_check.py bench/gpu_models.py bench/harvest.py \
  bench/ops_pytorch.py bench/pytorch.py

.PHONY: bench
bench: bench/bench_stages$(EXEEXT) $(plugins_LTLIBRARIES)
	bench/bench_stages$(EXEEXT)
