/* SPDX-License-Identifier: Apache-2.0
 *
 * The target "llama": LLaMA and the models that share its tensors' names: Mistral, SmolLM, Qwen2, Qwen3.
 *
 * They differ in a bias here and a norm there, which config.json or the model's type says.
 */
#include <inversescope/decoder_family.h>
#include <stddef.h>
#include <string.h>

typedef struct conf {
  isc_decoder_options model;
} conf;

static const isc_option OPTIONS[] = {ISC_DECODER_OPTIONS(conf, model), ISC_OPTIONS_END};

static isc_status read_shape(const isc_json *j, isc_decoder_spec *s) {
  ISC_TRY(isc_config_size(j, "num_hidden_layers", 0, &s->n_layer));
  ISC_TRY(isc_config_size(j, "num_attention_heads", 0, &s->n_head));
  ISC_TRY(isc_config_size(j, "num_key_value_heads", s->n_head, &s->n_kv_head));
  ISC_TRY(isc_config_size(j, "hidden_size", 0, &s->d_model));
  ISC_TRY(isc_config_size(j, "head_dim", s->d_model / s->n_head, &s->d_head));
  ISC_TRY(isc_config_size(j, "intermediate_size", 0, &s->d_mlp));
  ISC_TRY(isc_config_size(j, "vocab_size", 0, &s->vocab));
  return isc_config_size(j, "max_position_embeddings", 0, &s->n_ctx);
}

static isc_status read_biases(const isc_json *j, bool qwen2, isc_decoder_spec *s) {
  bool attention, mlp;
  ISC_TRY(isc_json_bool_or(j, "attention_bias", qwen2, &attention));
  ISC_TRY(isc_json_bool_or(j, "mlp_bias", false, &mlp));
  s->no_qkv_bias = !attention;
  s->no_attn_out_bias = !attention || qwen2;
  s->no_mlp_bias = !mlp;
  return ISC_OK;
}

/* Qwen's windows are there only when switched on. */
static isc_status read_windows(const isc_json *j, bool qwen, isc_decoder_spec *s) {
  bool windows;
  ISC_TRY(isc_json_bool_or(j, "use_sliding_window", !qwen, &windows));
  return windows ? isc_config_windows(j, 0, s) : ISC_OK;
}

static isc_status spec(isc_json *j, isc_decoder_spec *s) {
  const char *type;
  bool tied;
  ISC_TRY(isc_json_string_or(j, "model_type", "", &type));
  const bool qwen2 = strcmp(type, "qwen2") == 0, qwen3 = strcmp(type, "qwen3") == 0;
  s->norm = ISC_RMSNORM;
  s->mlp = ISC_MLP_GATED;
  s->out_in = true;
  s->head_norms = qwen3;
  ISC_TRY(read_shape(j, s));
  ISC_TRY(isc_config_act(j, "hidden_act", "silu", &s->act));
  ISC_TRY(isc_json_float_or(j, "rms_norm_eps", 1e-6, &s->norm_eps));
  ISC_TRY(isc_json_bool_or(j, "tie_word_embeddings", false, &tied));
  s->untied_head = !tied;
  ISC_TRY(read_biases(j, qwen2, s));
  ISC_TRY(isc_config_rope(j, s));
  return read_windows(j, qwen2 || qwen3, s);
}

static const isc_weight_name NAMES[] = {
    {"wte.weight", {"model.embed_tokens.weight"}, 0},
    {"ln_1.weight", {"input_layernorm.weight"}, 0},
    {"attn.c_attn.weight",
     {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"},
     0},
    {"attn.c_attn.bias",
     {"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"},
     0},
    {"attn.q_norm.weight", {"self_attn.q_norm.weight"}, 0},
    {"attn.k_norm.weight", {"self_attn.k_norm.weight"}, 0},
    {"attn.c_proj.weight", {"self_attn.o_proj.weight"}, 0},
    {"attn.c_proj.bias", {"self_attn.o_proj.bias"}, 0},
    {"ln_2.weight", {"post_attention_layernorm.weight"}, 0},
    {"mlp.c_fc.weight", {"mlp.gate_proj.weight", "mlp.up_proj.weight"}, 0},
    {"mlp.c_fc.bias", {"mlp.gate_proj.bias", "mlp.up_proj.bias"}, 0},
    {"mlp.c_proj.weight", {"mlp.down_proj.weight"}, 0},
    {"mlp.c_proj.bias", {"mlp.down_proj.bias"}, 0},
    {"ln_f.weight", {"model.norm.weight"}, 0},
    {"lm_head.weight", {"lm_head.weight"}, 0},
    {NULL, {NULL}, 0}};

static const char *const TYPES[] = {"llama", "mistral", "qwen2", "qwen3", NULL};
static const isc_decoder_family FAMILY = {.size = sizeof FAMILY,
                                          .model_types = TYPES,
                                          .spec = spec,
                                          .layout = ISC_OUT_IN,
                                          .layer = "model.layers.%d.",
                                          .names = NAMES};

static isc_status target_open(const void *settings, isc_device *dev, void **self) {
  return isc_decoder_family_open(&FAMILY, &((const conf *)settings)->model, dev, self);
}

static const isc_target_ops OPS = ISC_DECODER_FAMILY_OPS(target_open, &FAMILY, conf, model);

static const isc_class LLAMA = {
    ISC_CLASS(ISC_TARGET),
    .name = "llama",
    .version = "1.0.0",
    .summary = "a LLaMA-family model: LLaMA, Mistral, SmolLM, Qwen2, Qwen3",
    .licence = "Apache-2.0",
    .source = "Touvron et al., Llama 2: Open foundation and fine-tuned chat models (2023)",
    .options = OPTIONS,
    .conf_size = sizeof(conf),
    .ops = &OPS};

ISC_PLUGIN("llama", "1.0.0", &LLAMA);
