/* SPDX-License-Identifier: Apache-2.0
 *
 * The part "insight" of the score document.
 */
#include "run/insight.h"

#include <math.h>

static const double ALPHA = 0.05;

static json_t *hypotheses(const isc_insight *in) {
  json_t *list = json_array();
  for (int64_t k = 0; k < in->n; k++) {
    const isc_hypothesis *h = &in->hypothesis[k];
    json_t *j = json_object();
    json_object_set_new(j, "name", isc_score_string(h->name));
    json_object_set_new(j, "kind", isc_score_string(h->kind));
    json_object_set_new(j, "values", isc_score_integer(h->values));
    json_object_set_new(j, "chance", isc_score_number(h->chance));
    json_object_set_new(j, "alike", isc_score_string(h->alike));
    json_array_append_new(list, j);
  }
  return list;
}

static json_t *findings(const isc_insight *in, int64_t site) {
  json_t *list = json_array();
  for (int64_t r = 0; r < in->n; r++) {
    const int64_t k = in->ranked[site * in->n + r];
    const isc_finding *f = &in->finding[site * in->n + k];
    json_t *j = json_object();
    json_object_set_new(j, "hypothesis", isc_score_string(in->hypothesis[k].name));
    json_object_set_new(j, "fcr", f->rate.n ? isc_score_number(f->rate.estimate) : json_null());
    json_object_set_new(j, "lift", isc_score_interval(&f->reject.gain));
    json_object_set_new(j, "p", isc_score_number(f->reject.p));
    json_object_set_new(j, "q", isc_score_number(f->q));
    json_object_set_new(j, "exact", isc_score_interval(&f->exact.gain));
    json_array_append_new(list, j);
  }
  return list;
}

static json_t *words(const isc_insight *in, int64_t site) {
  json_t *list = json_array();
  for (int64_t k = 0; k < in->site[site].n; k++) {
    const isc_enriched *w = &in->site[site].word[k];
    json_t *j = json_object();
    json_object_set_new(j, "word", isc_score_string(isc_labels_text(&in->words, w->word)));
    json_object_set_new(j, "share", isc_score_number(w->share));
    json_object_set_new(j, "base", isc_score_number(w->base));
    json_object_set_new(j, "z", isc_score_number(w->z));
    json_object_set_new(j, "conditions", isc_score_integer(w->conditions));
    json_array_append_new(list, j);
  }
  return list;
}

json_t *isc_insight_part(const isc_score *s, const isc_insight *in) {
  if (!in) return json_null();
  json_t *j = json_object(), *sites = json_array();
  int64_t tests = 0, discoveries = 0;
  for (int64_t i = 0; i < s->study->sites.n * in->n; i++) {
    tests += !isnan(in->finding[i].q);
    discoveries += in->finding[i].q <= ALPHA;
  }
  for (int64_t i = 0; i < s->study->sites.n; i++) {
    json_t *site = json_object();
    json_object_set_new(site, "name", isc_score_string(s->study->sites.site[i].name));
    json_object_set_new(site, "ranked", findings(in, i));
    json_object_set_new(site, "words", words(in, i));
    json_array_append_new(sites, site);
  }
  json_object_set_new(j, "alpha", isc_score_number(ALPHA));
  json_object_set_new(j, "draws", isc_score_integer(in->n_draws));
  json_object_set_new(j, "tests", isc_score_integer(tests));
  json_object_set_new(j, "discoveries", isc_score_integer(discoveries));
  json_object_set_new(j, "hypotheses", hypotheses(in));
  json_object_set_new(j, "sites", sites);
  return j;
}
