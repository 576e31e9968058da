/* SPDX-License-Identifier: Apache-2.0
 *
 * Paired differences and rank correlation.
 */
#include "eval/paired.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

static isc_pair means(const isc_paired *p, int64_t column) {
  isc_pair out = {.a = 0, .b = 0};
  int64_t n = 0;
  for (int64_t i = 0; i < p->n; i++) {
    const double a = p->a[column * p->n + i], b = p->b[column * p->n + i];
    if (isnan(a) || isnan(b)) continue;
    out.a += a;
    out.b += b;
    n++;
  }
  out.a = n ? out.a / (double)n : NAN;
  out.b = n ? out.b / (double)n : NAN;
  return out;
}

isc_status isc_paired_run(const isc_paired *p, isc_pair *out) {
  isc_status st = ISC_OK;
  const int64_t all = p->n * p->columns;
  double *half = NULL;
  isc_interval *of = NULL;
  ISC_GO(isc_calloc((size_t)all + 1, sizeof *half, "paired differences", (void **)&half));
  ISC_GO(isc_calloc((size_t)p->columns + 1, sizeof *of, "paired differences", (void **)&of));
  for (int64_t i = 0; i < all; i++)
    half[i] = (p->a[i] - p->b[i] + 1) / 2; /* from [−1, 1] to the bootstrap's [0, 1] */
  const isc_bootstrap b = {.n = p->n,
                           .columns = p->columns,
                           .resamples = p->resamples,
                           .value = half,
                           .seed = p->seed,
                           .index = p->index};
  ISC_GO(isc_interval_bootstrap(&b, of));
  for (int64_t c = 0; c < p->columns; c++) {
    out[c] = means(p, c);
    out[c].difference = (isc_interval){.estimate = out[c].a - out[c].b,
                                       .lo = 2 * of[c].lo - 1,
                                       .hi = 2 * of[c].hi - 1,
                                       .n = of[c].n};
  }
done:
  free(half);
  free(of);
  return st;
}

void isc_paired_means(int64_t rows, int64_t n, const double *a, const double *b, double *out_a,
                      double *out_b) {
  for (int64_t i = 0; i < n; i++) {
    double sum_a = 0, sum_b = 0;
    int64_t used = 0;
    for (int64_t r = 0; r < rows; r++) {
      const double x = a[r * n + i], y = b[r * n + i];
      if (isnan(x) || isnan(y)) continue;
      sum_a += x;
      sum_b += y;
      used++;
    }
    out_a[i] = used ? sum_a / (double)used : NAN;
    out_b[i] = used ? sum_b / (double)used : NAN;
  }
}

/* ---- ranks */

typedef struct ranked {
  double value;
  int64_t at;
} ranked;

static int by_value(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  return (x->value > y->value) - (x->value < y->value);
}

/* rank[i] of x[i], the mean rank where values are equal. */
static void ranks(int64_t n, const double *x, ranked *sorted, double *rank) {
  for (int64_t i = 0; i < n; i++)
    sorted[i] = (ranked){x[i], i};
  qsort(sorted, (size_t)n, sizeof *sorted, by_value);
  for (int64_t i = 0, j; i < n; i = j) {
    for (j = i + 1; j < n && sorted[j].value <= sorted[i].value;)
      j++;
    for (int64_t k = i; k < j; k++)
      rank[sorted[k].at] = (double)(i + j - 1) / 2;
  }
}

static double correlation(int64_t n, const double *x, const double *y) {
  double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
  for (int64_t i = 0; i < n; i++) {
    mx += x[i] / (double)n;
    my += y[i] / (double)n;
  }
  for (int64_t i = 0; i < n; i++) {
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
    xy += (x[i] - mx) * (y[i] - my);
  }
  return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

isc_status isc_spearman(int64_t n, const double *x, const double *y, double *rho) {
  isc_status st = ISC_OK;
  double *value = NULL;
  ranked *sorted = NULL;
  const size_t room = (size_t)n + 1;
  int64_t m = 0;
  *rho = NAN;
  ISC_GO(isc_calloc(room, 4 * sizeof *value, "ranks", (void **)&value));
  ISC_GO(isc_calloc(room, sizeof *sorted, "ranks", (void **)&sorted));
  double *u = value, *v = value + room, *ru = value + 2 * room, *rv = value + 3 * room;
  for (int64_t i = 0; i < n; i++) {
    if (isnan(x[i]) || isnan(y[i])) continue;
    u[m] = x[i];
    v[m++] = y[i];
  }
  if (m < 2) goto done;
  ranks(m, u, sorted, ru);
  ranks(m, v, sorted, rv);
  *rho = correlation(m, ru, rv);
done:
  free(value);
  free(sorted);
  return st;
}
