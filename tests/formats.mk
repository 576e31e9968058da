# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += \
  tests/test_counting \
  tests/test_features \
  tests/test_gguf \
  tests/test_gguf_real \
  tests/test_gguf_refused \
  tests/test_json \
  tests/test_npz \
  tests/test_plugin_helpers \
  tests/test_priors \
  tests/test_safetensors \
  tests/test_safetensors_write \
  tests/test_sentencepiece \
  tests/test_split_regex \
  tests/test_template \
  tests/test_template_prior \
  tests/test_text_compose \
  tests/test_tokenizer \
  tests/test_tokenizer_arrays \
  tests/test_tokenizer_bos \
  tests/test_tokenizer_families \
  tests/test_tokenizer_gguf \
  tests/test_tokenizer_growth \
  tests/test_tokenizer_json \
  tests/test_weights \
  tests/test_weights_verify
dist_check_SCRIPTS += tests/test_plugin_sizes.sh
EXTRA_DIST += tests/data/gpt2_ids.txt tests/data/types.gguf tests/data/types.safetensors \
  tests/data/arrays.npz tests/data/packed.npz tests/data/one.npy \
  tests/data/bpe.gguf tests/data/qwen2.gguf tests/data/spm.gguf tests/golden/gguf_tokenizers.py tests/support_gguf.h \
  tests/golden/gguf_types.py tests/golden/npz.py
tests_test_gguf_SOURCES = tests/test_gguf.c
tests_test_gguf_real_SOURCES = tests/test_gguf_real.c
tests_test_gguf_refused_SOURCES = tests/test_gguf_refused.c
tests_test_json_SOURCES = tests/test_json.c
tests_test_npz_SOURCES = tests/test_npz.c
tests_test_npz_CFLAGS = $(AM_CFLAGS) $(LIBZIP_CFLAGS)
tests_test_npz_LDADD = $(LDADD) $(LIBZIP_LIBS)
tests_test_safetensors_SOURCES = tests/test_safetensors.c
tests_test_safetensors_write_SOURCES = tests/test_safetensors_write.c
tests_test_template_SOURCES = tests/test_template.c
tests_test_template_prior_SOURCES = tests/test_template_prior.c
tests_test_text_compose_SOURCES = tests/test_text_compose.c
tests_test_plugin_helpers_SOURCES = tests/test_plugin_helpers.c
tests_test_tokenizer_SOURCES = tests/test_tokenizer.c
tests_test_tokenizer_gguf_SOURCES = tests/test_tokenizer_gguf.c
tests_test_tokenizer_json_SOURCES = tests/test_tokenizer_json.c
tests_test_weights_SOURCES = tests/test_weights.c
tests_test_weights_verify_SOURCES = tests/test_weights_verify.c

tests_test_features_SOURCES = tests/test_features.c tests/support_plugin.c tests/support_plugin.h
tests_test_counting_SOURCES = tests/test_counting.c tests/support_plugin.c tests/support_plugin.h
tests_test_priors_SOURCES = tests/test_priors.c tests/support_plugin.c tests/support_plugin.h

# What tests/golden/make_tokenizers.py reads; built by hand.
EXTRA_PROGRAMS += tests/golden/texts
EXTRA_DIST += tests/golden/make_tokenizers.py tests/golden/unicode_canonical.py tests/golden/unicode_categories.py \
  tests/support_texts.h
tests_golden_texts_SOURCES = tests/golden/texts.c tests/support_texts.c
tests_golden_texts_CPPFLAGS = $(AM_CPPFLAGS) -I$(srcdir)/tests
tests_golden_texts_LDADD = libinversescope.la

tests_test_sentencepiece_SOURCES = tests/test_sentencepiece.c $(isc_tokenizer_support)
tests_test_tokenizer_arrays_SOURCES = tests/test_tokenizer_arrays.c $(isc_tokenizer_support) tests/support_texts.c
tests_test_tokenizer_arrays_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_test_tokenizer_arrays_LDADD = $(LDADD) $(JANSSON_LIBS)
tests_test_tokenizer_bos_SOURCES = tests/test_tokenizer_bos.c $(isc_tokenizer_support)
tests_test_tokenizer_growth_SOURCES = tests/test_tokenizer_growth.c $(isc_tokenizer_support)
tests_test_split_regex_SOURCES = tests/test_split_regex.c
tests_test_tokenizer_families_SOURCES = tests/test_tokenizer_families.c $(isc_tokenizer_support) tests/support_texts.c
isc_tokenizer_support = tests/support_tokenizer.c tests/support_tokenizer.h
EXTRA_DIST += \
  tests/data/tokenizers/bytes-merges.json \
  tests/data/tokenizers/bytes-vocab.json \
  tests/data/tokenizers/fused.json \
  tests/data/tokenizers/gemma.json \
  tests/data/tokenizers/gemma.model \
  tests/data/tokenizers/golden.txt \
  tests/data/tokenizers/gpt2-spaced.json \
  tests/data/tokenizers/gpt2.json \
  tests/data/tokenizers/inverted.json \
  tests/data/tokenizers/llama.model \
  tests/data/tokenizers/llama2.json \
  tests/data/tokenizers/llama3.json \
  tests/data/tokenizers/mistral.json \
  tests/data/tokenizers/pieces-merges.json \
  tests/data/tokenizers/pieces-vocab.json \
  tests/data/tokenizers/qwen2.json \
  tests/data/tokenizers/removed.json \
  tests/data/tokenizers/smollm.json \
  tests/data/tokenizers/tekken.json \
  tests/data/tokenizers/trimmed.model \
  tests/data/tokenizers/words.json
