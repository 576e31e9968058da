/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems for thresholds: values that lie on them, beside them, and at the edges of the estimate's rectangle.
 */
#include "conform/ops.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

static const int64_t SHAPES[][2] = {{4, 9},    {1, 1},   {1, 2},    {3, 15},   {9, 16},
                                    {9, 17},   {70, 64}, {33, 131}, {600, 33}, {70, 768},
                                    {3, 5003}, {0, 5},   {5, 0}}; /* rows, d */
static const float WIDTH = 0.25f;

/* Of every seven values one is its threshold, one lies on the edge of the rectangle, and one just inside of it. */
static isc_status make_both(isc_bench *b, const char *op, int64_t shape, const char *what,
                            isc_bench_role role, isc_op_call *out) {
  isc_jumprelu a = {.rows = SHAPES[shape][0], .d = SHAPES[shape][1], .width = WIDTH};
  int64_t n = a.rows * a.d;
  isc_bench_begin(b, op, "[%lld, %lld]%s", (long long)a.rows, (long long)a.d, what);
  ISC_TRY(isc_bench_array_new(b, "theta", ISC_BENCH_IN, ISC_BENCH_F32, a.d, &a.theta));
  for (int64_t j = 0; j < a.d; j++)
    ((float *)(uintptr_t)a.theta)[j] = 0.125f + fabsf(a.theta[j]) / 2;
  ISC_TRY(isc_bench_array_new(b, "x", role, ISC_BENCH_F32, n, &a.x));
  for (int64_t i = 0; i < n; i++) {
    float *x = (float *)(uintptr_t)a.x + i, theta = a.theta[i % a.d];
    if (i % 7 == 3) *x = theta;
    if (i % 7 == 5) *x = theta + WIDTH / 2;
    if (i % 7 == 6) *x = theta - WIDTH / 2 * 0.999f;
  }
  out->jumprelu = a;
  return ISC_OK;
}

/* Every second problem does not ask for l0. */
static isc_status make_jumprelu(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_jumprelu *a = &out->jumprelu;
  ISC_TRY(make_both(b, "jumprelu", variant / 2, alias ? ", y is x" : "",
                    alias ? ISC_BENCH_INOUT : ISC_BENCH_IN, out));
  a->y = (float *)(uintptr_t)a->x;
  if (!alias)
    ISC_TRY(isc_bench_array_new(b, "y", ISC_BENCH_OUT, ISC_BENCH_F32, a->rows * a->d, &a->y));
  if (variant % 2) return ISC_OK;
  isc_bench_role role = a->d ? ISC_BENCH_OUT : ISC_BENCH_INOUT;
  return isc_bench_array_new(b, "l0", role, ISC_BENCH_F32, a->rows, &a->l0);
}

/* Of every five problems one each is without dy, dl0, dx and dtheta; in place, dx is always asked for. */
static isc_status make_jumprelu_grad(isc_bench *b, int64_t variant, int64_t alias,
                                     isc_op_call *out) {
  static const char *const lacks[] = {"", ", dy NULL", ", dl0 NULL", ", dx NULL", ", dtheta NULL"};
  isc_jumprelu *a = &out->jumprelu;
  int64_t lack = alias && variant % 5 % 2 ? 0 : variant % 5;
  ISC_TRY(make_both(b, "jumprelu_grad", variant / 5, alias ? ", dx is dy" : lacks[lack],
                    ISC_BENCH_IN, out));
  int64_t n = a->rows * a->d;
  if (lack != 1)
    ISC_TRY(isc_bench_array_new(b, "dy", alias ? ISC_BENCH_INOUT : ISC_BENCH_IN, ISC_BENCH_F32, n,
                                &a->dy));
  if (lack != 2)
    ISC_TRY(isc_bench_array_new(b, "dl0", ISC_BENCH_IN, ISC_BENCH_F32, a->rows, &a->dl0));
  if (alias) a->dx = (float *)(uintptr_t)a->dy;
  if (!alias && lack != 1 && lack != 3)
    ISC_TRY(isc_bench_array_new(b, "dx", ISC_BENCH_OUT, ISC_BENCH_F32, n, &a->dx));
  if (lack == 4) return ISC_OK;
  return isc_bench_array_new(b, "dtheta", ISC_BENCH_INOUT, ISC_BENCH_F32, a->d, &a->dtheta);
}

static isc_jumprelu at(const isc_bench *b, const isc_op_call *call) {
  isc_jumprelu a = call->jumprelu;
  a.x = isc_bench_at(b, a.x);
  a.theta = isc_bench_at(b, a.theta);
  a.y = isc_bench_at(b, a.y);
  a.l0 = isc_bench_at(b, a.l0);
  a.dy = isc_bench_at(b, a.dy);
  a.dl0 = isc_bench_at(b, a.dl0);
  a.dx = isc_bench_at(b, a.dx);
  a.dtheta = isc_bench_at(b, a.dtheta);
  return a;
}

static isc_status run_jumprelu(isc_bench *b, const isc_op_call *call) {
  isc_jumprelu a = at(b, call);
  return b->dev->ops->jumprelu(b->dev->impl, &a);
}

static isc_status run_jumprelu_grad(isc_bench *b, const isc_op_call *call) {
  isc_jumprelu a = at(b, call);
  return b->dev->ops->jumprelu_grad(b->dev->impl, &a);
}

static isc_status expect_jumprelu(isc_bench *b, const isc_op_call *call) {
  isc_exact *y, *l0;
  ISC_TRY(isc_bench_want(b, call->jumprelu.y, &y));
  ISC_TRY(isc_bench_want(b, call->jumprelu.l0, &l0));
  isc_reference_jumprelu(&call->jumprelu, y, l0);
  return ISC_OK;
}

static isc_status expect_jumprelu_grad(isc_bench *b, const isc_op_call *call) {
  isc_exact *dx, *dtheta;
  ISC_TRY(isc_bench_want(b, call->jumprelu.dx, &dx));
  ISC_TRY(isc_bench_want(b, call->jumprelu.dtheta, &dtheta));
  isc_reference_jumprelu_grad(&call->jumprelu, dx, dtheta);
  return ISC_OK;
}

static int64_t rows_jumprelu(const isc_op_call *call) {
  return call->jumprelu.rows;
}

static void slice_jumprelu(isc_op_call *call, int64_t first, int64_t n) {
  isc_jumprelu *a = &call->jumprelu;
  a->rows = n;
  a->x += first * a->d;
  a->y += first * a->d;
  if (a->l0) a->l0 += first;
}

const isc_op isc_ops_jumprelu[] = {{"jumprelu", 1, 2 * COUNT(SHAPES) - 4, 4, 1, make_jumprelu,
                                    run_jumprelu, expect_jumprelu, rows_jumprelu, slice_jumprelu},
                                   {"jumprelu-grad", 1, 5 * COUNT(SHAPES) - 10, 10, 1,
                                    make_jumprelu_grad, run_jumprelu_grad, expect_jumprelu_grad,
                                    NULL, NULL},
                                   {0}};
