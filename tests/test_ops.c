/* SPDX-License-Identifier: Apache-2.0
 *
 * Each differentiable op: its value against a loop in double written here, its gradient against differences.
 *
 * Values must lie within 4e-6 of the sum of their terms' magnitudes (backend.h); terms here are of order 1 and at
 * most a few dozen, so 2e-5 absolute is the bound used.
 */
#include "support.h"
#include "support_backend.h"
#include "support_gradient.h"
#include "conform/reference.h"
#include <inversescope/ops.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double CLOSE = 2e-5;

/* Compare an op's output with `want(i, in, user)` for each element i. */
typedef double (*value_fn)(int64_t i, float *const *in, void *user);

static void check_values(isc_device *dev, isc_test_op op, void *user, const isc_test_input *in,
                         int64_t n, int64_t expected, value_fn want) {
  float *host[8];
  int64_t count;
  for (int64_t i = 0; i < n; i++)
    host[i] = isc_test_values(&in[i], i);
  float *out = isc_test_forward(dev, op, user, in, (const float *const *)host, n, &count);
  cr_assert_eq(count, expected);
  for (int64_t i = 0; i < count; i++)
    cr_assert(fabs(out[i] - want(i, host, user)) <= CLOSE, "element %d: %.8g against %.8g", (int)i,
              out[i], want(i, host, user));
  free(out);
  for (int64_t i = 0; i < n; i++)
    free(host[i]);
}

/* ---- linear */

typedef struct linear_case {
  isc_weight_layout layout;
  isc_act act;
  bool bias;
} linear_case;

enum { ROWS = 5, IN = 4, OUT = 3 };

static isc_status linear_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  const linear_case *c = user;
  return isc_op_linear(s, in[0], in[1], c->layout, c->bias ? in[2] : NULL, c->act, out);
}

static double linear_want(int64_t i, float *const *in, void *user) {
  const linear_case *c = user;
  int64_t r = i / OUT, o = i % OUT;
  double sum = c->bias ? in[2][o] : 0;
  for (int64_t k = 0; k < IN; k++)
    sum += (double)in[0][r * IN + k] * in[1][c->layout == ISC_IN_OUT ? k * OUT + o : o * IN + k];
  return isc_reference_act(c->act, sum);
}

static void linear_cases(isc_device *dev, isc_act act) {
  for (int i = 0; i < 4; i++) {
    linear_case c = {i & 1 ? ISC_OUT_IN : ISC_IN_OUT, act, i >> 1 & 1};
    isc_test_input in[] = {{2, {ROWS, IN}}, {2, {IN, OUT}}, {1, {OUT}}};
    if (c.layout == ISC_OUT_IN) in[1] = (isc_test_input){2, {OUT, IN}};
    int64_t n = c.bias ? 3 : 2;
    check_values(dev, linear_op, &c, in, n, ROWS * OUT, linear_want);
    if (act != ISC_ACT_RELU)
      isc_test_gradients(dev, linear_op, &c, in, n); /* a kink has no difference */
  }
}

ISC_TEST_ON_BOTH(ops, linear) {
  linear_cases(dev, ISC_ACT_NONE);
}
ISC_TEST_ON_BOTH(ops, linear_relu) {
  linear_cases(dev, ISC_ACT_RELU);
}
ISC_TEST_ON_BOTH(ops, linear_gelu) {
  linear_cases(dev, ISC_ACT_GELU);
}
ISC_TEST_ON_BOTH(ops, linear_gelu_tanh) {
  linear_cases(dev, ISC_ACT_GELU_TANH);
}
ISC_TEST_ON_BOTH(ops, linear_silu) {
  linear_cases(dev, ISC_ACT_SILU);
}
ISC_TEST_ON_BOTH(ops, linear_tanh) {
  linear_cases(dev, ISC_ACT_TANH);
}

ISC_TEST_ON_BOTH(ops, linear_keeps_leading_dimensions) {
  linear_case c = {ISC_IN_OUT, ISC_ACT_NONE, true};
  const isc_test_input in[] = {{4, {1, 5, 1, IN}}, {2, {IN, OUT}}, {1, {OUT}}};
  check_values(dev, linear_op, &c, in, 3, ROWS * OUT, linear_want);
}

/* relu'(x) = [x > 0], so dx = [x > 0] exactly for a loss that sums. */
ISC_TEST_ON_BOTH(ops, relu_gradient_is_the_step) {
  const float x[] = {-1, 2, 0.5f, -3}, ones[] = {1, 1, 1, 1};
  float got[4];
  isc_step *s;
  isc_tensor *t, *y, *w, *loss;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_tensor_from(s, 2, (int64_t[]){1, 4}, x, &t));
  isc_assert_ok(isc_tensor_from(s, 2, (int64_t[]){4, 1}, ones, &w));
  t->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_act(s, ISC_ACT_RELU, t, &y));
  isc_assert_ok(isc_op_linear(s, y, w, ISC_IN_OUT, NULL, ISC_ACT_NONE, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  isc_assert_ok(dev->ops->download(dev->impl, got, t->grad, sizeof got));
  for (int i = 0; i < 4; i++)
    cr_assert_eq(got[i], x[i] > 0 ? 1.0f : 0.0f);
  isc_step_free(s);
}

/* ---- sums, products, activations, selection */

static isc_status add_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_add(s, in[0], in[1], out);
}
static double add_want(int64_t i, float *const *in, void *user) {
  (void)user;
  return (double)in[0][i] + in[1][i];
}
static isc_status mul_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_mul(s, in[0], in[1], out);
}
static double mul_want(int64_t i, float *const *in, void *user) {
  (void)user;
  return (double)in[0][i] * in[1][i];
}
static isc_status act_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  return isc_op_act(s, *(isc_act *)user, in[0], out);
}
static double act_want(int64_t i, float *const *in, void *user) {
  return isc_reference_act(*(isc_act *)user, in[0][i]);
}

