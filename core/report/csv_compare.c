/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparisons and bandwidths as CSV: one line a score, overall and by site, what each side took, and how alike sites are ordered.
 */
#include "report/document.h"

#include <math.h>
#include <stdlib.h>

static const char *const COSTS[] = {"steps", "examples", "tokens", "flops", "seconds"};

/* The score is `what` followed by `name`; numbers that are not there are left empty. */
static void line(isc_sb *b, const json_t *doc, const char *site, const char *what, const char *name,
                 const double v[5]) {
  isc_sb score = {0};
  isc_sb_addf(&score, "%s%s", what, name);
  if (score.failed) b->failed = true;
  isc_csv_text(b, isc_doc_str(isc_doc_get(doc, "b"), "name"));
  isc_sb_add(b, ",");
  isc_csv_text(b, site);
  isc_sb_add(b, ",");
  isc_csv_text(b, score.failed ? "" : score.s);
  for (int k = 0; k < 5; k++) {
    isc_sb_add(b, ",");
    isc_csv_number(b, v[k]);
  }
  isc_sb_add(b, "\n");
  isc_sb_free(&score);
}

static void pair_line(isc_sb *b, const json_t *doc, const char *site, const char *what,
                      const char *name, const json_t *j) {
  const isc_shown d = isc_doc_interval(j, "difference");
  const double v[] = {isc_doc_num(j, "a"), isc_doc_num(j, "b"), d.value, d.lo, d.hi};
  if (!isnan(d.value)) line(b, doc, site, what, name, v);
}

static void cost_line(isc_sb *b, const json_t *doc, const char *what, const char *key) {
  const json_t *x = isc_doc_get(doc, "a"), *y = isc_doc_get(doc, "b");
  const bool grouped = *what;
  const double v[] = {isc_doc_num(grouped ? isc_doc_get(x, what) : x, key),
                      isc_doc_num(grouped ? isc_doc_get(y, what) : y, key), NAN, NAN, NAN};
  isc_sb name = {0};
  isc_sb_addf(&name, "%s%s", what, grouped ? " " : "");
  if (name.failed) b->failed = true;
  if (!isnan(v[0]) || !isnan(v[1])) line(b, doc, "", name.failed ? "" : name.s, key, v);
  isc_sb_free(&name);
}

static void overall(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *feature;
  char name[32];
  for (int c = 0; c < ISC_COMPARED_REFUSALS; c++) {
    const isc_compared *k = &isc_compared_refusal[c];
    snprintf(name, sizeof name, "%s %s", k->key, k->distance);
    pair_line(b, doc, "", "refusal ", name,
              isc_doc_get(isc_doc_get(isc_doc_get(doc, "refusal"), k->key), k->distance));
  }
  for (int k = 0; k < ISC_COMPARED_SHARES; k++) {
    const char *key = isc_compared_share[k].key;
    pair_line(b, doc, "", key, "", isc_doc_get(doc, key));
  }
  json_array_foreach(json_object_get(doc, "features"), i, feature)
      pair_line(b, doc, "", "fcr ", isc_doc_str(feature, "name"), isc_doc_get(feature, "reject"));
  cost_line(b, doc, "", "parameters");
  for (size_t k = 0; k < sizeof COSTS / sizeof *COSTS; k++)
    cost_line(b, doc, "training", COSTS[k]);
  cost_line(b, doc, "sampling", "flops");
}

static void site_lines(isc_sb *b, const json_t *doc, const json_t *site) {
  const char *at = isc_doc_str(site, "name");
  size_t i;
  json_t *feature;
  pair_line(b, doc, at, "refusal ", "fixed kernel", isc_doc_get(site, "refusal"));
  pair_line(b, doc, at, "validity", "", isc_doc_get(site, "validity"));
  json_array_foreach(json_object_get(doc, "features"), i, feature) {
    const char *name = isc_doc_str(feature, "name");
    pair_line(b, doc, at, "fcr ", name, isc_doc_get(isc_doc_get(site, "fcr"), name));
  }
}

void isc_csv_comparisons(isc_sb *b, const json_t *doc) {
  size_t i, k;
  json_t *c, *site;
  isc_sb_add(b, "against,site,score,a,b,difference,lo,hi\n");
  json_array_foreach(json_object_get(doc, "comparisons"), i, c) {
    overall(b, c);
    json_array_foreach(json_object_get(c, "sites"), k, site) site_lines(b, c, site);
  }
}

/* ---- how alike the sites are ordered */

static void agreement_line(isc_sb *b, const char *against, const char *feature,
                           const char *estimator, const double v[4]) {
  isc_csv_text(b, against);
  isc_sb_add(b, ",");
  isc_csv_text(b, feature);
  isc_sb_addf(b, ",%s", estimator);
  for (int k = 0; k < 4; k++) {
    isc_sb_add(b, ",");
    isc_csv_number(b, v[k]);
  }
  isc_sb_add(b, "\n");
}

static void bandwidth_lines(isc_sb *b, const json_t *doc, const json_t *at) {
  static const char *const estimators[] = {"reject", "snis", "exact"};
  char against[48];
  size_t i;
  json_t *feature;
  snprintf(against, sizeof against, "epsilon %.9g", isc_doc_num(at, "epsilon"));
  json_array_foreach(json_object_get(doc, "features"), i, feature) for (int e = 0; e < 3; e++) {
    const char *name = isc_doc_str(feature, "name");
    const json_t *of = isc_doc_get(isc_doc_get(isc_doc_get(at, "agreement"), name), estimators[e]);
    const double v[] = {isc_doc_num(of, "spearman"), isc_doc_num(of, "overlap"), NAN, NAN};
    if (!isnan(v[1])) agreement_line(b, against, name, estimators[e], v);
  }
}

void isc_csv_agreement(isc_sb *b, const json_t *doc) {
  size_t i, k;
  json_t *c, *f;
  isc_sb_add(b, "against,feature,estimator,spearman,shared_top,error_a,error_b\n");
  json_array_foreach(json_object_get(doc, "ablation"), i, c) bandwidth_lines(b, doc, c);
  json_array_foreach(json_object_get(doc, "comparisons"), i, c)
      json_array_foreach(json_object_get(c, "features"), k, f) {
    const double v[] = {isc_doc_num(f, "spearman"), isc_doc_num(f, "shared_top"),
                        isc_doc_num(f, "error_a"), isc_doc_num(f, "error_b")};
    agreement_line(b, isc_doc_str(isc_doc_get(c, "b"), "name"), isc_doc_str(f, "name"), "reject",
                   v);
  }
}
