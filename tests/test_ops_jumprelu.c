/* SPDX-License-Identifier: Apache-2.0
 *
 * JumpReLU on the tape: against loops in double written here, and its gradient to x against differences.
 *
 * A threshold has no gradient that differences could show; it is held against the estimator's formula.
 */
#include "support.h"
#include "support_backend.h"
#include "support_gradient.h"
#include <inversescope/ops.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, D = 5, N = ROWS * D };
static const double WIDTH = 0.5;

/* ---- x: differences, away from the thresholds */

/* Of each column the threshold that is farthest from its values; differences reach 1/16 to either side. */
static void choose_thresholds(const float *x, float theta[D]) {
  for (int64_t j = 0; j < D; j++) {
    double best = 0;
    for (int k = 10; k < 100; k++) {
      const double at = 0.01 * k;
      double near = INFINITY;
      for (int64_t r = 0; r < ROWS; r++)
        near = fmin(near, fabs((double)x[r * D + j] - at));
      if (near <= best) continue;
      best = near;
      theta[j] = (float)at;
    }
    cr_assert_gt(best, 0.07, "column %d has values everywhere", (int)j);
  }
}

static isc_status jump_op(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out) {
  isc_tensor *theta;
  ISC_TRY(isc_tensor_from(s, 1, (int64_t[]){D}, user, &theta));
  return isc_op_jumprelu(s, in[0], theta, WIDTH, out, NULL);
}

ISC_TEST_ON_BOTH(ops_jumprelu, active_units_pass_and_so_does_their_gradient) {
  const isc_test_input in[] = {{2, {ROWS, D}}};
  float *x = isc_test_values(in, 0), theta[D];
  int64_t count, active = 0;
  choose_thresholds(x, theta);
  float *y = isc_test_forward(dev, jump_op, theta, in, (const float *const *)&x, 1, &count);
  cr_assert_eq(count, N);
  for (int64_t i = 0; i < N; i++) {
    cr_assert_eq(y[i], x[i] > theta[i % D] ? x[i] : 0.0f);
    active += y[i] != 0;
  }
  cr_assert(active > 0 && active < N);
  isc_test_gradients(dev, jump_op, theta, in, 1);
  free(x);
  free(y);
}

/* ---- thresholds: the estimator */

typedef struct problem {
  isc_device *dev;
  float x[N], theta[D], by_value[N], by_number[ROWS];
  float dx[N], dtheta[D], l0[ROWS];
} problem;

static problem new_problem(isc_device *dev) {
  problem p = {.dev = dev};
  isc_test_normals(1, p.x, N);
  isc_test_normals(2, p.theta, D);
  isc_test_normals(3, p.by_value, N);
  isc_test_normals(4, p.by_number, ROWS);
  for (int64_t j = 0; j < D; j++)
    p.theta[j] = 0.1f + 0.3f * fabsf(p.theta[j]);
  for (int64_t i = 0; i < N; i += 2)
    p.x[i] = p.theta[i % D] + 0.2f * p.x[i]; /* many in the rectangle */
  return p;
}

/* ⟨t, weights⟩ */
static isc_status weighted(isc_step *s, isc_tensor *t, const float *weights, isc_tensor **out) {
  isc_tensor *flat, *w;
  const int64_t n = isc_tensor_size(t);
  ISC_TRY(isc_tensor_reshape(s, t, 2, (int64_t[]){1, n}, &flat));
  ISC_TRY(isc_tensor_from(s, 2, (int64_t[]){n, 1}, weights, &w));
  return isc_op_linear(s, flat, w, ISC_IN_OUT, NULL, ISC_ACT_NONE, out);
}

enum { VALUES = 1, NUMBERS = 2 };

/* The gradients of ⟨y, by_value⟩ + ⟨l0, by_number⟩, or of one of the two. */
static void differentiate(problem *p, int of, bool frozen_theta) {
  isc_tensor *x, *theta, *y, *l0, *loss[2];
  isc_step *s;
  isc_assert_ok(isc_step_new(p->dev, &s));
  isc_assert_ok(isc_tensor_from(s, 3, (int64_t[]){2, ROWS / 2, D}, p->x, &x));
  isc_assert_ok(isc_tensor_from(s, 1, (int64_t[]){D}, p->theta, &theta));
  x->needs_grad = true;
  theta->needs_grad = !frozen_theta;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_jumprelu(s, x, theta, WIDTH, &y, &l0));
  cr_assert(l0->ndim == 2 && l0->shape[0] == 2 && l0->shape[1] == ROWS / 2);
  isc_assert_ok(isc_tensor_download(s, l0, p->l0));
  if (of & VALUES) isc_assert_ok(weighted(s, y, p->by_value, &loss[0]));
  if (of & NUMBERS) isc_assert_ok(weighted(s, l0, p->by_number, &loss[of & VALUES ? 1 : 0]));
  if (of == (VALUES | NUMBERS)) isc_assert_ok(isc_op_add(s, loss[0], loss[1], &loss[0]));
  isc_assert_ok(isc_tape_backward(s, loss[0]));
  if (of & VALUES)
    isc_assert_ok(p->dev->ops->download(p->dev->impl, p->dx, x->grad, sizeof p->dx));
  else
    cr_assert_null(x->grad, "the number of active units has no gradient to x");
  if (!frozen_theta)
    isc_assert_ok(p->dev->ops->download(p->dev->impl, p->dtheta, theta->grad, sizeof p->dtheta));
  else
    cr_assert_null(theta->grad);
  isc_step_free(s);
}

