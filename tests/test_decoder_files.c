/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoders to and from Hugging Face directories: bit-exact round trips, and one clear line for each way it can fail.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"
#include "base/base.h"
#include "model/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *in_dir(const char *dir, const char *name) {
  static char path[4][1200];
  static int slot;
  slot = (slot + 1) % 4;
  snprintf(path[slot], sizeof path[slot], "%s/%s", dir, name);
  return path[slot];
}

static isc_decoder *saved(isc_device *dev, const isc_decoder_spec *spec, const char *dir) {
  isc_decoder *d = isc_test_decoder(dev, spec, 1);
  isc_assert_ok(isc_decoder_save(d, dir, 3, 4));
  return d;
}

static void same_spec(const isc_decoder_spec *a, const isc_decoder_spec *b) {
  cr_assert(a->n_layer == b->n_layer && a->n_head == b->n_head && a->d_model == b->d_model &&
            a->d_head == b->d_head);
  cr_assert(a->d_mlp == b->d_mlp && a->vocab == b->vocab && a->n_ctx == b->n_ctx &&
            a->act == b->act);
  cr_assert(a->norm_eps == b->norm_eps && a->attn_scale == b->attn_scale, "%.17g %.17g",
            a->norm_eps, b->norm_eps);
  cr_assert(a->scale_by_layer == b->scale_by_layer && a->untied_head == b->untied_head);
}

static void round_trip(const isc_decoder_spec *spec) {
  isc_device dev = isc_test_plain_device();
  const char *dir = isc_test_dir("decoder");
  isc_decoder *d = saved(&dev, spec, dir), *back;
  isc_decoder_spec read = {.size = sizeof read};
  char before[33], after[33];
  isc_assert_ok(isc_decoder_spec_read(dir, &read));
  same_spec(spec, &read);
  isc_assert_ok(isc_decoder_new(&dev, &read, &back));
  isc_assert_ok(isc_decoder_load(back, dir, NULL, NULL));
  isc_assert_ok(isc_decoder_fingerprint(d, NULL, before));
  isc_assert_ok(isc_decoder_fingerprint(back, NULL, after));
  cr_assert_str_eq(before, after);
  isc_decoder_free(d);
  isc_decoder_free(back);
}

Test(decoder_files, a_saved_decoder_comes_back_bit_for_bit) {
  isc_decoder_spec spec = isc_test_spec();
  round_trip(&spec);
  spec.act = ISC_ACT_RELU;
  spec.norm_eps = 1.0 / 3;
  spec.attn_scale = 1;
  spec.scale_by_layer = true;
  spec.untied_head = true;
  round_trip(&spec);
  spec.act = ISC_ACT_GELU;
  round_trip(&spec);
  spec.act = ISC_ACT_SILU;
  round_trip(&spec);
  spec.act = ISC_ACT_TANH;
  round_trip(&spec);
}

Test(decoder_files, the_directory_is_what_hugging_face_expects) {
  isc_device dev = isc_test_plain_device();
  const char *dir = isc_test_dir("decoder");
  isc_decoder_spec spec = isc_test_spec();
  spec.untied_head = true;
  isc_decoder_free(saved(&dev, &spec, dir));
  isc_safetensors *f;
  isc_assert_ok(isc_st_open(dir, &f));
  cr_assert_str_eq(isc_st_metadata(f, "format"), "pt");
  cr_assert_eq(isc_st_count(f), 2 + 3 * 12 + 2 + 1);
  cr_assert(isc_st_find(f, "transformer.wte.weight") && isc_st_find(f, "lm_head.weight"));
  const isc_st_tensor *t = isc_st_find(f, "transformer.h.2.attn.c_attn.weight");
  cr_assert(t && t->dtype == ISC_ST_F32 && t->ndim == 2 && t->shape[0] == 12 && t->shape[1] == 36);
  isc_st_close(f);
  char *text;
  size_t len;
  isc_assert_ok(isc_read_file(in_dir(dir, "config.json"), 10000, &text, &len));
  static const char *const lines[] = {"\"model_type\": \"gpt2\"",
                                      "\"architectures\": [\"GPT2LMHeadModel\"]",
                                      "\"n_embd\": 12",
                                      "\"n_head\": 2",
                                      "\"n_layer\": 3",
                                      "\"n_positions\": 9",
                                      "\"n_inner\": 20",
                                      "\"vocab_size\": 17",
                                      "\"bos_token_id\": 3",
                                      "\"eos_token_id\": 4",
                                      "\"activation_function\": \"gelu_new\"",
                                      "\"tie_word_embeddings\": false",
                                      "\"torch_dtype\": \"float32\""};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    cr_assert(strstr(text, lines[i]), "config.json lacks %s:\n%s", lines[i], text);
  free(text);
}

