/* SPDX-License-Identifier: Apache-2.0
 *
 * The three products attention is made of, for one head, and the softmax of a row of scores.
 *
 * Scores run over vectors of keys with K transposed, so that a score is one sum over d_head in
 * sequence; outputs run over vectors of d_head, one sum over the keys in sequence. A query's bits
 * therefore do not depend on the queries computed beside it, nor on whether its keys came from a cache.
 */
#ifndef ISC_CPU_ATTENTION_TILE_H
#define ISC_CPU_ATTENTION_TILE_H

#include "gemm.h"

enum { QB = 4, KB = 2 * W }; /* queries and keys of a tile */

/* t[d][0 … width) = xᵀ for x [rows, d] rows `row` apart, rows of t ld apart; columns from `rows` on are 0. width is a
 * multiple of W. */
static void head_transpose(const float *x, int64_t row, int64_t rows, int64_t d, float *t,
                           int64_t ld, int64_t width) {
  for (int64_t j = 0; j < width; j += W)
    for (int64_t i = 0; i < d; i += W)
      vtranspose_block(rows > j ? x + j * row + i : x, row, rows - j, min64(W, d - i),
                       t + i * ld + j, ld);
}

/* Asks for a head's part of `rows` rows: too short a run in each for the processor to foresee. Long
 * sequences are left alone, as they would push out what is in use. */
static void head_expect(const float *x, int64_t row, int64_t rows, int64_t d) {
  for (int64_t j = 0; j < rows && rows <= 128; j++)
    for (int64_t i = 0; i < d; i += 16)
      __builtin_prefetch(x + j * row + i, 0, 2);
}

/* s[i][j … j + nv·W) = scale · Σ_d q[i][d] kt[d][…] */
INLINE void scores_tile(int nq, int nv, const float *q, int64_t q_row, const float *kt, int64_t ld,
                        int64_t d, float scale, float *s) {
  vf acc[QB][2];
  UNROLL for (int i = 0; i < nq; i++) UNROLL for (int v = 0; v < nv; v++) acc[i][v] = vzero();
  for (int64_t k = 0; k < d; k++) {
    vf key[2];
    UNROLL for (int v = 0; v < nv; v++) key[v] = vload(kt + k * ld + v * W);
    UNROLL for (int i = 0; i < nq; i++) {
      const vf a = vset1(q[i * q_row + k]);
      UNROLL for (int v = 0; v < nv; v++) acc[i][v] = vfma(a, key[v], acc[i][v]);
    }
  }
  UNROLL for (int i = 0; i < nq; i++) UNROLL for (int v = 0; v < nv; v++)
      vstore(s + i * ld + v * W, acc[i][v] * vset1(scale));
}

/* The scores of keys `from` … keys-1, rounded up to whole vectors; `from` begins one. */
INLINE void scores_body(int nq, const float *q, int64_t q_row, const float *kt, int64_t ld,
                        int64_t d, int64_t from, int64_t keys, float scale, float *s) {
  int64_t j = from;
  for (; j + W < keys; j += 2 * W)
    scores_tile(nq, 2, q, q_row, kt + j, ld, d, scale, s + j);
  if (j < keys) scores_tile(nq, 1, q, q_row, kt + j, ld, d, scale, s + j);
}

static void scores(int64_t nq, const float *q, int64_t q_row, const float *kt, int64_t ld,
                   int64_t d, int64_t from, int64_t keys, float scale, float *s) {
  if (nq == QB)
    scores_body(QB, q, q_row, kt, ld, d, from, keys, scale, s);
  else
    for (int64_t i = 0; i < nq; i++)
      scores_body(1, q + i * q_row, q_row, kt, ld, d, from, keys, scale, s + i * ld);
}

#define NO_WINDOW INT64_MAX /* every key */

/* The first key that the query at position `at` sees. */
INLINE int64_t first_key(int64_t at, int64_t window) {
  return window != NO_WINDOW && at >= window ? at - window + 1 : 0;
}

