# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/test_shipped
tests_test_shipped_SOURCES = tests/test_shipped.c
