# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/test_safetensors tests/test_safetensors_write
tests_test_safetensors_SOURCES = tests/test_safetensors.c
tests_test_safetensors_write_SOURCES = tests/test_safetensors_write.c
