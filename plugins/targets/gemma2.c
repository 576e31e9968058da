/* SPDX-License-Identifier: Apache-2.0
 *
 * The target "gemma2": a Gemma 2 model.
 *
 * Every second layer sees a window only; scores and logits are soft-capped.
 */
#include "gemma.h"
#include <stddef.h>

typedef struct conf {
  isc_decoder_options model;
} conf;

static const isc_option OPTIONS[] = {ISC_DECODER_OPTIONS(conf, model), ISC_OPTIONS_END};

static isc_status spec(isc_json *j, isc_decoder_spec *s) {
  ISC_TRY(gemma_spec(j, s));
  return isc_config_windows(j, 2, s);
}

static const char *const TYPES[] = {"gemma2", NULL};
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
    .name = "gemma2",
    .version = "1.0.0",
    .summary = "a Gemma 2 model, from a Hugging Face directory or a GGUF file",
    .licence = "Apache-2.0",
    .source = "Gemma Team, Gemma 2: Improving open language models at a practical size (2024)",
    .options = OPTIONS,
    .conf_size = sizeof(conf),
    .ops = &OPS};

ISC_PLUGIN("gemma2", "1.0.0", &GEMMA);
