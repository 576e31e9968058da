/* SPDX-License-Identifier: Apache-2.0
 *
 * A GGUF file as a family's model: its metadata read as a config.json, its tensors by their names there.
 *
 * What a converter did to the weights is undone or allowed for here, so that a family's spec and everything behind it need not
 * know where a model came from.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include "model/family_internal.h"
#include "model/json_doc.h"
#include <math.h>
#include <string.h>

/* An architecture of the format, and the settings of its config.json that the file does not spell out. */
typedef struct architecture {
  const char *name, *model_type, *act;
  bool gpt2, gemma;
  bool paired; /* queries and keys have the halves of a rotary pair side by side */
} architecture;

static const architecture KNOWN[] = {{"llama", "llama", "silu", .paired = true},
                                     {"qwen2", "qwen2", "silu", .paired = false},
                                     {"qwen3", "qwen3", "silu", .paired = false},
                                     {"gemma2", "gemma2", "gelu_pytorch_tanh", .gemma = true},
                                     {"gemma3", "gemma3_text", "gelu_pytorch_tanh", .gemma = true},
                                     {"gpt2", "gpt2", "gelu_new", .gpt2 = true}};

static isc_status find_architecture(const isc_gguf *g, const architecture **out) {
  const char *name;
  ISC_TRY(isc_gguf_string(g, "general.architecture", &name));
  for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
    if (strcmp(KNOWN[i].name, name) == 0) {
      *out = &KNOWN[i];
      return ISC_OK;
    }
  return isc_fail(
      ISC_E_UNSUPPORTED,
      "%s: general.architecture is \"%s\"; llama, qwen2, qwen3, gemma2, gemma3 and gpt2 "
      "are read from GGUF",
      isc_gguf_path(g), name);
}

/* ---- metadata → config.json */

typedef struct translation {
  const isc_gguf *g;
  const architecture *a;
  json_t *config;
  char key[128];
} translation;

/* "llama.block_count" */
static const char *own_key(translation *t, const char *name) {
  snprintf(t->key, sizeof t->key, "%s.%s", t->a->name, name);
  return t->key;
}

static isc_status set(translation *t, json_t *object, const char *key, json_t *value) {
  if (value && json_object_set_new(object, key, value) == 0) return ISC_OK;
  return isc_fail(ISC_E_NOMEM, "%s: no memory for its settings", isc_gguf_path(t->g));
}

/* `least` 0: may be absent, and then nothing is said. */
static isc_status copy_int(translation *t, const char *name, const char *key, int64_t least) {
  int64_t v;
  if (least == 0 && !isc_gguf_has(t->g, own_key(t, name))) return ISC_OK;
  ISC_TRY(isc_gguf_int(t->g, own_key(t, name), 0, INT32_MAX, &v));
  return v == 0 && least == 0 ? ISC_OK : set(t, t->config, key, json_integer(v));
}

static isc_status copy_into(translation *t, json_t *object, const char *name, const char *key) {
  double v;
  if (!isc_gguf_has(t->g, own_key(t, name))) return ISC_OK;
  ISC_TRY(isc_gguf_float(t->g, own_key(t, name), &v));
  return set(t, object, key, json_real(v));
}

static isc_status copy_float(translation *t, const char *name, const char *key) {
  return copy_into(t, t->config, name, key);
}

static isc_status add_vocabulary(translation *t) {
  const isc_gguf_array *tokens;
  int64_t n;
  if (isc_gguf_has(t->g, own_key(t, "vocab_size")))
    return copy_int(t, "vocab_size", "vocab_size", 1);
  ISC_TRY(isc_gguf_strings(t->g, "tokenizer.ggml.tokens", &tokens));
  n = tokens->n;
  return set(t, t->config, "vocab_size", json_integer(n));
}

static bool has_tensor(const isc_gguf *g, const char *name) {
  for (int64_t i = 0; i < isc_gguf_count(g); i++)
    if (strcmp(isc_gguf_at(g, i)->name, name) == 0) return true;
  return false;
}

