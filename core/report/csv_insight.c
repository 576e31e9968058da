/* SPDX-License-Identifier: Apache-2.0
 *
 * What the report shows beside FCR, as CSV: every hypothesis at every site, the words that come back, and points and curves
 * of agreement against distance.
 */
#include "report/document.h"

#include <math.h>

static void finding_line(isc_sb *b, const json_t *insight, const json_t *site, size_t rank,
                         const json_t *f) {
  const char *name = isc_doc_str(f, "hypothesis");
  const json_t *h = isc_doc_named(isc_doc_get(insight, "hypotheses"), name);
  isc_csv_text(b, isc_doc_str(site, "name"));
  isc_sb_addf(b, ",%zu,", rank + 1);
  isc_csv_text(b, name);
  isc_sb_add(b, ",");
  isc_csv_text(b, isc_doc_str(h, "kind"));
  isc_sb_add(b, ",");
  isc_csv_text(b, isc_doc_str(h, "alike"));
  const double before[] = {isc_doc_num(h, "values"), isc_doc_num(h, "chance"),
                           isc_doc_num(f, "fcr")};
  for (int k = 0; k < 3; k++) {
    isc_sb_add(b, ",");
    isc_csv_number(b, before[k]);
  }
  isc_csv_interval(b, isc_doc_interval(f, "lift"));
  const double after[] = {isc_doc_num(json_object_get(f, "lift"), "n"), isc_doc_num(f, "p"),
                          isc_doc_num(f, "q")};
  for (int k = 0; k < 3; k++) {
    isc_sb_add(b, ",");
    isc_csv_number(b, after[k]);
  }
  isc_csv_interval(b, isc_doc_interval(f, "exact"));
  isc_sb_add(b, "\n");
}

void isc_csv_insight(isc_sb *b, const json_t *doc) {
  const json_t *insight = isc_doc_get(doc, "insight");
  size_t i, k;
  json_t *site, *f;
  isc_sb_add(b, "site,rank,hypothesis,kind,alike,values,chance,fcr,lift,lift_lo,lift_hi,conditions,"
                "p,q,exact_lift,exact_lo,exact_hi\n");
  json_array_foreach(json_object_get(insight, "sites"), i, site)
      json_array_foreach(json_object_get(site, "ranked"), k, f)
          finding_line(b, insight, site, k, f);
}

void isc_csv_words(isc_sb *b, const json_t *doc) {
  static const char *const members[] = {"share", "base", "z", "conditions"};
  size_t i, k;
  json_t *site, *word;
  isc_sb_add(b, "site,word,share,base,z,conditions\n");
  json_array_foreach(json_object_get(isc_doc_get(doc, "insight"), "sites"), i, site)
      json_array_foreach(json_object_get(site, "words"), k, word) {
    isc_csv_text(b, isc_doc_str(site, "name"));
    isc_sb_add(b, ",");
    isc_csv_text(b, isc_doc_str(word, "word"));
    for (int m = 0; m < 4; m++) {
      isc_sb_add(b, ",");
      isc_csv_number(b, isc_doc_num(word, members[m]));
    }
    isc_sb_add(b, "\n");
  }
}

static void ablation_line(isc_sb *b, double epsilon, const json_t *site, const char *feature,
                          const char *estimator) {
  const json_t *cell =
      json_object_get(json_object_get(json_object_get(site, "fcr"), feature), estimator);
  if (!json_is_object(cell)) return;
  isc_csv_number(b, epsilon);
  isc_sb_add(b, ",");
  isc_csv_text(b, isc_doc_str(site, "name"));
  isc_sb_add(b, ",");
  isc_csv_text(b, feature);
  isc_sb_addf(b, ",%s", estimator);
  isc_csv_interval(b, isc_doc_fcr(site, feature, estimator));
  isc_sb_add(b, ",");
  isc_csv_number(b, isc_doc_num(cell, "ess"));
  isc_sb_add(b, ",");
  isc_csv_number(b, isc_doc_num(cell, "n"));
  isc_sb_add(b, ",");
  isc_csv_number(b, isc_doc_interval(site, "refusal").value);
  isc_sb_add(b, "\n");
}

void isc_csv_ablation(isc_sb *b, const json_t *doc) {
  static const char *const estimators[] = {"reject", "snis", "exact"};
  size_t i, k, f;
  json_t *at, *site, *feature;
  isc_sb_add(b, "epsilon,site,feature,estimator,fcr,lo,hi,ess,conditions,refusal\n");
  json_array_foreach(isc_doc_get(doc, "ablation"), i,
                     at) json_array_foreach(json_object_get(at, "sites"), k, site)
      json_array_foreach(json_object_get(doc, "features"), f, feature) for (int e = 0; e < 3; e++)
          ablation_line(b, isc_doc_num(at, "epsilon"), site, isc_doc_str(feature, "name"),
                        estimators[e]);
}

void isc_csv_scatter(isc_sb *b, const json_t *doc) {
  size_t i, k;
  json_t *panel, *p;
  isc_sb_add(b, "site,feature,d,match,noise\n");
  json_array_foreach(json_object_get(isc_doc_get(doc, "scatter"), "panels"), i, panel)
      json_array_foreach(json_object_get(panel, "points"), k, p) {
    isc_csv_text(b, isc_doc_str(panel, "site"));
    isc_sb_add(b, ",");
    isc_csv_text(b, isc_doc_str(panel, "feature"));
    for (size_t m = 0; m < 3; m++) {
      isc_sb_add(b, ",");
      isc_csv_number(b, json_number_value(json_array_get(p, m)));
    }
    isc_sb_add(b, "\n");
  }
}

void isc_csv_scatter_curves(isc_sb *b, const json_t *doc) {
  size_t i, k;
  json_t *panel, *p;
  isc_sb_add(b, "site,feature,d,rate,effective\n");
  json_array_foreach(json_object_get(isc_doc_get(doc, "scatter"), "panels"), i, panel)
      json_array_foreach(json_object_get(panel, "curve"), k, p) {
    isc_csv_text(b, isc_doc_str(panel, "site"));
    isc_sb_add(b, ",");
    isc_csv_text(b, isc_doc_str(panel, "feature"));
    for (size_t m = 0; m < 3; m++) {
      const json_t *v = json_array_get(p, m);
      isc_sb_add(b, ",");
      isc_csv_number(b, json_is_number(v) ? json_number_value(v) : NAN);
    }
    isc_sb_add(b, "\n");
  }
}
