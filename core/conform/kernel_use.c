/* SPDX-License-Identifier: Apache-2.0
 *
 * See kernel_use.h. In u = log t, t = d/ε or the angle, every law is smooth and its bulk a few units wide, whatever ε and the
 * dimension; the bulk is found on a coarse grid and integrated by Simpson's rule.
 */
#include "conform/kernel_use.h"
#include <math.h>
#include <stdlib.h>

enum { COARSE = 16384, CELLS = 100000 };
/* Beyond this far below the peak, in logarithms, lies nothing that any sample shows. */
static const double DROP = 40, LEAST_DECAY = 20;
static const double PI = 3.14159265358979323846;

const int64_t isc_conform_dims[ISC_CONFORM_DIMS] = {1, 2, 3, 16, 768};

isc_status isc_conform_kernel_open(isc_conform *c, const void *conf, int64_t dim, isc_kernel *out) {
  const isc_kernel_ops *ops = c->cls->ops;
  void *self = NULL;
  *out = (isc_kernel){0};
  if (ops->open(conf, dim, &self) != ISC_OK) return isc_fail_in("dimension %lld", (long long)dim);
  *out = (isc_kernel){ops, self, c->cls->name};
  return ISC_OK;
}

void isc_conform_kernel_close(isc_kernel *k) {
  if (k->ops) k->ops->close(k->self);
  *k = (isc_kernel){0};
}

isc_noise_draw isc_conform_noise(const isc_kernel *k, uint64_t seed, uint64_t i) {
  isc_noise_draw d = {0};
  isc_rng r = isc_rng_at(seed, ISC_RNG_NOISE_RADIUS, i);
  k->ops->draw(k->self, &r, &d);
  return d;
}

/* ---- the distance */

/* What a profile is near where doubles end. */
static const double LEAST_PROFILE = 1e-290;

/* k at u. */
static double profile_at(const isc_kernel *k, double u) {
  const double t = exp(u), half = sin(t / 2);
  if (k->ops->geometry(k->self) != ISC_ANGULAR) return k->ops->profile(k->self, t);
  return k->ops->profile(k->self, 2 * half * half / k->ops->epsilon(k->self));
}

/* log of the density of u, up to a constant. */
static double log_density(const isc_kernel *k, int64_t dim, double u) {
  const bool profile = k->ops->measure(k->self) == ISC_PROFILE;
  const double t = exp(u), weight = log(profile_at(k, u));
  if (k->ops->geometry(k->self) != ISC_ANGULAR) return weight + (profile ? 1 : (double)dim) * u;
  const double power = profile ? 1 : (double)(dim - 2);
  return power == 0 ? weight + u : weight + u + power * log(fmax(sin(t), 0));
}

/* Where between `in`, in the bulk, and `out` the bulk ends. */
static double edge(const isc_kernel *k, int64_t dim, double in, double out, double least) {
  for (int i = 0; i < 60; i++) {
    const double mid = in + (out - in) / 2;
    if (log_density(k, dim, mid) > least)
      in = mid;
    else
      out = mid;
  }
  return in;
}

static isc_status find_bulk(const isc_kernel *k, int64_t dim, isc_expected_law *l) {
  const double first = log(1e-20), last = log(l->angular ? PI : 1e10),
               step = (last - first) / COARSE;
  int64_t low = -1, high = -1;
  l->peak = -INFINITY;
  for (int64_t i = 0; i <= COARSE; i++)
    l->peak = fmax(l->peak, log_density(k, dim, first + step * (double)i));
  if (!isfinite(l->peak))
    return isc_fail(ISC_E_INTERNAL, "dimension %lld: the profile is 0, or no number, everywhere",
                    (long long)dim);
  for (int64_t i = 0; i <= COARSE; i++) {
    if (!(log_density(k, dim, first + step * (double)i) > l->peak - DROP)) continue;
    if (low < 0) low = i;
    high = i;
  }
  if (!l->angular && high == COARSE && log_density(k, dim, last) > l->peak - LEAST_DECAY)
    return isc_fail(ISC_E_INTERNAL,
                    "dimension %lld: the profile falls so slowly that the noise has no finite law",
                    (long long)dim);
  l->low = first + step * (double)low;
  l->high = high == COARSE ? last : first + step * (double)high;
  if (low > 0) l->low = edge(k, dim, l->low, l->low - step, l->peak - DROP);
  if (high < COARSE) l->high = edge(k, dim, l->high, l->high + step, l->peak - DROP);
  return ISC_OK;
}

