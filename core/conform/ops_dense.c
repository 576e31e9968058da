/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems for matrix products and elementwise operations.
 */
#include "conform/ops.h"
#include <string.h>

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* ---- products */

enum {
  TA = 1,
  TB = 2,
  BIAS = 4,
  PRE = 8,
  SHARED = 16,
  NARROW = 32, /* b is bf16            */
  HALF = 64,   /* the product is       */
  EVEN = 128   /* no gaps between rows */
};

static const struct product {
  int64_t batch, m, n, k, every;
  int flags;
  float alpha, beta;
  isc_act act;
} PRODUCTS[] = {
    {1, 5, 7, 9, 1, BIAS, 1, 0, ISC_ACT_GELU_TANH},
    {1, 1, 1, 1, 1, 0, 1, 0, ISC_ACT_NONE},
    {1, 1, 50, 33, 1, TB, 1, 0, ISC_ACT_NONE},
    {1, 33, 1, 50, 1, TA, -1, 1, ISC_ACT_NONE},
    {1, 17, 2, 1, 1, TA | TB, 1, 0, ISC_ACT_NONE},
    {1, 50, 33, 17, 1, 0, 0.25f, 0.5f, ISC_ACT_NONE},
    {1, 7, 50, 50, 1, TB | BIAS | PRE, 1, 0, ISC_ACT_GELU},
    {1, 19, 37, 445, 1, TB | BIAS | PRE, 0.5f, 0, ISC_ACT_SILU},
    {1, 19, 37, 45, 1, BIAS | PRE, 1, 0.5f, ISC_ACT_RELU},
    {1, 19, 37, 45, 1, TA | BIAS, 1, 0, ISC_ACT_TANH},
    {37, 24, 32, 16, 7, 0, 1, 0, ISC_ACT_NONE},
    {3, 130, 70, 20, 5, TA | BIAS, 2, 1, ISC_ACT_NONE},
    {3, 20, 15, 30, 1, TB | SHARED, 1, 0, ISC_ACT_NONE},
    {1, 3, 5, 5000, 1, TB, 1, 0, ISC_ACT_NONE},
    {1, 170, 200, 385, 29, BIAS, 1, 1, ISC_ACT_NONE},
    {1, 200, 450, 390, 97, TB | BIAS | PRE, 1, 0, ISC_ACT_GELU_TANH},
    {1, 523, 192, 700, 97, TA, 0.5f, 1, ISC_ACT_NONE},
    {1, 64, 192, 3000, 97, TA | TB, 1, 0, ISC_ACT_NONE},
    {0, 3, 3, 3, 1, BIAS, 1, 0, ISC_ACT_RELU},
    {1, 0, 3, 3, 1, BIAS, 1, 0, ISC_ACT_NONE},
    {1, 3, 0, 3, 1, 0, 1, 0, ISC_ACT_NONE},
    {2, 5, 9, 0, 1, BIAS, 1, 0, ISC_ACT_RELU}, /* an empty sum is 0 */
    {1, 5, 9, 0, 1, 0, 1, 0.5f, ISC_ACT_NONE},
};

