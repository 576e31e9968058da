/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoder's weights: how they begin, one head's map, folding, and the fingerprint.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *values(isc_decoder *d, const char *name, int64_t *n) {
  isc_params *p = isc_decoder_params(d);
  isc_param *q = isc_params_find(p, name);
  cr_assert(q, "no parameter %s", name);
  *n = isc_tensor_size(&q->value);
  float *x = malloc((size_t)*n * sizeof *x);
  isc_assert_ok(isc_param_get(p, q, x));
  return x;
}

static void check_normal(isc_decoder *d, const char *name, double std) {
  int64_t n;
  float *x = values(d, name, &n);
  double mean = 0, square = 0;
  for (int64_t i = 0; i < n; i++) {
    mean += x[i] / (double)n;
    square += (double)x[i] * x[i] / (double)n;
  }
  /* standard errors: std/√n of the mean, std/√2n of the root mean square; 5 of them */
  cr_assert_float_eq(mean, 0, 5 * std / sqrt((double)n), "%s: mean %g", name, mean);
  cr_assert_float_eq(sqrt(square), std, 5 * std / sqrt(2 * (double)n), "%s: %g", name,
                     sqrt(square));
  free(x);
}

static void check_constant(isc_decoder *d, const char *name, float want) {
  int64_t n;
  float *x = values(d, name, &n);
  for (int64_t i = 0; i < n; i++)
    cr_assert_eq(x[i], want, "%s[%d] is %g", name, (int)i, x[i]);
  free(x);
}

ISC_TEST_ON_BOTH(decoder_weights, begin_as_gpt2s) {
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d, *again, *other;
  spec.d_model = spec.d_head = 48;
  spec.n_head = 1;
  isc_assert_ok(isc_decoder_new(dev, &spec, &d));
  isc_assert_ok(isc_decoder_init(d, 9));
  check_normal(d, "wte.weight", 0.02);
  check_normal(d, "wpe.weight", 0.02);
  check_normal(d, "h.1.attn.c_attn.weight", 0.02);
  check_normal(d, "h.2.mlp.c_fc.weight", 0.02);
  check_normal(d, "h.0.attn.c_proj.weight", 0.02 / sqrt(6));
  check_normal(d, "h.2.mlp.c_proj.weight", 0.02 / sqrt(6));
  check_constant(d, "h.0.ln_1.weight", 1);
  check_constant(d, "h.1.ln_2.bias", 0);
  check_constant(d, "ln_f.weight", 1);
  check_constant(d, "h.2.attn.c_attn.bias", 0);
  check_constant(d, "h.2.mlp.c_proj.bias", 0);
  isc_assert_ok(isc_decoder_new(dev, &spec, &again));
  isc_assert_ok(isc_decoder_init(again, 9));
  isc_assert_ok(isc_decoder_new(dev, &spec, &other));
  isc_assert_ok(isc_decoder_init(other, 10));
  int64_t n;
  float *a = values(d, "h.1.mlp.c_fc.weight", &n), *b = values(again, "h.1.mlp.c_fc.weight", &n),
        *c = values(other, "h.1.mlp.c_fc.weight", &n);
  cr_assert_eq(memcmp(a, b, (size_t)n * sizeof *a), 0);
  cr_assert_neq(memcmp(a, c, (size_t)n * sizeof *a), 0);
  free(a);
  free(b);
  free(c);
  isc_decoder_free(d);
  isc_decoder_free(again);
  isc_decoder_free(other);
}

ISC_TEST_ON_BOTH(decoder_weights, a_head_map_is_its_rows_of_w_o) {
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(dev, &spec, 3);
  int64_t n;
  float *w = values(d, "h.1.attn.c_proj.weight", &n), map[6 * 12];
  isc_assert_ok(isc_decoder_head_map(d, 1, 1, map));
  cr_assert_eq(memcmp(map, w + 6 * 12, sizeof map), 0);
  free(w);
  isc_decoder_free(d);
}

static float *logits_of(isc_device *dev, isc_decoder *d, const int32_t *ids, int64_t len) {
  isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = len, .ids = ids};
  isc_tensor *hidden, *logits;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_decoder_forward(d, s, &in, NULL, &hidden));
  isc_assert_ok(isc_decoder_logits(d, s, hidden, &logits));
  float *x = malloc((size_t)isc_tensor_size(logits) * sizeof *x);
  isc_assert_ok(isc_tensor_download(s, logits, x));
  isc_step_free(s);
  return x;
}

