/* SPDX-License-Identifier: Apache-2.0
 *
 * Nadaraya–Watson regression and its bandwidth.
 */
#include "eval/smooth.h"
#include "base/base.h"
#include "eval/interval.h"
#include <math.h>
#include <stdlib.h>

isc_status isc_smooth_bandwidth(int64_t n, const double *x, double *bandwidth) {
  double quarter[2], mean = 0, square = 0;
  *bandwidth = 0;
  if (n < 2) return ISC_OK;
  ISC_TRY(isc_quantiles(n, x, 2, (const double[]){0.25, 0.75}, quarter));
  for (int64_t i = 0; i < n; i++)
    mean += x[i] / (double)n;
  for (int64_t i = 0; i < n; i++)
    square += (x[i] - mean) * (x[i] - mean);
  const double s = sqrt(square / (double)(n - 1)), range = (quarter[1] - quarter[0]) / 1.34;
  const double spread = range > 0 && range < s ? range : s;
  *bandwidth = 0.9 * spread * pow((double)n, -0.2);
  return ISC_OK;
}

isc_status isc_smooth_nearest(int64_t n, const double *x, double at, int64_t k, double *distance) {
  double *far;
  ISC_TRY(isc_calloc((size_t)n, sizeof *far, "distances along an axis", (void **)&far));
  for (int64_t i = 0; i < n; i++)
    far[i] = fabs(x[i] - at);
  const double p = n > 1 ? (double)(k - 1) / (double)(n - 1) : 0;
  const isc_status st = isc_quantiles(n, far, 1, &p, distance);
  free(far);
  return st;
}

double isc_smooth_at(int64_t n, const double *x, const double *y, const double *weight,
                     double bandwidth, double at, double *ess) {
  double sum = 0, squares = 0, total = 0;
  for (int64_t i = 0; i < n; i++) {
    const double u = (x[i] - at) / bandwidth, w = (weight ? weight[i] : 1) * exp(-u * u / 2);
    sum += w * y[i];
    total += w;
    squares += w * w;
  }
  *ess = squares > 0 ? total * total / squares : 0;
  return total > 0 ? sum / total : NAN;
}
