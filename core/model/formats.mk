# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/model/bpe.c \
  core/model/bpe.h \
  core/model/json.c \
  core/model/json_doc.h \
  core/model/regex.c \
  core/model/safetensors.c \
  core/model/safetensors.h \
  core/model/safetensors_convert.c \
  core/model/safetensors_header.c \
  core/model/safetensors_header.h \
  core/model/safetensors_json.c \
  core/model/safetensors_json.h \
  core/model/safetensors_write.c \
  core/model/slot.c \
  core/model/template.c \
  core/model/template_build.c \
  core/model/template_parse.c \
  core/model/template_parts.h \
  core/model/template_prior.c \
  core/model/template_set.c \
  core/model/template_set.h \
  core/model/template_split.c \
  core/model/text.c \
  core/model/text_table.c \
  core/model/text_table.h \
  core/model/text_utf8.h \
  core/model/tokenizer.c \
  core/model/tokenizer_build.c \
  core/model/tokenizer_files.c \
  core/model/tokenizer_json.c \
  core/model/tokenizer_parts.h \
  core/model/tokenizer_save.c \
  core/model/tokenizer_split.c \
  core/model/uniform.c \
  core/model/words.c
