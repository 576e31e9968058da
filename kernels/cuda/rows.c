/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalisation, thresholds, distances, sums over rows, and rows looked up.
 */
#include "cuda_backend.h"

enum { WIDE = 2048 /* columns from which a row is worth a block */, BLOCK_ROWS = 8 };

static const cuda_size WARPS = {.x = 32, .y = BLOCK_ROWS};

/* ---- normalisation */

isc_status cuda_layernorm(cuda *c, const isc_layernorm *l) {
  const norm_args a = {.rows = l->rows,
                       .d = l->d,
                       .group = l->group ? l->group : 1,
                       .stride = l->group ? l->stride : l->d,
                       .eps = l->eps,
                       .x = l->x,
                       .g = l->g,
                       .b = l->b,
                       .y = l->y,
                       .mean = l->mean,
                       .rstd = l->rstd,
                       .rms = l->rms};
  if (l->rows <= 0 || l->d <= 0) return ISC_OK;
  if (l->d >= WIDE) return CUDA_LAUNCH(c, norm_wide, ((cuda_size){.x = l->rows}), WARPS, 0, &a);
  const cuda_size grid = {.x = cuda_ceil(l->rows, BLOCK_ROWS)};
  return CUDA_LAUNCH(c, norm, grid, WARPS, 0, &a);
}

static isc_status norm_rows_grad(cuda *c, const isc_layernorm *l) {
  const norm_grad_args a = {.rows = l->rows,
                            .d = l->d,
                            .x = l->x,
                            .g = l->g,
                            .mean = l->rms ? NULL : l->mean,
                            .rstd = l->rstd,
                            .dy = l->dy,
                            .dx = l->dx};
  if (l->d >= WIDE)
    return CUDA_LAUNCH(c, norm_grad_wide, ((cuda_size){.x = l->rows}), WARPS, 0, &a);
  const cuda_size grid = {.x = cuda_ceil(l->rows, BLOCK_ROWS)};
  return CUDA_LAUNCH(c, norm_grad, grid, WARPS, 0, &a);
}

/* Rows of a chunk: few enough that the device has work, many enough that there are no more than 256 chunks. */
static int64_t chunk_rows(int64_t rows) {
  const int64_t n = cuda_ceil(rows, 256);
  return n < 32 ? 32 : n;
}

static isc_status fold(cuda *c, int64_t chunks, int64_t n, int64_t stride, const float *part,
                       float *out) {
  const fold_args a = {.chunks = chunks, .n = n, .stride = stride, .part = part, .out = out};
  return CUDA_LAUNCH(c, fold, cuda_blocks(c, n), CUDA_THREADS, 0, &a);
}

static isc_status norm_sums(cuda *c, const isc_layernorm *l) {
  norm_sum_args a = {.rows = l->rows,
                     .d = l->d,
                     .chunk = chunk_rows(l->rows),
                     .x = l->x,
                     .mean = l->rms ? NULL : l->mean,
                     .rstd = l->rstd,
                     .dy = l->dy};
  const int64_t chunks = cuda_ceil(l->rows, a.chunk);
  void *part;
  ISC_TRY(cuda_scratch(c, CUDA_OUTER, (size_t)(chunks * 2 * l->d) * sizeof(float), &part));
  a.part = part;
  const cuda_size grid = {.x = cuda_ceil(l->d, SUM_COLUMNS), .y = chunks};
  ISC_TRY(CUDA_LAUNCH(c, norm_sum, grid, ((cuda_size){.x = SUM_COLUMNS, .y = SUM_LANES}), 0, &a));
  if (l->dg) ISC_TRY(fold(c, chunks, l->d, 2 * l->d, a.part, l->dg));
  if (l->db) ISC_TRY(fold(c, chunks, l->d, 2 * l->d, a.part + l->d, l->db));
  return ISC_OK;
}

