/* SPDX-License-Identifier: Apache-2.0
 *
 * The report as one self-contained page: no script, no network, light and dark.
 */
#include "report/document.h"

#include <math.h>
#include <string.h>

static const char STYLE[] =
    ":root{color-scheme:light dark;--bg:#fff;--ink:#1b2733;--soft:#5b6b7b;--line:#d9e0e7;"
    "--card:#f6f8fa;--accent:#1f6fb5;--exact:#c2571a;--chance:#8a5cc2;--good:#1b7f4b;"
    "--bad:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--bg:#12181f;--ink:#e4eaf0;--soft:#98a7b5;"
    "--line:#2c3945;--card:#1a222b;--accent:#6db3f2;--exact:#f0965a;--chance:#bd9bea;"
    "--good:#6fce9b;--bad:#f28b82}}*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:1080px;padding:2rem 1.25rem 4rem;background:var(--bg);"
    "color:var(--ink);font:15px/1.5 system-ui,sans-serif}h1{font-size:1.7rem;margin:0 0 .25rem}"
    "h2{font-size:1.2rem;margin:2.4rem 0 .6rem}h3{font-size:1rem;margin:1.6rem 0 .4rem}"
    ".sub,.key{color:var(--soft);margin:.1rem 0}"
    ".cards{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.2rem 0}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:8px;"
    "padding:.6rem 1rem;min-width:9rem}.card b{display:block;font-size:1.35rem;font-weight:600}"
    ".card span{color:var(--soft);font-size:.85rem}.row{display:flex;flex-wrap:wrap;gap:1.6rem}"
    "figure{margin:.6rem 0;overflow-x:auto}figcaption{font-weight:600;margin-bottom:.3rem}"
    "svg{max-width:100%;height:auto}text{font:12px system-ui,sans-serif}.tick{fill:var(--soft)}"
    ".end{text-anchor:end}.mid{text-anchor:middle}.cell{text-anchor:middle;font-size:12px}"
    ".grid{stroke:var(--line)}.range{stroke:var(--accent);stroke-width:2}"
    ".dot{fill:var(--accent)}.exact{fill:none;stroke:var(--exact);stroke-width:1.8}"
    ".chance{stroke:var(--chance);stroke-dasharray:4 3}"
    ".curve{fill:none;stroke:var(--accent);stroke-width:1.6}"
    ".box{fill:var(--accent);opacity:.35}.median{stroke:var(--accent);stroke-width:2}"
    ".k{display:inline-block;width:.8em;height:.8em;margin:0 .35em 0 1em}"
    ".dotkey{background:var(--accent);border-radius:50%}"
    ".exactkey{border:2px solid var(--exact);transform:rotate(45deg) scale(.8)}"
    ".chancekey{border-left:2px dashed var(--chance)}.wrap{overflow-x:auto}"
    "table{border-collapse:collapse;font-size:.9rem;width:100%}"
    "th,td{text-align:left;padding:.28rem .6rem;border-bottom:1px solid var(--line);"
    "vertical-align:top}th{color:var(--soft);font-weight:600}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    ".yes{color:var(--good)}.no{color:var(--bad)}tr.out{opacity:.55}"
    ".x{background:var(--card);border-left:3px solid var(--accent);padding:.4rem .8rem;"
    "margin:.3rem 0}.top{fill:none;stroke:var(--exact);stroke-width:3}"
    ".topkey{border:3px solid var(--exact)}"
    ".ramp{display:inline-block;width:6em;height:.7em;"
    "background:linear-gradient(90deg,#f7fbff,#c6dbef,#6baed6,#2171b5,#08306b)}"
    "tr.part td:not([rowspan]){border-bottom:0;padding-bottom:0}.hyp{white-space:nowrap}"
    ".word{white-space:nowrap;margin-right:.8em}summary{cursor:pointer;color:var(--accent)}"
    ".own{fill:var(--accent);opacity:.35}.noisy{fill:var(--chance);opacity:.35}"
    ".smooth{fill:none;stroke:var(--exact);stroke-width:2}.half{stroke:var(--soft)}"
    ".noisykey{background:var(--chance);border-radius:50%}";

void isc_html_text(isc_sb *b, const char *s) {
  isc_sb_add_html(b, s, strlen(s));
}

enum { MANY = 48 };