/* acc[i] += p[i][j] v[j] for the queries i ≥ `least` that see key j */
INLINE void weighted_edge(int nq, int nv, int least, int64_t j, int64_t first, int64_t window,
                          const float *p, int64_t ld, const float *v, int64_t n, vf acc[QB][4]) {
  vf x[4];
  UNROLL for (int k = 0; k < nv; k++) x[k] = vload_part(v + k * W, n - k * W, 0.0f);
  UNROLL for (int i = 0; i < nq; i++) if (i >= least && j >= first_key(first + i, window)) {
    const vf a = vset1(p[i * ld + j]);
    UNROLL for (int k = 0; k < nv; k++) acc[i][k] = vfma(a, x[k], acc[i][k]);
  }
}

/* out[i][0 … n) = factor[i] · Σ_j p[i][j] v[j] over the last `window` keys j ≤ first + i, n ≤ nv·W; factor
 * NULL = 1. What a query does not see is not read for it: it may hold anything. */
INLINE void weighted_body(int nq, int nv, const float *p, int64_t ld, const float *v, int64_t v_row,
                          int64_t first, int64_t window, int64_t n, const float *factor, float *out,
                          int64_t out_row) {
  vf acc[QB][4], x[4];
  UNROLL for (int i = 0; i < nq; i++) UNROLL for (int k = 0; k < nv; k++) acc[i][k] = vzero();
  const int64_t all = first_key(first + nq - 1, window); /* from here every query sees */
  int64_t j = first_key(first, window);
  for (; j < all && j <= first; j++)
    weighted_edge(nq, nv, 0, j, first, window, p, ld, v + j * v_row, n, acc);
  for (; j <= first; j++) {
    UNROLL for (int k = 0; k < nv; k++) x[k] = vload_part(v + j * v_row + k * W, n - k * W, 0.0f);
    UNROLL for (int i = 0; i < nq; i++) {
      const vf a = vset1(p[i * ld + j]);
      UNROLL for (int k = 0; k < nv; k++) acc[i][k] = vfma(a, x[k], acc[i][k]);
    }
  }
  UNROLL for (int more = 1; more < nq; more++) /* the keys that only later queries see */
      weighted_edge(nq, nv, more, first + more, first, window, p, ld, v + (first + more) * v_row, n,
                    acc);
  UNROLL for (int i = 0; i < nq; i++) {
    const vf f = vset1(factor ? factor[i] : 1.0f);
    UNROLL for (int k = 0; k < nv; k++)
        vstore_part(out + i * out_row + k * W, n - k * W, acc[i][k] * f);
  }
}

/* Columns of one call of a body: 4, 2 or 1 vectors, the last possibly in part. */
INLINE int column_vectors(int64_t left) {
  return left > 3 * W ? 4 : left > W ? 2 : 1;
}

/* `window` is a constant where there is none: the edges then cost nothing. */
#define WEIGHTED(nq, p, first, window, factor, out)                                                \
  for (int64_t k = 0; k < d;) {                                                                    \
    const int nv = column_vectors(d - k);                                                          \
    const int64_t n = min64(d - k, nv * W);                                                        \
    if (nv == 4)                                                                                   \
      weighted_body(nq, 4, p, ld, v + k, v_row, first, window, n, factor, out + k, out_row);       \
    else if (nv == 2)                                                                              \
      weighted_body(nq, 2, p, ld, v + k, v_row, first, window, n, factor, out + k, out_row);       \
    else                                                                                           \
      weighted_body(nq, 1, p, ld, v + k, v_row, first, window, n, factor, out + k, out_row);       \
    k += n;                                                                                        \
  }
static void weighted(int64_t nq, const float *p, int64_t ld, const float *v, int64_t v_row,
                     int64_t first, int64_t window, int64_t d, const float *factor, float *out,
                     int64_t out_row) {
  const bool full = nq == QB;
  if (full && window == NO_WINDOW) {
    WEIGHTED(QB, p, first, NO_WINDOW, factor, out)
  } else if (full) {
    WEIGHTED(QB, p, first, window, factor, out)
  } else {
    for (int64_t i = 0; i < nq; i++)
      WEIGHTED(1, p + i * ld, first + i, window, factor ? factor + i : NULL, out + i * out_row)
  }
}

