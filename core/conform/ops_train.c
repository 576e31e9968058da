/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems for what training needs: the loss over a vocabulary, control layers, AdamW, the gradient's norm.
 */
#include "conform/ops.h"
#include <string.h>

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* ---- loss over a vocabulary */

enum { WEIGHTED = 1, DH = 2, DW = 4, FORWARD = 0 };
static const struct loss {
  int64_t rows, d, vocab, skip; /* skip: every skip-th row has no target */
  int flags;
} LOSSES[] = {{6, 5, 11, 3, WEIGHTED | DH | DW}, {1, 1, 1, 0, DH | DW},
              {5, 3, 2, 0, WEIGHTED | DH},       {9, 17, 33, 2, WEIGHTED | DW},
              {40, 8, 1200, 0, DH | DW},         {70, 24, 130, 3, FORWARD},
              {300, 2, 3000, 5, FORWARD},        {90, 33, 500, 4, WEIGHTED | DH | DW},
              {0, 3, 5, 0, WEIGHTED | DH | DW}};

/* What w is rounded to, beside it. */
static isc_status add_rounded(isc_bench *b, const float *w, int64_t n, const uint16_t **out) {
  uint16_t *half;
  ISC_TRY(isc_bench_array_new(b, "w_bf16", ISC_BENCH_IN, ISC_BENCH_BF16, n, &half));
  for (int64_t i = 0; i < n; i++) {
    const float x = isc_reference_bf16(w[i]);
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    half[i] = (uint16_t)(bits >> 16);
  }
  *out = half;
  return ISC_OK;
}

/* Of every four problems of bf16 two have w in bf16 too. */
static isc_status make_loss(isc_bench *b, int64_t variant, isc_dtype product, bool dependent,
                            isc_op_call *out) {
  const struct loss *s = &LOSSES[variant];
  isc_xent a = {.rows = s->rows,
                .d = s->d,
                .vocab = s->vocab,
                .product = product,
                .dependent_rows = dependent};
  int64_t n = s->rows * s->d, table = s->vocab * s->d;
  const bool rounded = product == ISC_BF16 && variant % 4 > 1;
  isc_bench_begin(b, "xent", "[%lld, %lld], vocabulary %lld%s%s%s%s%s%s", (long long)s->rows,
                  (long long)s->d, (long long)s->vocab, s->flags & WEIGHTED ? ", weighted" : "",
                  s->flags & DH ? ", dh" : "", s->flags & DW ? ", dw" : "",
                  product == ISC_BF16 ? ", product bf16" : "", rounded ? ", w_bf16" : "",
                  dependent ? ", dependent rows" : "");
  ISC_TRY(isc_bench_array_new(b, "h", ISC_BENCH_IN, ISC_BENCH_F32, n, &a.h));
  ISC_TRY(isc_bench_array_new(b, "w", ISC_BENCH_IN, ISC_BENCH_F32, table, &a.w));
  if (rounded) ISC_TRY(add_rounded(b, a.w, table, &a.w_bf16));
  ISC_TRY(isc_bench_array_new(b, "target", ISC_BENCH_IN, ISC_BENCH_I32, s->rows, &a.target));
  for (int64_t i = 0; i < s->rows; i++)
    ((int32_t *)(uintptr_t)a.target)[i] =
        s->skip && i % s->skip == 1 ? -1 : (int32_t)(i * 7 % s->vocab);
  if (s->flags & WEIGHTED)
    ISC_TRY(isc_bench_array_new(b, "weight", ISC_BENCH_IN, ISC_BENCH_F32, s->rows, &a.weight));
  ISC_TRY(isc_bench_array_new(b, "logp", ISC_BENCH_OUT, ISC_BENCH_F32, s->rows, &a.logp));
  if (s->flags & DH) ISC_TRY(isc_bench_array_new(b, "dh", ISC_BENCH_OUT, ISC_BENCH_F32, n, &a.dh));
  if (s->flags & DW)
    ISC_TRY(isc_bench_array_new(b, "dw", ISC_BENCH_INOUT, ISC_BENCH_F32, table, &a.dw));
  out->xent = a;
  return ISC_OK;
}

static isc_status make_xent(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  return make_loss(b, variant, ISC_F32, false, out);
}

static isc_status make_rounded(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  return make_loss(b, variant, ISC_BF16, false, out);
}

static isc_status make_dependent(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  return make_loss(b, variant, variant % 2 ? ISC_BF16 : ISC_F32, true, out);
}

