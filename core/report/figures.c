/* SPDX-License-Identifier: Apache-2.0
 *
 * The report's figures as inline SVG: heatmaps, intervals, curves, noise quantiles.
 *
 * Colours of axes and text come from the page's custom properties, so one drawing serves light and dark.
 */
#include "report/document.h"

#include <math.h>
#include <string.h>

static double clamp(double x, double lo, double hi) {
  return x < lo ? lo : x > hi ? hi : x;
}

/* A perceptually even ramp from pale to dark blue; `ink` is a readable text colour on it. */
static void ramp(double x, char fill[8], const char **ink) {
  static const int stop[5][3] = {
      {247, 251, 255}, {198, 219, 239}, {107, 174, 214}, {33, 113, 181}, {8, 48, 107}};
  const double t = clamp(x, 0, 1) * 4;
  const int i = t >= 4 ? 3 : (int)t;
  int c[3];
  for (int k = 0; k < 3; k++)
    c[k] = (int)lround(stop[i][k] + (t - i) * (stop[i + 1][k] - stop[i][k]));
  snprintf(fill, 8, "#%02x%02x%02x", c[0] & 255, c[1] & 255, c[2] & 255);
  *ink = x > 0.6 ? "#fff" : "#10243c";
}

static bool is_head(const json_t *site) {
  return !strcmp(isc_doc_str(site, "place"), "head");
}

static void heat_cell(isc_sb *b, const json_t *site, double x, int left, int top, int size) {
  char fill[8], shown[16];
  const char *ink;
  ramp(x, fill, &ink);
  isc_show_number(x, shown);
  isc_sb_addf(b, "<rect x='%d' y='%d' width='%d' height='%d' fill='%s'><title>", left, top,
              size - 2, size - 2, fill);
  isc_sb_add_html(b, isc_doc_str(site, "name"), strlen(isc_doc_str(site, "name")));
  isc_sb_addf(b, ": %s</title></rect>", shown);
  if (size >= 36)
    isc_sb_addf(b, "<text x='%d' y='%d' fill='%s' class='cell'>%.2f</text>", left + size / 2 - 1,
                top + size / 2 + 3, ink, x);
}

typedef struct grid {
  int layers, heads, size, left, top;
} grid;

static grid grid_of(const json_t *doc) {
  grid g = {.left = 46, .top = 8};
  size_t i;
  json_t *site;
  json_array_foreach(json_object_get(doc, "sites"), i, site) if (is_head(site)) {
    const int l = (int)isc_doc_num(site, "layer"), h = (int)isc_doc_num(site, "head");
    if (l + 1 > g.layers) g.layers = l + 1;
    if (h + 1 > g.heads) g.heads = h + 1;
  }
  g.size = g.heads <= 12 ? 36 : g.heads <= 24 ? 28 : 18;
  return g;
}

static void heat_axes(isc_sb *b, const grid *g) {
  for (int l = 0; l < g->layers; l++)
    isc_sb_addf(b, "<text x='%d' y='%d' class='tick end'>L%d</text>", g->left - 8,
                g->top + l * g->size + g->size / 2 + 4, l);
  for (int h = 0; h < g->heads; h++)
    isc_sb_addf(b, "<text x='%d' y='%d' class='tick mid'>%d</text>",
                g->left + h * g->size + g->size / 2, g->top + g->layers * g->size + 14, h);
  isc_sb_addf(b, "<text x='%d' y='%d' class='tick mid'>head</text>",
              g->left + g->heads * g->size / 2, g->top + g->layers * g->size + 30);
}

int isc_doc_heads(const json_t *doc) {
  int n = 0;
  size_t i;
  json_t *site;
  json_array_foreach(json_object_get(doc, "sites"), i, site) n += is_head(site);
  return n;
}

static double head_value(const json_t *site, isc_cell_fn value, const void *arg) {
  return is_head(site) ? value(site, arg) : NAN;
}

/* Is site i one of the `most` heads of highest value? Ties: the earlier. */
static bool is_top(const json_t *sites, size_t i, int most, isc_cell_fn value, const void *arg) {
  const double x = head_value(json_array_get(sites, i), value, arg);
  int above = 0;
  size_t k;
  json_t *other;
  json_array_foreach(sites, k, other) {
    const double y = head_value(other, value, arg);
    above += y > x || (y == x && k < i);
  }
  return above < most;
}

