# SPDX-License-Identifier: Apache-2.0
dist_check_SCRIPTS += tests/test_docs.sh tests/test_docs_completion.sh
EXTRA_DIST += tests/docs_plain.awk
check_PROGRAMS += tests/test_docs
tests_test_docs_SOURCES = tests/test_docs.c
tests_test_docs_LDADD = $(run_ldadd)
