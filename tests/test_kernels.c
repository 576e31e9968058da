/* SPDX-License-Identifier: Apache-2.0
 *
 * The shipped noise kernels draw from the laws they claim.
 *
 * Reference distributions are closed forms, a series, or a Simpson rule, none of which the library uses.
 * Chi-square tests have a false-alarm rate of 1e-6; seeds are fixed, so a test that passes always passes.
 */
#include "support.h"
#include "noise_reference.h"
#include <dlfcn.h>
#include <inversescope/kernel.h>
#include <inversescope/plugin.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 20000, BINS = 50 };
static const double DELTA = 0.1;

typedef struct setting {
  const char *name, *value;
} setting;

static const isc_class *load_class(const char *plugin) {
  char rel[128];
  snprintf(rel, sizeof rel, "plugins/.libs/kernel_%s.so", plugin);
  void *so = dlopen(isc_test_build(rel), RTLD_NOW | RTLD_LOCAL);
  cr_assert(so, "%s", dlerror());
  const isc_plugin *p = dlsym(so, "isc_plugin_v1");
  cr_assert(p, "%s", dlerror());
  return p->classes[0];
}

static void put(const isc_option *o, char *conf, const char *text) {
  if (o->type == ISC_OPT_FLOAT) {
    *(double *)(void *)(conf + o->offset) = strtod(text, NULL);
    return;
  }
  cr_assert_eq(o->type, ISC_OPT_ENUM);
  for (int32_t i = 0; o->choices[i]; i++)
    if (strcmp(o->choices[i], text) == 0) {
      *(int32_t *)(void *)(conf + o->offset) = i;
      return;
    }
  cr_assert_fail("%s has no choice %s", o->name, text);
}

static isc_kernel open_kernel(const char *plugin, int64_t dim, const setting *s) {
  const isc_class *c = load_class(plugin);
  double conf[16] = {0}; /* room and alignment for any of the three */
  cr_assert(c->conf_size <= sizeof conf);
  for (const isc_option *o = c->options; o->name; o++) {
    const char *text = o->preset;
    for (const setting *i = s; i && i->name; i++)
      if (strcmp(i->name, o->name) == 0) text = i->value;
    put(o, (char *)conf, text);
  }
  isc_kernel k = {.ops = c->ops, .name = c->name};
  isc_assert_ok(k.ops->open(conf, dim, &k.self));
  return k;
}

static void close_kernel(isc_kernel *k) {
  k->ops->close(k->self);
}

/* The library's distribution functions against the references, and draws against both. */
static void check_law(isc_kernel *k, const noise_reference *ref, const char *what) {
  double top = ref->top;
  for (int i = 0; i <= 200; i++) {
    double d = top * i / 200.0;
    /* 1e-9: the references' own error (Simpson's rule; the alternating closed forms at n = 768). */
    cr_assert_float_eq(k->ops->distance_cdf(k->self, d), reference_distance_cdf(ref, d), 1e-9,
                       "%s: d = %g", what, d);
  }
  int64_t by_distance[BINS] = {0}, by_norm[BINS] = {0}, joint[64] = {0};
  for (int i = 0; i < DRAWS; i++) {
    isc_rng rng = isc_rng_at(11, ISC_RNG_NOISE_RADIUS, (uint64_t)i);
    isc_noise_draw d;
    k->ops->draw(k->self, &rng, &d);
    double u = reference_distance_cdf(ref, d.d), v = reference_norm_cdf(ref, d.rho);
    cr_assert(u >= 0 && u <= 1 + 1e-9 && v >= 0 && v <= 1 + 1e-9, "%s", what);
    by_distance[reference_bin(u, BINS)]++;
    by_norm[reference_bin(v, BINS)]++;
    joint[reference_bin(u, 8) * 8 + reference_bin(v, 8)]++;
  }
  cr_assert_lt(reference_chi_square(by_distance, BINS), reference_critical(BINS - 1),
               "%s: distances", what);
  if (ref->geometry != ISC_ANGULAR) return;
  cr_assert_lt(reference_chi_square(by_norm, BINS), reference_critical(BINS - 1), "%s: norms",
               what);
  cr_assert_lt(reference_chi_square(joint, 64), reference_critical(63),
               "%s: distance and norm depend", what);
  for (int i = 1; i < 100; i++) {
    double rho = 0.85 + 0.003 * i;
    cr_assert_float_eq(k->ops->norm_cdf(k->self, rho), reference_norm_cdf(ref, rho), 1e-12,
                       "%s: rho = %g", what, rho);
  }
}

static const char *const measure_name[] = {"lebesgue", "profile", "invariant"};
static const int64_t dims[] = {2, 3, 64, 768};

