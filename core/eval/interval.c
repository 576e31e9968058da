/* SPDX-License-Identifier: Apache-2.0
 *
 * Intervals over conditions: Student's t, and the bootstrap that the report uses.
 */
#include "eval/interval.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

static double mean_of(int64_t n, const double *value, int64_t *used) {
  double sum = 0;
  *used = 0;
  for (int64_t i = 0; i < n; i++)
    if (!isnan(value[i])) {
      sum += value[i];
      ++*used;
    }
  return *used ? sum / (double)*used : NAN;
}

/* P(T ≤ t) for small integer freedom (Abramowitz and Stegun 26.7.3 and 26.7.4). */
static double student_cdf(int64_t freedom, double t) {
  double angle = atan(t / sqrt((double)freedom)), c = cos(angle), sum = 0,
         term = freedom % 2 ? c : 1;
  for (int64_t k = freedom % 2 ? 1 : 0; k < freedom - 1; k += 2) {
    sum += term;
    term *= c * c * (double)(k + 1) / (double)(k + 2);
  }
  double both = freedom % 2 ? 2 / M_PI * (angle + sin(angle) * sum) : sin(angle) * sum;
  return 0.5 + both / 2;
}

double isc_student_975(int64_t freedom) {
  double z = 1.959963984540054, v = (double)freedom;
  if (freedom >= 100) /* Cornish–Fisher; the next term is below 1e-8 */
    return z + (pow(z, 3) + z) / (4 * v) + (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * v * v) +
           (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / (384 * v * v * v);
  double lo = z, hi = 13; /* 12.7 at one degree of freedom */
  for (int i = 0; i < 60; i++) {
    double mid = (lo + hi) / 2;
    if (student_cdf(freedom, mid) < 0.975)
      lo = mid;
    else
      hi = mid;
  }
  return (lo + hi) / 2;
}

isc_interval isc_interval_t(int64_t n, const double *value /* [n] */) {
  isc_interval out = {.lo = NAN, .hi = NAN};
  out.estimate = mean_of(n, value, &out.n);
  if (out.n < 2) return out;
  double square = 0;
  for (int64_t i = 0; i < n; i++)
    if (!isnan(value[i])) square += (value[i] - out.estimate) * (value[i] - out.estimate);
  double error = sqrt(square / (double)(out.n - 1) / (double)out.n) * isc_student_975(out.n - 1);
  out.lo = out.estimate - error;
  out.hi = out.estimate + error;
  return out;
}

static isc_status check_shares(const isc_bootstrap *b) {
  for (int64_t i = 0; i < b->columns * b->n; i++)
    if (b->value[i] < -1e-9 || b->value[i] > 1 + 1e-9)
      return isc_fail(ISC_E_INTERNAL, "bootstrap: value %g of condition %lld is no share",
                      b->value[i], (long long)(i % b->n));
  return ISC_OK;
}

/* One resample: the two means of each column under the weights e [n] and the pseudo-condition's weight e0. */
static void resample(const isc_bootstrap *b, const double *e, double e0, double *low,
                     double *high) {
  for (int64_t c = 0; c < b->columns; c++) {
    const double *value = b->value + c * b->n;
    double sum = 0, total = e0;
    for (int64_t i = 0; i < b->n; i++)
      if (!isnan(value[i])) {
        sum += e[i] * value[i];
        total += e[i];
      }
    low[c * b->resamples] = sum / total;
    high[c * b->resamples] = (sum + e0) / total;
  }
}

static isc_status summarise(const isc_bootstrap *b, const double *low, const double *high,
                            isc_interval *out) {
  for (int64_t c = 0; c < b->columns; c++) {
    isc_interval *o = &out[c];
    *o = (isc_interval){.lo = NAN, .hi = NAN};
    o->estimate = mean_of(b->n, b->value + c * b->n, &o->n);
    if (o->n == 0) continue;
    ISC_TRY(isc_quantiles(b->resamples, low + c * b->resamples, 1, &(double){0.025}, &o->lo));
    ISC_TRY(isc_quantiles(b->resamples, high + c * b->resamples, 1, &(double){0.975}, &o->hi));
    o->lo = fmin(o->lo, o->estimate);
    o->hi = fmin(fmax(o->hi, o->estimate), 1); /* a rounding above 1 */
  }
  return ISC_OK;
}

isc_status isc_interval_bootstrap(const isc_bootstrap *b, isc_interval *out /* [columns] */) {
  if (b->columns < 1) return ISC_OK;
  if (b->resamples < 10)
    return isc_fail(ISC_E_USAGE, "bootstrap: %lld resamples; at least 10", (long long)b->resamples);
  ISC_TRY(check_shares(b));
  double *e = NULL, *low = NULL, *high = NULL;
  size_t means;
  isc_status st;
  ISC_GO(isc_mul_size((size_t)b->columns, (size_t)b->resamples, "the bootstrap's means", &means));
  ISC_GO(isc_calloc((size_t)b->n + 1, sizeof *e, "the bootstrap's weights", (void **)&e));
  ISC_GO(isc_calloc(means, sizeof *low, "the bootstrap's means", (void **)&low));
  ISC_GO(isc_calloc(means, sizeof *high, "the bootstrap's means", (void **)&high));
  isc_rng rng = isc_rng_at(b->seed, ISC_RNG_BOOTSTRAP, b->index);
  for (int64_t r = 0; r < b->resamples; r++) {
    for (int64_t i = 0; i <= b->n; i++)
      e[i] = -log(isc_rng_uniform(&rng)); /* normalised, exponentials are Dirichlet weights */
    resample(b, e, e[b->n], low + r, high + r);
  }
  ISC_GO(summarise(b, low, high, out));
done:
  free(e);
  free(low);
  free(high);
  return st;
}
