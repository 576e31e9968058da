/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalisation, embedding and sums over rows.
 *
 * Sums over rows are divided among threads by columns, or into chunks whose number depends on the
 * shape alone, and always added in row order: the number of threads changes no bit.
 */
#ifndef ISC_CPU_ROWS_H
#define ISC_CPU_ROWS_H

#include "gemm.h"

/* Rows that make enough work for one thread. */
INLINE int64_t row_grain(int64_t width, int64_t work) {
  return 1 + work / (width > 0 ? width : 1);
}

/* ---- normalisation: layer norm, or the RMS norm, whose mean is taken as 0 */

/* Σ (x − shift)^power over a row; power 1 or 2. Four running vectors, a fixed order. */
INLINE float row_sum(const float *x, int64_t d, float shift, int power) {
  vf s[4] = {vzero(), vzero(), vzero(), vzero()};
  const vf sh = vset1(shift);
  int64_t i = 0;
  for (; i + 4 * W <= d; i += 4 * W)
    UNROLL for (int j = 0; j < 4; j++) {
      const vf t = vload(x + i + j * W) - sh;
      s[j] = power == 2 ? vfma(t, t, s[j]) : s[j] + t;
    }
  for (; i < d; i += W) {
    const vf t = vload_part(x + i, d - i, shift) - sh;
    s[0] = power == 2 ? vfma(t, t, s[0]) : s[0] + t;
  }
  return vsum((s[0] + s[1]) + (s[2] + s[3]));
}

static void layernorm_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const isc_layernorm *a = ctx;
  (void)thread;
  for (int64_t r = begin; r < end; r++) {
    const int64_t at = a->group ? r / a->group * a->stride + r % a->group * a->d : r * a->d;
    const float *x = a->x + at;
    float *y = a->y + at;
    const float mean = a->rms ? 0.0f : row_sum(x, a->d, 0.0f, 1) / (float)a->d;
    const double var = (double)row_sum(x, a->d, mean, 2) / (double)a->d;
    const float rstd = (float)(1.0 / sqrt(var + a->eps));
    for (int64_t i = 0; i < a->d; i += W) {
      const int64_t left = a->d - i;
      vf t = (vload_part(x + i, left, mean) - vset1(mean)) * vset1(rstd);
      if (a->g) t = t * vload_part(a->g + i, left, 0.0f);
      if (a->b) t = t + vload_part(a->b + i, left, 0.0f);
      vstore_part(y + i, left, t);
    }
    if (a->mean) a->mean[r] = mean;
    if (a->rstd) a->rstd[r] = rstd;
  }
}

static isc_status layernorm(cpu *c, const isc_layernorm *a) {
  if (a->d <= 0) return ISC_OK;
  cpu_for(c, a->rows, row_grain(a->d, 8192), layernorm_job, (void *)a);
  return ISC_OK;
}

/* The gradients to g and b are summed in chunks of rows. */
typedef struct layernorm_back {
  const isc_layernorm *a;
  int64_t chunk; /* rows of a chunk */
  int64_t chunks;
  float *part; /* [chunks, 2, d]: Σ dy·x̂ and Σ dy of each chunk; NULL when not wanted */
} layernorm_back;

/* dx = rstd (dy·g − mean(dy·g) − x̂ mean(dy·g·x̂)), without mean(dy·g) in the RMS norm. */
static void layernorm_grad_row(const isc_layernorm *a, int64_t r) {
  const float *x = a->x + r * a->d, *dy = a->dy + r * a->d;
  const vf mean = vset1(a->rms ? 0.0f : a->mean[r]), rstd = vset1(a->rstd[r]);
  vf s0 = vzero(), s1 = vzero();
  for (int64_t i = 0; i < a->d; i += W) {
    const int64_t left = a->d - i;
    vf t = vload_part(dy + i, left, 0.0f);
    if (a->g) t = t * vload_part(a->g + i, left, 0.0f);
    s0 += t;
    s1 = vfma(t, (vload_part(x + i, left, 0.0f) - mean) * rstd, s1);
  }
  const vf m0 = vset1(a->rms ? 0.0f : vsum(s0) / (float)a->d), m1 = vset1(vsum(s1) / (float)a->d);
  float *dx = a->dx + r * a->d;
  for (int64_t i = 0; i < a->d; i += W) {
    const int64_t left = a->d - i;
    vf t = vload_part(dy + i, left, 0.0f);
    if (a->g) t = t * vload_part(a->g + i, left, 0.0f);
    const vf xh = (vload_part(x + i, left, 0.0f) - mean) * rstd;
    t = rstd * (t - m0 - xh * m1);
    vstore_part(dx + i, left, vload_part(dx + i, left, 0.0f) + t);
  }
}