/* Products of bf16. */
static const struct product ROUNDED[] = {
    {1, 5, 7, 9, 1, BIAS, 1, 0, ISC_ACT_GELU_TANH},
    {1, 1, 1, 1, 1, 0, 1, 0, ISC_ACT_NONE},
    {1, 1, 50, 33, 1, TB | NARROW, 1, 0, ISC_ACT_NONE},
    {1, 33, 1, 50, 1, TA, -1, 1, ISC_ACT_NONE},
    {1, 17, 2, 1, 1, TA | TB, 1, 0, ISC_ACT_NONE},
    {1, 50, 33, 17, 1, NARROW, 0.25f, 0.5f, ISC_ACT_NONE},
    {1, 7, 50, 50, 1, TB | BIAS | PRE | NARROW, 1, 0, ISC_ACT_GELU},
    {1, 19, 37, 445, 1, BIAS | PRE | NARROW, 0.5f, 0, ISC_ACT_SILU},
    {1, 19, 37, 45, 1, TA | BIAS | NARROW, 1, 0, ISC_ACT_TANH},
    {3, 130, 70, 20, 5, TA | BIAS, 2, 1, ISC_ACT_NONE},
    {3, 20, 15, 30, 1, TB | SHARED | NARROW, 1, 0, ISC_ACT_NONE},
    {1, 3, 5, 3001, 1, TB | NARROW, 1, 0, ISC_ACT_NONE},
    {1, 16, 96, 1100, 7, TB | NARROW, 1, 0, ISC_ACT_NONE},
    {1, 170, 200, 385, 29, BIAS, 1, 1, ISC_ACT_NONE},
    {1, 200, 450, 390, 97, TB | BIAS | PRE | NARROW, 1, 0, ISC_ACT_GELU_TANH},
    {1, 323, 192, 700, 97, TA, 0.5f, 1, ISC_ACT_NONE},
    {1, 70, 96, 1088, 7, TB | BIAS | NARROW | EVEN, 1, 0, ISC_ACT_GELU_TANH},
    {1, 21, 72, 128, 1, NARROW | EVEN, 0.5f, 1, ISC_ACT_NONE},
    {2, 40, 136, 64, 5, TA | BIAS | EVEN, 1, 0, ISC_ACT_NONE},
    {0, 3, 3, 3, 1, BIAS, 1, 0, ISC_ACT_RELU},
    {1, 0, 3, 3, 1, NARROW, 1, 0, ISC_ACT_NONE},
    {2, 5, 9, 0, 1, BIAS | NARROW, 1, 0, ISC_ACT_RELU},
};

/* Products whose rows may depend on each other, as those of training; HALF: of bf16. */
static const struct product DEPENDENT[] = {
    {1, 5, 7, 9, 1, BIAS | PRE, 1, 0, ISC_ACT_GELU_TANH},
    {1, 50, 32, 16, 1, TB | BIAS, 1, 0, ISC_ACT_NONE},
    {1, 33, 24, 50, 1, TA, -1, 1, ISC_ACT_NONE},
    {1, 19, 37, 445, 1, BIAS | PRE, 0.5f, 0.5f, ISC_ACT_SILU},
    {1, 20, 37, 45, 1, BIAS, 1, 0, ISC_ACT_RELU},
    {1, 20, 37, 45, 1, PRE, 1, 0, ISC_ACT_NONE},
    {3, 20, 15, 30, 1, TB | SHARED, 1, 0, ISC_ACT_NONE},
    {3, 130, 70, 20, 5, TA | BIAS, 2, 1, ISC_ACT_NONE},
    {1, 50, 33, 17, 1, TB | HALF | BIAS | PRE | NARROW, 1, 0, ISC_ACT_GELU_TANH},
    {1, 16, 96, 1100, 7, TB | HALF | NARROW, 1, 0, ISC_ACT_NONE},
    {1, 323, 192, 700, 97, TA | HALF, 0.5f, 1, ISC_ACT_NONE},
    {1, 64, 192, 300, 97, TA | TB | HALF, 1, 0, ISC_ACT_NONE},
    {3, 20, 15, 30, 1, SHARED | HALF, 1, 0, ISC_ACT_NONE},
    {1, 0, 3, 3, 1, BIAS, 1, 0, ISC_ACT_NONE},
    {1, 5, 9, 0, 1, HALF, 1, 0.5f, ISC_ACT_NONE},
};

