/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product: blocks on one thread, and the division of a call among threads.
 *
 * Any division gives the same bits (gemm_tile.h), so it follows the shape, the batch and the number
 * of threads freely. Each thread packs what it needs for itself: no barrier within a call.
 */
#ifndef ISC_CPU_GEMM_H
#define ISC_CPU_GEMM_H

#include "gemm_tile.h"

INLINE int64_t min64(int64_t a, int64_t b) {
  return a < b ? a : b;
}
INLINE int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/* One packed block against another. Whole tiles with nothing to do but add go straight to C. */
static void gemm_panels(const isc_gemm *g, int64_t step, int64_t k, const float *ap,
                        const float *bp, const tile_place *block) {
  float t[MR * NR] __attribute__((aligned(64)));
  const bool plain = g->alpha == 1.0f && (!block->first || g->beta == 0.0f || g->beta == 1.0f) &&
                     (!block->last || (g->act == ISC_ACT_NONE && !g->pre));
  for (int64_t j = 0; j < block->cols; j += NR) {
    tile_place p = *block;
    p.j += j;
    p.cols = min64(NR, block->cols - j);
    const int64_t width = p.cols > W ? NR : W;
    const bool direct = plain && p.cols == width;
    tile_out o = {.out = t, .ld = width};
    if (direct) {
      o.ld = g->ldc;
      o.add = !p.first || g->beta != 0.0f;
      o.bias = p.last && g->bias ? g->bias + p.j : NULL;
    }
    const float *a = ap;
    for (int64_t i = 0; i < block->rows; i += step, a += k * MR) {
      p.i = block->i + i;
      p.rows = min64(step, block->rows - i);
      if (direct) o.out = g->c + p.i * g->ldc + p.j;
      tile((int)p.rows, (int)(width / W), k, a, bp, &o);
      if (!direct) tile_finish(g, &p, t, width);
    }
    bp += k * width;
  }
}

/* Rows [m0, m1), columns [n0, n1) of one product on the calling thread; pack [PACK_FLOATS]. */
static void gemm_block(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                       float *pack) {
  float *ap = pack + PACK_B, *bp = pack;
  int64_t k0 = 0;
  do {
    const int64_t k = min64(KC, g->k - k0);
    for (int64_t j = n0; j < n1; j += NC) {
      tile_place p = {.j = j, .cols = min64(NC, n1 - j), .first = k0 == 0, .last = k0 + k >= g->k};
      pack_b(g, j, p.cols, k0, k, bp);
      for (p.i = m0; p.i < m1; p.i += p.rows) {
        p.rows = min64(MC, m1 - p.i);
        const int64_t step = ceil_div(p.rows, ceil_div(p.rows, MR)); /* tiles of even height */
        pack_a(g, p.i, p.rows, step, k0, k, ap);
        gemm_panels(g, step, k, ap, bp, &p);
      }
    }
    k0 += k;
  } while (k0 < g->k);
}

/* A call's division: items [0, batch · rows · cols) of a grid. */
typedef struct gemm_grid {
  const isc_gemm *g;
  int64_t m_parts, n_parts;
  char *own;
  size_t own_size;
} gemm_grid;

static void gemm_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const gemm_grid *d = ctx;
  float *pack = (float *)(void *)(d->own + (size_t)thread * d->own_size);
  const int64_t parts = d->m_parts * d->n_parts;
  for (int64_t x = begin; x < end; x++) {
    isc_gemm g = *d->g;
    const int64_t item = x / parts, mi = x % parts / d->n_parts, ni = x % d->n_parts;
    g.a += item * g.stride_a;
    g.b += item * g.stride_b;
    g.c += item * g.stride_c;
    const int64_t panels = ceil_div(g.n, NR), tiles = ceil_div(g.m, MR);
    gemm_block(&g, tiles * mi / d->m_parts * MR, min64(g.m, tiles * (mi + 1) / d->m_parts * MR),
               panels * ni / d->n_parts * NR, min64(g.n, panels * (ni + 1) / d->n_parts * NR),
               pack);
  }
}

/* The division into at most `threads` parts with the least work in the largest; packing counts. */
static void gemm_divide(gemm_grid *d, int64_t threads) {
  const int64_t panels = ceil_div(d->g->n, NR), tiles = ceil_div(d->g->m, MR);
  double best = 0;
  for (int64_t np = 1; np <= threads && np <= panels; np++) {
    const int64_t mp = min64(threads / np, tiles);
    const double rows = (double)ceil_div(tiles, mp) * MR, cols = (double)ceil_div(panels, np) * NR;
    const double cost = rows * cols + 8 * rows + 16 * cols;
    if (np == 1 || cost < best) {
      best = cost;
      d->m_parts = mp;
      d->n_parts = np;
    }
  }
}

enum {
  GEMM_SERIAL = 1 << 17
}; /* multiply-adds below which a second thread costs more than it gives */

static isc_status gemm(cpu *c, const isc_gemm *g) {
  if (g->batch <= 0 || g->m <= 0 || g->n <= 0) return ISC_OK;
  gemm_grid d = {.g = g, .m_parts = 1, .n_parts = 1, .own_size = PACK_FLOATS * sizeof(float)};
  ISC_TRY(cpu_scratch(c, CPU_INNER, 0, d.own_size, NULL, &d.own));
  const double work = (double)g->m * (double)g->n * (double)(g->k + 8);
  if (work * (double)g->batch >= 2 * GEMM_SERIAL && g->batch < 4 * (int64_t)c->threads)
    gemm_divide(&d, c->threads);
  const int64_t parts = d.m_parts * d.n_parts;
  const double each = work / (double)parts;
  const int64_t grain = each >= GEMM_SERIAL ? 1 : 1 + (int64_t)(GEMM_SERIAL / each);
  cpu_for(c, g->batch * parts, grain, gemm_job, &d);
  return ISC_OK;
}

#endif