static isc_status run_xent(isc_bench *b, const isc_op_call *call) {
  isc_xent a = call->xent;
  a.h = isc_bench_at(b, a.h);
  a.w = isc_bench_at(b, a.w);
  a.w_bf16 = isc_bench_at(b, a.w_bf16);
  a.target = isc_bench_at(b, a.target);
  a.weight = isc_bench_at(b, a.weight);
  a.logp = isc_bench_at(b, a.logp);
  a.dh = isc_bench_at(b, a.dh);
  a.dw = isc_bench_at(b, a.dw);
  return b->dev->ops->xent(b->dev->impl, &a);
}

static isc_status expect_xent(isc_bench *b, const isc_op_call *call) {
  isc_exact *logp, *dh, *dw;
  ISC_TRY(isc_bench_want(b, call->xent.logp, &logp));
  ISC_TRY(isc_bench_want(b, call->xent.dh, &dh));
  ISC_TRY(isc_bench_want(b, call->xent.dw, &dw));
  ISC_TRY(isc_reference_xent(&call->xent, logp, dh, dw));
  if (call->xent.product == ISC_BF16) isc_bench_loosen(b, ISC_EXACT_BF16);
  return ISC_OK;
}

static int64_t rows_xent(const isc_op_call *call) {
  return call->xent.rows;
}

/* logp alone is promised: the gradient of w is a sum over rows. */
static void slice_xent(isc_op_call *call, int64_t first, int64_t n) {
  isc_xent *a = &call->xent;
  a->rows = n;
  a->h += first * a->d;
  a->target += first;
  a->logp += first;
  if (a->weight) a->weight += first;
  a->dh = a->dw = NULL;
}

/* ---- control layers */

static const int64_t CONTROLS[][4] = {{2, 3, 2, 5},    {1, 1, 1, 1},    {2, 17, 8, 33},
                                      {5, 2, 33, 100}, {3, 24, 32, 64}, {0, 3, 2, 4},
                                      {2, 0, 2, 4}}; /* batch, len, heads, d */

static isc_status make_layer(isc_bench *b, const char *op, int64_t variant, int64_t alias,
                             isc_op_call *out) {
  const int64_t *s = CONTROLS[variant];
  isc_control a = {.batch = s[0],
                   .len = s[1],
                   .heads = s[2],
                   .d = s[3],
                   .scale = 0.3f,
                   .dependent_rows = out->control.dependent_rows};
  int64_t rows = s[0] * s[1] * s[3], heads = s[0] * s[2] * s[3];
  isc_bench_begin(b, op, "batch %lld, len %lld, heads %lld, d %lld%s%s", (long long)s[0],
                  (long long)s[1], (long long)s[2], (long long)s[3], alias ? ", out is x" : "",
                  a.dependent_rows ? ", dependent rows" : "");
  ISC_TRY(isc_bench_array_new(b, "hn", ISC_BENCH_IN, ISC_BENCH_F32, rows, &a.hn));
  ISC_TRY(isc_bench_array_new(b, "u", ISC_BENCH_IN, ISC_BENCH_F32, heads, &a.u));
  ISC_TRY(isc_bench_array_new(b, "v", ISC_BENCH_IN, ISC_BENCH_F32, heads, &a.v));
  out->control = a;
  return ISC_OK;
}

static isc_status make_control(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_control *a = &out->control;
  ISC_TRY(make_layer(b, "control", variant, alias, out));
  int64_t n = a->batch * a->len, heads = a->batch * a->heads;
  isc_bench_role x = alias ? ISC_BENCH_INOUT : ISC_BENCH_IN;
  ISC_TRY(isc_bench_array_new(b, "c", ISC_BENCH_IN, ISC_BENCH_F32, heads, &a->c));
  ISC_TRY(isc_bench_array_new(b, "x", x, ISC_BENCH_F32, n * a->d, &a->x));
  if (alias)
    a->out = (float *)(uintptr_t)a->x;
  else
    ISC_TRY(isc_bench_array_new(b, "out", ISC_BENCH_OUT, ISC_BENCH_F32, n * a->d, &a->out));
  return isc_bench_array_new(b, "omega", ISC_BENCH_OUT, ISC_BENCH_F32, n * a->heads, &a->omega);
}

/* omega as a forward pass gives it: within (-1, 1). */
static isc_status make_control_grad(isc_bench *b, int64_t variant, int64_t alias,
                                    isc_op_call *out) {
  isc_control *a = &out->control;
  ISC_TRY(make_layer(b, "control_grad", variant, alias, out));
  int64_t n = a->batch * a->len, heads = a->batch * a->heads;
  ISC_TRY(isc_bench_array_new(b, "omega", ISC_BENCH_IN, ISC_BENCH_F32, n * a->heads, &a->omega));
  for (int64_t i = 0; i < n * a->heads; i++)
    a->omega[i] = tanhf(a->omega[i]);
  ISC_TRY(isc_bench_array_new(b, "dout", ISC_BENCH_IN, ISC_BENCH_F32, n * a->d, &a->dout));
  if (variant != 1)
    ISC_TRY(isc_bench_array_new(b, "dhn", ISC_BENCH_INOUT, ISC_BENCH_F32, n * a->d, &a->dhn));
  ISC_TRY(isc_bench_array_new(b, "du", ISC_BENCH_OUT, ISC_BENCH_F32, heads * a->d, &a->du));
  ISC_TRY(isc_bench_array_new(b, "dv", ISC_BENCH_OUT, ISC_BENCH_F32, heads * a->d, &a->dv));
  return isc_bench_array_new(b, "dc", ISC_BENCH_OUT, ISC_BENCH_F32, heads, &a->dc);
}