static isc_status make_product(isc_bench *b, const struct product *p, isc_dtype product,
                               bool dependent, isc_op_call *out) {
  bool ta = p->flags & TA, tb = p->flags & TB;
  isc_gemm g = {.batch = p->batch, .m = p->m, .n = p->n, .k = p->k, .product = product};
  isc_bench_role role = p->beta != 0 ? ISC_BENCH_INOUT : ISC_BENCH_OUT;
  isc_bench_type narrow = p->flags & NARROW ? ISC_BENCH_BF16 : ISC_BENCH_F32;
  isc_bench_begin(
      b, "gemm", "batch %lld of [%lld, %lld] x [%lld, %lld]%s%s, alpha %g, beta %g, act %d%s%s%s%s",
      (long long)p->batch, (long long)p->m, (long long)p->k, (long long)p->k, (long long)p->n,
      ta ? ", trans_a" : "", tb ? ", trans_b" : "", (double)p->alpha, (double)p->beta, (int)p->act,
      p->flags & BIAS ? ", bias" : "", product == ISC_BF16 ? ", product bf16" : "",
      p->flags & NARROW ? ", b bf16" : "", dependent ? ", dependent rows" : "");
  g.dependent_rows = dependent;
  g.b_dtype = p->flags & NARROW ? ISC_BF16 : ISC_F32;
  const int64_t gap = p->flags & EVEN ? 0 : 1;
  g.lda = (ta ? p->m : p->k) + 3 * gap;
  g.ldb = (tb ? p->k : p->n) + gap;
  g.ldc = p->n + 2 * gap;
  g.stride_a = (ta ? p->k : p->m) * g.lda + 5 * gap;
  g.stride_b = p->flags & SHARED ? 0 : (tb ? p->n : p->k) * g.ldb;
  g.stride_c = p->m * g.ldc + gap;
  int64_t b_items = p->flags & SHARED ? 1 : p->batch, b_item = (tb ? p->n : p->k) * g.ldb;
  ISC_TRY(isc_bench_array_new(b, "a", ISC_BENCH_IN, ISC_BENCH_F32, p->batch * g.stride_a, &g.a));
  ISC_TRY(isc_bench_array_new(b, "b", ISC_BENCH_IN, narrow, b_items * b_item, &g.b));
  ISC_TRY(isc_bench_array_new(b, "c", role, ISC_BENCH_F32, p->batch * g.stride_c, &g.c));
  if (p->flags & BIAS)
    ISC_TRY(isc_bench_array_new(b, "bias", ISC_BENCH_IN, ISC_BENCH_F32, p->n, &g.bias));
  if (p->flags & PRE)
    ISC_TRY(isc_bench_array_new(b, "pre", ISC_BENCH_OUT, ISC_BENCH_F32, g.stride_c, &g.pre));
  g.trans_a = ta;
  g.trans_b = tb;
  g.alpha = p->alpha;
  g.beta = p->beta;
  g.act = p->act;
  out->gemm = g;
  out->every = p->every;
  return ISC_OK;
}

static isc_status make_gemm(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  return make_product(b, &PRODUCTS[variant], ISC_F32, false, out);
}

static isc_status make_rounded(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  return make_product(b, &ROUNDED[variant], ISC_BF16, false, out);
}

static isc_status make_dependent(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  const struct product *p = &DEPENDENT[variant];
  (void)alias;
  return make_product(b, p, p->flags & HALF ? ISC_BF16 : ISC_F32, true, out);
}

static isc_status run_gemm(isc_bench *b, const isc_op_call *call) {
  isc_gemm g = call->gemm;
  g.a = isc_bench_at(b, g.a);
  g.b = isc_bench_at(b, g.b);
  g.c = isc_bench_at(b, g.c);
  g.bias = isc_bench_at(b, g.bias);
  g.pre = isc_bench_at(b, g.pre);
  return b->dev->ops->gemm(b->dev->impl, &g);
}

static isc_status expect_gemm(isc_bench *b, const isc_op_call *call) {
  isc_exact *c, *pre;
  ISC_TRY(isc_bench_want(b, call->gemm.c, &c));
  ISC_TRY(isc_bench_want(b, call->gemm.pre, &pre));
  isc_reference_gemm(&call->gemm, call->every, c, pre);
  return ISC_OK;
}

static int64_t rows_gemm(const isc_op_call *call) {
  return call->gemm.trans_a ? 0 : call->gemm.m;
}

