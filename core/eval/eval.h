/* SPDX-License-Identifier: Apache-2.0
 *
 * The evaluation of a study: every number the report shows about sites and features.
 *
 * Filled one site at a time, so that only one site's samples need be in memory. One thread at a time.
 */
#ifndef ISC_CORE_EVAL_H
#define ISC_CORE_EVAL_H

#include "eval/fcr.h"
#include "eval/interval.h"

/* Probabilities of every row of quantiles below. */
#define ISC_EVAL_QUANTILES 5
ISC_API extern const double isc_eval_quantile[ISC_EVAL_QUANTILES]; /* 0.05 0.25 0.5 0.75 0.95 */

typedef struct isc_fcr {
  isc_interval rate; /* n = conditions used; 0 = this estimator had nothing to go on */
  double
      ess; /* mean over those conditions of the effective number of samples (exact: of inputs); NaN = unknown */
} isc_fcr;

typedef struct isc_eval_site {
  char *name;
  bool done;
  isc_fcr *fcr;          /* [n_features, ISC_ESTIMATORS]                              */
  isc_interval refusal;  /* share of samples with d ≥ ε                               */
  isc_interval validity; /* share inside the prior; n = 0 when the prior cannot tell  */
  isc_interval
      ball; /* mean number of the prior's inputs with d < ε, Student's t; n = 0 when not enumerated */
  double distance
      [ISC_EVAL_QUANTILES]; /* of the samples' d; INFINITY where that many lie outside the band        */
  int64_t samples;          /* with multiplicity                                         */
  double *refused, *valid; /* [n_conditions] refusal and validity of each condition   */
} isc_eval_site;

/* |reject − exact| of a feature over sites. */
typedef struct isc_eval_agreement {
  double mean_error; /* over all sites that have both; NaN = none            */
  double max_error;  /* over those with a mean ball of at least 30 inputs    */
} isc_eval_agreement;

typedef struct isc_eval {
  int64_t n_sites, n_features, n_conditions, resamples;
  uint64_t seed;
  isc_eval_site *site;           /* [n_sites]    */
  isc_interval *chance;          /* [n_features] */
  isc_eval_agreement *agreement; /* [n_features] */
  isc_interval refusal,
      validity;  /* means over sites; the x̂ is the unit, as the same x̂ serve at every site */
  int64_t worst; /* the site of largest refusal, −1 = none */
} isc_eval;

/* What is known about a site. Arrays are the caller's and needed during the call only. */
typedef struct isc_eval_input {
  const char *name;
  const isc_kernel *kernel;
  isc_sample_set samples;
  const int32_t *const *label;     /* [n_features] → [samples.n_texts]               */
  const int32_t *const *label_hat; /* [n_features] → [n_conditions]                  */
  const double *exact;     /* [n_features, n_conditions] isc_exact.rate; NULL = not enumerated */
  const double *exact_ess; /* [n_conditions] or NULL                         */
  const int64_t *ball;     /* [n_conditions] or NULL                         */
} isc_eval_input;

/* resamples of the bootstrap; seed addresses its numbers, which do not depend on the order of the calls below. */
ISC_API isc_status isc_eval_open(int64_t n_sites, int64_t n_features, int64_t n_conditions,
                                 int64_t resamples, uint64_t seed, isc_eval **out);
ISC_API void isc_eval_close(isc_eval *e); /* NULL is fine */

/* Chance level of a feature, from isc_chance_by_condition. */
ISC_API isc_status isc_eval_set_chance(isc_eval *e, int64_t feature,
                                       const double *rate /* [n_conditions] */);
ISC_API isc_status isc_eval_set_site(isc_eval *e, int64_t site, const isc_eval_input *in);
/* After the last site: means over sites, agreement with exact, the worst site. */
ISC_API isc_status isc_eval_finish(isc_eval *e);

/* The `most` sites of highest FCR by an estimator, highest first (ties: lower index); returns how many there are. */
ISC_API int64_t isc_eval_top(const isc_eval *e, int64_t feature, isc_estimator by, int64_t most,
                             int64_t *site);

#endif
