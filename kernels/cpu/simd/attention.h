/* SPDX-License-Identifier: Apache-2.0
 *
 * Causal attention and its gradient.
 *
 * A row of scores is kept whole (memory grows with the length, not its square); threads take whole
 * heads of whole sequences, in the forward pass also spans of queries of a long sequence.
 */
#ifndef ISC_CPU_ATTENTION_H
#define ISC_CPU_ATTENTION_H

#include "attention_tile.h"

enum { QUERY_SPAN = 128 };

typedef struct attention_args {
  const isc_attention *a;
  int64_t keys, ld, spans, group;
  int64_t window; /* keys a query sees at most */
  float scale;    /* of a score, as it enters tanh when there is a cap */
  char *own;
  size_t own_size;
} attention_args;

/* Where the vectors of keys begin that queries from position `at` on see any of. */
static int64_t attention_from(const attention_args *t, int64_t at) {
  return first_key(at, t->window) / W * W;
}

static void attention_rows(const attention_args *t, int64_t b, int64_t h, int64_t q0, int64_t q1,
                           const float *kt, float *s) {
  const isc_attention *a = t->a;
  const float *v = a->v + b * a->kv_batch + h / t->group * a->d_head;
  for (int64_t i = q0; i < q1; i += QB) {
    const int64_t nq = min64(QB, q1 - i), first = a->past + i, from = attention_from(t, first);
    const float *q = a->q + b * a->q_batch + i * a->q_row + h * a->d_head;
    float *out = a->out + b * a->out_batch + i * a->out_row + h * a->d_head;
    float inverse[QB];
    scores(nq, q, a->q_row, kt, t->ld, a->d_head, from, first + nq, t->scale, s);
    for (int64_t x = 0; x < nq; x++) {
      float max, *row = s + x * t->ld + from;
      const int64_t n = first + x + 1 - from;
      if (a->soft_cap > 0) cap_row(row, n, a->soft_cap);
      const float sum = softmax_row(row, first_key(first + x, t->window) - from, n, n, &max);
      inverse[x] = 1.0f / sum;
      if (a->lse) a->lse[(b * a->n_head + h) * a->q_len + i + x] = max + logf(sum);
    }
    weighted(nq, s, t->ld, v, a->kv_row, first, t->window, a->d_head, inverse, out, a->out_row);
  }
}

/* Items are (sequence, key head, span of queries). */
static void attention_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const attention_args *t = ctx;
  const isc_attention *a = t->a;
  float *kt = (float *)(void *)(t->own + (size_t)thread * t->own_size), *s = kt + a->d_head * t->ld;
  for (int64_t x = begin; x < end; x++) {
    const int64_t span = x % t->spans, kh = x / t->spans % a->n_kv_head,
                  b = x / t->spans / a->n_kv_head;
    const int64_t q0 = span * QUERY_SPAN, q1 = min64(q0 + QUERY_SPAN, a->q_len);
    const int64_t from = attention_from(t, a->past + q0), seen = a->past + q1 - from;
    head_transpose(a->k + b * a->kv_batch + from * a->kv_row + kh * a->d_head, a->kv_row, seen,
                   a->d_head, kt + from, t->ld, t->ld - from);
    for (int64_t h = kh * t->group; h < (kh + 1) * t->group; h++)
      attention_rows(t, b, h, q0, q1, kt, s);
  }
}

/* Scratch of one thread: `heads` transposed heads and `rows` blocks of QB rows of scores. */
static isc_status attention_scratch(cpu *c, attention_args *t, int64_t heads, int64_t rows) {
  const isc_attention *a = t->a;
  if (a->n_kv_head <= 0 || a->n_head % a->n_kv_head)
    return isc_fail(ISC_E_SHAPE, "attention: %lld heads cannot share %lld key heads evenly",
                    (long long)a->n_head, (long long)a->n_kv_head);
  t->group = a->n_head / a->n_kv_head;
  t->keys = a->past + a->q_len;
  t->window = a->window > 0 ? a->window : NO_WINDOW;
  t->scale = a->soft_cap > 0 ? a->scale / a->soft_cap : a->scale;
  t->ld = ceil_div(t->keys, KB) * KB;
  size_t rows_of_ld, own;
  if (__builtin_add_overflow((size_t)(heads * a->d_head), (size_t)(rows * QB), &rows_of_ld) ||
      __builtin_mul_overflow(rows_of_ld, (size_t)t->ld * sizeof(float), &own))
    return isc_fail(ISC_E_NOMEM, "attention: a sequence of %lld positions is too long",
                    (long long)t->keys);
  t->own_size = cpu_round64(own);
  return cpu_scratch(c, CPU_OUTER, 0, t->own_size, NULL, &t->own);
}

