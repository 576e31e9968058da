# SPDX-License-Identifier: Apache-2.0
# Built with everything else so that it cannot rot; `make bench` runs it.
noinst_PROGRAMS += bench/bench_stages
bench_bench_stages_SOURCES = \
  bench/bench.h \
  bench/bench_stages.c \
  bench/shapes.c \
  bench/stages.c \
  bench/study.c \
  bench/timing.c
bench_bench_stages_LDADD = libinversescope.la
EXTRA_DIST += bench/README.md

.PHONY: bench
bench: bench/bench_stages$(EXEEXT) $(plugins_LTLIBRARIES)
	bench/bench_stages$(EXEEXT)
