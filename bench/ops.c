/* SPDX-License-Identifier: Apache-2.0
 *
 * A backend around the backend that keeps account of the processor time of each operation.
 *
 * What a stage spends outside of all of them is the host's share. Products are told apart by which of their factors is
 * transposed: NN forward, NT the gradient to the input, TN the gradient to the weight.
 */
#include "bench.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct bench_account {
  isc_device device; /* what the stages see: its impl is this account */
  const isc_device *inner;
  double inside, pair; /* what two readings of the clock cost: between them, and in all */
  bench_op op[BENCH_OPS];
};

enum {
  ALLOC,
  TRANSFER,
  COPY,
  ZERO,
  GEMM,                 /* four: NN, NT, TN, TT */
  GEMM_BF16 = GEMM + 4, /* likewise */
  GEMM_BATCHED = GEMM_BF16 + 4,
  ACT,
  ACT_GRAD,
  COL_SUM,
  LAYERNORM,
  LAYERNORM_GRAD,
  EMBED,
  EMBED_GRAD,
  ATTENTION,
  ATTENTION_GRAD,
  XENT,
  CONTROL,
  CONTROL_GRAD,
  ADAMW,
  SUM_SQUARES,
  SAMPLE,
  NOISE,
  ADD,
  AXPY,
  MUL,
  GATHER,
  SCATTER_ADD,
  ROTARY,
  GATE,
  GATE_GRAD,
  KINDS
};
_Static_assert((int)KINDS <= (int)BENCH_OPS, "the account is too short");

static const char *const NAMES[] = {
    "alloc",        "transfer",   "copy",           "zero",           "gemm NN",       "gemm NT",
    "gemm TN",      "gemm TT",    "bf16 NN",        "bf16 NT",        "bf16 TN",       "bf16 TT",
    "gemm batched", "act",        "act grad",       "col sum",        "norm",          "norm grad",
    "embed",        "embed grad", "attention",      "attention grad", "cross-entropy", "control",
    "control grad", "AdamW",      "sum of squares", "sample",         "noise",         "add",
    "axpy",         "mul",        "gather",         "scatter",        "rotary",        "gate",
    "gate grad"};

static isc_status charge(bench_account *a, int kind, double since, double flops, isc_status st) {
  a->op[kind].seconds += bench_core_seconds() - since;
  a->op[kind].flops += flops;
  a->op[kind].calls++;
  return st;
}

#define CHARGED(name, kind, flops, params, args)                                                   \
  static isc_status account_##name params {                                                        \
    bench_account *a = impl;                                                                       \
    const isc_device *d = a->inner;                                                                \
    double since = bench_core_seconds();                                                           \
    isc_status st = d->ops->name args;                                                             \
    return charge(a, kind, since, flops, st);                                                      \
  }

static int product(const isc_gemm *g) {
  if (g->batch > 1) return GEMM_BATCHED;
  return (g->product == ISC_BF16 ? GEMM_BF16 : GEMM) + 2 * g->trans_a + g->trans_b;
}

static double work(const isc_gemm *g) {
  return 2.0 * (double)g->batch * (double)g->m * (double)g->n * (double)g->k;
}

static double logits(const isc_xent *x) {
  return 2.0 * (1 + !!x->dh + !!x->dw) * (double)x->rows * (double)x->d * (double)x->vocab;
}

static double scores(const isc_control *c, double products) {
  return 2.0 * products * (double)c->batch * (double)c->len * (double)c->heads * (double)c->d;
}

static double pairs(const isc_attention *x, double products) {
  double n = (double)x->q_len, seen = n * (double)x->past + n * (n + 1) / 2;
  return 2.0 * products * (double)(x->batch * x->n_head * x->d_head) * seen;
}

CHARGED(alloc, ALLOC, 0, (void *impl, size_t bytes, void **out), (d->impl, bytes, out))
CHARGED(upload, TRANSFER, 0, (void *impl, void *dst, const void *host, size_t bytes),
        (d->impl, dst, host, bytes))
CHARGED(download, TRANSFER, 0, (void *impl, void *host, const void *src, size_t bytes),
        (d->impl, host, src, bytes))
CHARGED(copy, COPY, 0, (void *impl, void *dst, const void *src, size_t bytes),
        (d->impl, dst, src, bytes))
CHARGED(zero, ZERO, 0, (void *impl, void *dst, size_t bytes), (d->impl, dst, bytes))
CHARGED(gemm, product(x), work(x), (void *impl, const isc_gemm *x), (d->impl, x))
CHARGED(act, ACT, 0, (void *impl, isc_act act, int64_t n, const float *x, float *y),
        (d->impl, act, n, x, y))
CHARGED(act_grad, ACT_GRAD, 0,
        (void *impl, isc_act act, int64_t n, const float *pre, const float *dy, float *dx),
        (d->impl, act, n, pre, dy, dx))
CHARGED(col_sum, COL_SUM, 0, (void *impl, int64_t rows, int64_t n, const float *x, float *out),
        (d->impl, rows, n, x, out))
CHARGED(layernorm, LAYERNORM, 0, (void *impl, const isc_layernorm *x), (d->impl, x))
CHARGED(layernorm_grad, LAYERNORM_GRAD, 0, (void *impl, const isc_layernorm *x), (d->impl, x))
CHARGED(embed, EMBED, 0, (void *impl, const isc_embed *x), (d->impl, x))
CHARGED(embed_grad, EMBED_GRAD, 0, (void *impl, const isc_embed *x), (d->impl, x))
CHARGED(attention, ATTENTION, pairs(x, 2), (void *impl, const isc_attention *x), (d->impl, x))
CHARGED(attention_grad, ATTENTION_GRAD, pairs(x, 5), (void *impl, const isc_attention *x),
        (d->impl, x))
