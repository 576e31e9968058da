# SPDX-License-Identifier: Apache-2.0
# Fuzz targets, of a tree configured with --enable-fuzzing CC=clang. Only `make fuzz` builds them.
isc_fuzz_common = tests/fuzz/fuzz.c tests/fuzz/fuzz.h
isc_fuzz_programs = tests/fuzz/fuzz_config tests/fuzz/fuzz_gguf tests/fuzz/fuzz_json tests/fuzz/fuzz_npz \
  tests/fuzz/fuzz_safetensors
include tests/fuzz/tokenizers.mk
EXTRA_PROGRAMS += $(isc_fuzz_programs)
EXTRA_DIST += tests/fuzz/smoke.sh $(isc_fuzz_seeds)
isc_fuzz_seeds = \
  tests/fuzz/seeds/gguf/rotary.gguf \
  tests/fuzz/seeds/json/families.json \
  tests/fuzz/seeds/json/gpt2.json \
  tests/fuzz/seeds/json/yarn.json \
  tests/fuzz/seeds/safetensors/header

tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c $(isc_fuzz_common)
tests_fuzz_fuzz_config_LDADD = libinversescope.la
tests_fuzz_fuzz_config_LDFLAGS = $(ISC_FUZZ_LDFLAGS)
tests_fuzz_fuzz_gguf_SOURCES = tests/fuzz/fuzz_gguf.c $(isc_fuzz_common)
tests_fuzz_fuzz_gguf_LDADD = libinversescope.la
tests_fuzz_fuzz_gguf_LDFLAGS = $(ISC_FUZZ_LDFLAGS)
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c $(isc_fuzz_common)
tests_fuzz_fuzz_json_LDADD = libinversescope.la
tests_fuzz_fuzz_json_LDFLAGS = $(ISC_FUZZ_LDFLAGS)
tests_fuzz_fuzz_npz_SOURCES = tests/fuzz/fuzz_npz.c $(isc_fuzz_common)
tests_fuzz_fuzz_npz_LDADD = libinversescope.la
tests_fuzz_fuzz_npz_LDFLAGS = $(ISC_FUZZ_LDFLAGS)
tests_fuzz_fuzz_safetensors_SOURCES = tests/fuzz/fuzz_safetensors.c $(isc_fuzz_common)
tests_fuzz_fuzz_safetensors_LDADD = libinversescope.la
tests_fuzz_fuzz_safetensors_LDFLAGS = $(ISC_FUZZ_LDFLAGS)

if ISC_FUZZING
fuzz: $(isc_fuzz_programs)
else
fuzz:
	@echo "make fuzz needs a tree configured with --enable-fuzzing CC=clang" >&2; exit 1
endif
.PHONY: fuzz
