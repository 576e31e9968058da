# SPDX-License-Identifier: Apache-2.0
# The CPU backend's tests open its built module themselves.
check_LTLIBRARIES += tests/libbackend_fixture.la
tests_libbackend_fixture_la_SOURCES = tests/backend_fixture.c tests/backend_fixture.h
tests_libbackend_fixture_la_LIBADD = tests/libsupport.la -ldl
check_PROGRAMS += tests/test_backend_gemm
tests_test_backend_gemm_SOURCES = tests/test_backend_gemm.c
tests_test_backend_gemm_LDADD = tests/libbackend_fixture.la $(LDADD)