/* Layers whose rows may depend on each other. */
static isc_status make_dependent_control(isc_bench *b, int64_t variant, int64_t alias,
                                         isc_op_call *out) {
  out->control.dependent_rows = true;
  return make_control(b, variant, alias, out);
}

static isc_status make_dependent_control_grad(isc_bench *b, int64_t variant, int64_t alias,
                                              isc_op_call *out) {
  out->control.dependent_rows = true;
  return make_control_grad(b, variant, alias, out);
}

static isc_control control_at(const isc_bench *b, const isc_op_call *call) {
  isc_control a = call->control;
  a.x = isc_bench_at(b, a.x);
  a.hn = isc_bench_at(b, a.hn);
  a.u = isc_bench_at(b, a.u);
  a.v = isc_bench_at(b, a.v);
  a.c = isc_bench_at(b, a.c);
  a.out = isc_bench_at(b, a.out);
  a.omega = isc_bench_at(b, a.omega);
  a.dout = isc_bench_at(b, a.dout);
  a.dhn = isc_bench_at(b, a.dhn);
  a.du = isc_bench_at(b, a.du);
  a.dv = isc_bench_at(b, a.dv);
  a.dc = isc_bench_at(b, a.dc);
  return a;
}

static isc_status run_control(isc_bench *b, const isc_op_call *call) {
  isc_control a = control_at(b, call);
  return b->dev->ops->control(b->dev->impl, &a);
}

static isc_status run_control_grad(isc_bench *b, const isc_op_call *call) {
  isc_control a = control_at(b, call);
  return b->dev->ops->control_grad(b->dev->impl, &a);
}

static isc_status expect_control(isc_bench *b, const isc_op_call *call) {
  isc_exact *out, *omega;
  ISC_TRY(isc_bench_want(b, call->control.out, &out));
  ISC_TRY(isc_bench_want(b, call->control.omega, &omega));
  isc_reference_control(&call->control, out, omega);
  return ISC_OK;
}

static isc_status expect_control_grad(isc_bench *b, const isc_op_call *call) {
  isc_exact *dhn, *du, *dv, *dc;
  ISC_TRY(isc_bench_want(b, call->control.dhn, &dhn));
  ISC_TRY(isc_bench_want(b, call->control.du, &du));
  ISC_TRY(isc_bench_want(b, call->control.dv, &dv));
  ISC_TRY(isc_bench_want(b, call->control.dc, &dc));
  isc_reference_control_grad(&call->control, dhn, du, dv, dc);
  return ISC_OK;
}

static int64_t rows_control(const isc_op_call *call) {
  return call->control.batch;
}

static void slice_control(isc_op_call *call, int64_t first, int64_t n) {
  isc_control *a = &call->control;
  a->batch = n;
  a->x += first * a->len * a->d;
  a->hn += first * a->len * a->d;
  a->u += first * a->heads * a->d;
  a->v += first * a->heads * a->d;
  a->c += first * a->heads;
  a->out += first * a->len * a->d;
  a->omega += first * a->len * a->heads;
}

/* ---- AdamW */

static const struct update {
  int64_t n[ISC_ADAMW_MOST], count, step;
  double weight_decay, scale;
} UPDATES[] = {
    {{9}, 1, 1, 0.01, 1},     {{1, 7, 16}, 3, 1, 0, 0.5}, {{5003, 1, 4096, 33}, 4, 1000, 0.1, 2},
    {{70001}, 1, 3, 0.01, 1}, {{0}, 0, 1, 0, 1},          {{0}, 1, 1, 0, 1}};

