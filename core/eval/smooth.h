/* SPDX-License-Identifier: Apache-2.0
 *
 * Kernel regression: how a mean changes along an axis, such as P(f(x) = f(x̂)) along d (paper, figure 8).
 *
 * All functions may be called from any thread.
 */
#ifndef ISC_CORE_SMOOTH_H
#define ISC_CORE_SMOOTH_H

#include <inversescope/status.h>
#include <stdint.h>

/* Silverman's rule, 0.9·min(s, IQR/1.34)·n^(−1/5), the smaller spread that is not 0; 0 when all x are the same or n < 2.
 * ISC_E_NOMEM. */
ISC_API isc_status isc_smooth_bandwidth(int64_t n, const double *x /* [n] */, double *bandwidth);

/* The distance from `at` to the k-th nearest x, 1 ≤ k ≤ n: a bandwidth that many points fill, where a fixed one is starved.
 * ISC_E_NOMEM. */
ISC_API isc_status isc_smooth_nearest(int64_t n, const double *x /* [n] */, double at, int64_t k,
                                      double *distance);

/* Nadaraya and Watson's estimate at `at`: Σ w_i·g_i·y_i / Σ w_i·g_i with the Gaussian g_i = exp(−((x_i − at)/bandwidth)²/2).
 * weight NULL = equal. *ess, (Σ w·g)²/Σ (w·g)², says on how many points it rests; 0 and NaN when on none. bandwidth > 0. */
ISC_API double isc_smooth_at(int64_t n, const double *x /* [n] */, const double *y /* [n] */,
                             const double *weight /* [n] or NULL */, double bandwidth, double at,
                             double *ess);

#endif
