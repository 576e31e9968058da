/* SPDX-License-Identifier: Apache-2.0
 *
 * The one file that calls oneDNN (2.x and 3.x): large products for gradients of weights.
 *
 * oneDNN's sums may run in another order when the number of rows changes, so it cannot serve where a
 * row's bits must not depend on the other rows; there, and for small products, the backend's own
 * tiles are as fast. Of bf16 it does none: a row's bits depend on the others there too (measured on AMX: 100 rows of 1536
 * are not the same alone), and with the rounding of its operands it is no faster than the backend's. Each call here is one block of a division that follows the shape alone, on the
 * calling thread alone, so the number of threads changes nothing.
 */
#include "cpu.h"
#include <oneapi/dnnl/dnnl.h>
#include <stdatomic.h>

/* There when this oneDNN was built on OpenMP, as Debian's is. What is set holds for one thread. */
extern void omp_set_num_threads(int) __attribute__((weak));
extern int omp_get_max_threads(void) __attribute__((weak));

enum { ROWS_MOST = 256, COLS_MOST = 1024, LEAST = 192 };

typedef struct dnnl_blocks {
  const isc_gemm *g;
  int64_t rows, cols; /* of a block */
  int64_t across;     /* blocks side by side */
  _Atomic int failed; /* a status other than success */
} dnnl_blocks;

/* Measured on Zen 4 against the backend's own tiles: up to a tenth faster, except where rows lie a
 * multiple of 4 KiB apart. */
bool cpu_dnnl_serves(const cpu *c, const isc_gemm *g) {
  return c->dnnl && g->trans_a && g->batch == 1 && g->act == ISC_ACT_NONE && !g->bias && !g->pre &&
         g->m >= LEAST && g->n >= LEAST && g->k >= LEAST && g->lda % 1024 != 0 &&
         g->ldb % 1024 != 0;
}

static void block_job(void *ctx, int64_t begin, int64_t end, int thread) {
  dnnl_blocks *d = ctx;
  const isc_gemm *g = d->g;
  (void)thread;
  const int threads = omp_get_max_threads ? omp_get_max_threads() : 1;
  if (omp_set_num_threads && threads != 1) omp_set_num_threads(1);
  for (int64_t x = begin; x < end; x++) {
    const int64_t i = x / d->across * d->rows, j = x % d->across * d->cols;
    const int64_t m = g->m - i < d->rows ? g->m - i : d->rows;
    const int64_t n = g->n - j < d->cols ? g->n - j : d->cols;
    const dnnl_status_t st = dnnl_sgemm('T', g->trans_b ? 'T' : 'N', m, n, g->k, g->alpha, g->a + i,
                                        g->lda, g->b + (g->trans_b ? j * g->ldb : j), g->ldb,
                                        g->beta, g->c + i * g->ldc + j, g->ldc);
    if (st != dnnl_success) atomic_store(&d->failed, (int)st);
  }
  if (omp_set_num_threads && threads != 1) omp_set_num_threads(threads);
}

/* The least even size, in steps of 16, that covers n with as few blocks of at most `most` as can be. */
static int64_t block_size(int64_t n, int64_t most) {
  const int64_t blocks = (n + most - 1) / most;
  return ((n + blocks - 1) / blocks + 15) / 16 * 16;
}

isc_status cpu_dnnl_gemm(cpu *c, const isc_gemm *g) {
  dnnl_blocks d = {
      .g = g, .rows = block_size(g->m, ROWS_MOST), .cols = block_size(g->n, COLS_MOST)};
  d.across = (g->n + d.cols - 1) / d.cols;
  cpu_for(c, (g->m + d.rows - 1) / d.rows * d.across, 1, block_job, &d);
  const int st = atomic_load(&d.failed);
  if (st == dnnl_success) return ISC_OK;
  return isc_fail(st == dnnl_out_of_memory ? ISC_E_NOMEM : ISC_E_DEVICE,
                  "CPU backend: oneDNN failed (status %d) on a product of %lld x %lld x %lld", st,
                  (long long)g->m, (long long)g->n, (long long)g->k);
}
