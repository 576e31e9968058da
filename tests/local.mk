# SPDX-License-Identifier: Apache-2.0
# Criterion programs speak TAP to automake; each test program is one file named for its topic.
EXTRA_DIST += tests/support.h
LDADD = libinversescope.la tests/libsupport.la $(CRITERION_LIBS) -lm
check_LTLIBRARIES += tests/libsupport.la
tests_libsupport_la_SOURCES = tests/support.c
tests_libsupport_la_LIBADD = libreference.la libinversescope.la

LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
AM_TESTS_ENVIRONMENT = \
  CRITERION_OUTPUTS='tap:-' CRITERION_NO_EARLY_EXIT=1 \
  INVERSESCOPE_SRCDIR='$(abs_top_srcdir)' INVERSESCOPE_BUILDDIR='$(abs_top_builddir)' \
  ASAN_OPTIONS="$${ASAN_OPTIONS:-detect_leaks=0}" \
  OMP_WAIT_POLICY=passive; \
  export CRITERION_OUTPUTS CRITERION_NO_EARLY_EXIT INVERSESCOPE_SRCDIR INVERSESCOPE_BUILDDIR ASAN_OPTIONS OMP_WAIT_POLICY;

include tests/fuzz/local.mk

if HAVE_CRITERION
include tests/base.mk
include tests/abi.mk
include tests/backend.mk
include tests/cuda.mk
include tests/tensor.mk
include tests/decoder.mk
include tests/formats.mk
include tests/eval.mk
include tests/method.mk
include tests/run.mk
include tests/conform.mk
include tests/conform_toy.mk
include tests/report.mk
include tests/sdk.mk
include tests/shipped.mk
include tests/docs.mk
TESTS = $(check_PROGRAMS) $(dist_check_SCRIPTS)
else
check-local:
	@echo "make check needs Criterion: install libcriterion-dev and run configure again" >&2; exit 1
endif

clean-local:
	-rm -rf tests/scratch tests/abi/grown fuzz $(isc_fuzz_programs)
