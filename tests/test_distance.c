/* SPDX-License-Identifier: Apache-2.0
 *
 * Distances from stored factors agree with the activations' own, and the ball search with all of them.
 */
#include "eval/ball.h"
#include "support.h"
#include <inversescope/tensor.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float *normals(uint64_t stream, int64_t n) {
  float *x = calloc((size_t)n, sizeof *x);
  isc_rng rng = isc_rng_at(21, ISC_RNG_USER, stream);
  isc_rng_normals(&rng, x, n);
  return x;
}

/* d of a·map against b·map, by the definitions, in long double. */
static double direct(isc_geometry g, double band, const isc_site *s, const float *a,
                     const float *b) {
  long double dot = 0, aa = 0, bb = 0, apart = 0;
  for (int64_t j = 0; j < s->dim; j++) {
    long double x = 0, y = 0;
    for (int64_t i = 0; i < s->stored; i++) {
      x += (long double)a[i] * (s->map ? s->map[i * s->dim + j] : i == j);
      y += (long double)b[i] * (s->map ? s->map[i * s->dim + j] : i == j);
    }
    dot += x * y;
    aa += x * x;
    bb += y * y;
    apart += (x - y) * (x - y);
  }
  if (g == ISC_EUCLIDEAN) return (double)sqrtl(apart);
  if (g == ISC_NORMALISED) return (double)sqrtl(apart / bb);
  if (band > 0 && fabsl(sqrtl(aa) - sqrtl(bb)) >= band * sqrtl(bb)) return INFINITY;
  return (double)(1 - dot / sqrtl(aa * bb));
}

static void check_site(const isc_site *s) {
  enum { N = 40 };
  isc_isometry iso;
  isc_assert_ok(isc_isometry_open(s, &iso));
  cr_assert_eq(iso.width, s->stored < s->dim ? s->stored : s->dim);
  float *a = normals(1, N * s->stored), *y = calloc((size_t)(N * iso.width), sizeof *y);
  for (int64_t i = 0; i < s->stored;
       i++) /* a pair a thousandth apart, so that small distances are seen too */
    a[s->stored + i] = a[i] * 1.001f + 0.001f * a[2 * s->stored + i];
  isc_isometry_apply(&iso, N, a, y);
  for (int64_t p = 0; p < N; p++)
    for (int64_t q = 0; q < N; q++)
      for (int g = 0; g < 3; g++) {
        const float *ap = a + p * s->stored, *aq = a + q * s->stored;
        double want = direct((isc_geometry)g, 0, s, ap, aq);
        double got =
            isc_distance((isc_geometry)g, 0, iso.width, y + p * iso.width, y + q * iso.width);
        /* coordinates are f32: 6e-8 of the larger norm each, which is the scale of a euclidean distance here */
        double scale = g == ISC_ANGULAR ? 1
                                        : isc_norm(iso.width, y + p * iso.width) +
                                              isc_norm(iso.width, y + q * iso.width);
        if (g == ISC_NORMALISED) scale /= isc_norm(iso.width, y + q * iso.width);
        cr_assert_float_eq(got, want, 2e-7 * scale, "geometry %d, %d to %d: %g, directly %g", g,
                           (int)p, (int)q, got, want);
      }
  free(a);
  free(y);
  isc_isometry_close(&iso);
}

Test(distance, factors_give_the_distances_of_activations) {
  static const int64_t shape[][2] = {{1, 1}, {1, 5}, {16, 64}, {64, 768},
                                     {3, 3}, {7, 4}, {65, 130}};
  for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
    float *map = normals(2 + i, shape[i][0] * shape[i][1]);
    check_site(
        &(isc_site){.name = "random", .stored = shape[i][0], .dim = shape[i][1], .map = map});
    free(map);
  }
  check_site(&(isc_site){.name = "plain", .stored = 33, .dim = 33});
}

