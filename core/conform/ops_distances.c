/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems for distances: pairs far apart, nearly and exactly alike, in one direction, and with a zero.
 */
#include "conform/ops.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

/* n, dim, group */
static const int64_t PAIRS[][3] = {{3, 5, 1},     {1, 1, 1},    {2, 2, 1},   {9, 15, 4},
                                   {8, 16, 8},    {9, 17, 100}, {40, 64, 7}, {11, 131, 1},
                                   {70, 768, 16}, {3, 5003, 2}, {0, 5, 1},   {5, 0, 2}};

static void fill(const isc_distances *d) {
  for (int64_t i = 0; i < d->n; i++) {
    float *a = (float *)(uintptr_t)d->a + i * d->dim;
    const float *b = d->b + i / d->group * d->dim;
    for (int64_t j = 0; i % 6 && j < d->dim; j++) {
      if (i % 6 == 1) a[j] = b[j] * (1 + 1e-4f * a[j]);
      if (i % 6 == 2) a[j] = b[j];
      if (i % 6 == 3) a[j] = 3 * b[j];
      if (i % 6 == 4) a[j] = 0;
      if (i % 6 == 5) a[j] = b[j] + 100 * a[j];
    }
  }
}

/* Of every six problems five ask for one sum less. */
static isc_status make_distances(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  const int64_t *s = PAIRS[variant / 6];
  isc_distances a = {.n = s[0], .dim = s[1], .group = s[2]};
  double **const sums[] = {&a.dot, &a.aa, &a.bb, &a.apart, &a.chord};
  static const char *const names[] = {"dot", "aa", "bb", "apart", "chord"};
  int64_t of_b = (a.n + a.group - 1) / a.group, lack = variant % 6;
  (void)alias;
  isc_bench_begin(b, "distances", "[%lld, %lld], groups of %lld%s%s", (long long)s[0],
                  (long long)s[1], (long long)s[2], lack < 5 ? ", without " : "",
                  lack < 5 ? names[lack] : "");
  ISC_TRY(isc_bench_array_new(b, "a", ISC_BENCH_IN, ISC_BENCH_F32, a.n * a.dim, &a.a));
  ISC_TRY(isc_bench_array_new(b, "b", ISC_BENCH_IN, ISC_BENCH_F32, of_b * a.dim, &a.b));
  fill(&a);
  isc_bench_role role = a.dim ? ISC_BENCH_OUT : ISC_BENCH_INOUT;
  for (int64_t k = 0; k < COUNT(sums); k++)
    if (k != lack) ISC_TRY(isc_bench_array_new(b, names[k], role, ISC_BENCH_F64, a.n, sums[k]));
  out->distances = a;
  return ISC_OK;
}

static isc_status run_distances(isc_bench *b, const isc_op_call *call) {
  isc_distances a = call->distances;
  a.a = isc_bench_at(b, a.a);
  a.b = isc_bench_at(b, a.b);
  a.dot = isc_bench_at(b, a.dot);
  a.aa = isc_bench_at(b, a.aa);
  a.bb = isc_bench_at(b, a.bb);
  a.apart = isc_bench_at(b, a.apart);
  a.chord = isc_bench_at(b, a.chord);
  return b->dev->ops->distances(b->dev->impl, &a);
}

static isc_status expect_distances(isc_bench *b, const isc_op_call *call) {
  const isc_distances *a = &call->distances;
  isc_exact_distances out;
  ISC_TRY(isc_bench_want(b, a->dot, &out.dot));
  ISC_TRY(isc_bench_want(b, a->aa, &out.aa));
  ISC_TRY(isc_bench_want(b, a->bb, &out.bb));
  ISC_TRY(isc_bench_want(b, a->apart, &out.apart));
  ISC_TRY(isc_bench_want(b, a->chord, &out.chord));
  isc_reference_distances(a, &out);
  return ISC_OK;
}

/* Where several pairs share a row of b, a part is one that begins with a group. */
static int64_t rows_distances(const isc_op_call *call) {
  const isc_distances *a = &call->distances;
  return a->group == 1 || a->group >= a->n ? a->n : 0;
}

static void slice_distances(isc_op_call *call, int64_t first, int64_t n) {
  isc_distances *a = &call->distances;
  double **const sums[] = {&a->dot, &a->aa, &a->bb, &a->apart, &a->chord};
  a->n = n;
  a->a += first * a->dim;
  if (a->group == 1) a->b += first * a->dim;
  for (int64_t k = 0; k < COUNT(sums); k++)
    if (*sums[k]) *sums[k] += first;
}

const isc_op isc_ops_distances[] = {{"distances", 1, 6 * COUNT(PAIRS) - 12, 12, 0, make_distances,
                                     run_distances, expect_distances, rows_distances,
                                     slice_distances},
                                    {0}};