static isc_status add_gpt2(translation *t) {
  ISC_TRY(copy_int(t, "block_count", "n_layer", 1));
  ISC_TRY(copy_int(t, "attention.head_count", "n_head", 1));
  ISC_TRY(copy_int(t, "embedding_length", "n_embd", 1));
  ISC_TRY(copy_int(t, "context_length", "n_positions", 1));
  ISC_TRY(copy_int(t, "feed_forward_length", "n_inner", 1));
  ISC_TRY(set(t, t->config, "activation_function", json_string(t->a->act)));
  return copy_float(t, "attention.layer_norm_epsilon", "layer_norm_epsilon");
}

static isc_status add_shape(translation *t) {
  ISC_TRY(copy_int(t, "block_count", "num_hidden_layers", 1));
  ISC_TRY(copy_int(t, "attention.head_count", "num_attention_heads", 1));
  ISC_TRY(copy_int(t, "attention.head_count_kv", "num_key_value_heads", 0));
  ISC_TRY(copy_int(t, "embedding_length", "hidden_size", 1));
  ISC_TRY(copy_int(t, "context_length", "max_position_embeddings", 1));
  ISC_TRY(copy_int(t, "feed_forward_length", "intermediate_size", 1));
  ISC_TRY(copy_int(t, "attention.key_length", "head_dim", 0));
  ISC_TRY(copy_int(t, "attention.sliding_window", "sliding_window", 0));
  ISC_TRY(
      set(t, t->config, t->a->gemma ? "hidden_activation" : "hidden_act", json_string(t->a->act)));
  ISC_TRY(copy_float(t, "attention.layer_norm_rms_epsilon", "rms_norm_eps"));
  ISC_TRY(copy_float(t, "attn_logit_softcapping", "attn_logit_softcapping"));
  return copy_float(t, "final_logit_softcapping", "final_logit_softcapping");
}

static isc_status add_yarn(translation *t, json_t *scaling) {
  int64_t original;
  ISC_TRY(isc_gguf_int_or(t->g, own_key(t, "rope.scaling.original_context_length"), 0, INT32_MAX, 0,
                          &original));
  if (original > 0)
    ISC_TRY(set(t, scaling, "original_max_position_embeddings", json_integer(original)));
  ISC_TRY(copy_into(t, scaling, "rope.scaling.yarn_beta_fast", "beta_fast"));
  return copy_into(t, scaling, "rope.scaling.yarn_beta_slow", "beta_slow");
}

/* Settings of the format that no config.json has may only say what is so without them. */
static isc_status check_rope(translation *t) {
  static const struct {
    const char *name;
    double neutral;
  } MORE[] = {{"rope.scale_linear", 1},
              {"rope.scaling.alpha", 0},
              {"rope.scaling.attn_factor", 1},
              {"rope.scaling.yarn_attn_factor", 1},
              {"rope.scaling.yarn_ext_factor", 1},
              {"rope.scaling.yarn_log_multiplier", 0}};
  for (size_t i = 0; i < sizeof MORE / sizeof *MORE; i++) {
    double v;
    ISC_TRY(isc_gguf_float_or(t->g, own_key(t, MORE[i].name), MORE[i].neutral, &v));
    if (v != MORE[i].neutral)
      return isc_fail(ISC_E_UNSUPPORTED,
                      "%s: \"%s\" is %g; only %g is supported: use the model's Hugging Face "
                      "directory",
                      isc_gguf_path(t->g), t->key, v, MORE[i].neutral);
  }
  return ISC_OK;
}

/* Heads are turned whole or not at all here, and the family says so by the share. */
static isc_status add_share(translation *t) {
  const json_int_t heads = json_integer_value(json_object_get(t->config, "num_attention_heads")),
                   width = json_integer_value(json_object_get(t->config, "hidden_size"));
  const json_t *head_dim = json_object_get(t->config, "head_dim");
  int64_t turned;
  if (!isc_gguf_has(t->g, own_key(t, "rope.dimension_count")) || heads < 1) return ISC_OK;
  ISC_TRY(isc_gguf_int(t->g, own_key(t, "rope.dimension_count"), 1, INT32_MAX, &turned));
  const json_int_t all = head_dim ? json_integer_value(head_dim) : width / heads;
  if (turned == all || all < 1) return ISC_OK;
  return set(t, t->config, "partial_rotary_factor", json_real((double)turned / (double)all));
}

