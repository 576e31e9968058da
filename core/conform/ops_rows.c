/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems for operations on rows: sums over them and normalisation.
 */
#include "conform/ops.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* ---- col_sum */

static const int64_t SUMS[][2] = {{5, 3},    {1, 1},     {1, 33}, {700, 33}, {1500, 100},
                                  {40, 700}, {70, 4001}, {0, 4},  {4, 0}}; /* rows, n */

static isc_status make_col_sum(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_flat f = {.n = SUMS[variant][0], .width = SUMS[variant][1]};
  (void)alias;
  isc_bench_begin(b, "col_sum", "[%lld, %lld]", (long long)f.n, (long long)f.width);
  ISC_TRY(isc_bench_array_new(b, "x", ISC_BENCH_IN, ISC_BENCH_F32, f.n * f.width, &f.x));
  ISC_TRY(isc_bench_array_new(b, "out", ISC_BENCH_INOUT, ISC_BENCH_F32, f.width, &f.out));
  out->flat = f;
  return ISC_OK;
}

static isc_status run_col_sum(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  return b->dev->ops->col_sum(b->dev->impl, f->n, f->width, isc_bench_at(b, f->x),
                              isc_bench_at(b, f->out));
}

static isc_status expect_col_sum(isc_bench *b, const isc_op_call *call) {
  const isc_flat *f = &call->flat;
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, f->out, &out));
  isc_reference_col_sum(f->n, f->width, f->x, f->out, out);
  return ISC_OK;
}

/* ---- layernorm */

static const int64_t NORMS[][2] = {{4, 9},    {1, 1},  {1, 2},   {3, 15},   {9, 16},
                                   {9, 17},   {7, 64}, {5, 131}, {300, 33}, {70, 768},
                                   {3, 5003}, {0, 5},  {5, 0}}; /* rows, d */

/* Every second problem is plain normalisation; x has a mean that matters. */
static isc_status make_norm(isc_bench *b, const char *op, int64_t variant, isc_op_call *out) {
  isc_layernorm a = {.rows = NORMS[variant / 2][0], .d = NORMS[variant / 2][1], .eps = 1e-5};
  int64_t n = a.rows * a.d;
  bool plain = variant % 2;
  isc_bench_begin(b, op, "[%lld, %lld]%s", (long long)a.rows, (long long)a.d,
                  plain ? ", g and b NULL" : "");
  ISC_TRY(isc_bench_array_new(b, "x", ISC_BENCH_IN, ISC_BENCH_F32, n, &a.x));
  for (int64_t i = 0; i < n; i++)
    ((float *)(uintptr_t)a.x)[i] += 3;
  if (!plain) {
    ISC_TRY(isc_bench_array_new(b, "g", ISC_BENCH_IN, ISC_BENCH_F32, a.d, &a.g));
    ISC_TRY(isc_bench_array_new(b, "b", ISC_BENCH_IN, ISC_BENCH_F32, a.d, &a.b));
  }
  out->layernorm = a;
  return ISC_OK;
}

/* mean and rstd are not asked for in the problems whose width is a multiple of 16. */
static isc_status make_layernorm(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  (void)alias;
  ISC_TRY(make_norm(b, "layernorm", variant, out));
  isc_layernorm *a = &out->layernorm;
  ISC_TRY(isc_bench_array_new(b, "y", ISC_BENCH_OUT, ISC_BENCH_F32, a->rows * a->d, &a->y));
  if (a->d % 16 == 0 && a->d) return ISC_OK;
  /* Without elements a row has no mean. */
  isc_bench_role role = a->d ? ISC_BENCH_OUT : ISC_BENCH_INOUT;
  ISC_TRY(isc_bench_array_new(b, "mean", role, ISC_BENCH_F32, a->rows, &a->mean));
  return isc_bench_array_new(b, "rstd", role, ISC_BENCH_F32, a->rows, &a->rstd);
}

/* The mean and rstd that the forward pass keeps, in double and rounded once. */
static void fill_moments(isc_layernorm *a) {
  for (int64_t r = 0; a->d && r < a->rows; r++) {
    double mean = 0, square = 0;
    for (int64_t j = 0; !a->rms && j < a->d; j++)
      mean += (double)a->x[r * a->d + j] / (double)a->d;
    for (int64_t j = 0; j < a->d; j++)
      square += pow((double)a->x[r * a->d + j] - mean, 2) / (double)a->d;
    if (a->mean) a->mean[r] = (float)mean;
    a->rstd[r] = (float)(1 / sqrt(square + a->eps));
  }
}

