/* SPDX-License-Identifier: Apache-2.0
 *
 * From samples of a site to its row of the report, and from the rows to the summary.
 *
 * All shares of a site are columns of one bootstrap, so that its weights are drawn once.
 */
#include "eval/eval.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const double isc_eval_quantile[ISC_EVAL_QUANTILES] = {0.05, 0.25, 0.5, 0.75, 0.95};
enum { CLEAR_BALL = 30 }; /* inputs a ball should hold before its exact FCR is a fair yardstick */

/* Bootstrap streams: sites take 0 … n_sites − 1. */
static uint64_t chance_stream(const isc_eval *e, int64_t feature) {
  return (uint64_t)(e->n_sites + 1 + feature);
}

static uint64_t summary_stream(const isc_eval *e) {
  return (uint64_t)e->n_sites;
}

static isc_status alloc_site(const isc_eval *e, isc_eval_site *s) {
  size_t n = (size_t)e->n_conditions;
  ISC_TRY(isc_calloc((size_t)e->n_features * ISC_ESTIMATORS, sizeof *s->fcr, "FCR of a site",
                     (void **)&s->fcr));
  ISC_TRY(isc_calloc(n, sizeof *s->refused, "refusal by condition", (void **)&s->refused));
  return isc_calloc(n, sizeof *s->valid, "validity by condition", (void **)&s->valid);
}

isc_status isc_eval_open(int64_t n_sites, int64_t n_features, int64_t n_conditions,
                         int64_t resamples, uint64_t seed, isc_eval **out) {
  if (n_sites < 0 || n_features < 0 || n_conditions < 0)
    return isc_fail(ISC_E_USAGE, "evaluation: negative sizes");
  isc_eval *e;
  ISC_TRY(isc_calloc(1, sizeof *e, "the evaluation", (void **)&e));
  *e = (isc_eval){.n_sites = n_sites,
                  .n_features = n_features,
                  .n_conditions = n_conditions,
                  .resamples = resamples,
                  .seed = seed,
                  .worst = -1};
  isc_status st;
  ISC_GO(isc_calloc((size_t)n_sites, sizeof *e->site, "the evaluation's sites", (void **)&e->site));
  ISC_GO(isc_calloc((size_t)n_features, sizeof *e->chance, "chance levels", (void **)&e->chance));
  ISC_GO(
      isc_calloc((size_t)n_features, sizeof *e->agreement, "agreements", (void **)&e->agreement));
  for (int64_t f = 0; f < n_features; f++) {
    e->chance[f] = (isc_interval){.estimate = NAN, .lo = NAN, .hi = NAN};
    e->agreement[f] = (isc_eval_agreement){NAN, NAN};
  }
  for (int64_t i = 0; i < n_sites; i++)
    ISC_GO(alloc_site(e, &e->site[i]));
  *out = e;
done:
  if (st != ISC_OK) isc_eval_close(e);
  return st;
}

void isc_eval_close(isc_eval *e) {
  if (!e) return;
  for (int64_t i = 0; e->site && i < e->n_sites; i++) {
    free(e->site[i].name);
    free(e->site[i].fcr);
    free(e->site[i].refused);
    free(e->site[i].valid);
  }
  free(e->site);
  free(e->chance);
  free(e->agreement);
  free(e);
}

isc_status isc_eval_set_chance(isc_eval *e, int64_t feature,
                               const double *rate /* [n_conditions] */) {
  const isc_bootstrap b = {.n = e->n_conditions,
                           .columns = 1,
                           .resamples = e->resamples,
                           .value = rate,
                           .seed = e->seed,
                           .index = chance_stream(e, feature)};
  return isc_interval_bootstrap(&b, &e->chance[feature]);
}