static isc_status add_rope(translation *t) {
  const char *type;
  double factor;
  ISC_TRY(check_rope(t));
  ISC_TRY(add_share(t));
  ISC_TRY(copy_float(t, "rope.freq_base", "rope_theta"));
  if (t->a->gemma) ISC_TRY(copy_float(t, "rope.freq_base_swa", "rope_local_base_freq"));
  ISC_TRY(isc_gguf_string_or(t->g, own_key(t, "rope.scaling.type"), "none", &type));
  if (strcmp(type, "none") == 0) return ISC_OK;
  json_t *scaling = json_object();
  ISC_TRY(set(t, t->config, "rope_scaling", scaling));
  ISC_TRY(set(t, scaling, "rope_type", json_string(type)));
  ISC_TRY(isc_gguf_float_or(t->g, own_key(t, "rope.scaling.factor"), 1, &factor));
  ISC_TRY(set(t, scaling, "factor", json_real(factor)));
  return strcmp(type, "yarn") == 0 ? add_yarn(t, scaling) : ISC_OK;
}

static isc_status config_int(const translation *t, const char *key, int64_t *out) {
  *out = (int64_t)json_integer_value(json_object_get(t->config, key));
  if (*out > 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: the setting for %s is missing", isc_gguf_path(t->g), key);
}

/* The largest model of each Gemma scales queries by its width; the file does not say so. */
static isc_status add_query_scale(translation *t) {
  enum { LAYERS_GEMMA2_27B = 46, LAYERS_GEMMA3_27B = 62 };
  int64_t layers, heads, width, head_dim;
  if (!t->a->gemma) return ISC_OK;
  ISC_TRY(config_int(t, "num_hidden_layers", &layers));
  ISC_TRY(config_int(t, "num_attention_heads", &heads));
  ISC_TRY(config_int(t, "hidden_size", &width));
  ISC_TRY(config_int(t, "head_dim", &head_dim));
  const bool largest = layers == LAYERS_GEMMA2_27B || layers == LAYERS_GEMMA3_27B;
  return set(t, t->config, "query_pre_attn_scalar",
             json_integer(largest ? width / heads : head_dim));
}

static isc_status translate(translation *t) {
  const bool tied = !has_tensor(t->g, "output.weight");
  ISC_TRY(set(t, t->config, "model_type", json_string(t->a->model_type)));
  ISC_TRY(add_vocabulary(t));
  ISC_TRY(set(t, t->config, "tie_word_embeddings", json_boolean(tied)));
  if (t->a->gpt2) return add_gpt2(t);
  ISC_TRY(add_shape(t));
  ISC_TRY(add_query_scale(t));
  if (has_tensor(t->g, "blk.0.attn_q.bias") && strcmp(t->a->name, "llama") == 0)
    ISC_TRY(set(t, t->config, "attention_bias", json_true()));
  return add_rope(t);
}

isc_status isc_family_gguf_config(const isc_gguf *g, isc_json **out) {
  translation t = {.g = g};
  *out = NULL;
  ISC_TRY(find_architecture(g, &t.a));
  t.config = json_object();
  isc_status st = t.config ? translate(&t) : isc_fail(ISC_E_NOMEM, "no memory for settings");
  if (st == ISC_OK) st = isc_json_adopt(isc_gguf_path(g), t.config, out);
  if (st != ISC_OK) json_decref(t.config);
  return st;
}

/* ---- frequencies given one by one, by a rule that the file does not tell */

static isc_status check_factors(const isc_gguf *g, const isc_weight *t, const isc_decoder_spec *s) {
  const int64_t half = (s->d_rot ? s->d_rot : s->d_head) / 2;
  if (s->positions != ISC_ROTARY || s->rope_scaling != ISC_ROPE_PLAIN)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: has the tensor \"%s\" and scales rotary positions otherwise too",
                    isc_gguf_path(g), t->name);
  if (t->ndim != 1 || t->elements != half || half > ISC_ROPE_MAX_FACTORS)
    return isc_fail(ISC_E_SHAPE,
                    "%s: tensor \"%s\" has %lld elements in %d dimensions, not one for each of "
                    "the %lld pairs that a head turns, at most %d",
                    isc_gguf_path(g), t->name, (long long)t->elements, (int)t->ndim,
                    (long long)half, ISC_ROPE_MAX_FACTORS);
  return ISC_OK;
}