static isc_status make_layernorm_grad(isc_bench *b, int64_t variant, int64_t alias,
                                      isc_op_call *out) {
  (void)alias;
  ISC_TRY(make_norm(b, "layernorm_grad", variant, out));
  isc_layernorm *a = &out->layernorm;
  int64_t n = a->rows * a->d;
  ISC_TRY(isc_bench_array_new(b, "mean", ISC_BENCH_IN, ISC_BENCH_F32, a->rows, &a->mean));
  ISC_TRY(isc_bench_array_new(b, "rstd", ISC_BENCH_IN, ISC_BENCH_F32, a->rows, &a->rstd));
  fill_moments(a);
  ISC_TRY(isc_bench_array_new(b, "dy", ISC_BENCH_IN, ISC_BENCH_F32, n, &a->dy));
  if (variant % 4 != 2)
    ISC_TRY(isc_bench_array_new(b, "dx", ISC_BENCH_INOUT, ISC_BENCH_F32, n, &a->dx));
  if (!a->g) return ISC_OK;
  ISC_TRY(isc_bench_array_new(b, "dg", ISC_BENCH_INOUT, ISC_BENCH_F32, a->d, &a->dg));
  return isc_bench_array_new(b, "db", ISC_BENCH_INOUT, ISC_BENCH_F32, a->d, &a->db);
}

/* ---- the RMS norm, and norms of some heads of a fused row */

/* rows, d, group (0 = dense rows) */
static const int64_t RMS[][3] = {{4, 9, 0},   {1, 1, 0},  {6, 16, 2},   {9, 17, 3}, {10, 33, 1},
                                 {40, 64, 4}, {5, 99, 0}, {3, 5003, 0}, {0, 5, 2},  {5, 0, 0}};

/* Of every four problems one is plain, one does not ask for rstd, and with groups every second is a layer norm. */
static isc_status make_rms(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  const int64_t *s = RMS[variant / 4];
  int64_t which = variant % 4, groups = s[2] ? (s[0] + s[2] - 1) / s[2] : 0;
  isc_layernorm a = {.rows = s[0], .d = s[1], .group = s[2], .eps = 1e-6, .rms = true};
  if (s[2] && which % 2 && !alias) a.rms = false;
  if (s[2]) a.stride = s[2] * s[1] + 5;
  int64_t n = s[2] ? groups * a.stride : s[0] * s[1];
  isc_bench_begin(b, "layernorm", "[%lld, %lld]%s%s, groups of %lld%s", (long long)s[0],
                  (long long)s[1], a.rms ? ", rms" : "", which == 0 ? ", g NULL" : "",
                  (long long)s[2], alias ? ", y is x" : "");
  ISC_TRY(
      isc_bench_array_new(b, "x", alias ? ISC_BENCH_INOUT : ISC_BENCH_IN, ISC_BENCH_F32, n, &a.x));
  if (which != 0) ISC_TRY(isc_bench_array_new(b, "g", ISC_BENCH_IN, ISC_BENCH_F32, a.d, &a.g));
  if (!a.rms) ISC_TRY(isc_bench_array_new(b, "b", ISC_BENCH_IN, ISC_BENCH_F32, a.d, &a.b));
  a.y = (float *)(uintptr_t)a.x;
  if (!alias) ISC_TRY(isc_bench_array_new(b, "y", ISC_BENCH_OUT, ISC_BENCH_F32, n, &a.y));
  if (which != 2 && a.d)
    ISC_TRY(isc_bench_array_new(b, "rstd", ISC_BENCH_OUT, ISC_BENCH_F32, a.rows, &a.rstd));
  out->layernorm = a;
  return ISC_OK;
}

static isc_status make_rms_grad(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_layernorm a = {.rows = NORMS[variant][0], .d = NORMS[variant][1], .eps = 1e-6, .rms = true};
  int64_t n = a.rows * a.d;
  (void)alias;
  isc_bench_begin(b, "layernorm_grad", "[%lld, %lld], rms", (long long)a.rows, (long long)a.d);
  ISC_TRY(isc_bench_array_new(b, "x", ISC_BENCH_IN, ISC_BENCH_F32, n, &a.x));
  ISC_TRY(isc_bench_array_new(b, "rstd", ISC_BENCH_IN, ISC_BENCH_F32, a.rows, &a.rstd));
  fill_moments(&a);
  ISC_TRY(isc_bench_array_new(b, "dy", ISC_BENCH_IN, ISC_BENCH_F32, n, &a.dy));
  if (variant % 4 != 2)
    ISC_TRY(isc_bench_array_new(b, "dx", ISC_BENCH_INOUT, ISC_BENCH_F32, n, &a.dx));
  if (variant % 4 != 3) {
    ISC_TRY(isc_bench_array_new(b, "g", ISC_BENCH_IN, ISC_BENCH_F32, a.d, &a.g));
    ISC_TRY(isc_bench_array_new(b, "dg", ISC_BENCH_INOUT, ISC_BENCH_F32, a.d, &a.dg));
  }
  out->layernorm = a;
  return ISC_OK;
}