static void check_plugin(const char *plugin, isc_geometry geometry, bool hard,
                         isc_measure measure) {
  const setting plain[] = {{"measure", measure_name[measure]}, {"epsilon", "0.1"}, {NULL, NULL}};
  const setting angular[] = {
      {"measure", measure_name[measure]}, {"profile", hard ? "hard" : "gaussian"}, {NULL, NULL}};
  for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
    isc_kernel k = open_kernel(plugin, dims[i], geometry == ISC_ANGULAR ? angular : plain);
    noise_reference ref = reference_law(geometry, measure, hard, dims[i], 0.1, DELTA);
    char what[80];
    snprintf(what, sizeof what, "%s %s %s n=%d", plugin, hard ? "hard" : "gaussian",
             measure_name[measure], (int)dims[i]);
    check_law(&k, &ref, what);
    cr_assert_eq(k.ops->measure(k.self), measure);
    reference_free(&ref);
    close_kernel(&k);
  }
}

Test(kernels, gaussian_follows_its_law) {
  check_plugin("gaussian", ISC_EUCLIDEAN, false, ISC_LEBESGUE);
  check_plugin("gaussian", ISC_EUCLIDEAN, false, ISC_PROFILE);
}

Test(kernels, hard_follows_its_law) {
  check_plugin("hard", ISC_EUCLIDEAN, true, ISC_LEBESGUE);
  check_plugin("hard", ISC_EUCLIDEAN, true, ISC_PROFILE);
}

Test(kernels, cosine_band_hard_follows_its_law) {
  for (int m = ISC_LEBESGUE; m <= ISC_INVARIANT; m++)
    check_plugin("cosine_band", ISC_ANGULAR, true, (isc_measure)m);
}

Test(kernels, cosine_band_gaussian_follows_its_law) {
  for (int m = ISC_LEBESGUE; m <= ISC_INVARIANT; m++)
    check_plugin("cosine_band", ISC_ANGULAR, false, (isc_measure)m);
}

Test(kernels, profile_is_k_of_the_ratio) {
  isc_kernel hard = open_kernel("hard", 5, NULL), gauss = open_kernel("gaussian", 5, NULL);
  isc_kernel band = open_kernel("cosine_band", 5, NULL);
  for (int i = 0; i < 40; i++) {
    double r = i / 10.0;
    cr_assert_eq(hard.ops->profile(hard.self, r), r < 1 ? 1 : 0);
    cr_assert_eq(band.ops->profile(band.self, r), r < 1 ? 1 : 0);
    cr_assert_float_eq(gauss.ops->profile(gauss.self, r), exp(-r * r), 1e-15);
  }
  cr_assert_eq(gauss.ops->profile(gauss.self, INFINITY), 0);
  cr_assert_eq(band.ops->profile(band.self, INFINITY), 0);
  cr_assert_eq(hard.ops->geometry(hard.self), ISC_EUCLIDEAN);
  cr_assert_eq(band.ops->geometry(band.self), ISC_ANGULAR);
  cr_assert_eq(band.ops->epsilon(band.self), 0.1);
  cr_assert_eq(band.ops->band(band.self), 0.1);
  cr_assert_eq(gauss.ops->band(gauss.self), 0);
  close_kernel(&hard);
  close_kernel(&gauss);
  close_kernel(&band);
}

Test(kernels, normalised_geometry_is_the_same_law_of_the_relative_distance) {
  const setting relative[] = {{"geometry", "normalised"}, {NULL, NULL}};
  isc_kernel a = open_kernel("gaussian", 64, relative), b = open_kernel("gaussian", 64, NULL);
  cr_assert_eq(a.ops->geometry(a.self), ISC_NORMALISED);
  for (uint64_t i = 0; i < 100; i++) {
    isc_noise_draw x, y;
    isc_rng r = isc_rng_at(1, ISC_RNG_NOISE_RADIUS, i), s = r;
    a.ops->draw(a.self, &r, &x);
    b.ops->draw(b.self, &s, &y);
    cr_assert_eq(x.radius, y.radius);
    cr_assert_eq(x.d, x.radius);
  }
  close_kernel(&a);
  close_kernel(&b);
}

/* As ε → 0 the sphere is flat: d = θ²/2, θ uniform in an (n − 1)-ball, so P(d ≤ t) = (t/ε)^((n−1)/2). */
Test(kernels, a_tiny_epsilon_sees_a_flat_sphere) {
  const setting tiny[] = {{"epsilon", "1e-9"}, {NULL, NULL}};
  isc_kernel k = open_kernel("cosine_band", 64, tiny);
  for (int i = 1; i <= 20; i++)
    cr_assert_float_eq(k.ops->distance_cdf(k.self, 1e-9 * i / 20), pow(i / 20.0, 63 / 2.0),
                       1e-7); /* curvature is O(ε n) */
  isc_rng rng = isc_rng_at(2, ISC_RNG_NOISE_RADIUS, 0);
  for (int i = 0; i < 1000; i++) {
    isc_noise_draw d;
    k.ops->draw(k.self, &rng, &d);
    cr_assert(d.d > 0 && d.d < 1e-9);
    cr_assert_float_eq(d.sin, sqrt(2 * d.d), 1e-13); /* not lost to 1 − cos */
  }
  close_kernel(&k);
}

