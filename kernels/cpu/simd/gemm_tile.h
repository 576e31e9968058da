/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner parts of the matrix product: packing, the register tile and what is done to a finished
 * tile.
 *
 * Every element of C is the sum over k in one order: fused multiply-adds in sequence within blocks
 * of KC, the blocks' sums added in sequence. So its bits depend on k alone, never on the tile,
 * the block or the thread that made it, nor on what else the call computes.
 */
#ifndef ISC_CPU_GEMM_TILE_H
#define ISC_CPU_GEMM_TILE_H

#include "vmath.h"

#if LEVEL == 512
enum { MR = 14, NV = 2 };
#elif LEVEL == 256
enum { MR = 6, NV = 2 };
#else
enum { MR = 4, NV = 2 };
#endif
enum {
  NR = NV * W,
  KC = 512,     /* k of a block: part of the order of every sum, so fixed */
  NC = 32 * 48, /* columns of B packed at a time, a multiple of every level's NR */
  MC = 252,     /* rows of A packed at a time, a multiple of every MR */
  PACK_A = MC * KC + W,
  PACK_B = NC * KC,
  PACK_FLOATS = (PACK_A + PACK_B + 15) / 16 * 16
};

/* ap[p][k][MR]: `m` rows of a matrix from `src` (rows ld apart) in tiles of `step` rows, k columns. */
static void pack_a(const float *src, int64_t ld, int64_t m, int64_t step, int64_t k, float *ap) {
  for (int64_t i = 0; i < m; i += step, src += step * ld, ap += k * MR) {
    const int64_t rows = m - i < step ? m - i : step;
    int64_t kk = 0;
    if (rows == MR)
      for (; kk + W <= k; kk += W) {
        for (int r = 0; r < MR; r++) /* the same columns of the next tile */
          __builtin_prefetch(src + (MR + r) * ld + kk);
        vtranspose_rows(MR, src + kk, ld, ap + kk * MR, MR);
      }
    for (; kk < k; kk += W)
      vtranspose_block(src + kk, ld, rows, k - kk < W ? k - kk : W, ap + kk * MR, MR);
  }
}

/* The same of a matrix given transposed: row kk at src + kk·ld. All tiles of a row at once, for it is
 * read in one run; the stores are partial because the next tile's rows are already there. */
static void pack_a_transposed(const float *src, int64_t ld, int64_t m, int64_t step, int64_t k,
                              float *ap) {
  for (int64_t kk = 0; kk < k; kk++, src += ld) {
    float *to = ap + kk * MR;
    for (int64_t i = 0; i < m; i += step, to += k * MR) {
      const int64_t rows = m - i < step ? m - i : step;
      __builtin_prefetch(src + 8 * ld + i);
      vstore_part(to, rows, vload_part(src + i, rows, 0.0f));
    }
  }
}

/* bp[k][width]: columns [col, col + n) of op(B), zero-filled to `width`, W or NR. */
static void pack_b(const isc_gemm *g, int64_t col, int64_t n, int64_t k0, int64_t k, int64_t width,
                   float *bp) {
  for (int64_t v = 0; v < width; v += W) {
    const int64_t cols = n - v < W ? n - v : W;
    if (g->trans_b) {
      const float *src = g->b + (col + v) * g->ldb + k0;
      for (int64_t kk = 0; kk < k; kk += W)
        vtranspose_block(src + kk, g->ldb, cols, k - kk < W ? k - kk : W, bp + kk * width + v,
                         width);
    } else {
      const float *src = g->b + k0 * g->ldb + col + v;
      for (int64_t kk = 0; kk < k; kk++)
        vstore(bp + kk * width + v, vload_part(src + kk * g->ldb, cols, 0.0f));
    }
  }
}

/* Four whole panels of B at once, untransposed: longer runs of each row, a quarter of the pages. */
static void pack_b4(const isc_gemm *g, int64_t col, int64_t k0, int64_t k, float *bp) {
  for (int64_t kk = 0; kk < k; kk++) {
    const float *src = g->b + (k0 + kk) * g->ldb + col;
    UNROLL for (int v = 0; v < 4 * NV; v++) {
      __builtin_prefetch(src + 8 * g->ldb + v * W);
      vstore(bp + (v / NV * k + kk) * NR + v % NV * W, vload(src + v * W));
    }
  }
}

/* One tile: out[rows][0 … vectors·W) = Σ_k a b (+ out) (+ bias). */
typedef struct tile_job {
  int rows, vectors;
  int64_t k;
  const float *a; /* element (i, k) at a[i·a_row + k·a_k]; one of the two strides is 1 */
  int64_t a_row, a_k;
  const float *b; /* row k at b + k·b_k */
  int64_t b_k;
  float *out; /* rows ld apart */
  int64_t ld;
  bool add;          /* += rather than = */
  const float *bias; /* [vectors·W] added at last, or NULL */
} tile_job;

