/* SPDX-License-Identifier: Apache-2.0
 *
 * Estimators over samples: one weight per sample, one weighted mean per condition.
 */
#include "eval/fcr.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

const char *isc_estimator_name(isc_estimator e) {
  static const char *const name[] = {"plain", "reject", "snis", "exact"};
  return (size_t)e < ISC_ESTIMATORS ? name[e] : NULL;
}

static int64_t text_of(const isc_sample_set *s, int64_t i) {
  return s->text ? s->text[i] : i;
}

static double count_of(const isc_sample_set *s, int64_t i) {
  return s->count ? (double)s->count[i] : 1;
}

static bool in_prior(const isc_sample_set *s, int64_t i) {
  return !s->log_p || s->log_p[text_of(s, i)] > -INFINITY;
}

static isc_status check_sample(const isc_sample_set *s, int64_t i) {
  int64_t text = text_of(s, i);
  if (text < 0 || text >= s->n_texts)
    return isc_fail(ISC_E_FORMAT, "samples: sample %lld refers to text %lld of %lld", (long long)i,
                    (long long)text, (long long)s->n_texts);
  if (s->count && s->count[i] < 0)
    return isc_fail(ISC_E_FORMAT, "samples: sample %lld was drawn %lld times", (long long)i,
                    (long long)s->count[i]);
  if (s->log_q && !isfinite(s->log_q[i]))
    return isc_fail(ISC_E_NUMERIC, "samples: log q of sample %lld is %g", (long long)i,
                    s->log_q[i]);
  return ISC_OK;
}

isc_status isc_sample_set_check(const isc_sample_set *s) {
  if (s->n_conditions < 0 || s->n_texts < 0 || s->start[0] != 0)
    return isc_fail(ISC_E_FORMAT,
                    "samples: negative sizes, or a first condition that does not start at 0");
  for (int64_t c = 0; c < s->n_conditions; c++)
    if (s->start[c + 1] < s->start[c])
      return isc_fail(ISC_E_FORMAT, "samples: condition %lld ends before it starts", (long long)c);
  for (int64_t i = 0; i < s->start[s->n_conditions]; i++)
    ISC_TRY(check_sample(s, i));
  for (int64_t t = 0; s->log_p && t < s->n_texts; t++)
    if (isnan(s->log_p[t]) || s->log_p[t] == INFINITY)
      return isc_fail(ISC_E_NUMERIC, "samples: log P of text %lld is %g", (long long)t,
                      s->log_p[t]);
  return ISC_OK;
}

/* log of the weight of one draw of sample i; −INFINITY = it does not count. */
static double log_weight(isc_estimator e, const isc_sample_set *s, const isc_kernel *kernel,
                         int64_t i) {
  if (e == ISC_FCR_PLAIN) return 0;
  double epsilon = kernel->ops->epsilon(kernel->self);
  if (e == ISC_FCR_REJECT) return s->d[i] < epsilon && in_prior(s, i) ? 0 : -INFINITY;
  if (!in_prior(s, i) || !(s->d[i] < INFINITY)) return -INFINITY;
  double k = kernel->ops->profile(kernel->self, s->d[i] / epsilon);
  return k > 0 ? log(k) + s->log_p[text_of(s, i)] - s->log_q[i] : -INFINITY;
}

/* Shifting log weights by their largest makes the sums safe and cancels in the ratio. */
static double weighted_share(isc_estimator e, const isc_sample_set *s, const isc_kernel *kernel,
                             int64_t c, const int32_t *label, int32_t want, double *ess) {
  double largest = -INFINITY, match = 0, sum = 0, squares = 0;
  for (int64_t i = s->start[c]; i < s->start[c + 1]; i++)
    if (count_of(s, i) > 0) largest = fmax(largest, log_weight(e, s, kernel, i));
  if (largest == -INFINITY) return NAN;
  for (int64_t i = s->start[c]; i < s->start[c + 1]; i++) {
    double one = exp(log_weight(e, s, kernel, i) - largest), w = one * count_of(s, i);
    sum += w;
    squares += one * w;
    if (label[text_of(s, i)] == want) match += w;
  }
  *ess = sum * sum / squares;
  return match / sum;
}

void isc_fcr_by_condition(isc_estimator e, const isc_sample_set *s, const isc_kernel *kernel,
                          const int32_t *label /* [n_texts] */,
                          const int32_t *label_hat /* [n_conditions] */,
                          double *rate /* [n_conditions] */, double *ess /* [n_conditions] */) {
  bool possible =
      e == ISC_FCR_PLAIN || e == ISC_FCR_REJECT || (e == ISC_FCR_SNIS && s->log_q && s->log_p);
  for (int64_t c = 0; c < s->n_conditions; c++) {
    double effective = NAN;
    rate[c] = NAN;
    if (possible && label_hat[c] != ISC_LABEL_NULL)
      rate[c] = weighted_share(e, s, kernel, c, label, label_hat[c], &effective);
    if (ess) ess[c] = effective;
  }
}

typedef bool (*sample_test)(const isc_sample_set *s, int64_t i, double epsilon);

static bool refused(const isc_sample_set *s, int64_t i, double epsilon) {
  return !(s->d[i] < epsilon);
}

static bool valid(const isc_sample_set *s, int64_t i, double epsilon) {
  (void)epsilon;
  return in_prior(s, i);
}

static void share(const isc_sample_set *s, sample_test test, double epsilon, double *rate) {
  for (int64_t c = 0; c < s->n_conditions; c++) {
    double hits = 0, all = 0;
    for (int64_t i = s->start[c]; i < s->start[c + 1]; i++) {
      all += count_of(s, i);
      if (test(s, i, epsilon)) hits += count_of(s, i);
    }
    rate[c] = all > 0 ? hits / all : NAN;
  }
}

void isc_refusal_by_condition(const isc_sample_set *s, double epsilon,
                              double *rate /* [n_conditions] */) {
  share(s, refused, epsilon, rate);
}

void isc_validity_by_condition(const isc_sample_set *s, double *rate /* [n_conditions] */) {
  share(s, valid, 0, rate);
  for (int64_t c = 0; !s->log_p && c < s->n_conditions; c++)
    rate[c] = NAN;
}

isc_status isc_chance_by_condition(int64_t n, const int32_t *label /* [n] */, const double *log_p,
                                   int64_t n_conditions,
                                   const int32_t *label_hat /* [n_conditions] */,
                                   double *rate /* [n_conditions] */) {
  int32_t most = 0;
  double largest = -INFINITY, total = 0, *mass;
  for (int64_t i = 0; i < n; i++) {
    most = label[i] > most ? label[i] : most;
    largest = fmax(largest, log_p ? log_p[i] : 0);
  }
  ISC_TRY(isc_calloc((size_t)most + 1, sizeof *mass, "label frequencies", (void **)&mass));
  for (int64_t i = 0; i < n && largest > -INFINITY; i++) {
    double w = exp((log_p ? log_p[i] : 0) - largest);
    total += w;
    if (label[i] != ISC_LABEL_NULL) mass[label[i]] += w;
  }
  for (int64_t c = 0; c < n_conditions; c++) {
    int32_t want = label_hat[c];
    rate[c] = want == ISC_LABEL_NULL || total == 0 ? NAN : want > most ? 0 : mass[want] / total;
  }
  free(mass);
  return ISC_OK;
}
