/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of noise kernels: the profile, the settings, and single draws.
 *
 * What is drawn goes into every training example, and one infinite number spoils a run of days.
 */
#include "conform/kernel_use.h"
#include <math.h>
#include <string.h>

enum { DRAWS = 2000 };

/* Run `look` on the kernel opened in each of the dimensions. */
typedef isc_status (*kernel_look)(isc_conform *c, const isc_kernel *k, int64_t dim);

static isc_status in_dims(isc_conform *c, const int64_t *dims, int n, kernel_look look) {
  for (int i = 0; i < n; i++) {
    isc_kernel k;
    ISC_TRY(isc_conform_kernel_open(c, c->conf, dims[i], &k));
    isc_status st = look(c, &k, dims[i]);
    isc_conform_kernel_close(&k);
    if (st != ISC_OK) return isc_fail_in("dimension %lld", (long long)dims[i]);
  }
  return ISC_OK;
}

static isc_status in_all_dims(isc_conform *c, kernel_look look) {
  return in_dims(c, isc_conform_dims, ISC_CONFORM_DIMS, look);
}

/* ---- kernel.range, kernel.monotone */

static isc_status in_range(const isc_kernel *k, double ratio) {
  const double v = k->ops->profile(k->self, ratio);
  if (v >= 0 && v <= 1) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "profile(%.9g) is %.17g; it must lie in [0, 1]", ratio, v);
}

static isc_status look_range(isc_conform *c, const isc_kernel *k, int64_t dim) {
  (void)c;
  (void)dim;
  const double at_0 = k->ops->profile(k->self, 0);
  if (at_0 != 1) return isc_fail(ISC_E_INTERNAL, "profile(0) is %.17g, not 1", at_0);
  for (double r = 1e-300; r < 1e300; r *= 1.3)
    ISC_TRY(in_range(k, r));
  for (int i = 1; i <= 4000; i++)
    ISC_TRY(in_range(k, i * 1e-3));
  return in_range(k, INFINITY);
}

static isc_status range(isc_conform *c) {
  return in_all_dims(c, look_range);
}

static isc_status falls(const isc_kernel *k, double at, double *from, double *value) {
  const double v = k->ops->profile(k->self, at);
  /* 1e-12: rounding of an exponential. */
  if (v > *value + 1e-12)
    return isc_fail(ISC_E_INTERNAL, "profile(%.9g) is %.17g, above profile(%.9g) = %.17g", at, v,
                    *from, *value);
  *from = at;
  *value = v;
  return ISC_OK;
}

static isc_status look_monotone(isc_conform *c, const isc_kernel *k, int64_t dim) {
  (void)c;
  (void)dim;
  double from = 0, value = 1;
  for (double r = 1e-12; r < 1e-4; r *= 1.1)
    ISC_TRY(falls(k, r, &from, &value));
  for (int i = 1; i <= 40000; i++)
    ISC_TRY(falls(k, i * 1e-4, &from, &value));
  for (double r = 4.001; r < 1e12; r *= 1.1)
    ISC_TRY(falls(k, r, &from, &value));
  return ISC_OK;
}

static isc_status monotone(isc_conform *c) {
  return in_all_dims(c, look_monotone);
}

/* ---- kernel.epsilon */

static const isc_option *option_of(const isc_conform *c, const char *name, isc_option_type type) {
  for (const isc_option *o = c->cls->options; o && o->name; o++)
    if (strcmp(o->name, name) == 0 && o->type == type) return o;
  return NULL;
}

static isc_status agrees(const isc_conform *c, const char *name, double got) {
  double want;
  const isc_option *o = option_of(c, name, ISC_OPT_FLOAT);
  if (!o) return ISC_OK;
  memcpy(&want, (const char *)c->conf + o->offset, sizeof want);
  if (got == want) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "the option %s is %.17g, but the kernel says %.17g", name, want,
                  got);
}

/* An option of choices by the names of the enum. */
static isc_status agrees_on(const isc_conform *c, const char *name, const char *got) {
  int32_t i;
  const isc_option *o = option_of(c, name, ISC_OPT_ENUM);
  if (!o) return ISC_OK;
  memcpy(&i, (const char *)c->conf + o->offset, sizeof i);
  if (strcmp(o->choices[i], got) == 0) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "the option %s is \"%s\", but the kernel says %s", name,
                  o->choices[i], got);
}

