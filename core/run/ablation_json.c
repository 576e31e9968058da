/* SPDX-License-Identifier: Apache-2.0
 *
 * The part "ablation" of the score document, with how alike each ε orders the sites as the study's own.
 */
#include "run/ablation.h"

#include "eval/paired.h"
#include "eval/rank.h"

#include <math.h>
#include <stdlib.h>

static const isc_estimator estimators[] = {ISC_FCR_REJECT, ISC_FCR_SNIS, ISC_FCR_EXACT};
enum { ESTIMATORS = 3 };

static json_t *site_part(const isc_score *s, const isc_ablation_at *at, int64_t site) {
  json_t *j = json_object(), *all = json_object();
  for (int64_t f = 0; f < s->study->n_features; f++) {
    json_t *of = json_object();
    for (int e = 0; e < ESTIMATORS; e++) {
      const isc_fcr *r =
          &at->fcr[(site * s->study->n_features + f) * ISC_ESTIMATORS + estimators[e]];
      json_t *value = isc_score_interval(&r->rate);
      if (json_is_object(value)) json_object_set_new(value, "ess", isc_score_number(r->ess));
      json_object_set_new(of, isc_estimator_name(estimators[e]), value);
    }
    json_object_set_new(all, s->study->feature[f].name, of);
  }
  json_object_set_new(j, "name", isc_score_string(s->study->sites.site[site].name));
  json_object_set_new(j, "refusal", isc_score_interval(&at->refusal[site]));
  json_object_set_new(j, "fcr", all);
  return j;
}

static double shown(const isc_fcr *r) {
  return r->rate.n ? r->rate.estimate : NAN;
}

/* Spearman's correlation and the common top of one feature's FCR, by one estimator. */
static isc_status agreement(const isc_score *s, const isc_ablation_at *at, int64_t f,
                            isc_estimator e, double *own, double *other, json_t **out) {
  const int64_t n = s->study->sites.n;
  double rho;
  for (int64_t i = 0; i < n; i++) {
    own[i] = shown(&s->eval->site[i].fcr[f * ISC_ESTIMATORS + e]);
    other[i] = shown(&at->fcr[(i * s->study->n_features + f) * ISC_ESTIMATORS + e]);
  }
  ISC_TRY(isc_spearman(n, own, other, &rho));
  *out = json_object();
  json_object_set_new(*out, "spearman", isc_score_number(rho));
  json_object_set_new(*out, "overlap",
                      isc_score_integer(isc_rank_overlap(n, own, other, ISC_ABLATION_TOP)));
  return ISC_OK;
}

static isc_status agreements(const isc_score *s, const isc_ablation_at *at, json_t *out) {
  const size_t n = (size_t)s->study->sites.n;
  double *own = NULL, *other = NULL;
  isc_status st;
  ISC_GO(isc_calloc(n, sizeof *own, "ranks of sites", (void **)&own));
  ISC_GO(isc_calloc(n, sizeof *other, "ranks of sites", (void **)&other));
  for (int64_t f = 0; f < s->study->n_features; f++) {
    json_t *of = json_object(), *value;
    json_object_set_new(out, s->study->feature[f].name, of);
    for (int e = 0; e < ESTIMATORS; e++) {
      ISC_GO(agreement(s, at, f, estimators[e], own, other, &value));
      json_object_set_new(of, isc_estimator_name(estimators[e]), value);
    }
  }
done:
  free(own);
  free(other);
  return st;
}

isc_status isc_ablation_part(const isc_score *s, const isc_ablation *a, json_t **out) {
  *out = a ? json_array() : json_null();
  for (int64_t e = 0; a && e < a->n; e++) {
    json_t *j = json_object(), *sites = json_array(), *alike = json_object();
    json_array_append_new(*out, j);
    json_object_set_new(j, "epsilon", isc_score_number(a->at[e].epsilon));
    json_object_set_new(j, "agreement", alike);
    json_object_set_new(j, "sites", sites);
    ISC_TRY(agreements(s, &a->at[e], alike));
    for (int64_t i = 0; i < s->study->sites.n; i++)
      json_array_append_new(sites, site_part(s, &a->at[e], i));
  }
  return ISC_OK;
}
