/* SPDX-License-Identifier: Apache-2.0
 *
 * Every hypothesis at every site: its lift over chance from the accepted samples and from the enumerated prior, and the
 * false discoveries of all of them together.
 */
#include "run/insight.h"

#include "eval/exact.h"

#include <math.h>
#include <stdlib.h>

void isc_insight_close(isc_insight *in) {
  if (!in) return;
  for (int64_t k = 0; k < in->n; k++)
    isc_hypothesis_free(&in->hypothesis[k]);
  isc_labels_free(&in->values);
  isc_labels_free(&in->words);
  free(in->hypothesis);
  free(in->finding);
  free(in->ranked);
  free(in->site);
  free(in);
}

/* Everything one site needs; arrays of all hypotheses. */
typedef struct work {
  double *chance;       /* [n, n_conditions] */
  double *exact;        /* [n, n_conditions] */
  double *rate;         /* [n_conditions]    */
  int64_t *start;       /* [n_conditions + 1] */
  const int32_t **draw; /* [n]               */
  const int32_t **hat;  /* [n]               */
} work;

static void work_free(work *w) {
  free(w->chance);
  free(w->exact);
  free(w->rate);
  free(w->start);
  free(w->draw);
  free(w->hat);
}

static isc_status work_new(const isc_score *s, const isc_insight *in, work *w) {
  const size_t n = (size_t)in->n, n_cond = (size_t)s->study->n_conditions;
  ISC_TRY(isc_calloc(n_cond, (n + 1) * sizeof *w->chance, "chance", (void **)&w->chance));
  ISC_TRY(isc_calloc(n_cond, (n + 1) * sizeof *w->exact, "exact FCR", (void **)&w->exact));
  ISC_TRY(isc_calloc(n_cond, sizeof *w->rate, "rates", (void **)&w->rate));
  ISC_TRY(isc_calloc(n_cond + 1, sizeof *w->start, "samples", (void **)&w->start));
  ISC_TRY(isc_calloc(n, sizeof *w->draw, "labels", (void **)&w->draw));
  ISC_TRY(isc_calloc(n, sizeof *w->hat, "labels", (void **)&w->hat));
  for (size_t k = 0; k < n; k++) {
    w->draw[k] = in->hypothesis[k].draw;
    w->hat[k] = in->hypothesis[k].hat;
  }
  return ISC_OK;
}

static isc_status chances(const isc_score *s, isc_insight *in, work *w) {
  const int64_t n_cond = s->study->n_conditions;
  for (int64_t k = 0; k < in->n; k++) {
    double *rate = w->chance + k * n_cond, sum = 0, used = 0;
    ISC_TRY(isc_chance_by_condition(in->n_draws, w->draw[k], s->n_draws ? NULL : s->support.log_p,
                                    n_cond, w->hat[k], rate));
    for (int64_t c = 0; c < n_cond; c++) {
      if (isnan(rate[c])) continue;
      /* A label that none of the training inputs has is rare, not impossible. */
      if (s->n_draws) rate[c] = fmax(rate[c], 1 / (double)s->n_draws);
      sum += rate[c];
      used++;
    }
    in->hypothesis[k].chance = used > 0 ? sum / used : NAN;
  }
  return ISC_OK;
}

static isc_status exact_rates(const isc_score *s, const isc_insight *in, int64_t site, work *w) {
  const isc_exact e = {.kernel = s->study->site_kernel[site],
                       .device = s->study->device,
                       .width = s->judge.isometry[site].width,
                       .n_support = s->support.n,
                       .n_conditions = s->study->n_conditions,
                       .n_features = in->n,
                       .support = s->support.y[site],
                       .condition = s->condition.y[site],
                       .log_p = s->support.log_p,
                       .label = w->draw,
                       .label_hat = w->hat,
                       .rate = w->exact};
  return isc_exact_run(&e);
}