void isc_svg_heatmap(isc_sb *b, const json_t *doc, const char *title, int most, isc_cell_fn value,
                     const void *arg) {
  const json_t *sites = json_object_get(doc, "sites");
  const grid g = grid_of(doc);
  const int wide = g.left + g.heads * g.size + 8, high = g.top + g.layers * g.size + 34;
  size_t i;
  json_t *site;
  if (!g.layers) return;
  if (isc_doc_heads(doc) <= most) most = 0;
  isc_sb_addf(b,
              "<figure><figcaption>%s</figcaption><svg role='img' width='%d' height='%d' "
              "viewBox='0 0 %d %d'>",
              title, wide, high, wide, high);
  heat_axes(b, &g);
  json_array_foreach(sites, i, site) {
    const double x = head_value(site, value, arg);
    if (isnan(x)) continue;
    const int left = g.left + (int)isc_doc_num(site, "head") * g.size,
              top = g.top + (int)isc_doc_num(site, "layer") * g.size;
    heat_cell(b, site, x, left, top, g.size);
    if (most > 0 && is_top(sites, i, most, value, arg))
      isc_sb_addf(b, "<rect x='%d' y='%d' width='%d' height='%d' class='top'/>", left, top,
                  g.size - 2, g.size - 2);
  }
  isc_sb_add(b, "</svg><p class='key'>0 <span class='ramp'></span> 1");
  if (most > 0) isc_sb_addf(b, "<span class='k topkey'></span>the %d highest", most);
  isc_sb_add(b, "</p></figure>\n");
}

enum { LEFT = 110, WIDE = 520, ROW = 20 };

static double x_of(double v) {
  return LEFT + clamp(v, 0, 1) * WIDE;
}

static void unit_axis(isc_sb *b, int bottom) {
  for (int k = 0; k <= 4; k++)
    isc_sb_addf(b,
                "<line x1='%.1f' x2='%.1f' y1='6' y2='%d' class='grid'/><text x='%.1f' y='%d' "
                "class='tick mid'>%.2f</text>",
                x_of(k / 4.0), x_of(k / 4.0), bottom, x_of(k / 4.0), bottom + 16, k / 4.0);
}

static void interval_row(isc_sb *b, const json_t *site, const char *feature, int y) {
  const isc_shown got = isc_doc_fcr(site, feature, "reject"),
                  exact = isc_doc_fcr(site, feature, "exact");
  const char *name = isc_doc_str(site, "name");
  isc_sb_addf(b, "<text x='%d' y='%d' class='tick end'>", LEFT - 8, y + 4);
  isc_sb_add_html(b, name, strlen(name));
  isc_sb_add(b, "</text>");
  if (!isnan(exact.value))
    isc_sb_addf(
        b, "<path d='M%.1f %d l5 5 l-5 5 l-5 -5 z' class='exact'><title>exact %.3f</title></path>",
        x_of(exact.value), y - 5, exact.value);
  if (isnan(got.value)) return;
  isc_sb_addf(b, "<line x1='%.1f' x2='%.1f' y1='%d' y2='%d' class='range'/>", x_of(got.lo),
              x_of(got.hi), y, y);
  isc_sb_addf(
      b, "<circle cx='%.1f' cy='%d' r='3.5' class='dot'><title>%.3f [%.3f, %.3f]</title></circle>",
      x_of(got.value), y, got.value, got.lo, got.hi);
}

void isc_svg_intervals(isc_sb *b, const json_t *doc, const json_t *feature) {
  const json_t *sites = json_object_get(doc, "sites");
  const char *name = isc_doc_str(feature, "name");
  const double chance = isc_doc_num(feature, "chance");
  const int n = (int)json_array_size(sites), bottom = 12 + n * ROW;
  size_t i;
  json_t *site;
  isc_sb_add(b, "<figure><figcaption>FCR of <b>");
  isc_sb_add_html(b, name, strlen(name));
  isc_sb_addf(
      b, "</b> by site</figcaption><svg role='img' width='%d' height='%d' viewBox='0 0 %d %d'>",
      LEFT + WIDE + 20, bottom + 24, LEFT + WIDE + 20, bottom + 24);
  unit_axis(b, bottom);
  if (!isnan(chance))
    isc_sb_addf(
        b,
        "<line x1='%.1f' x2='%.1f' y1='6' y2='%d' class='chance'><title>chance %.3f</title></line>",
        x_of(chance), x_of(chance), bottom, chance);
  json_array_foreach(sites, i, site) interval_row(b, site, name, 18 + (int)i * ROW);
  isc_sb_add(b, "</svg><p class='key'><span class='k dotkey'></span>reject, 95 % interval"
                "<span class='k exactkey'></span>exact<span class='k "
                "chancekey'></span>chance</p></figure>\n");
}