static bool attention_empty(const isc_attention *a) {
  return a->batch <= 0 || a->q_len <= 0 || a->n_head <= 0 || a->d_head <= 0;
}

static isc_status attention(cpu *c, const isc_attention *a) {
  if (attention_empty(a)) return ISC_OK;
  attention_args t = {.a = a, .spans = ceil_div(a->q_len, QUERY_SPAN)};
  ISC_TRY(attention_scratch(c, &t, 1, 1));
  const int64_t q = min64(a->q_len, QUERY_SPAN), keys = min64(t.keys - q, t.window) + q;
  const int64_t each = t.group * q * keys * a->d_head + keys * a->d_head;
  cpu_for(c, a->batch * a->n_kv_head * t.spans, 1 + 65536 / each, attention_job, &t);
  return ISC_OK;
}

/* ---- gradient: with P = exp(S − lse), dP = dO Vᵀ, δ = Σ_j P dP: dS = P (dP − δ) scale,
 * dQ = dS K, dK = dSᵀ Q, dV = Pᵀ dO. Where S = cap·tanh(u), dS has a factor of 1 − tanh² u. */

/* Turns a row of scores into P and a row of dP into dS; outside of [from, n) they become 0. `slope` [ld] is
 * scratch for a cap. */
static void attention_grad_row(const isc_attention *a, float *s, float *dp, float *slope,
                               int64_t from, int64_t n, int64_t ld, float lse) {
  const bool capped = a->soft_cap > 0;
  const vf cap = vset1(a->soft_cap);
  vf delta = vzero();
  for (int64_t j = 0; j < ld; j += W) {
    vf x = vload(s + j);
    if (capped) {
      const vf t = vtanh(x);
      vstore(slope + j, vset1(1.0f) - t * t);
      x = t * cap;
    }
    const vf p = within(vexp(x - vset1(lse)), j, from, n, 0.0f);
    vstore(s + j, p);
    if (j < n) delta = vfma(p, vload(dp + j), delta);
  }
  const vf d = vset1(vsum(delta)), sc = vset1(a->scale);
  for (int64_t j = 0; j < ld; j += W) {
    vf t = vload(s + j) * (vload(dp + j) - d) * sc;
    if (capped) t = t * vload(slope + j);
    vstore(dp + j, within(t, j, from, n, 0.0f));
  }
}

/* Scratch: s and dp [QB, ld] each, slope [ld] of them. */
static void attention_grad_head(const attention_args *t, int64_t b, int64_t h, const float *kt,
                                const float *vt, float *s) {
  const isc_attention *a = t->a;
  const int64_t kv = b * a->kv_batch + h / t->group * a->d_head;
  float *dp = s + QB * t->ld, *slope = dp + QB * t->ld;
  for (int64_t i = (a->q_len - 1) / QB * QB; i >= 0;
       i -= QB) { /* the first block meets every key, or dk and dv are 0 already */
    const int64_t nq = min64(QB, a->q_len - i), keys = i + nq, from = attention_from(t, i);
    const int64_t at = b * a->q_batch + i * a->q_row + h * a->d_head;
    const float *dout = a->dout + b * a->out_batch + i * a->out_row + h * a->d_head;
    scores(nq, a->q + at, a->q_row, kt, t->ld, a->d_head, from, keys, t->scale, s);
    scores(nq, dout, a->out_row, vt, t->ld, a->d_head, from, keys, 1.0f, dp);
    for (int64_t x = 0; x < nq; x++)
      attention_grad_row(a, s + x * t->ld + from, dp + x * t->ld + from, slope,
                         first_key(i + x, t->window) - from, i + x + 1 - from, keys - from,
                         a->lse[(b * a->n_head + h) * a->q_len + i + x]);
    weighted(nq, dp, t->ld, a->k + kv, a->kv_row, i, t->window, a->d_head, NULL, a->dq + at,
             a->q_row);
    const bool add = h % t->group != 0 || keys < a->q_len || a->window > 0;
    outer(nq, dp, t->ld, a->q + at, a->q_row, from, keys, a->d_head, add, a->dk + kv, a->kv_row);
    outer(nq, s, t->ld, dout, a->out_row, from, keys, a->d_head, add, a->dv + kv, a->kv_row);
  }
}