ISC_TEST_ON_BOTH(ops, add) {
  const isc_test_input in[] = {{3, {2, 3, 4}}, {3, {2, 3, 4}}};
  check_values(dev, add_op, NULL, in, 2, 24, add_want);
  isc_test_gradients(dev, add_op, NULL, in, 2);
}

ISC_TEST_ON_BOTH(ops, mul) {
  const isc_test_input in[] = {{3, {2, 3, 4}}, {3, {2, 3, 4}}};
  check_values(dev, mul_op, NULL, in, 2, 24, mul_want);
  isc_test_gradients(dev, mul_op, NULL, in, 2);
}

/* x + x and x·x: both inputs are one tensor. */
static isc_status self_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  isc_tensor *sum, *square;
  (void)user;
  ISC_TRY(isc_op_add(s, in[0], in[0], &sum));
  ISC_TRY(isc_op_mul(s, in[0], in[0], &square));
  return isc_op_add(s, sum, square, out);
}
static double self_want(int64_t i, float *const *in, void *user) {
  (void)user;
  return 2.0 * in[0][i] + (double)in[0][i] * in[0][i];
}

ISC_TEST_ON_BOTH(ops, one_tensor_as_both_inputs) {
  const isc_test_input in[] = {{2, {3, 4}}};
  check_values(dev, self_op, NULL, in, 1, 12, self_want);
  isc_test_gradients(dev, self_op, NULL, in, 1);
}

ISC_TEST_ON_BOTH(ops, activations) {
  const isc_test_input in[] = {{2, {3, 7}}};
  const isc_act smooth[] = {ISC_ACT_NONE, ISC_ACT_GELU, ISC_ACT_GELU_TANH, ISC_ACT_SILU,
                            ISC_ACT_TANH};
  for (size_t i = 0; i < 5; i++) {
    isc_act act = smooth[i];
    check_values(dev, act_op, &act, in, 1, 21, act_want);
    isc_test_gradients(dev, act_op, &act, in, 1);
  }
}

static const int64_t PICKED[] = {2, 0, 2, 4};
static isc_status gather_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  (void)user;
  return isc_op_gather(s, in[0], PICKED, 4, out);
}
static double gather_want(int64_t i, float *const *in, void *user) {
  (void)user;
  return in[0][PICKED[i / 3] * 3 + i % 3];
}

ISC_TEST_ON_BOTH(ops, gather_with_a_row_twice) {
  const isc_test_input in[] = {{2, {5, 3}}};
  check_values(dev, gather_op, NULL, in, 1, 12, gather_want);
  isc_test_gradients(dev, gather_op, NULL, in, 1);
}

/* ---- layer normalisation */

enum { D = 6 };
static isc_status norm_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  bool affine = *(bool *)user;
  return isc_op_layernorm(s, in[0], affine ? in[1] : NULL, affine ? in[2] : NULL, 1e-5, out);
}
static double norm_want(int64_t i, float *const *in, void *user) {
  const float *x = in[0] + i / D * D;
  double mean = 0, var = 0;
  for (int j = 0; j < D; j++)
    mean += x[j] / (double)D;
  for (int j = 0; j < D; j++)
    var += (x[j] - mean) * (x[j] - mean) / D;
  double y = (in[0][i] - mean) / sqrt(var + 1e-5);
  return *(bool *)user ? y * in[1][i % D] + in[2][i % D] : y;
}

ISC_TEST_ON_BOTH(ops, layernorm) {
  const isc_test_input in[] = {{3, {2, 2, D}}, {1, {D}}, {1, {D}}};
  bool affine = true;
  check_values(dev, norm_op, &affine, in, 3, 4 * D, norm_want);
  isc_test_gradients(dev, norm_op, &affine, in, 3);
  affine = false;
  check_values(dev, norm_op, &affine, in, 1, 4 * D, norm_want);
  isc_test_gradients(dev, norm_op, &affine, in, 1);
}

/* ---- embedding */

static const int32_t IDS[] = {3, 0, 3, 1}, PLACES[] = {0, 1, 2, 0};
static isc_status embed_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  bool places = *(bool *)user;
  return isc_op_embed(s, in[0], places ? in[1] : NULL, IDS, places ? PLACES : NULL, 4, out);
}
static double embed_want(int64_t i, float *const *in, void *user) {
  double x = in[0][IDS[i / 3] * 3 + i % 3];
  return *(bool *)user ? x + in[1][PLACES[i / 3] * 3 + i % 3] : x;
}

ISC_TEST_ON_BOTH(ops, embed) {
  const isc_test_input in[] = {{2, {5, 3}}, {2, {3, 3}}};
  bool places = true;
  check_values(dev, embed_op, &places, in, 2, 12, embed_want);
  isc_test_gradients(dev, embed_op, &places, in, 2);
  places = false;
  check_values(dev, embed_op, &places, in, 1, 12, embed_want);
  isc_test_gradients(dev, embed_op, &places, in, 1);
}