Test(decoder_files, a_spec_that_config_json_cannot_say_is_not_saved) {
  isc_device dev = isc_test_plain_device();
  const char *dir = isc_test_dir("decoder");
  isc_decoder_spec spec = isc_test_spec();
  spec.attn_scale = 0.3;
  isc_decoder *d = isc_test_decoder(&dev, &spec, 1);
  isc_assert_fails(isc_decoder_save(d, dir, -1, -1), ISC_E_UNSUPPORTED, "attention scale of 0.3");
  isc_decoder_free(d);
  spec = isc_test_spec();
  spec.d_head = 5;
  d = isc_test_decoder(&dev, &spec, 1);
  isc_assert_fails(isc_decoder_save(d, dir, -1, -1), ISC_E_UNSUPPORTED, "2 heads of width 5");
  cr_assert_not(isc_exists(in_dir(dir, "config.json")));
  isc_decoder_free(d);
}

/* ---- reading files made by others */

/* The weights of `d` under bare names as bf16: the upper half of each f32. `skip` leaves one out, `cut` shortens one. */
static void write_bf16(isc_decoder *d, const char *dir, const char *skip, const char *cut) {
  isc_params *p = isc_decoder_params(d);
  isc_st_writer *w;
  isc_assert_ok(isc_st_writer_new(in_dir(dir, "model.safetensors"), &w));
  for (int pass = 0; pass < 2; pass++)
    for (int64_t i = 0; i < isc_params_count(p); i++) {
      const isc_param *q = isc_params_at(p, i);
      int64_t n = isc_tensor_size(&q->value), shape[2] = {q->value.shape[0], q->value.shape[1]};
      if (skip && strcmp(q->name, skip) == 0) continue;
      if (cut && strcmp(q->name, cut) == 0) {
        n -= n / shape[0];
        shape[0]--;
      }
      if (pass == 0) {
        isc_assert_ok(isc_st_writer_declare(w, q->name, ISC_ST_BF16, q->value.ndim, shape));
        continue;
      }
      float *x = malloc((size_t)isc_tensor_size(&q->value) * sizeof *x);
      uint16_t *half = malloc((size_t)n * sizeof *half);
      isc_assert_ok(isc_param_get(p, q, x));
      for (int64_t k = 0; k < n; k++)
        half[k] = (uint16_t)(((uint32_t *)(void *)x)[k] >> 16);
      isc_assert_ok(isc_st_writer_data(w, half, (size_t)n * sizeof *half));
      free(x);
      free(half);
    }
  isc_assert_ok(isc_st_writer_commit(w));
}

Test(decoder_files, reads_bf16_under_bare_names) {
  isc_device dev = isc_test_plain_device();
  const char *dir = isc_test_dir("decoder");
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(&dev, &spec, 2), *back;
  write_bf16(d, dir, NULL, NULL);
  isc_assert_ok(isc_decoder_new(&dev, &spec, &back));
  isc_assert_ok(isc_decoder_load(back, dir, NULL, NULL));
  float a[20], b[20];
  isc_params *p = isc_decoder_params(d), *q = isc_decoder_params(back);
  isc_assert_ok(isc_param_get(p, isc_params_find(p, "h.1.mlp.c_fc.bias"), a));
  isc_assert_ok(isc_param_get(q, isc_params_find(q, "h.1.mlp.c_fc.bias"), b));
  for (int i = 0; i < 20; i++) {
    uint32_t bits;
    memcpy(&bits, &a[i], sizeof bits);
    bits &= 0xFFFF0000u;
    cr_assert_eq(memcmp(&bits, &b[i], sizeof bits), 0);
  }
  isc_decoder_free(d);
  isc_decoder_free(back);
}

static void other_head(void *user, const char *canonical, char *buf, size_t n) {
  (void)user;
  snprintf(buf, n, "%s", strcmp(canonical, "lm_head.weight") == 0 ? "wte.weight" : canonical);
}

Test(decoder_files, a_rename_maps_a_tied_file_to_an_untied_decoder) {
  isc_device dev = isc_test_plain_device();
  const char *dir = isc_test_dir("decoder");
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder_free(saved(&dev, &spec, dir));
  isc_decoder *d;
  spec.untied_head = true;
  isc_assert_ok(isc_decoder_new(&dev, &spec, &d));
  isc_assert_fails(isc_decoder_load(d, dir, NULL, NULL), ISC_E_MISSING, "\"lm_head.weight\"");
  isc_assert_ok(isc_decoder_load(d, dir, other_head, NULL));
  cr_assert_eq(memcmp(isc_decoder_head(d)->data,
                      isc_params_find(isc_decoder_params(d), "wte.weight")->value.data,
                      17 * 12 * sizeof(float)),
               0);
  isc_decoder_free(d);
}

