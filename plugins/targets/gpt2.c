/* SPDX-License-Identifier: Apache-2.0
 *
 * The target "gpt2": any Hugging Face GPT-2 directory.
 *
 * The model is a decoder of the library, so all that is here is which weights to take and how: as they are, or
 * processed the way TransformerLens does by default, which published head sites are often of.
 */
#include <inversescope/target.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHTS_RAW, WEIGHTS_TL };

typedef struct conf {
  const char *path;
  int32_t weights;
} conf;

typedef struct gpt2 {
  isc_decoder *decoder;
  isc_tokenizer *tokenizer;
} gpt2;

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
  isc_params_train(isc_decoder_params(*out), false);
  return c->weights == WEIGHTS_TL ? isc_decoder_fold(*out) : ISC_OK;
}

/* A table may be padded beyond the tokenizer, but every id must have a row. */
static isc_status check_vocabulary(const conf *c, const gpt2 *g) {
  long long ids = isc_tokenizer_vocab(g->tokenizer), rows = isc_decoder_get_spec(g->decoder)->vocab;
  if (ids <= rows) return ISC_OK;
  return isc_fail(ISC_E_SHAPE,
                  "%s: the tokenizer has %lld ids and the embedding wte.weight only %lld rows",
                  c->path, ids, rows);
}

static void target_close(void *self) {
  gpt2 *g = self;
  if (!g) return;
  isc_tokenizer_close(g->tokenizer);
  isc_decoder_free(g->decoder);
  free(g);
}

static isc_status target_open(const void *settings, isc_device *dev, void **self) {
  isc_status st = ISC_OK;
  const conf *c = settings;
  gpt2 *g = calloc(1, sizeof *g);
  if (!g) return isc_fail(ISC_E_NOMEM, "%s: no memory for a target", c->path);
  ISC_GO(open_decoder(c, dev, &g->decoder));
  ISC_GO(isc_tokenizer_open(c->path, &g->tokenizer));
  ISC_GO(check_vocabulary(c, g));
  *self = g;
  g = NULL;
done:
  target_close(g);
  return st;
}

static void target_info(void *self, isc_target_info *out) {
  isc_decoder *d = ((gpt2 *)self)->decoder;
  const isc_decoder_spec *s = isc_decoder_get_spec(d);
  *out = (isc_target_info){.size = sizeof *out,
                           .n_layer = s->n_layer,
                           .n_head = s->n_head,
                           .d_model = s->d_model,
                           .d_head = s->d_head,
                           .n_ctx = s->n_ctx,
                           .vocab = s->vocab,
                           .parameters = isc_params_elements(isc_decoder_params(d))};
}

static const isc_tokenizer *target_tokenizer(void *self) {
  return ((gpt2 *)self)->tokenizer;
}

static isc_status target_forward(void *self, isc_step *s, const isc_decoder_input *in,
                                 const isc_taps *taps, isc_tensor **hidden) {
  return isc_decoder_forward(((gpt2 *)self)->decoder, s, in, taps, hidden);
}

static isc_status target_logits(void *self, isc_step *s, isc_tensor *hidden, isc_tensor **logits) {
  return isc_decoder_logits(((gpt2 *)self)->decoder, s, hidden, logits);
}

static isc_status target_head_map(void *self, int64_t layer, int64_t head, float *out) {
  return isc_decoder_head_map(((gpt2 *)self)->decoder, layer, head, out);
}

static isc_status target_fingerprint(void *self, char hex[33]) {
  const gpt2 *g = self;
  char tokenizer[33];
  isc_tokenizer_fingerprint(g->tokenizer, tokenizer);
  return isc_decoder_fingerprint(g->decoder, tokenizer, hex);
}

static isc_status target_kv_cache(void *self, int64_t batch, int64_t n_ctx, isc_kv_cache **out) {
  return isc_kv_cache_new(((gpt2 *)self)->decoder, batch, n_ctx, out);
}

static const isc_target_ops OPS = {.size = sizeof OPS,
                                   .open = target_open,
                                   .close = target_close,
                                   .info = target_info,
                                   .tokenizer = target_tokenizer,
                                   .forward = target_forward,
                                   .logits = target_logits,
                                   .head_map = target_head_map,
                                   .fingerprint = target_fingerprint,
                                   .kv_cache = target_kv_cache};

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
