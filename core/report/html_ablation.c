/* SPDX-License-Identifier: Apache-2.0
 *
 * The same samples at other bandwidths, heatmap beside heatmap (paper, figure 9), and how alike they order the sites.
 */
#include "report/document.h"

#include <math.h>
#include <stdlib.h>

enum { ESTIMATORS = 3 };
static const char *const estimators[ESTIMATORS] = {"reject", "snis", "exact"};

/* What a cell of a heatmap shows: the site's FCR at another ε. */
typedef struct shown_at {
  const json_t *sites; /* of the ablation */
  const char *feature;
} shown_at;

static double cell(const json_t *site, const void *arg) {
  const shown_at *a = arg;
  return isc_doc_fcr(isc_doc_named(a->sites, isc_doc_str(site, "name")), a->feature, "reject")
      .value;
}

static void heatmaps(isc_sb *b, const json_t *doc, const char *feature) {
  size_t i;
  json_t *at;
  isc_sb_add(b, "<div class='row'>");
  json_array_foreach(isc_doc_get(doc, "ablation"), i, at) {
    const shown_at what = {isc_doc_get(at, "sites"), feature};
    isc_sb title = {0};
    char *caption = NULL;
    isc_sb_add(&title, "FCR of ");
    isc_html_text(&title, feature);
    isc_sb_addf(&title, ", ε = %.4g", isc_doc_num(at, "epsilon"));
    if (isc_sb_finish(&title, &caption) == ISC_OK)
      isc_svg_heatmap(b, doc, caption, ISC_TOP_SITES, cell, &what);
    else
      b->failed = true;
    free(caption);
  }
  isc_sb_add(b, "</div>\n");
}

static double mean_of(const json_t *at, const char *feature, const char *estimator, bool ess) {
  double sum = 0, used = 0;
  size_t i;
  json_t *site;
  json_array_foreach(isc_doc_get(at, "sites"), i, site) {
    const isc_shown r = isc_doc_fcr(site, feature, estimator);
    const double x = ess ? r.ess : r.value;
    if (isnan(x)) continue;
    sum += x;
    used++;
  }
  return used > 0 ? sum / used : NAN;
}

static double mean_refusal(const json_t *at) {
  double sum = 0, used = 0;
  size_t i;
  json_t *site;
  json_array_foreach(isc_doc_get(at, "sites"), i, site) {
    const double x = isc_doc_interval(site, "refusal").value;
    if (isnan(x)) continue;
    sum += x;
    used++;
  }
  return used > 0 ? sum / used : NAN;
}

static void row(isc_sb *b, const json_t *doc, const json_t *at, const char *feature,
                const char *estimator) {
  const json_t *alike = isc_doc_get(isc_doc_get(isc_doc_get(at, "agreement"), feature), estimator);
  char refusal[16];
  if (isnan(mean_of(at, feature, estimator, false))) return;
  isc_show_percent(mean_refusal(at), refusal);
  isc_sb_addf(b, "<tr><td class='n'>%.4g</td><td class='n'>%s</td><td>", isc_doc_num(at, "epsilon"),
              refusal);
  isc_html_text(b, feature);
  isc_sb_addf(b, "</td><td>%s</td>", estimator);
  isc_html_number(b, mean_of(at, feature, estimator, false));
  isc_sb_addf(b, "<td class='n'>%.1f</td>", mean_of(at, feature, estimator, true));
  isc_html_number(b, isc_doc_num(alike, "spearman"));
  if (isc_doc_top(doc))
    isc_sb_addf(b, "<td class='n'>%.0f</td></tr>\n", isc_doc_num(alike, "overlap"));
  else
    isc_sb_add(b, "<td class='n'>–</td></tr>\n");
}

static void table(isc_sb *b, const json_t *doc) {
  size_t i, k;
  json_t *at, *feature;
  isc_sb_add(b, "<div class='wrap'><table><thead><tr><th class='n'>ε</th><th class='n'>mean "
                "refusal</th><th>feature</th><th>estimator</th><th class='n'>mean FCR</th><th "
                "class='n'>effective samples</th><th class='n'>rank correlation</th><th "
                "class='n'>of the top 5</th></tr></thead><tbody>\n");
  json_array_foreach(isc_doc_get(doc, "features"), k, feature)
      json_array_foreach(isc_doc_get(doc, "ablation"), i, at) for (int e = 0; e < ESTIMATORS; e++)
          row(b, doc, at, isc_doc_str(feature, "name"), estimators[e]);
  isc_sb_add(b, "</tbody></table></div>\n");
}

void isc_html_ablation(isc_sb *b, const json_t *doc) {
  size_t k;
  json_t *feature;
  if (!json_array_size(isc_doc_get(doc, "ablation"))) return;
  isc_sb_addf(
      b,
      "<h2>Other bandwidths</h2><p class='sub'>The same samples, drawn for ε = %.4g, with the "
      "kernel of another ε: reject drops what lies outside the other ball, snis weighs anew, "
      "exact asks the enumerated prior. Where the ball is wider, reject sees only what the "
      "generator makes of it. Effective samples: of a condition, mean over sites; few of them "
      "say little. Rank correlation (Spearman) and common top 5 sites are with the study’s own "
      "ε.</p>",
      isc_doc_num(isc_doc_get(doc, "kernel"), "epsilon"));
  json_array_foreach(isc_doc_get(doc, "features"), k, feature)
      heatmaps(b, doc, isc_doc_str(feature, "name"));
  table(b, doc);
}