/* Columns of the bootstrap: features × estimators, then refusal, then validity. Returns their number. */
static int64_t fill_columns(const isc_eval *e, const isc_eval_input *in, isc_eval_site *s,
                            double *value, double *ess) {
  int64_t n = e->n_conditions, column = 0;
  for (int64_t f = 0; f < e->n_features; f++)
    for (int k = 0; k < ISC_ESTIMATORS; k++, column++) {
      double *rate = value + column * n;
      isc_fcr_by_condition((isc_estimator)k, &in->samples, in->kernel, in->label[f],
                           in->label_hat[f], rate, ess);
      if (k == ISC_FCR_EXACT && in->exact)
        memcpy(rate, in->exact + f * n, (size_t)n * sizeof *rate);
      if (k == ISC_FCR_EXACT && in->exact && in->exact_ess)
        memcpy(ess, in->exact_ess, (size_t)n * sizeof *ess);
      double sum = 0, used = 0;
      for (int64_t c = 0; c < n; c++)
        if (!isnan(rate[c]) && !isnan(ess[c])) {
          sum += ess[c];
          used++;
        }
      s->fcr[f * ISC_ESTIMATORS + k].ess = used > 0 ? sum / used : NAN;
    }
  memcpy(value + column++ * n, s->refused, (size_t)n * sizeof *value);
  memcpy(value + column++ * n, s->valid, (size_t)n * sizeof *value);
  return column;
}

static isc_status shares(const isc_eval *e, const isc_eval_input *in, int64_t site) {
  isc_eval_site *s = &e->site[site];
  int64_t fcrs = e->n_features * ISC_ESTIMATORS;
  double *value = NULL, *ess = NULL;
  isc_interval *got = NULL;
  size_t size;
  isc_status st;
  ISC_GO(isc_mul_size((size_t)fcrs + 2, (size_t)e->n_conditions, "shares of a site", &size));
  ISC_GO(isc_calloc(size, sizeof *value, "shares of a site", (void **)&value));
  ISC_GO(isc_calloc((size_t)e->n_conditions, sizeof *ess, "sample sizes of a site", (void **)&ess));
  ISC_GO(isc_calloc((size_t)fcrs + 2, sizeof *got, "intervals of a site", (void **)&got));
  const isc_bootstrap b = {.n = e->n_conditions,
                           .columns = fill_columns(e, in, s, value, ess),
                           .resamples = e->resamples,
                           .value = value,
                           .seed = e->seed,
                           .index = (uint64_t)site};
  ISC_GO(isc_interval_bootstrap(&b, got));
  for (int64_t i = 0; i < fcrs; i++)
    s->fcr[i].rate = got[i];
  s->refusal = got[fcrs];
  s->validity = got[fcrs + 1];
done:
  free(value);
  free(ess);
  free(got);
  return st;
}

/* A sample drawn `count` times is that many distances. */
static isc_status distances(const isc_sample_set *set, isc_eval_site *s) {
  int64_t n = set->start[set->n_conditions];
  double *d;
  s->samples = 0;
  for (int64_t i = 0; i < n; i++)
    s->samples += set->count ? set->count[i] : 1;
  ISC_TRY(isc_calloc((size_t)s->samples, sizeof *d, "distances of a site", (void **)&d));
  int64_t at = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = set->count ? set->count[i] : 1; k > 0; k--)
      d[at++] = isnan(set->d[i]) ? INFINITY : set->d[i];
  isc_status st = isc_quantiles(at, d, ISC_EVAL_QUANTILES, isc_eval_quantile, s->distance);
  free(d);
  return st;
}

static isc_status ball_size(int64_t n, const int64_t *ball, isc_interval *out) {
  *out = (isc_interval){.estimate = NAN, .lo = NAN, .hi = NAN};
  if (!ball) return ISC_OK;
  double *size;
  ISC_TRY(isc_calloc((size_t)n, sizeof *size, "ball sizes", (void **)&size));
  for (int64_t c = 0; c < n; c++)
    size[c] = (double)ball[c];
  *out = isc_interval_t(n, size);
  free(size);
  return ISC_OK;
}

