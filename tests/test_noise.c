/* SPDX-License-Identifier: Apache-2.0
 *
 * A kernel's draw and the backend's direction together: the noise of the paper's appendix B.
 *
 * Runs on the CPU backend, and on the formula in double precision so that the geometry is tested without one.
 */
#include "noise_reference.h"
#include "support.h"
#include "eval/distance.h"
#include <inversescope/noise_law.h>
#include <inversescope/tensor.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4000, BINS = 20 };

static double log_gaussian(double ratio) {
  return -ratio * ratio;
}

static double log_hard(double ratio) {
  return ratio * 0;
}

typedef struct cloud {
  int64_t n;
  isc_noise_draw *draw; /* [ROWS]    */
  float *z;             /* [n]       */
  float *noisy;         /* [ROWS, n] */
} cloud;

/* The contract of isc_noise, row by row, in double. */
static void by_formula(cloud *c, bool angular) {
  double *g = calloc((size_t)c->n, sizeof *g), norm = isc_norm(c->n, c->z);
  for (int64_t i = 0; i < ROWS; i++) {
    isc_rng rng = isc_rng_at(9, ISC_RNG_NOISE_DIRECTION, (uint64_t)i);
    const isc_noise_draw *d = &c->draw[i];
    double along = 0, length = 0;
    for (int64_t j = 0; j < c->n; j++) {
      g[j] = isc_rng_normal(&rng);
      along += g[j] * c->z[j] / norm;
    }
    for (int64_t j = 0; j < c->n; j++) {
      if (angular) g[j] -= along * c->z[j] / norm;
      length += g[j] * g[j];
    }
    for (int64_t j = 0; j < c->n; j++) {
      double u = c->z[j] / norm, v = g[j] / sqrt(length);
      c->noisy[i * c->n + j] =
          (float)(angular ? d->rho * norm * (d->cos * u + d->sin * v) : c->z[j] + d->radius * v);
    }
  }
  free(g);
}

static void by_backend(isc_device *dev, cloud *c, bool angular) {
  float *part = calloc(4 * ROWS, sizeof *part), *rows = calloc((size_t)(ROWS * c->n), sizeof *rows);
  uint64_t *index = calloc(ROWS, sizeof *index);
  for (int64_t i = 0; i < ROWS; i++) {
    part[i] = (float)c->draw[i].radius;
    part[ROWS + i] = (float)c->draw[i].rho;
    part[2 * ROWS + i] = (float)c->draw[i].cos;
    part[3 * ROWS + i] = (float)c->draw[i].sin;
    index[i] = (uint64_t)i;
    memcpy(rows + i * c->n, c->z, (size_t)c->n * sizeof *rows);
  }
  size_t bytes = (size_t)(ROWS * c->n) * sizeof *rows;
  void *z;
  isc_assert_ok(dev->ops->alloc(dev->impl, bytes, &z));
  isc_assert_ok(dev->ops->upload(dev->impl, z, rows, bytes));
  const isc_noise a = {.rows = ROWS,
                       .dim = c->n,
                       .angular = angular,
                       .z = z,
                       .out = z,
                       .radius = part,
                       .rho = part + ROWS,
                       .cos = part + 2 * ROWS,
                       .sin = part + 3 * ROWS,
                       .seed = 9,
                       .index = index};
  isc_assert_ok(dev->ops->noise(dev->impl, &a));
  isc_assert_ok(dev->ops->download(dev->impl, c->noisy, z, bytes));
  dev->ops->free(dev->impl, z);
  free(part);
  free(rows);
  free(index);
}

/* The noise has the distance and norm that the kernel drew; f32 coordinates of size ‖z‖ carry 1e-6 of it. */
static void check_geometry(const cloud *c, isc_geometry g) {
  for (int64_t i = 0; i < ROWS; i++) {
    const float *y = c->noisy + i * c->n;
    isc_separation s = isc_separate(c->n, y, c->z);
    double d = isc_separation_distance(&s, g, 0, isc_norm(c->n, c->z));
    cr_assert_float_eq(d, c->draw[i].d, 3e-6, "row %d: %g, drawn %g", (int)i, d, c->draw[i].d);
    if (g == ISC_ANGULAR) cr_assert_float_eq(s.norm_ratio, c->draw[i].rho, 3e-6);
  }
}

/* The noise's direction (angular: its part orthogonal to z) is uniform on its sphere: its angle to a few fixed directions of
 * the same subspace follows the sphere's law. */
static void check_isotropy(const cloud *c, bool angular) {
  double *v = calloc((size_t)c->n, sizeof *v), *w = calloc((size_t)c->n, sizeof *w);
  double norm = isc_norm(c->n, c->z);
  for (int axis = 0; axis < 3; axis++) {
    int64_t bin[BINS] = {0};
    for (int64_t i = 0; i < ROWS; i++) {
      double along = 0, length = 0, dot = 0, ww = 0, wz = c->z[axis % c->n] / norm;
      for (int64_t j = 0; j < c->n; j++) {
        v[j] = (double)c->noisy[i * c->n + j] - (angular ? 0 : c->z[j]);
        w[j] = (j == axis % c->n) - (angular ? wz * c->z[j] / norm : 0);
        along += v[j] * c->z[j] / norm;
      }
      for (int64_t j = 0; j < c->n; j++) {
        if (angular) v[j] -= along * c->z[j] / norm;
        length += v[j] * v[j];
        ww += w[j] * w[j];
        dot += v[j] * w[j];
      }
      double angle = acos(fmax(-1, fmin(1, dot / sqrt(length * ww))));
      bin[reference_bin(reference_sphere_cdf(angular ? c->n - 1 : c->n, angle), BINS)]++;
    }
    cr_assert_lt(reference_chi_square(bin, BINS), reference_critical(BINS - 1), "n = %d, axis %d",
                 (int)c->n, axis);
  }
  free(v);
  free(w);
}

