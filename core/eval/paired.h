/* SPDX-License-Identifier: Apache-2.0
 *
 * Two evaluations of the same conditions beside each other: paired differences, and agreement of rankings.
 *
 * Both answer the same questions (x̂, ẑ), so the difference of one condition is what varies, not the two means. All functions
 * may be called from any thread.
 */
#ifndef ISC_CORE_PAIRED_H
#define ISC_CORE_PAIRED_H

#include "eval/interval.h"

/* Values in [0, 1] or NaN of two evaluations, condition by condition. */
typedef struct isc_paired {
  int64_t n, columns, resamples;
  const double *a, *b;  /* [columns, n] */
  uint64_t seed, index; /* as in isc_bootstrap */
} isc_paired;

/* Means of a, of b and of a − b over the conditions that both have an answer for, and the 95 % interval of the difference
 * (isc_interval_bootstrap's, on a scale from −1 to 1). n = 0 and NaN where there is no such condition. */
typedef struct isc_pair {
  double a, b;
  isc_interval difference;
} isc_pair;
ISC_API isc_status isc_paired_run(const isc_paired *p, isc_pair *out /* [columns] */);

/* Mean of value [rows, n] over those rows that have a number in both a and b, column by column: out_a, out_b [n], NaN where no row
 * has. The means over sites of each condition. */
ISC_API void isc_paired_means(int64_t rows, int64_t n, const double *a, const double *b,
                              double *out_a, double *out_b);

/* Spearman's rank correlation of x and y [n] over those that are numbers in both, ties at their mean rank; NaN with fewer than
 * two, or when one of them is constant. */
ISC_API isc_status isc_spearman(int64_t n, const double *x, const double *y, double *rho);

#endif
