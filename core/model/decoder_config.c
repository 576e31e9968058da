/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoder's spec to and from a Hugging Face GPT-2 config.json.
 *
 * Only settings that change the numbers are looked at, and one that this decoder cannot honour is
 * refused by name: a model run with the wrong activation gives plausible nonsense.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <inversescope/decoder_family.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct act_name {
  const char *name;
  isc_act act;
} act_name;

/* The first name of an activation is the one written. */
static const act_name ACTS[] = {
    {"gelu_new", ISC_ACT_GELU_TANH},  {"gelu", ISC_ACT_GELU},
    {"relu", ISC_ACT_RELU},           {"silu", ISC_ACT_SILU},
    {"tanh", ISC_ACT_TANH},           {"gelu_pytorch_tanh", ISC_ACT_GELU_TANH},
    {"gelu_fast", ISC_ACT_GELU_TANH}, {"swish", ISC_ACT_SILU},
};
enum { N_ACTS = sizeof ACTS / sizeof *ACTS, MAX_DIM = 1 << 24 };

bool isc_decoder_act(const char *name, isc_act *out, const char **known) {
  *known = "gelu_new, gelu, gelu_fast, gelu_pytorch_tanh, relu, silu, swish, tanh";
  for (int i = 0; i < N_ACTS; i++)
    if (strcmp(name, ACTS[i].name) == 0) {
      *out = ACTS[i].act;
      return true;
    }
  return false;
}

static isc_status read_shape(const isc_json *j, isc_decoder_spec *s) {
  int64_t n_ctx;
  ISC_TRY(isc_json_int(j, "n_layer", 1, MAX_DIM, &s->n_layer));
  ISC_TRY(isc_json_int(j, "n_head", 1, MAX_DIM, &s->n_head));
  ISC_TRY(isc_json_int(j, "n_embd", 1, MAX_DIM, &s->d_model));
  ISC_TRY(isc_json_int(j, "vocab_size", 1, MAX_DIM, &s->vocab));
  ISC_TRY(isc_json_int_or(j, "n_ctx", 1, MAX_DIM, 0, &n_ctx)); /* the name before n_positions */
  if (n_ctx)
    ISC_TRY(isc_json_int_or(j, "n_positions", 1, MAX_DIM, n_ctx, &s->n_ctx));
  else
    ISC_TRY(isc_json_int(j, "n_positions", 1, MAX_DIM, &s->n_ctx));
  ISC_TRY(isc_json_int_or(j, "n_inner", 1, MAX_DIM, 4 * s->d_model, &s->d_mlp));
  if (s->d_model % s->n_head)
    return isc_fail(ISC_E_FORMAT, "%s: n_embd %lld is not a multiple of n_head %lld",
                    isc_json_path(j), (long long)s->d_model, (long long)s->n_head);
  s->d_head = s->d_model / s->n_head;
  return ISC_OK;
}

static isc_status read_numerics(const isc_json *j, isc_decoder_spec *s) {
  bool scaled, tied;
  ISC_TRY(isc_config_act(j, "activation_function", "gelu_new", &s->act));
  ISC_TRY(isc_json_float_or(j, "layer_norm_epsilon", 1e-5, &s->norm_eps));
  if (!(s->norm_eps >= 0) || isinf(s->norm_eps))
    return isc_fail(ISC_E_FORMAT, "%s: layer_norm_epsilon is %g; it must be at least 0",
                    isc_json_path(j), s->norm_eps);
  ISC_TRY(isc_json_bool_or(j, "scale_attn_weights", true, &scaled));
  s->attn_scale = scaled ? 0 : 1;
  ISC_TRY(isc_json_bool_or(j, "scale_attn_by_inverse_layer_idx", false, &s->scale_by_layer));
  ISC_TRY(isc_json_bool_or(j, "tie_word_embeddings", true, &tied));
  s->untied_head = !tied;
  return ISC_OK;
}

isc_status isc_config_gpt2(isc_json *j, isc_decoder_spec *s) {
  const char *type;
  bool cross;
  ISC_TRY(isc_json_string_or(j, "model_type", "gpt2", &type));
  if (strcmp(type, "gpt2") != 0)
    return isc_fail(ISC_E_UNSUPPORTED, "%s: model_type is \"%s\", and this reads \"gpt2\"",
                    isc_json_path(j), type);
  ISC_TRY(isc_json_bool_or(j, "add_cross_attention", false, &cross));
  if (cross)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: add_cross_attention is true; only decoders without cross-attention "
                    "are supported",
                    isc_json_path(j));
  ISC_TRY(read_shape(j, s));
  return read_numerics(j, s);
}

