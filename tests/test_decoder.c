/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoder's forward pass against a float64 one written from the formulas, and what must never change it.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 3, LEN = 7 };
/* f32 against f64 through three layers: each sum is good to 4e-6 of its terms (backend.h), and they add up. */
static const double TOLERANCE = 2e-5;

typedef struct run {
  isc_test_capture seen;
  float *hidden, *logits; /* malloc'd; NULL when the pass stopped */
} run;

static float *download(isc_step *s, const isc_tensor *t) {
  float *x = malloc((size_t)isc_tensor_size(t) * sizeof *x);
  isc_assert_ok(isc_tensor_download(s, t, x));
  return x;
}

static run forward(isc_device *dev, isc_decoder *d, const int32_t *ids, int64_t batch,
                   int64_t len) {
  run r = {0};
  isc_step *s;
  isc_tensor *hidden, *logits;
  isc_taps taps = isc_test_taps(&r.seen);
  isc_decoder_input in = {.size = sizeof in, .batch = batch, .len = len, .ids = ids};
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_decoder_forward(d, s, &in, &taps, &hidden));
  isc_assert_ok(isc_decoder_logits(d, s, hidden, &logits));
  r.hidden = download(s, hidden);
  r.logits = download(s, logits);
  isc_step_free(s);
  return r;
}

static void run_free(run *r) {
  isc_test_capture_free(&r->seen);
  free(r->hidden);
  free(r->logits);
}

static void compare(isc_device *dev, const isc_decoder_spec *spec) {
  isc_decoder *d = isc_test_decoder(dev, spec, 1);
  int32_t *ids = isc_test_ids(1, BATCH * LEN, spec->vocab);
  isc_test_pass want = isc_test_reference(d, ids, BATCH, LEN);
  run got = forward(dev, d, ids, BATCH, LEN);
  for (int place = 0; place < ISC_PLACE_COUNT; place++)
    for (int64_t l = 0; l < spec->n_layer; l++) {
      int64_t n = BATCH * LEN * isc_test_width(spec, (isc_place)place);
      double error = isc_test_relative(got.seen.at[place][l], want.at[place][l], n);
      cr_assert(error < TOLERANCE, "place %d of layer %d: error %g", place, (int)l, error);
    }
  cr_assert_lt(isc_test_relative(got.hidden, want.hidden, BATCH * LEN * spec->d_model), TOLERANCE);
  cr_assert_lt(isc_test_relative(got.logits, want.logits, BATCH * LEN * spec->vocab), TOLERANCE);
  cr_assert_eq(got.seen.calls, 6 * spec->n_layer);
  run_free(&got);
  isc_test_pass_free(&want);
  free(ids);
  isc_decoder_free(d);
}

ISC_TEST_ON_BOTH(decoder, matches_float64) {
  isc_decoder_spec spec = isc_test_spec();
  compare(dev, &spec);
}

ISC_TEST_ON_BOTH(decoder, matches_float64_with_every_other_choice) {
  isc_decoder_spec spec = isc_test_spec();
  spec.act = ISC_ACT_RELU;
  spec.attn_scale = 0.3;
  spec.scale_by_layer = true;
  spec.untied_head = true;
  spec.norm_eps = 1e-2;
  spec.d_head = 5; /* heads that do not fill the model */
  compare(dev, &spec);
}

ISC_TEST_ON_BOTH(decoder, padding_and_batch_change_no_bit) {
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(dev, &spec, 2);
  int32_t *ids = isc_test_ids(2, BATCH * LEN, spec.vocab);
  run all = forward(dev, d, ids, BATCH, LEN);
  for (int64_t b = 0; b < BATCH; b++)
    for (int64_t len = 1; len <= LEN; len += 2) {
      run one = forward(dev, d, ids + b * LEN, 1, len);
      for (int place = 0; place < ISC_PLACE_COUNT; place++) {
        int64_t width = isc_test_width(&spec, (isc_place)place), last = spec.n_layer - 1;
        cr_assert_eq(memcmp(one.seen.at[place][last], all.seen.at[place][last] + b * LEN * width,
                            (size_t)(len * width) * sizeof(float)),
                     0, "sequence %d alone, cut to %d tokens, differs at place %d", (int)b,
                     (int)len, place);
      }
      cr_assert_eq(memcmp(one.logits, all.logits + b * LEN * spec.vocab,
                          (size_t)(len * spec.vocab) * sizeof(float)),
                   0);
      run_free(&one);
    }
  run_free(&all);
  free(ids);
  isc_decoder_free(d);
}

