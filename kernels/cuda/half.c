/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of bf16: the rounding of operands that are f32, and which kernel and tile.
 *
 * All tiles give the same bits (device/half.cu), so the choice is free: the one that a model of the device says is done
 * first.
 */
#include "cuda_backend.h"
#include <limits.h>
#include <math.h>

/* ---- operands */

/* An operand of rows × cols as it lies in memory; k runs along rows or along columns. */
typedef struct job {
  cuda_operand *o;
  to_half_args args;
  int64_t room; /* elements, a multiple of 128; 0: nothing to do */
} job;

static bool on_sixteen(const cuda_operand *o, int64_t bytes) {
  return ((uintptr_t)o->x | (uint64_t)(o->ld * bytes) | (uint64_t)(o->stride * bytes)) % 16 == 0;
}

static int64_t filled(int64_t n, int64_t to) {
  return cuda_ceil(n, to) * to;
}

static job plan(const isc_gemm *g, bool whole, cuda_operand *o, int64_t n, bool along_k) {
  const int64_t rows = along_k ? n : g->k, cols = along_k ? g->k : n;
  const int64_t out_rows = along_k || !whole ? rows : filled(g->k, GEMM_HALF_K);
  const int64_t out_ld = filled(cols, along_k && whole ? GEMM_HALF_K : 8);
  if (!o || (o->dtype == ISC_BF16 && on_sixteen(o, 2) &&
             (!whole || (rows == out_rows && cols == out_ld))))
    return (job){0};
  const int64_t batch = o->stride ? g->batch : 1;
  return (job){.o = o,
               .args = {.batch = batch,
                        .rows = rows,
                        .cols = cols,
                        .ld = o->ld,
                        .stride = o->stride,
                        .x = o->x,
                        .out_rows = out_rows,
                        .out_ld = out_ld,
                        .half = o->dtype == ISC_BF16},
               .room = filled(batch * out_rows * out_ld, 128)};
}

static isc_status halve(cuda *c, job *j, uint16_t *room) {
  to_half_args *a = &j->args;
  if (j->room == 0) return ISC_OK;
  a->out = room;
  ISC_TRY(CUDA_LAUNCH(c, to_half, cuda_blocks(c, a->batch * a->out_rows * (a->out_ld / 8)),
                      CUDA_THREADS, 0, a));
  *j->o = (cuda_operand){room, a->out_ld, a->stride ? a->out_rows * a->out_ld : 0, ISC_BF16};
  return ISC_OK;
}

isc_status cuda_halve(cuda *c, const isc_gemm *g, bool whole, cuda_operand *a, cuda_operand *b) {
  job ja = plan(g, whole, a, g->m, !g->trans_a), jb = plan(g, whole, b, g->n, g->trans_b);
  void *room = NULL;
  if (ja.room + jb.room == 0) return ISC_OK;
  ISC_TRY(cuda_scratch(c, CUDA_INNER, (size_t)(ja.room + jb.room) * sizeof(uint16_t), &room));
  ISC_TRY(halve(c, &ja, room));
  return halve(c, &jb, (uint16_t *)room + ja.room);
}

isc_status cuda_to_bf16(cuda *c, int64_t n, const float *x, uint16_t *out) {
  const to_bf16_args a = {n, x, out};
  if (n <= 0) return ISC_OK;
  return CUDA_LAUNCH(c, to_bf16, cuda_blocks(c, cuda_ceil(n, 8)), CUDA_THREADS, 0, &a);
}

/* ---- tiles */

