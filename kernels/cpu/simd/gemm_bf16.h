/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product of bf16 operands with the tiles of the f32 product: both are rounded as they are packed.
 *
 * A packed element is a float that bf16 holds, or, where BF16_PAIRS is set and the processor multiplies such, a pair of
 * neighbours along k. Sums run as in the f32 product, by single elements or by pairs: in an order that k alone decides.
 */
#ifndef ISC_CPU_GEMM_BF16_H
#define ISC_CPU_GEMM_BF16_H

#include "gemm_pack.h"

#ifdef BF16_PAIRS
enum { PER = 2 };
#else
enum { PER = 1 };
#endif

/* What few rows meet is packed a little at a time, so that it need not leave the first cache. */
enum {
  LITTLE = 256,     /* packed rows of a panel, where B lies by columns of C */
  LITTLE_WIDE = 64, /* of GROUP panels side by side, where it lies by rows  */
  GROUP = 4,        /* as many as pack_b4 packs */
  FEW = (16 + MR - 1) / MR * MR
};

/* k rows of `width` floats at p, rounded, as packed rows at `to` ≤ p. */
static void narrow(const float *p, int64_t k, int64_t width, float *to) {
  for (int64_t kk = 0; kk < k; kk += PER, p += PER * width, to += width)
    for (int64_t v = 0; v < width; v += W) {
      vf x = vround16(vload_part(p + v, width - v, 0.0f));
      if (PER == 2)
        x = vpair16(x, kk + 1 < k ? vround16(vload_part(p + width + v, width - v, 0.0f)) : vzero());
      vstore_part(to + v, width - v, x);
    }
}

/* ap[p][packed k][MR], `step` rows a tile: each is packed as f32 first, in its place and behind it. */
static void pack16_a(const isc_gemm *g, int64_t i, int64_t m, int64_t step, int64_t k0, int64_t k,
                     float *ap) {
  for (int64_t last = i + m; i < last; i += step, ap += ceil_div(k, PER) * MR) {
    const int64_t rows = min64(step, last - i);
    if (g->trans_a)
      pack_a_transposed(g->a + k0 * g->lda + i, g->lda, rows, rows, k, ap);
    else
      pack_a(g->a + i * g->lda + k0, g->lda, rows, rows, k, ap);
    narrow(ap, k, MR, ap);
  }
}

/* Packed rows of pairs, `pairs` of the W in r, from the packed row at `to` on. */
INLINE void put_pairs(const vf r[W], int64_t pairs, int64_t width, float *to) {
  UNROLL for (int i = 0; i < W; i++) if (i < pairs) {
    if (PER == 2) {
      vstore(to + i * width, r[i]);
      continue;
    }
    vstore(to + 2 * i * width, (vf)((vu)r[i] << 16));
    vstore(to + (2 * i + 1) * width, (vf)((vu)r[i] & 0xFFFF0000)); /* a row of 0 where k is odd */
  }
}

/* Columns of B that lie as rows of bf16: W of them by 2 W of k at a time, turned as pairs. What is packed next lies
 * `ahead` elements on. */
static void pack16_b_rows(const uint16_t *src, int64_t ld, int64_t n, int64_t k, int64_t width,
                          int64_t ahead, float *bp) {
  for (int64_t v = 0; v < width; v += W, src += W * ld)
    for (int64_t kk = 0; kk < k; kk += 2 * W) {
      float *to = bp + kk / PER * width + v;
      vf r[W];
      if (v + W <= n && kk + 2 * W <= k) {
        UNROLL for (int i = 0; i < W; i++) {
          __builtin_prefetch(src + i * ld + kk + ahead);
          r[i] = vload_pairs(src + i * ld + kk);
        }
        vtranspose(r);
        put_pairs(r, W, width, to);
        continue;
      }
      for (int i = 0; i < W; i++)
        r[i] = v + i < n ? vload_pairs_part(src + i * ld + kk, k - kk) : vzero();
      vtranspose(r);
      put_pairs(r, ceil_div(min64(2 * W, k - kk), 2), width, to);
    }
}

