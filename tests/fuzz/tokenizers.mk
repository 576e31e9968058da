# SPDX-License-Identifier: Apache-2.0
isc_fuzz_programs += tests/fuzz/fuzz_tokenizer_json tests/fuzz/fuzz_tokenizer_model
isc_fuzz_tokenizer = tests/fuzz/fuzz_tokenizer.c tests/fuzz/fuzz_tokenizer.h $(isc_fuzz_common)
tests_fuzz_fuzz_tokenizer_json_SOURCES = tests/fuzz/fuzz_tokenizer_json.c $(isc_fuzz_tokenizer)
tests_fuzz_fuzz_tokenizer_json_LDADD = libinversescope.la
tests_fuzz_fuzz_tokenizer_json_LDFLAGS = $(ISC_FUZZ_LDFLAGS)
tests_fuzz_fuzz_tokenizer_model_SOURCES = tests/fuzz/fuzz_tokenizer_model.c $(isc_fuzz_tokenizer)
tests_fuzz_fuzz_tokenizer_model_LDADD = libinversescope.la
tests_fuzz_fuzz_tokenizer_model_LDFLAGS = $(ISC_FUZZ_LDFLAGS)
EXTRA_DIST += \
  tests/fuzz/seeds/tokenizer_json/bytes.json \
  tests/fuzz/seeds/tokenizer_json/pieces.json \
  tests/fuzz/seeds/tokenizer_json/splits.json \
  tests/fuzz/seeds/tokenizer_json/words.json
