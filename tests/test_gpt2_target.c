/* SPDX-License-Identifier: Apache-2.0
 *
 * The gpt2 target, isc_test_gpt2 as a run opens it, against a float64 reference's tensors of a public trained model.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"
#include "support_target.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  TEXTS = 16,
  LEN = 9,
  ROWS = TEXTS * LEN,
  LAYERS = 2,
  HEADS = 4,
  D = 32,
  D_HEAD = 8,
  VOCAB = 15
};
/* The project's bar: f32 against f64 through two layers. */
static const double TOLERANCE = 2e-5;

/* ---- the reference */

typedef struct reference {
  isc_safetensors *file;
  const char *text[TEXTS];
  size_t len[TEXTS];
} reference;

static reference open_reference(const char *dir) {
  reference r;
  char path[1200];
  snprintf(path, sizeof path, "%s/expected.safetensors", dir);
  isc_assert_ok(isc_st_open(path, &r.file));
  const char *s = isc_st_metadata(r.file, "texts");
  cr_assert(s);
  for (int i = 0; i < TEXTS; i++) {
    r.text[i] = s;
    r.len[i] = strcspn(s, "\n");
    s += r.len[i] + (s[r.len[i]] == '\n');
  }
  return r;
}

static double *expected(const reference *r, const char *name, int64_t n) {
  const isc_st_tensor *t = isc_st_find(r->file, name);
  cr_assert(t && t->elements == n, "%s", name);
  float *x = malloc((size_t)n * sizeof *x);
  double *out = malloc((size_t)n * sizeof *out);
  isc_assert_ok(isc_st_read_f32(r->file, t, 0, n, x));
  for (int64_t i = 0; i < n; i++)
    out[i] = x[i];
  free(x);
  return out;
}

static void check(const reference *r, int layer, const char *hook, const float *got, int64_t n) {
  char name[64];
  if (layer < 0)
    snprintf(name, sizeof name, "%s", hook);
  else
    snprintf(name, sizeof name, "blocks.%d.%s", layer, hook);
  double *want = expected(r, name, n), error = isc_test_relative(got, want, n);
  cr_assert(error < TOLERANCE, "%s: relative error %g", name, error);
  free(want);
}

static void encode_all(const isc_target *t, const reference *r, int32_t *ids /* [ROWS] */) {
  for (int i = 0; i < TEXTS; i++) {
    int64_t n;
    isc_assert_ok(isc_tokenizer_encode(t->ops->tokenizer(t->self), r->text[i], r->len[i],
                                       ids + i * LEN, LEN, &n));
    cr_assert_eq(n, LEN);
  }
}

/* Everything at every site and position: [sites][ROWS, stored], and the logits. */
typedef struct activations {
  isc_site_set sites;
  float **at;
  float logits[ROWS * VOCAB];
} activations;

static activations run_all(isc_device *dev, const isc_target *t, const int32_t *ids) {
  activations a;
  isc_step *s;
  isc_tensor *hidden, *logits;
  isc_decoder_input in = {.size = sizeof in, .batch = TEXTS, .len = LEN, .ids = ids};
  isc_assert_ok(isc_sites_select(t, (const char *const[]){"*"}, 1, &a.sites));
  a.at = malloc((size_t)a.sites.n * sizeof *a.at);
  for (int64_t i = 0; i < a.sites.n; i++)
    a.at[i] = malloc((size_t)(ROWS * a.sites.site[i].stored) * sizeof(float));
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_forward_patched(t, &a.sites, s, &in, NULL, 0, a.at, &hidden));
  isc_assert_ok(t->ops->logits(t->self, s, hidden, &logits));
  isc_assert_ok(isc_tensor_download(s, logits, a.logits));
  isc_step_free(s);
  return a;
}

static void free_activations(activations *a) {
  for (int64_t i = 0; i < a->sites.n; i++)
    free(a->at[i]);
  free(a->at);
  isc_sites_free(&a->sites);
}

static const float *site(const activations *a, const char *kind, int layer) {
  char name[32];
  snprintf(name, sizeof name, "%s.%d", kind, layer);
  int64_t i = isc_sites_find(&a->sites, name);
  cr_assert_geq(i, 0, "%s", name);
  return a->at[i];
}

/* The contribution of a head to the residual stream: factor times map, in double then f32. */
static void contribution(const activations *a, int layer, int head, int64_t row, double out[D]) {
  char name[32];
  snprintf(name, sizeof name, "head.%d.%d", layer, head);
  int64_t i = isc_sites_find(&a->sites, name);
  for (int j = 0; j < D; j++) {
    out[j] = 0;
    for (int k = 0; k < D_HEAD; k++)
      out[j] += (double)a->at[i][row * D_HEAD + k] * a->sites.site[i].map[k * D + j];
  }
}