/* The next packed row of a vector of columns of B that lie as columns of bf16; `pair`: there are two rows of B. */
INLINE vf pack16_row(const uint16_t *src, int64_t ld, int64_t n, bool pair) {
  const vf x = n >= W ? vload16(src) : vload16_part(src, n);
  if (PER == 1) return x;
  return vpair16(x, !pair ? vzero() : n >= W ? vload16(src + ld) : vload16_part(src + ld, n));
}

/* One panel, or GROUP whole ones: row by row of B, in runs as long as may be. */
static void pack16_b_columns(const uint16_t *src, int64_t ld, int64_t n, int64_t k, int64_t width,
                             float *bp) {
  for (int64_t kk = 0; kk < k; kk += PER, src += PER * ld, bp += width)
    for (int64_t v = 0; v < width; v += W) {
      __builtin_prefetch(src + 16 * ld + v);
      if (PER == 2) __builtin_prefetch(src + 17 * ld + v);
      vstore(bp + v, n > v ? pack16_row(src + v, ld, n - v, kk + 1 < k) : vzero());
    }
}

static void pack16_b_group(const uint16_t *src, int64_t ld, int64_t k, float *bp) {
  const int64_t panel = ceil_div(k, PER) * NR;
  for (int64_t kk = 0; kk < k; kk += PER, src += PER * ld, bp += NR)
    UNROLL for (int v = 0; v < GROUP * NV; v++) {
      if (v * W % 32 == 0) {
        __builtin_prefetch(src + 16 * ld + v * W);
        if (PER == 2) __builtin_prefetch(src + 17 * ld + v * W);
      }
      vstore(bp + v / NV * panel + v % NV * W, pack16_row(src + v * W, ld, W, kk + 1 < k));
    }
}

/* Panels of f32, packed as they are and then narrowed; returns of how many columns. */
static int64_t pack16_b_floats(const isc_gemm *g, int64_t j, int64_t n, int64_t k0, int64_t k,
                               float *bp) {
  if (!g->trans_b && n >= GROUP * NR) {
    pack_b4(g, j, k0, k, bp);
    for (int64_t v = 0; v < GROUP; v++)
      narrow(bp + v * k * NR, k, NR, bp + v * ceil_div(k, PER) * NR);
    return GROUP * NR;
  }
  const int64_t cols = min64(NR, n), width = cols > W ? NR : W;
  pack_b(g, j, cols, k0, k, width, bp);
  narrow(bp, k, width, bp);
  return NR;
}

/* The same of bf16. What is packed next lies `ahead` elements on where B is transposed. */
static int64_t pack16_b_halves(const isc_gemm *g, int64_t j, int64_t n, int64_t k0, int64_t k,
                               int64_t ahead, float *bp) {
  const uint16_t *b = (const uint16_t *)(const void *)g->b;
  const int64_t cols = min64(NR, n), width = cols > W ? NR : W;
  if (g->trans_b) {
    pack16_b_rows(b + j * g->ldb + k0, g->ldb, cols, k, width, ahead, bp);
    return NR;
  }
  if (n < GROUP * NR) {
    pack16_b_columns(b + k0 * g->ldb + j, g->ldb, cols, k, width, bp);
    return NR;
  }
  pack16_b_group(b + k0 * g->ldb + j, g->ldb, k, bp);
  return GROUP * NR;
}

/* Panels [j, j + n) of B, each NR or W wide. */
static void pack16_b(const isc_gemm *g, int64_t j, int64_t n, int64_t k0, int64_t k, int64_t ahead,
                     float *bp) {
  for (int64_t x = 0, done; x < n; x += done, bp += ceil_div(k, PER) * done)
    done = g->b_dtype == ISC_F32 ? pack16_b_floats(g, j + x, n - x, k0, k, bp)
                                 : pack16_b_halves(g, j + x, n - x, k0, k, ahead, bp);
}

/* What is packed as f32 in its place needs as much room again: up to four panels, and a tile. */
enum {
  PACK16_B = PACK_B + GROUP * KC * NR,
  PACK16_FLOATS = PACK16_B + (PACK_A + PER * KC * MR + 15) / 16 * 16
};