/* ---- */

static isc_layernorm norm_at(const isc_bench *b, const isc_op_call *call) {
  isc_layernorm a = call->layernorm;
  a.x = isc_bench_at(b, a.x);
  a.g = isc_bench_at(b, a.g);
  a.b = isc_bench_at(b, a.b);
  a.y = isc_bench_at(b, a.y);
  a.mean = isc_bench_at(b, a.mean);
  a.rstd = isc_bench_at(b, a.rstd);
  a.dy = isc_bench_at(b, a.dy);
  a.dx = isc_bench_at(b, a.dx);
  a.dg = isc_bench_at(b, a.dg);
  a.db = isc_bench_at(b, a.db);
  return a;
}

static isc_status run_layernorm(isc_bench *b, const isc_op_call *call) {
  isc_layernorm a = norm_at(b, call);
  return b->dev->ops->layernorm(b->dev->impl, &a);
}

static isc_status run_layernorm_grad(isc_bench *b, const isc_op_call *call) {
  isc_layernorm a = norm_at(b, call);
  return b->dev->ops->layernorm_grad(b->dev->impl, &a);
}

static isc_status expect_layernorm(isc_bench *b, const isc_op_call *call) {
  const isc_layernorm *a = &call->layernorm;
  isc_exact *y, *mean, *rstd;
  ISC_TRY(isc_bench_want(b, a->y, &y));
  ISC_TRY(isc_bench_want(b, a->mean, &mean));
  ISC_TRY(isc_bench_want(b, a->rstd, &rstd));
  if (a->d == 0 && mean) /* whether a row without elements has a mean is nobody's business */
    for (int64_t r = 0; r < a->rows; r++)
      mean[r].slack = rstd[r].slack = ISC_EXACT_ANY;
  isc_reference_layernorm(a, y, mean, rstd);
  return ISC_OK;
}

static isc_status expect_layernorm_grad(isc_bench *b, const isc_op_call *call) {
  const isc_layernorm *a = &call->layernorm;
  isc_exact *dx, *dg, *db;
  ISC_TRY(isc_bench_want(b, a->dx, &dx));
  ISC_TRY(isc_bench_want(b, a->dg, &dg));
  ISC_TRY(isc_bench_want(b, a->db, &db));
  isc_reference_layernorm_grad(a, dx, dg, db);
  return ISC_OK;
}

static int64_t rows_layernorm(const isc_op_call *call) {
  return call->layernorm.rows;
}

/* Of grouped rows a part is one that begins with a group. */
static int64_t rows_rms(const isc_op_call *call) {
  return call->layernorm.group ? 0 : call->layernorm.rows;
}

static void slice_layernorm(isc_op_call *call, int64_t first, int64_t n) {
  isc_layernorm *a = &call->layernorm;
  a->rows = n;
  a->x += first * a->d;
  a->y += first * a->d;
  if (a->mean) a->mean += first;
  if (a->rstd) a->rstd += first;
}

const isc_op isc_ops_rows[] = {
    {"col-sum", 0, COUNT(SUMS) - 2, 2, 0, make_col_sum, run_col_sum, expect_col_sum, NULL, NULL},
    {"layernorm", 0, 2 * COUNT(NORMS) - 4, 4, 0, make_layernorm, run_layernorm, expect_layernorm,
     rows_layernorm, slice_layernorm},
    {"layernorm-grad", 0, 2 * COUNT(NORMS) - 4, 4, 0, make_layernorm_grad, run_layernorm_grad,
     expect_layernorm_grad, NULL, NULL},
    {"layernorm", 1, 4 * COUNT(RMS) - 8, 8, 1, make_rms, run_layernorm, expect_layernorm, rows_rms,
     slice_layernorm},
    {"layernorm-grad", 1, COUNT(NORMS) - 2, 2, 0, make_rms_grad, run_layernorm_grad,
     expect_layernorm_grad, NULL, NULL},
    {0}};
