# SPDX-License-Identifier: Apache-2.0
libinversescope_la_SOURCES += \
  core/model/continuation.c \
  core/model/continuation.h \
  core/model/decoder.c \
  core/model/decoder_config.c \
  core/model/decoder_fold.c \
  core/model/decoder_forward.c \
  core/model/decoder_internal.h \
  core/model/decoder_load.c \
  core/model/decoder_rotary.c \
  core/model/decoder_spec.c \
  core/model/decoder_target.c \
  core/model/family.c \
  core/model/family.h \
  core/model/family_config.c \
  core/model/family_gguf.c \
  core/model/family_internal.h \
  core/model/family_load.c \
  core/model/generate.c \
  core/model/generate.h \
  core/model/harvest.c \
  core/model/kv_cache.c \
  core/model/logits.c \
  core/model/logits.h \
  core/model/params_io.c \
  core/model/params_io.h \
  core/model/params_load.c \
  core/model/patch.c \
  core/model/patch_pairs.c \
  core/model/score_texts.c \
  core/model/sequences.c \
  core/model/sequences.h \
  core/model/sites.c \
  core/model/sites.h \
  core/model/sites_internal.h \
  core/model/sites_pattern.c \
  core/model/taps.c
