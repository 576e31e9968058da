/* SPDX-License-Identifier: Apache-2.0
 *
 * The two operations peculiar to training the generator: the control layer and the vocabulary loss.
 *
 * Both are products with a little between them. The loss goes through the rows in blocks whose size depends on the
 * vocabulary alone, so that the order of the sums into dw does too; rows without a target take no part. A layer's scores
 * have a bias of their own for each sequence and so are always made here; its other products and the loss's may go to the
 * library.
 */
#include "cuda_backend.h"
#include <stdlib.h>

/* ---- control layer: products of each sequence with its own keys and values */

static isc_gemm product(const isc_control *a, int64_t m, int64_t n, int64_t k) {
  return (isc_gemm){.batch = a->batch,
                    .m = m,
                    .n = n,
                    .k = k,
                    .ldc = n,
                    .alpha = 1,
                    .dependent_rows = a->dependent_rows};
}

/* To the library go those of training alone, whatever `products` says: they are small and many. */
static isc_status multiply(cuda *c, const isc_gemm *g) {
  return g->dependent_rows ? cuda_gemm(c, g) : cuda_gemm_exact(c, g, 0);
}

/* [len, heads] = x [len, d] · keys [heads, d]ᵀ */
static isc_gemm scores(const isc_control *a, const float *x, const float *keys, float *out) {
  isc_gemm g = product(a, a->len, a->heads, a->d);
  g.a = x;
  g.lda = a->d;
  g.stride_a = a->len * a->d;
  g.b = keys;
  g.ldb = a->d;
  g.stride_b = a->heads * a->d;
  g.trans_b = true;
  g.c = out;
  g.stride_c = a->len * a->heads;
  return g;
}

/* [len, d] += w [len, heads] · values [heads, d] */
static isc_gemm mixture(const isc_control *a, const float *w, const float *values, float *out) {
  isc_gemm g = product(a, a->len, a->d, a->heads);
  g.a = w;
  g.lda = a->heads;
  g.stride_a = a->len * a->heads;
  g.b = values;
  g.ldb = a->d;
  g.stride_b = a->heads * a->d;
  g.c = out;
  g.stride_c = a->len * a->d;
  g.beta = 1;
  return g;
}

/* [heads, d] = w [len, heads]ᵀ · x [len, d] */
static isc_gemm gathered(const isc_control *a, const float *w, const float *x, float *out) {
  isc_gemm g = product(a, a->heads, a->d, a->len);
  g.a = w;
  g.lda = a->heads;
  g.stride_a = a->len * a->heads;
  g.trans_a = true;
  g.b = x;
  g.ldb = a->d;
  g.stride_b = a->len * a->d;
  g.c = out;
  g.stride_c = a->heads * a->d;
  return g;
}

isc_status cuda_control(cuda *c, const isc_control *a) {
  if (a->batch <= 0 || a->len <= 0 || a->d <= 0) return ISC_OK;
  const size_t heads = (size_t)(a->batch * a->heads) * sizeof(float);
  void *bias; /* scale · c */
  ISC_TRY(cuda_scratch(c, CUDA_OUTER, heads, &bias));
  ISC_TRY(cuda_zero(c, bias, heads));
  ISC_TRY(cuda_axpy(c, a->batch * a->heads, a->scale, a->c, bias));
  isc_gemm score = scores(a, a->hn, a->u, a->omega);
  score.alpha = a->scale;
  score.bias = bias;
  score.act = ISC_ACT_TANH;
  ISC_TRY(cuda_gemm_exact(c, &score, a->heads));
  if (a->out != a->x)
    ISC_TRY(cuda_copy(c, a->out, a->x, (size_t)(a->batch * a->len * a->d) * sizeof(float)));
  const isc_gemm value = mixture(a, a->omega, a->v, a->out);
  return multiply(c, &value);
}

