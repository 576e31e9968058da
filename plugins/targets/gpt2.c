/* SPDX-License-Identifier: Apache-2.0
 *
 * The target "gpt2": any Hugging Face GPT-2 directory.
 *
 * The model is a decoder of the library, so all that is here is which weights to take and how: as they are, or
 * processed the way TransformerLens does by default, which published head sites are often of.
 */
#include <inversescope/decoder_target.h>
#include <stdio.h>
#include <string.h>

enum { WEIGHTS_RAW, WEIGHTS_TL };

typedef struct conf {
  const char *path;
  int32_t weights;
} conf;

static const char *const WEIGHTS[] = {"raw", "tl", NULL};
static const isc_option OPTIONS[] = {
    {"path", ISC_OPT_PATH, ISC_OPT_REQUIRED | ISC_OPT_MUST_EXIST, offsetof(conf, path), NULL, NULL,
     0, 0, NULL, "Directory with config.json, model.safetensors and the tokenizer's files."},
    {"weights", ISC_OPT_ENUM, 0, offsetof(conf, weights), NULL, "raw", 0, 0, WEIGHTS,
     "raw: as stored; tl: norms folded and output weights centred, as TransformerLens does by "
     "default."},
    ISC_OPTIONS_END};

/* Folding needs a head of its own; a tied model's is a copy of wte. */
static void head_from_wte(void *user, const char *canonical, char *buf, size_t n) {
  const bool *tied = user;
  bool head = *tied && strcmp(canonical, "lm_head.weight") == 0;
  snprintf(buf, n, "%s", head ? "wte.weight" : canonical);
}

static isc_status open_decoder(const conf *c, isc_device *dev, isc_decoder **out) {
  isc_decoder_spec spec = {.size = sizeof spec};
  ISC_TRY(isc_decoder_spec_read(c->path, &spec));
  bool tied = !spec.untied_head;
  if (c->weights == WEIGHTS_TL) spec.untied_head = true;
  if (isc_decoder_new(dev, &spec, out) != ISC_OK) return isc_fail_in("%s", c->path);
  ISC_TRY(isc_decoder_load(*out, c->path, head_from_wte, &tied));
  return c->weights == WEIGHTS_TL ? isc_decoder_fold(*out) : ISC_OK;
}

static isc_status target_open(const void *settings, isc_device *dev, void **self) {
  const conf *c = settings;
  isc_decoder *decoder = NULL;
  isc_tokenizer *tokenizer = NULL;
  isc_status st = open_decoder(c, dev, &decoder);
  if (st == ISC_OK) st = isc_tokenizer_open(c->path, &tokenizer);
  if (st == ISC_OK) return isc_decoder_target_new(decoder, tokenizer, c->path, self);
  isc_decoder_free(decoder);
  return st;
}

static const isc_target_ops OPS = ISC_DECODER_TARGET_OPS(target_open);

static const isc_class GPT2 = {
    ISC_CLASS(ISC_TARGET),
    .name = "gpt2",
    .version = "1.0.0",
    .summary = "a GPT-2-family model from a Hugging Face directory",
    .licence = "Apache-2.0",
    .source = "Radford et al., Language models are unsupervised multitask learners (2019)",
    .options = OPTIONS,
    .conf_size = sizeof(conf),
    .ops = &OPS};

ISC_PLUGIN("gpt2", "1.0.0", &GPT2);