isc_status isc_decoder_spec_read(const char *dir, isc_decoder_spec *out) {
  isc_status st = ISC_OK;
  char *path = NULL;
  isc_json *j = NULL;
  isc_decoder_spec spec = {.size = sizeof spec};
  const size_t size = out->size < sizeof spec ? out->size : sizeof spec;
  if (size < ISC_SIZE_TO(isc_decoder_spec, untied_head))
    return isc_fail(ISC_E_USAGE, "%s: a decoder spec of %zu bytes; is its `size` set?", dir, size);
  ISC_GO(isc_path_join(dir, "config.json", &path));
  ISC_GO(isc_json_open(path, &j));
  ISC_GO(isc_config_gpt2(j, &spec));
  spec.size = size;
  memcpy(out, &spec, size);
done:
  if (j) isc_json_close(j);
  free(path);
  return st;
}

static const char *act_written(isc_act act) {
  for (int i = 0; i < N_ACTS; i++)
    if (ACTS[i].act == act) return ACTS[i].name;
  return NULL;
}

/* Nothing but what GPT-2's members say. */
static bool is_gpt2(const isc_decoder_spec *s) {
  isc_decoder_spec first = {.n_kv_head = s->n_kv_head == s->n_head ? s->n_head : 0};
  char text[1024], said[1024];
  memcpy(&first, s, ISC_SIZE_TO(isc_decoder_spec, untied_head));
  isc_decoder_spec_text(&first, said, sizeof said);
  isc_decoder_spec_text(s, text, sizeof text);
  return strcmp(text, said) == 0;
}

isc_status isc_decoder_config_fits(const isc_decoder_spec *s, const char *dir) {
  if (!is_gpt2(s))
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: a GPT-2 config.json cannot say what this decoder is: RMS norms, rotary "
                    "positions, gates, grouped heads, windows or bf16",
                    dir);
  if (s->n_head * s->d_head != s->d_model)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: a GPT-2 config.json cannot say %lld heads of width %lld in a model of "
                    "width %lld",
                    dir, (long long)s->n_head, (long long)s->d_head, (long long)s->d_model);
  if (s->attn_scale != 0 && s->attn_scale != 1 && s->attn_scale != 1.0 / sqrt((double)s->d_head))
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: a GPT-2 config.json cannot say an attention scale of %g", dir,
                    s->attn_scale);
  if (!act_written(s->act))
    return isc_fail(ISC_E_UNSUPPORTED, "%s: a GPT-2 config.json cannot say activation %d", dir,
                    (int)s->act);
  return ISC_OK;
}

static void add_id(isc_sb *b, const char *key, int32_t id) {
  if (id < 0)
    isc_sb_addf(b, "  \"%s\": null,\n", key);
  else
    isc_sb_addf(b, "  \"%s\": %d,\n", key, (int)id);
}

static const char *boolean(bool b) {
  return b ? "true" : "false";
}

/* Keys in alphabetical order, as Hugging Face writes them. */
static void write_config(isc_sb *b, const isc_decoder_spec *s, int32_t bos, int32_t eos) {
  isc_sb_addf(b, "{\n  \"activation_function\": \"%s\",\n", act_written(s->act));
  isc_sb_add(b, "  \"architectures\": [\"GPT2LMHeadModel\"],\n  \"attn_pdrop\": 0.0,\n");
  add_id(b, "bos_token_id", bos);
  isc_sb_add(b, "  \"embd_pdrop\": 0.0,\n");
  add_id(b, "eos_token_id", eos);
  isc_sb_add(b, "  \"initializer_range\": 0.02,\n  \"layer_norm_epsilon\": ");
  isc_sb_add_double(b, s->norm_eps);
  isc_sb_addf(b, ",\n  \"model_type\": \"gpt2\",\n  \"n_embd\": %lld,\n  \"n_head\": %lld,\n",
              (long long)s->d_model, (long long)s->n_head);
  isc_sb_addf(b, "  \"n_inner\": %lld,\n  \"n_layer\": %lld,\n  \"n_positions\": %lld,\n",
              (long long)s->d_mlp, (long long)s->n_layer, (long long)s->n_ctx);
  isc_sb_addf(b,
              "  \"reorder_and_upcast_attn\": false,\n  \"resid_pdrop\": 0.0,\n"
              "  \"scale_attn_by_inverse_layer_idx\": %s,\n  \"scale_attn_weights\": %s,\n",
              boolean(s->scale_by_layer), boolean(s->attn_scale != 1 || s->d_head == 1));
  isc_sb_addf(
      b,
      "  \"tie_word_embeddings\": %s,\n  \"torch_dtype\": \"float32\",\n  \"use_cache\": true,\n"
      "  \"vocab_size\": %lld\n}\n",
      boolean(!s->untied_head), (long long)s->vocab);
}

isc_status isc_decoder_config_write(const isc_decoder_spec *spec, const char *dir, int32_t bos,
                                    int32_t eos) {
  isc_status st = ISC_OK;
  isc_sb b = {0};
  char *path = NULL, *text = NULL;
  ISC_GO(isc_path_join(dir, "config.json", &path));
  write_config(&b, spec, bos, eos);
  ISC_GO(isc_sb_finish(&b, &text));
  ISC_GO(isc_write_file(path, text, strlen(text)));
done:
  isc_sb_free(&b);
  free(text);
  free(path);
  return st;
}