isc_status cuda_control_grad(cuda *c, const isc_control *a) {
  if (a->batch <= 0 || a->heads <= 0) return ISC_OK;
  const int64_t n = a->batch * a->len * a->heads;
  void *ds;
  ISC_TRY(cuda_scratch(c, CUDA_OUTER, (size_t)n * sizeof(float), &ds));
  const control_args x = {.batch = a->batch,
                          .len = a->len,
                          .heads = a->heads,
                          .scale = a->scale,
                          .omega = a->omega,
                          .ds = ds,
                          .dc = a->dc};
  const isc_gemm score = scores(a, a->dout, a->v, ds), dv = gathered(a, a->omega, a->dout, a->dv),
                 du = gathered(a, ds, a->hn, a->du), dhn = mixture(a, ds, a->u, a->dhn);
  ISC_TRY(multiply(c, &score));
  if (n > 0) ISC_TRY(CUDA_LAUNCH(c, control_slope, cuda_blocks(c, n), CUDA_THREADS, 0, &x));
  ISC_TRY(multiply(c, &dv));
  ISC_TRY(multiply(c, &du));
  ISC_TRY(CUDA_LAUNCH(c, control_sum, cuda_blocks(c, a->batch * a->heads), CUDA_THREADS, 0, &x));
  return a->dhn ? multiply(c, &dhn) : ISC_OK;
}

/* ---- loss over a vocabulary */

typedef struct loss {
  const isc_xent *a;
  const int64_t
      *row; /* device, [n] rows of the call that have a target; NULL: all have, from `first` on */
  int64_t first, n;
  float *logits;  /* [n, vocab]; becomes the gradient to the logits */
  uint16_t *half; /* [n, half_ld] or that gradient, for products of bf16; or NULL */
  int64_t half_ld;
  float *h; /* [n, d] gathered rows (with `row`)              */
} loss;

static isc_gemm vocabulary(const loss *x, int64_t m, int64_t n, int64_t k) {
  return (isc_gemm){.batch = 1,
                    .m = m,
                    .n = n,
                    .k = k,
                    .ldc = n,
                    .alpha = 1,
                    .product = x->a->product,
                    .dependent_rows = x->a->dependent_rows};
}

/* w as products of bf16 may read it. */
static void with_weights(const isc_xent *a, isc_gemm *g) {
  const bool half = a->w_bf16 && a->product == ISC_BF16;
  g->b = half ? (const float *)(const void *)a->w_bf16 : a->w;
  g->b_dtype = half ? ISC_BF16 : ISC_F32;
  g->ldb = a->d;
}

static isc_status loss_rows(cuda *c, const loss *x) {
  const isc_xent *a = x->a;
  const int64_t first = x->row ? 0 : x->first;
  const xent_args args = {.rows = x->n,
                          .vocab = a->vocab,
                          .logits = x->logits,
                          .half = x->half,
                          .half_ld = x->half_ld,
                          .row = x->row,
                          .target = a->target + first,
                          .weight = a->weight ? a->weight + first : NULL,
                          .logp = a->logp + first,
                          .gradient = a->dh || a->dw};
  return CUDA_LAUNCH(c, xent, ((cuda_size){.x = x->n}), ((cuda_size){.x = XENT_THREADS}), 0, &args);
}

/* A product of the gradient to the logits. */
static isc_status of_gradient(cuda *c, const loss *x, isc_gemm *g) {
  g->a = x->half ? (const float *)(const void *)x->half : x->logits;
  g->lda = x->half ? x->half_ld : x->a->vocab;
  return cuda_gemm_typed(c, g, x->half ? ISC_BF16 : ISC_F32);
}

/* The gradients, from that to the logits. */
static isc_status loss_back(cuda *c, const loss *x, const float *h) {
  const isc_xent *a = x->a;
  if (a->dw) {
    isc_gemm dw = vocabulary(x, a->vocab, a->d, x->n);
    dw.trans_a = true;
    dw.b = h;
    dw.ldb = a->d;
    dw.c = a->dw;
    dw.beta = 1;
    ISC_TRY(of_gradient(c, x, &dw));
  }
  if (!a->dh) return ISC_OK;
  isc_gemm dh = vocabulary(x, x->n, a->d, a->vocab);
  dh.c = x->row ? x->h : a->dh + x->first * a->d;
  with_weights(a, &dh);
  ISC_TRY(of_gradient(c, x, &dh));
  if (!x->row) return ISC_OK;
  const scatter_args back = {.n = x->n, .width = a->d, .row = x->row, .x = x->h, .out = a->dh};
  return CUDA_LAUNCH(c, scatter, cuda_blocks(c, x->n * a->d), CUDA_THREADS, 0, &back);
}

static isc_status loss_block(cuda *c, const loss *x) {
  const isc_xent *a = x->a;
  const float *h = x->row ? x->h : a->h + x->first * a->d;
  if (x->row && a->d > 0) {
    const gather_args in = {.n = x->n, .width = a->d, .row = x->row, .x = a->h, .out = x->h};
    ISC_TRY(CUDA_LAUNCH(c, gather, cuda_blocks(c, x->n * a->d), CUDA_THREADS, 0, &in));
  }
  isc_gemm logits = vocabulary(x, x->n, a->vocab, a->d);
  logits.a = h;
  logits.lda = a->d;
  logits.trans_b = true;
  logits.c = x->logits;
  with_weights(a, &logits);
  ISC_TRY(cuda_gemm(c, &logits));
  ISC_TRY(loss_rows(c, x));
  return loss_back(c, x, h);
}