static isc_status site_findings(const isc_score *s, isc_insight *in, int64_t site, work *w) {
  const isc_sample_set set = isc_score_set(s, site, w->start);
  const int64_t n_cond = s->study->n_conditions;
  const isc_lift none = {.gain = {NAN, NAN, NAN, 0}, .p = NAN};
  if (s->support.n) ISC_TRY(exact_rates(s, in, site, w));
  for (int64_t k = 0; k < in->n; k++) {
    isc_finding *f = &in->finding[site * in->n + k];
    const double *chance = w->chance + k * n_cond;
    double sum = 0;
    isc_fcr_by_condition(ISC_FCR_REJECT, &set, s->study->site_kernel[site], in->hypothesis[k].text,
                         w->hat[k], w->rate, NULL);
    ISC_TRY(isc_lift_estimate(n_cond, w->rate, chance, &f->reject));
    for (int64_t c = 0; c < n_cond; c++)
      sum += isnan(w->rate[c]) ? 0 : w->rate[c];
    f->rate = (isc_interval){sum / (double)f->reject.gain.n, NAN, NAN, f->reject.gain.n};
    f->exact = none;
    if (s->support.n) ISC_TRY(isc_lift_estimate(n_cond, w->exact + k * n_cond, chance, &f->exact));
  }
  return ISC_OK;
}

static isc_status false_discoveries(const isc_score *s, isc_insight *in) {
  const int64_t n = s->study->sites.n * in->n;
  double *p = NULL, *q = NULL;
  isc_status st;
  ISC_GO(isc_calloc((size_t)n, sizeof *p, "p values", (void **)&p));
  ISC_GO(isc_calloc((size_t)n, sizeof *q, "p values", (void **)&q));
  for (int64_t i = 0; i < n; i++)
    p[i] = in->finding[i].reject.p;
  ISC_GO(isc_false_discovery(n, p, q));
  for (int64_t i = 0; i < n; i++)
    in->finding[i].q = q[i];
done:
  free(p);
  free(q);
  return st;
}

/* By insertion: there are few. Those of no condition come last. */
static void rank_site(const isc_insight *in, int64_t site) {
  int64_t *rank = in->ranked + site * in->n;
  const isc_finding *f = in->finding + site * in->n;
  for (int64_t k = 0; k < in->n; k++) {
    int64_t at = k;
    const double x = f[k].reject.gain.estimate;
    for (; at > 0 && !isnan(x); at--) {
      const double y = f[rank[at - 1]].reject.gain.estimate;
      if (y >= x) break;
      rank[at] = rank[at - 1];
    }
    rank[at] = k;
  }
}

static isc_status find(isc_score *s, isc_insight *in) {
  const size_t n_sites = (size_t)s->study->sites.n;
  work w = {0};
  isc_status st;
  ISC_GO(isc_insight_hypotheses(s, in));
  ISC_GO(
      isc_calloc(n_sites * (size_t)in->n, sizeof *in->finding, "findings", (void **)&in->finding));
  ISC_GO(isc_calloc(n_sites * (size_t)in->n, sizeof *in->ranked, "findings", (void **)&in->ranked));
  ISC_GO(isc_calloc(n_sites, sizeof *in->site, "findings", (void **)&in->site));
  ISC_GO(work_new(s, in, &w));
  ISC_GO(chances(s, in, &w));
  for (int64_t i = 0; i < s->study->sites.n; i++) {
    ISC_GO(site_findings(s, in, i, &w));
    rank_site(in, i);
    ISC_GO(isc_stage_check(s->run));
  }
  ISC_GO(false_discoveries(s, in));
  ISC_GO(isc_insight_words(s, in));
done:
  work_free(&w);
  return st;
}

isc_status isc_insight_find(isc_score *s, isc_insight **out) {
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof **out, "insight", (void **)out));
  const isc_status st = find(s, *out);
  if (st != ISC_OK) {
    isc_insight_close(*out);
    *out = NULL;
  }
  return st;
}
