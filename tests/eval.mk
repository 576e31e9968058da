# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += \
  tests/test_distance \
  tests/test_eval \
  tests/test_fcr \
  tests/test_goodness \
  tests/test_insight \
  tests/test_interval \
  tests/test_kernels \
  tests/test_labels \
  tests/test_lift \
  tests/test_noise \
  tests/test_paired \
  tests/test_rank \
  tests/test_smooth
tests_test_distance_SOURCES = tests/test_distance.c
tests_test_eval_SOURCES = tests/test_eval.c
tests_test_fcr_SOURCES = tests/test_fcr.c
tests_test_goodness_SOURCES = tests/test_goodness.c
tests_test_insight_SOURCES = tests/test_insight.c
tests_test_interval_SOURCES = tests/test_interval.c
tests_test_kernels_SOURCES = tests/test_kernels.c tests/noise_reference.c tests/noise_reference.h
tests_test_paired_SOURCES = tests/test_paired.c
tests_test_labels_SOURCES = tests/test_labels.c
tests_test_lift_SOURCES = tests/test_lift.c
tests_test_noise_SOURCES = tests/test_noise.c tests/noise_reference.c tests/noise_reference.h
tests_test_rank_SOURCES = tests/test_rank.c
tests_test_smooth_SOURCES = tests/test_smooth.c
