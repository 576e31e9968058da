/* SPDX-License-Identifier: Apache-2.0
 *
 * 95 % intervals for means over conditions, and quantiles.
 *
 * Samples of one condition share its x̂ and are not independent; the conditions are. So everything reported is
 * a mean of one number per condition, and the condition is the unit of every interval: this is the
 * cluster-robust interval, whatever the number of samples within. NaN = the condition says nothing; it is left out.
 * All functions may be called from any thread.
 */
#ifndef ISC_CORE_INTERVAL_H
#define ISC_CORE_INTERVAL_H

#include <inversescope/kernel.h>

typedef struct isc_interval {
  double estimate, lo, hi; /* NaN when n = 0                          */
  int64_t n;               /* conditions that had something to say   */
} isc_interval;

/* Mean ± Student's t with n − 1 degrees of freedom times s/√n. n = 1: lo = hi = NaN. For any scale; poor for shares near 0 or 1. */
ISC_API isc_interval isc_interval_t(int64_t n, const double *value /* [n] */);

/* The reported interval, for values in [0, 1]: percentiles of a Bayesian bootstrap over conditions (Dirichlet weights)
 * to which the lower end adds one pseudo-condition at 0 and the upper end one at 1. Several columns over the same conditions
 * share the weights of (seed, ISC_RNG_BOOTSTRAP, index).
 * Rationale: the plain bootstrap says ±0 when all conditions agree and covers too little near 0 and 1. With the
 * pseudo-conditions the interval is Clopper–Pearson's for 0/1 values, exact there, and a bound of the same kind for shares
 * (Gaffke 2005; Learned-Miller and Thomas 2020), at the price of about 1/n in width. */
typedef struct isc_bootstrap {
  int64_t n, columns, resamples;
  const double *value; /* [columns, n] in [0, 1] or NaN */
  uint64_t seed, index;
} isc_bootstrap;
ISC_API isc_status isc_interval_bootstrap(const isc_bootstrap *b,
                                          isc_interval *out /* [columns] */);

/* Quantiles p[k] of x [n] by linear interpolation between order statistics (R's type 7); infinite values are ordered like any
 * other, NaN ones are left out. None left: NaN. */
ISC_API isc_status isc_quantiles(int64_t n, const double *x, int64_t m, const double *p /* [m] */,
                                 double *out /* [m] */);

/* Quantiles of a kernel's noise distances, from its law. */
ISC_API void isc_noise_quantiles(const isc_kernel *kernel, int64_t m, const double *p /* [m] */,
                                 double *out /* [m] */);

/* 97.5 % point of Student's t, freedom ≥ 1. */
ISC_API double isc_student_975(int64_t freedom);

#endif
