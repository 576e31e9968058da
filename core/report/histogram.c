/* SPDX-License-Identifier: Apache-2.0
 *
 * Refusal over sites as two histograms with a logarithmic count axis and the means marked (paper, figure 5).
 */
#include "report/document.h"

#include <math.h>
#include <string.h>

enum { BINS = 20, WIDE = 420, HIGH = 170, LEFT = 44, TOP = 10 };

typedef struct counts {
  int n[BINS];
  int most;
  double mean;
} counts;

static counts count(const json_t *doc, const char *side) {
  counts c = {.mean = 0};
  int all = 0;
  size_t i;
  json_t *site;
  json_array_foreach(json_object_get(doc, "sites"), i, site) {
    const double x = isc_doc_num(isc_doc_get(site, "refusal"), side);
    if (isnan(x)) continue;
    const int bin = x >= 1 ? BINS - 1 : x > 0 ? (int)(x * BINS) : 0;
    if (++c.n[bin] > c.most) c.most = c.n[bin];
    c.mean += x;
    all++;
  }
  c.mean = all ? c.mean / all : NAN;
  return c;
}

/* A count of one has a height, as log 1 alone would not. */
static double height(int n, int most) {
  return n ? HIGH * log(1.0 + n) / log(1.0 + (most > 1 ? most : 1)) : 0;
}

static void axis(isc_sb *b, int most) {
  for (int n = 1; n <= most; n = n < 3 ? 3 : n < 10 ? 10 : n < 30 ? 30 : n < 100 ? 100 : 3 * n) {
    const double y = TOP + HIGH - height(n, most);
    isc_sb_addf(b,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='grid'/><text x='%d' y='%.1f' "
                "class='tick end'>%d</text>",
                LEFT, LEFT + WIDE, y, y, LEFT - 6, y + 4, n);
  }
  for (int k = 0; k <= 4; k++)
    isc_sb_addf(b, "<text x='%d' y='%d' class='tick mid'>%d %%</text>", LEFT + k * WIDE / 4,
                TOP + HIGH + 16, 25 * k);
  isc_sb_addf(b, "<text x='%d' y='%d' class='tick mid'>refusal of a site</text>", LEFT + WIDE / 2,
              TOP + HIGH + 32);
}

static void bars(isc_sb *b, const counts *c, int most, const char *fill, int shift) {
  const double w = (double)WIDE / BINS;
  for (int k = 0; k < BINS; k++)
    if (c->n[k])
      isc_sb_addf(b,
                  "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='var(%s)' "
                  "opacity='.75'><title>%d sites from %d %% to %d %%</title></rect>",
                  LEFT + k * w + shift * w / 2 + 1, TOP + HIGH - height(c->n[k], most), w / 2 - 1,
                  height(c->n[k], most), fill, c->n[k], 100 * k / BINS, 100 * (k + 1) / BINS);
  if (!isnan(c->mean))
    isc_sb_addf(b,
                "<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' stroke='var(%s)' stroke-width='2' "
                "stroke-dasharray='5 3'><title>mean %.1f %%</title></line>",
                LEFT + c->mean * WIDE, LEFT + c->mean * WIDE, TOP, TOP + HIGH, fill, 100 * c->mean);
}

static void legend(isc_sb *b, const json_t *doc, const char *side, const char *fill, double mean) {
  const char *name = isc_doc_str(isc_doc_get(doc, side), "name");
  isc_sb_addf(b, "<span class='k' style='background:var(%s)'></span>", fill);
  isc_sb_add_html(b, name, strlen(name));
  if (!isnan(mean)) isc_sb_addf(b, ", mean %.1f %%", 100 * mean);
}

void isc_svg_histograms(isc_sb *b, const json_t *doc) {
  const counts one = count(doc, "a"), two = count(doc, "b");
  const int most = one.most > two.most ? one.most : two.most;
  if (!most) return;
  isc_sb_addf(b,
              "<figure><figcaption>Refusal over sites</figcaption><svg role='img' width='%d' "
              "height='%d' viewBox='0 0 %d %d'>",
              LEFT + WIDE + 28, TOP + HIGH + 40, LEFT + WIDE + 28, TOP + HIGH + 40);
  axis(b, most);
  bars(b, &one, most, "--accent", 0);
  bars(b, &two, most, "--exact", 1);
  isc_sb_add(b, "</svg><p class='key'>");
  legend(b, doc, "a", "--accent", one.mean);
  legend(b, doc, "b", "--exact", two.mean);
  isc_sb_add(b, "; counts on a logarithmic axis, dashed lines at the means</p></figure>\n");
}