static isc_status make_adamw(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  const struct update *s = &UPDATES[variant];
  (void)alias;
  isc_bench_begin(b, "adamw", "%lld parameters, the first of %lld, step %lld", (long long)s->count,
                  (long long)s->n[0], (long long)s->step);
  out->n_adamw = s->count;
  for (int64_t k = 0; k < s->count; k++) {
    isc_adamw a = {.n = s->n[k],
                   .lr = 1e-3,
                   .beta1 = 0.9,
                   .beta2 = 0.999,
                   .eps = 1e-8,
                   .weight_decay = s->weight_decay,
                   .grad_scale = s->scale,
                   .step = s->step};
    ISC_TRY(isc_bench_array_new(b, "p", ISC_BENCH_INOUT, ISC_BENCH_F32, a.n, &a.p));
    ISC_TRY(isc_bench_array_new(b, "m", ISC_BENCH_INOUT, ISC_BENCH_F32, a.n, &a.m));
    ISC_TRY(isc_bench_array_new(b, "v", ISC_BENCH_INOUT, ISC_BENCH_F32, a.n, &a.v));
    ISC_TRY(isc_bench_array_new(b, "g", ISC_BENCH_IN, ISC_BENCH_F32, a.n, &a.g));
    for (int64_t i = 0; i < a.n; i++) {
      a.m[i] *= s->step > 1 ? 0.1f : 0;
      a.v[i] *= s->step > 1 ? a.v[i] * 0.01f : 0;
    }
    out->adamw[k] = a;
  }
  return ISC_OK;
}

static isc_status run_adamw(isc_bench *b, const isc_op_call *call) {
  isc_adamw a[ISC_ADAMW_MOST];
  const isc_adamw *list[ISC_ADAMW_MOST];
  for (int64_t k = 0; k < call->n_adamw; k++) {
    a[k] = call->adamw[k];
    a[k].p = isc_bench_at(b, a[k].p);
    a[k].m = isc_bench_at(b, a[k].m);
    a[k].v = isc_bench_at(b, a[k].v);
    a[k].g = isc_bench_at(b, a[k].g);
    list[k] = &a[k];
  }
  return b->dev->ops->adamw(b->dev->impl, list, call->n_adamw);
}

static isc_status expect_adamw(isc_bench *b, const isc_op_call *call) {
  for (int64_t k = 0; k < call->n_adamw; k++) {
    isc_exact *p, *m, *v;
    ISC_TRY(isc_bench_want(b, call->adamw[k].p, &p));
    ISC_TRY(isc_bench_want(b, call->adamw[k].m, &m));
    ISC_TRY(isc_bench_want(b, call->adamw[k].v, &v));
    isc_reference_adamw(&call->adamw[k], p, m, v);
  }
  return ISC_OK;
}

/* ---- sum_squares */

static const int64_t LENGTHS[] = {9, 1, 2, 33, 1003, 200003, 0};

static isc_status make_squares(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_flat f = {.n = LENGTHS[variant]};
  (void)alias;
  isc_bench_begin(b, "sum_squares", "n %lld", (long long)f.n);
  ISC_TRY(isc_bench_array_new(b, "x", ISC_BENCH_IN, ISC_BENCH_F32, f.n, &f.x));
  ISC_TRY(isc_bench_array_new(b, "host_out", ISC_BENCH_OUT, ISC_BENCH_HOST_F64, 1, &f.sum));
  out->flat = f;
  return ISC_OK;
}

static isc_status run_squares(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->sum_squares(b->dev->impl, f->n, isc_bench_at(b, f->x),
                                  isc_bench_at(b, f->sum));
}

static isc_status expect_squares(isc_bench *b, const isc_op_call *call) {
  isc_exact *sum;
  ISC_TRY(isc_bench_want(b, call->flat.sum, &sum));
  *sum = isc_reference_sum_squares(call->flat.n, call->flat.x);
  return ISC_OK;
}

const isc_op isc_ops_train[] = {
    {"xent", 0, COUNT(LOSSES) - 1, 1, 0, make_xent, run_xent, expect_xent, rows_xent, slice_xent},
    {"xent", 1, COUNT(LOSSES) - 1, 1, 0, make_rounded, run_xent, expect_xent, rows_xent,
     slice_xent},
    {"xent", 1, COUNT(LOSSES) - 1, 1, 0, make_dependent, run_xent, expect_xent, NULL, NULL},
    {"control", 0, COUNT(CONTROLS) - 2, 2, 1, make_control, run_control, expect_control,
     rows_control, slice_control},
    {"control-grad", 0, COUNT(CONTROLS) - 2, 2, 0, make_control_grad, run_control_grad,
     expect_control_grad, NULL, NULL},
    {"control", 1, COUNT(CONTROLS) - 2, 2, 1, make_dependent_control, run_control, expect_control,
     NULL, NULL},
    {"control-grad", 1, COUNT(CONTROLS) - 2, 2, 0, make_dependent_control_grad, run_control_grad,
     expect_control_grad, NULL, NULL},
    {"adamw", 0, COUNT(UPDATES) - 2, 2, 0, make_adamw, run_adamw, expect_adamw, NULL, NULL},
    {"sum-squares", 0, COUNT(LENGTHS) - 1, 1, 0, make_squares, run_squares, expect_squares, NULL,
     NULL},
    {0}};