static void check_centred(isc_decoder *d, const char *name) {
  int64_t n;
  float *x = values(d, name, &n);
  for (int64_t r = 0; r < n / 12; r++) {
    double sum = 0;
    for (int64_t i = 0; i < 12; i++)
      sum += x[r * 12 + i];
    cr_assert_float_eq(sum, 0, 1e-5, "%s: row %d sums to %g", name, (int)r, sum);
  }
  free(x);
}

ISC_TEST_ON_BOTH(decoder_weights, folding_keeps_the_logits) {
  isc_decoder_spec spec = isc_test_spec();
  spec.untied_head = true;
  isc_decoder *d = isc_test_decoder(dev, &spec, 4);
  int32_t *ids = isc_test_ids(4, 8, spec.vocab);
  float *before = logits_of(dev, d, ids, 8);
  isc_assert_ok(isc_decoder_fold(d));
  float *after = logits_of(dev, d, ids, 8);
  double top = 0;
  for (int64_t i = 0; i < 8 * spec.vocab; i++)
    top = fmax(top, fabs(before[i]));
  for (int64_t i = 0; i < 8 * spec.vocab;
       i++) /* another grouping of the same f32 sums: 1e-5 of the largest */
    cr_assert_float_eq(after[i], before[i], 1e-5 * top);
  check_centred(d, "wte.weight");
  check_centred(d, "wpe.weight");
  check_centred(d, "h.0.attn.c_proj.weight");
  check_centred(d, "h.2.attn.c_proj.bias");
  check_centred(d, "h.1.mlp.c_proj.weight");
  check_centred(d, "h.1.mlp.c_proj.bias");
  check_constant(d, "h.0.ln_1.weight", 1);
  check_constant(d, "h.2.ln_2.bias", 0);
  int64_t n;
  float *qkv = values(d, "h.1.attn.c_attn.bias", &n);
  for (int64_t i = 24; i < 36; i++)
    cr_assert_eq(qkv[i], 0, "a value bias is left");
  free(qkv);
  free(before);
  free(after);
  free(ids);
  isc_decoder_free(d);
}

/* Centring a head's map is subtracting the mean over d_model from its contribution, as TransformerLens's
 * center_writing_weights says; folding norms must not change the heads' attention. */
ISC_TEST_ON_BOTH(decoder_weights, folding_centres_a_heads_contribution) {
  isc_decoder_spec spec = isc_test_spec();
  spec.untied_head = true;
  isc_decoder *d = isc_test_decoder(dev, &spec, 5);
  float raw[6 * 12], centred[6 * 12];
  isc_assert_ok(isc_decoder_head_map(d, 0, 1, raw));
  isc_assert_ok(isc_decoder_fold(d));
  isc_assert_ok(isc_decoder_head_map(d, 0, 1, centred));
  for (int r = 0; r < 6; r++) {
    double mean = 0;
    for (int i = 0; i < 12; i++)
      mean += raw[r * 12 + i] / 12.0;
    for (int i = 0; i < 12; i++)
      cr_assert_float_eq(centred[r * 12 + i], raw[r * 12 + i] - mean, 1e-6);
  }
  isc_decoder_free(d);
}

Test(decoder_weights, a_tied_decoder_is_not_folded) {
  isc_device dev = isc_test_plain_device();
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(&dev, &spec, 6);
  isc_assert_fails(isc_decoder_fold(d), ISC_E_USAGE, "untie the head");
  isc_decoder_free(d);
}

Test(decoder_weights, the_fingerprint_sees_spec_weights_and_more) {
  isc_device dev = isc_test_plain_device();
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(&dev, &spec, 7), *same = isc_test_decoder(&dev, &spec, 7);
  char a[33], b[33];
  isc_assert_ok(isc_decoder_fingerprint(d, NULL, a));
  isc_assert_ok(isc_decoder_fingerprint(same, "", b));
  cr_assert_str_eq(a, b);
  cr_assert_eq(strlen(a), 32);
  isc_assert_ok(isc_decoder_fingerprint(d, "x", b));
  cr_assert_str_neq(a, b);
  int64_t n;
  float *x = values(same, "ln_f.bias", &n);
  x[11] = nextafterf(x[11], 9);
  isc_params *p = isc_decoder_params(same);
  isc_assert_ok(isc_param_set(p, isc_params_find(p, "ln_f.bias"), x));
  isc_assert_ok(isc_decoder_fingerprint(same, NULL, b));
  cr_assert_str_neq(a, b, "one bit of a weight is not seen");
  free(x);
  isc_decoder_free(same);
  spec.norm_eps = 1e-6;
  same = isc_test_decoder(&dev, &spec, 7);
  isc_assert_ok(isc_decoder_fingerprint(same, NULL, b));
  cr_assert_str_neq(a, b, "the spec is not seen");
  isc_decoder_free(same);
  isc_decoder_free(d);
}
