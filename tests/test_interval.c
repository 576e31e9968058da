/* SPDX-License-Identifier: Apache-2.0
 *
 * Intervals cover what they claim to cover, and quantiles are quantiles.
 */
#include "eval/interval.h"
#include "support.h"
#include <inversescope/noise_law.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tables of Student's t, 97.5 %. */
Test(interval, student_matches_the_tables) {
  static const struct {
    int64_t freedom;
    double t;
  } row[] = {{1, 12.7062047},  {2, 4.3026527},   {3, 3.1824463},  {5, 2.5705818},
             {10, 2.2281389},  {30, 2.0422725},  {60, 2.0002978}, {99, 1.9842170},
             {100, 1.9839715}, {1000, 1.9623391}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    cr_assert_float_eq(isc_student_975(row[i].freedom), row[i].t, 1e-6, "%d", (int)row[i].freedom);
}

Test(interval, t_is_the_textbook_formula) {
  const double x[] = {0.2, NAN, 0.4, 0.9, 0.5};
  isc_interval i = isc_interval_t(5, x);
  cr_assert_eq(i.n, 4);
  cr_assert_float_eq(i.estimate, 0.5, 1e-15);
  double s = sqrt((0.09 + 0.01 + 0.16 + 0) / 3);
  cr_assert_float_eq(i.hi - i.estimate, 3.1824463 * s / 2, 1e-7);
  cr_assert_float_eq(i.estimate - i.lo, 3.1824463 * s / 2, 1e-7);
}

static isc_interval boot(int64_t n, const double *value, uint64_t index) {
  const isc_bootstrap b = {
      .n = n, .columns = 1, .resamples = 1000, .value = value, .seed = 5, .index = index};
  isc_interval out;
  isc_assert_ok(isc_interval_bootstrap(&b, &out));
  return out;
}

/* k of n ones: Clopper–Pearson's ends, by bisection of the binomial tail. */
static double clopper_pearson(int n, int k, bool upper) {
  double lo = 0, hi = 1;
  for (int it = 0; it < 100; it++) {
    double p = (lo + hi) / 2, tail = 0;
    for (int j = upper ? 0 : k; j <= (upper ? k : n); j++)
      tail +=
          exp(lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1) + j * log(p) + (n - j) * log1p(-p));
    if ((tail > 0.025) == upper)
      lo = p;
    else
      hi = p;
  }
  return lo;
}

Test(interval, bootstrap_of_zeros_and_ones_is_clopper_pearson) {
  enum { N = 64 };
  for (int k = 0; k <= N; k += 16) {
    double x[N];
    for (int i = 0; i < N; i++)
      x[i] = i < k;
    isc_interval got = boot(N, x, (uint64_t)k);
    double lo = k == 0 ? 0 : clopper_pearson(N, k, false),
           hi = k == N ? 1 : clopper_pearson(N, k, true);
    cr_assert_float_eq(got.estimate, k / (double)N, 1e-12);
    /* 1000 resamples: a 2.5 % quantile has a standard error of about 8 % of a standard deviation of 0.06. */
    cr_assert_float_eq(got.lo, lo, 0.02, "k = %d: %g, exactly %g", k, got.lo, lo);
    cr_assert_float_eq(got.hi, hi, 0.02, "k = %d: %g, exactly %g", k, got.hi, hi);
  }
}

/* Conditions with a consistency each, and a few correlated samples within: what the report averages. */
static double condition(isc_rng *rng, double mean, double spread, int samples) {
  double p = isc_rng_uniform(rng) < spread ? (isc_rng_uniform(rng) < mean) : mean;
  int hits = 0;
  for (int j = 0; j < samples; j++)
    hits += isc_rng_uniform(rng) < p;
  return (double)hits / samples;
}

/* Of REPEATS intervals about 95 % must hold the truth, not less; binomial noise is 1.1 % (one sigma). */
static void check_coverage(int n, double mean, double spread, double least) {
  enum { REPEATS = 400, MOST = 200 };
  int held = 0, naive = 0;
  double width = 0, t_width = 0;
  for (int r = 0; r < REPEATS; r++) {
    double x[MOST];
    isc_rng rng = isc_rng_at(31, ISC_RNG_USER, (uint64_t)(r + 1000 * n));
    for (int i = 0; i < n; i++)
      x[i] = condition(&rng, mean, spread, 16);
    const isc_bootstrap b = {
        .n = n, .columns = 1, .resamples = 200, .value = x, .seed = 5, .index = (uint64_t)r};
    isc_interval got, t = isc_interval_t(n, x);
    isc_assert_ok(isc_interval_bootstrap(&b, &got));
    held += got.lo <= mean && mean <= got.hi;
    width += got.hi - got.lo;
    t_width += t.hi - t.lo;
    double se = 1.96 * sqrt(got.estimate * (1 - got.estimate) / (16.0 * n));
    naive += fabs(got.estimate - mean) <= se;
  }
  cr_assert_geq(held, least * REPEATS, "n %d mean %g spread %g: %d of %d", n, mean, spread, held,
                REPEATS);
  /* Conservative by about 1/n, not more. */
  if (mean > 0.2 && mean < 0.8)
    cr_assert_lt(width, t_width * (1 + 6.0 / n), "%g against %g", width, t_width);
  /* The interval that forgets clusters must fail here, or this test could not. */
  if (spread > 0.9) cr_assert_lt(naive, 0.7 * REPEATS);
}

