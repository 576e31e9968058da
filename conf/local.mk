# SPDX-License-Identifier: Apache-2.0
# Configs and the shipped targets, beside each other as the configs' relative paths expect.
confdir = $(pkgdatadir)/conf
dist_conf_DATA = \
  conf/addition-pretrain.cfg \
  conf/addition-prior.inc \
  conf/addition.cfg \
  conf/counting-pretrain.cfg \
  conf/counting-prior.inc \
  conf/counting.cfg \
  conf/ioi-gpt2.cfg \
  conf/ioi-tiny-pretrain.cfg \
  conf/ioi-tiny-prior.inc \
  conf/ioi-tiny-templates.txt \
  conf/ioi-tiny.cfg
ioitinydir = $(confdir)/models/ioi-tiny
dist_ioitiny_DATA = \
  conf/models/ioi-tiny/config.json \
  conf/models/ioi-tiny/model.safetensors \
  conf/models/ioi-tiny/tokenizer.json \
  conf/models/ioi-tiny/tokenizer_config.json
additionmodeldir = $(confdir)/models/addition
dist_additionmodel_DATA = \
  conf/models/addition/config.json \
  conf/models/addition/model.safetensors \
  conf/models/addition/tokenizer.json \
  conf/models/addition/tokenizer_config.json
countingmodeldir = $(confdir)/models/counting
dist_countingmodel_DATA = \
  conf/models/counting/config.json \
  conf/models/counting/model.safetensors \
  conf/models/counting/tokenizer.json \
  conf/models/counting/tokenizer_config.json
# Settings to check the shipped plugins with.
conformdir = $(confdir)/conform
dist_conform_DATA = \
  conf/conform/backend_cpu.cfg \
  conf/conform/feature_ioi_object.cfg \
  conf/conform/feature_ioi_subject.cfg \
  conf/conform/feature_regex.cfg \
  conf/conform/feature_slot.cfg \
  conf/conform/ioi-tiny.golden.safetensors \
  conf/conform/kernel_cosine_band.cfg \
  conf/conform/kernel_gaussian.cfg \
  conf/conform/kernel_hard.cfg \
  conf/conform/method_inversescope.cfg \
  conf/conform/method_inversionview.cfg \
  conf/conform/prior_addition.cfg \
  conf/conform/prior_counting.cfg \
  conf/conform/prior_ioi.cfg \
  conf/conform/prior_text.cfg \
  conf/conform/prior_text.txt \
  conf/conform/target_gemma2.cfg \
  conf/conform/target_gemma3.cfg \
  conf/conform/target_gpt2.cfg \
  conf/conform/target_llama.cfg
conformgemma2dir = $(conformdir)/gemma2
dist_conformgemma2_DATA = \
  conf/conform/gemma2/config.json \
  conf/conform/gemma2/golden.safetensors \
  conf/conform/gemma2/model.safetensors \
  conf/conform/gemma2/tokenizer.json \
  conf/conform/gemma2/tokenizer_config.json
conformgemma3dir = $(conformdir)/gemma3
dist_conformgemma3_DATA = \
  conf/conform/gemma3/config.json \
  conf/conform/gemma3/golden.safetensors \
  conf/conform/gemma3/model.safetensors \
  conf/conform/gemma3/tokenizer.json \
  conf/conform/gemma3/tokenizer_config.json
conformllamadir = $(conformdir)/llama
dist_conformllama_DATA = \
  conf/conform/llama/config.json \
  conf/conform/llama/golden.safetensors \
  conf/conform/llama/model.safetensors \
  conf/conform/llama/tokenizer.json \
  conf/conform/llama/tokenizer_config.json
