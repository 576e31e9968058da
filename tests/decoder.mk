# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += tests/support_decoder.h tests/support_target.h
tests_libsupport_la_SOURCES += tests/support_decoder.c tests/support_target.c
check_PROGRAMS += \
  tests/test_decoder \
  tests/test_decoder_cache \
  tests/test_decoder_files \
  tests/test_decoder_gradient \
  tests/test_decoder_weights \
  tests/test_gpt2_directory \
  tests/test_gpt2_target \
  tests/test_harvest \
  tests/test_params_io \
  tests/test_params_load \
  tests/test_patch \
  tests/test_sites
tests_test_decoder_SOURCES = tests/test_decoder.c
tests_test_decoder_cache_SOURCES = tests/test_decoder_cache.c
tests_test_decoder_files_SOURCES = tests/test_decoder_files.c
tests_test_decoder_gradient_SOURCES = tests/test_decoder_gradient.c
tests_test_decoder_weights_SOURCES = tests/test_decoder_weights.c
tests_test_gpt2_target_SOURCES = tests/test_gpt2_target.c
tests_test_gpt2_directory_SOURCES = tests/test_gpt2_directory.c
tests_test_harvest_SOURCES = tests/test_harvest.c
tests_test_params_io_SOURCES = tests/test_params_io.c
tests_test_params_load_SOURCES = tests/test_params_load.c
tests_test_patch_SOURCES = tests/test_patch.c
tests_test_sites_SOURCES = tests/test_sites.c
