/* SPDX-License-Identifier: Apache-2.0
 *
 * One distance in double precision.
 *
 * 1 − cos is taken as half the squared chord between the directions when it is small, where
 * subtracting from 1 would leave nothing but rounding.
 */
#include "eval/distance.h"
#include <math.h>

double isc_norm(int64_t width, const float *y) {
  double sum = 0;
  for (int64_t i = 0; i < width; i++)
    sum += (double)y[i] * y[i];
  return sqrt(sum);
}

/* Neither norm is 0. */
static double one_minus_cos(int64_t width, const float *z, double norm, const float *zhat,
                            double norm_hat) {
  double dot = 0, chord = 0;
  for (int64_t i = 0; i < width; i++)
    dot += (double)z[i] * zhat[i];
  double d = 1 - dot / norm / norm_hat;
  if (d > 1e-3) return fmin(d, 2);
  for (int64_t i = 0; i < width; i++) {
    double u = z[i] / norm - zhat[i] / norm_hat;
    chord += u * u;
  }
  return chord / 2;
}

isc_separation isc_separate(int64_t width, const float *z, const float *zhat) {
  double norm = isc_norm(width, z), norm_hat = isc_norm(width, zhat), apart = 0;
  if (norm == 0 && norm_hat == 0) return (isc_separation){0, 1, 0};
  if (norm_hat == 0) return (isc_separation){1, INFINITY, INFINITY};
  if (norm == 0) return (isc_separation){1, 0, 1};
  for (int64_t i = 0; i < width; i++)
    apart += ((double)z[i] - zhat[i]) * ((double)z[i] - zhat[i]);
  return (isc_separation){.angular = one_minus_cos(width, z, norm, zhat, norm_hat),
                          .norm_ratio = norm / norm_hat,
                          .normalised = sqrt(apart) / norm_hat};
}

double isc_separation_distance(const isc_separation *s, isc_geometry geometry, double band,
                               double norm_hat) {
  double d = s->angular;
  if (geometry == ISC_ANGULAR && band > 0 && !(fabs(s->norm_ratio - 1) < band)) d = INFINITY;
  if (geometry == ISC_NORMALISED) d = s->normalised;
  if (geometry == ISC_EUCLIDEAN) d = s->normalised * norm_hat;
  return isnan(d) ? INFINITY : d;
}

double isc_distance(isc_geometry geometry, double band, int64_t width, const float *z,
                    const float *zhat) {
  isc_separation s = isc_separate(width, z, zhat);
  double norm_hat = geometry == ISC_EUCLIDEAN ? isc_norm(width, zhat) : 0;
  /* From a zero ẑ no ratio leads back to the length. */
  if (geometry == ISC_EUCLIDEAN && norm_hat == 0) return isc_norm(width, z);
  return isc_separation_distance(&s, geometry, band, norm_hat);
}
