# SPDX-License-Identifier: Apache-2.0
# The CPU backend's tests open its built module themselves.
check_LTLIBRARIES += tests/libbackend_fixture.la
tests_libbackend_fixture_la_SOURCES = tests/backend_fixture.c tests/backend_fixture.h
tests_libbackend_fixture_la_LIBADD = tests/libsupport.la -ldl
check_PROGRAMS += \
  tests/test_backend_attention \
  tests/test_backend_bf16 \
  tests/test_backend_elementwise \
  tests/test_backend_families \
  tests/test_backend_features \
  tests/test_backend_gemm \
  tests/test_backend_random \
  tests/test_backend_rows \
  tests/test_backend_train
tests_test_backend_attention_SOURCES = tests/test_backend_attention.c
tests_test_backend_attention_LDADD = tests/libbackend_fixture.la $(LDADD)
tests_test_backend_bf16_SOURCES = tests/test_backend_bf16.c
tests_test_backend_bf16_LDADD = tests/libbackend_fixture.la $(LDADD)
tests_test_backend_elementwise_SOURCES = tests/test_backend_elementwise.c
tests_test_backend_elementwise_LDADD = tests/libbackend_fixture.la $(LDADD)
tests_test_backend_families_SOURCES = tests/test_backend_families.c
tests_test_backend_families_LDADD = tests/libbackend_fixture.la $(LDADD)
tests_test_backend_features_SOURCES = tests/test_backend_features.c
tests_test_backend_features_LDADD = tests/libbackend_fixture.la $(LDADD)
tests_test_backend_gemm_SOURCES = tests/test_backend_gemm.c
tests_test_backend_gemm_LDADD = tests/libbackend_fixture.la $(LDADD)
tests_test_backend_random_SOURCES = tests/test_backend_random.c
tests_test_backend_random_LDADD = tests/libbackend_fixture.la $(LDADD)
tests_test_backend_rows_SOURCES = tests/test_backend_rows.c
tests_test_backend_rows_LDADD = tests/libbackend_fixture.la $(LDADD)
tests_test_backend_train_SOURCES = tests/test_backend_train.c
tests_test_backend_train_LDADD = tests/libbackend_fixture.la $(LDADD)
