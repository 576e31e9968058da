/* SPDX-License-Identifier: Apache-2.0
 *
 * A one-dimensional distribution given by the logarithm of its density, integrated once and inverted.
 *
 * Made for the laws of noise in high dimension, whose densities span thousands of orders of magnitude
 * and whose mass sits in a sliver of the interval.
 */
#ifndef ISC_CORE_LAW_H
#define ISC_CORE_LAW_H

#include <inversescope/status.h>
#include <stdint.h>

/* log of a density known up to a constant; −INFINITY is allowed, +INFINITY and NaN are not. */
typedef double (*isc_log_density)(const void *ctx, double t);

typedef struct isc_law {
  isc_log_density log_density;
  const void *ctx;
  double peak; /* the largest log density                             */
  int64_t cells;
  double *knot;  /* [cells + 1]                                         */
  double *below; /* [cells + 1]: probability below each knot, 0 … 1     */
  double total;  /* mass in units of exp(peak)                          */
} isc_law;

/* The density lives on (0, end), end may be INFINITY, and is unimodal. `ctx` must outlive the law. */
ISC_API isc_status isc_law_build(double end, isc_log_density log_density, const void *ctx,
                                 isc_law *out);
ISC_API void isc_law_free(isc_law *law);
/* P(T ≤ t), and the t at which that is u in (0, 1). Any thread. */
ISC_API double isc_law_cdf(const isc_law *law, double t);
ISC_API double isc_law_quantile(const isc_law *law, double u);

#endif