Test(interval, bootstrap_covers_clustered_shares) {
  check_coverage(64, 0.5, 1.0, 0.93);
  check_coverage(64, 0.5, 0.3, 0.93);
  check_coverage(64, 0.97, 1.0, 0.93);
  check_coverage(20, 0.9, 0.5, 0.93);
  check_coverage(20, 0.03, 1.0, 0.93);
  check_coverage(200, 0.99, 0.2, 0.93);
}

Test(interval, agreement_of_all_conditions_is_not_certainty) {
  double ones[30], nearly[30];
  for (int i = 0; i < 30; i++)
    ones[i] = nearly[i] = 1;
  nearly[3] = 0.999;
  isc_interval a = boot(30, ones, 1), b = boot(30, nearly, 1);
  cr_assert(a.hi == 1 && a.lo < 0.93 && a.lo > 0.83);
  cr_assert_float_eq(a.lo, b.lo, 1e-3); /* no jump between all and nearly all */
}

Test(interval, columns_share_weights_and_skip_what_says_nothing) {
  double x[3 * 8];
  for (int i = 0; i < 8; i++) {
    x[i] = i / 7.0;
    x[8 + i] = i < 5 ? i / 7.0 : NAN;
    x[16 + i] = NAN;
  }
  isc_interval many[3], one = boot(8, x, 4);
  const isc_bootstrap b = {
      .n = 8, .columns = 3, .resamples = 1000, .value = x, .seed = 5, .index = 4};
  isc_assert_ok(isc_interval_bootstrap(&b, many));
  cr_assert(many[0].lo == one.lo && many[0].hi == one.hi && many[0].n == 8);
  cr_assert_eq(many[1].n, 5);
  cr_assert_float_eq(many[1].estimate, 2 / 7.0, 1e-15);
  cr_assert(many[2].n == 0 && isnan(many[2].estimate) && isnan(many[2].lo) && isnan(many[2].hi));
}

Test(interval, a_value_that_is_no_share_is_refused) {
  const double x[] = {0.5, 1.5};
  const isc_bootstrap b = {.n = 2, .columns = 1, .resamples = 100, .value = x};
  isc_interval out;
  isc_assert_fails(isc_interval_bootstrap(&b, &out), ISC_E_INTERNAL, "1.5");
}

Test(quantiles, interpolate_between_order_statistics) {
  const double x[] = {4, NAN, 1, 3, 2}, p[] = {0, 0.25, 0.5, 1},
               tail[] = {1, 2, INFINITY, INFINITY};
  double out[4];
  isc_assert_ok(isc_quantiles(5, x, 4, p, out)); /* R: quantile(1:4, p) */
  cr_assert(out[0] == 1 && out[1] == 1.75 && out[2] == 2.5 && out[3] == 4);
  isc_assert_ok(isc_quantiles(4, tail, 4, p, out));
  cr_assert(out[0] == 1 && out[1] == 1.75 && out[2] == INFINITY && out[3] == INFINITY);
  isc_assert_ok(isc_quantiles(0, NULL, 1, p, out));
  cr_assert(isnan(out[0]));
}

static double log_hard(double ratio) {
  return ratio * 0;
}

static isc_status no_open(const void *conf, int64_t dim, void **self) {
  (void)conf, (void)dim, (void)self;
  return ISC_E_UNSUPPORTED;
}

/* A uniform ball's radius: P(d ≤ t) = (t/ε)^n. */
Test(quantiles, of_a_kernels_noise_invert_its_law) {
  static const isc_kernel_ops ops = ISC_NOISE_LAW_OPS(no_open);
  const isc_noise_spec spec = {sizeof spec, ISC_EUCLIDEAN, ISC_LEBESGUE, 10, 0.3, 0, log_hard, 1};
  isc_kernel k = {.ops = &ops};
  isc_assert_ok(isc_noise_law_open(&spec, &k.self));
  const double p[] = {0.05, 0.5, 0.95};
  double q[3];
  isc_noise_quantiles(&k, 3, p, q);
  for (int i = 0; i < 3; i++)
    cr_assert_float_eq(q[i], 0.3 * pow(p[i], 0.1), 1e-12);
  isc_noise_law_close(k.self);
}
