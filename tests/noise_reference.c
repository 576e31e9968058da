/* SPDX-License-Identifier: Apache-2.0
 *
 * See noise_reference.h.
 */
#include "noise_reference.h"
#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;

/* ∫₀^θ sin^m, θ ≤ π/2: with s = sinθ it is ∫₀^s x^m/√(1−x²) dx; the binomial series has positive terms. */
static double log_sine_integral(double m, double theta) {
  double s2 = sin(theta) * sin(theta), term = 1, sum = 0;
  for (int j = 0; j < 200000; j++) {
    double add = term / (m + 1 + 2 * j);
    sum += add;
    if (add < 1e-17 * sum) break;
    term *= s2 * (2 * j + 1) / (2 * j + 2);
  }
  return (m + 1) * log(sin(theta)) + log(sum);
}

/* The same from 0 to π. */
static double log_sine_total(double m) {
  return 0.5 * log(PI) + lgamma((m + 1) / 2) - lgamma(m / 2 + 1);
}

/* ∫ from θ to π/2 of sin^m: with c = cosθ it is ∫₀^c (1−x²)^((m−1)/2) dx; alternating, so for small terms only. */
static double middle_integral(double m, double theta) {
  double c = cos(theta), power = (m - 1) / 2, term = c, sum = 0;
  for (int j = 0; j < 2000 && fabs(term) > 1e-18 * c; j++) {
    sum += term / (2 * j + 1);
    term *= -c * c * (power - j) / (j + 1);
  }
  return sum;
}

double reference_sphere_cdf(int64_t n, double theta) {
  double m = (double)(n - 2), c = cos(theta);
  if (theta <= 0) return 0;
  if (theta >= PI) return 1;
  if (m == 0) return theta / PI;
  if (c * c < 0.5 && c * c * m < 20)
    return 0.5 - middle_integral(m, theta) * exp(-log_sine_total(m));
  double part = exp(log_sine_integral(m, fmin(theta, PI - theta)) - log_sine_total(m));
  return theta < PI / 2 ? part : 1 - part;
}

static double angle_of(double d) {
  return 2 * asin(sqrt(fmin(d, 2) / 2));
}

/* P(Gamma(n/2) ≤ x²): finite sums for integer and half-integer shapes. */
static double gamma_cdf(int64_t n, double x) {
  double y = x * x, upper = 0, first = n % 2 ? 0.5 : 0;
  if (y == 0) return 0;
  for (double a = first; a < (double)n / 2 - 0.25; a += 1)
    upper += exp(a * log(y) - y - lgamma(a + 1));
  return n % 2 ? erf(x) - upper : 1 - upper;
}

static double log_weight(const noise_reference *r, double theta) {
  double power = r->measure == ISC_PROFILE ? 1 : (double)(r->n - 2), d = 1 - cos(theta);
  double w = power > 0 ? power * log(sin(theta)) : 0;
  return r->hard ? w : w - d * d / (r->epsilon * r->epsilon);
}

/* Composite Simpson over θ, two sub-steps a table cell. */
static void tabulate(noise_reference *r, double last) {
  r->points = 200000;
  r->table = calloc((size_t)r->points + 1, sizeof *r->table);
  double h = last / (double)r->points, best = -INFINITY;
  for (int64_t i = 1; i < r->points; i++)
    best = fmax(best, log_weight(r, h * (double)i));
  for (int64_t i = 0; i < r->points; i++) {
    double a = exp(log_weight(r, h * (double)i) - best),
           m = exp(log_weight(r, h * ((double)i + 0.5)) - best);
    double b = exp(log_weight(r, h * ((double)i + 1)) - best);
    r->table[i + 1] = r->table[i] + h / 6 * (a + 4 * m + b);
  }
  double total = r->table[r->points];
  for (int64_t i = 0; i <= r->points; i++)
    r->table[i] /= total;
}

noise_reference reference_law(isc_geometry g, isc_measure m, bool hard, int64_t n, double epsilon,
                              double delta) {
  noise_reference r = {
      .geometry = g, .measure = m, .hard = hard, .n = n, .epsilon = epsilon, .delta = delta};
  bool profile = m == ISC_PROFILE;
  if (g == ISC_ANGULAR) {
    r.top = hard ? fmin(epsilon, 2) : 2;
    if (!hard && !profile) tabulate(&r, PI);
  } else {
    r.top = hard ? epsilon : epsilon * (profile ? 4 : sqrt((double)n / 2) + 4);
  }
  return r;
}

void reference_free(noise_reference *r) {
  free(r->table);
}

/* Quadratic-enough: linear interpolation errs by h²·p'/8, 1e-9 for the cells used here. */
static double look_up(const noise_reference *r, double theta) {
  double at = theta / PI * (double)r->points;
  int64_t i = (int64_t)at;
  if (i >= r->points) return 1;
  double f = at - (double)i, h = PI / (double)r->points;
  double p0 =
      i > 0 ? (r->table[i + 1] - r->table[i - 1]) / (2 * h) : (r->table[1] - r->table[0]) / h;
  double p1 = i + 2 <= r->points ? (r->table[i + 2] - r->table[i]) / (2 * h) : p0;
  double a = r->table[i], b = r->table[i + 1];
  return a + (b - a) * f + (p0 - p1) * h * f * (1 - f) / 2;
}

double reference_distance_cdf(const noise_reference *r, double d) {
  double ratio = d / r->epsilon;
  bool profile = r->measure == ISC_PROFILE;
  if (d <= 0) return 0;
  if (r->geometry != ISC_ANGULAR) {
    if (r->hard) return ratio >= 1 ? 1 : profile ? ratio : pow(ratio, (double)r->n);
    return profile ? erf(ratio) : gamma_cdf(r->n, ratio);
  }
  if (d >= r->top) return 1;
  if (profile) return r->hard ? d / r->top : erf(ratio) / erf(2 / r->epsilon);
  if (r->hard)
    return reference_sphere_cdf(r->n, angle_of(d)) / reference_sphere_cdf(r->n, angle_of(r->top));
  return look_up(r, angle_of(d));
}

double reference_norm_cdf(const noise_reference *r, double rho) {
  if (r->geometry != ISC_ANGULAR) return rho >= 1 ? 1 : 0;
  double a = 1 - r->delta, b = 1 + r->delta;
  if (r->measure == ISC_INVARIANT) { /* log-uniform, the band seen from the other side */
    a = 1 / (1 + r->delta);
    b = 1 / (1 - r->delta);
    return rho <= a ? 0 : rho >= b ? 1 : log(rho / a) / log(b / a);
  }
  if (rho <= a || rho >= b) return rho <= a ? 0 : 1;
  long double n = r->measure == ISC_PROFILE ? 1 : (long double)r->n; /* its range holds 1.1^768 */
  return (double)((powl(rho, n) - powl(a, n)) / (powl(b, n) - powl(a, n)));
}

int reference_bin(double u, int bins) {
  int i = (int)(u * bins);
  return i < 0 ? 0 : i >= bins ? bins - 1 : i;
}

double reference_chi_square(const int64_t *count /* [bins] */, int bins) {
  int64_t total = 0;
  for (int i = 0; i < bins; i++)
    total += count[i];
  double expected = (double)total / bins, sum = 0;
  for (int i = 0; i < bins; i++)
    sum += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
  return sum;
}

double reference_critical(int freedom) {
  double f = freedom, c = 2 / (9 * f), z = 4.753424; /* standard normal at 1 − 1e-6 */
  return f * pow(1 - c + z * sqrt(c), 3);
}
