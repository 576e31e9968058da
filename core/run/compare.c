/* SPDX-License-Identifier: Apache-2.0
 *
 * The comparison document: what the two are, where their settings differ, and every score of both with its paired difference.
 */
#include "run/compare.h"

#include "base/base.h"
#include "eval/paired.h"
#include "run/compare_sides.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What one column of the bootstrap is about: values of the common sites and conditions. */
typedef struct work {
  const isc_comparison *ask;
  isc_sides s;
  double *a, *b;           /* [n_sites, n]: a score by site and condition           */
  double *mean_a, *mean_b; /* [n]: its mean over sites                              */
  isc_pair *pair;          /* [n_sites]                                             */
  uint64_t index;          /* of the next bootstrap                                 */
} work;

static json_t *number(double x) {
  return isfinite(x) ? json_real(x) : json_null();
}

/* {"a", "b", "difference": {"value", "lo", "hi", "n"}}, or null. */
static json_t *pair_part(const isc_pair *p) {
  if (!p->difference.n) return json_null();
  json_t *j = json_object(), *d = json_object();
  json_object_set_new(d, "value", number(p->difference.estimate));
  json_object_set_new(d, "lo", number(p->difference.lo));
  json_object_set_new(d, "hi", number(p->difference.hi));
  json_object_set_new(d, "n", json_integer((json_int_t)p->difference.n));
  json_object_set_new(j, "a", number(p->a));
  json_object_set_new(j, "b", number(p->b));
  json_object_set_new(j, "difference", d);
  return j;
}

static isc_status pairs(work *w, int64_t columns, const double *a, const double *b, isc_pair *out) {
  const isc_paired p = {.n = w->s.n,
                        .columns = columns,
                        .resamples = w->ask->resamples,
                        .a = a,
                        .b = b,
                        .seed = w->ask->seed,
                        .index = w->index++};
  return isc_paired_run(&p, out);
}

/* The pair of means over sites of what lies in w->a and w->b, as a part of the document. */
static isc_status mean_part(work *w, json_t **out) {
  isc_pair p;
  isc_paired_means(w->s.n_sites, w->s.n, w->a, w->b, w->mean_a, w->mean_b);
  ISC_TRY(pairs(w, 1, w->mean_a, w->mean_b, &p));
  *out = pair_part(&p);
  return ISC_OK;
}

/* ---- refusal and validity */

static isc_status refusal_part(work *w, json_t *doc) {
  json_t *all = json_object();
  json_object_set_new(doc, "refusal", all);
  for (int v = 0; v < ISC_CONVENTIONS; v++) {
    const isc_convention c = (isc_convention)v;
    const char *position = isc_convention_position(c);
    json_t *part;
    isc_sides_take(&w->s, ISC_SIDE_REFUSAL, v, w->a, w->b);
    ISC_TRY(mean_part(w, &part));
    if (!json_object_get(all, position)) json_object_set_new(all, position, json_object());
    json_object_set_new(json_object_get(all, position), isc_convention_distance(c), part);
  }
  return ISC_OK;
}

static isc_status share_part(work *w, isc_side_score what, const char *key, json_t *doc) {
  json_t *part;
  isc_sides_take(&w->s, what, 0, w->a, w->b);
  ISC_TRY(mean_part(w, &part));
  json_object_set_new(doc, key, part);
  return ISC_OK;
}

/* Into every site's part: the pair of what lies in w->a and w->b. */
static isc_status into_sites(work *w, json_t *sites, const char *group, const char *key) {
  ISC_TRY(pairs(w, w->s.n_sites, w->a, w->b, w->pair));
  for (int64_t k = 0; k < w->s.n_sites; k++) {
    json_t *site = json_array_get(sites, (size_t)k);
    if (group && !json_object_get(site, group)) json_object_set_new(site, group, json_object());
    json_object_set_new(group ? json_object_get(site, group) : site, key, pair_part(&w->pair[k]));
  }
  return ISC_OK;
}

/* ---- features */

static void site_means(const work *w, const double *value, double *mean) {
  for (int64_t k = 0; k < w->s.n_sites; k++) {
    double sum = 0;
    int64_t n = 0;
    for (int64_t i = 0; i < w->s.n; i++)
      if (!isnan(value[k * w->s.n + i])) sum += value[k * w->s.n + i], n++;
    mean[k] = n ? sum / (double)n : NAN;
  }
}

