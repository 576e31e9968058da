/* SPDX-License-Identifier: Apache-2.0
 *
 * The laws of noise_law.h as one-dimensional densities: a radius in units of ε, or an angle, and a norm
 * ratio in closed form.
 *
 * Angles rather than distances are tabulated, because the density of d = 1 − cos is infinite at both
 * ends when n = 2.
 */
#include "base/base.h"
#include "eval/law.h"
#include <inversescope/noise_law.h>
#include <math.h>
#include <stdlib.h>

typedef struct isc_noise_law {
  isc_noise_spec spec;
  double last_ratio; /* the largest d/ε at which k is not 0                                    */
  double power; /* radial p ∝ d^power k, angular p ∝ sin^power θ k                        */
  bool fixed;   /* angular with n = 1: no angle to draw                                   */
  isc_law size; /* of d/ε (radial) or θ (angular)                                         */
  double norm_power; /* p(ρ) ∝ ρ^(norm_power − 1)                                              */
  double norm_low, norm_high;
} isc_noise_law;

/* 1 − cosθ without cancellation, and its inverse. */
static double distance_of(double angle) {
  double s = sin(angle / 2);
  return 2 * s * s;
}

static double angle_of(double d) {
  return 2 * asin(sqrt(fmin(d, 2) / 2));
}

double isc_log_profile_hard(double ratio) {
  (void)ratio; /* asked below the support only */
  return 0;
}

double isc_log_profile_gaussian(double ratio) {
  return -ratio * ratio;
}

static double log_profile(const isc_noise_law *l, double ratio) {
  return l->spec.log_profile(fmin(ratio, l->last_ratio));
}

static double log_density(const void *ctx, double t) {
  const isc_noise_law *l = ctx;
  bool angular = l->spec.geometry == ISC_ANGULAR;
  double k = log_profile(l, angular ? distance_of(t) / l->spec.epsilon : t);
  return l->power > 0 ? k + l->power * log(angular ? sin(t) : t) : k;
}

/* With u = (ρ/high)^p: P(norm ≤ ρ) = (u − u_low)/(1 − u_low), where high^p alone would overflow. */
static double norm_cdf(const isc_noise_law *l, double rho) {
  if (rho <= l->norm_low) return 0;
  if (rho >= l->norm_high) return 1;
  double below = log(rho / l->norm_high), low = log(l->norm_low / l->norm_high);
  if (l->norm_power == 0) return 1 - below / low;
  return 1 - expm1(l->norm_power * below) / expm1(l->norm_power * low);
}

static double norm_quantile(const isc_noise_law *l, double u) {
  double low = log(l->norm_low / l->norm_high), rho;
  if (l->norm_power == 0)
    rho = l->norm_high * exp((1 - u) * low);
  else
    rho = l->norm_high * exp(log1p((1 - u) * expm1(l->norm_power * low)) / l->norm_power);
  return fmin(fmax(rho, nextafter(l->norm_low, 1)), nextafter(l->norm_high, 1));
}

static isc_status check(const isc_noise_spec *s) {
  bool angular = s->geometry == ISC_ANGULAR;
  if (s->dim < 1)
    return isc_fail(ISC_E_CONFIG, "noise kernel: dimension %lld; it must be at least 1",
                    (long long)s->dim);
  if (!(s->epsilon > 0) || !isfinite(s->epsilon))
    return isc_fail(ISC_E_CONFIG, "noise kernel: epsilon = %g; it must be a finite number above 0",
                    s->epsilon);
  if (angular && !(s->band > 0 && s->band < 1))
    return isc_fail(ISC_E_CONFIG,
                    "noise kernel: the norm band delta = %g; it must lie between 0 and 1", s->band);
  if (!angular && s->measure == ISC_INVARIANT)
    return isc_fail(
        ISC_E_CONFIG,
        "noise kernel: measure = \"invariant\" is for angular kernels; use lebesgue or profile");
  if (!s->log_profile || !(s->support > 0))
    return isc_fail(ISC_E_USAGE, "noise kernel: a law needs log_profile and a support above 0");
  return ISC_OK;
}

