/* SPDX-License-Identifier: Apache-2.0
 *
 * What sparse features and distances ask of a backend: thresholds with their straight-through gradient, and the sums from
 * which the evaluation's distances follow.
 *
 * Thresholds are held against loops in double written here, distances against the evaluation's own.
 */
#include "backend_fixture.h"
#include "eval/distance.h"

static const int64_t widths[] = {1, 2, 15, 16, 17, 33, 64, 131};

/* ---- thresholds */

static float *thresholds(int64_t d) {
  float *theta = be_floats(d, 9);
  for (int64_t j = 0; j < d; j++)
    theta[j] = 0.1f + fabsf(theta[j]);
  return theta;
}

Test(backend_features, a_unit_is_active_above_its_threshold_alone) {
  enum { ROWS = 7 };
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
    const int64_t d = widths[k];
    float *x = be_floats(ROWS * d, 1), *theta = thresholds(d), *y = be_floats(ROWS * d, 0);
    float *l0 = be_floats(ROWS, 0), *alone = be_floats(d, 0), number = NAN;
    for (int64_t j = 0; j < d; j++) {
      x[j] = theta[j];                                /* a row at its thresholds, */
      x[d + j] = nextafterf(theta[j], INFINITY);      /* one just above,          */
      x[2 * d + j] = nextafterf(theta[j], -INFINITY); /* and one just below       */
    }
    isc_jumprelu a = {.rows = ROWS, .d = d, .x = x, .theta = theta, .y = y, .l0 = l0};
    isc_assert_ok(be.ops->jumprelu(be.impl, &a));
    for (int64_t r = 0; r < ROWS; r++) {
      int64_t active = 0;
      for (int64_t j = 0; j < d; j++) {
        const float v = x[r * d + j];
        active += v > theta[j];
        cr_assert_eq(y[r * d + j], v > theta[j] ? v : 0.0f, "%s", be.level);
      }
      cr_assert_eq(l0[r], (float)active, "%s row %d", be.level, (int)r);
    }
    cr_assert_eq(l0[0], 0.0f);
    cr_assert_eq(l0[1], (float)d);
    cr_assert_eq(l0[2], 0.0f);
    a.rows = 1;
    a.x = x + 3 * d;
    a.y = alone;
    a.l0 = &number;
    isc_assert_ok(be.ops->jumprelu(be.impl, &a));
    BE_SAME_BITS(alone, y + 3 * d, d, "row 3 alone");
    cr_assert_eq(number, l0[3]);
    float *all[] = {x, theta, y, l0, alone};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      be_free(all[i]);
  }
}

Test(backend_features, what_is_no_number_goes_through_a_threshold) {
  BE_EACH_LEVEL(be, 1) {
    const float x[3] = {NAN, INFINITY, -INFINITY}, theta[3] = {1, 1, 1}, dy[3] = {2, 3, 4};
    float y[3], dx[3], l0 = -1, dtheta[3] = {5, 6, 7};
    const isc_jumprelu a = {.rows = 1, .d = 3, .x = x, .theta = theta, .y = y, .l0 = &l0};
    isc_assert_ok(be.ops->jumprelu(be.impl, &a));
    cr_assert(isnan(y[0]) && y[1] == INFINITY && y[2] == 0, "%s", be.level);
    cr_assert_eq(l0, 1.0f);
    const isc_jumprelu g = {.rows = 1,
                            .d = 3,
                            .x = x,
                            .theta = theta,
                            .width = 1,
                            .dy = dy,
                            .dx = dx,
                            .dtheta = dtheta};
    isc_assert_ok(be.ops->jumprelu_grad(be.impl, &g));
    cr_assert(dx[0] == 2 && dx[1] == 3 && dx[2] == 0, "%s", be.level);
    cr_assert(dtheta[0] == 5 && dtheta[1] == 6 && dtheta[2] == 7, "%s", be.level);
  }
}

/* The estimate of one threshold, by its formula; x − θ is rounded to f32 as the contract says. */
static double estimate(const isc_jumprelu *a, int64_t j, double before, double *terms) {
  double sum = before;
  *terms = fabs(before);
  for (int64_t r = 0; r < a->rows; r++) {
    const float from = a->x[r * a->d + j] - a->theta[j];
    if (!(fabs((double)from / (double)a->width) < 0.5)) continue;
    const double of_value = -(double)a->theta[j] / (double)a->width * (double)a->dy[r * a->d + j],
                 of_number = -1 / (double)a->width * (double)a->dl0[r];
    sum += of_value + of_number;
    *terms += fabs(of_value) + fabs(of_number);
  }
  return sum;
}

