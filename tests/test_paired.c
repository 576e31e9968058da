/* SPDX-License-Identifier: Apache-2.0
 *
 * Paired differences and rank correlation against their definitions.
 */
#include "eval/paired.h"
#include "support.h"
#include <inversescope/rng.h>
#include <math.h>

enum { N = 200 };

static isc_pair run(int64_t n, const double *a, const double *b) {
  const isc_paired p = {
      .n = n, .columns = 1, .resamples = 1000, .a = a, .b = b, .seed = 3, .index = 9};
  isc_pair out;
  isc_assert_ok(isc_paired_run(&p, &out));
  return out;
}

Test(paired, a_difference_that_is_the_same_everywhere_is_found_under_any_spread) {
  double a[N], b[N];
  isc_rng rng = isc_rng_at(1, ISC_RNG_USER, 0);
  for (int i = 0; i < N; i++) {
    b[i] = 0.9 * isc_rng_uniform(&rng);
    a[i] = b[i] + 0.05;
  }
  const isc_pair p = run(N, a, b);
  cr_assert_float_eq(p.difference.estimate, 0.05, 1e-12);
  cr_assert_float_eq(p.a - p.b, 0.05, 1e-12);
  cr_assert(p.difference.lo > 0.02 && p.difference.hi < 0.08,
            "the spread of the conditions, 0.26 each, is not the difference's: [%g, %g]",
            p.difference.lo, p.difference.hi);
  cr_assert_eq(p.difference.n, N);
}

Test(paired, only_conditions_with_both_answers_count) {
  const double a[] = {1, NAN, 0.5, 0}, b[] = {0, 0.3, NAN, 0};
  const isc_pair p = run(4, a, b);
  cr_assert_float_eq(p.a, 0.5, 1e-15);
  cr_assert_float_eq(p.b, 0, 1e-15);
  cr_assert_eq(p.difference.n, 2);
  const double none[] = {NAN, NAN}, some[] = {1, 0};
  const isc_pair q = run(2, none, some);
  cr_assert(q.difference.n == 0 && isnan(q.a) && isnan(q.difference.estimate));
}

/* Under no difference at all an interval of 95 % holds 0 that often, or more: it is a bound. */
Test(paired, intervals_cover) {
  enum { TRIALS = 400, CONDITIONS = 40 };
  int held = 0;
  double a[CONDITIONS], b[CONDITIONS];
  for (int t = 0; t < TRIALS; t++) {
    isc_rng rng = isc_rng_at(2, ISC_RNG_USER, (uint64_t)t);
    for (int i = 0; i < CONDITIONS; i++) {
      const double common = 0.5 * isc_rng_uniform(&rng);
      a[i] = common + 0.5 * isc_rng_uniform(&rng);
      b[i] = common + 0.5 * isc_rng_uniform(&rng);
    }
    const isc_pair p = run(CONDITIONS, a, b);
    held += p.difference.lo <= 0 && p.difference.hi >= 0;
  }
  cr_assert(held >= 0.94 * TRIALS, "%d of %d", held, TRIALS);
}

Test(paired, means_over_rows_leave_out_what_one_side_lacks) {
  const double a[] = {1, 2, NAN, /**/ 3, NAN, NAN}, b[] = {5, NAN, 1, /**/ 7, 8, NAN};
  double ma[3], mb[3];
  isc_paired_means(2, 3, a, b, ma, mb);
  cr_assert(ma[0] == 2 && mb[0] == 6 && isnan(ma[1]) && isnan(mb[1]) && isnan(ma[2]));
}

Test(paired, spearman_by_hand) {
  const double x[] = {1, 2, 3, 4, 5}, up[] = {10, 20, 30, 1000, 1001}, down[] = {5, 4, 3, 2, 1},
               ties[] = {1, 1, 2, 3, 3}, with_gap[] = {2, NAN, 1, 4, 3}, flat[] = {7, 7, 7, 7, 7};
  double rho;
  isc_assert_ok(isc_spearman(5, x, up, &rho));
  cr_assert_float_eq(rho, 1, 1e-15);
  isc_assert_ok(isc_spearman(5, x, down, &rho));
  cr_assert_float_eq(rho, -1, 1e-15);
  /* ranks 1.5 1.5 3 4.5 4.5 and 1 … 5: covariance 9, variances 9 and 10 */
  isc_assert_ok(isc_spearman(5, x, ties, &rho));
  cr_assert_float_eq(rho, 9 / sqrt(90), 1e-15);
  /* ranks 1 2 3 4 and 2 1 4 3: 1 − 6·4/(4·15) */
  isc_assert_ok(isc_spearman(5, x, with_gap, &rho));
  cr_assert_float_eq(rho, 0.6, 1e-15);
  isc_assert_ok(isc_spearman(5, x, flat, &rho));
  cr_assert(isnan(rho));
  isc_assert_ok(isc_spearman(1, x, up, &rho));
  cr_assert(isnan(rho));
}