void isc_html_fold(isc_sb *b, size_t n, const char *what) {
  if (n > MANY) isc_sb_addf(b, "<details><summary>%s (%zu sites)</summary>", what, n);
}

void isc_html_unfold(isc_sb *b, size_t n) {
  if (n > MANY) isc_sb_add(b, "</details>");
}

static size_t count_sites(const json_t *doc) {
  return json_array_size(json_object_get(doc, "sites"));
}

static void card(isc_sb *b, const char *value, const char *label) {
  isc_sb_addf(b, "<div class='card'><b>%s</b><span>%s</span></div>", value, label);
}

static void percent_card(isc_sb *b, double x, const char *label) {
  char shown[16];
  isc_show_percent(x, shown);
  if (!isnan(x)) card(b, shown, label);
}

void isc_html_begin(isc_sb *b, const char *title) {
  isc_sb_add(b, "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' "
                "content='width=device-width,initial-scale=1'><title>");
  isc_html_text(b, title);
  isc_sb_addf(b, "</title><style>%s</style></head><body><h1>", STYLE);
  isc_html_text(b, title);
  isc_sb_add(b, "</h1>");
}

void isc_html_end(isc_sb *b) {
  isc_sb_add(b, "</body></html>\n");
}

static void head(isc_sb *b, const json_t *doc) {
  const json_t *target = isc_doc_get(doc, "target"), *prior = isc_doc_get(doc, "prior"),
               *kernel = isc_doc_get(doc, "kernel");
  const json_t *ev = isc_doc_get(doc, "evaluate"), *summary = isc_doc_get(doc, "summary");
  isc_html_begin(b, isc_doc_str(doc, "title"));
  isc_sb_add(b, "<p class='sub'>Target ");
  isc_html_text(b, isc_doc_str(target, "plugin"));
  isc_sb_addf(b, ": %.0f layers × %.0f heads, width %.0f, %.0f parameters. Prior ",
              isc_doc_num(target, "n_layer"), isc_doc_num(target, "n_head"),
              isc_doc_num(target, "d_model"), isc_doc_num(target, "parameters"));
  isc_html_text(b, isc_doc_str(prior, "plugin"));
  if (!isnan(isc_doc_num(prior, "support")))
    isc_sb_addf(b, " with %.0f inputs", isc_doc_num(prior, "support"));
  isc_sb_add(b, ", for example “");
  isc_html_text(b, isc_doc_str(prior, "example"));
  isc_sb_add(b, "”</p><p class='sub'>Kernel ");
  isc_html_text(b, isc_doc_str(kernel, "plugin"));
  isc_sb_addf(b, ", ε = %.4g. %.0f held-out inputs × %.0f samples per site, temperature %.3g. ",
              isc_doc_num(kernel, "epsilon"), isc_doc_num(ev, "conditions"),
              isc_doc_num(ev, "samples"), isc_doc_num(ev, "temperature"));
  isc_html_text(b, isc_doc_str(doc, "program"));
  isc_sb_addf(b, ", seed %.0f.</p><div class='cards'>",
              isc_doc_num(isc_doc_get(doc, "run"), "seed"));
  percent_card(b, isc_doc_num(summary, "refusal"), "mean refusal over sites");
  percent_card(b, isc_doc_num(summary, "max_refusal"), "refusal of the worst site");
  percent_card(b, isc_doc_num(summary, "validity"), "samples inside the prior");
  percent_card(b, isc_doc_num(isc_doc_get(doc, "unconditional"), "validity"),
               "backbone’s own samples inside the prior");
  isc_sb_add(b, "</div>\n");
}

static double cell_fcr(const json_t *site, const void *feature) {
  return isc_doc_fcr(site, feature, "reject").value;
}

static double cell_refusal(const json_t *site, const void *arg) {
  (void)arg;
  return isc_doc_interval(site, "refusal").value;
}

static void heatmaps(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *feature;
  if (!isc_doc_heads(doc)) return;
  isc_sb_add(b, "<h2>Which head encodes what</h2><p class='sub'>Feature consistency rate (samples "
                "outside the ball or the prior "
                "dropped), and refusal rate.</p><div class='row'>");
  json_array_foreach(json_object_get(doc, "features"), i, feature) {
    isc_sb title = {0};
    char *caption = NULL;
    isc_sb_add(&title, "FCR of ");
    isc_html_text(&title, isc_doc_str(feature, "name"));
    if (isc_sb_finish(&title, &caption) == ISC_OK)
      isc_svg_heatmap(b, doc, caption, ISC_TOP_SITES, cell_fcr, isc_doc_str(feature, "name"));
    else
      b->failed = true;
    free(caption);
  }
  isc_svg_heatmap(b, doc, "Refusal rate", 0, cell_refusal, NULL);
  isc_sb_add(b, "</div>\n");
}

