/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems for rotary positions and gates.
 */
#include "conform/ops.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* ---- rotary positions */

/* rows, width, heads, d_head, d_rot */
static const int64_t TURNS[][5] = {{3, 12, 2, 4, 4},        {1, 2, 1, 2, 2},  {5, 70, 2, 34, 20},
                                   {4, 300, 4, 64, 64},     {7, 21, 2, 7, 6}, {70, 96, 3, 32, 8},
                                   {200, 130, 1, 128, 128}, {5, 9, 0, 4, 4},  {0, 8, 2, 4, 4},
                                   {4, 0, 0, 2, 2}};
enum { PLACES = 19 };

/* Every second problem turns back. */
static isc_status make_rotary(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  const int64_t *s = TURNS[variant / 2];
  isc_rotary a = {.rows = s[0], .width = s[1], .heads = s[2], .d_head = s[3], .d_rot = s[4]};
  int64_t n = a.rows * a.width, half = a.d_rot / 2;
  a.inverse = variant % 2;
  isc_bench_begin(b, "rotary", "[%lld, %lld], %lld heads of %lld, d_rot %lld%s%s", (long long)s[0],
                  (long long)s[1], (long long)s[2], (long long)s[3], (long long)s[4],
                  a.inverse ? ", inverse" : "", alias ? ", y is x" : "");
  ISC_TRY(
      isc_bench_array_new(b, "x", alias ? ISC_BENCH_INOUT : ISC_BENCH_IN, ISC_BENCH_F32, n, &a.x));
  a.y = (float *)(uintptr_t)a.x;
  if (!alias) ISC_TRY(isc_bench_array_new(b, "y", ISC_BENCH_OUT, ISC_BENCH_F32, n, &a.y));
  ISC_TRY(isc_bench_array_new(b, "pos", ISC_BENCH_IN, ISC_BENCH_I32, a.rows, &a.pos));
  for (int64_t i = 0; i < a.rows; i++)
    ((int32_t *)(uintptr_t)a.pos)[i] = (int32_t)(i % 5 == 4 ? PLACES - 1 : i * 7 / 3 % PLACES);
  ISC_TRY(isc_bench_array_new(b, "cos", ISC_BENCH_IN, ISC_BENCH_F32, PLACES * half, &a.cos));
  ISC_TRY(isc_bench_array_new(b, "sin", ISC_BENCH_IN, ISC_BENCH_F32, PLACES * half, &a.sin));
  out->rotary = a;
  return ISC_OK;
}

static isc_status run_rotary(isc_bench *b, const isc_op_call *call) {
  isc_rotary a = call->rotary;
  a.x = isc_bench_at(b, a.x);
  a.y = isc_bench_at(b, a.y);
  a.pos = isc_bench_at(b, a.pos);
  a.cos = isc_bench_at(b, a.cos);
  a.sin = isc_bench_at(b, a.sin);
  return b->dev->ops->rotary(b->dev->impl, &a);
}

static isc_status expect_rotary(isc_bench *b, const isc_op_call *call) {
  isc_exact *y;
  ISC_TRY(isc_bench_want(b, call->rotary.y, &y));
  isc_reference_rotary(&call->rotary, y);
  return ISC_OK;
}

static int64_t rows_rotary(const isc_op_call *call) {
  return call->rotary.rows;
}

static void slice_rotary(isc_op_call *call, int64_t first, int64_t n) {
  isc_rotary *a = &call->rotary;
  a->rows = n;
  a->x += first * a->width;
  a->y += first * a->width;
  a->pos += first;
}

/* ---- gates */

static const int64_t GATES[][2] = {{3, 5},   {1, 1},   {2, 15},   {3, 16}, {5, 33},
                                   {40, 64}, {7, 503}, {90, 700}, {0, 5},  {5, 0}}; /* rows, d */

