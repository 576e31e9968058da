# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += \
  tests/test_base \
  tests/test_base_files \
  tests/test_config \
  tests/test_config_lint \
  tests/test_descriptor \
  tests/test_elf \
  tests/test_hostile \
  tests/test_options \
  tests/test_registry \
  tests/test_rng
tests_test_base_SOURCES = tests/test_base.c
tests_test_base_files_SOURCES = tests/test_base_files.c
tests_test_config_SOURCES = tests/test_config.c
tests_test_config_lint_SOURCES = tests/test_config_lint.c
tests_test_descriptor_SOURCES = tests/test_descriptor.c
tests_test_descriptor_LDADD = libconform.la $(LDADD)
tests_test_elf_SOURCES = tests/test_elf.c
tests_test_hostile_SOURCES = tests/test_hostile.c
tests_test_hostile_LDADD = $(run_ldadd)
tests_test_options_SOURCES = tests/test_options.c
tests_test_registry_SOURCES = tests/test_registry.c
tests_test_rng_SOURCES = tests/test_rng.c

# One source, one module for each way a plugin can be right or wrong. An -rpath makes libtool build a
# shared module although nothing is installed.
isc_fixture_ldflags = -module -avoid-version -shared -rpath /nowhere
check_LTLIBRARIES += \
  tests/fixtures/registry/fix_good.la \
  tests/fixtures/registry/fix_major.la \
  tests/fixtures/registry/fix_minor.la \
  tests/fixtures/registry/fix_small.la \
  tests/fixtures/registry/fix_unresolved.la \
  tests/fixtures/registry/fix_nothing.la \
  tests/fixtures/registry/fix_option.la \
  tests/fixtures/registry/fix_tiny.la \
  tests/fixtures/registry/fix_again.la
tests_fixtures_registry_fix_good_la_SOURCES = tests/fixtures/registry/fixture.c
tests_fixtures_registry_fix_good_la_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURE=1
tests_fixtures_registry_fix_good_la_LDFLAGS = $(isc_fixture_ldflags)
tests_fixtures_registry_fix_major_la_SOURCES = tests/fixtures/registry/fixture.c
tests_fixtures_registry_fix_major_la_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURE=2
tests_fixtures_registry_fix_major_la_LDFLAGS = $(isc_fixture_ldflags)
tests_fixtures_registry_fix_minor_la_SOURCES = tests/fixtures/registry/fixture.c
tests_fixtures_registry_fix_minor_la_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURE=3
tests_fixtures_registry_fix_minor_la_LDFLAGS = $(isc_fixture_ldflags)
tests_fixtures_registry_fix_small_la_SOURCES = tests/fixtures/registry/fixture.c
tests_fixtures_registry_fix_small_la_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURE=4
tests_fixtures_registry_fix_small_la_LDFLAGS = $(isc_fixture_ldflags)
tests_fixtures_registry_fix_unresolved_la_SOURCES = tests/fixtures/registry/fixture.c
tests_fixtures_registry_fix_unresolved_la_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURE=5
tests_fixtures_registry_fix_unresolved_la_LDFLAGS = $(isc_fixture_ldflags)
tests_fixtures_registry_fix_nothing_la_SOURCES = tests/fixtures/registry/fixture.c
tests_fixtures_registry_fix_nothing_la_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURE=6
tests_fixtures_registry_fix_nothing_la_LDFLAGS = $(isc_fixture_ldflags)
tests_fixtures_registry_fix_option_la_SOURCES = tests/fixtures/registry/fixture.c
tests_fixtures_registry_fix_option_la_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURE=7
tests_fixtures_registry_fix_option_la_LDFLAGS = $(isc_fixture_ldflags)
tests_fixtures_registry_fix_tiny_la_SOURCES = tests/fixtures/registry/fixture.c
tests_fixtures_registry_fix_tiny_la_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURE=8
tests_fixtures_registry_fix_tiny_la_LDFLAGS = $(isc_fixture_ldflags)
tests_fixtures_registry_fix_again_la_SOURCES = tests/fixtures/registry/fixture.c
tests_fixtures_registry_fix_again_la_CPPFLAGS = $(AM_CPPFLAGS) -DFIXTURE=9
tests_fixtures_registry_fix_again_la_LDFLAGS = $(isc_fixture_ldflags)
check_PROGRAMS += tests/test_config_nested
tests_test_config_nested_SOURCES = tests/test_config_nested.c

# What the name of a copy of it says, it does when it is loaded.
check_LTLIBRARIES += tests/fixtures/hostile/hostile.la
tests_fixtures_hostile_hostile_la_SOURCES = tests/fixtures/hostile/hostile.c
tests_fixtures_hostile_hostile_la_LDFLAGS = $(isc_fixture_ldflags) -Wl,--hash-style=gnu
