/* SPDX-License-Identifier: Apache-2.0
 *
 * Arithmetic on values with their slack, for the files of the reference.
 */
#ifndef ISC_CORE_CONFORM_REFERENCE_MATH_H
#define ISC_CORE_CONFORM_REFERENCE_MATH_H

#include "conform/reference.h"

static inline isc_exact isc_exact_by_float(isc_exact a, float b) {
  return isc_exact_times(a, isc_exact_of((double)b));
}

static inline isc_exact isc_exact_scaled(isc_exact a, double by) {
  return (isc_exact){a.value * by, a.slack * fabs(by)};
}

static inline isc_exact isc_exact_minus(isc_exact a, isc_exact b) {
  isc_exact sum = {0, 0};
  isc_exact_add(&sum, a);
  isc_exact_add(&sum, isc_exact_scaled(b, -1));
  return sum;
}

static inline isc_exact isc_exact_dot(const float *x, const float *y, int64_t n) {
  isc_exact sum = {0, 0};
  for (int64_t i = 0; i < n; i++)
    isc_exact_add(&sum, isc_exact_of((double)x[i] * (double)y[i]));
  return sum;
}

/* e^x: what x is off by is a relative error of the result. */
static inline isc_exact isc_exact_exp(isc_exact x) {
  double e = exp(x.value);
  return (isc_exact){e, e * (1 + fabs(x.value) + x.slack)};
}

static inline isc_exact isc_exact_log(isc_exact x) {
  return (isc_exact){log(x.value), fabs(log(x.value)) + x.slack / x.value};
}

static inline isc_exact isc_exact_quotient(isc_exact a, isc_exact b) {
  double q = a.value / b.value;
  return (isc_exact){q, (a.slack + fabs(q) * b.slack) / fabs(b.value)};
}

static inline isc_exact isc_exact_tanh(isc_exact s) {
  double w = tanh(s.value);
  return (isc_exact){w, fabs(w) + (1 - w * w) * s.slack};
}

/* Both forms of GELU are sums of x/2 and a part of it, so |x| bounds their terms; no slope exceeds 1.13. */
static inline isc_exact isc_exact_act(isc_act act, isc_exact x) {
  double y = isc_reference_act(act, x.value);
  bool sum = act == ISC_ACT_GELU || act == ISC_ACT_GELU_TANH;
  return (isc_exact){y, 1.13 * x.slack + (sum ? fabs(x.value) : fabs(y))};
}

/* Sums that are added to what is there. */
static inline void isc_exact_begin(isc_exact *sum, const float *before, int64_t n) {
  for (int64_t i = 0; sum && i < n; i++)
    sum[i] = (isc_exact){(double)before[i], fabs((double)before[i])};
}

#endif
