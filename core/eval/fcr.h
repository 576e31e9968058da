/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature consistency rate (paper, equation 1) of the samples of one site, condition by condition.
 *
 * A condition is a held-out (x̂, ẑ); its samples are x ~ q(x | ẑ). Each estimator turns them into an
 * estimate of P(f(x) = f(x̂)) under P(x; ẑ) ∝ P(x)·k(d/ε), and FCR is the mean over conditions:
 *   plain   every sample counts once: the generator is taken for P(x; ẑ), as the paper does
 *   reject  only samples with d < ε and inside the prior's support count
 *   snis    weight P(x)·k(d/ε)/q(x | ẑ), normalised within the condition
 *   exact   the prior's whole support, weight P(x)·k(d/ε): exact.h
 * A condition whose x̂ has the null label says nothing (NaN), and neither does one without a sample of positive weight.
 * All functions may be called from any thread.
 */
#ifndef ISC_CORE_FCR_H
#define ISC_CORE_FCR_H

#include "eval/labels.h"
#include <inversescope/kernel.h>

typedef enum isc_estimator {
  ISC_FCR_PLAIN = 0,
  ISC_FCR_REJECT = 1,
  ISC_FCR_SNIS = 2,
  ISC_FCR_EXACT = 3
} isc_estimator;
#define ISC_ESTIMATORS 4
ISC_API const char *isc_estimator_name(isc_estimator e); /* "plain", … */

/* Samples of one site. Arrays are the caller's. */
typedef struct isc_sample_set {
  int64_t n_conditions, n_texts;
  const int64_t *
      start; /* [n_conditions + 1]: condition c owns samples start[c] … start[c + 1] − 1          */
  const double
      *d; /* [samples] d(z(x), ẑ); INFINITY outside the norm band or when there is no z(x)     */
  const double *
      log_q; /* [samples] log q(x | ẑ); NULL = unknown: no snis                                   */
  const int64_t *
      count; /* [samples] how often it was drawn; NULL = once each                                */
  const int64_t
      *text; /* [samples] its row in the arrays by text; NULL = sample i is text i                */
  const double *
      log_p; /* [n_texts] log P(x) up to a constant, −INFINITY = not of the prior; NULL = the prior cannot
                           tell: all count as inside, and there is no snis                                    */
} isc_sample_set;

/* Indices in range, counts ≥ 0, log_q and log_p numbers. Samples come from a file. */
ISC_API isc_status isc_sample_set_check(const isc_sample_set *s);

/* The estimate of each condition, or NaN; `label` by text. `ess`: effective number of samples, (Σw)²/Σw² over
 * the counted weights, or NULL. ISC_FCR_EXACT is not of samples and gives NaN. Call check first. */
ISC_API void isc_fcr_by_condition(isc_estimator e, const isc_sample_set *s,
                                  const isc_kernel *kernel, const int32_t *label /* [n_texts] */,
                                  const int32_t *label_hat /* [n_conditions] */,
                                  double *rate /* [n_conditions] */,
                                  double *ess /* [n_conditions] */);

/* Share of a condition's samples with d ≥ ε (whatever the profile), and inside the prior's support. */
ISC_API void isc_refusal_by_condition(const isc_sample_set *s, double epsilon,
                                      double *rate /* [n_conditions] */);
ISC_API void isc_validity_by_condition(const isc_sample_set *s, double *rate /* [n_conditions] */);

/* Chance: P(f(x) = f(x̂)) of a draw from the prior, for each x̂, from n labels of such draws or of the whole
 * support. log_p [n] weighs them (enumerated support), NULL = equally. */
ISC_API isc_status isc_chance_by_condition(int64_t n, const int32_t *label /* [n] */,
                                           const double *log_p, int64_t n_conditions,
                                           const int32_t *label_hat /* [n_conditions] */,
                                           double *rate /* [n_conditions] */);

#endif