static void layernorm_grad_add(const isc_layernorm *a, int64_t r, float *part /* [2, d] */) {
  const float *x = a->x + r * a->d, *dy = a->dy + r * a->d;
  const vf mean = vset1(a->rms ? 0.0f : a->mean[r]), rstd = vset1(a->rstd[r]);
  for (int64_t i = 0; i < a->d; i += W) {
    const int64_t left = a->d - i;
    const vf t = vload_part(dy + i, left, 0.0f);
    const vf xh = (vload_part(x + i, left, 0.0f) - mean) * rstd;
    float *pg = part + i, *pb = part + a->d + i;
    vstore_part(pg, left, vfma(t, xh, vload_part(pg, left, 0.0f)));
    vstore_part(pb, left, t + vload_part(pb, left, 0.0f));
  }
}

static void layernorm_grad_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const layernorm_back *l = ctx;
  (void)thread;
  for (int64_t k = begin; k < end; k++) {
    float *part = l->part ? l->part + k * 2 * l->a->d : NULL;
    if (part) memset(part, 0, (size_t)(2 * l->a->d) * sizeof *part);
    const int64_t last = min64((k + 1) * l->chunk, l->a->rows);
    for (int64_t r = k * l->chunk; r < last; r++) {
      if (part) layernorm_grad_add(l->a, r, part);
      if (l->a->dx) layernorm_grad_row(l->a, r);
    }
  }
}

/* Adds the chunks' sums, in order, to dg and db: columns of a range. */
static void layernorm_fold_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const layernorm_back *l = ctx;
  const int64_t d = l->a->d;
  (void)thread;
  for (int which = 0; which < 2; which++) {
    float *out = which ? l->a->db : l->a->dg;
    for (int64_t i = begin; out && i < end; i += W) {
      vf t = vload_part(out + i, end - i, 0.0f);
      for (int64_t k = 0; k < l->chunks; k++)
        t += vload_part(l->part + (2 * k + which) * d + i, end - i, 0.0f);
      vstore_part(out + i, end - i, t);
    }
  }
}

static isc_status layernorm_grad(cpu *c, const isc_layernorm *a) {
  if (a->d <= 0 || a->rows <= 0) return ISC_OK;
  layernorm_back l = {.a = a, .chunk = ceil_div(a->rows, min64(64, ceil_div(a->rows, 16)))};
  l.chunks = ceil_div(a->rows, l.chunk);
  if (a->dg || a->db) {
    void *part;
    ISC_TRY(
        cpu_scratch(c, CPU_OUTER, (size_t)(l.chunks * 2 * a->d) * sizeof(float), 0, &part, NULL));
    l.part = part;
  }
  cpu_for(c, l.chunks, row_grain(a->d * l.chunk, 8192), layernorm_grad_job, &l);
  if (l.part) cpu_for(c, a->d, a->d * l.chunks < 16384 ? a->d : 64, layernorm_fold_job, &l);
  return ISC_OK;
}

/* ---- embedding and indexed sums */

static void embed_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const isc_embed *a = ctx;
  const vf scale = vset1(a->scale != 0.0f ? a->scale : 1.0f);
  const uint16_t *half = a->wte_dtype == ISC_BF16 ? (const uint16_t *)(const void *)a->wte : NULL;
  (void)thread;
  for (int64_t r = begin; r < end; r++) {
    const int64_t w = a->id[r] * a->d;
    const float *p = a->pos && a->wpe ? a->wpe + a->pos[r] * a->d : NULL;
    float *out = a->out + r * a->d;
    for (int64_t i = 0; i < a->d; i += W) {
      const int64_t left = a->d - i;
      vf t = half ? vload16_part(half + w + i, left) : vload_part(a->wte + w + i, left, 0.0f);
      t = t * scale;
      if (p) t += vload_part(p + i, left, 0.0f);
      vstore_part(out + i, left, t);
    }
  }
}

static isc_status embed(cpu *c, const isc_embed *a) {
  if (a->d <= 0) return ISC_OK;
  cpu_for(c, a->rows, row_grain(a->d, 16384), embed_job, (void *)a);
  return ISC_OK;
}

/* x[row[i]] += scale·in[i] in the order of i, for the columns of a range: threads share no element. */
typedef struct scatter_args {
  int64_t n, width;
  const float *in;      /* [n, width] */
  const int64_t *row64; /* [n]; or    */
  const int32_t *row32; /* [n]        */
  float scale;
  float *x; /* [?, width] */
} scatter_args;

static void scatter_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const scatter_args *s = ctx;
  (void)thread;
  for (int64_t r = 0; r < s->n; r++) {
    const float *in = s->in + r * s->width;
    float *x = s->x + (s->row64 ? s->row64[r] : s->row32[r]) * s->width;
    for (int64_t i = begin; i < end; i += W) {
      const int64_t left = end - i;
      const vf t = vload_part(in + i, left, 0.0f) * vset1(s->scale);
      vstore_part(x + i, left, vload_part(x + i, left, 0.0f) + t);
    }
  }
}

