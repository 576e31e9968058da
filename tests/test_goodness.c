/* SPDX-License-Identifier: Apache-2.0
 *
 * Tail probabilities are those of closed forms and tables, and Holm rejects what Holm's paper says.
 */
#include "eval/goodness.h"
#include "support.h"
#include <inversescope/rng.h>
#include <math.h>

/* Q(n, x) for a whole n is a finite Poisson sum. Rounding: some hundred terms. */
Test(goodness, gamma_of_whole_shapes_is_the_poisson_sum) {
  const double x[] = {1e-6, 0.1, 0.9, 3, 7.5, 20, 40, 90};
  for (int n = 1; n <= 60; n += n < 6 ? 1 : 9) {
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
      long double term = expl(-(long double)x[i]), sum = 0;
      for (int k = 0; k < n; k++) {
        sum += term;
        term *= (long double)x[i] / (k + 1);
      }
      const double q = isc_gamma_upper(n, x[i]);
      cr_assert_float_eq(q, (double)sum, 1e-11 * (double)sum, "Q(%d, %g) = %.17g, not %.17Lg", n,
                         x[i], q, sum);
    }
  }
}

/* One degree of freedom: P(χ² ≥ x) = erfc(√(x/2)); two: e^(−x/2). */
Test(goodness, one_and_two_degrees_of_freedom_are_closed_forms) {
  for (double x = 1e-3; x < 200; x *= 1.7) {
    const double one = erfc(sqrt(x / 2)), two = exp(-x / 2);
    cr_assert_float_eq(isc_chi_square_upper(x, 1), one, 1e-11 * one, "%g", x);
    cr_assert_float_eq(isc_chi_square_upper(x, 2), two, 1e-11 * two, "%g", x);
  }
}

/* Percentage points of printed tables, four digits behind the point. */
Test(goodness, chi_square_matches_the_tables) {
  static const struct {
    double freedom, p, x;
  } row[] = {{1, 0.05, 3.8415},      {3, 0.05, 7.8147},   {10, 0.05, 18.3070},
             {19, 0.05, 30.1435},    {30, 0.01, 50.8922}, {100, 0.05, 124.3421},
             {100, 0.001, 149.4493}, {5, 0.995, 0.4117},  {50, 0.95, 34.7643}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    const double low = isc_chi_square_upper(row[i].x + 6e-5, row[i].freedom),
                 high = isc_chi_square_upper(row[i].x - 6e-5, row[i].freedom);
    cr_assert(low <= row[i].p && row[i].p <= high, "row %zu: %.8g … %.8g", i, low, high);
  }
}

/* With many degrees of freedom Wilson and Hilferty's cube root is normal; its own error there is a few 1e-5. */
Test(goodness, thousands_of_degrees_of_freedom_are_nearly_normal) {
  const double freedom[] = {1000, 20000};
  for (int i = 0; i < 2; i++) {
    const double f = freedom[i], c = 2 / (9 * f);
    for (double z = -3; z <= 3; z += 1) {
      const double x = f * pow(1 - c + z * sqrt(c), 3);
      cr_assert_float_eq(isc_chi_square_upper(x, f), erfc(z / sqrt(2)) / 2, 2e-4, "%g %g", f, z);
    }
  }
}

Test(goodness, the_ends_are_defined) {
  cr_assert_eq(isc_chi_square_upper(0, 3), 1);
  cr_assert_eq(isc_chi_square_upper(-1, 3), 1);
  cr_assert_eq(isc_chi_square_upper(INFINITY, 3), 0);
  cr_assert(isnan(isc_chi_square_upper(1, 0)));
  cr_assert(isnan(isc_gamma_upper(-1, 1)));
  cr_assert(isnan(isc_gamma_upper(1, NAN)));
}