typedef struct tile {
  cuda_kernel kernel;
  int rows, cols, threads, ring; /* ring: bytes of shared memory */
} tile;
#define TILE(name, m, n, wm, wn, k, steps, a_bytes)                                                \
  {CUDA_KERNEL_##name, m, n, (wm) * (wn)*32, (steps) * (k) * ((m) * (a_bytes) + (n)*2)},
#define TILE_HALF(name, m, n, wm, wn, k, steps, blocks) TILE(name, m, n, wm, wn, k, steps, 2)
#define TILE_FEW(name, m, n, wm, wn, k, steps, blocks)  TILE(name, m, n, wm, wn, k, steps, 4)
static const tile TILES[] = {GEMM_HALF_TILES(TILE_HALF)}, FEW[] = {GEMM_FEW_TILES(TILE_FEW)};
enum { COUNT = sizeof TILES / sizeof *TILES, COUNT_FEW = sizeof FEW / sizeof *FEW };

/* The sums of one chunk of k lie where the ring was, those of more beside it. */
static size_t shared_bytes(const tile *t, int64_t k) {
  const int sums = t->rows * t->cols * (int)sizeof(float);
  return (size_t)(k > GEMM_CHUNK ? t->ring + sums : t->ring > sums ? t->ring : sums);
}

static int64_t blocks(const isc_gemm *g, const tile *t) {
  return cuda_ceil(g->m, t->rows) * cuda_ceil(g->n, t->cols) * g->batch;
}

/* What a tile costs, in multiplications: those of the multiprocessor with the most blocks, or the operands that it reads, or
 * those that all read from one cache, whichever takes longest. While an H100's multiprocessor reads an element it makes
 * about 40 multiplications, and 90 while all of them read. */
static double cost(const cuda *c, const isc_gemm *g, const tile *t) {
  enum { WHILE_IT_READS = 40, WHILE_ALL_READ = 90 };
  const double n = (double)blocks(g, t), all = c->multiprocessors;
  const double busiest = (double)cuda_ceil(blocks(g, t), c->multiprocessors);
  const double elements = (double)(cuda_least(g->m, t->rows) + cuda_least(g->n, t->cols));
  return fmax(fmax(busiest * t->rows * t->cols, busiest * elements * WHILE_IT_READS),
              n / all * elements * WHILE_ALL_READ);
}

static const tile *best(const cuda *c, const isc_gemm *g, const tile *of, int count) {
  const tile *found = NULL;
  for (const tile *t = of; t < of + count; t++)
    if (shared_bytes(t, g->k) <= (size_t)c->shared_most &&
        (!found || cost(c, g, t) < cost(c, g, found)))
      found = t;
  return found ? found : of + count - 1; /* whose launch says what it lacks */
}

/* The kernels for few rows take A as it is: f32, along k, whose zeros they have nowhere to put. */
static bool are_few(const isc_gemm *g, const cuda_operand *a) {
  enum { FEW_ROWS = 32 };
  return g->m <= FEW_ROWS && a->dtype == ISC_F32 && !g->trans_a && g->k % GEMM_HALF_K == 0 &&
         on_sixteen(a, sizeof(float));
}

isc_status cuda_gemm_half(cuda *c, const isc_gemm *g, isc_dtype a_dtype, const gemm_args *args) {
  cuda_operand a = cuda_operand_a(g, a_dtype), b = cuda_operand_b(g);
  const bool few = are_few(g, &a);
  const tile *t = few ? best(c, g, FEW, COUNT_FEW) : best(c, g, TILES, COUNT);
  gemm_args to = *args;
  if (g->k > INT_MAX - GEMM_HALF_K)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "CUDA backend, %s: a bf16 product over %lld elements; at most %d", c->doing,
                    (long long)g->k, INT_MAX - GEMM_HALF_K);
  ISC_TRY(cuda_halve(c, g, true, few ? NULL : &a, &b));
  to.k = filled(g->k, GEMM_HALF_K);
  to.a = a.x;
  to.a_row = g->trans_a ? 1 : a.ld;
  to.a_k = g->trans_a ? a.ld : 1;
  to.stride_a = a.stride;
  to.b = b.x;
  to.b_col = g->trans_b ? b.ld : 1;
  to.b_k = g->trans_b ? 1 : b.ld;
  to.stride_b = b.stride;
  return cuda_launch(c, t->kernel, (cuda_size){.x = blocks(g, t)}, (cuda_size){.x = t->threads},
                     shared_bytes(t, g->k), &to);
}
