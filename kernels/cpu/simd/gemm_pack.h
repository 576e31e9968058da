/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing for the matrix product: blocks of A and of B in the order in which a tile reads them.
 */
#ifndef ISC_CPU_GEMM_PACK_H
#define ISC_CPU_GEMM_PACK_H

#include "gemm_tile.h"

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

#endif