/* The ball covers the sphere from ε = 2 on: d is that of a uniform direction, whatever ε. */
Test(kernels, an_epsilon_of_two_or_more_covers_the_sphere) {
  const setting two[] = {{"epsilon", "2"}, {NULL, NULL}}, five[] = {{"epsilon", "5"}, {NULL, NULL}};
  for (int64_t n = 2; n <= 4096; n *= 8) {
    isc_kernel a = open_kernel("cosine_band", n, two), b = open_kernel("cosine_band", n, five);
    noise_reference ref = reference_law(ISC_ANGULAR, ISC_LEBESGUE, true, n, 2, DELTA);
    for (int i = 0; i <= 40; i++) {
      double d = i / 20.0;
      cr_assert_float_eq(a.ops->distance_cdf(a.self, d), reference_distance_cdf(&ref, d), 1e-9);
      cr_assert_float_eq(a.ops->distance_cdf(a.self, d), b.ops->distance_cdf(b.self, d), 1e-12);
    }
    reference_free(&ref);
    close_kernel(&a);
    close_kernel(&b);
  }
}

Test(kernels, one_dimension_keeps_the_direction) {
  isc_kernel k = open_kernel("cosine_band", 1, NULL);
  int64_t bins[BINS] = {0};
  isc_rng rng = isc_rng_at(3, ISC_RNG_NOISE_RADIUS, 0);
  for (int i = 0; i < DRAWS; i++) {
    isc_noise_draw d;
    k.ops->draw(k.self, &rng, &d);
    cr_assert(d.d == 0 && d.cos == 1 && d.sin == 0);
    bins[reference_bin((d.rho - 0.9) / 0.2, BINS)]++; /* ρ^0: uniform */
  }
  cr_assert_lt(reference_chi_square(bins, BINS), reference_critical(BINS - 1));
  close_kernel(&k);
  isc_kernel g = open_kernel("gaussian", 1, NULL);
  for (int i = 0; i < 30; i++)
    cr_assert_float_eq(g.ops->distance_cdf(g.self, 0.01 * i), erf(0.1 * i), 1e-12);
  close_kernel(&g);
}

Test(kernels, high_dimensions_neither_overflow_nor_leave_their_bounds) {
  static const char *const plugins[] = {"gaussian", "hard", "cosine_band"};
  for (int p = 0; p < 3; p++)
    for (int64_t n = 4096; n <= 262144; n *= 8) {
      isc_kernel k = open_kernel(plugins[p], n, NULL);
      double mean = 0;
      for (uint64_t i = 0; i < 200; i++) {
        isc_rng rng = isc_rng_at(4, ISC_RNG_NOISE_RADIUS, i);
        isc_noise_draw d;
        k.ops->draw(k.self, &rng, &d);
        cr_assert(isfinite(d.d) && d.d > 0 && isfinite(d.radius));
        cr_assert(d.rho > 0.9 && d.rho < 1.1);
        mean += d.d / 200;
      }
      /* The law has narrowed to a point: ε√(n/2), ε, ε; its spread is below 1 % from n = 4096 on. */
      double point = p == 0 ? 0.1 * sqrt((double)n / 2) : 0.1;
      cr_assert_float_eq(mean / point, 1, 0.01, "%s n=%lld: %g", plugins[p], (long long)n, mean);
      close_kernel(&k);
    }
}

Test(kernels, a_draw_depends_on_its_stream_alone) {
  isc_kernel k = open_kernel("cosine_band", 64, NULL);
  isc_noise_draw first, again;
  isc_rng a = isc_rng_at(5, ISC_RNG_NOISE_RADIUS, 7),
          other = isc_rng_at(5, ISC_RNG_NOISE_RADIUS, 8), b = a;
  k.ops->draw(k.self, &a, &first);
  for (int i = 0; i < 10; i++)
    k.ops->draw(k.self, &other, &again);
  k.ops->draw(k.self, &b, &again);
  cr_assert(first.d == again.d && first.rho == again.rho);
  cr_assert(a.block == b.block && a.used == b.used);
  close_kernel(&k);
}

Test(kernels, a_law_without_finite_mass_or_with_a_wrong_spec_is_refused) {
  const isc_class *c = load_class("cosine_band");
  double conf[16] = {0};
  for (const isc_option *o = c->options; o->name; o++)
    put(o, (char *)conf, o->preset);
  isc_kernel k = {.ops = c->ops};
  isc_assert_fails(k.ops->open(conf, 0, &k.self), ISC_E_CONFIG, "dimension");
  conf[0] = -1;
  isc_assert_fails(k.ops->open(conf, 3, &k.self), ISC_E_CONFIG, "epsilon");
}
