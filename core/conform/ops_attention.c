/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems for causal attention and its gradient.
 *
 * Strides leave gaps, as in a fused qkv or a cache longer than the sequence, and what lies beyond a sequence is NaN.
 */
#include "conform/ops.h"
#include <stdlib.h>
#include <string.h>

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

static const struct shape {
  int64_t batch, len, past, heads, kv_heads, d;
} SHAPES[] = {
    {2, 5, 0, 2, 2, 4},   {1, 1, 0, 1, 1, 1},   {2, 3, 0, 3, 3, 3},   {3, 24, 0, 2, 2, 16},
    {1, 33, 0, 2, 1, 17}, {2, 65, 0, 2, 2, 32}, {3, 6, 0, 6, 2, 64},  {1, 130, 0, 4, 4, 16},
    {1, 1, 9, 2, 2, 8},   {3, 1, 40, 4, 2, 33}, {2, 7, 20, 2, 2, 64}, {0, 3, 0, 1, 1, 4},
    {2, 0, 0, 1, 1, 4},
};
enum { WHOLE = 8, EMPTY = 2 }; /* of them without a past, which is all that has a gradient */

/* With what ABI 1.1 added; those without a past come first here too. */
static const struct limited {
  struct shape shape;
  float soft_cap;
  int64_t window;
  isc_dtype product;
} LIMITED[] = {
    {{2, 5, 0, 2, 2, 4}, 1.5f, 3, ISC_F32},   {{1, 33, 0, 2, 1, 17}, 1.5f, 0, ISC_F32},
    {{2, 24, 0, 4, 2, 16}, 0, 7, ISC_F32},    {{1, 65, 0, 2, 1, 32}, 2, 16, ISC_F32},
    {{1, 130, 0, 2, 2, 16}, 1, 64, ISC_F32},  {{2, 9, 0, 2, 1, 8}, 0, 1, ISC_F32},
    {{1, 7, 0, 2, 2, 64}, 3, 100, ISC_F32},   {{2, 19, 0, 2, 2, 16}, 0, 0, ISC_BF16},
    {{1, 37, 0, 4, 2, 32}, 2, 11, ISC_BF16},  {{1, 1, 40, 4, 2, 33}, 2, 16, ISC_F32},
    {{2, 7, 60, 2, 1, 64}, 0, 20, ISC_F32},   {{1, 3, 20, 2, 2, 8}, 1.5f, 0, ISC_F32},
    {{3, 1, 150, 4, 1, 16}, 0, 128, ISC_F32}, {{2, 2, 30, 2, 1, 16}, 1.5f, 9, ISC_BF16},
};
enum { LIMITED_WHOLE = 9 };

static void beyond(const isc_attention *a, const float *x) {
  for (int64_t i = 0; i < a->batch * a->kv_batch; i++)
    if (i % a->kv_batch >= (a->past + a->q_len) * a->kv_row) ((float *)(uintptr_t)x)[i] = NAN;
}

static isc_status make_problem(isc_bench *b, const char *op, const struct shape *s,
                               isc_attention *out) {
  isc_attention a = {.batch = s->batch,
                     .q_len = s->len,
                     .past = s->past,
                     .n_head = s->heads,
                     .n_kv_head = s->kv_heads,
                     .d_head = s->d,
                     .scale = 0.37f};
  isc_bench_begin(b, op, "batch %lld, q_len %lld, past %lld, heads %lld of %lld, d_head %lld",
                  (long long)s->batch, (long long)s->len, (long long)s->past, (long long)s->heads,
                  (long long)s->kv_heads, (long long)s->d);
  a.q_row = s->heads * s->d + 3;
  a.q_batch = s->len * a.q_row + 1;
  a.kv_row = s->kv_heads * s->d + 2;
  a.kv_batch = (s->past + s->len + 2) * a.kv_row;
  a.out_row = s->heads * s->d + 1;
  a.out_batch = s->len * a.out_row + 4;
  int64_t q = s->batch * a.q_batch, kv = s->batch * a.kv_batch;
  ISC_TRY(isc_bench_array_new(b, "q", ISC_BENCH_IN, ISC_BENCH_F32, q, &a.q));
  ISC_TRY(isc_bench_array_new(b, "k", ISC_BENCH_IN, ISC_BENCH_F32, kv, &a.k));
  ISC_TRY(isc_bench_array_new(b, "v", ISC_BENCH_IN, ISC_BENCH_F32, kv, &a.v));
  beyond(&a, a.k);
  beyond(&a, a.v);
  *out = a;
  return ISC_OK;
}