/* out[j] (+)= Σ_i s[i][j] x[i], from ≤ j < keys, n ≤ nv·W. */
INLINE void outer_body(int nq, int nv, const float *s, int64_t ld, const float *x, int64_t x_row,
                       int64_t from, int64_t keys, int64_t n, bool add, float *out,
                       int64_t out_row) {
  vf xs[QB][4];
  UNROLL for (int i = 0; i < nq; i++) UNROLL for (int k = 0; k < nv; k++) xs[i][k] =
      vload_part(x + i * x_row + k * W, n - k * W, 0.0f);
  for (int64_t j = from; j < keys; j++) {
    float *o = out + j * out_row;
    UNROLL for (int k = 0; k < nv; k++) {
      vf t = add ? vload_part(o + k * W, n - k * W, 0.0f) : vzero();
      UNROLL for (int i = 0; i < nq; i++) t = vfma(vset1(s[i * ld + j]), xs[i][k], t);
      vstore_part(o + k * W, n - k * W, t);
    }
  }
}

#define OUTER(nq, s, x, add)                                                                       \
  for (int64_t k = 0; k < d;) {                                                                    \
    const int nv = column_vectors(d - k);                                                          \
    const int64_t n = min64(d - k, nv * W);                                                        \
    if (nv == 4)                                                                                   \
      outer_body(nq, 4, s, ld, x + k, x_row, from, keys, n, add, out + k, out_row);                \
    else if (nv == 2)                                                                              \
      outer_body(nq, 2, s, ld, x + k, x_row, from, keys, n, add, out + k, out_row);                \
    else                                                                                           \
      outer_body(nq, 1, s, ld, x + k, x_row, from, keys, n, add, out + k, out_row);                \
    k += n;                                                                                        \
  }
static void outer(int64_t nq, const float *s, int64_t ld, const float *x, int64_t x_row,
                  int64_t from, int64_t keys, int64_t d, bool add, float *out, int64_t out_row) {
  if (nq == QB) {
    OUTER(QB, s, x, add)
  } else {
    for (int64_t i = 0; i < nq; i++)
      OUTER(1, s + i * ld, x + i * x_row, add || i > 0)
  }
}

/* x in the lanes j … j+W-1 that are in [from, n), `other` in the rest */
INLINE vf within(vf x, int64_t j, int64_t from, int64_t n, float other) {
  if (from <= j && j + W <= n) return x;
  const int32_t least = from > j ? (from - j < W ? (int32_t)(from - j) : W) : 0;
  const int32_t most = n - j < W ? (n > j ? (int32_t)(n - j) : 0) : W;
  return vselect((vlane() >= vset1i(least)) & (vlane() < vset1i(most)), x, vset1(other));
}

/* s[j] becomes cap·tanh(s[j]) */
static void cap_row(float *s, int64_t n, float cap) {
  for (int64_t j = 0; j < n; j += W)
    vstore(s + j, vtanh(vload(s + j)) * vset1(cap));
}

/* s[from … n) becomes exp(s − max), the rest of s[0 … ld) 0. Returns the sum; *max_out gets the maximum. */
static float softmax_row(float *s, int64_t from, int64_t n, int64_t ld, float *max_out) {
  vf m = vset1(-INFINITY), sum = vzero();
  for (int64_t j = 0; j < n; j += W)
    m = vmax(m, within(vload(s + j), j, from, n, -INFINITY));
  const vf max = vset1(*max_out = vmaxlane(m));
  for (int64_t j = 0; j < ld; j += W) {
    const vf p = within(vexp(vload(s + j) - max), j, from, n, 0.0f);
    vstore(s + j, p);
    sum += p;
  }
  return vsum(sum);
}

#endif