/* Mean over sites of |x − y|; NaN when no site has both. */
static double mean_error(const double *x, const double *y, int64_t n) {
  double sum = 0;
  int64_t used = 0;
  for (int64_t k = 0; k < n; k++)
    if (!isnan(x[k]) && !isnan(y[k])) sum += fabs(x[k] - y[k]), used++;
  return used ? sum / (double)used : NAN;
}

/* How many sites there are whose mean is larger. */
static int64_t place(const double *mean, int64_t n, int64_t of) {
  int64_t before = 0;
  for (int64_t k = 0; k < n; k++)
    before += mean[k] > mean[of] || (k < of && mean[k] >= mean[of]);
  return before;
}

/* Of the five sites of highest mean in each, how many are the same. */
static int64_t shared_top(const double *x, const double *y, int64_t n) {
  int64_t shared = 0;
  for (int64_t k = 0; k < n; k++)
    shared += !isnan(x[k]) && !isnan(y[k]) && place(x, n, k) < 5 && place(y, n, k) < 5;
  return shared;
}

static isc_status errors(work *w, int64_t feature, const double *ma, const double *mb, json_t *j) {
  double *exact = NULL;
  const size_t n = (size_t)w->s.n_sites;
  isc_status st = ISC_OK;
  ISC_GO(isc_calloc(n, 2 * sizeof *exact, "comparison", (void **)&exact));
  isc_sides_take(&w->s, ISC_SIDE_EXACT, feature, w->a, w->b);
  site_means(w, w->a, exact);
  site_means(w, w->b, exact + n);
  json_object_set_new(j, "error_a", number(mean_error(ma, exact, w->s.n_sites)));
  json_object_set_new(j, "error_b", number(mean_error(mb, exact + n, w->s.n_sites)));
done:
  free(exact);
  return st;
}

static isc_status feature_part(work *w, int64_t feature, json_t *sites, json_t *list) {
  isc_status st = ISC_OK;
  double *mean = NULL, rho;
  const size_t n = (size_t)w->s.n_sites;
  json_t *j = json_object(), *part;
  json_array_append_new(list, j);
  json_object_set_new(j, "name", json_string(w->s.feature[feature].name));
  ISC_GO(isc_calloc(n, 2 * sizeof *mean, "comparison", (void **)&mean));
  isc_sides_take(&w->s, ISC_SIDE_REJECT, feature, w->a, w->b);
  ISC_GO(mean_part(w, &part));
  json_object_set_new(j, "reject", part);
  ISC_GO(into_sites(w, sites, "fcr", w->s.feature[feature].name));
  site_means(w, w->a, mean);
  site_means(w, w->b, mean + n);
  ISC_GO(isc_spearman(w->s.n_sites, mean, mean + n, &rho));
  json_object_set_new(j, "spearman", number(rho));
  json_object_set_new(j, "shared_top",
                      json_integer((json_int_t)shared_top(mean, mean + n, w->s.n_sites)));
  ISC_GO(errors(w, feature, mean, mean + n, j));
done:
  free(mean);
  return st;
}

/* ---- inputs of which no sample was accepted: FCR leaves them out, on either side its own */

/* An x̂ that no feature has a label for is without an answer everywhere, which tells of no method. */
static void drop_unlabelled(const work *w, double *a, double *b) {
  for (int64_t i = 0; i < w->s.n; i++) {
    bool any = false;
    for (int64_t k = 0; k < w->s.n_sites; k++)
      any |= a[k * w->s.n + i] < 1 || b[k * w->s.n + i] < 1;
    for (int64_t k = 0; !any && k < w->s.n_sites; k++)
      a[k * w->s.n + i] = b[k * w->s.n + i] = NAN;
  }
}

