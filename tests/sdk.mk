# SPDX-License-Identifier: Apache-2.0
# What authors of plugins are given. sdk.sh needs an install and is run by .ci/run.
EXTRA_DIST += tests/sdk.sh tests/data/sdk/prior_plain.cc
dist_check_SCRIPTS += tests/test_headers.sh
check_PROGRAMS += tests/test_method_env tests/test_new
tests_test_method_env_SOURCES = tests/test_method_env.c
tests_test_new_SOURCES = tests/test_new.c tests/faulty_io.c
tests_test_new_LDADD = $(run_ldadd)