isc_status isc_expected_law_new(const isc_kernel *k, int64_t dim, isc_expected_law *out) {
  void *memory;
  *out = (isc_expected_law){.angular = k->ops->geometry(k->self) == ISC_ANGULAR,
                            .epsilon = k->ops->epsilon(k->self)};
  out->fixed = out->angular && dim == 1;
  if (out->fixed) return ISC_OK;
  ISC_TRY(find_bulk(k, dim, out));
  /* The end of a bulk has a k of e^-DROP of its peak's or more, unless numbers end there before the bulk does: in dimension
   * n, exp(-d/epsilon) has its bulk at a ratio of n. */
  out->hidden = profile_at(k, out->high) < LEAST_PROFILE;
  if (out->hidden) return ISC_OK;
  ISC_TRY(isc_calloc(CELLS + 1, sizeof(double), "the expected law", &memory));
  out->below = memory;
  const double h = (out->high - out->low) / CELLS;
  double left = exp(log_density(k, dim, out->low) - out->peak);
  for (int64_t i = 0; i < CELLS; i++) {
    const double u = out->low + h * (double)i;
    const double mid = exp(log_density(k, dim, u + h / 2) - out->peak),
                 right = exp(log_density(k, dim, i + 1 < CELLS ? u + h : out->high) - out->peak);
    out->below[i + 1] = out->below[i] + left + 4 * mid + right;
    left = right;
  }
  for (int64_t i = 0; i <= CELLS; i++)
    out->below[i] /= out->below[CELLS];
  return ISC_OK;
}

void isc_expected_law_free(isc_expected_law *l) {
  free(l->below);
  *l = (isc_expected_law){0};
}

double isc_expected_cdf(const isc_expected_law *l, double d) {
  if (l->fixed) return d >= 0 ? 1 : 0;
  if (!(d > 0)) return 0;
  const double u = log(l->angular ? 2 * asin(sqrt(fmin(d, 2) / 2)) : d / l->epsilon);
  const double at = (u - l->low) / (l->high - l->low) * CELLS;
  if (!(at > 0)) return 0;
  if (at >= CELLS) return 1;
  const int64_t i = (int64_t)at;
  return l->below[i] + (l->below[i + 1] - l->below[i]) * (at - (double)i);
}

/* ---- the norm */

void isc_expected_band(const isc_kernel *k, double *low, double *high) {
  const double delta = k->ops->band(k->self);
  const bool invariant = k->ops->measure(k->self) == ISC_INVARIANT;
  *low = invariant ? 1 / (1 + delta) : 1 - delta;
  *high = invariant ? 1 / (1 - delta) : 1 + delta;
}

/* ∫ ρ^(p−1) over the band, p = n (lebesgue), 1 (profile), 0 (invariant); as ratios, because ρ^n overflows. */
double isc_expected_norm_cdf(const isc_kernel *k, int64_t dim, double rho) {
  double low, high;
  const isc_measure m = k->ops->measure(k->self);
  if (k->ops->geometry(k->self) != ISC_ANGULAR) return rho >= 1 ? 1 : 0;
  isc_expected_band(k, &low, &high);
  if (rho <= low) return 0;
  if (rho >= high) return 1;
  if (m == ISC_INVARIANT) return log(rho / low) / log(high / low);
  const double p = m == ISC_PROFILE ? 1 : (double)dim;
  return exp(p * log(rho / high)) * expm1(p * log(low / rho)) / expm1(p * log(low / high));
}
