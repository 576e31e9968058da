/* SPDX-License-Identifier: Apache-2.0
 *
 * The smoothed curve is Nadaraya and Watson's, and finds a curve that is known.
 */
#include "base/base.h"
#include "eval/smooth.h"
#include "support.h"
#include <inversescope/rng.h>
#include <math.h>

Test(smooth, bandwidth_is_silvermans) {
  /* 0 … 8: s² = 7.5, quartiles 2 and 6 (type 7), so IQR/1.34 = 2.985 > s = 2.739. */
  const double even[] = {0, 1, 2, 3, 4, 5, 6, 7, 8}, wide[] = {0, 4, 4.5, 5, 5.5, 6, 100};
  double h;
  isc_assert_ok(isc_smooth_bandwidth(9, even, &h));
  cr_assert_float_eq(h, 0.9 * sqrt(7.5) * pow(9, -0.2), 1e-12);
  /* Quartiles 4.25 and 5.75: one far point does not widen it. */
  isc_assert_ok(isc_smooth_bandwidth(7, wide, &h));
  cr_assert_float_eq(h, 0.9 * 1.5 / 1.34 * pow(7, -0.2), 1e-12);
  /* Quartiles that are the same leave the deviation. */
  const double heap[] = {1, 1, 1, 1, 2};
  isc_assert_ok(isc_smooth_bandwidth(5, heap, &h));
  cr_assert_float_eq(h, 0.9 * sqrt(0.2) * pow(5, -0.2), 1e-12);
  isc_assert_ok(isc_smooth_bandwidth(4, heap, &h));
  cr_assert_eq(h, 0);
  isc_assert_ok(isc_smooth_bandwidth(1, even, &h));
  cr_assert_eq(h, 0);
}

Test(smooth, estimate_is_the_weighted_mean) {
  const double x[] = {0, 1, 3}, y[] = {1, 0, 1}, w[] = {2, 1, 0};
  double ess;
  const double g0 = exp(-0.5 * 0.25 / 4), g1 = g0, g3 = exp(-0.5 * 6.25 / 4); /* at 0.5, h = 2 */
  cr_assert_float_eq(isc_smooth_at(3, x, y, NULL, 2, 0.5, &ess), (g0 + g3) / (g0 + g1 + g3), 1e-14);
  cr_assert_float_eq(ess, pow(g0 + g1 + g3, 2) / (g0 * g0 + g1 * g1 + g3 * g3), 1e-12);
  cr_assert_float_eq(isc_smooth_at(3, x, y, w, 2, 0.5, &ess), 2.0 / 3, 1e-14);
  cr_assert_float_eq(ess, 9.0 / 5, 1e-12);
  cr_assert(isnan(isc_smooth_at(3, x, y, NULL, 0.01, 100, &ess)) && ess == 0);
  cr_assert(isnan(isc_smooth_at(0, x, y, NULL, 1, 0, &ess)));
}

Test(smooth, nearest_is_the_kth_distance) {
  const double x[] = {3, 0, 10, 4};
  static const double want[] = {0.5, 0.5, 3.5, 6.5}; /* from 3.5 */
  double got;
  for (int k = 1; k <= 4; k++) {
    isc_assert_ok(isc_smooth_nearest(4, x, 3.5, k, &got));
    cr_assert_float_eq(got, want[k - 1], 1e-12, "%d: %g", k, got);
  }
  isc_assert_ok(isc_smooth_nearest(1, x, 1, 1, &got));
  cr_assert_eq(got, 2);
}

/* Matches with probability 0.9 below 0.2 and 0.2 above: the plateau of a head that holds the feature. */
Test(smooth, a_known_curve_is_found) {
  enum { N = 4000 };
  static double x[N], y[N];
  isc_rng rng = isc_rng_at(2, ISC_RNG_USER, 0);
  double h, ess;
  for (int i = 0; i < N; i++) {
    x[i] = 0.5 * isc_rng_uniform(&rng);
    y[i] = isc_rng_uniform(&rng) < (x[i] < 0.2 ? 0.9 : 0.2);
  }
  isc_assert_ok(isc_smooth_bandwidth(N, x, &h));
  cr_assert(h > 0.01 && h < 0.05);
  for (double at = 0; at <= 0.5; at += 0.05) {
    const double got = isc_smooth_at(N, x, y, NULL, h, at, &ess);
    const double low = (at - 0.2) / h; /* the step, smoothed by the Gaussian */
    const double want = 0.2 + 0.7 * erfc(low / M_SQRT2) / 2;
    /* Four standard errors of a mean of `ess` coins, and the curvature that a window at an end cannot see. */
    cr_assert_float_eq(got, want, 4 * sqrt(0.25 / ess) + 0.01, "at %g: %g, not %g", at, got, want);
  }
}

Test(smooth, a_failed_allocation_is_reported) {
  const double x[] = {1, 2};
  double h;
  isc_alloc_fail_at(1);
  const isc_status st = isc_smooth_bandwidth(2, x, &h);
  isc_alloc_fail_at(0);
  cr_assert_eq(st, ISC_E_NOMEM);
}