static void check_heads(const reference *r, const activations *a, int layer) {
  float *z = malloc(ROWS * D * sizeof *z),
        *result = malloc((size_t)ROWS * HEADS * D * sizeof *result);
  for (int64_t row = 0; row < ROWS; row++)
    for (int head = 0; head < HEADS; head++) {
      double c[D];
      char name[32];
      snprintf(name, sizeof name, "L%dH%d", layer, head);
      memcpy(z + row * D + head * D_HEAD, a->at[isc_sites_find(&a->sites, name)] + row * D_HEAD,
             D_HEAD * sizeof *z);
      contribution(a, layer, head, row, c);
      for (int j = 0; j < D; j++)
        result[(row * HEADS + head) * D + j] = (float)c[j];
    }
  check(r, layer, "attn.hook_z", z, ROWS * D);
  check(r, layer, "attn.hook_result", result, (int64_t)ROWS * HEADS * D);
  free(z);
  free(result);
}

ISC_TEST_ON_BOTH(gpt2, reproduces_every_tensor_of_the_reference) {
  ISC_NEED_SHARED(dir, "data/models/addition");
  isc_test_gpt2 o = isc_test_gpt2_open(dev, dir, "");
  reference r = open_reference(dir);
  int32_t ids[ROWS];
  int64_t want_ids[ROWS];
  encode_all(&o.target, &r, ids);
  isc_assert_ok(isc_st_read_i64(r.file, isc_st_find(r.file, "input_ids"), 0, ROWS, want_ids));
  for (int i = 0; i < ROWS; i++)
    cr_assert_eq(ids[i], want_ids[i]);
  activations a = run_all(dev, &o.target, ids);
  for (int layer = 0; layer < LAYERS; layer++) {
    check(&r, layer, "hook_resid_pre", site(&a, "resid_pre", layer), ROWS * D);
    check_heads(&r, &a, layer);
    check(&r, layer, "hook_attn_out", site(&a, "attn_out", layer), ROWS * D);
    check(&r, layer, "hook_resid_mid", site(&a, "resid_mid", layer), ROWS * D);
    check(&r, layer, "hook_mlp_out", site(&a, "mlp_out", layer), ROWS * D);
    check(&r, layer, "hook_resid_post", site(&a, "resid_post", layer), ROWS * D);
  }
  check(&r, -1, "logits", a.logits, ROWS * VOCAB);
  free_activations(&a);
  isc_st_close(r.file);
  isc_test_gpt2_close(&o);
}

static void read_bias(const char *dir, int layer, float out[D]) {
  isc_safetensors *f;
  char name[64];
  snprintf(name, sizeof name, "transformer.h.%d.attn.c_proj.bias", layer);
  isc_assert_ok(isc_st_open(dir, &f));
  isc_assert_ok(isc_st_read_f32(f, isc_st_find(f, name), 0, D, out));
  isc_st_close(f);
}

ISC_TEST_ON_BOTH(gpt2, heads_and_bias_sum_to_the_attention_output) {
  ISC_NEED_SHARED(dir, "data/models/addition");
  isc_test_gpt2 o = isc_test_gpt2_open(dev, dir, "");
  reference r = open_reference(dir);
  int32_t ids[ROWS];
  encode_all(&o.target, &r, ids);
  activations a = run_all(dev, &o.target, ids);
  for (int layer = 0; layer < LAYERS; layer++) {
    const float *attn_out = site(&a, "attn_out", layer);
    float bias[D];
    double worst = 0, top = 0;
    read_bias(dir, layer, bias);
    for (int64_t row = 0; row < ROWS; row++) {
      double sum[D], c[D];
      for (int j = 0; j < D; j++)
        sum[j] = bias[j];
      for (int head = 0; head < HEADS; head++) {
        contribution(&a, layer, head, row, c);
        for (int j = 0; j < D; j++)
          sum[j] += c[j];
      }
      for (int j = 0; j < D; j++) {
        worst = fmax(worst, fabs(sum[j] - attn_out[row * D + j]));
        top = fmax(top, fabs(sum[j]));
      }
    }
    cr_assert_lt(worst / top, 4e-6, "layer %d: %g", layer,
                 worst / top); /* one product's tolerance */
  }
  free_activations(&a);
  isc_st_close(r.file);
  isc_test_gpt2_close(&o);
}

/* ---- harvests do not depend on how they are batched */

static void harvest(isc_device *dev, const isc_target *t, const isc_site_set *sites,
                    const char *const *text, const size_t *len, int64_t position, int64_t batch,
                    float **out) {
  isc_step *s;
  isc_harvest h = {.target = t,
                   .sites = sites,
                   .text = text,
                   .len = len,
                   .n = TEXTS,
                   .position = position,
                   .batch = batch,
                   .out = out};
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_harvest_run(&h, s));
  isc_step_free(s);
}