/* 60 throws of a die, a textbook's: (5, 8, 9, 8, 10, 20) has X² = 13.4 with 5 degrees of freedom. */
Test(goodness, pearsons_statistic_is_the_textbooks) {
  const int64_t count[] = {5, 8, 9, 8, 10, 20};
  const double expected[] = {10, 10, 10, 10, 10, 10};
  const isc_fit f = isc_fit_expected(6, count, expected);
  cr_assert_float_eq(f.x, 13.4, 1e-12);
  cr_assert_eq(f.freedom, 5);
  cr_assert_float_eq(isc_fit_p(f), 0.0199, 1e-4);
}

Test(goodness, small_cells_are_joined) {
  const int64_t count[] = {50, 1, 2, 3, 44};
  const double expected[] = {48, 2, 2, 2, 46};
  isc_fit f = isc_fit_expected(5, count, expected); /* 2 + 2 + 2 stand together */
  cr_assert_eq(f.freedom, 2);
  cr_assert_float_eq(f.x, 4. / 48 + 0 + 4. / 46, 1e-12);
  f = isc_fit_expected(3, (const int64_t[]){50, 1, 49}, (const double[]){48, 4, 48});
  cr_assert_eq(f.freedom, 1); /* the 4 goes to the first 48 */
  cr_assert_float_eq(f.x, 1. / 52 + 1. / 48, 1e-12);
  f = isc_fit_expected(1, (const int64_t[]){7}, (const double[]){7});
  cr_assert_eq(f.freedom, 0);
  cr_assert_eq(isc_fit_p(f), 1);
  f = isc_fit_expected(2, (const int64_t[]){7, 1}, (const double[]){8, 0});
  cr_assert_eq(isc_fit_p(f), 0, "what cannot happen did");
}

/* Two samples of equal size: the statistic is Σ (a − b)²/(a + b). */
Test(goodness, two_samples_of_one_size) {
  const isc_fit f =
      isc_fit_samples(3, (const int64_t[]){30, 50, 20}, (const int64_t[]){20, 50, 30});
  cr_assert_float_eq(f.x, 100. / 50 + 0 + 100. / 50, 1e-12);
  cr_assert_eq(f.freedom, 2);
}

/* Under the hypothesis p is uniform: of 2000, the share below 0.1 is 0.1 ± 0.03 (4.5 standard errors). */
Test(goodness, p_is_uniform_when_the_hypothesis_holds) {
  enum { TESTS = 2000, CELLS = 8, DRAWS = 800 };
  const uint64_t seed = 20240607;
  int below = 0, both = 0;
  for (uint64_t t = 0; t < TESTS; t++) {
    int64_t a[CELLS] = {0}, b[CELLS] = {0};
    double expected[CELLS];
    isc_rng r = isc_rng_at(seed, ISC_RNG_USER, t);
    for (int i = 0; i < DRAWS; i++)
      a[isc_rng_below(&r, CELLS)]++;
    for (int i = 0; i < DRAWS / 2; i++)
      b[isc_rng_below(&r, CELLS)]++;
    for (int i = 0; i < CELLS; i++)
      expected[i] = (double)DRAWS / CELLS;
    below += isc_fit_p(isc_fit_expected(CELLS, a, expected)) < 0.1;
    both += isc_fit_p(isc_fit_samples(CELLS, a, b)) < 0.1;
  }
  cr_assert_float_eq((double)below / TESTS, 0.1, 0.03, "seed %llu", (unsigned long long)seed);
  cr_assert_float_eq((double)both / TESTS, 0.1, 0.03, "seed %llu", (unsigned long long)seed);
}

/* Bounds 0.05/4, 0.05/3, 0.05/2, 0.05: 0.01 and 0.013 fall, 0.03 does not, nor what comes behind it. */
Test(goodness, holm_steps_down_and_stops) {
  const double p[] = {0.03, 0.01, 0.04, 0.013};
  bool rejected[4];
  cr_assert_eq(isc_holm(4, p, 0.05, rejected), 2);
  cr_assert(!rejected[0] && rejected[1] && !rejected[2] && rejected[3]);
  cr_assert_eq(isc_holm(4, p, 0.01, NULL), 0);
  cr_assert_eq(isc_holm(0, p, 0.05, NULL), 0);
  cr_assert_eq(isc_holm(1, (const double[]){NAN}, 0.05, rejected), 1);
}