Test(decoder_files, a_broken_weight_file_is_one_clear_line) {
  isc_device dev = isc_test_plain_device();
  const char *dir = isc_test_dir("decoder");
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(&dev, &spec, 3);
  char before[33], after[33];
  isc_assert_ok(isc_decoder_fingerprint(d, NULL, before));
  isc_assert_fails(isc_decoder_load(d, dir, NULL, NULL), ISC_E_MISSING, dir);
  write_bf16(d, dir, "h.1.ln_2.bias", NULL);
  isc_assert_fails(isc_decoder_load(d, dir, NULL, NULL), ISC_E_MISSING, "\"h.1.ln_2.bias\"");
  write_bf16(d, dir, NULL, "h.2.mlp.c_proj.weight");
  isc_assert_fails(isc_decoder_load(d, dir, NULL, NULL), ISC_E_SHAPE,
                   "\"h.2.mlp.c_proj.weight\" has shape [19, 12], and the model needs [20, 12]");
  write_bf16(d, dir, NULL, NULL);
  cr_assert_eq(truncate(in_dir(dir, "model.safetensors"), 5000), 0);
  isc_assert_fails(isc_decoder_load(d, dir, NULL, NULL), ISC_E_FORMAT, "model.safetensors");
  isc_assert_ok(isc_decoder_fingerprint(d, NULL, after));
  cr_assert_str_eq(before, after, "a refused file changed the decoder");
  isc_decoder_free(d);
}

/* ---- config.json */

static isc_status read_config(const char *text, isc_decoder_spec *out) {
  const char *dir = isc_test_dir("config");
  isc_assert_ok(isc_write_file(in_dir(dir, "config.json"), text, strlen(text)));
  out->size = sizeof *out;
  return isc_decoder_spec_read(dir, out);
}

#define SHAPE "\"n_layer\": 2, \"n_head\": 4, \"n_embd\": 32, \"vocab_size\": 15"
#define REFUSED(settings, code, part)                                                              \
  isc_assert_fails(read_config("{" SHAPE ", \"n_positions\": 14, " settings "}", &s), code, part)

Test(decoder_files, a_config_means_what_transformers_means) {
  isc_decoder_spec s, want = {.n_layer = 2,
                              .n_head = 4,
                              .d_model = 32,
                              .d_head = 8,
                              .d_mlp = 128,
                              .vocab = 15,
                              .n_ctx = 14,
                              .act = ISC_ACT_GELU_TANH,
                              .norm_eps = 1e-5};
  isc_assert_ok(read_config("{" SHAPE ", \"n_positions\": 14}", &s));
  same_spec(&s, &want);
  isc_assert_ok(read_config(
      "{" SHAPE ", \"n_positions\": 14, \"n_inner\": null, \"model_type\": \"gpt2\"}", &s));
  same_spec(&s, &want);
  isc_assert_ok(read_config("{" SHAPE ", \"n_ctx\": 14}", &s));
  same_spec(&s, &want);
  isc_assert_ok(read_config(
      "{" SHAPE ", \"n_positions\": 14, \"n_inner\": 5, \"activation_function\": \"relu\","
      "\"scale_attn_weights\": false, \"scale_attn_by_inverse_layer_idx\": true,"
      "\"tie_word_embeddings\": false, \"layer_norm_epsilon\": 0.001,"
      "\"reorder_and_upcast_attn\": true}",
      &s));
  want.d_mlp = 5;
  want.act = ISC_ACT_RELU;
  want.attn_scale = 1;
  want.scale_by_layer = want.untied_head = true;
  want.norm_eps = 0.001;
  same_spec(&s, &want);
}

Test(decoder_files, a_config_that_cannot_be_honoured_is_refused_by_name) {
  isc_decoder_spec s = {.size = sizeof s};
  REFUSED("\"model_type\": \"llama\"", ISC_E_UNSUPPORTED, "model_type is \"llama\"");
  REFUSED("\"activation_function\": \"quick_gelu\"", ISC_E_UNSUPPORTED,
          "activation_function \"quick_gelu\"");
  REFUSED("\"add_cross_attention\": true", ISC_E_UNSUPPORTED, "add_cross_attention");
  REFUSED("\"layer_norm_epsilon\": -1", ISC_E_FORMAT, "layer_norm_epsilon");
  REFUSED("\"n_inner\": 0", ISC_E_FORMAT, "n_inner");
  isc_assert_fails(
      read_config(
          "{\"n_layer\": 2, \"n_head\": 3, \"n_embd\": 32, \"vocab_size\": 1, \"n_positions\": 1}",
          &s),
      ISC_E_FORMAT, "n_embd 32 is not a multiple of n_head 3");
  isc_assert_fails(read_config("{" SHAPE "}", &s), ISC_E_FORMAT, "n_positions");
  isc_assert_fails(isc_decoder_spec_read("/nonexistent", &s), ISC_E_MISSING,
                   "/nonexistent/config.json");
}
