/* SPDX-License-Identifier: Apache-2.0
 *
 * P(x; ẑ) ∝ P(x)·k(d(z(x), ẑ)/ε) itself, when the prior's support can be enumerated (paper 2).
 *
 * The yardstick of every sampled estimate.
 */
#ifndef ISC_CORE_EXACT_H
#define ISC_CORE_EXACT_H

#include "eval/ball.h"
#include "eval/labels.h"

/* One site. Arrays are the caller's; one thread (the device's). */
typedef struct isc_exact {
  const isc_kernel *kernel;
  isc_device *device; /* or NULL */
  int64_t width, n_support, n_conditions, n_features;
  const float *
      support; /* host [n_support, width] coordinates (isc_isometry_apply) of z(x) for every x of the prior */
  const float *
      condition; /* host [n_conditions, width] of ẑ                                                          */
  const double *
      log_p; /* [n_support] log P(x) up to a constant; NULL = uniform                                    */
  const int32_t *const *label;     /* [n_features] → [n_support]    */
  const int32_t *const *label_hat; /* [n_features] → [n_conditions] */
  /* Results, any may be NULL. NaN: the x̂ has the null label, or no x of the prior has weight. */
  double *rate;  /* [n_features, n_conditions]: P(f(x) = f(x̂)) under P(x; ẑ)        */
  double *ess;   /* [n_conditions]: (Σw)²/Σw², the effective number of inputs      */
  double *mass;  /* [n_conditions]: Σ P(x)·k, what a prior draw is accepted with   */
  int64_t *ball; /* [n_conditions]: inputs with d < ε                              */
} isc_exact;

ISC_API isc_status isc_exact_run(const isc_exact *e);

#endif