static isc_status unanswered_part(work *w, json_t *doc) {
  const int64_t n = w->s.n_sites * w->s.n;
  isc_status st = ISC_OK;
  double *none = NULL;
  json_t *part = NULL;
  ISC_GO(isc_calloc((size_t)n, 2 * sizeof *none, "comparison", (void **)&none));
  for (int64_t i = 0; i < 2 * n; i++)
    none[i] = 1;
  for (int64_t f = 0; f < w->s.n_features; f++) {
    isc_sides_take(&w->s, ISC_SIDE_REJECT, f, w->a, w->b);
    for (int64_t i = 0; i < n; i++) {
      if (!isnan(w->a[i])) none[i] = 0;
      if (!isnan(w->b[i])) none[n + i] = 0;
    }
  }
  drop_unlabelled(w, none, none + n);
  memcpy(w->a, none, (size_t)n * sizeof *none);
  memcpy(w->b, none + n, (size_t)n * sizeof *none);
  ISC_GO(mean_part(w, &part));
  json_object_set_new(doc, "unanswered", part);
done:
  free(none);
  return st;
}

/* ---- */

/* Its name may be its path, of any bytes. */
static isc_status side_part(json_t *doc, const char *key, const isc_side *side) {
  if (json_object_set_new(doc, key, isc_side_part(side)) == 0) return ISC_OK;
  return isc_fail(ISC_E_NOMEM, "%s: no memory to compare it", side->dir);
}

static isc_status fill(work *w, json_t *doc) {
  json_t *sites, *features, *differences;
  json_object_set_new(doc, "program", json_string("inversescope " PACKAGE_VERSION));
  ISC_TRY(side_part(doc, "a", &w->s.a));
  ISC_TRY(side_part(doc, "b", &w->s.b));
  json_object_set_new(doc, "budget", w->ask->budget ? json_string(w->ask->budget) : json_null());
  json_object_set_new(doc, "differences", differences = json_array());
  ISC_TRY(isc_sides_differences(&w->s, differences));
  json_object_set_new(doc, "conditions", json_integer((json_int_t)w->s.n));
  ISC_TRY(refusal_part(w, doc));
  ISC_TRY(share_part(w, ISC_SIDE_VALIDITY, "validity", doc));
  ISC_TRY(share_part(w, ISC_SIDE_COPIES, "copies", doc));
  json_object_set_new(doc, "features", features = json_array());
  json_object_set_new(doc, "sites", sites = json_array());
  for (int64_t k = 0; k < w->s.n_sites; k++)
    json_array_append_new(sites, json_pack("{sO}", "name", w->s.site[k].json_name));
  isc_sides_take(&w->s, ISC_SIDE_REFUSAL, ISC_FIXED_KERNEL, w->a, w->b);
  ISC_TRY(into_sites(w, sites, NULL, "refusal"));
  isc_sides_take(&w->s, ISC_SIDE_VALIDITY, 0, w->a, w->b);
  ISC_TRY(into_sites(w, sites, NULL, "validity"));
  for (int64_t f = 0; f < w->s.n_features; f++)
    ISC_TRY(feature_part(w, f, sites, features));
  return unanswered_part(w, doc);
}

static isc_status allocate(work *w) {
  const size_t n = (size_t)w->s.n, sites = (size_t)w->s.n_sites;
  ISC_TRY(isc_calloc(n * sites, sizeof *w->a, "comparison", (void **)&w->a));
  ISC_TRY(isc_calloc(n * sites, sizeof *w->b, "comparison", (void **)&w->b));
  ISC_TRY(isc_calloc(n, sizeof *w->mean_a, "comparison", (void **)&w->mean_a));
  ISC_TRY(isc_calloc(n, sizeof *w->mean_b, "comparison", (void **)&w->mean_b));
  return isc_calloc(sites, sizeof *w->pair, "comparison", (void **)&w->pair);
}

isc_status isc_compare_run(const isc_comparison *c, char **text) {
  isc_status st = ISC_OK;
  work w = {.ask = c};
  json_t *doc = json_object();
  *text = NULL;
  ISC_GO(isc_sides_open(c->a, c->b, c->name_a, c->name_b, &w.s));
  ISC_GO(allocate(&w));
  ISC_GO(fill(&w, doc));
  *text = json_dumps(doc, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
  if (!*text) st = isc_fail(ISC_E_NOMEM, "no memory for a comparison");
done:
  json_decref(doc);
  isc_sides_close(&w.s);
  free(w.a);
  free(w.b);
  free(w.mean_a);
  free(w.mean_b);
  free(w.pair);
  return st;
}