isc_status cuda_layernorm_grad(cuda *c, const isc_layernorm *l) {
  if (l->rows <= 0 || l->d <= 0) return ISC_OK;
  if (l->group)
    return isc_fail(ISC_E_USAGE, "layernorm_grad: rows in groups of %lld have no gradient",
                    (long long)l->group);
  if (l->dg || l->db) ISC_TRY(norm_sums(c, l));
  return l->dx ? norm_rows_grad(c, l) : ISC_OK;
}

/* ---- sums */

isc_status cuda_col_sum(cuda *c, int64_t rows, int64_t n, const float *x, float *out) {
  if (rows <= 0 || n <= 0) return ISC_OK;
  col_sum_args a = {.rows = rows, .n = n, .chunk = chunk_rows(rows), .x = x};
  const int64_t chunks = cuda_ceil(rows, a.chunk);
  void *part;
  ISC_TRY(cuda_scratch(c, CUDA_OUTER, (size_t)(chunks * n) * sizeof(float), &part));
  a.part = part;
  const cuda_size grid = {.x = cuda_ceil(n, SUM_COLUMNS), .y = chunks};
  ISC_TRY(CUDA_LAUNCH(c, col_sum, grid, ((cuda_size){.x = SUM_COLUMNS, .y = SUM_LANES}), 0, &a));
  return fold(c, chunks, n, n, a.part, out);
}

/* ---- thresholds and distances */

isc_status cuda_jumprelu(cuda *c, const isc_jumprelu *j) {
  const jumprelu_args a = {
      .rows = j->rows, .d = j->d, .x = j->x, .theta = j->theta, .y = j->y, .l0 = j->l0};
  if (j->rows <= 0 || j->d <= 0) return ISC_OK;
  if (j->d >= WIDE) return CUDA_LAUNCH(c, jumprelu_wide, ((cuda_size){.x = j->rows}), WARPS, 0, &a);
  const cuda_size grid = {.x = cuda_ceil(j->rows, BLOCK_ROWS)};
  return CUDA_LAUNCH(c, jumprelu, grid, WARPS, 0, &a);
}

isc_status cuda_jumprelu_grad(cuda *c, const isc_jumprelu *j) {
  if (j->rows <= 0 || j->d <= 0 || !(j->dx || j->dtheta)) return ISC_OK;
  jumprelu_grad_args a = {.rows = j->rows,
                          .d = j->d,
                          .chunk = chunk_rows(j->rows),
                          .x = j->x,
                          .theta = j->theta,
                          .dy = j->dy,
                          .dl0 = j->dl0,
                          .dx = j->dx,
                          .width = j->width};
  const int64_t chunks = cuda_ceil(j->rows, a.chunk);
  void *part = NULL;
  if (j->dtheta)
    ISC_TRY(cuda_scratch(c, CUDA_OUTER, (size_t)(chunks * j->d) * sizeof(float), &part));
  a.part = part;
  const cuda_size grid = {.x = cuda_ceil(j->d, SUM_COLUMNS), .y = chunks};
  const cuda_size threads = {.x = SUM_COLUMNS, .y = SUM_LANES};
  ISC_TRY(CUDA_LAUNCH(c, jumprelu_grad, grid, threads, 0, &a));
  return j->dtheta ? fold(c, chunks, j->d, j->d, a.part, j->dtheta) : ISC_OK;
}

isc_status cuda_distances(cuda *c, const isc_distances *d) {
  const distances_args a = {.n = d->n,
                            .dim = d->dim,
                            .group = d->group,
                            .a = d->a,
                            .b = d->b,
                            .dot = d->dot,
                            .aa = d->aa,
                            .bb = d->bb,
                            .apart = d->apart,
                            .chord = d->chord};
  if (d->n <= 0 || d->dim <= 0) return ISC_OK;
  if (d->dim >= WIDE) return CUDA_LAUNCH(c, distances_wide, ((cuda_size){.x = d->n}), WARPS, 0, &a);
  const cuda_size grid = {.x = cuda_ceil(d->n, BLOCK_ROWS)};
  return CUDA_LAUNCH(c, distances, grid, WARPS, 0, &a);
}

