# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += tests/support_backend.h tests/support_gradient.h tests/support_network.h
tests_libsupport_la_SOURCES += \
  tests/support_backend.c \
  tests/support_gradient.c \
  tests/support_network.c \
  tests/support_wrapper.c
check_PROGRAMS += \
  tests/test_ops \
  tests/test_ops_families \
  tests/test_ops_jumprelu \
  tests/test_ops_rounded \
  tests/test_ops_model \
  tests/test_count \
  tests/test_dependent_rows \
  tests/test_device \
  tests/test_optimizer \
  tests/test_step \
  tests/test_tape \
  tests/test_tape_memory \
  tests/test_transformer_gradient
tests_test_ops_SOURCES = tests/test_ops.c
tests_test_ops_families_SOURCES = tests/test_ops_families.c
tests_test_ops_jumprelu_SOURCES = tests/test_ops_jumprelu.c
tests_test_ops_rounded_SOURCES = tests/test_ops_rounded.c
tests_test_ops_model_SOURCES = tests/test_ops_model.c
tests_test_optimizer_SOURCES = tests/test_optimizer.c
tests_test_count_SOURCES = tests/test_count.c
tests_test_dependent_rows_SOURCES = tests/test_dependent_rows.c
tests_test_device_SOURCES = tests/test_device.c
tests_test_step_SOURCES = tests/test_step.c
tests_test_tape_SOURCES = tests/test_tape.c
tests_test_tape_memory_SOURCES = tests/test_tape_memory.c
tests_test_transformer_gradient_SOURCES = tests/test_transformer_gradient.c
