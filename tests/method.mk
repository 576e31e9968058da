# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += tests/support_control.h tests/support_method.h
tests_libsupport_la_SOURCES += tests/support_control.c tests/support_method.c
check_PROGRAMS += \
  tests/test_control \
  tests/test_examples \
  tests/test_generator \
  tests/test_generator_faults \
  tests/test_inversionview \
  tests/test_pretrain \
  tests/test_sampler \
  tests/test_steering \
  tests/test_trainer
tests_test_control_SOURCES = tests/test_control.c
tests_test_examples_SOURCES = tests/test_examples.c
tests_test_generator_SOURCES = tests/test_generator.c
tests_test_generator_faults_SOURCES = tests/test_generator_faults.c
tests_test_inversionview_SOURCES = tests/test_inversionview.c
tests_test_pretrain_SOURCES = tests/test_pretrain.c
tests_test_sampler_SOURCES = tests/test_sampler.c
tests_test_steering_SOURCES = tests/test_steering.c
tests_test_trainer_SOURCES = tests/test_trainer.c
