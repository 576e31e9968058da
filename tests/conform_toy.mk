# SPDX-License-Identifier: Apache-2.0
# The planted task of the checks of methods.
check_PROGRAMS += tests/test_conform_toy
tests_test_conform_toy_SOURCES = tests/test_conform_toy.c
tests_test_conform_toy_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_conform_toy_LDADD = libconform.la $(conform_ldadd)