/* All activations take their turn, and arguments reach from tiny to large. */
static isc_status make_gates(isc_bench *b, const char *op, int64_t variant, isc_op_call *out) {
  const int64_t *s = GATES[variant / 6];
  isc_gate a = {.rows = s[0], .d = s[1], .act = (isc_act)(variant % 6)};
  isc_bench_begin(b, op, "[%lld, 2·%lld], act %d", (long long)s[0], (long long)s[1], (int)a.act);
  ISC_TRY(isc_bench_array_new(b, "x", ISC_BENCH_IN, ISC_BENCH_F32, 2 * a.rows * a.d, &a.x));
  for (int64_t i = 0; i < 2 * a.rows * a.d; i++)
    ((float *)(uintptr_t)a.x)[i] *= i % 3 == 0 ? 1.0f : i % 3 == 1 ? 5.0f : 1e-3f;
  out->gate = a;
  return ISC_OK;
}

static isc_status make_gate(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_gate *a = &out->gate;
  (void)alias;
  ISC_TRY(make_gates(b, "gate", variant, out));
  return isc_bench_array_new(b, "y", ISC_BENCH_OUT, ISC_BENCH_F32, a->rows * a->d, &a->y);
}

static isc_status make_gate_grad(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_gate *a = &out->gate;
  (void)alias;
  ISC_TRY(make_gates(b, "gate_grad", variant, out));
  ISC_TRY(isc_bench_array_new(b, "dy", ISC_BENCH_IN, ISC_BENCH_F32, a->rows * a->d, &a->dy));
  return isc_bench_array_new(b, "dx", ISC_BENCH_OUT, ISC_BENCH_F32, 2 * a->rows * a->d, &a->dx);
}

static isc_gate gate_at(const isc_bench *b, const isc_op_call *call) {
  isc_gate a = call->gate;
  a.x = isc_bench_at(b, a.x);
  a.y = isc_bench_at(b, a.y);
  a.dy = isc_bench_at(b, a.dy);
  a.dx = isc_bench_at(b, a.dx);
  return a;
}

static isc_status run_gate(isc_bench *b, const isc_op_call *call) {
  isc_gate a = gate_at(b, call);
  return b->dev->ops->gate(b->dev->impl, &a);
}

static isc_status run_gate_grad(isc_bench *b, const isc_op_call *call) {
  isc_gate a = gate_at(b, call);
  return b->dev->ops->gate_grad(b->dev->impl, &a);
}

static isc_status expect_gate(isc_bench *b, const isc_op_call *call) {
  isc_exact *y;
  ISC_TRY(isc_bench_want(b, call->gate.y, &y));
  isc_reference_gate(&call->gate, y);
  return ISC_OK;
}

static isc_status expect_gate_grad(isc_bench *b, const isc_op_call *call) {
  isc_exact *dx;
  ISC_TRY(isc_bench_want(b, call->gate.dx, &dx));
  isc_reference_gate_grad(&call->gate, dx);
  return ISC_OK;
}

static int64_t rows_gate(const isc_op_call *call) {
  return call->gate.rows;
}

static void slice_gate(isc_op_call *call, int64_t first, int64_t n) {
  isc_gate *a = &call->gate;
  a->rows = n;
  a->x += first * 2 * a->d;
  if (a->y) a->y += first * a->d;
  if (a->dy) a->dy += first * a->d;
  if (a->dx) a->dx += first * 2 * a->d;
}

const isc_op isc_ops_decoder[] = {{"rotary", 1, 2 * COUNT(TURNS) - 4, 4, 1, make_rotary, run_rotary,
                                   expect_rotary, rows_rotary, slice_rotary},
                                  {"gate", 1, 6 * COUNT(GATES) - 12, 12, 0, make_gate, run_gate,
                                   expect_gate, rows_gate, slice_gate},
                                  {"gate-grad", 1, 6 * COUNT(GATES) - 12, 12, 0, make_gate_grad,
                                   run_gate_grad, expect_gate_grad, rows_gate, slice_gate},
                                  {0}};