static isc_status add_outputs(isc_bench *b, bool lse, isc_attention *a) {
  int64_t outs = a->batch * a->out_batch, lses = a->batch * a->n_head * a->q_len;
  ISC_TRY(isc_bench_array_new(b, "out", ISC_BENCH_OUT, ISC_BENCH_F32, outs, &a->out));
  if (!lse) return ISC_OK;
  return isc_bench_array_new(b, "lse", ISC_BENCH_OUT, ISC_BENCH_F32, lses, &a->lse);
}

/* Every third problem does not ask for lse. */
static isc_status make_attention(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  ISC_TRY(make_problem(b, "attention", &SHAPES[variant], &out->attention));
  return add_outputs(b, variant % 3 != 2, &out->attention);
}

static isc_status make_limits(isc_bench *b, const char *op, int64_t variant, isc_attention *a) {
  const struct limited *s = &LIMITED[variant];
  ISC_TRY(make_problem(b, op, &s->shape, a));
  a->soft_cap = s->soft_cap;
  a->window = s->window;
  a->product = s->product;
  size_t used = strlen(b->shape);
  snprintf(b->shape + used, sizeof b->shape - used, ", soft_cap %g, window %lld%s",
           (double)s->soft_cap, (long long)s->window, s->product == ISC_BF16 ? ", bf16" : "");
  return ISC_OK;
}

static isc_status make_limited(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  ISC_TRY(make_limits(b, "attention", variant, &out->attention));
  return add_outputs(b, variant % 3 != 2, &out->attention);
}

/* The out and lse that a forward pass gives: from the reference, rounded once. */
static isc_status fill_forward(isc_attention *a, int64_t outs, int64_t lses) {
  void *out = NULL, *lse = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_calloc((size_t)outs, sizeof(isc_exact), "an attention's output", &out));
  ISC_GO(isc_calloc((size_t)lses, sizeof(isc_exact), "an attention's sums", &lse));
  ISC_GO(isc_reference_attention(a, out, lse));
  for (int64_t i = 0; i < outs; i++)
    a->out[i] = (float)((isc_exact *)out)[i].value;
  for (int64_t i = 0; i < lses; i++)
    a->lse[i] = (float)((isc_exact *)lse)[i].value;
done:
  free(out);
  free(lse);
  return st;
}

static isc_status add_gradients(isc_bench *b, isc_attention *a) {
  int64_t outs = a->batch * a->out_batch, lses = a->batch * a->n_head * a->q_len;
  int64_t q = a->batch * a->q_batch, kv = a->batch * a->kv_batch;
  ISC_TRY(isc_bench_array_new(b, "out", ISC_BENCH_IN, ISC_BENCH_F32, outs, &a->out));
  ISC_TRY(isc_bench_array_new(b, "lse", ISC_BENCH_IN, ISC_BENCH_F32, lses, &a->lse));
  ISC_TRY(isc_bench_array_new(b, "dout", ISC_BENCH_IN, ISC_BENCH_F32, outs, &a->dout));
  ISC_TRY(fill_forward(a, outs, lses));
  ISC_TRY(isc_bench_array_new(b, "dq", ISC_BENCH_OUT, ISC_BENCH_F32, q, &a->dq));
  ISC_TRY(isc_bench_array_new(b, "dk", ISC_BENCH_OUT, ISC_BENCH_F32, kv, &a->dk));
  return isc_bench_array_new(b, "dv", ISC_BENCH_OUT, ISC_BENCH_F32, kv, &a->dv);
}