/* x [rows, d], rows `row` apart, becomes 0. */
static void head_clear(float *x, int64_t row, int64_t rows, int64_t d) {
  for (int64_t j = 0; j < rows; j++)
    memset(x + j * row, 0, (size_t)d * sizeof *x);
}

/* What the item after this one reads and writes. */
static void attention_grad_expect(const attention_args *t, int64_t x) {
  const isc_attention *a = t->a;
  const int64_t kh = x % a->n_kv_head, b = x / a->n_kv_head;
  const int64_t kv = b * a->kv_batch + kh * a->d_head, d = t->group * a->d_head;
  const int64_t q = b * a->q_batch + kh * d;
  head_expect(a->k + kv, a->kv_row, t->keys, a->d_head);
  head_expect(a->v + kv, a->kv_row, t->keys, a->d_head);
  head_expect(a->dk + kv, a->kv_row, t->keys, a->d_head);
  head_expect(a->dv + kv, a->kv_row, t->keys, a->d_head);
  head_expect(a->q + q, a->q_row, a->q_len, d);
  head_expect(a->dq + q, a->q_row, a->q_len, d);
  head_expect(a->dout + b * a->out_batch + kh * d, a->out_row, a->q_len, d);
}

static void attention_grad_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const attention_args *t = ctx;
  const isc_attention *a = t->a;
  float *kt = (float *)(void *)(t->own + (size_t)thread * t->own_size);
  float *vt = kt + a->d_head * t->ld, *s = vt + a->d_head * t->ld;
  for (int64_t x = begin; x < end; x++) {
    const int64_t kh = x % a->n_kv_head, b = x / a->n_kv_head,
                  kv = b * a->kv_batch + kh * a->d_head;
    if (x + 1 < end) attention_grad_expect(t, x + 1);
    head_transpose(a->k + kv, a->kv_row, t->keys, a->d_head, kt, t->ld, t->ld);
    head_transpose(a->v + kv, a->kv_row, t->keys, a->d_head, vt, t->ld, t->ld);
    if (a->window > 0) {
      head_clear(a->dk + kv, a->kv_row, t->keys, a->d_head);
      head_clear(a->dv + kv, a->kv_row, t->keys, a->d_head);
    }
    for (int64_t h = kh * t->group; h < (kh + 1) * t->group; h++)
      attention_grad_head(t, b, h, kt, vt, s);
  }
}

static isc_status attention_grad(cpu *c, const isc_attention *a) {
  if (attention_empty(a)) return ISC_OK;
  if (a->past != 0)
    return isc_fail(ISC_E_USAGE,
                    "attention_grad: %lld cached positions; gradients need the whole sequence",
                    (long long)a->past);
  if (!a->lse) return isc_fail(ISC_E_USAGE, "attention_grad: the forward pass kept no log-sum-exp");
  attention_args t = {.a = a, .spans = 1};
  ISC_TRY(attention_scratch(c, &t, 2, 3));
  const int64_t each = 3 * t.group * a->q_len * (min64(t.keys, t.window) + QB) * a->d_head;
  cpu_for(c, a->batch * a->n_kv_head, 1 + 65536 / each, attention_grad_job, &t);
  return ISC_OK;
}

#endif