ISC_TEST_ON_BOTH(gpt2, batch_padding_and_order_change_no_bit) {
  ISC_NEED_SHARED(dir, "data/models/addition");
  isc_test_gpt2 o = isc_test_gpt2_open(dev, dir, "");
  reference r = open_reference(dir);
  isc_site_set sites;
  const char *mixed[TEXTS];
  size_t mixed_len[TEXTS];
  float *first[16], *again[16];
  isc_assert_ok(isc_sites_select(&o.target, (const char *const[]){"*"}, 1, &sites));
  cr_assert_eq(sites.n, 18);
  isc_sites_free(&sites);
  isc_assert_ok(isc_sites_select(&o.target, (const char *const[]){"head", "resid_post", "mlp_out"},
                                 3, &sites));
  cr_assert_eq(sites.n, 12);
  for (int i = 0; i < sites.n; i++) {
    first[i] = malloc((size_t)(TEXTS * sites.site[i].stored) * sizeof(float));
    again[i] = malloc((size_t)(TEXTS * sites.site[i].stored) * sizeof(float));
  }
  for (int i = 0; i < TEXTS;
       i++) { /* texts of several lengths, and a permutation of them: 5 is prime to 16 */
    r.len[i] -= (size_t)(i % 4);
    mixed[5 * i % TEXTS] = r.text[i];
    mixed_len[5 * i % TEXTS] = r.len[i];
  }
  harvest(dev, &o.target, &sites, r.text, r.len, -1, 1, first);
  for (int64_t batch = 2; batch <= TEXTS; batch += 7) {
    harvest(dev, &o.target, &sites, mixed, mixed_len, -1, batch, again);
    for (int k = 0; k < sites.n; k++)
      for (int i = 0; i < TEXTS; i++) {
        int64_t stored = sites.site[k].stored;
        cr_assert_eq(memcmp(first[k] + i * stored, again[k] + 5 * i % TEXTS * stored,
                            (size_t)stored * sizeof(float)),
                     0, "%s of text %d in batches of %d", sites.site[k].name, i, (int)batch);
      }
  }
  for (int i = 0; i < sites.n; i++) {
    free(first[i]);
    free(again[i]);
  }
  isc_sites_free(&sites);
  isc_st_close(r.file);
  isc_test_gpt2_close(&o);
}

/* ---- weights = "tl" */

/* A head's contribution is the raw one minus its mean over d_model, and minus a constant of the head (its value bias
 * through W_O): so the difference from the centred raw contribution is the same at every row. */
static void check_processed_head(const activations *raw, const activations *tl, int layer,
                                 int head) {
  double shift[D] = {0};
  for (int64_t row = 0; row < ROWS; row++) {
    double a[D], b[D], mean = 0;
    contribution(raw, layer, head, row, a);
    contribution(tl, layer, head, row, b);
    for (int j = 0; j < D; j++)
      mean += a[j] / D;
    for (int j = 0; j < D; j++) {
      if (row == 0) shift[j] = a[j] - mean - b[j];
      cr_assert_float_eq(a[j] - mean - b[j], shift[j], 2e-5, "L%dH%d row %d: %g, %g", layer, head,
                         (int)row, a[j] - mean - b[j], shift[j]);
    }
  }
}

ISC_TEST_ON_BOTH(gpt2, processed_weights_keep_the_logits_and_centre_the_rest) {
  ISC_NEED_SHARED(dir, "data/models/addition");
  isc_test_gpt2 raw = isc_test_gpt2_open(dev, dir, "weights = \"raw\""),
                tl = isc_test_gpt2_open(dev, dir, "weights = \"tl\"");
  reference r = open_reference(dir);
  int32_t ids[ROWS];
  char a_hex[33], b_hex[33];
  encode_all(&raw.target, &r, ids);
  activations a = run_all(dev, &raw.target, ids), b = run_all(dev, &tl.target, ids);
  check(&r, -1, "logits", b.logits, ROWS * VOCAB);
  for (int layer = 0; layer < LAYERS; layer++) {
    for (int head = 0; head < HEADS; head++)
      check_processed_head(&a, &b, layer, head);
    const float *x = site(&a, "resid_post", layer), *y = site(&b, "resid_post", layer);
    for (int64_t row = 0; row < ROWS; row++) {
      double mean = 0;
      for (int j = 0; j < D; j++)
        mean += x[row * D + j] / (double)D;
      for (int j = 0; j < D; j++)
        cr_assert_float_eq(y[row * D + j], x[row * D + j] - mean, 1e-4);
    }
  }
  isc_assert_ok(raw.target.ops->fingerprint(raw.target.self, a_hex));
  isc_assert_ok(tl.target.ops->fingerprint(tl.target.self, b_hex));
  cr_assert_str_neq(a_hex, b_hex);
  free_activations(&a);
  free_activations(&b);
  isc_st_close(r.file);
  isc_test_gpt2_close(&raw);
  isc_test_gpt2_close(&tl);
}