ISC_TEST_ON_BOTH(decoder, is_causal) {
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(dev, &spec, 3);
  int32_t *ids = isc_test_ids(3, LEN, spec.vocab);
  run before = forward(dev, d, ids, 1, LEN);
  ids[4] = (ids[4] + 1) % (int32_t)spec.vocab;
  run after = forward(dev, d, ids, 1, LEN);
  size_t row = (size_t)spec.vocab * sizeof(float);
  cr_assert_eq(memcmp(before.logits, after.logits, 4 * row), 0,
               "positions before the changed one moved");
  for (int64_t t = 4; t < LEN; t++)
    cr_assert_neq(memcmp(before.logits + t * spec.vocab, after.logits + t * spec.vocab, row), 0,
                  "position %d did not see the change", (int)t);
  run_free(&before);
  run_free(&after);
  free(ids);
  isc_decoder_free(d);
}

/* ---- taps */

typedef struct watch {
  isc_place place;
  int64_t layer;
  float *seen; /* malloc'd copy */
  int64_t calls, asked;
} watch;

static bool watched(void *user, isc_place place, int64_t layer) {
  watch *w = user;
  w->asked++;
  return place == w->place && layer == w->layer;
}

static isc_status watch_at(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                           isc_tensor **out) {
  watch *w = user;
  cr_assert(place == w->place && layer == w->layer);
  w->calls++;
  w->seen = download(s, x);
  *out = x;
  return ISC_OK;
}

ISC_TEST_ON_BOTH(decoder, stopping_early_gives_the_same_activation_for_less) {
  isc_decoder_spec spec = isc_test_spec();
  isc_test_wrapper counted;
  isc_test_wrap(&counted, *dev);
  isc_decoder *d = isc_test_decoder(&counted.device, &spec, 4);
  int32_t *ids = isc_test_ids(4, BATCH * LEN, spec.vocab);
  run all = forward(&counted.device, d, ids, BATCH, LEN);
  /* matrix products of the dense layers before each place of a layer; attention's own are the backend's */
  static const int64_t products[ISC_PLACE_COUNT] = {0, 1, 2, 2, 4, 4};
  for (int place = 0; place < ISC_PLACE_COUNT; place++) {
    watch w = {.place = (isc_place)place, .layer = 1};
    isc_taps taps = {.size = sizeof taps,
                     .user = &w,
                     .wants = watched,
                     .at = watch_at,
                     .stop_layer = 1,
                     .stop_place = (isc_place)place,
                     .transient = true};
    isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = ids};
    isc_step *s;
    isc_tensor *hidden;
    counted.n = (isc_test_counts){0};
    isc_assert_ok(isc_step_new(&counted.device, &s));
    isc_assert_ok(isc_decoder_forward(d, s, &in, &taps, &hidden));
    cr_assert_null(hidden);
    cr_assert_eq(w.calls, 1);
    cr_assert_eq(counted.n.gemm, 4 + products[place], "place %d took %d products", place,
                 (int)counted.n.gemm);
    size_t bytes = (size_t)(BATCH * LEN * isc_test_width(&spec, (isc_place)place)) * sizeof(float);
    cr_assert_eq(memcmp(w.seen, all.seen.at[place][1], bytes), 0, "place %d differs", place);
    free(w.seen);
    isc_step_free(s);
  }
  run_free(&all);
  free(ids);
  isc_decoder_free(d);
}

static isc_status add_itself(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                             isc_tensor **out) {
  const watch *w = user;
  *out = x;
  return place == w->place && layer == w->layer ? isc_op_add(s, x, x, out) : ISC_OK;
}

/* Doubling what leaves the last block must double exactly what enters the final norm, so the norm hides all but
 * the effect of eps; doubling an MLP's output must move the residual stream by that output. */
