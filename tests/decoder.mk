# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += tests/support_decoder.h
tests_libsupport_la_SOURCES += tests/support_decoder.c
check_PROGRAMS += \
  tests/test_decoder \
  tests/test_decoder_cache
tests_test_decoder_SOURCES = tests/test_decoder.c
tests_test_decoder_cache_SOURCES = tests/test_decoder_cache.c
