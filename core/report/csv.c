/* SPDX-License-Identifier: Apache-2.0
 *
 * The report's tables as CSV (RFC 4180: quoted fields, doubled quotes, a header line).
 */
#include "report/document.h"

#include <math.h>
#include <string.h>

void isc_csv_text(isc_sb *b, const char *s) {
  /* A field that a spreadsheet would run as a formula is defused by a leading apostrophe. */
  isc_sb_add(b, "\"");
  if (*s && strchr("=+-@\t\r", *s)) isc_sb_add(b, "'");
  for (; *s; s++)
    isc_sb_addn(b, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
  isc_sb_add(b, "\"");
}

void isc_csv_number(isc_sb *b, double x) {
  if (fabs(x) >= 1e300)
    isc_sb_add(b, x > 0 ? "inf" : "-inf");
  else if (!isnan(x))
    isc_sb_addf(b, "%.9g", x);
}

void isc_csv_interval(isc_sb *b, isc_shown i) {
  const double v[3] = {i.value, i.lo, i.hi};
  for (int k = 0; k < 3; k++) {
    isc_sb_add(b, ",");
    isc_csv_number(b, v[k]);
  }
}

void isc_csv_fcr(isc_sb *b, const json_t *doc) {
  static const char *const estimators[] = {"plain", "reject", "snis", "exact"};
  size_t i, k;
  json_t *site, *feature;
  isc_sb_add(b, "site,feature,estimator,fcr,lo,hi,ess,conditions,chance\n");
  json_array_foreach(json_object_get(doc, "sites"), i, site)
      json_array_foreach(json_object_get(doc, "features"), k, feature) {
    for (int e = 0; e < 4; e++) {
      const char *name = isc_doc_str(feature, "name");
      const json_t *cell =
          json_object_get(json_object_get(json_object_get(site, "fcr"), name), estimators[e]);
      if (!json_is_object(cell)) continue;
      isc_csv_text(b, isc_doc_str(site, "name"));
      isc_sb_add(b, ",");
      isc_csv_text(b, name);
      isc_sb_addf(b, ",%s", estimators[e]);
      isc_csv_interval(b, isc_doc_fcr(site, name, estimators[e]));
      isc_sb_add(b, ",");
      isc_csv_number(b, isc_doc_num(cell, "ess"));
      isc_sb_add(b, ",");
      isc_csv_number(b, isc_doc_num(cell, "n"));
      isc_sb_add(b, ",");
      isc_csv_number(b, isc_doc_num(feature, "chance"));
      isc_sb_add(b, "\n");
    }
  }
}

void isc_csv_sites(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *site;
  isc_sb_add(b, "site,refusal,refusal_lo,refusal_hi,validity,validity_lo,validity_hi,ball,d5,d25,"
                "d50,d75,d95\n");
  json_array_foreach(json_object_get(doc, "sites"), i, site) {
    const json_t *q = json_object_get(site, "distance");
    isc_csv_text(b, isc_doc_str(site, "name"));
    isc_csv_interval(b, isc_doc_interval(site, "refusal"));
    isc_csv_interval(b, isc_doc_interval(site, "validity"));
    isc_sb_add(b, ",");
    isc_csv_number(b, isc_doc_num(site, "ball"));
    for (size_t k = 0; k < 5; k++) {
      isc_sb_add(b, ",");
      if (json_array_get(q, k)) isc_csv_number(b, json_number_value(json_array_get(q, k)));
    }
    isc_sb_add(b, "\n");
  }
}

/* Of each feature the label of the sample, and whether it is that of the condition; empty where there is none. */
static void label_fields(isc_sb *b, const json_t *doc, const json_t *table, const json_t *sample) {
  size_t i;
  json_t *feature;
  json_array_foreach(json_object_get(doc, "features"), i, feature) {
    const char *name = isc_doc_str(feature, "name"),
               *label = isc_doc_str(isc_doc_get(sample, "labels"), name),
               *want = isc_doc_str(isc_doc_get(table, "labels"), name);
    isc_sb_add(b, ",");
    if (*label) isc_csv_text(b, label);
    isc_sb_add(b, !*want ? "," : strcmp(label, want) ? ",0" : ",1");
  }
}

static void sample_head(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *feature;
  isc_sb_add(b, "site,why,condition,d,accepted,valid,sample");
  json_array_foreach(json_object_get(doc, "features"), i, feature) {
    isc_sb match = {0};
    isc_sb_addf(&match, "%s matches", isc_doc_str(feature, "name"));
    if (match.failed) b->failed = true;
    isc_sb_add(b, ",");
    isc_csv_text(b, isc_doc_str(feature, "name"));
    isc_sb_add(b, ",");
    isc_csv_text(b, match.failed ? "" : match.s);
    isc_sb_free(&match);
  }
  isc_sb_add(b, "\n");
}

void isc_csv_samples(isc_sb *b, const json_t *doc) {
  size_t i, k;
  json_t *table, *sample;
  sample_head(b, doc);
  json_array_foreach(json_object_get(doc, "tables"), i, table)
      json_array_foreach(json_object_get(table, "samples"), k, sample) {
    isc_csv_text(b, isc_doc_str(table, "site"));
    isc_sb_add(b, ",");
    isc_csv_text(b, isc_doc_str(table, "why"));
    isc_sb_add(b, ",");
    isc_csv_text(b, isc_doc_str(table, "text"));
    isc_sb_add(b, ",");
    const double d = isc_doc_num(sample, "d");
    isc_csv_number(b, isnan(d) ? INFINITY : d);
    isc_sb_addf(b, ",%d,%d,", json_is_true(json_object_get(sample, "accepted")),
                json_is_true(json_object_get(sample, "valid")));
    isc_csv_text(b, isc_doc_str(sample, "text"));
    label_fields(b, doc, table, sample);
    isc_sb_add(b, "\n");
  }
}

void isc_csv_curves(isc_sb *b, const json_t *doc) {
  size_t i, k, m;
  json_t *curve, *point, *name;
  isc_sb_add(b, "stage,step,metric,value\n");
  json_array_foreach(json_object_get(doc, "curves"), i, curve)
      json_array_foreach(json_object_get(curve, "points"), k, point)
          json_array_foreach(json_object_get(curve, "names"), m, name) {
    isc_csv_text(b, isc_doc_str(curve, "stage"));
    isc_sb_addf(b, ",%lld,", (long long)json_integer_value(json_array_get(point, 0)));
    isc_csv_text(b, json_string_value(name) ? json_string_value(name) : "");
    isc_sb_add(b, ",");
    isc_csv_number(b, json_number_value(json_array_get(point, m + 1)));
    isc_sb_add(b, "\n");
  }
}
