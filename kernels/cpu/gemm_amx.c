/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product of bf16 operands by AMX tiles (Intel since Sapphire Rapids).
 *
 * A tile is 16 rows of 32 bf16. Both operands are rounded as they are packed into tiles, except that few rows by a
 * transposed B of bf16 (a decoder's step) read B where it lies. Within blocks of BLOCK_K a tile adds up 32 products at
 * a time; the blocks' sums are added in sequence. The processor treats both factors alike, so which of them is read in
 * place changes no bit. A is packed once for all columns, block by block of them B, which then stays in the second cache.
 */
#include "cpu.h"

#if defined(CPU_BF16)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((                                                                                \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,avx2,fma"))),      \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,avx2,fma")
#endif

#define LEVEL 512
#include "simd/gemm_finish.h"

enum {
  SIDE = 16, /* rows of a tile, and columns of f32 */
  STEP = 32, /* bf16 in a row                       */
  TILE_BYTES = SIDE * STEP * 2,
  PAIR = 2 * SIDE, /* rows or columns of two tiles        */
  BLOCK_K = 1024,  /* part of the order of every sum, so fixed */
  BLOCK_N = 512,
  BLOCK_N_FEW =
      128,        /* where B is met once: what is read and what is packed share the second cache */
  BLOCK_M = 2048, /* rows that are packed once for all columns */
  BLOCK_STEPS = BLOCK_K / STEP,
  FEW_STEPS = 4,
  PACKED_B = BLOCK_N / SIDE * BLOCK_STEPS * TILE_BYTES,
  PACKED_A = BLOCK_M / SIDE * BLOCK_STEPS * TILE_BYTES
};

/* ---- tiles of an operand */

/* A matrix of f32 or bf16 as it lies, up to its limits; beyond them it is 0. */
typedef struct source {
  const void *at;
  isc_dtype type;
  int64_t ld, rows, cols;
} source;

/* 32 elements from (row, col) on, as bf16; `whole`: all are within the limits. */
INLINE __m512i row32(isc_dtype type, bool whole, const source *s, int64_t row, int64_t col) {
  const int64_t n = whole ? STEP : row < s->rows ? min64(STEP, s->cols - col) : 0;
  const int64_t at = row * s->ld + col;
  if (n <= 0) return _mm512_setzero_si512();
  if (type == ISC_BF16) {
    const uint16_t *p = (const uint16_t *)s->at + at;
    return n == STEP ? _mm512_loadu_si512(p)
                     : _mm512_maskz_loadu_epi16((__mmask32)((1ull << n) - 1), p);
  }
  const float *p = (const float *)s->at + at;
  const vf low = vload_part(p, n, 0.0f),
           high = n > SIDE ? vload_part(p + SIDE, n - SIDE, 0.0f) : vzero();
  return (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

/* A tile whose rows are rows of the matrix, or `turned` its columns. */
INLINE void rows_tile(isc_dtype type, bool whole, const source *s, bool turned, int64_t row,
                      int64_t col, char *to) {
  vf t[SIDE];
  UNROLL for (int i = 0; i < SIDE; i++) t[i] = (vf)row32(type, whole, s, row + i, col);
  if (turned) vtranspose(t);
  UNROLL for (int i = 0; i < SIDE; i++) vstore((float *)(void *)(to + i * 64), t[i]);
}

/* `count` tiles whose rows, or `turned` columns, are pairs of rows of the matrix, interleaved: 16 columns each. Row by row,
 * and the next 32 rows are fetched: each may lie on a page of its own. */
INLINE void pairs_tiles(isc_dtype type, bool whole, const source *s, bool turned, int64_t row,
                        int64_t col, int count, char *to) {
  const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,
                                       39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(SIDE));
  const int64_t size = type == ISC_BF16 ? 2 : 4, row_bytes = s->ld * size, line = 64;
  const char *next = (const char *)s->at + ((row + STEP) * s->ld + col) * size;
  float *out = (float *)(void *)to;
  for (int i = 0; i < SIDE; i++, next += 2 * row_bytes, out += SIDE)
    for (int c = 0; c < count; c += 2) {
      const __m512i x = row32(type, whole, s, row + 2 * i, col + c * SIDE),
                    y = row32(type, whole, s, row + 2 * i + 1, col + c * SIDE);
      const char *ahead = next + c * SIDE * size;
      __builtin_prefetch(ahead);
      __builtin_prefetch(ahead + row_bytes);
      if (size > 2) {
        __builtin_prefetch(ahead + line);
        __builtin_prefetch(ahead + row_bytes + line);
      }
      vstore(out + c * TILE_BYTES / 4, (vf)_mm512_permutex2var_epi16(x, low, y));
      if (c + 1 < count)
        vstore(out + (c + 1) * TILE_BYTES / 4, (vf)_mm512_permutex2var_epi16(x, high, y));
    }
  for (int c = 0; turned && c < count; c++)
    vtranspose_rows(W, (float *)(void *)(to + c * TILE_BYTES), SIDE,
                    (float *)(void *)(to + c * TILE_BYTES), SIDE);
}

/* Where the tiles of an operand go that are wanted. `down`: the rows of the matrix run along k. `turned`: the rows of the
 * tiles run the other way than the matrix's. */
typedef struct packing {
  const source *from;
  bool down, turned;
  int64_t first; /* along the side that is no sum */
  int count;     /* tiles side by side            */
} packing;

INLINE void pack_step(isc_dtype type, bool whole, const packing *p, int64_t k, char *to) {
  if (p->down && p->turned)
    pairs_tiles(type, whole, p->from, true, k, p->first, p->count, to);
  else if (p->down)
    pairs_tiles(type, whole, p->from, false, k, p->first, p->count, to);
  else
    for (int i = 0; i < p->count; i++, to += TILE_BYTES)
      if (p->turned)
        rows_tile(type, whole, p->from, true, p->first + i * SIDE, k, to);
      else
        rows_tile(type, whole, p->from, false, p->first + i * SIDE, k, to);
}

/* `steps` times p->count tiles from k0 on. */
static void pack_tiles(const packing *p, int64_t k0, int64_t steps, char *to) {
  const source *s = p->from;
  const int64_t side = p->down ? s->cols : s->rows, sum = p->down ? s->rows : s->cols;
  const int64_t reach =
      (p->down ? (p->count + 1) / 2 * 2 : p->count) * SIDE; /* read, wanted or not */
  for (int64_t x = 0; x < steps; x++, to += p->count * TILE_BYTES) {
    const int64_t k = k0 + x * STEP;
    const bool whole = p->first + reach <= side && k + STEP <= sum;
    if (whole && s->type == ISC_BF16)
      pack_step(ISC_BF16, true, p, k, to);
    else if (whole)
      pack_step(ISC_F32, true, p, k, to);
    else if (s->type == ISC_BF16)
      pack_step(ISC_BF16, false, p, k, to);
    else
      pack_step(ISC_F32, false, p, k, to);
  }
}

static source source_a(const isc_gemm *g, int64_t m, int64_t k) {
  return (source){.at = g->a, .ld = g->lda, .rows = g->trans_a ? k : m, .cols = g->trans_a ? m : k};
}

static source source_b(const isc_gemm *g, int64_t n, int64_t k) {
  return (source){.at = g->b,
                  .type = g->b_dtype,
                  .ld = g->ldb,
                  .rows = g->trans_b ? n : k,
                  .cols = g->trans_b ? k : n};
}

/* ---- products of tiles */

static void configure(void) {
  static const struct {
    uint8_t palette, start, reserved[14];
    uint16_t width[16];
    uint8_t rows[16];
  } whole = {.palette = 1,
             .width = {64, 64, 64, 64, 64, 64, 64, 64},
             .rows = {SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE}};
  _tile_loadconfig(&whole);
}

/* What was written at p is read by tile loads, which some compilers do not know to read memory. */
INLINE void about_to_load(const void *p) {
  __asm__ volatile("" : : "r"(p) : "memory");
}

/* out [16 a, 16 b], rows ld apart, of a strip of `a` packed tiles a step and a panel of `b`. */
INLINE void multiply(int a, int b, int64_t steps, const char *strip, const char *panel, float *out,
                     int64_t ld) {
  about_to_load(strip);
  about_to_load(panel);
  _tile_zero(0);
  if (b > 1) _tile_zero(1);
  if (a > 1) _tile_zero(2);
  if (a > 1 && b > 1) _tile_zero(3);
  for (int64_t x = 0; x < steps; x++, strip += a * TILE_BYTES, panel += b * TILE_BYTES) {
    _tile_loadd(4, strip, 64);
    _tile_loadd(6, panel, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (b > 1) {
      _tile_loadd(7, panel + TILE_BYTES, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (a > 1) {
      _tile_loadd(5, strip + TILE_BYTES, 64);
      _tile_dpbf16ps(2, 5, 6);
    }
    if (a > 1 && b > 1) _tile_dpbf16ps(3, 5, 7);
  }
  const size_t row = (size_t)ld * sizeof *out;
  _tile_stored(0, out, row);
  if (b > 1) _tile_stored(1, out + SIDE, row);
  if (a > 1) _tile_stored(2, out + SIDE * ld, row);
  if (a > 1 && b > 1) _tile_stored(3, out + SIDE * ld + SIDE, row);
}

/* C at `p`, up to 32 rows and columns, from its strip and panel. */
static void finish_pair(const isc_gemm *g, const tile_place *p, int64_t steps, const char *strip,
                        const char *panel) {
  float t[PAIR * PAIR] __attribute__((aligned(64)));
  const int a = p->rows > SIDE ? 2 : 1, b = p->cols > SIDE ? 2 : 1;
  const bool plain = g->alpha == 1.0f && g->beta == 0.0f && !g->bias && !g->pre &&
                     g->act == ISC_ACT_NONE && p->first && p->last;
  const bool direct = plain && p->rows == a * SIDE && p->cols == b * SIDE;
  float *out = direct ? g->c + p->i * g->ldc + p->j : t;
  const int64_t ld = direct ? g->ldc : PAIR;
  if (!direct) tile_expect(g, p);
  if (a > 1 && b > 1)
    multiply(2, 2, steps, strip, panel, out, ld);
  else if (a > 1)
    multiply(2, 1, steps, strip, panel, out, ld);
  else if (b > 1)
    multiply(1, 2, steps, strip, panel, out, ld);
  else
    multiply(1, 1, steps, strip, panel, out, ld);
  if (!direct) tile_finish(g, p, t, PAIR);
}

/* ---- blocks */

/* Strips of p->rows rows of A: pairs of tiles, `steps` of them to a pair. */
static void pack_strips(const isc_gemm *g, const source *a, const tile_place *p, int64_t k0,
                        int64_t steps, char *strips) {
  packing pack = {.from = a, .down = g->trans_a, .turned = g->trans_a};
  for (int64_t i = 0; i < p->rows; i += PAIR) {
    pack.first = p->i + i;
    pack.count = p->rows - i > SIDE ? 2 : 1;
    pack_tiles(&pack, k0, steps, strips + i / SIDE * steps * TILE_BYTES);
  }
}

/* p->rows by p->cols of C. A strip meets all panels, which are in the second cache, and the next strip is fetched into that
 * meanwhile. */
static void multiply_block(const isc_gemm *g, const tile_place *p, int64_t steps,
                           const char *strips, const char *panels) {
  tile_place q = *p;
  const int64_t strip = 2 * steps * TILE_BYTES, some = (strip * PAIR / p->cols + 63) / 64 * 64;
  for (int64_t i = 0; i < p->rows; i += PAIR, strips += strip) {
    const char *next = strips + strip;
    q.i = p->i + i;
    q.rows = min64(PAIR, p->rows - i);
    for (int64_t j = 0; j < p->cols; j += PAIR, next += some) {
      for (int64_t x = 0; i + PAIR < p->rows && x < some; x += 64)
        __builtin_prefetch(next + x, 0, 2);
      q.j = p->j + j;
      q.cols = min64(PAIR, p->cols - j);
      finish_pair(g, &q, steps, strips, panels + j / SIDE * steps * TILE_BYTES);
    }
  }
}

/* The panels of p->cols columns of B. Where the rows of B run along them, some steps of all panels are packed before
 * the next: in longer runs of each row, of which there is one to a page. */
static void pack_panels(const source *b, bool turned, const tile_place *p, int64_t k0,
                        int64_t steps, char *panels) {
  const int64_t some = turned ? steps : 1;
  packing pack = {.from = b, .down = !turned, .turned = turned};
  for (int64_t x = 0; x < steps; x += some)
    for (int64_t j = 0; j < p->cols; j += PAIR) {
      pack.first = p->j + j;
      pack.count = p->cols - j > SIDE ? 2 : 1;
      pack_tiles(&pack, k0 + x * STEP, some,
                 panels + (j / SIDE * steps + x * pack.count) * TILE_BYTES);
    }
}

static void packed_block(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                         int64_t k0, int64_t k, char *pack) {
  const source a = source_a(g, m1, k0 + k), b = source_b(g, n1, k0 + k);
  const int64_t steps = (k + STEP - 1) / STEP;
  tile_place p = {.first = k0 == 0, .last = k0 + k >= g->k};
  const int64_t most = m1 - m0 <= PAIR ? BLOCK_N_FEW : BLOCK_N;
  for (p.i = m0; p.i < m1; p.i += p.rows) {
    p.rows = min64(BLOCK_M, m1 - p.i);
    pack_strips(g, &a, &p, k0, steps, pack + PACKED_B);
    for (p.j = n0; p.j < n1; p.j += p.cols) {
      p.cols = min64(most, n1 - p.j);
      pack_panels(&b, g->trans_b, &p, k0, steps, pack);
      multiply_block(g, &p, steps, pack + PACKED_B, pack);
    }
  }
}

/* ---- few rows, of one tile: B is met once, so that it should cost no more than to be read */

/* B lies by rows of C: 64 of its columns at a time are packed, a few steps at once that stay in the first cache. */
static void few_rows_by_columns(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                                int64_t k0, int64_t k, char *pack) {
  const source a = source_a(g, m1, k0 + k), b = source_b(g, n1, k0 + k);
  const int64_t steps = (k + STEP - 1) / STEP;
  float t[SIDE * 2 * PAIR] __attribute__((aligned(64)));
  char *panels = pack + BLOCK_STEPS * TILE_BYTES;
  tile_place p = {.i = m0, .rows = m1 - m0, .first = k0 == 0, .last = k0 + k >= g->k};
  const packing left = {.from = &a, .first = m0, .count = 1};
  pack_tiles(&left, k0, steps, pack);
  about_to_load(pack);
  for (p.j = n0; p.j < n1; p.j += 2 * PAIR) {
    const packing right = {.from = &b, .down = true, .first = p.j, .count = 4};
    p.cols = min64(2 * PAIR, n1 - p.j);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t x = 0; x < steps; x++) {
      char *four = panels + x % FEW_STEPS * 4 * TILE_BYTES;
      pack_tiles(&right, k0 + x * STEP, 1, four);
      about_to_load(four);
      _tile_loadd(4, pack + x * TILE_BYTES, 64);
      _tile_loadd(5, four, 64);
      _tile_dpbf16ps(0, 4, 5);
      _tile_loadd(6, four + TILE_BYTES, 64);
      _tile_dpbf16ps(1, 4, 6);
      _tile_loadd(5, four + 2 * TILE_BYTES, 64);
      _tile_dpbf16ps(2, 4, 5);
      _tile_loadd(6, four + 3 * TILE_BYTES, 64);
      _tile_dpbf16ps(3, 4, 6);
    }
    _tile_stored(0, t, 2 * PAIR * sizeof *t);
    _tile_stored(1, t + SIDE, 2 * PAIR * sizeof *t);
    _tile_stored(2, t + 2 * SIDE, 2 * PAIR * sizeof *t);
    _tile_stored(3, t + 3 * SIDE, 2 * PAIR * sizeof *t);
    tile_finish(g, &p, t, 2 * PAIR);
  }
}

/* A tile of the 16 rows of B from `row` on: where it lies, or if it is not whole a copy. */
INLINE const char *tile_of_b(const source *b, int64_t row, int64_t col, char *copy, int64_t *ld) {
  if (row + SIDE <= b->rows && col + STEP <= b->cols) {
    *ld = b->ld * 2;
    return (const char *)((const uint16_t *)b->at + row * b->ld + col);
  }
  rows_tile(ISC_BF16, false, b, false, row, col, copy);
  about_to_load(copy);
  *ld = 64;
  return copy;
}

/* B is transposed: C is computed transposed, with B's own rows as the tiles of the left factor. */
static void few_rows_by_rows(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                             int64_t k0, int64_t k, char *pack) {
  const source a = source_a(g, m1, k0 + k), b = source_b(g, n1, k0 + k);
  const int64_t steps = (k + STEP - 1) / STEP;
  float t[PAIR * SIDE] __attribute__((aligned(64))), c[SIDE * PAIR] __attribute__((aligned(64)));
  char copy[2 * TILE_BYTES] __attribute__((aligned(64)));
  tile_place p = {.i = m0, .rows = m1 - m0, .first = k0 == 0, .last = k0 + k >= g->k};
  const packing left = {.from = &a, .turned = true, .first = m0, .count = 1};
  pack_tiles(&left, k0, steps, pack);
  about_to_load(pack);
  for (p.j = n0; p.j < n1; p.j += PAIR) {
    p.cols = min64(PAIR, n1 - p.j);
    _tile_zero(0);
    _tile_zero(1);
    for (int64_t x = 0; x < steps; x++) {
      int64_t ld[2];
      const char *upper = tile_of_b(&b, p.j, k0 + x * STEP, copy, &ld[0]);
      const char *lower = tile_of_b(&b, p.j + SIDE, k0 + x * STEP, copy + TILE_BYTES, &ld[1]);
      _tile_loadd(6, pack + x * TILE_BYTES, 64);
      _tile_loadd(4, upper, (size_t)ld[0]);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(5, lower, (size_t)ld[1]);
      _tile_dpbf16ps(1, 5, 6);
    }
    _tile_stored(0, t, 64);
    _tile_stored(1, t + SIDE * SIDE, 64);
    vtranspose_rows(W, t, SIDE, c, PAIR);
    vtranspose_rows(W, t + SIDE * SIDE, SIDE, c + SIDE, PAIR);
    tile_finish(g, &p, c, PAIR);
  }
}

static void amx_block(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                      void *memory) {
  const bool few = m1 - m0 <= SIDE && !g->trans_a;
  int64_t k0 = 0;
  configure();
  do {
    const int64_t k = min64(BLOCK_K, g->k - k0);
    if (few && !g->trans_b)
      few_rows_by_columns(g, m0, m1, n0, n1, k0, k, memory);
    else if (few && g->b_dtype == ISC_BF16)
      few_rows_by_rows(g, m0, m1, n0, n1, k0, k, memory);
    else
      packed_block(g, m0, m1, n0, n1, k0, k, memory);
    k0 += k;
  } while (k0 < g->k);
  _tile_release();
}

const cpu_gemm_kernel cpu_gemm_amx = {.name = "AMX",
                                      .rows = PAIR,
                                      .cols = PAIR,
                                      .packing = 64,
                                      .pack = PACKED_A + PACKED_B,
                                      .block = amx_block};

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