/* ---- curves: the first metric, which is the loss */

typedef struct range {
  double lo, hi;
} range;

static range curve_range(const json_t *points) {
  range r = {INFINITY, -INFINITY};
  size_t i;
  json_t *p;
  json_array_foreach(points, i, p) {
    const double y = json_number_value(json_array_get(p, 1));
    if (y < r.lo) r.lo = y;
    if (y > r.hi) r.hi = y;
  }
  if (r.hi <= r.lo) r.hi = r.lo + 1;
  return r;
}

void isc_svg_curve(isc_sb *b, const json_t *curve) {
  const json_t *points = json_object_get(curve, "points");
  const char *stage = isc_doc_str(curve, "stage");
  const char *metric = json_string_value(json_array_get(json_object_get(curve, "names"), 0));
  const size_t n = json_array_size(points);
  if (n < 2) return;
  const range r = curve_range(points);
  const double last = json_number_value(json_array_get(json_array_get(points, n - 1), 0));
  const int w = 380, h = 180, left = 52;
  isc_sb_add(b, "<figure><figcaption>");
  isc_sb_add_html(b, stage, strlen(stage));
  isc_sb_add(b, ": ");
  if (metric) isc_sb_add_html(b, metric, strlen(metric));
  isc_sb_addf(b, "</figcaption><svg role='img' width='%d' height='%d' viewBox='0 0 %d %d'>",
              left + w + 16, h + 40, left + w + 16, h + 40);
  for (int k = 0; k <= 4; k++) {
    const double y = 10 + h - k * h / 4.0;
    isc_sb_addf(b,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='grid'/><text x='%d' y='%.1f' "
                "class='tick end'>%.3g</text>",
                left, left + w, y, y, left - 6, y + 4, r.lo + (r.hi - r.lo) * k / 4);
  }
  isc_sb_addf(
      b, "<text x='%d' y='%d' class='tick end'>%.0f steps</text><polyline class='curve' points='",
      left + w, h + 30, last);
  size_t i;
  json_t *p;
  json_array_foreach(points, i, p)
      isc_sb_addf(b, "%.1f,%.1f ", left + w * json_number_value(json_array_get(p, 0)) / last,
                  10 + h - h * (json_number_value(json_array_get(p, 1)) - r.lo) / (r.hi - r.lo));
  isc_sb_add(b, "'/></svg></figure>\n");
}

void isc_svg_noise(isc_sb *b, const json_t *noise, double epsilon) {
  const json_t *q = json_object_get(noise, "quantiles");
  double v[5], hi = epsilon;
  if (json_array_size(q) != 5) return;
  for (size_t i = 0; i < 5; i++) {
    v[i] = json_number_value(json_array_get(q, i));
    if (v[i] > hi) hi = v[i];
  }
  hi *= 1.08;
  if (!(hi > 0)) return;
  const double scale = 380 / hi;
  isc_sb_add(b, "<figure><figcaption>Noise distance during training</figcaption>"
                "<svg role='img' width='420' height='70' viewBox='0 0 420 70'>");
  isc_sb_addf(b,
              "<line x1='10' x2='400' y1='50' y2='50' class='grid'/>"
              "<line x1='%.1f' x2='%.1f' y1='30' y2='30' class='range'/><rect x='%.1f' y='20' "
              "width='%.1f' height='20' class='box'/>"
              "<line x1='%.1f' x2='%.1f' y1='18' y2='42' class='median'/>"
              "<line x1='%.1f' x2='%.1f' y1='8' y2='52' class='chance'/><text x='%.1f' y='66' "
              "class='tick mid'>ε = %.3g</text>"
              "<text x='10' y='66' class='tick'>0</text>",
              10 + v[0] * scale, 10 + v[4] * scale, 10 + v[1] * scale, (v[3] - v[1]) * scale,
              10 + v[2] * scale, 10 + v[2] * scale, 10 + epsilon * scale, 10 + epsilon * scale,
              10 + epsilon * scale, epsilon);
  isc_sb_addf(b,
              "</svg><p class='key'>5 %% %.4f, 25 %% %.4f, median %.4f, 75 %% %.4f, 95 %% "
              "%.4f</p></figure>\n",
              v[0], v[1], v[2], v[3], v[4]);
}