static isc_status make_attention_grad(isc_bench *b, int64_t variant, int64_t alias,
                                      isc_op_call *out) {
  int64_t at = variant < WHOLE ? variant : variant - WHOLE + COUNT(SHAPES) - EMPTY;
  (void)alias;
  ISC_TRY(make_problem(b, "attention_grad", &SHAPES[at], &out->attention));
  return add_gradients(b, &out->attention);
}

static isc_status make_limited_grad(isc_bench *b, int64_t variant, int64_t alias,
                                    isc_op_call *out) {
  (void)alias;
  ISC_TRY(make_limits(b, "attention_grad", variant, &out->attention));
  return add_gradients(b, &out->attention);
}

static isc_attention at_device(const isc_bench *b, const isc_op_call *call) {
  isc_attention a = call->attention;
  a.q = isc_bench_at(b, a.q);
  a.k = isc_bench_at(b, a.k);
  a.v = isc_bench_at(b, a.v);
  a.out = isc_bench_at(b, a.out);
  a.lse = isc_bench_at(b, a.lse);
  a.dout = isc_bench_at(b, a.dout);
  a.dq = isc_bench_at(b, a.dq);
  a.dk = isc_bench_at(b, a.dk);
  a.dv = isc_bench_at(b, a.dv);
  return a;
}

static isc_status run_attention(isc_bench *b, const isc_op_call *call) {
  isc_attention a = at_device(b, call);
  return b->dev->ops->attention(b->dev->impl, &a);
}

static isc_status run_attention_grad(isc_bench *b, const isc_op_call *call) {
  isc_attention a = at_device(b, call);
  return b->dev->ops->attention_grad(b->dev->impl, &a);
}

static isc_status expect_attention(isc_bench *b, const isc_op_call *call) {
  isc_exact *out, *lse;
  ISC_TRY(isc_bench_want(b, call->attention.out, &out));
  ISC_TRY(isc_bench_want(b, call->attention.lse, &lse));
  ISC_TRY(isc_reference_attention(&call->attention, out, lse));
  if (call->attention.product == ISC_BF16) isc_bench_loosen(b, ISC_EXACT_BF16);
  return ISC_OK;
}

static isc_status expect_attention_grad(isc_bench *b, const isc_op_call *call) {
  isc_exact *dq, *dk, *dv;
  ISC_TRY(isc_bench_want(b, call->attention.dq, &dq));
  ISC_TRY(isc_bench_want(b, call->attention.dk, &dk));
  ISC_TRY(isc_bench_want(b, call->attention.dv, &dv));
  isc_reference_attention_grad(&call->attention, dq, dk, dv);
  if (call->attention.product == ISC_BF16) isc_bench_loosen(b, ISC_EXACT_BF16);
  return ISC_OK;
}

static int64_t rows_attention(const isc_op_call *call) {
  return call->attention.batch;
}

static void slice_attention(isc_op_call *call, int64_t first, int64_t n) {
  isc_attention *a = &call->attention;
  a->batch = n;
  a->q += first * a->q_batch;
  a->k += first * a->kv_batch;
  a->v += first * a->kv_batch;
  a->out += first * a->out_batch;
  if (a->lse) a->lse += first * a->n_head * a->q_len;
}

const isc_op isc_ops_attention[] = {
    {"attention", 0, COUNT(SHAPES) - EMPTY, EMPTY, 0, make_attention, run_attention,
     expect_attention, rows_attention, slice_attention},
    {"attention-grad", 0, WHOLE, EMPTY, 0, make_attention_grad, run_attention_grad,
     expect_attention_grad, NULL, NULL},
    {"attention", 1, COUNT(LIMITED), 0, 0, make_limited, run_attention, expect_attention,
     rows_attention, slice_attention},
    {"attention-grad", 1, LIMITED_WHOLE, 0, 0, make_limited_grad, run_attention_grad,
     expect_attention_grad, NULL, NULL},
    {0}};