Test(backend_features, a_threshold_learns_from_what_is_near_it) {
  enum { ROWS = 200 };
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
    const int64_t d = widths[k];
    float *x = be_floats(ROWS * d, 1), *theta = thresholds(d), *dy = be_floats(ROWS * d, 2);
    float *dl0 = be_floats(ROWS, 3), *dx = be_floats(ROWS * d, 0), *dtheta = be_floats(d, 4);
    float *before = be_copy(dtheta, d), *single = be_copy(dtheta, d);
    isc_jumprelu a = {.rows = ROWS,
                      .d = d,
                      .x = x,
                      .theta = theta,
                      .width = 0.75f,
                      .dy = dy,
                      .dl0 = dl0,
                      .dx = dx,
                      .dtheta = dtheta};
    isc_assert_ok(be.ops->jumprelu_grad(be.impl, &a));
    int64_t learned = 0;
    for (int64_t j = 0; j < d; j++) {
      double terms;
      const double want = estimate(&a, j, (double)before[j], &terms);
      BE_CLOSE(dtheta[j], want, terms, "%s d %lld", be.level, (long long)d);
      learned += dtheta[j] != before[j];
    }
    cr_assert_eq(learned, d, "a kernel that no value is in shows nothing");
    for (int64_t i = 0; i < ROWS * d; i++)
      cr_assert_eq(dx[i], x[i] > theta[i % d] ? dy[i] : 0.0f);
    backend one;
    cr_assert(be_open(level_, 1, &one));
    a.dtheta = single;
    a.dx = dy; /* in place */
    isc_assert_ok(one.ops->jumprelu_grad(one.impl, &a));
    BE_SAME_BITS(single, dtheta, d, "threads");
    BE_SAME_BITS(dy, dx, ROWS * d, "in place");
    be_close(&one);
    float *all[] = {x, theta, dy, dl0, dx, dtheta, before, single};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      be_free(all[i]);
  }
}

/* ---- distances */

/* As eval/distance.c makes them of the same sums. */
static isc_separation separation_of(double dot, double aa, double bb, double apart, double chord) {
  const double norm = sqrt(aa), norm_hat = sqrt(bb);
  if (norm == 0 && norm_hat == 0) return (isc_separation){0, 1, 0};
  if (norm_hat == 0) return (isc_separation){1, INFINITY, INFINITY};
  if (norm == 0) return (isc_separation){1, 0, 1};
  const double d = 1 - dot / norm / norm_hat;
  return (isc_separation){d > 1e-3 ? fmin(d, 2) : chord / 2, norm / norm_hat,
                          sqrt(apart) / norm_hat};
}

static void alike(double got, double want, const char *level, int64_t i) {
  if (isinf(want))
    cr_assert_eq(got, want, "%s pair %d", level, (int)i);
  else
    cr_assert(fabs(got - want) <= 1e-9 * fabs(want) + 1e-24, "%s pair %d: %.17g against %.17g",
              level, (int)i, got, want);
}

/* Far apart, within 1e-6 of each other, equal, opposite, and zeros on either side. */
static void make_pairs(int64_t n, int64_t dim, int64_t group, float *a, float *b) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < dim; j++) {
      float *x = &a[i * dim + j], *y = &b[i / group * dim + j];
      if (i % 5 == 1) *x = *y * (1 + 1e-6f * *x);
      if (i % 5 == 2) *x = *y;
      if (i % 5 == 3) *x = -2 * *y;
      if (i % 5 == 4) *x = 0;
    }
  for (int64_t j = 0; j < dim; j++)
    b[(n - 1) / group * dim + j] = 0;
}

Test(backend_features, the_evaluations_distances_follow_from_the_sums) {
  enum { N = 22 };
  const int64_t groups[] = {1, 4, 7};
  BE_EACH_LEVEL(be, 2)
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++)
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
      const int64_t dim = widths[k], group = groups[g], of_b = (N + group - 1) / group;
      float *a = be_floats(N * dim, 1), *b = be_floats(of_b * dim, 2);
      double out[5][N];
      make_pairs(N, dim, group, a, b);
      isc_distances d = {.n = N, .dim = dim, .group = group, .a = a, .b = b};
      d.dot = out[0];
      d.aa = out[1];
      d.bb = out[2];
      d.apart = out[3];
      d.chord = out[4];
      isc_assert_ok(be.ops->distances(be.impl, &d));
      for (int64_t i = 0; i < N; i++) {
        const isc_separation want = isc_separate(dim, a + i * dim, b + i / group * dim),
                             got = separation_of(out[0][i], out[1][i], out[2][i], out[3][i],
                                                 out[4][i]);
        alike(got.angular, want.angular, be.level, i);
        alike(got.norm_ratio, want.norm_ratio, be.level, i);
        alike(got.normalised, want.normalised, be.level, i);
      }
      be_free(a);
      be_free(b);
    }
}

Test(backend_features, nothing_to_do_is_done) {
  BE_EACH_LEVEL(be, 1) {
    const isc_jumprelu j[] = {{.rows = 0, .d = 4, .width = 1}, {.rows = 4, .d = 0, .width = 1}};
    const isc_distances d[] = {{.n = 0, .dim = 4, .group = 1}, {.n = 4, .dim = 0, .group = 2}};
    for (int i = 0; i < 2; i++) {
      isc_assert_ok(be.ops->jumprelu(be.impl, &j[i]));
      isc_assert_ok(be.ops->jumprelu_grad(be.impl, &j[i]));
      isc_assert_ok(be.ops->distances(be.impl, &d[i]));
    }
  }
}
