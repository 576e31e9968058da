/* SPDX-License-Identifier: Apache-2.0
 *
 * The target @NAME@: a small decoder with random weights that reads text character by character.
 *
 * It computes like a real one, so everything but the weights is in its place. For a model of a published family see
 * open_decoder below; a model that is no such decoder writes its own forward pass with inversescope/ops.h.
 */
#include <inversescope/target.h>
#include <stdlib.h>
#include <string.h>

enum { N_CTX = 128, FIRST = ' ', LAST = '~' };

typedef struct target_conf {
  int64_t n_layer, n_head, d_model, seed;
} target_conf;

static const isc_option options[] = {{"n_layer", ISC_OPT_INT, 0, offsetof(target_conf, n_layer),
                                      "layers", "2", 1, 8, NULL, "Number of layers."},
                                     {"n_head", ISC_OPT_INT, 0, offsetof(target_conf, n_head),
                                      "heads", "2", 1, 16, NULL,
                                      "Heads of each layer; they share d_model evenly."},
                                     {"d_model", ISC_OPT_INT, 0, offsetof(target_conf, d_model),
                                      NULL, "32", 1, 256, NULL, "Width of the residual stream."},
                                     {"seed", ISC_OPT_INT, 0, offsetof(target_conf, seed), NULL,
                                      "1", 0, 1e9, NULL, "Which random weights."},
                                     ISC_OPTIONS_END};

typedef struct target {
  isc_decoder *decoder;
  isc_tokenizer *tokenizer;
} target;

static isc_status open_tokenizer(isc_tokenizer **out) {
  char text[LAST - FIRST + 1][2];
  const char *chars[LAST - FIRST + 1];
  for (int i = 0; i <= LAST - FIRST; i++)
    chars[i] = memcpy(text[i], (char[]){(char)(FIRST + i), 0}, 2);
  return isc_tokenizer_from_chars(chars, LAST - FIRST + 1, "<|endoftext|>", out);
}

/* For a model with files: give the class an option `path` (ISC_OPT_PATH, ISC_OPT_REQUIRED | ISC_OPT_MUST_EXIST), read
 * `spec` from its config.json with inversescope/json.h (isc_decoder_spec_read does it for the GPT-2 family), and call
 * isc_decoder_load, whose `rename` turns the parameter names in decoder.h into the names of the model's own tensors, in place
 * of isc_decoder_init. isc_tokenizer_open reads the tokenizer from the same directory. */
static isc_status open_decoder(const target_conf *c, int64_t vocab, isc_device *dev,
                               isc_decoder **out) {
  if (c->d_model % c->n_head != 0)
    return isc_fail(ISC_E_CONFIG, "target @NAME@: d_model = %lld is no multiple of n_head = %lld",
                    (long long)c->d_model, (long long)c->n_head);
  const isc_decoder_spec spec = {.size = sizeof spec,
                                 .n_layer = c->n_layer,
                                 .n_head = c->n_head,
                                 .d_model = c->d_model,
                                 .d_head = c->d_model / c->n_head,
                                 .d_mlp = 4 * c->d_model,
                                 .vocab = vocab,
                                 .n_ctx = N_CTX,
                                 .act = ISC_ACT_GELU_TANH,
                                 .norm_eps = 1e-5};
  ISC_TRY(isc_decoder_new(dev, &spec, out));
  ISC_TRY(isc_decoder_init(*out, (uint64_t)c->seed));
  isc_params_train(isc_decoder_params(*out), false); /* a target is never trained here */
  return ISC_OK;
}

static void close_target(void *self) {
  target *t = self;
  if (!t) return;
  isc_tokenizer_close(t->tokenizer);
  isc_decoder_free(t->decoder);
  free(t);
}

static isc_status open_target(const void *conf, isc_device *dev, void **self) {
  isc_status st = ISC_OK;
  target *t = calloc(1, sizeof *t);
  if (!t) return isc_fail(ISC_E_NOMEM, "target @NAME@: no memory");
  ISC_GO(open_tokenizer(&t->tokenizer));
  ISC_GO(open_decoder(conf, isc_tokenizer_vocab(t->tokenizer), dev, &t->decoder));
  *self = t;
  t = NULL;
done:
  close_target(t);
  return st;
}

static void info(void *self, isc_target_info *out) {
  isc_decoder *d = ((target *)self)->decoder;
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

static const isc_tokenizer *tokenizer(void *self) {
  return ((target *)self)->tokenizer;
}

static isc_status forward(void *self, isc_step *s, const isc_decoder_input *in,
                          const isc_taps *taps, isc_tensor **hidden) {
  return isc_decoder_forward(((target *)self)->decoder, s, in, taps, hidden);
}

static isc_status logits(void *self, isc_step *s, isc_tensor *hidden, isc_tensor **out) {
  return isc_decoder_logits(((target *)self)->decoder, s, hidden, out);
}

static isc_status head_map(void *self, int64_t layer, int64_t head, float *out) {
  return isc_decoder_head_map(((target *)self)->decoder, layer, head, out);
}

/* A run is redone when this changes: it covers the weights, the spec and the tokenizer. */
static isc_status fingerprint(void *self, char hex[33]) {
  const target *t = self;
  char tokens[33];
  isc_tokenizer_fingerprint(t->tokenizer, tokens);
  return isc_decoder_fingerprint(t->decoder, tokens, hex);
}

static isc_status kv_cache(void *self, int64_t batch, int64_t n_ctx, isc_kv_cache **out) {
  return isc_kv_cache_new(((target *)self)->decoder, batch, n_ctx, out);
}

static const isc_target_ops ops = {.size = sizeof ops,
                                   .open = open_target,
                                   .close = close_target,
                                   .info = info,
                                   .forward = forward,
                                   .tokenizer = tokenizer,
                                   .logits = logits,
                                   .head_map = head_map,
                                   .kv_cache = kv_cache,
                                   .fingerprint = fingerprint};

ISC_PLUGIN_CLASS(ISC_TARGET, "@NAME@", "0.1.0",
                 .summary = "A small character-level decoder, random weights",
                 .licence = "Apache-2.0", .options = options, .conf_size = sizeof(target_conf),
                 .ops = &ops);