static void slice_gemm(isc_op_call *call, int64_t first, int64_t n) {
  isc_gemm *g = &call->gemm;
  g->m = n;
  g->a += first * g->lda;
  g->c += first * g->ldc;
  if (g->pre) g->pre += first * g->ldc;
}

/* ---- elementwise */

static const int64_t LENGTHS[] = {9, 1, 2, 15, 16, 17, 31, 64, 1003, 70001, 0};

/* x (and y) to out; `alias` 1: out is x, 2: out is y. `keep`: out is added to. */
static isc_status make_flat(isc_bench *b, const char *op, int64_t variant, int64_t alias,
                            int64_t inputs, isc_bench_role role, isc_op_call *out) {
  int64_t n = LENGTHS[variant];
  isc_flat f = {.n = n, .alpha = 0.3f};
  const char *const where[] = {"", ", out is the first input", ", out is the second input"};
  isc_bench_role x = alias == 1 ? ISC_BENCH_INOUT : ISC_BENCH_IN,
                 y = alias == 2 ? ISC_BENCH_INOUT : ISC_BENCH_IN;
  isc_bench_begin(b, op, "n %lld%s", (long long)n, where[alias]);
  ISC_TRY(isc_bench_array_new(b, "x", x, ISC_BENCH_F32, n, &f.x));
  if (inputs > 1) ISC_TRY(isc_bench_array_new(b, "y", y, ISC_BENCH_F32, n, &f.y));
  if (alias)
    f.out = (float *)(uintptr_t)(alias == 1 ? f.x : f.y);
  else
    ISC_TRY(isc_bench_array_new(b, "out", role, ISC_BENCH_F32, n, &f.out));
  out->flat = f;
  return ISC_OK;
}

/* All activations take their turn, and arguments reach from tiny to large. */
static isc_status make_acts(isc_bench *b, const char *op, int64_t variant, int64_t alias,
                            int64_t inputs, isc_op_call *out) {
  ISC_TRY(make_flat(b, op, variant / 6, alias, inputs, ISC_BENCH_OUT, out));
  out->flat.act = (isc_act)(variant % 6);
  size_t used = strlen(b->shape);
  snprintf(b->shape + used, sizeof b->shape - used, ", act %d", (int)out->flat.act);
  float *x = (float *)(uintptr_t)out->flat.x;
  for (int64_t i = 0; i < out->flat.n; i++)
    x[i] *= i % 3 == 0 ? 1.0f : i % 3 == 1 ? 5.0f : 1e-3f;
  return ISC_OK;
}

static isc_status make_act(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  return make_acts(b, "act", variant, alias, 1, out);
}

/* x is the argument, y the gradient that came, out the one that goes on; it may be y. */
static isc_status make_act_grad(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  return make_acts(b, "act_grad", variant, alias ? 2 : 0, 2, out);
}

static isc_status make_add(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  return make_flat(b, "add", variant, alias, 2, ISC_BENCH_OUT, out);
}

static isc_status make_mul(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  return make_flat(b, "mul", variant, alias, 2, ISC_BENCH_OUT, out);
}

static isc_status make_axpy(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  return make_flat(b, "axpy", variant, 0, 1, ISC_BENCH_INOUT, out);
}

static isc_status run_act(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->act(b->dev->impl, f->act, f->n, isc_bench_at(b, f->x),
                          isc_bench_at(b, f->out));
}

static isc_status run_act_grad(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->act_grad(b->dev->impl, f->act, f->n, isc_bench_at(b, f->x),
                               isc_bench_at(b, f->y), isc_bench_at(b, f->out));
}

static isc_status run_add(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->add(b->dev->impl, f->n, isc_bench_at(b, f->x), isc_bench_at(b, f->y),
                          isc_bench_at(b, f->out));
}

static isc_status run_mul(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->mul(b->dev->impl, f->n, isc_bench_at(b, f->x), isc_bench_at(b, f->y),
                          isc_bench_at(b, f->out));
}

static isc_status run_axpy(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->axpy(b->dev->impl, f->n, f->alpha, isc_bench_at(b, f->x),
                           isc_bench_at(b, f->out));
}

