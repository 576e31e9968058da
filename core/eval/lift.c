/* SPDX-License-Identifier: Apache-2.0
 *
 * Lift over chance: its interval and p value from weighted sums of exponentials, and Benjamini–Hochberg over many.
 *
 * Dirichlet weights are exponentials over their sum, so "the weighted mean lies below μ" is "Σ (x_i − μ)·E_i ≤ 0": a tail
 * that needs no resamples, which is what lets thousands of tests be corrected for one another.
 */
#include "eval/lift.h"
#include "base/base.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { STEPS = 200 };
static const double ENDS =
    1e-7; /* how well the ends of an interval are known, of its whole range */

/* Derivatives 1 to 3 of the cumulants' generating function K(t) = −Σ log(1 − a_i t). */
static void cumulants(int64_t n, const double *a, double t, double k[4]) {
  k[1] = k[2] = k[3] = 0;
  for (int64_t i = 0; i < n; i++) {
    const double r = a[i] / (1 - a[i] * t);
    k[1] += r;
    k[2] += r * r;
    k[3] += 2 * r * r * r;
  }
}

static double generating(int64_t n, const double *a, double t) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum -= log1p(-a[i] * t);
  return sum;
}

/* K' rises from −∞ to ∞ between the poles lo = 1/min a and hi = 1/max a: Newton's steps, or halving where they fail. */
static double saddlepoint(int64_t n, const double *a, double lo, double hi) {
  double k[4], t = 0, before = INFINITY;
  for (int i = 0; i < STEPS; i++) {
    cumulants(n, a, t, k);
    if (k[1] > 0)
      hi = t;
    else
      lo = t;
    const double newton = t - k[1] / k[2];
    const bool trusted = newton > lo && newton < hi && fabs(k[1]) < before / 2;
    const double next = trusted ? newton : lo + (hi - lo) / 2;
    before = fabs(k[1]);
    if (fabs(next - t) <= 1e-13 * fabs(next) || k[1] == 0) return t;
    t = next;
  }
  return t;
}

static double normal_cdf(double x) {
  return erfc(-x / M_SQRT2) / 2;
}

static double normal_density(double x) {
  return exp(-x * x / 2) / sqrt(2 * M_PI);
}

double isc_exponential_tail(int64_t n, const double *a /* [n] */) {
  double least = 0, most = 0, k[4];
  for (int64_t i = 0; i < n; i++) {
    least = fmin(least, a[i]);
    most = fmax(most, a[i]);
  }
  if (least == 0) return most > 0 ? 0 : 1;
  if (most == 0) return 1;
  const double t = saddlepoint(n, a, 1 / least, 1 / most);
  cumulants(n, a, t, k);
  const double w = copysign(sqrt(fmax(-2 * generating(n, a, t), 0)), t), u = t * sqrt(k[2]);
  if (fabs(w) < 1e-4) { /* the formula's limit at the mean, where its two terms cancel */
    cumulants(n, a, 0, k);
    return 0.5 + k[3] / (6 * sqrt(2 * M_PI) * pow(k[2], 1.5)) + normal_density(0) * w;
  }
  return fmin(fmax(normal_cdf(w) + normal_density(w) * (1 / w - 1 / u), 0), 1);
}

/* The lifts of one estimate: x [n + 1], the last being room for a pseudo-condition; a [n + 1] is scratch. */
typedef struct lifts {
  int64_t n;
  double *x, *a;
  double lowest, highest; /* what a lift could be */
} lifts;

/* P(the weighted mean with a pseudo-condition ≤ mean). */
static double tail_at(const lifts *l, double pseudo, double mean) {
  for (int64_t i = 0; i < l->n; i++)
    l->a[i] = l->x[i] - mean;
  l->a[l->n] = pseudo - mean;
  return isc_exponential_tail(l->n + 1, l->a);
}

static double quantile(const lifts *l, double pseudo, double p) {
  double lo = l->lowest, hi = l->highest;
  while (hi - lo > ENDS) {
    const double mid = lo + (hi - lo) / 2;
    if (tail_at(l, pseudo, mid) < p)
      lo = mid;
    else
      hi = mid;
  }
  return hi;
}

static isc_lift estimate(const lifts *l) {
  isc_lift out = {.gain = {.estimate = NAN, .lo = NAN, .hi = NAN, .n = l->n}, .p = NAN};
  double sum = 0;
  if (l->n == 0) return out;
  for (int64_t i = 0; i < l->n; i++)
    sum += l->x[i];
  out.gain.estimate = sum / (double)l->n;
  out.gain.lo = fmin(quantile(l, l->lowest, 0.025), out.gain.estimate);
  out.gain.hi = fmax(quantile(l, l->highest, 0.975), out.gain.estimate);
  out.p = tail_at(l, l->lowest, 0);
  return out;
}

isc_status isc_lift_estimate(int64_t n, const double *rate /* [n] */,
                             const double *chance /* [n] */, isc_lift *out) {
  lifts l = {.lowest = 0, .highest = 0};
  isc_status st;
  ISC_GO(isc_calloc((size_t)n + 1, sizeof *l.x, "lifts of conditions", (void **)&l.x));
  ISC_GO(isc_calloc((size_t)n + 1, sizeof *l.a, "lifts of conditions", (void **)&l.a));
  for (int64_t i = 0; i < n; i++) {
    if (isnan(rate[i])) continue;
    if (!(chance[i] >= 0 && chance[i] <= 1)) {
      st = isc_fail(ISC_E_INTERNAL, "lift: the chance of condition %lld is %g", (long long)i,
                    chance[i]);
      goto done;
    }
    l.lowest = fmin(l.lowest, -chance[i]);
    l.highest = fmax(l.highest, 1 - chance[i]);
    l.x[l.n++] = rate[i] - chance[i];
  }
  *out = estimate(&l);
done:
  free(l.x);
  free(l.a);
  return st;
}

typedef struct ranked {
  double p;
  int64_t at;
} ranked;

static int by_p(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  return x->p != y->p ? (x->p > y->p) - (x->p < y->p) : (x->at > y->at) - (x->at < y->at);
}

isc_status isc_false_discovery(int64_t n, const double *p /* [n] */, double *q /* [n] */) {
  ranked *r;
  int64_t m = 0;
  double least = 1;
  ISC_TRY(isc_calloc((size_t)n, sizeof *r, "p values to rank", (void **)&r));
  for (int64_t i = 0; i < n; i++) {
    q[i] = NAN;
    if (!isnan(p[i])) r[m++] = (ranked){p[i], i};
  }
  if (m > 1) qsort(r, (size_t)m, sizeof *r, by_p);
  for (int64_t k = m; k > 0; k--) {
    least = fmin(least, r[k - 1].p * (double)m / (double)k);
    q[r[k - 1].at] = least;
  }
  free(r);
  return ISC_OK;
}
