check_PROGRAMS += tests/test_base tests/test_base_files tests/test_rng
tests_test_base_SOURCES = tests/test_base.c
tests_test_base_files_SOURCES = tests/test_base_files.c
tests_test_rng_SOURCES = tests/test_rng.c