static isc_status look_settings(isc_conform *c, const isc_kernel *k, int64_t dim) {
  static const char *const geometries[] = {"euclidean", "normalised", "angular"},
                           *const measures[] = {"lebesgue", "profile", "invariant"};
  (void)dim;
  const double epsilon = k->ops->epsilon(k->self), band = k->ops->band(k->self);
  const int g = (int)k->ops->geometry(k->self), m = (int)k->ops->measure(k->self);
  if (!(epsilon > 0) || !isfinite(epsilon))
    return isc_fail(ISC_E_INTERNAL, "epsilon is %g; it must be finite and above 0", epsilon);
  if (g < 0 || g > 2) return isc_fail(ISC_E_INTERNAL, "geometry is %d, which is none", g);
  if (m < 0 || m > 2) return isc_fail(ISC_E_INTERNAL, "measure is %d, which is none", m);
  if (m == ISC_INVARIANT && g != ISC_ANGULAR)
    return isc_fail(ISC_E_INTERNAL, "the invariant measure is for the angular geometry");
  if (g == ISC_ANGULAR ? !(band > 0 && band < 1) : band != 0)
    return isc_fail(ISC_E_INTERNAL, "band is %g; %s", band,
                    g == ISC_ANGULAR ? "an angular kernel's lies between 0 and 1"
                                     : "only an angular kernel has one");
  ISC_TRY(agrees(c, "epsilon", epsilon));
  if (g == ISC_ANGULAR) { /* elsewhere there is nothing for it to set */
    ISC_TRY(agrees(c, "delta", band));
    ISC_TRY(agrees(c, "band", band));
  }
  ISC_TRY(agrees_on(c, "geometry", geometries[g]));
  return agrees_on(c, "measure", measures[m]);
}

static isc_status settings(isc_conform *c) {
  return in_all_dims(c, look_settings);
}

/* ---- kernel.draw */

/* An angular draw is a rotation: rounding alone may part its members. */
static const char *angular_fault(const isc_noise_draw *d) {
  if (!(d->d >= 0 && d->d <= 2)) return "d lies outside [0, 2]";
  if (!(d->sin >= 0)) return "sin is negative";
  if (!(fabs(d->sin * d->sin + d->cos * d->cos - 1) <= 1e-12)) return "sin^2 + cos^2 is not 1";
  /* 1 − cos loses digits of a small d; sin^2 = d (2 − d) does not. */
  if (!(fabs(1 - d->cos - d->d) <= 1e-12)) return "d is not 1 - cos";
  if (!(fabs(d->sin * d->sin - d->d * (2 - d->d)) <= 1e-9 * d->d))
    return "sin^2 is not d (2 - d), as it is for d = 1 - cos";
  return d->rho > 0 ? NULL : "rho is not positive";
}

static isc_status look_draw(isc_conform *c, const isc_kernel *k, int64_t dim) {
  const bool angular = k->ops->geometry(k->self) == ISC_ANGULAR;
  (void)dim;
  for (uint64_t i = 0; i < DRAWS; i++) {
    const isc_noise_draw d = isc_conform_noise(k, c->seed, i);
    const char *fault = NULL;
    if (angular)
      fault = angular_fault(&d);
    else if (!(d.d >= 0))
      fault = "d is negative";
    else if (!(fabs(d.radius - d.d) <= 1e-12 * d.d))
      fault = "radius is not d, as it is without an angle";
    if (fault)
      return isc_fail(ISC_E_INTERNAL,
                      "draw %d: %s (d %.17g, radius %.17g, rho %.17g, cos %.17g, sin %.17g)",
                      (int)i, fault, d.d, d.radius, d.rho, d.cos, d.sin);
  }
  return ISC_OK;
}

static isc_status draw(isc_conform *c) {
  return in_all_dims(c, look_draw);
}

/* ---- kernel.finite, kernel.overflow */

static isc_status finite_draws(const isc_kernel *k, uint64_t seed, int n) {
  const bool angular = k->ops->geometry(k->self) == ISC_ANGULAR;
  for (int i = 0; i < n; i++) {
    const isc_noise_draw d = isc_conform_noise(k, seed, (uint64_t)i);
    const double sum = angular ? d.d + d.rho + d.cos + d.sin : d.d + d.radius;
    if (!isfinite(sum))
      return isc_fail(ISC_E_INTERNAL,
                      "draw %d is not finite: d %g, radius %g, rho %g, cos %g, sin %g", i, d.d,
                      d.radius, d.rho, d.cos, d.sin);
  }
  return ISC_OK;
}

static isc_status is_probability(double p, const char *call, double at) {
  if (p >= 0 && p <= 1) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "%s(%g) is %g, which is no probability", call, at, p);
}

static isc_status finite_cdfs(const isc_kernel *k) {
  const double at[] = {-INFINITY, -1, 0, 1e-300, 1e-12, 0.1, 1, 2, 1e12, 1e300, INFINITY};
  for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
    ISC_TRY(is_probability(k->ops->distance_cdf(k->self, at[i]), "distance_cdf", at[i]));
    ISC_TRY(is_probability(k->ops->norm_cdf(k->self, at[i]), "norm_cdf", at[i]));
  }
  return ISC_OK;
}

