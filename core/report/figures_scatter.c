/* SPDX-License-Identifier: Apache-2.0
 *
 * Agreement of a sample's label with that of x̂ against its distance, and the smoothed curve (paper, figure 8).
 */
#include "report/document.h"

#include <math.h>

enum { LEFT = 40, TOP = 8, WIDE = 430, HIGH = 180 };

static double at(const json_t *list, size_t k) {
  return json_number_value(json_array_get(list, k));
}

/* The axis ends where the curve does, or else with the points. */
static double reach(const json_t *panel) {
  const json_t *curve = json_object_get(panel, "curve"), *points = json_object_get(panel, "points");
  const size_t n = json_array_size(curve);
  double most = n ? at(json_array_get(curve, n - 1), 0) : 0;
  for (size_t k = 0; !n && k < json_array_size(points); k++)
    most = fmax(most, at(json_array_get(points, k), 0));
  return most > 0 ? most : 1;
}

static double x_of(double d, double most) {
  return LEFT + WIDE * d / most;
}

static double y_of(double rate) {
  return TOP + 16 + (HIGH - 32) * (1 - rate);
}

static void axes(isc_sb *b, double most, double epsilon) {
  for (int k = 0; k <= 4; k++)
    isc_sb_addf(b, "<text x='%.1f' y='%d' class='tick mid'>%.3g</text>", x_of(most * k / 4, most),
                TOP + HIGH + 16, most * k / 4);
  for (int k = 0; k <= 2; k++)
    isc_sb_addf(b,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='%s'/><text x='%d' y='%.1f' "
                "class='tick end'>%.1f</text>",
                LEFT, LEFT + WIDE, y_of(k / 2.0), y_of(k / 2.0), k == 1 ? "half" : "grid", LEFT - 6,
                y_of(k / 2.0) + 4, k / 2.0);
  if (epsilon > 0 && epsilon <= most)
    isc_sb_addf(b,
                "<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' class='chance'><title>ε = "
                "%.3g</title></line>",
                x_of(epsilon, most), x_of(epsilon, most), TOP, TOP + HIGH, epsilon);
  isc_sb_addf(b, "<text x='%d' y='%d' class='tick mid'>d(z, ẑ)</text>", LEFT + WIDE / 2,
              TOP + HIGH + 32);
}

/* Points of one rate are spread up and down by a sequence that fills evenly, so that many can be seen. */
static void dots(isc_sb *b, const json_t *points, double most) {
  size_t k;
  json_t *p;
  json_array_foreach(points, k, p) {
    const double golden = 0.6180339887498949, spread = fmod((double)k * golden, 1) - 0.5;
    if (at(p, 0) > most) continue;
    isc_sb_addf(b, "<circle cx='%.1f' cy='%.1f' r='2' class='%s'/>", x_of(at(p, 0), most),
                y_of(at(p, 1)) + 22 * spread, at(p, 2) > 0 ? "noisy" : "own");
  }
}

static void smoothed(isc_sb *b, const json_t *curve, double most) {
  size_t k;
  json_t *p;
  bool broken = true;
  isc_sb_add(b, "<path class='smooth' d='");
  json_array_foreach(curve, k, p) {
    const bool known = json_is_number(json_array_get(p, 1));
    if (known)
      isc_sb_addf(b, "%c%.1f %.1f", broken ? 'M' : 'L', x_of(at(p, 0), most), y_of(at(p, 1)));
    broken = !known;
  }
  isc_sb_add(b, "'/>");
}

void isc_svg_scatter(isc_sb *b, const json_t *panel, double epsilon) {
  const double most = reach(panel), half = isc_doc_num(panel, "half");
  isc_sb_add(b, "<figure><figcaption>");
  isc_html_text(b, isc_doc_str(panel, "feature"));
  isc_sb_add(b, " at ");
  isc_html_text(b, isc_doc_str(panel, "site"));
  isc_sb_add(b, " <span class='sub'>(");
  isc_html_text(b, isc_doc_str(panel, "why"));
  isc_sb_addf(
      b, " FCR)</span></figcaption><svg role='img' width='%d' height='%d' viewBox='0 0 %d %d'>",
      LEFT + WIDE + 26, TOP + HIGH + 38, LEFT + WIDE + 26, TOP + HIGH + 38);
  axes(b, most, epsilon);
  dots(b, json_object_get(panel, "points"), most);
  smoothed(b, json_object_get(panel, "curve"), most);
  isc_sb_addf(b, "</svg><p class='key'>%.0f samples, bandwidth %.2g", isc_doc_num(panel, "n"),
              isc_doc_num(panel, "bandwidth"));
  if (!isnan(half)) isc_sb_addf(b, "; one half at d = %.3g", half);
  isc_sb_add(b, "</p></figure>\n");
}

void isc_html_scatter(isc_sb *b, const json_t *doc) {
  const json_t *scatter = isc_doc_get(doc, "scatter"), *panels = isc_doc_get(scatter, "panels");
  const bool noisy = json_array_size(json_object_get(scatter, "noise")) > 0;
  size_t i;
  json_t *panel;
  if (!json_array_size(panels)) return;
  isc_sb_add(
      b,
      "<h2>Consistency and distance</h2><p class='sub'>Does a sample x at distance d have the "
      "label of x̂? Points: samples inside the prior, at 1 if so and at 0 if not (spread for "
      "the eye). Curve: P(f(x) = f(x̂) | d) by Nadaraya–Watson with a Gaussian kernel, "
      "bandwidth by Silverman’s rule, at least a hundredth of the axis and up to the 30th nearest "
      "point; broken where that is more than a tenth of the axis away. Grey: one half; "
      "dashed: ε. d is the kernel’s distance without its norm band.</p>");
  if (noisy)
    isc_sb_add(b,
               "<p class='sub'><span class='k noisykey'></span>drawn from ẑ with noise added, for "
               "diversity: <b>these samples do not follow P(x; ẑ)</b> and count nowhere else."
               "<span class='k dotkey'></span>the run’s own samples</p>");
  isc_sb_add(b, "<div class='row'>");
  json_array_foreach(panels, i, panel)
      isc_svg_scatter(b, panel, isc_doc_num(isc_doc_get(doc, "kernel"), "epsilon"));
  isc_sb_add(b, "</div>\n");
}
