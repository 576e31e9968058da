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
  KC = 384,     /* k of a block: a packed block of A and a panel of B stay in a 512 KiB cache */
  NC = 32 * 48, /* columns of B packed at a time, a multiple of every level's NR */
  MC = 336,     /* rows of A packed at a time, a multiple of every MR */
  PACK_A = MC * KC + W,
  PACK_B = NC * KC,
  PACK_FLOATS = (PACK_A + PACK_B + 15) / 16 * 16
};

/* ap[p][k][MR]: rows [0, m) of op(A) in tiles of `step` rows each, k columns. */
static void pack_a(const isc_gemm *g, int64_t row, int64_t m, int64_t step, int64_t k0, int64_t k,
                   float *ap) {
  for (int64_t i = 0; i < m; i += step, ap += k * MR) {
    const int64_t rows = m - i < step ? m - i : step;
    if (g->trans_a) {
      const float *src = g->a + k0 * g->lda + row + i;
      for (int64_t kk = 0; kk < k; kk++)
        vstore(ap + kk * MR, vload_part(src + kk * g->lda, rows, 0.0f));
      continue;
    }
    const float *src = g->a + (row + i) * g->lda + k0;
    int64_t kk = 0;
    if (rows == MR)
      for (; kk + W <= k; kk += W)
        vtranspose_rows(MR, src + kk, g->lda, ap + kk * MR, MR);
    for (; kk < k; kk += W)
      vtranspose_block(src + kk, g->lda, rows, k - kk < W ? k - kk : W, ap + kk * MR, MR);
  }
}

/* bp[panel][k][NR]: columns [col, col + n) of op(B), zero-filled to whole vectors; a last panel of at
 * most W columns is [k][W]. */
static void pack_b(const isc_gemm *g, int64_t col, int64_t n, int64_t k0, int64_t k, float *bp) {
  for (int64_t j = 0; j < n; j += NR) {
    const int64_t left = n - j, width = left > W ? NR : W;
    for (int64_t v = 0; v < width; v += W) {
      const int64_t cols = left - v < W ? left - v : W;
      if (g->trans_b) {
        const float *src = g->b + (col + j + v) * g->ldb + k0;
        for (int64_t kk = 0; kk < k; kk += W)
          vtranspose_block(src + kk, g->ldb, cols, k - kk < W ? k - kk : W, bp + kk * width + v,
                           width);
      } else {
        const float *src = g->b + k0 * g->ldb + col + j + v;
        for (int64_t kk = 0; kk < k; kk++)
          vstore(bp + kk * width + v, vload_part(src + kk * g->ldb, cols, 0.0f));
      }
    }
    bp += k * width;
  }
}

/* Where a tile's sums go: out[i][0 … nv·W), rows ld apart. */
typedef struct tile_out {
  float *out;
  int64_t ld;
  bool add;          /* += rather than = */
  const float *bias; /* [nv·W] added at last, or NULL */
} tile_out;

/* out[rows][nv·W] = Σ_k a[k][row] b[k][:] (+ out) (+ bias) */
INLINE void tile_body(int rows, int nv, int64_t k, const float *ap, const float *bp,
                      const tile_out *o) {
  vf acc[MR][NV];
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vzero();
  for (int64_t kk = 0; kk < k; kk++, ap += MR, bp += nv * W) {
    vf b[NV];
    UNROLL for (int j = 0; j < nv; j++) b[j] = vload(bp + j * W);
    UNROLL for (int i = 0; i < rows; i++) {
      const vf a = vset1(ap[i]);
      UNROLL for (int j = 0; j < nv; j++) acc[i][j] = vfma(a, b[j], acc[i][j]);
    }
  }
  if (o->add)
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] =
        vload(o->out + i * o->ld + j * W) + acc[i][j];
  if (o->bias) UNROLL for (int j = 0; j < nv; j++) {
      const vf b = vload(o->bias + j * W);
      UNROLL for (int i = 0; i < rows; i++) acc[i][j] += b;
    }
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < nv; j++)
      vstore(o->out + i * o->ld + j * W, acc[i][j]);
}

#define TILE_CASE(r)                                                                               \
  case r:                                                                                          \
    if (nv == NV)                                                                                  \
      tile_body(r, NV, k, ap, bp, o);                                                              \
    else                                                                                           \
      tile_body(r, 1, k, ap, bp, o);                                                               \
    break;
static void tile(int rows, int nv, int64_t k, const float *ap, const float *bp, const tile_out *o) {
  switch (rows) {
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

/* C[i, j …] = t, with the block's place in the sum over k: the first meets beta, the last bias and act. */
typedef struct tile_place {
  int64_t i, j, rows, cols;
  bool first, last;
} tile_place;

static void tile_finish(const isc_gemm *g, const tile_place *p, const float *t, int64_t ld_t) {
  const vf alpha = vset1(g->alpha), beta = vset1(p->first ? g->beta : 1.0f);
  const bool load = !p->first || g->beta != 0.0f;
  for (int64_t r = 0; r < p->rows; r++) {
    float *c = g->c + (p->i + r) * g->ldc + p->j;
    for (int64_t v = 0; v < p->cols; v += W) {
      const int64_t left = p->cols - v;
      vf x = vload(t + r * ld_t + v) * alpha;
      if (load) x = vfma(vload_part(c + v, left, 0.0f), beta, x);
      if (p->last) {
        if (g->bias) x += vload_part(g->bias + p->j + v, left, 0.0f);
        if (g->pre) vstore_part(g->pre + (p->i + r) * g->ldc + p->j + v, left, x);
        x = vact(g->act, x);
      }
      vstore_part(c + v, left, x);
    }
  }
}

#endif
