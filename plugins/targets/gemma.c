/* SPDX-License-Identifier: Apache-2.0
 *
 * What the Gemma models have in common: norms before and after each branch, scaled embeddings, gated MLPs.
 *
 * Their norms store w of x·(1 + w).
 */
#include "gemma.h"
#include <math.h>

static isc_status read_shape(const isc_json *j, isc_decoder_spec *s) {
  ISC_TRY(isc_config_size(j, "num_hidden_layers", 0, &s->n_layer));
  ISC_TRY(isc_config_size(j, "num_attention_heads", 0, &s->n_head));
  ISC_TRY(isc_config_size(j, "num_key_value_heads", 0, &s->n_kv_head));
  ISC_TRY(isc_config_size(j, "hidden_size", 0, &s->d_model));
  ISC_TRY(isc_config_size(j, "head_dim", 256, &s->d_head));
  ISC_TRY(isc_config_size(j, "intermediate_size", 0, &s->d_mlp));
  ISC_TRY(isc_config_size(j, "vocab_size", 0, &s->vocab));
  return isc_config_size(j, "max_position_embeddings", 0, &s->n_ctx);
}

static isc_status refuse_if(const isc_json *j, const char *key) {
  bool on;
  ISC_TRY(isc_json_bool_or(j, key, false, &on));
  if (!on) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED, "%s: %s is true, which is not supported", isc_json_path(j),
                  key);
}

/* The default of query_pre_attn_scalar is the models' own. */
static isc_status read_numbers(const isc_json *j, isc_decoder_spec *s) {
  double scalar;
  bool tied;
  ISC_TRY(isc_config_act(j, "hidden_activation", "gelu_pytorch_tanh", &s->act));
  ISC_TRY(isc_json_float_or(j, "rms_norm_eps", 1e-6, &s->norm_eps));
  ISC_TRY(isc_json_float_or(j, "query_pre_attn_scalar", 256, &scalar));
  if (!(scalar > 0))
    return isc_fail(ISC_E_FORMAT, "%s: query_pre_attn_scalar is %g; it must be above 0",
                    isc_json_path(j), scalar);
  s->attn_scale = 1 / sqrt(scalar);
  s->embed_scale = (float)sqrt((double)s->d_model);
  ISC_TRY(isc_json_float_or(j, "attn_logit_softcapping", 0, &s->attn_soft_cap));
  ISC_TRY(isc_json_float_or(j, "final_logit_softcapping", 0, &s->logit_soft_cap));
  ISC_TRY(isc_json_bool_or(j, "tie_word_embeddings", true, &tied));
  s->untied_head = !tied;
  ISC_TRY(refuse_if(j, "attention_bias"));
  return refuse_if(j, "use_bidirectional_attention");
}

isc_status gemma_spec(isc_json *j, isc_decoder_spec *s) {
  s->norm = ISC_RMSNORM;
  s->mlp = ISC_MLP_GATED;
  s->out_in = s->post_norms = true;
  s->no_qkv_bias = s->no_attn_out_bias = s->no_mlp_bias = true;
  ISC_TRY(read_shape(j, s));
  ISC_TRY(read_numbers(j, s));
  return isc_config_rope(j, s);
}

const isc_weight_name gemma_names[] = {
    {"wte.weight", {"model.embed_tokens.weight"}, 0},
    {"ln_1.weight", {"input_layernorm.weight"}, 1},
    {"attn.c_attn.weight",
     {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"},
     0},
    {"attn.q_norm.weight", {"self_attn.q_norm.weight"}, 1},
    {"attn.k_norm.weight", {"self_attn.k_norm.weight"}, 1},
    {"attn.c_proj.weight", {"self_attn.o_proj.weight"}, 0},
    {"ln_1_post.weight", {"post_attention_layernorm.weight"}, 1},
    {"ln_2.weight", {"pre_feedforward_layernorm.weight"}, 1},
    {"mlp.c_fc.weight", {"mlp.gate_proj.weight", "mlp.up_proj.weight"}, 0},
    {"mlp.c_proj.weight", {"mlp.down_proj.weight"}, 0},
    {"ln_2_post.weight", {"post_feedforward_layernorm.weight"}, 1},
    {"ln_f.weight", {"model.norm.weight"}, 1},
    {"lm_head.weight", {"lm_head.weight"}, 0},
    {NULL, {NULL}, 0}};
