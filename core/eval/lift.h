/* SPDX-License-Identifier: Apache-2.0
 *
 * Is a feature more consistent at a site than chance, and which of many (site, feature) pairs are discoveries?
 *
 * The lift of a condition x̂ is its FCR less the chance that a draw of the prior agrees with the same x̂; the conditions
 * are independent, so they are the unit of every interval and test. NaN = the condition says nothing; it is left out.
 * All functions may be called from any thread.
 */
#ifndef ISC_CORE_LIFT_H
#define ISC_CORE_LIFT_H

#include "eval/interval.h"

/* P(Σ a_i·E_i ≤ 0) for independent exponentials E_i of mean 1, by the saddlepoint formula of Lugannani and Rice, whose error
 * is relative: a tail of 1e-30 is one. No a_i < 0: 0, or 1 when all are 0; no a_i > 0: 1. */
ISC_API double isc_exponential_tail(int64_t n, const double *a /* [n] */);

typedef struct isc_lift {
  isc_interval gain; /* mean lift over the conditions that have one, 95 % */
  double p;          /* of a mean lift ≤ 0, one-sided; NaN when n = 0     */
} isc_lift;

/* Mean of rate − chance. Ends and p are those of a Bayesian bootstrap over conditions with infinitely many resamples (see
 * isc_bootstrap) to which the lower end and the test add one pseudo-condition at the lowest lift possible, −max chance, and
 * the upper end one at the highest, 1 − min chance. For rates of 0 and 1 and one chance level this is the exact binomial
 * test and Clopper–Pearson's interval; for shares a bound of the same kind (Gaffke 2005). chance in [0, 1] and known for
 * every condition that has a rate. ISC_E_NOMEM. */
ISC_API isc_status isc_lift_estimate(int64_t n, const double *rate /* [n] */,
                                     const double *chance /* [n] */, isc_lift *out);

/* Benjamini and Hochberg's adjusted p values: with q ≤ α as the rule, at most a share α of the discoveries are false on
 * average, for independent and for positively dependent tests. NaN p are no tests and give NaN. ISC_E_NOMEM. */
ISC_API isc_status isc_false_discovery(int64_t n, const double *p /* [n] */, double *q /* [n] */);

#endif
