# SPDX-License-Identifier: Apache-2.0
# The binary interface: today's headers against a frozen copy of the first, and a plugin built with those.
EXTRA_DIST += tests/abi/layout.h tests/abi/grow.awk
EXTRA_DIST += $(isc_frozen_headers)
isc_frozen_headers = tests/abi/1.0/list.h \
  tests/abi/1.0/inversescope/backend.h \
  tests/abi/1.0/inversescope/decoder.h \
  tests/abi/1.0/inversescope/decoder_target.h \
  tests/abi/1.0/inversescope/feature.h \
  tests/abi/1.0/inversescope/json.h \
  tests/abi/1.0/inversescope/kernel.h \
  tests/abi/1.0/inversescope/method.h \
  tests/abi/1.0/inversescope/noise_law.h \
  tests/abi/1.0/inversescope/operations.h \
  tests/abi/1.0/inversescope/ops.h \
  tests/abi/1.0/inversescope/option.h \
  tests/abi/1.0/inversescope/parameters.h \
  tests/abi/1.0/inversescope/plugin.h \
  tests/abi/1.0/inversescope/prior.h \
  tests/abi/1.0/inversescope/regex.h \
  tests/abi/1.0/inversescope/rng.h \
  tests/abi/1.0/inversescope/slot.h \
  tests/abi/1.0/inversescope/status.h \
  tests/abi/1.0/inversescope/target.h \
  tests/abi/1.0/inversescope/template.h \
  tests/abi/1.0/inversescope/template_options.h \
  tests/abi/1.0/inversescope/template_prior.h \
  tests/abi/1.0/inversescope/tensor.h \
  tests/abi/1.0/inversescope/text.h \
  tests/abi/1.0/inversescope/tokenizer.h \
  tests/abi/1.0/inversescope/training.h \
  tests/abi/1.0/inversescope/uniform.h \
  tests/abi/1.0/inversescope/words.h
check_PROGRAMS += tests/test_abi tests/test_abi_grown
check_LTLIBRARIES += tests/abi/libfrozen.la tests/abi/libnow.la tests/abi/old_plugin.la
tests_test_abi_SOURCES = tests/test_abi.c
tests_test_abi_LDADD = $(LDADD) tests/abi/libfrozen.la tests/abi/libnow.la
tests_abi_libfrozen_la_SOURCES = tests/abi/layout.c
tests_abi_libfrozen_la_CPPFLAGS = -I$(top_srcdir)/tests/abi/1.0 -DLAYOUT=layout_frozen
tests_abi_libnow_la_SOURCES = tests/abi/layout.c
tests_abi_libnow_la_CPPFLAGS = -I$(top_srcdir)/api -DLAYOUT=layout_now
tests_abi_old_plugin_la_SOURCES = tests/abi/old_plugin.c
tests_abi_old_plugin_la_CPPFLAGS = -I$(top_srcdir)/tests/abi/1.0
tests_abi_old_plugin_la_LDFLAGS = $(isc_fixture_ldflags)
tests_abi_old_plugin_la_LIBADD = libinversescope.la

# The library's adoption of classes, and a test of it, against headers that have grown.
tests_test_abi_grown_SOURCES = tests/test_abi_grown.c core/plugin/adopt.c
tests_test_abi_grown_CPPFLAGS = -I$(top_builddir)/tests/abi/grown -I$(top_srcdir)/core
tests/test_abi_grown-test_abi_grown.$(OBJEXT) core/plugin/tests_test_abi_grown-adopt.$(OBJEXT): tests/abi/grown/stamp
tests/abi/grown/stamp: $(pkginclude_HEADERS) tests/abi/grow.awk
	$(AM_V_GEN)rm -rf tests/abi/grown && $(MKDIR_P) tests/abi/grown/inversescope && \
	for h in $(pkginclude_HEADERS); do \
	  $(AWK) -f $(top_srcdir)/tests/abi/grow.awk $(top_srcdir)/$$h > tests/abi/grown/inversescope/`basename $$h` || exit 1; \
	done && touch $@
