/* SPDX-License-Identifier: Apache-2.0
 *
 * Lift over chance is tested as it says: exact for zeros and ones, at most a share α of false discoveries, and few missed.
 */
#include "base/base.h"
#include "eval/lift.h"
#include "support.h"
#include <inversescope/rng.h>
#include <math.h>

/* n equal gains against one loss c: P(v·Γ(n) ≤ c·E) = E exp(−v·Γ(n)/c) = (1 + v/c)^−n. */
Test(lift, tail_of_equal_gains_has_a_closed_form) {
  static const int sizes[] = {1, 3, 10, 64, 256};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (double v = 0.05; v < 1; v += 0.3) {
      double a[257];
      const int n = sizes[s];
      for (int i = 0; i < n; i++)
        a[i] = v;
      a[n] = -0.25;
      const double want = pow(1 + v / 0.25, -n), got = isc_exponential_tail(n + 1, a);
      /* The formula's relative error is largest where one exponential stands alone. */
      cr_assert_float_eq(got, want, 0.11 * want, "n = %d, v = %g: %g, exactly %g", n, v, got, want);
    }
}

/* P(Bin(n, c) ≥ k), summed. */
static double binomial_upper(int n, int k, double c) {
  double sum = 0;
  for (int j = k; j <= n; j++)
    sum +=
        exp(lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1) + j * log(c) + (n - j) * log1p(-c));
  return sum;
}

static isc_lift of_zeros_and_ones(int n, int k, double chance) {
  double rate[300], level[300];
  isc_lift out;
  for (int i = 0; i < n; i++) {
    rate[i] = i < k;
    level[i] = chance;
  }
  isc_assert_ok(isc_lift_estimate(n, rate, level, &out));
  return out;
}

Test(lift, of_zeros_and_ones_is_the_binomial_test) {
  static const double chances[] = {0.05, 0.25, 0.5};
  enum { N = 200 };
  for (size_t c = 0; c < 3; c++)
    for (int k = 0; k <= N; k += 20) {
      const isc_lift got = of_zeros_and_ones(N, k, chances[c]);
      const double want = k == 0 ? 1 : binomial_upper(N, k, chances[c]);
      /* One exponential alone against all others, k = N, is where the formula is worst. */
      cr_assert_float_eq(got.p, want, (k == N ? 0.09 : 0.02) * want,
                         "k = %d, chance %g: %g, exactly %g", k, chances[c], got.p, want);
      cr_assert_float_eq(got.gain.estimate, k / (double)N - chances[c], 1e-12);
      /* Clopper–Pearson: at its ends the binomial's tails are 2.5 %. */
      const double lo = got.gain.lo + chances[c], hi = got.gain.hi + chances[c];
      if (k > 0) cr_assert_float_eq(binomial_upper(N, k, lo), 0.025, 5e-4);
      if (k < N) cr_assert_float_eq(1 - binomial_upper(N, k + 1, hi), 0.025, 5e-4);
      if (k == 0) cr_assert_float_eq(got.gain.lo, -chances[c], 1e-6);
      if (k == N) cr_assert_float_eq(got.gain.hi, 1 - chances[c], 1e-6);
    }
}

Test(lift, silent_conditions_are_left_out) {
  const double rate[] = {NAN, 1, 1, NAN, 0}, chance[] = {NAN, 0.5, 0.5, 0.9, 0.5};
  isc_lift got, none;
  isc_assert_ok(isc_lift_estimate(5, rate, chance, &got));
  cr_assert_eq(got.gain.n, 3);
  cr_assert_float_eq(got.p, of_zeros_and_ones(3, 2, 0.5).p, 1e-15);
  isc_assert_ok(isc_lift_estimate(1, rate, chance, &none));
  cr_assert(none.gain.n == 0 && isnan(none.p) && isnan(none.gain.estimate));
  const double no_rate = 0.5, no_chance = NAN;
  isc_assert_fails(isc_lift_estimate(1, &no_rate, &no_chance, &none), ISC_E_INTERNAL,
                   "condition 0");
}

/* The share of `m` matching samples, each with probability p. */
static double share(isc_rng *rng, double p, int m) {
  int hits = 0;
  for (int j = 0; j < m; j++)
    hits += isc_rng_uniform(rng) < p;
  return hits / (double)m;
}

Test(lift, interval_covers_a_known_lift) {
  enum { TRIALS = 400, N = 100 };
  int covered = 0;
  for (int t = 0; t < TRIALS; t++) {
    double rate[N], chance[N];
    isc_rng rng = isc_rng_at(5, ISC_RNG_USER, (uint64_t)t);
    isc_lift got;
    for (int c = 0; c < N; c++) { /* chance 0.1 or 0.3, the rate 0.2 above */
      chance[c] = c % 2 ? 0.1 : 0.3;
      rate[c] = share(&rng, chance[c] + 0.2, 4);
    }
    isc_assert_ok(isc_lift_estimate(N, rate, chance, &got));
    covered += got.gain.lo <= 0.2 && 0.2 <= got.gain.hi;
  }
  /* At least 95 % but for three standard errors of 400 trials. */
  cr_assert_geq(covered, (int)(TRIALS * 0.95 - 3 * sqrt(TRIALS * 0.95 * 0.05)));
}

