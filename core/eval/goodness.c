/* SPDX-License-Identifier: Apache-2.0
 *
 * The regularised incomplete gamma function and what is made of it.
 *
 * Below a + 1 the power series of P converges fast, above it Legendre's continued fraction of Q (by Lentz's method); each is
 * used where it loses no digits of a small Q.
 */
#include "eval/goodness.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

enum { MAX_TERMS = 100000 };
static const double LEAST_EXPECTED = 5, LEAST_TOGETHER = 10;

/* x^a e^−x / Γ(a) */
static double front(double a, double x) {
  return exp(a * log(x) - x - lgamma(a));
}

static double lower_series(double a, double x) {
  double term = 1 / a, sum = term;
  for (int k = 1; k < MAX_TERMS && term > 1e-17 * sum; k++) {
    term *= x / (a + k);
    sum += term;
  }
  return front(a, x) * sum;
}

static double upper_fraction(double a, double x) {
  const double tiny = 1e-300;
  double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d, step = 0;
  for (int k = 1; k < MAX_TERMS && fabs(step - 1) > 1e-16; k++) {
    const double an = -k * (k - a);
    b += 2;
    d = an * d + b;
    c = b + an / c;
    if (fabs(d) < tiny) d = tiny;
    if (fabs(c) < tiny) c = tiny;
    d = 1 / d;
    step = d * c;
    h *= step;
  }
  return front(a, x) * h;
}

double isc_gamma_upper(double a, double x) {
  if (!(a > 0) || !(x >= 0) || !isfinite(a)) return NAN;
  if (x == 0) return 1;
  if (isinf(x)) return 0;
  return x < a + 1 ? 1 - lower_series(a, x) : upper_fraction(a, x);
}

double isc_chi_square_upper(double x, double freedom) {
  return x <= 0 ? 1 : isc_gamma_upper(freedom / 2, x / 2);
}

/* The cells too small to stand alone, as one; and the smallest of the others, which takes that one in if it must. */
typedef struct small_cells {
  double size, a, b; /* what decides, and the two columns */
  int64_t least;     /* −1: none stands alone             */
} small_cells;

static void note(small_cells *s, int64_t i, double size, double least_size, double bound, double a,
                 double b) {
  if (size < bound) {
    s->size += size;
    s->a += a;
    s->b += b;
  } else if (s->least < 0 || size < least_size) {
    s->least = i;
  }
}

static double expected_term(double count, double expected) {
  return (count - expected) * (count - expected) / expected;
}

isc_fit isc_fit_expected(int64_t n, const int64_t *count, const double *expected) {
  small_cells s = {.least = -1};
  double x = 0;
  int64_t cells = 0;
  for (int64_t i = 0; i < n; i++) {
    if (expected[i] <= 0 && count[i] > 0) return (isc_fit){INFINITY, 1};
    note(&s, i, expected[i], s.least < 0 ? 0 : expected[s.least], LEAST_EXPECTED, (double)count[i],
         expected[i]);
  }
  const bool take_in = s.size > 0 && s.size < LEAST_EXPECTED && s.least >= 0;
  for (int64_t i = 0; i < n; i++) {
    if (expected[i] < LEAST_EXPECTED) continue;
    const bool both = take_in && i == s.least;
    x += expected_term((double)count[i] + (both ? s.a : 0), expected[i] + (both ? s.b : 0));
    cells++;
  }
  if (s.size > 0 && !take_in) {
    x += expected_term(s.a, s.b);
    cells++;
  }
  return (isc_fit){x, cells > 1 ? cells - 1 : 0};
}

/* Σ (a·√(B/A) − b·√(A/B))² / (a + b) */
static double samples_term(double a, double b, double ratio) {
  const double d = a * ratio - b / ratio;
  return d * d / (a + b);
}

isc_fit isc_fit_samples(int64_t n, const int64_t *a, const int64_t *b) {
  small_cells s = {.least = -1};
  double all_a = 0, all_b = 0, x = 0;
  int64_t cells = 0;
  for (int64_t i = 0; i < n; i++) {
    all_a += (double)a[i];
    all_b += (double)b[i];
    note(&s, i, (double)(a[i] + b[i]), s.least < 0 ? 0 : (double)(a[s.least] + b[s.least]),
         LEAST_TOGETHER, (double)a[i], (double)b[i]);
  }
  if (all_a == 0 || all_b == 0) return (isc_fit){0, 0};
  const double ratio = sqrt(all_b / all_a);
  const bool take_in = s.size > 0 && s.size < LEAST_TOGETHER && s.least >= 0;
  for (int64_t i = 0; i < n; i++) {
    if ((double)(a[i] + b[i]) < LEAST_TOGETHER) continue;
    const bool both = take_in && i == s.least;
    x += samples_term((double)a[i] + (both ? s.a : 0), (double)b[i] + (both ? s.b : 0), ratio);
    cells++;
  }
  if (s.size > 0 && !take_in) {
    x += samples_term(s.a, s.b, ratio);
    cells++;
  }
  return (isc_fit){x, cells > 1 ? cells - 1 : 0};
}

double isc_fit_p(isc_fit f) {
  return f.freedom > 0 ? isc_chi_square_upper(f.x, (double)f.freedom) : 1;
}

typedef struct ranked {
  double p;
  int64_t at;
} ranked;

static int by_p(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  return (x->p > y->p) - (x->p < y->p);
}

int64_t isc_holm(int64_t n, const double *p, double alpha, bool *rejected) {
  void *memory;
  int64_t k = 0;
  if (n <= 0) return 0;
  if (isc_calloc((size_t)n, sizeof(ranked), "probabilities", &memory) != ISC_OK) return -1;
  ranked *r = memory;
  for (int64_t i = 0; i < n; i++)
    r[i] = (ranked){isnan(p[i]) ? 0 : p[i], i};
  qsort(r, (size_t)n, sizeof *r, by_p);
  while (k < n && r[k].p <= alpha / (double)(n - k))
    k++;
  for (int64_t i = 0; rejected && i < n; i++)
    rejected[r[i].at] = i < k;
  free(r);
  return k;
}