CHARGED(xent, XENT, logits(x), (void *impl, const isc_xent *x), (d->impl, x))
CHARGED(control, CONTROL, scores(x, 2), (void *impl, const isc_control *x), (d->impl, x))
CHARGED(control_grad, CONTROL_GRAD, scores(x, 4), (void *impl, const isc_control *x), (d->impl, x))
CHARGED(adamw, ADAMW, 0, (void *impl, const isc_adamw *const *list, int64_t count),
        (d->impl, list, count))
CHARGED(sum_squares, SUM_SQUARES, 0, (void *impl, int64_t n, const float *x, double *out),
        (d->impl, n, x, out))
CHARGED(sample, SAMPLE, 0, (void *impl, const isc_sample *x), (d->impl, x))
CHARGED(noise, NOISE, 0, (void *impl, const isc_noise *x), (d->impl, x))
CHARGED(add, ADD, 0, (void *impl, int64_t n, const float *x, const float *y, float *out),
        (d->impl, n, x, y, out))
CHARGED(axpy, AXPY, 0, (void *impl, int64_t n, float alpha, const float *x, float *y),
        (d->impl, n, alpha, x, y))
CHARGED(mul, MUL, 0, (void *impl, int64_t n, const float *x, const float *y, float *out),
        (d->impl, n, x, y, out))
CHARGED(gather, GATHER, 0,
        (void *impl, int64_t n, int64_t width, const float *x, const int64_t *row, float *out),
        (d->impl, n, width, x, row, out))
CHARGED(scatter_add, SCATTER_ADD, 0,
        (void *impl, int64_t n, int64_t width, const float *in, const int64_t *row, float *x),
        (d->impl, n, width, in, row, x))
CHARGED(rotary, ROTARY, 0, (void *impl, const isc_rotary *x), (d->impl, x))
CHARGED(gate, GATE, 0, (void *impl, const isc_gate *x), (d->impl, x))
CHARGED(gate_grad, GATE_GRAD, 0, (void *impl, const isc_gate *x), (d->impl, x))

static void account_free(void *impl, void *p) {
  const isc_device *d = ((bench_account *)impl)->inner;
  d->ops->free(d->impl, p);
}

static isc_status account_sync(void *impl) {
  const isc_device *d = ((bench_account *)impl)->inner;
  return d->ops->sync(d->impl);
}

static const isc_backend_ops OPS = {.size = sizeof OPS,
                                    .alloc = account_alloc,
                                    .free = account_free,
                                    .upload = account_upload,
                                    .download = account_download,
                                    .copy = account_copy,
                                    .zero = account_zero,
                                    .sync = account_sync,
                                    .gemm = account_gemm,
                                    .act = account_act,
                                    .act_grad = account_act_grad,
                                    .col_sum = account_col_sum,
                                    .layernorm = account_layernorm,
                                    .layernorm_grad = account_layernorm_grad,
                                    .embed = account_embed,
                                    .embed_grad = account_embed_grad,
                                    .attention = account_attention,
                                    .attention_grad = account_attention_grad,
                                    .xent = account_xent,
                                    .control = account_control,
                                    .control_grad = account_control_grad,
                                    .adamw = account_adamw,
                                    .sum_squares = account_sum_squares,
                                    .sample = account_sample,
                                    .noise = account_noise,
                                    .add = account_add,
                                    .axpy = account_axpy,
                                    .mul = account_mul,
                                    .gather = account_gather,
                                    .scatter_add = account_scatter_add,
                                    .rotary = account_rotary,
                                    .gate = account_gate,
                                    .gate_grad = account_gate_grad};

/* Reading the processor time is a system call, dear beside a small operation; what it costs is taken off again. */
static void calibrate(bench_account *a) {
  enum { TIMES = 4000 };
  double begin = bench_core_seconds();
  for (int i = 0; i < TIMES; i++) {
    double since = bench_core_seconds();
    a->inside += (bench_core_seconds() - since) / TIMES;
  }
  a->pair = (bench_core_seconds() - begin) / TIMES;
}

isc_status bench_account_new(const isc_device *inner, bench_account **out) {
  void *p;
  ISC_TRY(isc_calloc(1, sizeof **out, "an account", &p));
  bench_account *a = p;
  a->inner = inner;
  a->device = *inner;
  a->device.ops = &OPS;
  a->device.impl = a;
  *out = a;
  calibrate(a);
  bench_account_clear(a);
  return ISC_OK;
}

void bench_account_free(bench_account *a) {
  free(a);
}

isc_device *bench_account_device(bench_account *a) {
  return &a->device;
}

void bench_account_clear(bench_account *a) {
  memset(a->op, 0, sizeof a->op);
  for (int k = 0; k < KINDS; k++)
    a->op[k].name = NAMES[k];
}

static int dearest(const void *x, const void *y) {
  double a = ((const bench_op *)x)->seconds, b = ((const bench_op *)y)->seconds;
  return (a < b) - (a > b);
}

int64_t bench_account_read(const bench_account *a, bench_op out[BENCH_OPS], double *total) {
  int64_t n = 0;
  memcpy(out, a->op, KINDS * sizeof *out);
  for (int k = 0; k < KINDS; k++) {
    double calls = (double)out[k].calls;
    *total -= calls * a->pair;
    out[k].seconds = fmax(out[k].seconds - calls * a->inside, 0);
    n += calls > 0;
  }
  qsort(out, KINDS, sizeof *out, dearest);
  return n;
}
