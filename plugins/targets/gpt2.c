/* SPDX-License-Identifier: Apache-2.0
 *
 * The target "gpt2": GPT-2 and the models of its shape.
 *
 * Weights are taken as they are, or processed the way TransformerLens does by default, which published head sites are
 * often of.
 */
#include <inversescope/decoder_family.h>
#include <stddef.h>

enum { WEIGHTS_RAW, WEIGHTS_TL };

typedef struct conf {
  isc_decoder_options model;
  int32_t weights;
} conf;

static const char *const WEIGHTS[] = {"raw", "tl", NULL};
static const isc_option OPTIONS[] = {
    ISC_DECODER_OPTIONS(conf, model),
    {"weights", ISC_OPT_ENUM, 0, offsetof(conf, weights), NULL, "raw", 0, 0, WEIGHTS,
     "raw: as stored; tl: norms folded and output weights centred, as TransformerLens does by "
     "default."},
    ISC_OPTIONS_END};

#define OWN_NAME(name)                                                                             \
  { name, {name}, 0 }
#define NAMES_BUT_HEAD                                                                             \
  OWN_NAME("wte.weight"), OWN_NAME("wpe.weight"), OWN_NAME("ln_1.weight"), OWN_NAME("ln_1.bias"),  \
      OWN_NAME("attn.c_attn.weight"), OWN_NAME("attn.c_attn.bias"),                                \
      OWN_NAME("attn.c_proj.weight"), OWN_NAME("attn.c_proj.bias"), OWN_NAME("ln_2.weight"),       \
      OWN_NAME("ln_2.bias"), OWN_NAME("mlp.c_fc.weight"), OWN_NAME("mlp.c_fc.bias"),               \
      OWN_NAME("mlp.c_proj.weight"), OWN_NAME("mlp.c_proj.bias"), OWN_NAME("ln_f.weight"),         \
      OWN_NAME("ln_f.bias")
static const isc_weight_name NAMES[] = {
    NAMES_BUT_HEAD, OWN_NAME("lm_head.weight"), {NULL, {NULL}, 0}};
/* Folding needs a head of its own; a tied model's is a copy of wte. */
static const isc_weight_name TIED[] = {
    NAMES_BUT_HEAD, {"lm_head.weight", {"wte.weight"}, 0}, {NULL, {NULL}, 0}};

static isc_status spec_untied(isc_json *config, isc_decoder_spec *s) {
  ISC_TRY(isc_config_gpt2(config, s));
  s->untied_head = true;
  return ISC_OK;
}

static const char *const TYPES[] = {"gpt2", NULL};
#define FAMILY(spec_, names_)                                                                      \
  {                                                                                                \
    .size = sizeof(isc_decoder_family), .model_types = TYPES, .spec = (spec_),                     \
    .layout = ISC_IN_OUT, .layer = "h.%d.", .names = (names_), .prefix = "transformer."            \
  }
static const isc_decoder_family RAW = FAMILY(isc_config_gpt2, NAMES),
                                TL = FAMILY(spec_untied, NAMES),
                                TL_TIED = FAMILY(spec_untied, TIED);

static isc_status open_folded(const conf *c, isc_device *dev, isc_decoder **out) {
  isc_decoder_spec spec = {.size = sizeof spec};
  ISC_TRY(isc_decoder_family_spec(&RAW, &c->model, &spec));
  ISC_TRY(isc_decoder_family_decoder(spec.untied_head ? &TL : &TL_TIED, &c->model, dev, out));
  isc_status st = isc_decoder_fold(*out);
  if (st == ISC_OK) return ISC_OK;
  isc_decoder_free(*out);
  return st;
}

static isc_status target_open(const void *settings, isc_device *dev, void **self) {
  const conf *c = settings;
  isc_decoder *decoder = NULL;
  isc_tokenizer *tokenizer = NULL;
  if (c->weights == WEIGHTS_RAW) return isc_decoder_family_open(&RAW, &c->model, dev, self);
  ISC_TRY(open_folded(c, dev, &decoder));
  isc_status st = isc_decoder_family_tokenizer(&c->model, &tokenizer);
  if (st == ISC_OK) return isc_decoder_target_new(decoder, tokenizer, c->model.path, self);
  isc_decoder_free(decoder);
  return st;
}

static const isc_target_ops OPS = ISC_DECODER_FAMILY_OPS(target_open, &RAW, conf, model);

static const isc_class GPT2 = {
    ISC_CLASS(ISC_TARGET),
    .name = "gpt2",
    .version = "1.0.0",
    .summary = "a GPT-2-family model from a Hugging Face directory or a GGUF file",
    .licence = "Apache-2.0",
    .source = "Radford et al., Language models are unsupervised multitask learners (2019)",
    .options = OPTIONS,
    .conf_size = sizeof(conf),
    .ops = &OPS};

ISC_PLUGIN("gpt2", "1.0.0", &GPT2);
