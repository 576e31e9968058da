/* SPDX-License-Identifier: Apache-2.0
 *
 * The two operations peculiar to training the generator: the control layer and the vocabulary loss.
 *
 * A control layer is five small products per sequence, so a thread takes whole sequences and their
 * intermediates stay in its cache. The loss goes through the rows in blocks whose size depends on
 * the vocabulary alone, so that the order of the sums into dw does too.
 */
#ifndef ISC_CPU_TRAIN_H
#define ISC_CPU_TRAIN_H

#include "gemm.h"

/* ---- control layer */

typedef struct control_args {
  const isc_control *a;
  char *own; /* of a thread: packed blocks, then ds [len, heads], then scaled c [heads] */
  size_t own_size;
} control_args;

static void control_item(const isc_control *a, int64_t b, float *pack, float *bias) {
  const int64_t td = b * a->len * a->d, hd = b * a->heads * a->d;
  float *omega = a->omega + b * a->len * a->heads;
  for (int64_t m = 0; m < a->heads; m++)
    bias[m] = a->scale * a->c[b * a->heads + m];
  const isc_gemm score = {.m = a->len,
                          .n = a->heads,
                          .k = a->d,
                          .a = a->hn + td,
                          .lda = a->d,
                          .b = a->u + hd,
                          .ldb = a->d,
                          .trans_b = true,
                          .c = omega,
                          .ldc = a->heads,
                          .alpha = a->scale,
                          .bias = bias,
                          .act = ISC_ACT_TANH};
  gemm_block(&score, 0, a->len, 0, a->heads, pack);
  if (a->out != a->x) memcpy(a->out + td, a->x + td, (size_t)(a->len * a->d) * sizeof(float));
  const isc_gemm value = {.m = a->len,
                          .n = a->d,
                          .k = a->heads,
                          .a = omega,
                          .lda = a->heads,
                          .b = a->v + hd,
                          .ldb = a->d,
                          .c = a->out + td,
                          .ldc = a->d,
                          .alpha = 1,
                          .beta = 1};
  gemm_block(&value, 0, a->len, 0, a->d, pack);
}

static void control_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const control_args *t = ctx;
  float *pack = (float *)(void *)(t->own + (size_t)thread * t->own_size);
  for (int64_t b = begin; b < end; b++)
    control_item(t->a, b, pack, pack + PACK_FLOATS + t->a->len * t->a->heads);
}

static void control_grad_item(const isc_control *a, int64_t b, float *pack, float *ds) {
  const int64_t td = b * a->len * a->d, hd = b * a->heads * a->d, th = a->len * a->heads;
  const float *omega = a->omega + b * th;
  const isc_gemm score = {.m = a->len,
                          .n = a->heads,
                          .k = a->d,
                          .a = a->dout + td,
                          .lda = a->d,
                          .b = a->v + hd,
                          .ldb = a->d,
                          .trans_b = true,
                          .c = ds,
                          .ldc = a->heads,
                          .alpha = 1};
  gemm_block(&score, 0, a->len, 0, a->heads, pack);
  for (int64_t i = 0; i < th; i += W) {
    const vf w = vload_part(omega + i, th - i, 0.0f), s = vload_part(ds + i, th - i, 0.0f);
    vstore_part(ds + i, th - i, s * (vset1(1.0f) - w * w) * vset1(a->scale));
  }
  isc_gemm sum = {.m = a->heads,
                  .n = a->d,
                  .k = a->len,
                  .a = omega,
                  .lda = a->heads,
                  .trans_a = true,
                  .b = a->dout + td,
                  .ldb = a->d,
                  .c = a->dv + hd,
                  .ldc = a->d,
                  .alpha = 1};
  gemm_block(&sum, 0, a->heads, 0, a->d, pack);
  sum.a = ds;
  sum.b = a->hn + td;
  sum.c = a->du + hd;
  gemm_block(&sum, 0, a->heads, 0, a->d, pack);
  float *dc = a->dc + b * a->heads;
  memset(dc, 0, (size_t)a->heads * sizeof *dc);
  for (int64_t i = 0; i < a->len; i++)
    for (int64_t m = 0; m < a->heads; m++)
      dc[m] += ds[i * a->heads + m];
  if (!a->dhn) return;
  const isc_gemm back = {.m = a->len,
                         .n = a->d,
                         .k = a->heads,
                         .a = ds,
                         .lda = a->heads,
                         .b = a->u + hd,
                         .ldb = a->d,
                         .c = a->dhn + td,
                         .ldc = a->d,
                         .alpha = 1,
                         .beta = 1};
  gemm_block(&back, 0, a->len, 0, a->d, pack);
}