static isc_status look_finite(isc_conform *c, const isc_kernel *k, int64_t dim) {
  (void)dim;
  ISC_TRY(finite_draws(k, c->seed + 1, DRAWS));
  return finite_cdfs(k);
}

static isc_status finiteness(isc_conform *c) {
  return in_all_dims(c, look_finite);
}

/* In 4096 dimensions d^n and rho^n leave the range of a double unless they are kept as logarithms. */
static isc_status look_overflow(isc_conform *c, const isc_kernel *k, int64_t dim) {
  const double top = k->ops->geometry(k->self) == ISC_ANGULAR ? 2 : 1e6 * k->ops->epsilon(k->self);
  (void)dim;
  ISC_TRY(finite_draws(k, c->seed, DRAWS));
  double previous = 0;
  for (int i = 0; i < 64; i++) {
    const double p = k->ops->distance_cdf(k->self, isc_conform_noise(k, c->seed, (uint64_t)i).d);
    ISC_TRY(is_probability(p, "distance_cdf", i));
    previous += p;
  }
  /* The mean of 64 uniform numbers is 1/2 ± 0.036; in one dimension an angular kernel has d = 0 and P = 1. */
  if (dim > 1 && fabs(previous / 64 - 0.5) > 0.25)
    return isc_fail(ISC_E_INTERNAL, "distance_cdf of its own draws is %.3g in the mean, not 0.5",
                    previous / 64);
  if (k->ops->distance_cdf(k->self, top) == 1) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "distance_cdf(%g) is %.17g, not 1", top,
                  k->ops->distance_cdf(k->self, top));
}

static isc_status overflow(isc_conform *c) {
  static const int64_t dims[] = {1, 4096};
  return in_dims(c, dims, 2, look_overflow);
}

/* ---- kernel.pure */

static bool same_draw(const isc_noise_draw *a, const isc_noise_draw *b) {
  return a->d == b->d && a->radius == b->radius && a->rho == b->rho && a->cos == b->cos &&
         a->sin == b->sin;
}

static isc_status look_pure(isc_conform *c, const isc_kernel *k, int64_t dim) {
  enum { KEPT = 64 };
  isc_noise_draw first[KEPT];
  (void)dim;
  for (uint64_t i = 0; i < KEPT; i++)
    first[i] = isc_conform_noise(k, c->seed, i);
  for (uint64_t i = 0; i < DRAWS; i++)
    isc_conform_noise(k, c->seed + 1, i);
  for (uint64_t i = KEPT; i-- > 0;) {
    const isc_noise_draw again = isc_conform_noise(k, c->seed, i);
    if (!same_draw(&first[i], &again))
      return isc_fail(ISC_E_INTERNAL,
                      "random stream %d gave d %.17g, rho %.17g at first and d %.17g, rho %.17g "
                      "after other draws",
                      (int)i, first[i].d, first[i].rho, again.d, again.rho);
  }
  return ISC_OK;
}

static isc_status pure(isc_conform *c) {
  return in_all_dims(c, look_pure);
}

const isc_check isc_checks_kernel[] = {
    {"kernel.epsilon", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 10,
     "epsilon, band, geometry and measure are legal, and are the options of those names, if any; "
     "the band's may be called delta too, and only an angular kernel has a band.",
     "Return what `open` was given; the refusal test uses epsilon as its radius.", settings},
    {"kernel.range", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 10,
     "The profile lies in [0, 1] and is 1 at 0.",
     "k is not a density: leave its normalising constant out.", range},
    {"kernel.monotone", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 10,
     "The profile never rises with distance.", "k measures closeness; check its pieces' joins.",
     monotone},
    {"kernel.draw", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 10,
     "A draw agrees with itself: without an angle radius = d; with one cos^2 + sin^2 = 1, sin is "
     "not negative, and d = 1 - cos.",
     "Compute cos, sin and d from one angle, d as 2 sin^2 of its half.", draw},
    {"kernel.pure", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 10,
     "A draw depends on its random stream alone, whatever was drawn before.",
     "Keep no second normal number, no cache and no counter in the instance.", pure},
    {"kernel.finite", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 10,
     "Every draw is finite, and the cumulative laws are probabilities wherever they are asked.",
     "Mind 0, negative and infinite arguments, and uniform numbers next to 0 and 1.", finiteness},
    {"kernel.overflow", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 20,
     "In 1 and in 4096 dimensions draws and laws are finite and go from 0 to 1.",
     "Work with logarithms: d^(n-1), rho^n and gamma functions leave the range of a double.",
     overflow},
    {0}};
