/* SPDX-License-Identifier: Apache-2.0
 *
 * Reference laws for the noise kernels: closed forms and a series where they exist, else Simpson's rule.
 *
 * Written apart from the library's own integration, so that agreement means something.
 */
#ifndef ISC_TESTS_NOISE_REFERENCE_H
#define ISC_TESTS_NOISE_REFERENCE_H

#include <inversescope/kernel.h>
#include <stdbool.h>

typedef struct noise_reference {
  isc_geometry geometry;
  isc_measure measure;
  bool hard;
  int64_t n;
  double epsilon, delta;
  double top;     /* distances worth looking at: 0 … top                            */
  int64_t points; /* Simpson: P(θ ≤ i/points · θ_max), or NULL where a closed form serves */
  double *table;  /* [points + 1] */
} noise_reference;

noise_reference reference_law(isc_geometry g, isc_measure m, bool hard, int64_t n, double epsilon,
                              double delta);
void reference_free(noise_reference *r);
double reference_distance_cdf(const noise_reference *r, double d);
double reference_norm_cdf(const noise_reference *r, double rho);

/* P(angle ≤ θ) between a fixed direction and a uniform one on the sphere of R^n, n ≥ 2. */
double reference_sphere_cdf(int64_t n, double theta);

/* Which of `bins` equal cells of [0, 1] u lies in; Pearson's statistic against equal cells; the value
 * that a chi-square variable of `freedom` exceeds with probability 1e-6 (Wilson–Hilferty). */
int reference_bin(double u, int bins);
double reference_chi_square(const int64_t *count /* [bins] */, int bins);
double reference_critical(int freedom);

#endif