isc_status isc_family_gguf_rope(isc_weights *w, isc_decoder_spec *s) {
  static const char *const LENGTHS[] = {"rope_factors_long.weight", "rope_factors_short.weight"};
  const isc_gguf *g = isc_weights_gguf(w);
  const isc_weight *t = isc_weights_find(w, "rope_freqs.weight");
  for (int i = 0; i < 2; i++)
    if (isc_weights_find(w, LENGTHS[i]))
      return isc_fail(ISC_E_UNSUPPORTED,
                      "%s: tensor \"%s\": rotary factors that depend on a text's length are not "
                      "supported",
                      isc_gguf_path(g), LENGTHS[i]);
  if (!t) return ISC_OK;
  ISC_TRY(check_factors(g, t, s));
  s->rope_scaling = ISC_ROPE_FACTORS;
  return isc_weights_read(w, t, 0, t->elements, ISC_F32, s->rope_factors);
}

/* ---- names. All linear maps lie as [out, in], and Gemma's norms have their 1 added. */

#define COMMON                                                                                     \
  {"wte.weight", {"token_embd.weight"}, 0}, {"wpe.weight", {"position_embd.weight"}, 0},           \
      {"ln_1.weight", {"attn_norm.weight"}, 0}, {"ln_1.bias", {"attn_norm.bias"}, 0},              \
      {"attn.c_proj.weight", {"attn_output.weight"}, 0},                                           \
      {"attn.c_proj.bias", {"attn_output.bias"}, 0}, {"ln_2.weight", {"ffn_norm.weight"}, 0},      \
      {"ln_2.bias", {"ffn_norm.bias"}, 0}, {"mlp.c_proj.weight", {"ffn_down.weight"}, 0},          \
      {"mlp.c_proj.bias", {"ffn_down.bias"}, 0}, {"ln_f.weight", {"output_norm.weight"}, 0},       \
      {"ln_f.bias", {"output_norm.bias"}, 0}, {                                                    \
    "lm_head.weight", {"output.weight"}, 0                                                         \
  }
static const isc_weight_name FUSED[] = {COMMON,
                                        {"attn.c_attn.weight", {"attn_qkv.weight"}, 0},
                                        {"attn.c_attn.bias", {"attn_qkv.bias"}, 0},
                                        {"mlp.c_fc.weight", {"ffn_up.weight"}, 0},
                                        {"mlp.c_fc.bias", {"ffn_up.bias"}, 0},
                                        {NULL, {NULL}, 0}};
static const isc_weight_name APART[] = {
    COMMON,
    {"attn.c_attn.weight", {"attn_q.weight", "attn_k.weight", "attn_v.weight"}, 0},
    {"attn.c_attn.bias", {"attn_q.bias", "attn_k.bias", "attn_v.bias"}, 0},
    {"attn.q_norm.weight", {"attn_q_norm.weight"}, 0},
    {"attn.k_norm.weight", {"attn_k_norm.weight"}, 0},
    {"ln_1_post.weight", {"post_attention_norm.weight"}, 0},
    {"mlp.c_fc.weight", {"ffn_gate.weight", "ffn_up.weight"}, 0},
    {"ln_2_post.weight", {"post_ffw_norm.weight"}, 0},
    {NULL, {NULL}, 0}};

isc_status isc_family_gguf_names(const isc_gguf *g, isc_decoder_family *family, bool *paired) {
  const architecture *a = NULL;
  ISC_TRY(find_architecture(g, &a));
  family->names = a->gpt2 ? FUSED : APART;
  family->layer = "blk.%d.";
  family->prefix = NULL;
  family->layout = ISC_OUT_IN;
  *paired = a->paired;
  return ISC_OK;
}