static isc_status expect_act(isc_bench *b, const isc_op_call *call) {
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, call->flat.out, &out));
  isc_reference_acts(call->flat.act, call->flat.n, call->flat.x, out);
  return ISC_OK;
}

static isc_status expect_act_grad(isc_bench *b, const isc_op_call *call) {
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, call->flat.out, &out));
  isc_reference_act_grad(call->flat.act, call->flat.n, call->flat.x, call->flat.y, out);
  return ISC_OK;
}

static isc_status expect_add(isc_bench *b, const isc_op_call *call) {
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, call->flat.out, &out));
  isc_reference_add(call->flat.n, call->flat.x, call->flat.y, out);
  return ISC_OK;
}

static isc_status expect_mul(isc_bench *b, const isc_op_call *call) {
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, call->flat.out, &out));
  isc_reference_mul(call->flat.n, call->flat.x, call->flat.y, out);
  return ISC_OK;
}

static isc_status expect_axpy(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, f->out, &out));
  isc_reference_axpy(f->n, f->alpha, f->x, f->out, out);
  return ISC_OK;
}

/* ---- to bf16 */

/* Of every four numbers one lies half-way between two of bf16, and two right beside such a place. */
static void bring_between(float *x, int64_t n) {
  static const uint32_t low[] = {0x8000, 0x7FFF, 0x8001};
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    if (i % 4 == 3) continue;
    memcpy(&bits, x + i, sizeof bits);
    bits = (bits & 0xFFFF0000u) | low[i % 4];
    memcpy(x + i, &bits, sizeof bits);
  }
}

static isc_status make_to_bf16(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_flat f = {.n = LENGTHS[variant]};
  (void)alias;
  isc_bench_begin(b, "to_bf16", "n %lld", (long long)f.n);
  ISC_TRY(isc_bench_array_new(b, "x", ISC_BENCH_IN, ISC_BENCH_F32, f.n, &f.x));
  bring_between((float *)(uintptr_t)f.x, f.n);
  ISC_TRY(isc_bench_array_new(b, "out", ISC_BENCH_OUT, ISC_BENCH_BF16, f.n, &f.half));
  out->flat = f;
  return ISC_OK;
}

static isc_status run_to_bf16(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->to_bf16(b->dev->impl, f->n, isc_bench_at(b, f->x), isc_bench_at(b, f->half));
}

static isc_status expect_to_bf16(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, f->half, &out));
  for (int64_t i = 0; i < f->n; i++)
    out[i] = isc_exact_of((double)isc_reference_bf16(f->x[i]));
  return ISC_OK;
}

enum { SOME = 10, NONE = 1 }; /* of LENGTHS */

const isc_op isc_ops_dense[] = {
    {"gemm", 0, COUNT(PRODUCTS) - 5, 5, 0, make_gemm, run_gemm, expect_gemm, rows_gemm, slice_gemm},
    {"gemm", 1, COUNT(ROUNDED) - 3, 3, 0, make_rounded, run_gemm, expect_gemm, rows_gemm,
     slice_gemm},
    {"gemm", 1, COUNT(DEPENDENT) - 2, 2, 0, make_dependent, run_gemm, expect_gemm, NULL, NULL},
    {"act", 0, 6 * SOME, 6 * NONE, 1, make_act, run_act, expect_act, NULL, NULL},
    {"act-grad", 0, 6 * SOME, 6 * NONE, 1, make_act_grad, run_act_grad, expect_act_grad, NULL,
     NULL},
    {"add", 0, SOME, NONE, 2, make_add, run_add, expect_add, NULL, NULL},
    {"axpy", 0, SOME, NONE, 0, make_axpy, run_axpy, expect_axpy, NULL, NULL},
    {"mul", 0, SOME, NONE, 2, make_mul, run_mul, expect_mul, NULL, NULL},
    {"to-bf16", 1, SOME, NONE, 0, make_to_bf16, run_to_bf16, expect_to_bf16, NULL, NULL},
    {0}};