/* Benjamini and Hochberg 1995, section 4: fifteen p values, of which the first four are discoveries at 5 %. */
Test(lift, false_discovery_is_the_published_table) {
  static const double p[] = {0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
                             0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000};
  /* p·15/rank, and the least of those from the rank on. */
  static const double want[] = {0.0015,
                                0.003,
                                0.0095,
                                0.035625,
                                0.0603,
                                0.06385714285714286,
                                0.06385714285714286,
                                0.0645,
                                0.0765,
                                0.486,
                                0.58118181818181818,
                                0.714875,
                                0.75323076923076923,
                                0.81321428571428571,
                                1};
  double q[15], shuffled[17], again[17];
  isc_assert_ok(isc_false_discovery(15, p, q));
  for (int i = 0; i < 15; i++)
    cr_assert_float_eq(q[i], want[i], 1e-14, "%d: %g", i, q[i]);
  shuffled[3] = shuffled[11] = NAN; /* no tests: they do not count */
  for (int i = 0, k = 0; i < 17; i++)
    if (i != 3 && i != 11) shuffled[i] = p[(k++ * 7) % 15];
  isc_assert_ok(isc_false_discovery(17, shuffled, again));
  for (int i = 0, k = 0; i < 17; i++)
    if (i == 3 || i == 11)
      cr_assert(isnan(again[i]));
    else
      cr_assert_eq(again[i], q[(k++ * 7) % 15]);
}

/* Studies of 40 hypotheses with labels of 2 to 20 values; the first `real` of them are echoed with probability 0.3. */
static void study(uint64_t index, int real, int *found, int *wrong) {
  enum { HYPOTHESES = 40, N = 60, M = 4 };
  double rate[N], chance[N], p[HYPOTHESES], q[HYPOTHESES];
  isc_rng rng = isc_rng_at(9, ISC_RNG_USER, index);
  for (int h = 0; h < HYPOTHESES; h++) {
    const double level = 1.0 / (2 + h % 19);
    isc_lift got;
    for (int c = 0; c < N; c++) {
      chance[c] = level;
      rate[c] = share(&rng, h < real ? 0.3 + 0.7 * level : level, M);
    }
    isc_assert_ok(isc_lift_estimate(N, rate, chance, &got));
    p[h] = got.p;
  }
  isc_assert_ok(isc_false_discovery(HYPOTHESES, p, q));
  *found = *wrong = 0;
  for (int h = 0; h < HYPOTHESES; h++)
    if (q[h] <= 0.05) ++*(h < real ? found : wrong);
}

Test(lift, null_data_give_few_discoveries) {
  enum { STUDIES = 300 };
  int any = 0, found, wrong;
  for (int t = 0; t < STUDIES; t++) {
    study((uint64_t)t, 0, &found, &wrong);
    any += wrong > 0;
  }
  /* With no effect at all the rate of false discoveries is the chance of any. Three standard errors of 300 studies. */
  cr_assert_leq(any, (int)(STUDIES * 0.05 + 3 * sqrt(STUDIES * 0.05 * 0.95)), "%d", any);
}

Test(lift, real_effects_are_found_among_nulls) {
  enum { STUDIES = 60, REAL = 10 };
  int hits = 0, found, wrong;
  double false_share = 0;
  for (int t = 0; t < STUDIES; t++) {
    study(1000 + (uint64_t)t, REAL, &found, &wrong);
    hits += found;
    false_share += found + wrong ? wrong / (double)(found + wrong) : 0;
  }
  cr_assert_geq(hits, (int)(0.95 * STUDIES * REAL), "%d of %d", hits, STUDIES * REAL);
  cr_assert_leq(false_share / STUDIES, 0.05);
}

Test(lift, every_failed_allocation_is_reported) {
  const double rate[] = {1, 0}, chance[] = {0.5, 0.5};
  double q[2];
  isc_lift out;
  for (int k = 1; k <= 2; k++) {
    isc_alloc_fail_at(k);
    const isc_status st = isc_lift_estimate(2, rate, chance, &out);
    isc_alloc_fail_at(0);
    cr_assert_eq(st, ISC_E_NOMEM);
  }
  isc_alloc_fail_at(1);
  const isc_status st = isc_false_discovery(2, rate, q);
  isc_alloc_fail_at(0);
  cr_assert_eq(st, ISC_E_NOMEM);
}
