/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product of f32: one block of a call, on the calling thread.
 */
#ifndef ISC_CPU_GEMM_H
#define ISC_CPU_GEMM_H

#include "gemm_pack.h"

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
  /* What is packed for few rows is met once, and need not fill the second cache. */
  const int64_t nc = g->trans_b && m1 - m0 <= 2 * MR ? 4 * NR : NC;
  gemm_operands o = {.ap = ap, .bp = pack, .b_in_place = !g->trans_b && m1 - m0 < 128};
  do {
    o.k = min64(KC, g->k - o.k0);
    for (int64_t j = n0; j < n1; j += nc) {
      tile_place p = {
          .j = j, .cols = min64(nc, n1 - j), .first = o.k0 == 0, .last = o.k0 + o.k >= g->k};
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

static void gemm_part(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                      void *pack) {
  gemm_block(g, m0, m1, n0, n1, pack);
}

/* An element packed costs about as much as sixteen columns or rows of it. */
static const cpu_gemm_kernel gemm_kernel = {
    .rows = MR, .cols = NR, .packing = 16, .pack = PACK_FLOATS * sizeof(float), .block = gemm_part};

static isc_status gemm(cpu *c, const isc_gemm *g) {
  if (g->product == ISC_BF16 || g->b_dtype == ISC_BF16) return cpu_gemm_run(c, g, c->bf16);
  if (cpu_dnnl_serves(c, g)) return cpu_dnnl_gemm(c, g);
  return cpu_gemm_run(c, g, &gemm_kernel);
}

#endif