static void intervals(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *feature;
  isc_sb_add(b, "<h2>Consistency against chance and against exact</h2>");
  isc_html_fold(b, count_sites(doc), "FCR by site");
  json_array_foreach(json_object_get(doc, "features"), i, feature)
      isc_svg_intervals(b, doc, feature);
  isc_html_unfold(b, count_sites(doc));
}

void isc_html_number(isc_sb *b, double x) {
  char shown[16];
  isc_show_number(x, shown);
  isc_sb_addf(b, "<td class='n'>%s</td>", shown);
}

static void site_row(isc_sb *b, const json_t *doc, const json_t *site) {
  static const char *const estimators[] = {"plain", "reject", "snis", "exact"};
  char shown[16];
  size_t k;
  json_t *feature;
  isc_sb_add(b, "<tr><td>");
  isc_html_text(b, isc_doc_str(site, "name"));
  isc_show_percent(isc_doc_interval(site, "refusal").value, shown);
  isc_sb_addf(b, "</td><td class='n'>%s</td>", shown);
  isc_show_percent(isc_doc_interval(site, "validity").value, shown);
  isc_sb_addf(b, "<td class='n'>%s</td>", shown);
  isc_show_number(isc_doc_num(site, "ball") >= 10 ? round(isc_doc_num(site, "ball"))
                                                  : isc_doc_num(site, "ball"),
                  shown);
  if (isc_doc_num(site, "ball") >= 10) shown[strcspn(shown, ".")] = 0;
  isc_sb_addf(b, "<td class='n'>%s</td>", shown);
  json_array_foreach(json_object_get(doc, "features"), k, feature) for (int e = 0; e < 4; e++)
      isc_html_number(b, isc_doc_fcr(site, isc_doc_str(feature, "name"), estimators[e]).value);
  isc_sb_add(b, "</tr>\n");
}

/* Conditions that a site's FCR rests on: those of its best-labelled feature. */
static double answered(const json_t *site) {
  double most = 0;
  const char *name;
  json_t *of;
  json_object_foreach(json_object_get(site, "fcr"), name, of) most =
      fmax(most, isc_doc_num(json_object_get(of, "reject"), "n"));
  return most;
}

static void unanswered_note(isc_sb *b, const json_t *doc) {
  const double all = isc_doc_num(isc_doc_get(doc, "evaluate"), "conditions");
  const json_t *worst = NULL;
  size_t i;
  json_t *site;
  json_array_foreach(json_object_get(doc, "sites"), i,
                     site) if (json_object_size(json_object_get(site, "fcr")) &&
                               (!worst || answered(site) < answered(worst))) worst = site;
  if (!worst || !(answered(worst) < all)) return;
  isc_sb_addf(
      b,
      "<p class='sub'>reject and snis leave out x̂ without an accepted sample or a label: up "
      "to %.0f of %.0f, at ",
      all - answered(worst), all);
  isc_html_text(b, isc_doc_str(worst, "name"));
  isc_sb_add(b, ".</p>");
}

static void site_table(isc_sb *b, const json_t *doc) {
  size_t i, k;
  json_t *site, *feature;
  isc_sb_add(b, "<h2>All sites</h2>");
  unanswered_note(b, doc);
  isc_html_fold(b, count_sites(doc), "Refusal, validity and FCR");
  isc_sb_add(
      b, "<div class='wrap'><table><thead><tr><th rowspan='2'>site</th><th "
         "class='n' rowspan='2'>refusal</th>"
         "<th class='n' rowspan='2'>validity</th><th class='n' rowspan='2'>prompts in ball</th>");
  json_array_foreach(json_object_get(doc, "features"), k, feature) {
    isc_sb_add(b, "<th colspan='4'>");
    isc_html_text(b, isc_doc_str(feature, "name"));
    isc_sb_addf(b, " (chance %.3f)</th>", isc_doc_num(feature, "chance"));
  }
  isc_sb_add(b, "</tr><tr>");
  for (k = 0; k < json_array_size(json_object_get(doc, "features")); k++)
    isc_sb_add(b, "<th class='n'>plain</th><th class='n'>reject</th><th class='n'>snis</th><th "
                  "class='n'>exact</th>");
  isc_sb_add(b, "</tr></thead><tbody>\n");
  json_array_foreach(json_object_get(doc, "sites"), i, site) site_row(b, doc, site);
  isc_sb_add(b, "</tbody></table></div>\n");
  isc_html_unfold(b, count_sites(doc));
}