Test(distance, a_singular_map_is_no_special_case) {
  enum { K = 16, D = 64 };
  float *map = normals(30, K * D);
  for (int j = 0; j < D; j++) {
    map[3 * D + j] = map[2 * D + j];                      /* a repeated row          */
    map[4 * D + j] = 0;                                   /* a zero row              */
    map[0 * D + j] = 0;                                   /* … the very first too    */
    map[5 * D + j] = 2 * map[6 * D + j] - map[7 * D + j]; /* a combination           */
  }
  check_site(&(isc_site){.name = "singular", .stored = K, .dim = D, .map = map});
  memset(map, 0, K * D * sizeof *map);
  isc_isometry iso;
  float a[K] = {1, 2, 3}, y[K];
  isc_assert_ok(
      isc_isometry_open(&(isc_site){.name = "zero", .stored = K, .dim = D, .map = map}, &iso));
  isc_isometry_apply(&iso, 1, a, y);
  cr_assert_eq(isc_norm(K, y), 0);
  isc_isometry_close(&iso);
  free(map);
}

Test(distance, expansion_is_the_product_with_the_map) {
  float *map = normals(40, 5 * 70), *a = normals(41, 2 * 5), z[140];
  isc_site_expand(&(isc_site){.name = "x", .stored = 5, .dim = 70, .map = map}, 2, a, z);
  for (int r = 0; r < 2; r++)
    for (int j = 0; j < 70; j++) {
      double want = 0;
      for (int i = 0; i < 5; i++)
        want += (double)a[r * 5 + i] * map[i * 70 + j];
      cr_assert_float_eq(z[r * 70 + j], want, 1e-6);
    }
  isc_site_expand(&(isc_site){.name = "x", .stored = 5, .dim = 5}, 2, a, z);
  cr_assert_arr_eq(z, a, 10 * sizeof *a);
  free(map);
  free(a);
}

Test(distance, a_broken_map_is_refused) {
  float map[] = {1, 2, NAN, 4};
  isc_isometry iso;
  isc_assert_fails(
      isc_isometry_open(&(isc_site){.name = "head.0.1", .stored = 2, .dim = 2, .map = map}, &iso),
      ISC_E_NUMERIC, "head.0.1");
  isc_assert_fails(isc_isometry_open(&(isc_site){.name = "x", .stored = 3, .dim = 2}, &iso),
                   ISC_E_SHAPE, "3 stored");
}

Test(distance, the_norm_band_is_open_at_both_edges) {
  const float hat[] = {1, 0}, in_low[] = {0.76f, 0}, low[] = {0.75f, 0}, high[] = {1.25f, 0},
              in_high[] = {1.24f, 0};
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0.25, 2, in_low, hat), 0);
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0.25, 2, in_high, hat), 0);
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0.25, 2, low, hat),
               INFINITY); /* 0.75 and 1.25 are exact in binary */
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0.25, 2, high, hat), INFINITY);
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0, 2, (float[]){1e6f, 0}, hat), 0);
  /* The band is relative to ẑ, so it is not symmetric. */
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0.25, 2, hat, high), 0);
}

Test(distance, zero_vectors_follow_the_stated_rules) {
  const float zero[] = {0, 0}, one[] = {0, 1};
  for (int g = 0; g < 3; g++)
    cr_assert_eq(isc_distance((isc_geometry)g, 0.1, 2, zero, zero), 0);
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0.1, 2, one, zero), INFINITY);
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0.1, 2, zero, one), INFINITY);
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0, 2, zero, one), 1);
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0, 2, one, zero), 1);
  cr_assert_eq(isc_distance(ISC_NORMALISED, 0, 2, one, zero), INFINITY);
  cr_assert_eq(isc_distance(ISC_NORMALISED, 0, 2, zero, one), 1);
  cr_assert_eq(isc_distance(ISC_EUCLIDEAN, 0, 2, one, zero), 1);
  const isc_separation unknown = {NAN, NAN, NAN};
  for (int g = 0; g < 3; g++)
    cr_assert_eq(isc_separation_distance(&unknown, (isc_geometry)g, 0.1, 1), INFINITY);
}

Test(distance, small_angles_keep_their_digits) {
  for (double angle = 1e-7; angle < 1; angle *= 10) {
    /* On a circle of coordinates that f32 holds exactly. */
    const float u[] = {1, 0}, v[] = {1, (float)angle};
    double exact = 2 * pow(sin(atan((double)v[1]) / 2), 2);
    cr_assert_float_eq(isc_distance(ISC_ANGULAR, 0, 2, v, u) / exact, 1, 1e-12);
  }
  const float w[] = {0.3f, -0.7f, 0.11f};
  cr_assert_eq(isc_distance(ISC_ANGULAR, 0.1, 3, w, w), 0);
}