/* Exponents: d itself is uniform where sin θ dθ = dd, hence 1 for the angular profile measure. */
static void set_norm_and_power(isc_noise_law *l) {
  const isc_noise_spec *s = &l->spec;
  bool profile = s->measure == ISC_PROFILE;
  l->norm_low = l->norm_high = 1;
  if (s->geometry != ISC_ANGULAR) {
    l->power = profile ? 0 : (double)(s->dim - 1);
    return;
  }
  l->fixed = s->dim == 1;
  l->power = profile ? 1 : (double)(s->dim - 2);
  l->norm_power = profile ? 1 : (double)s->dim;
  l->norm_low = 1 - s->band;
  l->norm_high = 1 + s->band;
  if (s->measure == ISC_INVARIANT) {
    l->norm_power = 0;
    l->norm_low = 1 / (1 + s->band);
    l->norm_high = 1 / (1 - s->band);
  }
}

isc_status isc_noise_law_open(const isc_noise_spec *given, void **law) {
  isc_noise_spec full, *spec = &full;
  *law = NULL;
  ISC_TRY(isc_struct_read(given, "a noise spec", ISC_SIZE_TO(isc_noise_spec, support), sizeof full,
                          &full));
  ISC_TRY(check(spec));
  isc_noise_law *l;
  ISC_TRY(isc_calloc(1, sizeof *l, "a noise law", (void **)&l));
  l->spec = *spec;
  l->last_ratio = nextafter(spec->support, 0);
  set_norm_and_power(l);
  double end = spec->support;
  if (spec->geometry == ISC_ANGULAR) end = angle_of(fmin(2, spec->support * spec->epsilon));
  isc_status st = l->fixed ? ISC_OK : isc_law_build(end, log_density, l, &l->size);
  if (st != ISC_OK) {
    isc_noise_law_close(l);
    return st;
  }
  *law = l;
  return ISC_OK;
}

void isc_noise_law_close(void *law) {
  isc_noise_law *l = law;
  if (!l) return;
  isc_law_free(&l->size);
  free(l);
}

isc_geometry isc_noise_law_geometry(void *law) {
  return ((isc_noise_law *)law)->spec.geometry;
}

isc_measure isc_noise_law_measure(void *law) {
  return ((isc_noise_law *)law)->spec.measure;
}

double isc_noise_law_epsilon(void *law) {
  return ((isc_noise_law *)law)->spec.epsilon;
}

double isc_noise_law_band(void *law) {
  const isc_noise_law *l = law;
  return l->spec.geometry == ISC_ANGULAR ? l->spec.band : 0;
}

double isc_noise_law_profile(void *law, double ratio) {
  const isc_noise_law *l = law;
  return ratio < l->spec.support ? exp(l->spec.log_profile(fabs(ratio))) : 0;
}

static void draw_angular(const isc_noise_law *l, isc_rng *rng, isc_noise_draw *out) {
  double angle = l->fixed ? 0 : isc_law_quantile(&l->size, isc_rng_uniform(rng));
  if (l->fixed) (void)isc_rng_uniform(rng);
  double rho = norm_quantile(l, isc_rng_uniform(rng));
  out->d = fmin(distance_of(angle), l->last_ratio * l->spec.epsilon);
  out->rho = rho;
  out->cos = cos(angle);
  out->sin = sin(angle);
  out->radius = sqrt((rho - 1) * (rho - 1) + 2 * rho * out->d);
}

void isc_noise_law_draw(void *law, isc_rng *rng, isc_noise_draw *out) {
  const isc_noise_law *l = law;
  if (l->spec.geometry == ISC_ANGULAR) {
    draw_angular(l, rng, out);
    return;
  }
  double ratio = fmin(isc_law_quantile(&l->size, isc_rng_uniform(rng)), l->last_ratio);
  *out = (isc_noise_draw){.d = ratio * l->spec.epsilon, .rho = 1, .cos = 1};
  out->radius = out->d;
}

double isc_noise_law_distance_cdf(void *law, double d) {
  const isc_noise_law *l = law;
  if (l->fixed) return d >= 0 ? 1 : 0;
  if (!(d > 0)) return 0;
  return isc_law_cdf(&l->size, l->spec.geometry == ISC_ANGULAR ? angle_of(d) : d / l->spec.epsilon);
}

double isc_noise_law_norm_cdf(void *law, double rho) {
  const isc_noise_law *l = law;
  if (l->spec.geometry != ISC_ANGULAR) return rho >= 1 ? 1 : 0;
  return norm_cdf(l, rho);
}
