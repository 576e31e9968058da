/* SPDX-License-Identifier: Apache-2.0
 *
 * Laps on the clock, and large products in between as the measure of what the machine could do just then.
 *
 * Each is timed in wall seconds and in the processor seconds this process got, so that a figure from a machine with
 * other work on it can be told from one without.
 */
#include "bench.h"
#include "base/base.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double bench_core_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double bench_median(const double *x, int64_t n) {
  double sorted[BENCH_PRODUCTS];
  if (n == 0) return 0;
  memcpy(sorted, x, (size_t)n * sizeof *x);
  qsort(sorted, (size_t)n, sizeof *sorted, by_size);
  return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

double bench_least(const double *x, int64_t n) {
  double least = n ? x[0] : 0;
  for (int64_t i = 1; i < n; i++)
    least = x[i] < least ? x[i] : least;
  return least;
}

/* ---- products */

/* Numbers in (−1, 1); what they are does not matter as long as none is a zero or a denormal. */
static isc_status matrix(isc_device *dev, int64_t n, float **out) {
  isc_status st = ISC_OK;
  void *host = NULL, *p;
  uint32_t x = 1;
  ISC_GO(isc_malloc((size_t)n * sizeof **out, "a matrix", &host));
  for (int64_t i = 0; i < n; i++, x = x * 1664525 + 1013904223)
    ((float *)host)[i] = (float)(int32_t)(x | 1) * 0x1p-31f;
  ISC_GO(dev->ops->alloc(dev->impl, (size_t)n * sizeof **out, &p));
  *out = p;
  ISC_GO(dev->ops->upload(dev->impl, *out, host, (size_t)n * sizeof **out));
done:
  free(host);
  return st;
}

/* y = x w, or dw = xᵀ dy, of x [1536, 768], y [1536, 3072] */
static isc_gemm candidate(const bench_gemm *g, int64_t divide, bool gradient) {
  int64_t rows = 1536 / divide, in = 768 / divide, out = 3072 / divide;
  return (isc_gemm){.batch = 1,
                    .m = gradient ? in : rows,
                    .n = out,
                    .k = gradient ? rows : in,
                    .a = g->x,
                    .b = gradient ? g->y : g->w,
                    .c = gradient ? g->w : g->y,
                    .lda = in,
                    .ldb = out,
                    .ldc = out,
                    .trans_a = gradient,
                    .alpha = 1};
}

/* The better of the two is the machine's rate: a backend may do one kind better than another. */
isc_status bench_gemm_open(isc_device *dev, int64_t divide, bench_gemm *g) {
  int64_t rows = 1536 / divide, in = 768 / divide, out = 3072 / divide;
  double seconds[2];
  *g = (bench_gemm){.device = dev, .in = in, .out = out};
  ISC_TRY(matrix(dev, rows * in, &g->x));
  ISC_TRY(matrix(dev, in * out, &g->w));
  ISC_TRY(matrix(dev, rows * out, &g->y));
  for (int kind = 0; kind < 2; kind++) {
    g->product = candidate(g, divide, kind);
    for (g->n = 0; g->n < 5;)
      ISC_TRY(bench_gemm_time(g));
    seconds[kind] = bench_median(g->core, g->n);
  }
  g->gradient = seconds[1] < seconds[0];
  g->product = candidate(g, divide, g->gradient);
  return ISC_OK;
}

void bench_gemm_close(bench_gemm *g) {
  float *const all[] = {g->x, g->w, g->y};
  for (int i = 0; i < 3; i++)
    if (all[i]) g->device->ops->free(g->device->impl, all[i]);
  *g = (bench_gemm){0};
}

double bench_gemm_flops(const bench_gemm *g) {
  return 2.0 * (double)g->product.m * (double)g->product.n * (double)g->product.k;
}

isc_status bench_gemm_time(bench_gemm *g) {
  isc_device *dev = g->device;
  if (g->n == BENCH_PRODUCTS) return ISC_OK;
  double wall = isc_now(), core = bench_core_seconds();
  ISC_TRY(dev->ops->gemm(dev->impl, &g->product));
  ISC_TRY(dev->ops->sync(dev->impl));
  g->last = isc_now();
  g->wall[g->n] = g->last - wall;
  g->core[g->n++] = bench_core_seconds() - core;
  return ISC_OK;
}

/* ---- laps */

/* A few products, unless the latest are fresh: long laps get several at either end. */
static isc_status look_at_machine(bench_gemm *g) {
  double age = isc_now() - g->last;
  int64_t times = age < 0.2 ? 0 : age < 2 ? 1 : 4;
  for (int64_t i = 0; i < times; i++)
    ISC_TRY(bench_gemm_time(g));
  return ISC_OK;
}

/* The lap is told, and the next begins when it is asked for; false: none is. */
static bool paced(const bench_timer *t) {
  int c;
  if (t->n > 0) printf("%.9f %.9f\n", t->wall[t->n - 1], t->core[t->n - 1]);
  fflush(stdout);
  do
    c = getchar();
  while (c != '\n' && c != EOF);
  return c == '\n';
}

static void begin(bench_timer *t) {
  if (t->n == 0 && t->account) bench_account_clear(t->account);
  t->core_at = bench_core_seconds();
  t->wall_at = isc_now();
}

isc_status bench_timer_start(bench_timer *t, bench_gemm *g, const bench_limits *limits,
                             int64_t skip) {
  *t = (bench_timer){.gemm = g, .limits = *limits, .skip = skip, .loss = NAN};
  if (t->limits.repeat > BENCH_LAPS) t->limits.repeat = BENCH_LAPS;
  g->n = 0;
  g->last = 0;
  ISC_TRY(g->device->ops->gemm(g->device->impl, &g->product)); /* caches and threads warm up */
  ISC_TRY(look_at_machine(g));
  begin(t);
  return ISC_OK;
}

isc_status bench_timer_lap(bench_timer *t, bool *enough) {
  isc_device *dev = t->gemm->device;
  const double group = (double)t->limits.group;
  *enough = false;
  if (++t->inside < t->limits.group) return ISC_OK;
  t->inside = 0;
  ISC_TRY(dev->ops->sync(dev->impl));
  double wall = (isc_now() - t->wall_at) / group,
         core = (bench_core_seconds() - t->core_at) / group;
  if (t->skip > 0)
    t->skip--;
  else {
    t->wall[t->n] = wall;
    t->core[t->n++] = core;
    t->spent += wall * group;
  }
  if (t->limits.paced) {
    *enough = t->n >= t->limits.repeat || (t->skip == 0 && !paced(t));
    begin(t);
    return ISC_OK;
  }
  ISC_TRY(look_at_machine(t->gemm));
  *enough = t->n >= t->limits.repeat || (t->n >= 2 && t->spent >= t->limits.seconds);
  begin(t);
  return ISC_OK;
}
