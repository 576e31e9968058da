/* SPDX-License-Identifier: Apache-2.0
 *
 * Gradients through the whole decoder against finite differences, and what a frozen one must not cost.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 2, LEN = 5, ROWS = BATCH * LEN, PICKS = 5 };

typedef struct task {
  isc_decoder *d;
  isc_step *s;
  int32_t *ids, *target; /* [ROWS] */
  isc_params *extra;     /* a trainable bias at RESID_MID of layer 0, or NULL */
  isc_param *bias;       /* [1, d_model] */
} task;

static task setup(isc_device *dev, uint64_t seed) {
  isc_decoder_spec spec = isc_test_spec();
  spec.n_layer = 2;
  task t = {.d = isc_test_decoder(dev, &spec, seed),
            .ids = isc_test_ids(seed, ROWS, spec.vocab),
            .target = isc_test_ids(seed + 1, ROWS, spec.vocab)};
  t.target[2] = -1; /* no loss here */
  isc_assert_ok(isc_step_new(dev, &t.s));
  return t;
}

static void add_bias_parameter(task *t, isc_device *dev) {
  float values[12];
  isc_assert_ok(isc_params_new(dev, &t->extra));
  isc_assert_ok(isc_params_add(t->extra, "bias", 2, (int64_t[]){1, 12}, 0, &t->bias));
  isc_test_normals(77, values, 12);
  isc_assert_ok(isc_param_set(t->extra, t->bias, values));
  isc_params_train(t->extra, true);
}

static void teardown(task *t) {
  isc_step_free(t->s);
  isc_decoder_free(t->d);
  isc_params_free(t->extra);
  free(t->ids);
  free(t->target);
}

static bool at_the_bias(void *user, isc_place place, int64_t layer) {
  (void)user;
  return place == ISC_RESID_MID && layer == 0;
}

static isc_status add_bias(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                           isc_tensor **out) {
  task *t = user;
  float ones[ROWS];
  isc_tensor *column, *rows;
  (void)place, (void)layer;
  for (int i = 0; i < ROWS; i++)
    ones[i] = 1;
  ISC_TRY(isc_tensor_from(s, 2, (int64_t[]){ROWS, 1}, ones, &column));
  ISC_TRY(isc_op_linear(s, column, &t->bias->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &rows));
  return isc_op_add(s, x, rows, out);
}

/* The mean loss, summed in double; with a tape, its gradients too. */
static double loss(task *t, bool with_gradient) {
  isc_taps taps = {
      .size = sizeof taps, .user = t, .wants = at_the_bias, .at = add_bias, .stop_layer = -1};
  isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = t->ids};
  isc_tensor *hidden, *value;
  float logp[ROWS];
  double sum = 0;
  isc_step_reset(t->s);
  if (with_gradient) isc_assert_ok(isc_tape_begin(t->s));
  isc_assert_ok(isc_decoder_forward(t->d, t->s, &in, t->extra ? &taps : NULL, &hidden));
  isc_assert_ok(isc_op_xent(t->s, hidden, isc_decoder_head(t->d), t->target, NULL, logp, &value));
  for (int i = 0; i < ROWS; i++)
    sum -= t->target[i] < 0 ? 0 : logp[i];
  if (with_gradient) isc_assert_ok(isc_tape_backward(t->s, value));
  return sum / (ROWS - 1);
}

static double shifted(task *t, isc_params *p, isc_param *q, float *host, int64_t i, double by) {
  float before = host[i];
  host[i] = (float)(before + by);
  isc_assert_ok(isc_param_set(p, q, host));
  double l = loss(t, false);
  host[i] = before;
  isc_assert_ok(isc_param_set(p, q, host));
  return l;
}

/* Five points: the truncation is h⁴ and f32 rounding of the logits (1e-6) over h = 0.02 leaves 1e-4. */
static double slope(task *t, isc_params *p, isc_param *q, float *host, int64_t i) {
  const double h = 1.0 / 64; /* a power of two: added exactly */
  return (8 * (shifted(t, p, q, host, i, h) - shifted(t, p, q, host, i, -h)) -
          (shifted(t, p, q, host, i, 2 * h) - shifted(t, p, q, host, i, -2 * h))) /
         (12 * h);
}

static void check_parameter(task *t, isc_device *dev, isc_params *p, isc_param *q) {
  int64_t n = isc_tensor_size(&q->value);
  size_t bytes = (size_t)n * sizeof(float);
  float *host = malloc(bytes), *grad = malloc(bytes);
  cr_assert(q->touched, "%s got no gradient", q->name);
  isc_assert_ok(isc_param_get(p, q, host));
  isc_assert_ok(dev->ops->download(dev->impl, grad, q->value.grad, bytes));
  for (int64_t k = 0; k < PICKS; k++) {
    int64_t i = (k * 7919 + 3) % n;
    double want = slope(t, p, q, host, i);
    cr_assert_float_eq(grad[i], want, 5e-4 + 1e-3 * fabs(want), "%s[%d]: %g, by differences %g",
                       q->name, (int)i, grad[i], want);
  }
  free(host);
  free(grad);
}

ISC_TEST_ON_BOTH(decoder_gradient, matches_finite_differences) {
  task t = setup(dev, 21);
  isc_params *p = isc_decoder_params(t.d);
  isc_params_train(p, true);
  isc_assert_ok(isc_params_zero_grad(p));
  loss(&t, true);
  for (int64_t i = 0; i < isc_params_count(p); i++)
    check_parameter(&t, dev, p, isc_params_at(p, i));
  teardown(&t);
}

ISC_TEST_ON_BOTH(decoder_gradient, reaches_a_bias_through_a_frozen_decoder) {
  task t = setup(dev, 31);
  add_bias_parameter(&t, dev);
  isc_params *p = isc_decoder_params(t.d);
  isc_params_train(p, false);
  loss(&t, true);
  for (int64_t i = 0; i < isc_params_count(p); i++) {
    const isc_param *q = isc_params_at(p, i);
    cr_assert(!q->touched && !q->value.grad, "frozen %s got a gradient", q->name);
  }
  check_parameter(&t, dev, t.extra, t.bias);
  teardown(&t);
}

/* Above the bias of layer 0 lie its MLP (2 dense layers), layer 1 (4), and the head: each sends its input's gradient
 * back and none makes its weight's; below it nothing is differentiated. The bias itself is one weight gradient. */
Test(decoder_gradient, frozen_layers_cost_input_gradients_only) {
  isc_device plain = isc_test_plain_device();
  isc_test_wrapper w;
  isc_test_wrap(&w, plain);
  task t = setup(&w.device, 41);
  add_bias_parameter(&t, &w.device);
  isc_params_train(isc_decoder_params(t.d), false);
  loss(&t, false);
  w.n = (isc_test_counts){0};
  loss(&t, false);
  int64_t forward = w.n.gemm;
  w.n = (isc_test_counts){0};
  loss(&t, true);
  cr_assert_eq(w.n.weight_gemm, 1);
  cr_assert_eq(w.n.gemm, forward + 6 + 1, "%d products instead of %d", (int)w.n.gemm,
               (int)forward + 7);
  cr_assert_eq(w.n.col_sum, 0);
  teardown(&t);
}