static void label_cell(isc_sb *b, const char *label, const char *want) {
  const bool same = *label && !strcmp(label, want);
  isc_sb_addf(b, "<td class='%s'>", same ? "yes" : "no");
  isc_html_text(b, *label ? label : "∅");
  isc_sb_add(b, same ? " ✓</td>" : " ✗</td>");
}

static void sample_table(isc_sb *b, const json_t *doc, const json_t *table) {
  size_t i, k;
  json_t *sample, *feature;
  isc_sb_add(b, "<h3>");
  isc_html_text(b, isc_doc_str(table, "site"));
  isc_sb_add(b, " <span class='sub'>(");
  isc_html_text(b, isc_doc_str(table, "why"));
  isc_sb_add(b, ")</span></h3><p class='x'>x̂ = “");
  isc_html_text(b, isc_doc_str(table, "text"));
  isc_sb_add(
      b,
      "”</p><div class='wrap'><table><thead><tr><th class='n'>d(z, ẑ)</th><th>x ~ q(x | ẑ)</th>");
  json_array_foreach(json_object_get(doc, "features"), k, feature) {
    isc_sb_add(b, "<th>");
    isc_html_text(b, isc_doc_str(feature, "name"));
    isc_sb_add(b, "</th>");
  }
  isc_sb_add(b, "</tr></thead><tbody>\n");
  json_array_foreach(json_object_get(table, "samples"), i, sample) {
    const double d = isc_doc_num(sample, "d");
    isc_sb_add(b, json_is_true(json_object_get(sample, "accepted")) ? "<tr>" : "<tr class='out'>");
    char shown[16];
    isc_show_distance(isnan(d) ? 1e308 : d, shown);
    isc_sb_addf(b, "<td class='n'>%s</td>", shown);
    isc_sb_add(b, "<td>");
    isc_html_text(b, isc_doc_str(sample, "text"));
    isc_sb_add(b, json_is_true(json_object_get(sample, "valid"))
                      ? "</td>"
                      : " <span class='no'>(not of the prior)</span></td>");
    json_array_foreach(json_object_get(doc, "features"), k, feature) {
      const char *name = isc_doc_str(feature, "name");
      label_cell(b, isc_doc_str(isc_doc_get(sample, "labels"), name),
                 isc_doc_str(isc_doc_get(table, "labels"), name));
    }
    isc_sb_add(b, "</tr>\n");
  }
  isc_sb_add(b, "</tbody></table></div>\n");
}

static void tail(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *item;
  isc_sb_add(b, "<h2>Training</h2><div class='row'>");
  json_array_foreach(json_object_get(doc, "curves"), i, item) isc_svg_curve(b, item);
  json_array_foreach(json_object_get(doc, "noise"), i, item)
      isc_svg_noise(b, item, isc_doc_num(isc_doc_get(doc, "kernel"), "epsilon"));
  isc_sb_add(b, "</div><h2>Samples</h2><p class='sub'>Of the most and the least consistent sites; "
                "sorted by distance, those outside the "
                "ball or the prior in grey. ✓: same label as x̂.</p>");
  json_array_foreach(json_object_get(doc, "tables"), i, item) sample_table(b, doc, item);
  isc_html_end(b);
}

static void comparisons(isc_sb *b, const json_t *doc) {
  size_t i;
  json_t *c;
  json_array_foreach(json_object_get(doc, "comparisons"), i, c) isc_html_comparison(b, c);
}

void isc_html_page(isc_sb *b, const json_t *doc) {
  head(b, doc);
  heatmaps(b, doc);
  comparisons(b, doc);
  intervals(b, doc);
  site_table(b, doc);
  isc_html_insight(b, doc);
  isc_html_scatter(b, doc);
  isc_html_ablation(b, doc);
  tail(b, doc);
}
