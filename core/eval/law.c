/* SPDX-License-Identifier: Apache-2.0
 *
 * Find the mode, cut where the density has fallen by e^45, bisect adaptively until Gauss–Legendre on a
 * cell agrees with itself on the cell's halves.
 *
 * A partial integral over a cell of the table is at least as accurate as the cell, so the distribution
 * function and its Newton inverse are exact to rounding rather than interpolated.
 */
#include "eval/law.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

enum { MAX_CELLS = 1 << 14, MAX_DEPTH = 48 };
/* Cut where the density is e^-45 = 3e-20 of its peak: below the rounding of the total. */
static const double DROP = 45;
/* Most a cell and its halves may disagree, of the total. The halves are kept, whose error is smaller by 2^31, the order
 * of the rule. */
static const double AGREE = 1e-10;
/* The grid that brackets the mode: its ratio, and how far it spans. */
static const double STEP = 0.99, FAR = 1e12;

/* Nodes and weights of 16-point Gauss–Legendre on (−1, 1), positive half. */
static const double node[8] = {0.0950125098376374401853193, 0.2816035507792589132304605,
                               0.4580167776572273863424194, 0.6178762444026437484466718,
                               0.7554044083550030338951012, 0.8656312023878317438804679,
                               0.9445750230732325760779884, 0.9894009349916499325961542};
static const double weight[8] = {0.1894506104550684962853967, 0.1826034150449235888667637,
                                 0.1691565193950025381893121, 0.1495959888165767320815017,
                                 0.1246289712555338720524763, 0.0951585116824927848099251,
                                 0.0622535239386478928628438, 0.0271524594117540948517806};

static double density(const isc_law *l, double t) {
  return exp(l->log_density(l->ctx, t) - l->peak);
}

static double gauss(const isc_law *l, double a, double b) {
  double mid = a + (b - a) / 2, half = (b - a) / 2, sum = 0;
  for (int i = 0; i < 8; i++)
    sum += weight[i] * (density(l, mid - half * node[i]) + density(l, mid + half * node[i]));
  return sum * half;
}

/* The mode of a unimodal density: the best point of a geometric grid, then golden section between its
 * neighbours. */
static isc_status find_mode(const isc_law *l, double end, double *mode) {
  double top = isfinite(end) ? end : FAR, bottom = isfinite(end) ? end / FAR : 1 / FAR;
  double best = top, value = l->log_density(l->ctx, top);
  for (double t = top; t > bottom; t *= STEP) {
    double v = l->log_density(l->ctx, t);
    if (v > value) {
      value = v;
      best = t;
    }
  }
  if (!isfinite(value) || (!isfinite(end) && best == top))
    return isc_fail(ISC_E_NUMERIC,
                    "noise law: the density has no finite mode; its profile must fall to 0");
  double a = best * STEP, b = fmin(best / STEP, top);
  const double golden = 0.6180339887498949;
  for (int i = 0; i < 60; i++) {
    double x = b - golden * (b - a), y = a + golden * (b - a);
    if (l->log_density(l->ctx, x) < l->log_density(l->ctx, y))
      a = x;
    else
      b = y;
  }
  *mode = a + (b - a) / 2;
  if (l->log_density(l->ctx, *mode) < value) *mode = best;
  return ISC_OK;
}

/* The point between `high` (density above the cut) and `low` (below it) where the density is cut. */
static double cut(const isc_law *l, double high, double low) {
  for (int i = 0; i < 200 && fabs(high - low) > 1e-3 * fabs(high); i++) {
    double mid = high + (low - high) / 2;
    if (l->log_density(l->ctx, mid) > l->peak - DROP)
      high = mid;
    else
      low = mid;
  }
  return low;
}

static isc_status upper_cut(const isc_law *l, double mode, double end, double *out) {
  *out = end;
  if (isfinite(end)) {
    if (l->log_density(l->ctx, end) < l->peak - DROP) *out = cut(l, mode, end);
    return ISC_OK;
  }
  double far = 2 * mode;
  while (l->log_density(l->ctx, far) > l->peak - DROP) {
    far *= 2;
    if (far > FAR)
      return isc_fail(ISC_E_NUMERIC,
                      "noise law: the density has no finite mass; its profile falls too slowly");
  }
  *out = cut(l, mode, far);
  return ISC_OK;
}

static isc_status add_cell(isc_law *l, double end, double mass) {
  if (l->cells == MAX_CELLS)
    return isc_fail(ISC_E_NUMERIC, "noise law: the density is too rough to integrate");
  l->cells++;
  l->knot[l->cells] = end;
  l->below[l->cells] = l->below[l->cells - 1] + mass;
  return ISC_OK;
}

