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

/* What a block multiplies: where A's tiles and B's panels are. */
typedef struct gemm_operands {
  int64_t step; /* rows of a tile */
  int64_t k0, k;
  const float *ap; /* packed tiles, or NULL: A in place from row `a_from` */
  const float *bp; /* packed panels; with b_in_place only a last one that is not whole */
  bool b_in_place;
} gemm_operands;

/* Panel at column j of a block `cols` wide whose packed panels begin at *bp. */
static void gemm_panel(const isc_gemm *g, const gemm_operands *o, const tile_place *block,
                       int64_t j, const float **bp) {
  float t[MR * NR] __attribute__((aligned(64)));
  const bool plain = g->alpha == 1.0f && (!block->first || g->beta == 0.0f || g->beta == 1.0f) &&
                     (!block->last || (g->act == ISC_ACT_NONE && !g->pre));
  tile_place p = *block;
  p.j += j;
  p.cols = min64(NR, block->cols - j);
  const int64_t width = p.cols > W ? NR : W;
  const bool direct = plain && p.cols == width; /* whole vectors with nothing to do but add */
  tile_job job = {
      .vectors = (int)(width / W), .k = o->k, .out = t, .ld = width, .b = *bp, .b_k = width};
  if (o->b_in_place && p.cols == NR) {
    job.b = g->b + o->k0 * g->ldb + p.j;
    job.b_k = g->ldb;
  } else {
    *bp += o->k * width;
  }
  if (direct) {
    job.ld = g->ldc;
    job.add = !p.first || g->beta != 0.0f;
    job.bias = p.last && g->bias ? g->bias + p.j : NULL;
  }
  for (int64_t i = 0; i < block->rows; i += o->step) {
    p.i = block->i + i;
    p.rows = min64(o->step, block->rows - i);
    job.rows = (int)p.rows;
    job.a_row = g->trans_a || o->ap ? 1 : g->lda;
    job.a_k = o->ap ? MR : g->trans_a ? g->lda : 1;
    job.a = o->ap ? o->ap + i / o->step * o->k * MR
                  : g->a + (g->trans_a ? o->k0 * g->lda + p.i : p.i * g->lda + o->k0);
    if (direct) job.out = g->c + p.i * g->ldc + p.j;
    if (!direct) tile_expect(g, &p);
    tile(&job);
    if (!direct) tile_finish(g, &p, t, width);
  }
}

/* Is A worth packing? Rows 4 KiB apart share one set of the first cache and would evict each other;
 * otherwise it takes many columns to win back the copy. */
static bool gemm_pack_a(const isc_gemm *g, int64_t cols) {
  return cols > 512 || (!g->trans_a && g->lda % 1024 == 0);
}

/* Packs the panels of a block that are not read in place. */
static void gemm_pack_b(const isc_gemm *g, const gemm_operands *o, const tile_place *p, float *bp) {
  for (int64_t x = 0; x < p->cols;) {
    const int64_t left = p->cols - x, cols = min64(NR, left), width = cols > W ? NR : W;
    if (!g->trans_b && !o->b_in_place && left >= 4 * NR) {
      pack_b4(g, p->j + x, o->k0, o->k, bp);
      bp += 4 * o->k * NR;
      x += 4 * NR;
      continue;
    }
    if (!o->b_in_place || cols < NR) {
      pack_b(g, p->j + x, cols, o->k0, o->k, width, bp);
      bp += o->k * width;
    }
    x += NR;
  }
}

/* Rows [m0, m1), columns [n0, n1) of one product on the calling thread; pack [PACK_FLOATS]. */
static void gemm_block(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                       float *pack) {
  float *ap = gemm_pack_a(g, n1 - n0) ? pack + PACK_B : NULL;
  gemm_operands o = {.ap = ap, .bp = pack, .b_in_place = !g->trans_b && m1 - m0 < 128};
  do {
    o.k = min64(KC, g->k - o.k0);
    for (int64_t j = n0; j < n1; j += NC) {
      tile_place p = {
          .j = j, .cols = min64(NC, n1 - j), .first = o.k0 == 0, .last = o.k0 + o.k >= g->k};
      gemm_pack_b(g, &o, &p, pack);
      for (p.i = m0; p.i < m1; p.i += p.rows) {
        p.rows = min64(MC, m1 - p.i);
        o.step = ceil_div(p.rows, ceil_div(p.rows, MR)); /* tiles of even height */
        if (ap && g->trans_a)
          pack_a_transposed(g->a + o.k0 * g->lda + p.i, g->lda, p.rows, o.step, o.k, ap);
        else if (ap)
          pack_a(g->a + p.i * g->lda + o.k0, g->lda, p.rows, o.step, o.k, ap);
        const float *panel = pack;
        for (int64_t x = 0; x < p.cols; x += NR)
          gemm_panel(g, &o, &p, x, &panel);
      }
    }
    o.k0 += o.k;
  } while (o.k0 < g->k);
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

enum { GEMM_SERIAL = 1 << 17 }; /* multiply-adds too few to divide */

/* The division with the least time: rounds of parts, each costing its multiply-adds and its packing
 * (an element packed costs about as much as sixteen columns or rows of it), and half a part for
 * threads out of step. Several parts a thread let the others help one that is held up. */
static void gemm_divide(gemm_grid *d, int64_t threads) {
  const int64_t panels = ceil_div(d->g->n, NR), tiles = ceil_div(d->g->m, MR);
  const double work = (double)d->g->m * (double)d->g->n * (double)d->g->k;
  const int64_t most = min64((int64_t)(work / GEMM_SERIAL), 4 * threads);
  double best = INFINITY;
  for (int64_t np = 1; np <= most && np <= panels; np++)
    for (int64_t x = most; x >= 1; x /= 2) {
      const int64_t mp = min64(x / np, tiles);
      if (mp < 1) continue;
      const double rows = (double)ceil_div(tiles, mp) * MR,
                   cols = (double)ceil_div(panels, np) * NR;
      const double rounds = (double)ceil_div(np * mp, threads) + 0.5;
      const double time = rounds * (rows * cols + 16 * (rows + cols));
      if (time >= best) continue;
      best = time;
      d->m_parts = mp;
      d->n_parts = np;
    }
}

static isc_status gemm(cpu *c, const isc_gemm *g) {
  if (g->batch <= 0 || g->m <= 0 || g->n <= 0) return ISC_OK;
  if (cpu_dnnl_serves(c, g)) return cpu_dnnl_gemm(c, g);
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
