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
  char *own;
  size_t own_size;
} attention_args;

static void attention_rows(const attention_args *t, int64_t b, int64_t h, int64_t q0, int64_t q1,
                           const float *kt, float *s) {
  const isc_attention *a = t->a;
  const float *v = a->v + b * a->kv_batch + h / t->group * a->d_head;
  for (int64_t i = q0; i < q1; i += QB) {
    const int64_t nq = min64(QB, q1 - i), first = a->past + i;
    const float *q = a->q + b * a->q_batch + i * a->q_row + h * a->d_head;
    float *out = a->out + b * a->out_batch + i * a->out_row + h * a->d_head;
    float inverse[QB];
    scores(nq, q, a->q_row, kt, t->ld, a->d_head, first + nq, a->scale, s);
    for (int64_t x = 0; x < nq; x++) {
      float max;
      const int64_t n = first + x + 1;
      const float sum = softmax_row(s + x * t->ld, n, n, &max);
      inverse[x] = 1.0f / sum;
      if (a->lse) a->lse[(b * a->n_head + h) * a->q_len + i + x] = max + logf(sum);
    }
    weighted(nq, s, t->ld, v, a->kv_row, first, a->d_head, inverse, out, a->out_row);
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
    const int64_t seen = a->past + q1;
    head_transpose(a->k + b * a->kv_batch + kh * a->d_head, a->kv_row, seen, a->d_head, kt, t->ld);
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
  const int64_t each =
      t.group * min64(a->q_len, QUERY_SPAN) * t.keys * a->d_head + t.keys * a->d_head;
  cpu_for(c, a->batch * a->n_kv_head * t.spans, 1 + 65536 / each, attention_job, &t);
  return ISC_OK;
}

/* ---- gradient: with P = exp(S − lse), dP = dO Vᵀ, δ = Σ_j P dP: dS = P (dP − δ) scale,
 * dQ = dS K, dK = dSᵀ Q, dV = Pᵀ dO. */

/* Turns a row of scores into P and a row of dP into dS. */
static void attention_grad_row(float *s, float *dp, int64_t n, int64_t ld, float lse, float scale) {
  vf delta = vzero();
  for (int64_t j = 0; j < ld; j += W) {
    const vf p = (vf)((vi)vexp(vload(s + j) - vset1(lse)) & lanes_below(j, n));
    vstore(s + j, p);
    if (j < n) delta = vfma(p, vload(dp + j), delta);
  }
  const vf d = vset1(vsum(delta)), sc = vset1(scale);
  for (int64_t j = 0; j < ld; j += W)
    vstore(dp + j, (vf)((vi)(vload(s + j) * (vload(dp + j) - d) * sc) & lanes_below(j, n)));
}

static void attention_grad_head(const attention_args *t, int64_t b, int64_t h, const float *kt,
                                const float *vt, float *s) {
  const isc_attention *a = t->a;
  const int64_t kv = b * a->kv_batch + h / t->group * a->d_head;
  float *dp = s + QB * t->ld;
  for (int64_t i = (a->q_len - 1) / QB * QB; i >= 0;
       i -= QB) { /* the first block meets every key */
    const int64_t nq = min64(QB, a->q_len - i), keys = i + nq;
    const int64_t at = b * a->q_batch + i * a->q_row + h * a->d_head;
    const float *dout = a->dout + b * a->out_batch + i * a->out_row + h * a->d_head;
    scores(nq, a->q + at, a->q_row, kt, t->ld, a->d_head, keys, a->scale, s);
    scores(nq, dout, a->out_row, vt, t->ld, a->d_head, keys, 1.0f, dp);
    for (int64_t x = 0; x < nq; x++)
      attention_grad_row(s + x * t->ld, dp + x * t->ld, i + x + 1, keys,
                         a->lse[(b * a->n_head + h) * a->q_len + i + x], a->scale);
    weighted(nq, dp, t->ld, a->k + kv, a->kv_row, i, a->d_head, NULL, a->dq + at, a->q_row);
    const bool add = h % t->group != 0 || keys < a->q_len;
    outer(nq, dp, t->ld, a->q + at, a->q_row, keys, a->d_head, add, a->dk + kv, a->kv_row);
    outer(nq, s, t->ld, dout, a->out_row, keys, a->d_head, add, a->dv + kv, a->kv_row);
  }
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
    head_transpose(a->k + kv, a->kv_row, t->keys, a->d_head, kt, t->ld);
    head_transpose(a->v + kv, a->kv_row, t->keys, a->d_head, vt, t->ld);
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
  ISC_TRY(attention_scratch(c, &t, 2, 2));
  const int64_t each = 3 * t.group * a->q_len * t.keys * a->d_head;
  cpu_for(c, a->batch * a->n_kv_head, 1 + 65536 / each, attention_grad_job, &t);
  return ISC_OK;
}

#endif