static isc_status integrate(isc_law *l, double a, double b, double whole, double tolerance,
                            int depth) {
  double mid = a + (b - a) / 2, left = gauss(l, a, mid), right = gauss(l, mid, b);
  if (fabs(left + right - whole) <= tolerance || depth == MAX_DEPTH) {
    ISC_TRY(add_cell(l, mid, left));
    return add_cell(l, b, right);
  }
  ISC_TRY(integrate(l, a, mid, left, tolerance, depth + 1));
  return integrate(l, mid, b, right, tolerance, depth + 1);
}

/* How far rounding alone moves the log density: its spread over neighbouring numbers at the mode. Grows
 * with the dimension, and halving cells cannot get below it. */
static double rounding(const isc_law *l, double mode) {
  double least = l->peak, t = mode;
  for (int i = 0; i < 16; i++) {
    t = nextafter(t, 0);
    least = fmin(least, l->log_density(l->ctx, t));
  }
  return l->peak - least;
}

static isc_status tabulate(isc_law *l, double end) {
  double mode = 0, last;
  ISC_TRY(find_mode(l, end, &mode));
  l->peak = l->log_density(l->ctx, mode);
  ISC_TRY(upper_cut(l, mode, end, &last));
  double first = l->log_density(l->ctx, 0) < l->peak - DROP ? cut(l, mode, 0) : 0;
  double left = gauss(l, first, mode), right = gauss(l, mode, last);
  l->total = left + right;
  l->knot[0] = first;
  double tolerance = (AGREE + rounding(l, mode)) * l->total;
  if (mode > first) ISC_TRY(integrate(l, first, mode, left, tolerance, 0));
  if (last > mode) ISC_TRY(integrate(l, mode, last, right, tolerance, 0));
  l->total = l->below[l->cells];
  if (!(l->total > 0) || !isfinite(l->total))
    return isc_fail(ISC_E_NUMERIC, "noise law: the density has no finite mass");
  for (int64_t i = 0; i <= l->cells; i++)
    l->below[i] /= l->total;
  return ISC_OK;
}

isc_status isc_law_build(double end, isc_log_density log_density, const void *ctx, isc_law *out) {
  *out = (isc_law){.log_density = log_density, .ctx = ctx};
  isc_status st;
  ISC_GO(isc_calloc(MAX_CELLS + 1, sizeof *out->knot, "the knots of a noise law",
                    (void **)&out->knot));
  ISC_GO(isc_calloc(MAX_CELLS + 1, sizeof *out->below, "the knots of a noise law",
                    (void **)&out->below));
  ISC_GO(tabulate(out, end));
  ISC_GO(isc_realloc((void **)&out->knot, (size_t)out->cells + 1, sizeof *out->knot,
                     "the knots of a noise law"));
  ISC_GO(isc_realloc((void **)&out->below, (size_t)out->cells + 1, sizeof *out->below,
                     "the knots of a noise law"));
done:
  if (st != ISC_OK) isc_law_free(out);
  return st;
}

void isc_law_free(isc_law *law) {
  free(law->knot);
  free(law->below);
  *law = (isc_law){0};
}

/* The last cell whose lower end in `edge` is ≤ x; x lies inside the table. */
static int64_t cell_of(const double *edge, int64_t cells, double x) {
  int64_t lo = 0, hi = cells;
  while (hi - lo > 1) {
    int64_t mid = lo + (hi - lo) / 2;
    if (edge[mid] <= x)
      lo = mid;
    else
      hi = mid;
  }
  return lo;
}

double isc_law_cdf(const isc_law *law, double t) {
  if (t <= law->knot[0]) return 0;
  if (t >= law->knot[law->cells]) return 1;
  int64_t c = cell_of(law->knot, law->cells, t);
  return fmin(law->below[c] + gauss(law, law->knot[c], t) / law->total, law->below[c + 1]);
}

double isc_law_quantile(const isc_law *law, double u) {
  int64_t c = cell_of(law->below, law->cells, u);
  double lo = law->knot[c], hi = law->knot[c + 1];
  double share = law->below[c + 1] - law->below[c], want = (u - law->below[c]) * law->total;
  double t = share > 0 ? lo + (hi - lo) * (u - law->below[c]) / share : lo + (hi - lo) / 2;
  const double start = lo;
  for (int i = 0; i < 80; i++) {
    double excess = gauss(law, start, t) - want;
    if (excess > 0)
      hi = t;
    else
      lo = t;
    double next = t - excess / density(law, t);
    if (fabs(next - t) <= 1e-11 * t)
      return fmin(fmax(next, lo), hi); /* its error is the square of this */
    t = next > lo && next < hi ? next : lo + (hi - lo) / 2;
  }
  return t;
}
