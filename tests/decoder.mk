# SPDX-License-Identifier: Apache-2.0
EXTRA_DIST += tests/support_decoder.h tests/support_harvest.h tests/support_target.h
tests_libsupport_la_SOURCES += tests/support_decoder.c tests/support_harvest.c tests/support_target.c
check_PROGRAMS += \
  tests/test_decoder \
  tests/test_decoder_cache \
  tests/test_decoder_files \
  tests/test_decoder_gradient \
  tests/test_decoder_prefix \
  tests/test_decoder_weights \
  tests/test_families \
  tests/test_family_gguf \
  tests/test_family_tokenizer \
  tests/test_generate \
  tests/test_gpt2_directory \
  tests/test_gpt2_target \
  tests/test_harvest \
  tests/test_layer_stream \
  tests/test_memory_plan \
  tests/test_packed \
  tests/test_params_io \
  tests/test_params_load \
  tests/test_patch \
  tests/test_patch_pairs \
  tests/test_score_texts \
  tests/test_sites \
  tests/test_smollm2
tests_test_decoder_SOURCES = tests/test_decoder.c
tests_test_decoder_cache_SOURCES = tests/test_decoder_cache.c
tests_test_decoder_files_SOURCES = tests/test_decoder_files.c
tests_test_decoder_gradient_SOURCES = tests/test_decoder_gradient.c
tests_test_decoder_prefix_SOURCES = tests/test_decoder_prefix.c
tests_test_decoder_weights_SOURCES = tests/test_decoder_weights.c
tests_test_family_gguf_SOURCES = tests/test_family_gguf.c
tests_test_family_tokenizer_SOURCES = tests/test_family_tokenizer.c
tests_test_generate_SOURCES = tests/test_generate.c
tests_test_gpt2_target_SOURCES = tests/test_gpt2_target.c
tests_test_gpt2_directory_SOURCES = tests/test_gpt2_directory.c
tests_test_families_SOURCES = tests/test_families.c
tests_test_harvest_SOURCES = tests/test_harvest.c
tests_test_layer_stream_SOURCES = tests/test_layer_stream.c
tests_test_memory_plan_SOURCES = tests/test_memory_plan.c
tests_test_packed_SOURCES = tests/test_packed.c
tests_test_params_io_SOURCES = tests/test_params_io.c
tests_test_params_load_SOURCES = tests/test_params_load.c
tests_test_patch_SOURCES = tests/test_patch.c
tests_test_patch_pairs_SOURCES = tests/test_patch_pairs.c
tests_test_score_texts_SOURCES = tests/test_score_texts.c
tests_test_sites_SOURCES = tests/test_sites.c
tests_test_smollm2_SOURCES = tests/test_smollm2.c
EXTRA_DIST += tests/golden/decoders.py tests/golden/gguf_models.py tests/golden/smollm2.py \
  tests/data/families/gemma2/config.json \
  tests/data/families/gemma2/expected.safetensors \
  tests/data/families/gemma2/gemma2.gguf \
  tests/data/families/gemma2/model.safetensors \
  tests/data/families/gemma2-plain/config.json \
  tests/data/families/gemma2-plain/expected.safetensors \
  tests/data/families/gemma2-plain/model.safetensors \
  tests/data/families/gemma3/config.json \
  tests/data/families/gemma3/expected.safetensors \
  tests/data/families/gemma3/model.safetensors \
  tests/data/families/gemma3-regular/config.json \
  tests/data/families/gemma3-regular/expected.safetensors \
  tests/data/families/gemma3-regular/gemma3-regular.gguf \
  tests/data/families/gemma3-regular/model.safetensors \
  tests/data/families/gpt2/config.json \
  tests/data/families/gpt2/expected.safetensors \
  tests/data/families/gpt2/gpt2.gguf \
  tests/data/families/gpt2/model.safetensors \
  tests/data/families/gpt2-other/config.json \
  tests/data/families/gpt2-other/expected.safetensors \
  tests/data/families/gpt2-other/model.safetensors \
  tests/data/families/llama/config.json \
  tests/data/families/llama/expected.safetensors \
  tests/data/families/llama/model.safetensors \
  tests/data/families/llama-gqa/config.json \
  tests/data/families/llama-gqa/expected.safetensors \
  tests/data/families/llama-gqa/model.safetensors \
  tests/data/families/llama-linear/config.json \
  tests/data/families/llama-linear/expected.safetensors \
  tests/data/families/llama-linear/model.safetensors \
  tests/data/families/llama3/config.json \
  tests/data/families/llama3/expected.safetensors \
  tests/data/families/llama3/llama3.gguf \
  tests/data/families/llama3/model-00001-of-00003.safetensors \
  tests/data/families/llama3/model-00002-of-00003.safetensors \
  tests/data/families/llama3/model-00003-of-00003.safetensors \
  tests/data/families/llama3/model.safetensors.index.json \
  tests/data/families/mistral/config.json \
  tests/data/families/mistral/expected.safetensors \
  tests/data/families/mistral/model.safetensors \
  tests/data/families/mistral-full/config.json \
  tests/data/families/mistral-full/expected.safetensors \
  tests/data/families/mistral-full/mistral-full.gguf \
  tests/data/families/mistral-full/model.safetensors \
  tests/data/families/qwen2/config.json \
  tests/data/families/qwen2/expected.safetensors \
  tests/data/families/qwen2/model.safetensors \
  tests/data/families/qwen2/qwen2.gguf \
  tests/data/families/qwen3/config.json \
  tests/data/families/qwen3/expected.safetensors \
  tests/data/families/qwen3/model.safetensors \
  tests/data/families/qwen3/qwen3.gguf \
  tests/data/families/yarn/config.json \
  tests/data/families/yarn/expected.safetensors \
  tests/data/families/yarn/model.safetensors \
  tests/data/families/yarn/yarn.gguf \
  tests/data/families/yarn-other/config.json \
  tests/data/families/yarn-other/expected.safetensors \
  tests/data/families/yarn-other/model.safetensors