isc_status cuda_sum_squares(cuda *c, int64_t n, const float *x, double *host_out) {
  *host_out = 0;
  if (n <= 0) return ISC_OK;
  squares_args a = {.n = n, .pieces = cuda_ceil(n, SQUARES_PIECE), .x = x};
  const cuda_size threads = {.x = SQUARES_THREADS};
  void *part;
  ISC_TRY(cuda_scratch(c, CUDA_OUTER, (size_t)(a.pieces + 1) * sizeof(double), &part));
  a.part = part;
  ISC_TRY(CUDA_LAUNCH(c, squares, ((cuda_size){.x = a.pieces}), threads, 0, &a));
  ISC_TRY(CUDA_LAUNCH(c, squares_end, ((cuda_size){.x = 1}), threads, 0, &a));
  return cuda_download(c, host_out, a.part + a.pieces, sizeof *host_out);
}

/* ---- rows looked up */

isc_status cuda_embed(cuda *c, const isc_embed *e) {
  const embed_args a = {.rows = e->rows,
                        .d = e->d,
                        .id = e->id,
                        .pos = e->pos,
                        .wte = e->wte,
                        .wpe = e->wpe,
                        .out = e->out,
                        .scale = e->scale == 0.0f ? 1.0f : e->scale,
                        .half = e->wte_dtype == ISC_BF16};
  if (e->rows <= 0 || e->d <= 0) return ISC_OK;
  return CUDA_LAUNCH(c, embed, cuda_blocks(c, e->rows * e->d), CUDA_THREADS, 0, &a);
}

static isc_status add_rows(cuda *c, const scatter_add_args *a) {
  if (a->n <= 0 || a->width <= 0) return ISC_OK;
  const cuda_size grid = {.x = a->n, .y = cuda_ceil(a->width, SCATTER_COLUMNS)};
  return CUDA_LAUNCH(c, scatter_add, grid, ((cuda_size){.x = SCATTER_THREADS}), 0, a);
}

isc_status cuda_embed_grad(cuda *c, const isc_embed *e) {
  scatter_add_args a = {.n = e->rows,
                        .width = e->d,
                        .row32 = e->id,
                        .in = e->dout,
                        .x = e->dwte,
                        .scale = e->scale == 0.0f ? 1.0f : e->scale};
  if (e->dwte) ISC_TRY(add_rows(c, &a));
  a.row32 = e->pos;
  a.x = e->dwpe;
  a.scale = 1.0f;
  return e->dwpe && e->pos ? add_rows(c, &a) : ISC_OK;
}

/* Rows that lie evenly, as those that a decoding step adds to its cache, need no list on the device. */
static bool lie_evenly(int64_t n, const int64_t *row, int64_t *step) {
  *step = n > 1 ? row[1] - row[0] : 0;
  for (int64_t i = 2; i < n; i++)
    if (row[i] - row[i - 1] != *step) return false;
  return true;
}

isc_status cuda_gather(cuda *c, int64_t n, int64_t width, const float *x, const int64_t *row,
                       float *out) {
  gather_args a = {.n = n, .width = width, .x = x, .out = out};
  const void *rows;
  if (n <= 0 || width <= 0) return ISC_OK;
  if (lie_evenly(n, row, &a.step)) {
    a.first = row[0];
    return CUDA_LAUNCH(c, gather, cuda_blocks(c, n * width), CUDA_THREADS, 0, &a);
  }
  ISC_TRY(cuda_argument(c, row, (size_t)n * sizeof *row, &rows));
  a.row = rows;
  return CUDA_LAUNCH(c, gather, cuda_blocks(c, n * width), CUDA_THREADS, 0, &a);
}

isc_status cuda_scatter_add(cuda *c, int64_t n, int64_t width, const float *in, const int64_t *row,
                            float *x) {
  scatter_add_args a = {.n = n, .width = width, .in = in, .x = x, .scale = 1.0f};
  const void *rows;
  if (n <= 0 || width <= 0) return ISC_OK;
  ISC_TRY(cuda_argument(c, row, (size_t)n * sizeof *row, &rows));
  a.row64 = rows;
  return add_rows(c, &a);
}