static void control_grad_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const control_args *t = ctx;
  float *pack = (float *)(void *)(t->own + (size_t)thread * t->own_size);
  for (int64_t b = begin; b < end; b++)
    control_grad_item(t->a, b, pack, pack + PACK_FLOATS);
}

static isc_status control_run(cpu *c, const isc_control *a, int products, cpu_job *job) {
  control_args t = {.a = a};
  t.own_size = cpu_round64((PACK_FLOATS + (size_t)(a->len + 1) * (size_t)a->heads) * sizeof(float));
  ISC_TRY(cpu_scratch(c, CPU_INNER, 0, t.own_size, NULL, &t.own));
  const int64_t each = 1 + products * a->len * a->heads * a->d;
  cpu_for(c, a->batch, 1 + CPU_GEMM_SERIAL / each, job, &t);
  return ISC_OK;
}

static isc_status control(cpu *c, const isc_control *a) {
  if (a->batch <= 0 || a->len <= 0 || a->d <= 0) return ISC_OK;
  return control_run(c, a, 2, control_job);
}

static isc_status control_grad(cpu *c, const isc_control *a) {
  if (a->batch <= 0 || a->heads <= 0) return ISC_OK;
  return control_run(c, a, 4, control_grad_job);
}

/* ---- loss over a vocabulary */

typedef struct xent_block {
  const isc_xent *a;
  const int64_t *row; /* [n] rows of the call that have a target, or NULL: first … first + n - 1 */
  int64_t first, n;
  float *logits; /* [n, vocab]; becomes the gradient to the logits when `gradient` */
  float *h;      /* [n, d] gathered rows (with `row`)                              */
  bool gradient;
} xent_block;

static int64_t xent_row(const xent_block *x, int64_t i) {
  return x->row ? x->row[i] : x->first + i;
}

/* l[j] ← exp(l[j] − max); returns the sum, added up in double by runs of at most 1024. */
static double xent_exp(float *l, int64_t n, float max) {
  double sum = 0;
  for (int64_t j0 = 0; j0 < n; j0 += 1024) {
    const int64_t j1 = min64(j0 + 1024, n);
    vf s = vzero();
    for (int64_t j = j0; j < j1; j += W) {
      const vf e = vexp(vload_part(l + j, j1 - j, -INFINITY) - vset1(max));
      vstore_part(l + j, j1 - j, e);
      s += e;
    }
    sum += (double)vsum(s);
  }
  return sum;
}

static void xent_row_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const xent_block *x = ctx;
  const int64_t vocab = x->a->vocab;
  (void)thread;
  for (int64_t i = begin; i < end; i++) {
    const int64_t r = xent_row(x, i), target = x->a->target[r];
    float *l = x->logits + i * vocab;
    vf m = vset1(-INFINITY);
    for (int64_t j = 0; j < vocab; j += W)
      m = vmax(m, vload_part(l + j, vocab - j, -INFINITY));
    const float max = vmaxlane(m), at = l[target] - max;
    const double sum = xent_exp(l, vocab, max);
    x->a->logp[r] = (float)((double)at - log(sum));
    if (!x->gradient) continue;
    const float weight = x->a->weight ? x->a->weight[r] : 1.0f, f = (float)((double)weight / sum);
    for (int64_t j = 0; j < vocab; j += W)
      vstore_part(l + j, vocab - j, vload_part(l + j, vocab - j, 0.0f) * vset1(f));
    l[target] -= weight;
  }
}

/* w as its products read it. */
INLINE isc_dtype xent_weights_dtype(const isc_xent *a) {
  return a->w_bf16 && a->product == ISC_BF16 ? ISC_BF16 : ISC_F32;
}
INLINE const float *xent_weights(const isc_xent *a) {
  return xent_weights_dtype(a) == ISC_BF16 ? (const float *)(const void *)a->w_bf16 : a->w;
}

