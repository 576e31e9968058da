/* SPDX-License-Identifier: Apache-2.0
 *
 * The target "gemma3": a Gemma 3 text model.
 *
 * Heads have norms of their own, and layers with a window their own rotary positions.
 */
#include "gemma.h"
#include <stddef.h>

typedef struct conf {
  isc_decoder_options model;
} conf;

static const isc_option OPTIONS[] = {ISC_DECODER_OPTIONS(conf, model), ISC_OPTIONS_END};

static isc_status spec(isc_json *j, isc_decoder_spec *s) {
  int64_t every;
  s->head_norms = true;
  ISC_TRY(gemma_spec(j, s));
  if (s->rope_theta_window == 0) s->rope_theta_window = 10000;
  ISC_TRY(isc_json_int_or(j, "sliding_window_pattern", 1, 1 << 14, 6, &every));
  return isc_config_windows(j, every, s);
}

static const char *const TYPES[] = {"gemma3_text", NULL};
static const isc_decoder_family FAMILY = {.size = sizeof FAMILY,
                                          .model_types = TYPES,
                                          .spec = spec,
                                          .layout = ISC_OUT_IN,
                                          .layer = "model.layers.%d.",
                                          .names = gemma_names};

static isc_status target_open(const void *settings, isc_device *dev, void **self) {
  return isc_decoder_family_open(&FAMILY, &((const conf *)settings)->model, dev, self);
}

static const isc_target_ops OPS = ISC_DECODER_FAMILY_OPS(target_open, &FAMILY, conf, model);

static const isc_class GEMMA = {
    ISC_CLASS(ISC_TARGET),
    .name = "gemma3",
    .version = "1.0.0",
    .summary = "a Gemma 3 text model, from a Hugging Face directory or a GGUF file",
    .licence = "Apache-2.0",
    .source = "Gemma Team, Gemma 3 technical report (2025)",
    .options = OPTIONS,
    .conf_size = sizeof(conf),
    .ops = &OPS};

ISC_PLUGIN("gemma3", "1.0.0", &GEMMA);
