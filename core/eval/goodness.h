/* SPDX-License-Identifier: Apache-2.0
 *
 * Goodness of fit: Pearson's statistic, its tail probability, and Holm's correction for many tests at once.
 *
 * For tests of exact claims with fixed seeds, so what matters is the far tail: 1e-6 must mean 1e-6. All functions may be
 * called from any thread.
 */
#ifndef ISC_CORE_GOODNESS_H
#define ISC_CORE_GOODNESS_H

#include <inversescope/status.h>
#include <stdbool.h>
#include <stdint.h>

/* Q(a, x) = Γ(a, x)/Γ(a) for a > 0, x ≥ 0, to about 1e-12 of itself (1e-9 for a in the thousands); NaN outside. */
ISC_API double isc_gamma_upper(double a, double x);

/* P(χ² ≥ x) with `freedom` > 0 degrees of freedom; 1 for x ≤ 0. */
ISC_API double isc_chi_square_upper(double x, double freedom);

/* A statistic and its degrees of freedom; freedom 0 = nothing was tested. */
typedef struct isc_fit {
  double x;
  int64_t freedom;
} isc_fit;

/* Counts against expected ones of the same total. Cells that expect fewer than 5 are joined into one, which is joined to
 * the smallest other when it still expects fewer. A count where none is expected gives x = INFINITY. */
ISC_API isc_fit isc_fit_expected(int64_t n, const int64_t *count /* [n] */,
                                 const double *expected /* [n] */);
/* Are two samples from one distribution? Cells that hold fewer than 10 of both together are joined likewise. */
ISC_API isc_fit isc_fit_samples(int64_t n, const int64_t *a /* [n] */, const int64_t *b /* [n] */);
/* P of a fit at least as bad; 1 when nothing was tested. */
ISC_API double isc_fit_p(isc_fit f);

/* Holm's step-down: which of n hypotheses are rejected when the chance of rejecting any true one is to be ≤ alpha. A NaN
 * counts as p = 0. Returns how many are; `rejected` [n] may be NULL. ISC_E_NOMEM gives −1. */
ISC_API int64_t isc_holm(int64_t n, const double *p /* [n] */, double alpha, bool *rejected);

#endif