/* Few rows, their A packed in tiles from `ap` on, against columns [p->j, p->j + p->cols), at most GROUP panels. */
static void few_rows_panels(const isc_gemm *g, const tile_place *p, int64_t step, int64_t k0,
                            int64_t k, const float *ap, float *bp) {
  float t[GROUP][FEW * NR] __attribute__((aligned(64)));
  const int64_t some = (p->cols > NR ? LITTLE_WIDE : LITTLE) * PER;
  memset(t, 0, sizeof *t * (size_t)ceil_div(p->cols, NR));
  for (int64_t kk = 0; kk == 0 || kk < k; kk += some) {
    const int64_t now = min64(some, k - kk);
    const bool more = kk + some < k; /* of these panels */
    pack16_b(g, p->j, p->cols, k0 + kk, now, more ? some : NR * g->ldb - kk, bp);
    tile_job job = {.k = ceil_div(now, PER), .a_row = 1, .a_k = MR, .b = bp};
    for (int64_t x = 0; x < p->cols; x += NR, job.b += job.k * job.b_k) {
      job.vectors = p->cols - x > W ? NV : 1;
      job.b_k = job.ld = job.vectors * W;
      for (int64_t i = 0; i < p->rows; i += step) {
        job.rows = (int)min64(step, p->rows - i);
        job.a = ap + (i / step * ceil_div(k, PER) + kk / PER) * MR;
        job.out = t[x / NR] + i * job.ld;
        tile_on(&job);
      }
    }
  }
  tile_place q = *p;
  for (int64_t x = 0; x < p->cols; x += NR) {
    q.j = p->j + x;
    q.cols = min64(NR, p->cols - x);
    tile_finish(g, &q, t[x / NR], q.cols > W ? NR : W);
  }
}

static void few_rows_block(const isc_gemm *g, int64_t m0, int64_t rows, int64_t n0, int64_t n1,
                           int64_t k0, int64_t k, float *pack) {
  const int64_t side = g->trans_b ? NR : GROUP * NR, step = ceil_div(rows, ceil_div(rows, MR));
  tile_place p = {.i = m0, .rows = rows, .first = k0 == 0, .last = k0 + k >= g->k};
  pack16_a(g, m0, rows, step, k0, k, pack + PACK16_B);
  for (p.j = n0; p.j < n1; p.j += side) {
    p.cols = min64(side, n1 - p.j);
    few_rows_panels(g, &p, step, k0, k, pack + PACK16_B, pack);
  }
}

static void many_rows_block(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                            int64_t k0, int64_t k, float *pack) {
  gemm_operands o = {.ap = pack + PACK16_B, .bp = pack, .k = ceil_div(k, PER)};
  for (int64_t j = n0; j < n1; j += NC) {
    tile_place p = {.j = j, .cols = min64(NC, n1 - j), .first = k0 == 0, .last = k0 + k >= g->k};
    pack16_b(g, j, p.cols, k0, k, NR * g->ldb, pack);
    for (p.i = m0; p.i < m1; p.i += p.rows) {
      p.rows = min64(MC, m1 - p.i);
      o.step = ceil_div(p.rows, ceil_div(p.rows, MR)); /* tiles of even height */
      pack16_a(g, p.i, p.rows, o.step, k0, k, pack + PACK16_B);
      const float *panel = pack;
      for (int64_t x = 0; x < p.cols; x += NR)
        gemm_panel(g, &o, &p, x, &panel);
    }
  }
}

static void gemm16_block(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                         void *pack) {
  int64_t k0 = 0;
  do {
    const int64_t k = min64(PER * KC, g->k - k0);
    if (m1 - m0 <= FEW)
      few_rows_block(g, m0, m1 - m0, n0, n1, k0, k, pack);
    else
      many_rows_block(g, m0, m1, n0, n1, k0, k, pack);
    k0 += k;
  } while (k0 < g->k);
}

#define GEMM16_KERNEL(kernel_name)                                                                 \
  {                                                                                                \
    .name = kernel_name, .rows = MR, .cols = NR, .packing = 16,                                    \
    .pack = PACK16_FLOATS * sizeof(float), .block = gemm16_block                                   \
  }

#endif
