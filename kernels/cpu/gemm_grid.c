/* SPDX-License-Identifier: Apache-2.0
 *
 * How a call of the matrix product is divided among threads.
 *
 * Any division gives the same bits, as every kernel promises, so it follows the shape, the batch and the number of
 * threads freely. Each thread packs what it needs for itself: no barrier within a call.
 */
#include "cpu.h"
#include <math.h>

/* Items [0, batch · rows · cols) of a grid. */
typedef struct gemm_grid {
  const isc_gemm *g;
  const cpu_gemm_kernel *kernel;
  int64_t m_parts, n_parts;
  char *own;
  size_t own_size;
} gemm_grid;

static int64_t min64(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

static void gemm_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const gemm_grid *d = ctx;
  const int64_t rows = d->kernel->rows, cols = d->kernel->cols, parts = d->m_parts * d->n_parts;
  const int64_t panels = ceil_div(d->g->n, cols), tiles = ceil_div(d->g->m, rows);
  for (int64_t x = begin; x < end; x++) {
    isc_gemm g = *d->g;
    const int64_t item = x / parts, mi = x % parts / d->n_parts, ni = x % d->n_parts;
    g.a += item * g.stride_a;
    g.b = (const float *)(const void *)((const char *)g.b +
                                        item * g.stride_b * (g.b_dtype == ISC_BF16 ? 2 : 4));
    g.c += item * g.stride_c;
    d->kernel->block(
        &g, tiles * mi / d->m_parts * rows, min64(g.m, tiles * (mi + 1) / d->m_parts * rows),
        panels * ni / d->n_parts * cols, min64(g.n, panels * (ni + 1) / d->n_parts * cols),
        d->own + (size_t)thread * d->own_size);
  }
}

/* The division with the least time: rounds of parts, each costing its multiply-adds and its packing, and half a part
 * for threads out of step. Several parts a thread let the others help one that is held up. */
static void gemm_divide(gemm_grid *d, int64_t threads) {
  const cpu_gemm_kernel *k = d->kernel;
  const int64_t panels = ceil_div(d->g->n, k->cols), tiles = ceil_div(d->g->m, k->rows);
  const double work = (double)d->g->m * (double)d->g->n * (double)d->g->k;
  const int64_t most = min64((int64_t)(work / CPU_GEMM_SERIAL), 4 * threads);
  double best = INFINITY;
  for (int64_t np = 1; np <= most && np <= panels; np++)
    for (int64_t x = most; x >= 1; x /= 2) {
      const int64_t mp = min64(x / np, tiles);
      if (mp < 1) continue;
      const double rows = (double)(ceil_div(tiles, mp) * k->rows),
                   cols = (double)(ceil_div(panels, np) * k->cols);
      const double rounds = (double)ceil_div(np * mp, threads) + (threads > 1 ? 0.5 : 0);
      const double time = rounds * (rows * cols + k->packing * (rows + cols));
      if (time >= best) continue;
      best = time;
      d->m_parts = mp;
      d->n_parts = np;
    }
}

isc_status cpu_gemm_run(cpu *c, const isc_gemm *g, const cpu_gemm_kernel *kernel) {
  if (g->batch <= 0 || g->m <= 0 || g->n <= 0) return ISC_OK;
  gemm_grid d = {.g = g, .kernel = kernel, .m_parts = 1, .n_parts = 1};
  d.own_size = cpu_round64(kernel->pack);
  ISC_TRY(cpu_scratch(c, CPU_INNER, 0, d.own_size, NULL, &d.own));
  const double work = (double)g->m * (double)g->n * (double)(g->k + 8);
  if (work * (double)g->batch >= 2 * CPU_GEMM_SERIAL && g->batch < 4 * (int64_t)c->threads)
    gemm_divide(&d, c->threads);
  const int64_t parts = d.m_parts * d.n_parts;
  const double each = work / (double)parts;
  const int64_t grain = each >= CPU_GEMM_SERIAL ? 1 : 1 + (int64_t)(CPU_GEMM_SERIAL / each);
  cpu_for(c, g->batch * parts, grain, gemm_job, &d);
  return ISC_OK;
}
