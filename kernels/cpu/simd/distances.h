/* SPDX-License-Identifier: Apache-2.0
 *
 * The sums that distances of pairs of rows are made of, in double.
 *
 * A vector of columns at a time and the rest one by one, so that the order of a sum follows from the width of a row alone.
 */
#ifndef ISC_CPU_DISTANCES_H
#define ISC_CPU_DISTANCES_H

#include "rows.h"

typedef struct pair_sums {
  double dot, xx, yy, apart;
} pair_sums;

INLINE pair_sums sums_of_pair(int64_t dim, const float *x, const float *y) {
  vd dot = vset1d(0), xx = vset1d(0), yy = vset1d(0), apart = vset1d(0);
  int64_t i = 0;
  for (; i + WD <= dim; i += WD) {
    const vd p = vwiden(x + i), q = vwiden(y + i), u = p - q;
    dot = vfmad(p, q, dot);
    xx = vfmad(p, p, xx);
    yy = vfmad(q, q, yy);
    apart = vfmad(u, u, apart);
  }
  pair_sums s = {vsumd(dot), vsumd(xx), vsumd(yy), vsumd(apart)};
  for (; i < dim; i++) {
    const double p = (double)x[i], q = (double)y[i];
    s.dot += p * q;
    s.xx += p * p;
    s.yy += q * q;
    s.apart += (p - q) * (p - q);
  }
  return s;
}

INLINE double chord_of_pair(int64_t dim, const float *x, double norm_x, const float *y,
                            double norm_y) {
  if (norm_x == 0 || norm_y == 0) return 0;
  vd sum = vset1d(0);
  int64_t i = 0;
  for (; i + WD <= dim; i += WD) {
    const vd u = vwiden(x + i) / vset1d(norm_x) - vwiden(y + i) / vset1d(norm_y);
    sum = vfmad(u, u, sum);
  }
  double chord = vsumd(sum);
  for (; i < dim; i++) {
    const double u = (double)x[i] / norm_x - (double)y[i] / norm_y;
    chord += u * u;
  }
  return chord;
}

static void distances_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const isc_distances *a = ctx;
  (void)thread;
  for (int64_t i = begin; i < end; i++) {
    const float *x = a->a + i * a->dim, *y = a->b + i / a->group * a->dim;
    const pair_sums s = sums_of_pair(a->dim, x, y);
    if (a->dot) a->dot[i] = s.dot;
    if (a->aa) a->aa[i] = s.xx;
    if (a->bb) a->bb[i] = s.yy;
    if (a->apart) a->apart[i] = s.apart;
    if (a->chord) a->chord[i] = chord_of_pair(a->dim, x, sqrt(s.xx), y, sqrt(s.yy));
  }
}

static isc_status distances(cpu *c, const isc_distances *a) {
  if (a->dim > 0) cpu_for(c, a->n, row_grain(a->dim, 8192), distances_job, (void *)a);
  return ISC_OK;
}

#endif
