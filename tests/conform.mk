# SPDX-License-Identifier: Apache-2.0
# What `inversescope conform` finds: in plugins broken on purpose, in those we ship, and when a plugin misbehaves.
# Every source of tests/conform is a plugin of its own and is found by its name, here as in conform-plugins.
dist-hook: dist-conform
.PHONY: dist-conform
dist-conform:
	$(MKDIR_P) '$(distdir)/tests/conform'
	for f in '$(srcdir)'/tests/conform/*.c '$(srcdir)'/tests/conform/*.h '$(srcdir)'/tests/conform/*.cfg '$(srcdir)'/tests/conform/*.safetensors '$(srcdir)'/tests/conform/*.sh; do \
	  test ! -f "$$f" || cp -p "$$f" '$(distdir)/tests/conform/' || exit 1; done
check_LTLIBRARIES += \
  tests/libconform_support.la \
  tests/conform/old_backend.la \
  tests/conform/process.la \
  tests/conform/process_load.la
tests_libconform_support_la_SOURCES = tests/support_conform.c tests/support_conform.h
tests_libconform_support_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_libconform_support_la_LIBADD = tests/librun_support.la $(JANSSON_LIBS)
conform_ldadd = tests/libconform_support.la tests/librun_support.la $(LDADD) $(JANSSON_LIBS)

tests_conform_old_backend_la_SOURCES = tests/conform/broken_backend.c
tests_conform_old_backend_la_CPPFLAGS = -I$(top_srcdir)/tests/abi/1.0
tests_conform_old_backend_la_LDFLAGS = $(isc_fixture_ldflags)
tests_conform_old_backend_la_LIBADD = libinversescope.la
tests_conform_process_la_SOURCES = tests/conform/process.c
tests_conform_process_la_LDFLAGS = $(isc_fixture_ldflags)
tests_conform_process_la_LIBADD = libinversescope.la
tests_conform_process_load_la_SOURCES = tests/conform/process.c
tests_conform_process_load_la_CPPFLAGS = $(AM_CPPFLAGS) -DCRASH_ON_LOADING
tests_conform_process_load_la_LDFLAGS = $(isc_fixture_ldflags)
tests_conform_process_load_la_LIBADD = libinversescope.la

check_PROGRAMS += \
  tests/test_conform \
  tests/test_conform_names \
  tests/test_conform_runner \
  tests/test_conform_shipped
tests_test_conform_names_SOURCES = tests/test_conform_names.c
tests_test_conform_names_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_conform_names_LDADD = $(conform_ldadd)
tests_test_conform_SOURCES = tests/test_conform.c
tests_test_conform_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_conform_LDADD = $(conform_ldadd)
tests_test_conform_runner_SOURCES = tests/test_conform_runner.c
tests_test_conform_runner_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_conform_runner_LDADD = $(conform_ldadd)
tests_test_conform_shipped_SOURCES = tests/test_conform_shipped.c
tests_test_conform_shipped_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_conform_shipped_LDADD = $(conform_ldadd)

# One module for every check ID that a source names.
.PHONY: conform-plugins
conform-plugins: libinversescope.la
	@CC='$(CC)' LIBS='-L$(abs_top_builddir)/.libs -linversescope -lm -lpthread' \
	 FLAGS='-I$(abs_top_srcdir)/api -I$(abs_top_srcdir)/tests/conform $(ISC_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -w' \
	 HEADERS='$(abs_top_srcdir)/api/inversescope' \
	 '$(abs_top_srcdir)/tests/conform/build.sh' tests/conform/broken '$(abs_top_srcdir)'/tests/conform/broken_*.c
# Not a prerequisite of the test's log: a rule of ours for that would take the place of automake's.
check_DATA += conform-plugins

clean-local: clean-conform
.PHONY: clean-conform
clean-conform:
	-rm -rf tests/conform/broken
