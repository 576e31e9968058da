/* SPDX-License-Identifier: Apache-2.0
 *
 * The target @NAME@: a small decoder with random weights that reads text character by character.
 *
 * It computes like a real one, so everything but the weights is in its place. For a model of a published family see
 * open_decoder below; a model that is no such decoder writes its own isc_target_ops, with the operations of
 * inversescope/ops.h.
 */
#include <inversescope/decoder_target.h>
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
  return isc_decoder_init(*out, (uint64_t)c->seed);
}

static isc_status open_target(const void *conf, isc_device *dev, void **self) {
  isc_decoder *decoder = NULL;
  isc_tokenizer *tokenizer = NULL;
  isc_status st = open_tokenizer(&tokenizer);
  if (st == ISC_OK) st = open_decoder(conf, isc_tokenizer_vocab(tokenizer), dev, &decoder);
  if (st == ISC_OK) return isc_decoder_target_new(decoder, tokenizer, "target @NAME@", self);
  isc_tokenizer_close(tokenizer);
  isc_decoder_free(decoder);
  return st;
}

static const isc_target_ops ops = ISC_DECODER_TARGET_OPS(open_target);

ISC_PLUGIN_CLASS(ISC_TARGET, "@NAME@", "0.1.0",
                 .summary = "A small character-level decoder, random weights",
                 .licence = "Apache-2.0", .options = options, .conf_size = sizeof(target_conf),
                 .ops = &ops);