static void check_noise(isc_device *dev, isc_geometry g, bool hard, int64_t n) {
  const isc_noise_spec spec = {
      sizeof spec,        g, ISC_LEBESGUE, n, 0.1, 0.1, hard ? log_hard : log_gaussian,
      hard ? 1 : INFINITY};
  void *law;
  isc_assert_ok(isc_noise_law_open(&spec, &law));
  cloud c = {.n = n,
             .draw = calloc(ROWS, sizeof *c.draw),
             .z = calloc((size_t)n, sizeof *c.z),
             .noisy = calloc((size_t)(ROWS * n), sizeof *c.noisy)};
  isc_rng rng = isc_rng_at(8, ISC_RNG_USER, 0);
  isc_rng_normals(&rng, c.z, n);
  double norm = isc_norm(n, c.z);
  for (int64_t j = 0; j < n; j++)
    c.z[j] = (float)(c.z[j] / norm); /* unit length: one tolerance for all n */
  for (int64_t i = 0; i < ROWS; i++) {
    isc_rng r = isc_rng_at(8, ISC_RNG_NOISE_RADIUS, (uint64_t)i);
    isc_noise_law_draw(law, &r, &c.draw[i]);
  }
  if (dev)
    by_backend(dev, &c, g == ISC_ANGULAR);
  else
    by_formula(&c, g == ISC_ANGULAR);
  check_geometry(&c, g);
  if (g != ISC_ANGULAR || n > 2)
    check_isotropy(&c, g == ISC_ANGULAR); /* in the plane v is one of two points */
  free(c.draw);
  free(c.z);
  free(c.noisy);
  isc_noise_law_close(law);
}

static void check_all(isc_device *dev) {
  static const int64_t dims[] = {2, 3, 64, 768};
  for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
    check_noise(dev, ISC_EUCLIDEAN, false, dims[i]);
    check_noise(dev, ISC_EUCLIDEAN, true, dims[i]);
    check_noise(dev, ISC_ANGULAR, false, dims[i]);
    check_noise(dev, ISC_ANGULAR, true, dims[i]);
  }
}

Test(noise, the_drawn_distance_norm_and_a_uniform_direction_make_the_noise) {
  check_all(NULL);
}

Test(noise, the_cpu_backend_makes_the_same_noise) {
  isc_device *dev;
  if (isc_device_open("cpu", NULL, &dev, NULL) != ISC_OK)
    cr_skip_test("SKIPPED: needs the CPU backend: %s", isc_error());
  check_all(dev);
  isc_device_close(dev);
}

/* In the plane v is ±: each side half the time, and independent of the angle. */
Test(noise, both_sides_of_the_plane_are_as_likely) {
  cloud c = {.n = 2,
             .draw = calloc(ROWS, sizeof *c.draw),
             .z = (float[]){0.6f, 0.8f},
             .noisy = calloc(ROWS * 2, sizeof *c.noisy)};
  for (int64_t i = 0; i < ROWS; i++)
    c.draw[i] = (isc_noise_draw){.rho = 1, .cos = 0.8, .sin = 0.6};
  by_formula(&c, true);
  int64_t left = 0;
  for (int64_t i = 0; i < ROWS; i++)
    left += c.noisy[2 * i] * 0.8 - c.noisy[2 * i + 1] * 0.6 > 0;
  cr_assert_float_eq((double)left / ROWS, 0.5, 4.9 * 0.5 / sqrt(ROWS)); /* 1e-6 two-sided */
  free(c.draw);
  free(c.noisy);
}

/* Any falling log k will do: exp(−d/ε) in R^n has a Gamma(n, ε) radius. */
static double log_exponential(double ratio) {
  return -ratio;
}

Test(noise, a_kernel_of_ones_own_needs_its_log_profile_only) {
  const isc_noise_spec spec = {sizeof spec, ISC_EUCLIDEAN,   ISC_LEBESGUE, 12, 0.5,
                               0,           log_exponential, INFINITY};
  void *law;
  isc_assert_ok(isc_noise_law_open(&spec, &law));
  for (int i = 1; i < 40; i++) {
    double x = i, upper = 0, term = exp(-x);
    for (int k = 0; k < 12; k++) {
      upper += term;
      term *= x / (k + 1);
    }
    cr_assert_float_eq(isc_noise_law_distance_cdf(law, 0.5 * x), 1 - upper, 1e-13);
  }
  isc_noise_law_close(law);
}

static double log_cauchy(double ratio) {
  return -log1p(ratio * ratio);
}

Test(noise, a_profile_without_finite_mass_is_refused) {
  isc_noise_spec spec = {sizeof spec, ISC_EUCLIDEAN, ISC_LEBESGUE, 64, 1, 0, log_cauchy, INFINITY};
  void *law;
  isc_assert_fails(isc_noise_law_open(&spec, &law), ISC_E_NUMERIC, "must fall");
  spec.measure = ISC_INVARIANT;
  isc_assert_fails(isc_noise_law_open(&spec, &law), ISC_E_CONFIG, "angular");
  spec = (isc_noise_spec){sizeof spec, ISC_ANGULAR, ISC_LEBESGUE, 64, 1, 1.5, log_cauchy, INFINITY};
  isc_assert_fails(isc_noise_law_open(&spec, &law), ISC_E_CONFIG, "delta");
}
