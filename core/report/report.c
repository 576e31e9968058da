/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a report's files from the score document.
 */
#include "report/report.h"

#include "report/document.h"

#include <stdlib.h>
#include <string.h>

static isc_status load(const char *path, json_t **doc) {
  json_error_t e;
  if (!isc_exists(path))
    return isc_fail(ISC_E_MISSING, "%s: no such file; run the study first", path);
  *doc = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
  if (!*doc) return isc_fail(ISC_E_FORMAT, "%s:%d: %s", path, e.line, e.text);
  return ISC_OK;
}

static isc_status write_part(const char *dir, const char *name, const json_t *doc,
                             void (*fill)(isc_sb *, const json_t *)) {
  isc_sb b = {0};
  char *text = NULL, *path = NULL;
  isc_status st = ISC_OK;
  fill(&b, doc);
  ISC_GO(isc_sb_finish(&b, &text));
  ISC_GO(isc_path_join(dir, name, &path));
  ISC_GO(isc_write_file(path, text, strlen(text)));
done:
  free(text);
  free(path);
  return st;
}

static void fill_json(isc_sb *b, const json_t *doc) {
  char *text = json_dumps(doc, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
  if (!text)
    b->failed = true;
  else
    isc_sb_add(b, text);
  free(text);
}

isc_status isc_report_write(const char *score_json, const char *dir, const char *title) {
  json_t *doc = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(load(score_json, &doc));
  const char *shown = title && *title ? title : isc_doc_str(isc_doc_get(doc, "run"), "name");
  json_object_set_new(doc, "title", json_string(*shown ? shown : "InverseScope"));
  ISC_GO(isc_mkdirs(dir));
  ISC_GO(write_part(dir, "fcr.csv", doc, isc_csv_fcr));
  ISC_GO(write_part(dir, "sites.csv", doc, isc_csv_sites));
  ISC_GO(write_part(dir, "samples.csv", doc, isc_csv_samples));
  ISC_GO(write_part(dir, "curves.csv", doc, isc_csv_curves));
  if (json_array_size(json_object_get(doc, "comparisons")))
    ISC_GO(write_part(dir, "compare.csv", doc, isc_csv_comparisons));
  ISC_GO(write_part(dir, "agreement.csv", doc, isc_csv_agreement));
  ISC_GO(write_part(dir, "insight.csv", doc, isc_csv_insight));
  ISC_GO(write_part(dir, "words.csv", doc, isc_csv_words));
  ISC_GO(write_part(dir, "scatter.csv", doc, isc_csv_scatter));
  ISC_GO(write_part(dir, "scatter-curves.csv", doc, isc_csv_scatter_curves));
  ISC_GO(write_part(dir, "ablation.csv", doc, isc_csv_ablation));
  ISC_GO(write_part(dir, "report.html", doc, isc_html_page));
  ISC_GO(write_part(dir, "report.json", doc, fill_json));
done:
  json_decref(doc);
  return st;
}

isc_status isc_report_table(const char *report_dir, char **text) {
  json_t *doc = NULL;
  char *path = NULL;
  isc_sb b = {0};
  isc_status st = ISC_OK;
  *text = NULL;
  ISC_GO(isc_path_join(report_dir, "report.json", &path));
  ISC_GO(load(path, &doc));
  isc_terminal_table(&b, doc);
  ISC_GO(isc_sb_finish(&b, text));
done:
  json_decref(doc);
  free(path);
  return st;
}

/* ---- a comparison by itself */

static isc_status parse(const char *document, json_t **doc) {
  json_error_t e;
  *doc = json_loads(document, JSON_REJECT_DUPLICATES, &e);
  return *doc ? ISC_OK : isc_fail(ISC_E_FORMAT, "comparison: line %d: %s", e.line, e.text);
}

static void comparison_page(isc_sb *b, const json_t *doc) {
  isc_html_begin(b, "Comparison");
  isc_html_comparison(b, doc);
  isc_html_end(b);
}

static void of_one(isc_sb *b, const json_t *doc, void (*fill)(isc_sb *, const json_t *)) {
  json_t *all = json_pack("{s[O]}", "comparisons", doc);
  if (!all) b->failed = true;
  fill(b, all);
  json_decref(all);
}

static void comparison_csv(isc_sb *b, const json_t *doc) {
  of_one(b, doc, isc_csv_comparisons);
}

static void agreement_csv(isc_sb *b, const json_t *doc) {
  of_one(b, doc, isc_csv_agreement);
}

isc_status isc_report_comparison_write(const char *document, const char *dir) {
  json_t *doc = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(parse(document, &doc));
  ISC_GO(isc_mkdirs(dir));
  ISC_GO(write_part(dir, "compare.json", doc, fill_json));
  ISC_GO(write_part(dir, "compare.csv", doc, comparison_csv));
  ISC_GO(write_part(dir, "agreement.csv", doc, agreement_csv));
  ISC_GO(write_part(dir, "compare.html", doc, comparison_page));
done:
  json_decref(doc);
  return st;
}

isc_status isc_report_comparison_table(const char *document, char **text) {
  json_t *doc = NULL;
  isc_sb b = {0};
  *text = NULL;
  ISC_TRY(parse(document, &doc));
  isc_terminal_comparison(&b, doc);
  const isc_status st = isc_sb_finish(&b, text);
  json_decref(doc);
  return st;
}