static void check_dtheta(const problem *p, int of) {
  for (int64_t j = 0; j < D; j++) {
    double want = 0, terms = 0;
    for (int64_t r = 0; r < ROWS; r++) {
      const float from = p->x[r * D + j] - p->theta[j];
      if (!(fabs(from / WIDTH) < 0.5)) continue;
      const double value = -p->theta[j] / WIDTH * (of & VALUES ? p->by_value[r * D + j] : 0),
                   number = -1 / WIDTH * (of & NUMBERS ? p->by_number[r] : 0);
      want += value + number;
      terms += fabs(value) + fabs(number);
    }
    cr_assert_gt(terms, 0, "column %d shows nothing", (int)j);
    cr_assert(fabs(p->dtheta[j] - want) <= 4e-6 * terms, "threshold %d: %.8g against %.8g", (int)j,
              (double)p->dtheta[j], want);
  }
}

ISC_TEST_ON_BOTH(ops_jumprelu, thresholds_get_the_estimate_of_values_of_numbers_and_of_both) {
  for (int of = VALUES; of <= (VALUES | NUMBERS); of++) {
    problem p = new_problem(dev);
    differentiate(&p, of, false);
    check_dtheta(&p, of);
    for (int64_t r = 0; r < ROWS; r++) {
      int64_t active = 0;
      for (int64_t j = 0; j < D; j++)
        active += p.x[r * D + j] > p.theta[j];
      cr_assert_eq(p.l0[r], (float)active);
    }
    for (int64_t i = 0; (of & VALUES) && i < N; i++)
      cr_assert_eq(p.dx[i], p.x[i] > p.theta[i % D] ? p.by_value[i] : 0.0f);
  }
}

ISC_TEST_ON_BOTH(ops_jumprelu, frozen_thresholds_leave_the_gradient_to_x) {
  problem p = new_problem(dev);
  differentiate(&p, VALUES | NUMBERS, true);
  for (int64_t i = 0; i < N; i++)
    cr_assert_eq(p.dx[i], p.x[i] > p.theta[i % D] ? p.by_value[i] : 0.0f);
}

Test(ops_jumprelu, both_results_cost_one_pass) {
  isc_test_wrapper w;
  isc_test_wrap(&w, isc_test_plain_device());
  problem p = new_problem(&w.device);
  differentiate(&p, VALUES | NUMBERS, false);
  cr_assert_eq(w.n.jumprelu_grad, 1);
}

/* ---- shapes, and what is refused */

Test(ops_jumprelu, one_row_has_one_number_and_empty_rows_have_none_active) {
  isc_device dev = isc_test_plain_device();
  isc_tensor *x, *theta, *y, *l0;
  float number[3] = {7, 7, 7};
  isc_step *s;
  isc_assert_ok(isc_step_new(&dev, &s));
  isc_assert_ok(isc_tensor_from(s, 1, (int64_t[]){3}, (float[]){1, 2, 3}, &x));
  isc_assert_ok(isc_tensor_from(s, 1, (int64_t[]){3}, (float[]){2, 2, 2}, &theta));
  isc_assert_ok(isc_op_jumprelu(s, x, theta, 1, &y, &l0));
  cr_assert(l0->ndim == 1 && l0->shape[0] == 1);
  isc_assert_ok(isc_tensor_download(s, l0, number));
  cr_assert_eq(number[0], 1.0f);
  isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){3, 0}, &x));
  isc_assert_ok(isc_tensor_zeros(s, 1, (int64_t[]){0}, &theta));
  isc_assert_ok(isc_op_jumprelu(s, x, theta, 1, &y, &l0));
  isc_assert_ok(isc_tensor_download(s, l0, number));
  cr_assert(number[0] == 0 && number[1] == 0 && number[2] == 0);
  isc_step_free(s);
}

Test(ops_jumprelu, misfits_are_named) {
  isc_device dev = isc_test_plain_device();
  isc_backend_ops old = *dev.ops;
  isc_tensor *x, *theta, *out;
  isc_step *s;
  isc_assert_ok(isc_step_new(&dev, &s));
  isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){2, 3}, &x));
  isc_assert_ok(isc_tensor_zeros(s, 1, (int64_t[]){4}, &theta));
  isc_assert_fails(isc_op_jumprelu(s, x, theta, 1, &out, NULL), ISC_E_SHAPE, "[2, 3]");
  isc_assert_ok(isc_tensor_zeros(s, 1, (int64_t[]){3}, &theta));
  const double bad[] = {0, -1, NAN, INFINITY, 1e-60, 1e60};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    isc_assert_fails(isc_op_jumprelu(s, x, theta, bad[i], &out, NULL), ISC_E_USAGE, "width");
  old.jumprelu = NULL;
  dev.ops = &old;
  isc_assert_fails(isc_op_jumprelu(s, x, theta, 1, &out, NULL), ISC_E_UNSUPPORTED, "lacks");
  old = isc_test_plain_ops;
  old.size = offsetof(isc_backend_ops, jumprelu_grad);
  isc_assert_fails(isc_op_jumprelu(s, x, theta, 1, &out, NULL), ISC_E_UNSUPPORTED, "lacks");
  isc_step_free(s);
}