/* `by_rows`: a_k = 1, A as it lies in memory. Three rows share a pointer, or registers run out. */
INLINE void tile_body(int rows, int nv, bool by_rows, const tile_job *t) {
  enum { GROUPS = (MR + 2) / 3 };
  const float *a[GROUPS], *b = t->b;
  const int64_t row = by_rows ? t->a_row : 1, step = by_rows ? 1 : t->a_k, b_k = t->b_k;
  vf acc[MR][NV];
  UNROLL for (int i = 0; i < GROUPS; i++) a[i] = t->a + (by_rows ? 3 * i * row : 3 * i);
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vzero();
  UNROLL for (int i = 0; i < rows; i++) { /* C is wanted in the cache when the sums are ready */
    __builtin_prefetch(t->out + i * t->ld, 1);
    if (nv * W > 16) __builtin_prefetch(t->out + i * t->ld + nv * W - 1, 1);
  }
  for (int64_t k = t->k; k > 0; k--) {
    vf bv[NV];
    __builtin_prefetch(b + 16 * b_k);
    if (nv * W > 16) __builtin_prefetch(b + 16 * b_k + nv * W - 1);
    UNROLL for (int j = 0; j < nv; j++) bv[j] = vload(b + j * W);
    UNROLL for (int i = 0; i < rows; i++) {
      const vf x = by_rows ? vset1(a[i / 3][i % 3 * row]) : vset1(a[0][i]);
      UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vfma(x, bv[j], acc[i][j]);
    }
    b += b_k;
    UNROLL for (int i = 0; i < GROUPS; i++) a[i] += step; /* unused ones vanish */
  }
  float *out = t->out;
  const int64_t ld = t->ld;
  if (t->add)
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] =
        vload(out + i * ld + j * W) + acc[i][j];
  if (t->bias) UNROLL for (int j = 0; j < nv; j++) {
      const vf bias = vload(t->bias + j * W);
      UNROLL for (int i = 0; i < rows; i++) acc[i][j] += bias;
    }
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < nv; j++)
      vstore(out + i * ld + j * W, acc[i][j]);
}

#define TILE_CASE(r)                                                                               \
  case r:                                                                                          \
    if (t->a_k == 1 && t->a_row != 1) {                                                            \
      if (t->vectors == NV)                                                                        \
        tile_body(r, NV, true, t);                                                                 \
      else                                                                                         \
        tile_body(r, 1, true, t);                                                                  \
    } else if (t->vectors == NV) {                                                                 \
      tile_body(r, NV, false, t);                                                                  \
    } else {                                                                                       \
      tile_body(r, 1, false, t);                                                                   \
    }                                                                                              \
    break;
static void tile(const tile_job *t) {
  switch (t->rows) {
    TILE_CASE(1)
    TILE_CASE(2)
    TILE_CASE(3)
    TILE_CASE(4)
#if LEVEL >= 256
    TILE_CASE(5)
    TILE_CASE(6)
#endif
#if LEVEL == 512
    TILE_CASE(7)
    TILE_CASE(8)
    TILE_CASE(9)
    TILE_CASE(10)
    TILE_CASE(11)
    TILE_CASE(12)
    TILE_CASE(13)
    TILE_CASE(14)
#endif
  }
}

/* A tile's place in C and in the sum over k: the first block meets beta, the last bias and act. */
typedef struct tile_place {
  int64_t i, j, rows, cols;
  bool first, last;
} tile_place;

/* Fetches what tile_finish will write, while the sums are being made. */
static void tile_expect(const isc_gemm *g, const tile_place *p) {
  for (int64_t r = 0; r < p->rows; r++)
    for (int64_t v = 0; v < p->cols; v += 16) {
      const int64_t at = (p->i + r) * g->ldc + p->j + v;
      __builtin_prefetch(g->c + at, 1);
      if (p->last && g->pre) __builtin_prefetch(g->pre + at, 1);
    }
}

/* C[i, j …] from a finished tile t, rows ld_t apart. */
INLINE void tile_finish_act(const isc_gemm *g, const tile_place *p, const float *t, int64_t ld_t,
                            isc_act act) {
  const vf alpha = vset1(g->alpha), beta = vset1(p->first ? g->beta : 1.0f);
  const bool load = !p->first || g->beta != 0.0f;
  const float *bias = p->last ? g->bias : NULL;
  float *pre = p->last ? g->pre : NULL;
  for (int64_t v = 0; v < p->cols; v += W) {
    const int64_t left = p->cols - v;
    const vf add = bias ? vload_part(bias + p->j + v, left, 0.0f) : vzero();
    for (int64_t r = 0; r < p->rows; r++) {
      const int64_t at = (p->i + r) * g->ldc + p->j + v;
      vf x = vload(t + r * ld_t + v) * alpha;
      if (load) x = vfma(vload_part(g->c + at, left, 0.0f), beta, x);
      if (bias) x += add;
      if (pre) vstore_part(pre + at, left, x);
      vstore_part(g->c + at, left, vact(act, x));
    }
  }
}

static void tile_finish(const isc_gemm *g, const tile_place *p, const float *t, int64_t ld_t) {
  switch (p->last ? g->act : ISC_ACT_NONE) {
  case ISC_ACT_NONE:
    tile_finish_act(g, p, t, ld_t, ISC_ACT_NONE);
    break;
  case ISC_ACT_RELU:
    tile_finish_act(g, p, t, ld_t, ISC_ACT_RELU);
    break;
  case ISC_ACT_GELU:
    tile_finish_act(g, p, t, ld_t, ISC_ACT_GELU);
    break;
  case ISC_ACT_GELU_TANH:
    tile_finish_act(g, p, t, ld_t, ISC_ACT_GELU_TANH);
    break;
  case ISC_ACT_SILU:
    tile_finish_act(g, p, t, ld_t, ISC_ACT_SILU);
    break;
  case ISC_ACT_TANH:
    tile_finish_act(g, p, t, ld_t, ISC_ACT_TANH);
    break;
  }
}

#endif