isc_status isc_eval_set_site(isc_eval *e, int64_t site, const isc_eval_input *in) {
  isc_eval_site *s = &e->site[site];
  if (in->samples.n_conditions != e->n_conditions)
    return isc_fail(ISC_E_SHAPE,
                    "evaluation: site %s has samples of %lld conditions, the study %lld", in->name,
                    (long long)in->samples.n_conditions, (long long)e->n_conditions);
  if (isc_sample_set_check(&in->samples) != ISC_OK) return isc_fail_in("site %s", in->name);
  free(s->name);
  s->name = NULL;
  ISC_TRY(isc_strdup(in->name, &s->name));
  isc_refusal_by_condition(&in->samples, in->kernel->ops->epsilon(in->kernel->self), s->refused);
  isc_validity_by_condition(&in->samples, s->valid);
  ISC_TRY(shares(e, in, site));
  ISC_TRY(distances(&in->samples, s));
  ISC_TRY(ball_size(e->n_conditions, in->ball, &s->ball));
  s->done = true;
  return ISC_OK;
}

/* The mean over sites for each x̂; NaN where no site says anything. */
static void over_sites(const isc_eval *e, bool validity, double *mean) {
  for (int64_t c = 0; c < e->n_conditions; c++) {
    double sum = 0, used = 0;
    for (int64_t i = 0; i < e->n_sites; i++) {
      double v = !e->site[i].done ? NAN : validity ? e->site[i].valid[c] : e->site[i].refused[c];
      if (isnan(v)) continue;
      sum += v;
      used++;
    }
    mean[c] = used > 0 ? sum / used : NAN;
  }
}

static isc_eval_agreement agreement(const isc_eval *e, int64_t feature) {
  isc_eval_agreement a = {NAN, NAN};
  double sum = 0, used = 0;
  for (int64_t i = 0; i < e->n_sites; i++) {
    const isc_eval_site *s = &e->site[i];
    const isc_fcr *f = s->fcr + feature * ISC_ESTIMATORS;
    if (!s->done || f[ISC_FCR_REJECT].rate.n == 0 || f[ISC_FCR_EXACT].rate.n == 0) continue;
    double error = fabs(f[ISC_FCR_REJECT].rate.estimate - f[ISC_FCR_EXACT].rate.estimate);
    sum += error;
    used++;
    if (s->ball.estimate >= CLEAR_BALL)
      a.max_error = fmax(a.max_error, error); /* fmax ignores the NaN */
  }
  if (used > 0) a.mean_error = sum / used;
  return a;
}

isc_status isc_eval_finish(isc_eval *e) {
  double *mean;
  isc_interval both[2];
  ISC_TRY(
      isc_calloc(2 * (size_t)e->n_conditions, sizeof *mean, "means over sites", (void **)&mean));
  over_sites(e, false, mean);
  over_sites(e, true, mean + e->n_conditions);
  const isc_bootstrap b = {.n = e->n_conditions,
                           .columns = 2,
                           .resamples = e->resamples,
                           .value = mean,
                           .seed = e->seed,
                           .index = summary_stream(e)};
  isc_status st = isc_interval_bootstrap(&b, both);
  free(mean);
  if (st != ISC_OK) return st;
  e->refusal = both[0];
  e->validity = both[1];
  e->worst = -1;
  for (int64_t i = 0; i < e->n_sites; i++)
    if (e->site[i].done && e->site[i].refusal.n > 0 &&
        (e->worst < 0 || e->site[i].refusal.estimate > e->site[e->worst].refusal.estimate))
      e->worst = i;
  for (int64_t f = 0; f < e->n_features; f++)
    e->agreement[f] = agreement(e, f);
  return ISC_OK;
}

int64_t isc_eval_top(const isc_eval *e, int64_t feature, isc_estimator by, int64_t most,
                     int64_t *site) {
  int64_t n = 0;
  for (int64_t i = 0; i < e->n_sites; i++) {
    const isc_interval *r = &e->site[i].fcr[feature * ISC_ESTIMATORS + by].rate;
    if (!e->site[i].done || r->n == 0) continue;
    int64_t at = n;
    while (at > 0 &&
           e->site[site[at - 1]].fcr[feature * ISC_ESTIMATORS + by].rate.estimate < r->estimate)
      at--;
    if (at >= most) continue;
    if (n < most) n++;
    memmove(site + at + 1, site + at, (size_t)(n - at - 1) * sizeof *site);
    site[at] = i;
  }
  return n;
}