static isc_status xent_run(cpu *c, xent_block *x) {
  const isc_xent *a = x->a;
  const size_t row = (size_t)a->d * sizeof(float);
  const float *h = x->row ? x->h : a->h + x->first * a->d;
  for (int64_t i = 0; x->row && i < x->n; i++)
    memcpy(x->h + i * a->d, a->h + x->row[i] * a->d, row);
  const isc_gemm logits = {.batch = 1,
                           .m = x->n,
                           .n = a->vocab,
                           .k = a->d,
                           .a = h,
                           .lda = a->d,
                           .b = xent_weights(a),
                           .b_dtype = xent_weights_dtype(a),
                           .ldb = a->d,
                           .trans_b = true,
                           .c = x->logits,
                           .ldc = a->vocab,
                           .alpha = 1,
                           .product = a->product};
  ISC_TRY(gemm(c, &logits));
  cpu_for(c, x->n, 1 + 16384 / a->vocab, xent_row_job, x);
  if (a->dw) {
    const isc_gemm dw = {.batch = 1,
                         .m = a->vocab,
                         .n = a->d,
                         .k = x->n,
                         .a = x->logits,
                         .lda = a->vocab,
                         .trans_a = true,
                         .b = h,
                         .ldb = a->d,
                         .c = a->dw,
                         .ldc = a->d,
                         .alpha = 1,
                         .beta = 1,
                         .product = a->product};
    ISC_TRY(gemm(c, &dw));
  }
  if (!a->dh) return ISC_OK;
  float *dh = x->row ? x->h : a->dh + x->first * a->d;
  const isc_gemm back = {.batch = 1,
                         .m = x->n,
                         .n = a->d,
                         .k = a->vocab,
                         .a = x->logits,
                         .lda = a->vocab,
                         .b = xent_weights(a),
                         .b_dtype = xent_weights_dtype(a),
                         .ldb = a->d,
                         .c = dh,
                         .ldc = a->d,
                         .alpha = 1,
                         .product = a->product};
  ISC_TRY(gemm(c, &back));
  for (int64_t i = 0; x->row && i < x->n; i++)
    memcpy(a->dh + x->row[i] * a->d, dh + i * a->d, row);
  return ISC_OK;
}

/* Rows of a block: about 8 MiB of logits, but enough rows to make reading w worth while. */
static int64_t xent_block_rows(int64_t vocab) {
  const int64_t n = (int64_t)(2 << 20) / vocab / 64 * 64;
  return n < 256 ? 256 : min64(n, 4096);
}

/* Lists the rows with a target and settles the others. */
static isc_status xent_rows(const isc_xent *a, int64_t *row, int64_t *count) {
  *count = 0;
  for (int64_t i = 0; i < a->rows; i++) {
    if (a->target[i] >= a->vocab)
      return isc_fail(ISC_E_SHAPE, "xent: target %d of row %lld is outside the vocabulary of %lld",
                      a->target[i], (long long)i, (long long)a->vocab);
    if (a->target[i] >= 0) {
      row[(*count)++] = i;
      continue;
    }
    a->logp[i] = 0;
    if (a->dh) memset(a->dh + i * a->d, 0, (size_t)a->d * sizeof(float));
  }
  return ISC_OK;
}

static isc_status xent(cpu *c, const isc_xent *a) {
  if (a->rows <= 0 || a->vocab <= 0) return ISC_OK;
  const int64_t most = min64(xent_block_rows(a->vocab), a->rows);
  const size_t lists = cpu_round64((size_t)a->rows * sizeof(int64_t));
  const size_t logits = cpu_round64((size_t)(most * a->vocab) * sizeof(float));
  void *memory;
  ISC_TRY(cpu_scratch(c, CPU_OUTER, lists + logits + (size_t)(most * a->d) * sizeof(float), 0,
                      &memory, NULL));
  int64_t *row = memory, count;
  ISC_TRY(xent_rows(a, row, &count));
  xent_block x = {.a = a, .gradient = a->dh || a->dw};
  x.logits = (float *)(void *)((char *)memory + lists);
  x.h = (float *)(void *)((char *)memory + lists + logits);
  for (x.first = 0; x.first < count; x.first += x.n) {
    x.n = min64(most, count - x.first);
    x.row = count == a->rows ? NULL : row + x.first;
    ISC_TRY(xent_run(c, &x));
  }
  return ISC_OK;
}

#endif
