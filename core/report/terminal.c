/* SPDX-License-Identifier: Apache-2.0
 *
 * The main table of a report for a terminal: one line a site, and a summary.
 */
#include "report/document.h"

#include <math.h>
#include <string.h>

/* Text of unknown origin: control characters would act on the terminal. */
static void safe(isc_sb *b, const char *s) {
  for (; *s; s++)
    isc_sb_addn(b, (unsigned char)*s < 32 || *s == 127 ? "?" : s, 1);
}

static void number(isc_sb *b, double x, int width) {
  if (isnan(x))
    isc_sb_addf(b, "%*s", width, "-");
  else
    isc_sb_addf(b, "%*.3f", width, x);
}

/* Features that stand beside each other in 120 columns. */
enum { BESIDE = 3 };

static void table_head(isc_sb *b, const json_t *features, size_t first, int width) {
  const size_t n = json_array_size(features), end = n < first + BESIDE ? n : first + BESIDE;
  isc_sb_addf(b, "%-*s %8s %8s %8s", width, "", "", "", "");
  for (size_t k = first; k < end; k++) {
    const char *name = isc_doc_str(json_array_get(features, k), "name");
    const int shown = (int)strnlen(name, 20);
    isc_sb_addf(b, "  %-.20s: FCR%*s", name, 21 - shown, "");
  }
  isc_sb_addf(b, "\n%-*s %8s %8s %8s", width, "site", "refusal", "validity", "ball");
  for (size_t k = first; k < end; k++)
    isc_sb_addf(b, "  %8s %8s %8s", "plain", "reject", "exact");
  isc_sb_add(b, "\n");
}

static void site_line(isc_sb *b, const json_t *features, size_t first, const json_t *site,
                      int width) {
  const char *name = isc_doc_str(site, "name");
  isc_sb_addf(b, "%-*s ", width, name);
  number(b, isc_doc_interval(site, "refusal").value, 8);
  isc_sb_add(b, " ");
  number(b, isc_doc_interval(site, "validity").value, 8);
  const double ball = isc_doc_num(site, "ball");
  if (isnan(ball))
    isc_sb_addf(b, " %8s", "-");
  else
    isc_sb_addf(b, " %8.0f", ball);
  for (size_t k = first; k < json_array_size(features) && k < first + BESIDE; k++) {
    const char *f = isc_doc_str(json_array_get(features, k), "name");
    isc_sb_add(b, "  ");
    number(b, isc_doc_fcr(site, f, "plain").value, 8);
    isc_sb_add(b, " ");
    number(b, isc_doc_fcr(site, f, "reject").value, 8);
    isc_sb_add(b, " ");
    number(b, isc_doc_fcr(site, f, "exact").value, 8);
  }
  isc_sb_add(b, "\n");
}

static void summary_lines(isc_sb *b, const json_t *doc) {
  const json_t *summary = isc_doc_get(doc, "summary"),
               *free_running = isc_doc_get(doc, "unconditional");
  char shown[16];
  size_t k, i;
  json_t *feature, *site;
  isc_show_percent(isc_doc_num(summary, "refusal"), shown);
  isc_sb_addf(b, "\nmean refusal %s", shown);
  isc_show_percent(isc_doc_num(summary, "max_refusal"), shown);
  isc_sb_addf(b, " (worst site %s)", shown);
  isc_show_percent(isc_doc_num(free_running, "validity"), shown);
  isc_sb_addf(b, "; backbone's own samples inside the prior %s\n", shown);
  json_array_foreach(json_object_get(doc, "features"), k, feature) {
    const json_t *f = isc_doc_get(isc_doc_get(summary, "features"), isc_doc_str(feature, "name"));
    safe(b, isc_doc_str(feature, "name"));
    isc_show_number(isc_doc_num(feature, "chance"), shown);
    isc_sb_addf(b, ": chance %s; ", shown);
    isc_sb_add(b, json_array_size(json_object_get(f, "top"))
                      ? "most consistent"
                      : "no site has an accepted sample of an input with a label");
    json_array_foreach(json_object_get(f, "top"), i, site) {
      isc_sb_add(b, " ");
      safe(b, json_string_value(site) ? json_string_value(site) : "");
    }
    if (!isnan(isc_doc_num(f, "mean_error")))
      isc_sb_addf(b, "; |reject - exact| mean %.3f", isc_doc_num(f, "mean_error"));
    if (!isnan(isc_doc_num(f, "max_error")))
      isc_sb_addf(b, ", max %.3f", isc_doc_num(f, "max_error"));
    isc_sb_add(b, "\n");
  }
}

/* The one line that a comparison is made for. */
static void comparison_lines(isc_sb *b, const json_t *c) {
  const json_t *fixed = isc_doc_get(isc_doc_get(c, "refusal"), "fixed"),
               *refusal = isc_doc_get(fixed, "kernel");
  const isc_shown d = isc_doc_interval(refusal, "difference");
  if (isnan(d.value)) return;
  isc_sb_add(b, "refusal of ");
  safe(b, isc_doc_str(isc_doc_get(c, "a"), "name"));
  isc_sb_addf(b, " %.1f %%, of ", 100 * isc_doc_num(refusal, "a"));
  safe(b, isc_doc_str(isc_doc_get(c, "b"), "name"));
  isc_sb_addf(b, " %.1f %%; difference %+.1f %% [%+.1f, %+.1f]\n", 100 * isc_doc_num(refusal, "b"),
              100 * d.value, 100 * d.lo, 100 * d.hi);
}

void isc_terminal_table(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *site;
  int width = 12;
  json_array_foreach(json_object_get(doc, "sites"), i, site) {
    const int len = (int)strnlen(isc_doc_str(site, "name"), 40);
    if (len > width) width = len;
  }
  const json_t *features = json_object_get(doc, "features");
  size_t first = 0;
  do {
    if (first) isc_sb_add(b, "\n");
    table_head(b, features, first, width);
    json_array_foreach(json_object_get(doc, "sites"), i, site)
        site_line(b, features, first, site, width);
    first += BESIDE;
  } while (first < json_array_size(features));
  summary_lines(b, doc);
  json_array_foreach(json_object_get(doc, "comparisons"), i, site) comparison_lines(b, site);
}
