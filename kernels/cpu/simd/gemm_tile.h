/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner parts of the matrix product: the register tile and a panel of tiles.
 *
 * Every element of C is the sum over k in one order: fused multiply-adds in sequence within blocks
 * of KC, the blocks' sums added in sequence. So its bits depend on k alone, never on the tile,
 * the block or the thread that made it, nor on what else the call computes.
 */
#ifndef ISC_CPU_GEMM_TILE_H
#define ISC_CPU_GEMM_TILE_H

#include "gemm_finish.h"

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

/* What a tile does with an element of A and a vector of B. A level whose elements are pairs of bf16 sets its own. */
#ifndef TILE_STEP
#define TILE_STEP(a, b, sum) vfma(a, b, sum)
#define TILE_ALL(p)          vset1(*(p))
#endif

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

/* `by_rows`: a_k = 1, A as it lies in memory. Three rows share a pointer, or registers run out. `on`: the sums go on from
 * those in out. */
INLINE void tile_body(int rows, int nv, bool by_rows, bool on, const tile_job *t) {
  enum { GROUPS = (MR + 2) / 3 };
  const float *a[GROUPS], *b = t->b;
  const int64_t row = by_rows ? t->a_row : 1, step = by_rows ? 1 : t->a_k, b_k = t->b_k;
  vf acc[MR][NV];
  UNROLL for (int i = 0; i < GROUPS; i++) a[i] = t->a + (by_rows ? 3 * i * row : 3 * i);
  UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < nv; j++) acc[i][j] =
      on ? vload(t->out + i * t->ld + j * W) : vzero();
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
      const vf x = by_rows ? TILE_ALL(a[i / 3] + i % 3 * row) : TILE_ALL(a[0] + i);
      UNROLL for (int j = 0; j < nv; j++) acc[i][j] = TILE_STEP(x, bv[j], acc[i][j]);
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
        tile_body(r, NV, true, false, t);                                                          \
      else                                                                                         \
        tile_body(r, 1, true, false, t);                                                           \
    } else if (t->vectors == NV) {                                                                 \
      tile_body(r, NV, false, false, t);                                                           \
    } else {                                                                                       \
      tile_body(r, 1, false, false, t);                                                            \
    }                                                                                              \
    break;
#define TILE_ON_CASE(r)                                                                            \
  case r:                                                                                          \
    if (t->vectors == NV)                                                                          \
      tile_body(r, NV, false, true, t);                                                            \
    else                                                                                           \
      tile_body(r, 1, false, true, t);                                                             \
    break;
#if LEVEL == 512
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#elif LEVEL == 256
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#else
#define EACH_ROWS(X) X(1) X(2) X(3) X(4)
#endif
static void tile(const tile_job *t) {
  switch (t->rows) { EACH_ROWS(TILE_CASE) }
}

/* The same for packed A, with sums that go on from those in out. */
static void tile_on(const tile_job *t) {
  switch (t->rows) { EACH_ROWS(TILE_ON_CASE) }
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

#endif