static void scatter(cpu *c, scatter_args *s) {
  if (s->n <= 0) return;
  const int64_t grain = s->n * s->width < 32768 ? s->width : ceil_div(16384 / 16, s->n) * 16;
  cpu_for(c, s->width, grain, scatter_job, s);
}

static isc_status scatter_add(cpu *c, int64_t n, int64_t width, const float *in, const int64_t *row,
                              float *x) {
  scatter_args s = {.n = n, .width = width, .in = in, .row64 = row, .x = x, .scale = 1};
  scatter(c, &s);
  return ISC_OK;
}

static isc_status embed_grad(cpu *c, const isc_embed *a) {
  scatter_args s = {.n = a->rows, .width = a->d, .in = a->dout, .row32 = a->id, .x = a->dwte};
  s.scale = a->scale != 0.0f ? a->scale : 1.0f;
  if (a->dwte) scatter(c, &s);
  s.scale = 1.0f;
  s.row32 = a->pos;
  s.x = a->dwpe;
  if (a->dwpe && a->pos) scatter(c, &s);
  return ISC_OK;
}

/* ---- sums over rows and of squares */

typedef struct col_sum_args {
  int64_t rows, n;
  const float *x; /* [rows, n] */
  float *out;     /* [n]       */
} col_sum_args;

/* Columns [i, i + n), n ≤ nv·W. Runs of 128 rows are summed apart first: the rounding error then
 * grows with the number of runs. */
INLINE void col_sum_block(int nv, const col_sum_args *s, int64_t i, int64_t n) {
  vf total[4];
  UNROLL for (int v = 0; v < nv; v++) total[v] = vload_part(s->out + i + v * W, n - v * W, 0.0f);
  for (int64_t r0 = 0; r0 < s->rows; r0 += 128) {
    vf t[4] = {vzero(), vzero(), vzero(), vzero()};
    const int64_t r1 = min64(r0 + 128, s->rows);
    for (int64_t r = r0; r < r1; r++)
      UNROLL for (int v = 0; v < nv; v++) t[v] +=
          vload_part(s->x + r * s->n + i + v * W, n - v * W, 0.0f);
    UNROLL for (int v = 0; v < nv; v++) total[v] += t[v];
  }
  UNROLL for (int v = 0; v < nv; v++) vstore_part(s->out + i + v * W, n - v * W, total[v]);
}

static void col_sum_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const col_sum_args *s = ctx;
  (void)thread;
  for (; begin + 4 * W <= end; begin += 4 * W)
    col_sum_block(4, s, begin, 4 * W);
  for (; begin < end; begin += W)
    col_sum_block(1, s, begin, min64(W, end - begin));
}

static isc_status col_sum(cpu *c, int64_t rows, int64_t n, const float *x, float *out) {
  if (rows <= 0) return ISC_OK;
  col_sum_args s = {.rows = rows, .n = n, .x = x, .out = out};
  cpu_for(c, n, rows * n < 32768 ? n : ceil_div(16384 / 16, rows) * 16, col_sum_job, &s);
  return ISC_OK;
}

enum { SQUARES_PIECE = 8192 };

typedef struct squares_args {
  int64_t n;
  const float *x; /* [n] */
  double *part;   /* one per piece */
} squares_args;

static void squares_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const squares_args *s = ctx;
  (void)thread;
  for (int64_t p = begin; p < end; p++) {
    const int64_t last = min64((p + 1) * SQUARES_PIECE, s->n);
    vd t[4] = {vset1d(0), vset1d(0), vset1d(0), vset1d(0)};
    int64_t i = p * SQUARES_PIECE;
    for (; i + 4 * WD <= last; i += 4 * WD)
      UNROLL for (int j = 0; j < 4; j++) {
        const vd v = vwiden(s->x + i + j * WD);
        t[j] = vfmad(v, v, t[j]);
      }
    double sum = vsumd((t[0] + t[1]) + (t[2] + t[3]));
    for (; i < last; i++)
      sum += (double)s->x[i] * (double)s->x[i];
    s->part[p] = sum;
  }
}

static isc_status sum_squares(cpu *c, int64_t n, const float *x, double *host_out) {
  *host_out = 0;
  if (n <= 0) return ISC_OK;
  const int64_t pieces = ceil_div(n, SQUARES_PIECE);
  void *part;
  ISC_TRY(cpu_scratch(c, CPU_OUTER, (size_t)pieces * sizeof(double), 0, &part, NULL));
  squares_args s = {.n = n, .x = x, .part = part};
  cpu_for(c, pieces, 2, squares_job, &s);
  for (int64_t p = 0; p < pieces; p++)
    *host_out += s.part[p];
  return ISC_OK;
}

#endif
