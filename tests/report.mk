# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += tests/data/score.json
check_PROGRAMS += tests/test_report
tests_test_report_SOURCES = tests/test_report.c