typedef struct found {
  int64_t n_support, next_row;
  unsigned char *hit; /* [n_centre, n_support] */
  double *d;
} found;

static isc_status note(void *user, int64_t centre, int64_t n, const int64_t *row, const double *d) {
  found *f = user;
  for (int64_t i = 0; i < n; i++) {
    cr_assert(i == 0 || row[i] > row[i - 1]);
    cr_assert_eq(f->hit[centre * f->n_support + row[i]]++, 0);
    f->d[centre * f->n_support + row[i]] = d[i];
  }
  return ISC_OK;
}

static void check_ball(isc_device *dev, isc_geometry g, double band, double reach,
                       double tolerance) {
  enum { W = 12, N = 2500, C = 300 };
  float *support = normals(50, N * W), *centre = calloc(C * W, sizeof *centre);
  for (int64_t i = 0; i < N;
       i++) /* three clusters, so that balls are neither empty nor full; some rows nearly equal */
    for (int64_t j = 0; j < W; j++)
      support[i * W + j] = 0.2f * support[i * W + j] * (float)(i % 7) + 3 * (float)(i % 3 == j % 3);
  memset(support, 0, W * sizeof *support);
  for (int64_t c = 0; c < C; c++)
    memcpy(centre + c * W, support + (c * 8) * W, W * sizeof *centre);
  found f = {.n_support = N, .hit = calloc(N * C, 1), .d = calloc(N * C, sizeof *f.d)};
  const isc_ball b = {.geometry = g,
                      .band = band,
                      .reach = reach,
                      .tolerance = tolerance,
                      .edge = reach / 2,
                      .width = W,
                      .n_support = N,
                      .n_centre = C,
                      .support = support,
                      .centre = centre,
                      .device = dev,
                      .user = &f,
                      .visit = note};
  isc_assert_ok(isc_ball_search(&b));
  int64_t inside = 0;
  for (int64_t c = 0; c < C; c++)
    for (int64_t i = 0; i < N; i++) {
      double d = isc_distance(g, band, W, support + i * W, centre + c * W), got = f.d[c * N + i];
      inside += d < reach;
      cr_assert_eq(f.hit[c * N + i], d < reach, "centre %d row %d: d = %.17g", (int)c, (int)i, d);
      if (d < reach) cr_assert(fabs(got - d) <= fmin(tolerance, 1e9), "%g, truly %g", got, d);
      if (d < reach) cr_assert_eq(got < reach / 2, d < reach / 2);
    }
  cr_assert(inside > C && inside < N * C);
  free(support);
  free(centre);
  free(f.hit);
  free(f.d);
}

static void check_balls(isc_device *dev) {
  check_ball(dev, ISC_ANGULAR, 0.1, 0.1, 1e-4);
  check_ball(dev, ISC_ANGULAR, 0.1, 0.1, INFINITY);
  check_ball(dev, ISC_ANGULAR, 0, 0.01, 1e-5);
  check_ball(dev, ISC_NORMALISED, 0, 0.3, 1e-4);
  check_ball(dev, ISC_EUCLIDEAN, 0, 1.5, 0);
  check_ball(dev, ISC_ANGULAR, 0.3, 1e300, 1e-4);
}

Test(ball, search_in_double_is_every_pair) {
  check_balls(NULL);
}

Test(ball, search_on_a_device_finds_the_same_pairs) {
  isc_device *dev;
  if (isc_device_open("cpu", NULL, &dev, NULL) != ISC_OK)
    cr_skip_test("SKIPPED: needs the CPU backend: %s", isc_error());
  check_balls(dev);
  isc_device_close(dev);
}

Test(ball, a_broken_activation_is_an_error) {
  float support[] = {1, 2, INFINITY, 0}, centre[] = {1, 1};
  const isc_ball b = {.geometry = ISC_ANGULAR,
                      .reach = 1,
                      .width = 2,
                      .n_support = 2,
                      .n_centre = 1,
                      .support = support,
                      .centre = centre,
                      .visit = note};
  isc_assert_fails(isc_ball_search(&b), ISC_E_NUMERIC, "activation 1");
}