ISC_TEST_ON_BOTH(decoder, a_tap_replaces_what_flows_on) {
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(dev, &spec, 5);
  int32_t *ids = isc_test_ids(5, LEN, spec.vocab);
  isc_test_pass want = isc_test_reference(d, ids, 1, LEN);
  watch doubled = {.place = ISC_MLP_OUT, .layer = 2}, none = {.place = ISC_MLP_OUT, .layer = 2};
  isc_taps taps = {.size = sizeof taps, .user = &doubled, .at = add_itself, .stop_layer = -1};
  isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = LEN, .ids = ids};
  isc_step *s;
  isc_tensor *plain, *moved, *same;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_decoder_forward(d, s, &in, NULL, &plain));
  isc_assert_ok(isc_decoder_forward(d, s, &in, &taps, &moved));
  taps.wants = watched;
  taps.user = &none;
  none.layer = 99; /* wants nothing: `at` is not reached */
  isc_assert_ok(isc_decoder_forward(d, s, &in, &taps, &same));
  int64_t n = LEN * spec.d_model;
  float *a = download(s, plain), *b = download(s, moved), *c = download(s, same);
  cr_assert_eq(memcmp(a, c, (size_t)n * sizeof *a), 0);
  double *x = malloc((size_t)n * sizeof *x), mean_gap = 0;
  for (int64_t i = 0; i < n; i++) {
    x[i] = want.at[ISC_RESID_POST][2][i] + want.at[ISC_MLP_OUT][2][i];
    mean_gap += fabs(a[i] - b[i]) / (double)n;
  }
  cr_assert_gt(mean_gap, 0.01, "the replacement had no effect");
  /* correlation of the doubled stream with the hidden state is through the norm alone: check it row by row */
  isc_params *p = isc_decoder_params(d);
  float g[12], bias[12];
  isc_assert_ok(isc_param_get(p, isc_params_find(p, "ln_f.weight"), g));
  isc_assert_ok(isc_param_get(p, isc_params_find(p, "ln_f.bias"), bias));
  for (int64_t t = 0; t < LEN; t++) {
    double mean = 0, var = 0;
    for (int64_t i = 0; i < 12; i++)
      mean += x[t * 12 + i] / 12;
    for (int64_t i = 0; i < 12; i++)
      var += pow(x[t * 12 + i] - mean, 2) / 12;
    for (int64_t i = 0; i < 12; i++)
      cr_assert_float_eq(b[t * 12 + i], (x[t * 12 + i] - mean) / sqrt(var + 1e-5) * g[i] + bias[i],
                         1e-4);
  }
  free(a);
  free(b);
  free(c);
  free(x);
  isc_step_free(s);
  isc_test_pass_free(&want);
  free(ids);
  isc_decoder_free(d);
}

/* A pass that reuses one layer's memory gives the same bits as one that keeps everything. */
ISC_TEST_ON_BOTH(decoder, thrift_changes_no_bit) {
  isc_decoder_spec spec = isc_test_spec();
  isc_test_wrapper poisoned;
  isc_test_wrap(&poisoned, *dev);
  poisoned.n.poison = true;
  isc_decoder *d = isc_test_decoder(&poisoned.device, &spec, 6);
  int32_t *ids = isc_test_ids(6, BATCH * LEN, spec.vocab);
  run kept = forward(&poisoned.device, d, ids, BATCH, LEN);
  isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = ids};
  isc_step *s;
  isc_tensor *hidden;
  isc_assert_ok(isc_step_new(&poisoned.device, &s));
  for (int again = 0; again < 2; again++) {
    isc_step_reset(s);
    isc_assert_ok(isc_decoder_forward(d, s, &in, NULL, &hidden));
    float *x = download(s, hidden);
    cr_assert_eq(memcmp(x, kept.hidden, (size_t)(BATCH * LEN * spec.d_model) * sizeof *x), 0);
    free(x);
  }
  isc_step_free(s);
  run_free(&kept);
  free(ids);
  isc_decoder_free(d);
}

/* ---- refusals */

ISC_TEST_ON_BOTH(decoder, refuses_what_does_not_fit) {
  isc_decoder_spec spec = isc_test_spec();
  isc_decoder *d = isc_test_decoder(dev, &spec, 7), *none;
  int32_t ids[16] = {0};
  isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = 10, .ids = ids};
  isc_step *s;
  isc_tensor *hidden;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_fails(isc_decoder_forward(d, s, &in, NULL, &hidden), ISC_E_SHAPE,
                   "10 tokens is longer than the model's 9");
  in.len = 2;
  ids[1] = 17;
  isc_assert_fails(isc_decoder_forward(d, s, &in, NULL, &hidden), ISC_E_SHAPE, "17");
  float map[6 * 12];
  isc_assert_fails(isc_decoder_head_map(d, 3, 0, map), ISC_E_MISSING, "3 layers of 2 heads");
  isc_assert_fails(isc_decoder_head_map(d, 0, 2, map), ISC_E_MISSING, "3 layers of 2 heads");
  isc_step_free(s);
  isc_decoder_free(d);
  spec.n_layer = 0;
  isc_assert_fails(isc_decoder_new(dev, &spec, &none), ISC_E_SHAPE, "n_layer is 0");
  spec = isc_test_spec();
  spec.d_model = INT64_MAX / 2;
  isc_assert_fails(isc_decoder_new(dev, &spec, &none), ISC_E_SHAPE, "d_model");
  spec = isc_test_spec();
  spec.size = 0;
  isc_assert_fails(isc_decoder_new(dev, &spec, &none), ISC_E_USAGE, "size");
}
