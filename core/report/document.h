/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the score document (docs/report.md) with a null for whatever is absent, so that writers stay plain.
 */
#ifndef ISC_CORE_REPORT_DOCUMENT_H
#define ISC_CORE_REPORT_DOCUMENT_H

#include "base/base.h"
#include <jansson.h>

/* An interval; all NaN when absent. */
typedef struct isc_shown {
  double value, lo, hi, ess;
} isc_shown;

json_t *isc_doc_get(const json_t *j, const char *key);
double isc_doc_num(const json_t *j, const char *key);      /* NaN when absent or null  */
const char *isc_doc_str(const json_t *j, const char *key); /* "" when absent           */
/* The member of a list whose "name" it is; NULL when there is none. */
const json_t *isc_doc_named(const json_t *list, const char *name);
isc_shown isc_doc_interval(const json_t *j, const char *key);
/* FCR of a feature at a site by one estimator. */
isc_shown isc_doc_fcr(const json_t *site, const char *feature, const char *estimator);
/* "12.3 %" / "0.871" / "–" when NaN; 16 bytes. */
void isc_show_percent(double x, char out[16]);
void isc_show_number(double x, char out[16]);
/* "0.123", and below 0.01 two digits: "0.0041", "3.2e-06". */
void isc_show_distance(double x, char out[16]);
/* x, or 0 where it would be shown as "-0.000". */
double isc_shown_sign(double x, double least);
/* How many sites are told from the others as the highest: five, as in the paper's figure 4, or none where there are no more. */
enum { ISC_TOP_SITES = 5 };
int isc_doc_top(const json_t *doc);
int isc_doc_heads(const json_t *doc);
/* "0.0123", and below 0.0001 "3e-12". */
void isc_show_small(double x, char out[16]);

/* ---- the parts of a report, each appending to a string */
void isc_csv_fcr(isc_sb *b, const json_t *doc);
void isc_csv_sites(isc_sb *b, const json_t *doc);
void isc_csv_samples(isc_sb *b, const json_t *doc);
void isc_csv_curves(isc_sb *b, const json_t *doc);
void isc_csv_insight(isc_sb *b, const json_t *doc);
void isc_csv_words(isc_sb *b, const json_t *doc);
void isc_csv_scatter(isc_sb *b, const json_t *doc);
void isc_csv_scatter_curves(isc_sb *b, const json_t *doc);
void isc_csv_ablation(isc_sb *b, const json_t *doc);
void isc_html_page(isc_sb *b, const json_t *doc);
/* Up to the end of the page's head, and its end; between them goes its body. */
void isc_html_begin(isc_sb *b, const char *title);
void isc_html_end(isc_sb *b);
void isc_html_insight(isc_sb *b, const json_t *doc);
void isc_html_scatter(isc_sb *b, const json_t *doc);
void isc_html_ablation(isc_sb *b, const json_t *doc);
void isc_terminal_table(isc_sb *b, const json_t *doc);

/* ---- of a comparison document, or of all in a score document's "comparisons" */
/* What is compared over all sites, in the order shown: "refusal" by position and distance, then shares by key. */
typedef struct isc_compared {
  const char *key, *distance, *name; /* name: for readers */
} isc_compared;
enum { ISC_COMPARED_REFUSALS = 6, ISC_COMPARED_SHARES = 3 };
extern const isc_compared isc_compared_refusal[ISC_COMPARED_REFUSALS],
    isc_compared_share[ISC_COMPARED_SHARES];
void isc_html_comparison(isc_sb *b, const json_t *doc);
void isc_terminal_comparison(isc_sb *b, const json_t *doc);
void isc_csv_comparisons(isc_sb *b, const json_t *doc);
/* Of the comparisons and of the bandwidths. */
void isc_csv_agreement(isc_sb *b, const json_t *doc);
void isc_svg_histograms(isc_sb *b, const json_t *doc);

/* ---- what they are made of: escaped text, a table cell with a number; a field of a CSV, quoted, and one with a number,
 * empty when NaN */
void isc_html_text(isc_sb *b, const char *s);
void isc_html_number(isc_sb *b, double x);
/* What has a line for each of n sites is folded away when they are many. */
void isc_html_fold(isc_sb *b, size_t n, const char *what);
void isc_html_unfold(isc_sb *b, size_t n);
void isc_csv_text(isc_sb *b, const char *s);
void isc_csv_number(isc_sb *b, double x);
void isc_csv_interval(isc_sb *b, isc_shown i); /* ",value,lo,hi" */

/* ---- figures (SVG). `value(site, arg)` gives what a cell shows; NaN = no cell. The `most` heads of highest value are
 * outlined, unless that were all. */
typedef double (*isc_cell_fn)(const json_t *site, const void *arg);
void isc_svg_heatmap(isc_sb *b, const json_t *doc, const char *title, int most, isc_cell_fn value,
                     const void *arg);
void isc_svg_intervals(isc_sb *b, const json_t *doc, const json_t *feature);
void isc_svg_curve(isc_sb *b, const json_t *curve);
void isc_svg_scatter(isc_sb *b, const json_t *panel, double epsilon);
void isc_svg_noise(isc_sb *b, const json_t *noise, double epsilon);

#endif
