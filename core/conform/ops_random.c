/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems for token draws and noise.
 */
#include "conform/ops.h"

#define COUNT(table) ((int64_t)(sizeof(table) / sizeof *(table)))

static isc_status make_index(isc_bench *b, int64_t n, const uint64_t **out) {
  ISC_TRY(isc_bench_array_new(b, "index", ISC_BENCH_IN, ISC_BENCH_HOST_I64, n, out));
  for (int64_t i = 0; i < n; i++)
    ((uint64_t *)(uintptr_t)*out)[i] = (uint64_t)i * 1000003u + ((uint64_t)i << 40);
  return ISC_OK;
}

/* ---- tokens */

static const struct draw {
  int64_t rows, vocab;
  double temperature;
} DRAWS[] = {{5, 7, 1},   {1, 1, 1},    {40, 2, 0.3},   {40, 17, 2.5},
             {40, 64, 0}, {9, 1000, 1}, {300, 5003, 1}, {0, 5, 1}};

/* One token of a row is forbidden; at temperature 0 some rows have ties. */
static isc_status make_sample(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  const struct draw *s = &DRAWS[variant];
  isc_sample a = {.rows = s->rows,
                  .vocab = s->vocab,
                  .temperature = s->temperature,
                  .seed = b->seed,
                  .draw = (uint32_t)variant};
  int64_t n = s->rows * s->vocab;
  (void)alias;
  isc_bench_begin(b, "sample", "[%lld, %lld], temperature %g", (long long)s->rows,
                  (long long)s->vocab, s->temperature);
  ISC_TRY(make_index(b, s->rows, &a.index));
  ISC_TRY(isc_bench_array_new(b, "logits", ISC_BENCH_IN, ISC_BENCH_F32, n, &a.logits));
  float *l = (float *)(uintptr_t)a.logits;
  for (int64_t i = 0; i < n; i++)
    l[i] = s->temperature > 0 ? 3 * l[i] : roundf(2 * l[i]);
  for (int64_t r = 0; s->vocab > 2 && r < s->rows; r++)
    l[r * s->vocab + r % s->vocab] = -INFINITY;
  ISC_TRY(isc_bench_array_new(b, "id", ISC_BENCH_OUT, ISC_BENCH_HOST_I32, s->rows, &a.id));
  ISC_TRY(isc_bench_array_new(b, "logp", ISC_BENCH_INOUT, ISC_BENCH_HOST_F64, s->rows, &a.logp));
  for (int64_t r = 0; r < s->rows; r++)
    a.logp[r] = -1.5;
  out->sample = a;
  return ISC_OK;
}

static isc_status run_sample(isc_bench *b, const isc_op_call *call) {
  isc_sample a = call->sample;
  a.logits = isc_bench_at(b, a.logits);
  a.index = isc_bench_at(b, a.index);
  a.id = isc_bench_at(b, a.id);
  a.logp = isc_bench_at(b, a.logp);
  return b->dev->ops->sample(b->dev->impl, &a);
}

/* log P is summed in double. */
static isc_status expect_sample(isc_bench *b, const isc_op_call *call) {
  const isc_sample *a = &call->sample;
  isc_exact *id, *logp;
  ISC_TRY(isc_bench_want(b, a->id, &id));
  ISC_TRY(isc_bench_want(b, a->logp, &logp));
  for (int64_t r = 0; r < a->rows; r++) {
    double l;
    id[r] = isc_exact_of(isc_reference_sample(a, r, &l));
    logp[r] = (isc_exact){a->logp[r] + l, 1e-9 / ISC_EXACT_UNIT * (1.5 + fabs(l))};
  }
  return ISC_OK;
}

static int64_t rows_sample(const isc_op_call *call) {
  return call->sample.rows;
}

static void slice_sample(isc_op_call *call, int64_t first, int64_t n) {
  isc_sample *a = &call->sample;
  a->rows = n;
  a->logits += first * a->vocab;
  a->index += first;
  a->id += first;
  a->logp += first;
}

/* ---- noise */

static const int64_t NOISES[][2] = {{3, 5},  {1, 1},     {21, 2},   {21, 3}, {9, 63},
                                    {9, 64}, {300, 300}, {2, 4096}, {0, 5}}; /* rows, dim */

/* Every second problem is angular. A row may be zero. */
static isc_status make_noise(isc_bench *b, int64_t variant, int64_t alias, isc_op_call *out) {
  isc_noise a = {.rows = NOISES[variant / 2][0],
                 .dim = NOISES[variant / 2][1],
                 .angular = variant % 2,
                 .seed = b->seed};
  isc_bench_role role = alias ? ISC_BENCH_INOUT : ISC_BENCH_IN;
  const char *const name[4] = {"radius", "rho", "cos", "sin"};
  const float **const list[4] = {&a.radius, &a.rho, &a.cos, &a.sin};
  isc_bench_begin(b, "noise", "[%lld, %lld], %s%s", (long long)a.rows, (long long)a.dim,
                  a.angular ? "angular" : "radial", alias ? ", out is z" : "");
  ISC_TRY(make_index(b, a.rows, &a.index));
  ISC_TRY(isc_bench_array_new(b, "z", role, ISC_BENCH_F32, a.rows * a.dim, &a.z));
  for (int64_t i = 0; a.rows > 5 && i < a.dim; i++)
    ((float *)(uintptr_t)a.z)[5 * a.dim + i] = 0;
  for (int k = a.angular; k < (a.angular ? 4 : 1); k++) {
    ISC_TRY(isc_bench_array_new(b, name[k], ISC_BENCH_IN, ISC_BENCH_HOST_F32, a.rows, list[k]));
    for (int64_t r = 0; r < a.rows; r++) {
      float angle = 0.1f * (float)(r % 31),
            value[4] = {angle, 0.9f + angle / 16, cosf(angle), sinf(angle)};
      ((float *)(uintptr_t)*list[k])[r] = value[k];
    }
  }
  a.out = (float *)(uintptr_t)a.z;
  if (!alias)
    ISC_TRY(isc_bench_array_new(b, "out", ISC_BENCH_OUT, ISC_BENCH_F32, a.rows * a.dim, &a.out));
  out->noise = a;
  return ISC_OK;
}

static isc_status run_noise(isc_bench *b, const isc_op_call *call) {
  isc_noise a = call->noise;
  a.z = isc_bench_at(b, a.z);
  a.out = isc_bench_at(b, a.out);
  a.radius = isc_bench_at(b, a.radius);
  a.rho = isc_bench_at(b, a.rho);
  a.cos = isc_bench_at(b, a.cos);
  a.sin = isc_bench_at(b, a.sin);
  a.index = isc_bench_at(b, a.index);
  return b->dev->ops->noise(b->dev->impl, &a);
}

static isc_status expect_noise(isc_bench *b, const isc_op_call *call) {
  isc_exact *out;
  ISC_TRY(isc_bench_want(b, call->noise.out, &out));
  return isc_reference_noise(&call->noise, out);
}

const isc_op isc_ops_random[] = {
    {"sample", 0, COUNT(DRAWS) - 1, 1, 0, make_sample, run_sample, expect_sample, rows_sample,
     slice_sample},
    {"noise", 0, 2 * COUNT(NOISES) - 2, 2, 1, make_noise, run_noise, expect_noise, NULL, NULL},
    {0}};
