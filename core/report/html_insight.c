/* SPDX-License-Identifier: Apache-2.0
 *
 * What each site encodes, without being asked: a few lines a site.
 */
#include "report/document.h"

#include <math.h>
#include <string.h>

enum { MOST = 3 }; /* hypotheses shown of a site; the CSV has all */

static bool is_discovery(const json_t *insight, const json_t *finding) {
  return isc_doc_num(finding, "q") <= isc_doc_num(insight, "alpha");
}

static void words_cell(isc_sb *b, const json_t *site, int rows) {
  char share[16], base[16];
  size_t k;
  json_t *w;
  isc_sb_addf(b, "<td rowspan='%d'>", rows);
  json_array_foreach(json_object_get(site, "words"), k, w) {
    isc_show_percent(isc_doc_num(w, "share"), share);
    isc_show_percent(isc_doc_num(w, "base"), base);
    isc_sb_addf(b,
                "<span class='word' title='in %s of the samples where x̂ has it, %s of the prior; z "
                "= %.1f'>",
                share, base, isc_doc_num(w, "z"));
    isc_html_text(b, isc_doc_str(w, "word"));
    isc_sb_addf(b, " <span class='sub'>%.0f %%</span></span> ", 100 * isc_doc_num(w, "share"));
  }
  isc_sb_add(b, "</td>");
}

static void finding_cells(isc_sb *b, const json_t *insight, const json_t *f) {
  const json_t *h = isc_doc_named(isc_doc_get(insight, "hypotheses"), isc_doc_str(f, "hypothesis"));
  const isc_shown lift = isc_doc_interval(f, "lift"), exact = isc_doc_interval(f, "exact");
  char q[16];
  isc_show_small(isc_doc_num(f, "q"), q);
  isc_sb_add(b, "<td class='hyp'>");
  isc_html_text(b, isc_doc_str(f, "hypothesis"));
  if (strcmp(isc_doc_str(h, "kind"), "slot")) {
    isc_sb_add(b, " <span class='sub'>");
    isc_html_text(b, isc_doc_str(h, "kind"));
    isc_sb_add(b, "</span>");
  }
  isc_sb_addf(b, "</td><td class='n'>%+.3f <span class='sub'>[%+.3f, %+.3f]</span></td>",
              lift.value, lift.lo, lift.hi);
  if (isnan(exact.value))
    isc_sb_add(b, "<td class='n'>–</td>");
  else
    isc_sb_addf(b, "<td class='n'>%+.3f</td>", exact.value);
  isc_html_number(b, isc_doc_num(f, "fcr"));
  isc_html_number(b, isc_doc_num(h, "chance"));
  isc_sb_addf(b, "<td class='n'>%s</td>", q);
}

static void site_rows(isc_sb *b, const json_t *insight, const json_t *site) {
  const json_t *ranked = json_object_get(site, "ranked");
  const json_t *shown[MOST];
  int rows = 0;
  size_t k;
  json_t *f;
  json_array_foreach(ranked, k, f) if (rows < MOST && is_discovery(insight, f)) shown[rows++] = f;
  const int span = rows ? rows : 1;
  for (int r = 0; r < span; r++) {
    isc_sb_add(b, r + 1 < span ? "<tr class='part'>" : "<tr>");
    if (r == 0) {
      isc_sb_addf(b, "<td rowspan='%d'>", span);
      isc_html_text(b, isc_doc_str(site, "name"));
      isc_sb_add(b, "</td>");
    }
    if (rows)
      finding_cells(b, insight, shown[r]);
    else
      isc_sb_add(b, "<td class='sub' colspan='6'>nothing shown to be above chance</td>");
    if (r == 0) words_cell(b, site, span);
    isc_sb_add(b, "</tr>\n");
  }
}

/* Hypotheses that cannot be told apart under the prior are tested once. */
static void alike_note(isc_sb *b, const json_t *insight) {
  size_t i;
  json_t *h;
  json_array_foreach(json_object_get(insight, "hypotheses"), i, h) {
    if (!*isc_doc_str(h, "alike")) continue;
    isc_sb_add(b, " <b>");
    isc_html_text(b, isc_doc_str(h, "name"));
    isc_sb_add(b, "</b> stands for ");
    isc_html_text(b, isc_doc_str(h, "alike"));
    isc_sb_add(b, " as well.");
  }
}

void isc_html_insight(isc_sb *b, const json_t *doc) {
  const json_t *insight = isc_doc_get(doc, "insight");
  size_t i;
  json_t *site;
  if (!json_is_object(insight)) return;
  isc_sb_addf(
      b,
      "<h2>What each site encodes, without being asked</h2><p class='sub'>Every slot of the "
      "prior, every equality of two slots and every feature, by its lift: FCR (reject) less "
      "chance, with a 95 %% interval over held-out inputs. Of %.0f hypotheses at all sites, "
      "%.0f are discoveries (Benjamini–Hochberg, q ≤ %.2g); the %d of highest lift are shown "
      "for each site. Words: tokens of x̂ that come back in the accepted samples more often "
      "than in texts of the prior (z ≥ 3), with the share of samples that have them.",
      isc_doc_num(insight, "tests"), isc_doc_num(insight, "discoveries"),
      isc_doc_num(insight, "alpha"), MOST);
  alike_note(b, insight);
  isc_sb_add(b, "</p>");
  isc_html_fold(b, json_array_size(json_object_get(insight, "sites")), "Hypotheses and words");
  isc_sb_add(b,
             "<div class='wrap'><table><thead><tr><th>site</th><th>hypothesis</th><th "
             "class='n'>lift</th><th class='n'>exact lift</th><th class='n'>FCR</th><th "
             "class='n'>chance</th><th class='n'>q</th><th>words that come back</th></tr></thead>"
             "<tbody>\n");
  json_array_foreach(json_object_get(insight, "sites"), i, site) site_rows(b, insight, site);
  isc_sb_add(b, "</tbody></table></div>\n");
  isc_html_unfold(b, json_array_size(json_object_get(insight, "sites")));
}
