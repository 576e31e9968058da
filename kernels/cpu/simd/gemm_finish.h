/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernels of the matrix product do to a finished tile: scale, bias, activation, and its way into C.
 */
#ifndef ISC_CPU_GEMM_FINISH_H
#define ISC_CPU_GEMM_FINISH_H

#include "vmath.h"

INLINE int64_t min64(int64_t a, int64_t b) {
  return a < b ? a : b;
}
INLINE int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
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