/* Rows of a block: about 256 MiB of logits. */
static int64_t block_rows(int64_t vocab) {
  const int64_t n = (int64_t)(64 << 20) / vocab / 128 * 128;
  return n < 128 ? 128 : cuda_least(n, 8192);
}

/* Lists the rows with a target. */
static isc_status list_rows(const isc_xent *a, const int32_t *target, int64_t *row,
                            int64_t *count) {
  *count = 0;
  for (int64_t i = 0; i < a->rows; i++) {
    if (target[i] >= a->vocab)
      return isc_fail(ISC_E_SHAPE, "xent: target %d of row %lld is outside the vocabulary of %lld",
                      target[i], (long long)i, (long long)a->vocab);
    if (target[i] >= 0) row[(*count)++] = i;
  }
  return ISC_OK;
}

/* For a caller that has no targets on the host; the device is waited for. */
static isc_status list_there(cuda *c, const isc_xent *a, int64_t *row, int64_t *count) {
  int32_t *target = malloc((size_t)a->rows * sizeof *target);
  if (!target)
    return isc_fail(ISC_E_NOMEM, "xent: no host memory for the targets of %lld rows",
                    (long long)a->rows);
  isc_status st = cuda_download(c, target, a->target, (size_t)a->rows * sizeof *target);
  if (st == ISC_OK) st = list_rows(a, target, row, count);
  free(target);
  return st;
}

/* Room for blocks of up to `most` rows: the logits, the rows that were gathered, and the gradient in bf16. */
static isc_status need_blocks(cuda *c, loss *x, int64_t most, bool gathered) {
  const isc_xent *a = x->a;
  const bool half = a->product == ISC_BF16 && (a->dh || a->dw);
  const int64_t floats = most * (a->vocab + (gathered ? a->d : 0)), ld = cuda_ceil(a->vocab, 8) * 8;
  const size_t before =
      (size_t)cuda_ceil(floats, 4) * 4 * sizeof(float); /* rows of it begin on 16 bytes */
  void *memory;
  ISC_TRY(cuda_scratch(c, CUDA_OUTER, before + (half ? (size_t)(most * ld) * sizeof(uint16_t) : 0),
                       &memory));
  x->logits = memory;
  x->h = x->logits + most * a->vocab;
  x->half = half ? (uint16_t *)(void *)((char *)memory + before) : NULL;
  x->half_ld = ld;
  return ISC_OK;
}

/* The blocks, given the list of rows on the host. */
static isc_status loss_blocks(cuda *c, const isc_xent *a, const int64_t *row, int64_t count) {
  const int64_t most = cuda_least(block_rows(a->vocab), count);
  const bool some = count < a->rows;
  loss x = {.a = a};
  const void *rows = NULL;
  if (some) {
    ISC_TRY(cuda_zero(c, a->logp, (size_t)a->rows * sizeof(float)));
    if (a->dh) ISC_TRY(cuda_zero(c, a->dh, (size_t)(a->rows * a->d) * sizeof(float)));
    if (count) ISC_TRY(cuda_argument(c, row, (size_t)count * sizeof *row, &rows));
  }
  if (count == 0) return ISC_OK;
  ISC_TRY(need_blocks(c, &x, most, some));
  for (x.first = 0; x.first < count; x.first += x.n) {
    x.n = cuda_least(most, count - x.first);
    x.row = some ? (const int64_t *)rows + x.first : NULL;
    ISC_TRY(loss_block(c, &x));
  }
  return ISC_OK;
}

isc_status cuda_xent(cuda *c, const isc_xent *a) {
  if (a->rows <= 0 || a->vocab <= 0) return ISC_OK;
  int64_t *row = malloc((size_t)a->rows * sizeof *row), count;
  if (!row)
    return isc_fail(ISC_E_NOMEM, "xent: no host memory for a list of %lld rows",
                    (long long)a->rows);
  isc_status st =
      a->host_target ? list_rows(a, a->host_target, row, &count) : list_there(c, a, row, &count);
  if (st == ISC_OK) st = loss_blocks(c, a, row, count);
  free(row);
  return st;
}
