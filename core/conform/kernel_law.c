/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of noise kernels: the laws of the distance and of the norm, and their limits.
 *
 * The training objective is right only if the noise has the density that k, the geometry and the measure say.
 */
#include "conform/kernel_use.h"
#include "eval/goodness.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 20000, NORMS = 10000, BINS = 20, LIMIT_DRAWS = 5000 };
static const double ALPHA = 1e-6;
/* The expected law is good to 1e-9 where k is smooth, and to its cell, below 4e-4, where k jumps. */
static const double CDF_TOLERANCE = 5e-4;

/* ---- chi-square tests, judged together */

typedef struct trial {
  char of[96];
  isc_fit fit;
} trial;

typedef struct trials {
  trial at[2 * ISC_CONFORM_DIMS];
  int64_t n;
} trials;

static isc_status judge(const trials *t) {
  double p[2 * ISC_CONFORM_DIMS];
  bool rejected[2 * ISC_CONFORM_DIMS];
  if (t->n == 0) return ISC_OK;
  for (int64_t i = 0; i < t->n; i++)
    p[i] = isc_fit_p(t->at[i].fit);
  if (isc_holm(t->n, p, ALPHA, rejected) < 0) return isc_error_code();
  for (int64_t i = 0; i < t->n; i++)
    if (rejected[i])
      return isc_fail(ISC_E_INTERNAL,
                      "%s: chi-square %.1f with %lld degrees of freedom, p = %.1e (Holm over %lld)",
                      t->at[i].of, t->at[i].fit.x, (long long)t->at[i].fit.freedom, p[i],
                      (long long)t->n);
  return ISC_OK;
}

/* Numbers that should be uniform on (0, 1), in equal bins. */
typedef struct bins {
  int64_t count[BINS];
  int64_t n;
} bins;

static void count_in(bins *b, double u) {
  const int i = u > 0 ? (int)fmin(u * BINS, BINS - 1) : 0;
  b->count[i]++;
  b->n++;
}

static void add_trial(trials *t, const bins *b, const char *what, int64_t dim) {
  double expected[BINS];
  trial *to = &t->at[t->n++];
  for (int i = 0; i < BINS; i++)
    expected[i] = (double)b->n / BINS;
  to->fit = isc_fit_expected(BINS, b->count, expected);
  snprintf(to->of, sizeof to->of, "%s of %lld draws in dimension %lld", what, (long long)b->n,
           (long long)dim);
}

/* ---- kernel.law, kernel.limits */

static isc_status try_distance(const isc_kernel *k, int64_t dim, uint64_t seed, int n, trials *t) {
  isc_expected_law l = {0};
  bins b = {{0}, 0};
  isc_status st = ISC_OK;
  ISC_GO(isc_expected_law_new(k, dim, &l));
  for (int i = 0; i < n; i++) {
    const double d = isc_conform_noise(k, seed, (uint64_t)i).d;
    if (!isfinite(d) || d < 0)
      ISC_GO(isc_fail(ISC_E_INTERNAL, "dimension %lld: draw %d has d = %g", (long long)dim, i, d));
    if (l.fixed && d != 0)
      ISC_GO(isc_fail(ISC_E_INTERNAL,
                      "dimension 1: draw %d has d = %g, but nothing is orthogonal to z", i, d));
    if (!l.fixed && !l.hidden) count_in(&b, isc_expected_cdf(&l, d));
  }
  if (!l.fixed && !l.hidden) add_trial(t, &b, "the distances", dim);
done:
  isc_expected_law_free(&l);
  return st;
}

static isc_status law(isc_conform *c) {
  trials t = {.n = 0};
  for (int i = 0; i < ISC_CONFORM_DIMS; i++) {
    isc_kernel k;
    ISC_TRY(isc_conform_kernel_open(c, c->conf, isc_conform_dims[i], &k));
    isc_status st = try_distance(&k, isc_conform_dims[i], c->seed, DRAWS, &t);
    isc_conform_kernel_close(&k);
    if (st != ISC_OK) return st;
  }
  return judge(&t);
}

/* The option's value nearest to `want`, below or above what the case has. */
static double reachable(const isc_option *o, double want) {
  if (o->min == 0 && o->max == 0) return want;
  return fmin(fmax(want, o->min), o->max);
}

static isc_status limit(isc_conform *c, double epsilon, int64_t dim, trials *t) {
  char text[64];
  const char *const changes[] = {text};
  void *conf = NULL;
  isc_kernel k = {0};
  isc_status st = ISC_OK;
  snprintf(text, sizeof text, "epsilon=%.9e", epsilon);
  ISC_GO(c->cs->fill(c->cs, changes, 1, &conf));
  ISC_GO(isc_conform_kernel_open(c, conf, dim, &k));
  ISC_GO(try_distance(&k, dim, c->seed, LIMIT_DRAWS, t));
done:
  isc_conform_kernel_close(&k);
  free(conf);
  return st == ISC_OK ? st : isc_fail_in("with epsilon = %g", epsilon);
}

static isc_status limits(isc_conform *c) {
  static const int64_t dims[] = {3, 768};
  const isc_option *o = c->cls->options;
  while (o && o->name && !(strcmp(o->name, "epsilon") == 0 && o->type == ISC_OPT_FLOAT))
    o++;
  if (!o || !o->name) return isc_conform_skip(c, "it has no option epsilon");
  const double ends[] = {reachable(o, 1e-9), reachable(o, 1e9)};
  for (int i = 0; i < 2; i++) {
    trials t = {.n = 0};
    for (int j = 0; j < 2; j++)
      ISC_TRY(limit(c, ends[i], dims[j], &t));
    if (judge(&t) != ISC_OK) return isc_fail_in("with epsilon = %g", ends[i]);
  }
  return ISC_OK;
}

/* ---- kernel.cdf */

static isc_status compare_cdf(double got, double want, const char *call, double at,
                              double *previous) {
  if (!(fabs(got - want) <= CDF_TOLERANCE))
    return isc_fail(ISC_E_INTERNAL, "%s(%.9g) is %.6f; profile and measure give %.6f", call, at,
                    got, want);
  if (got < *previous)
    return isc_fail(ISC_E_INTERNAL, "%s falls from %.17g to %.17g at %.9g", call, *previous, got,
                    at);
  *previous = got;
  return ISC_OK;
}

static isc_status compare_distance(const isc_kernel *k, int64_t dim) {
  enum { POINTS = 500 };
  isc_expected_law l = {0};
  double previous = 0;
  isc_status st = ISC_OK;
  ISC_GO(isc_expected_law_new(k, dim, &l));
  ISC_GO(compare_cdf(k->ops->distance_cdf(k->self, -1), 0, "distance_cdf", -1, &previous));
  for (int i = 0; i <= POINTS && !l.hidden; i++) {
    /* A little beyond both ends of the law, evenly over the logarithm it is tabulated in. */
    const double u = l.low + (l.high - l.low) * (1.1 * i / POINTS - 0.05), t = exp(u);
    const double d = l.fixed     ? 0.01 * i
                     : l.angular ? 2 * pow(sin(fmin(t, 3.14159265358979) / 2), 2)
                                 : t * l.epsilon;
    ISC_GO(compare_cdf(k->ops->distance_cdf(k->self, d), isc_expected_cdf(&l, d), "distance_cdf", d,
                       &previous));
  }
done:
  isc_expected_law_free(&l);
  return st;
}

static isc_status compare_norm(const isc_kernel *k, int64_t dim) {
  enum { POINTS = 200 };
  double low = 1, high = 1, previous = 0;
  if (k->ops->geometry(k->self) == ISC_ANGULAR) isc_expected_band(k, &low, &high);
  for (int i = 0; i <= POINTS; i++) {
    const double rho = low - 0.01 + (high - low + 0.02) * i / POINTS;
    /* Without a band the law is a step at 1. */
    if (low == high && fabs(rho - 1) < 1e-9) continue;
    ISC_TRY(compare_cdf(k->ops->norm_cdf(k->self, rho), isc_expected_norm_cdf(k, dim, rho),
                        "norm_cdf", rho, &previous));
  }
  return ISC_OK;
}

static isc_status cdf(isc_conform *c) {
  for (int i = 0; i < ISC_CONFORM_DIMS; i++) {
    const int64_t dim = isc_conform_dims[i];
    isc_kernel k;
    ISC_TRY(isc_conform_kernel_open(c, c->conf, dim, &k));
    isc_status st = compare_distance(&k, dim);
    if (st == ISC_OK) st = compare_norm(&k, dim);
    isc_conform_kernel_close(&k);
    if (st != ISC_OK) return isc_fail_in("dimension %lld", (long long)dim);
  }
  return ISC_OK;
}

/* ---- kernel.band */

static isc_status try_norm(const isc_kernel *k, int64_t dim, uint64_t seed, trials *t) {
  bins b = {{0}, 0};
  double low, high;
  isc_expected_band(k, &low, &high);
  for (int i = 0; i < NORMS; i++) {
    const double rho = isc_conform_noise(k, seed, (uint64_t)i).rho;
    /* Rounding at the band's ends is allowed for. */
    if (!(rho >= low - 1e-12 && rho <= high + 1e-12))
      return isc_fail(ISC_E_INTERNAL,
                      "dimension %lld: draw %d has the norm ratio %.17g, outside %.9g ... %.9g",
                      (long long)dim, i, rho, low, high);
    count_in(&b, isc_expected_norm_cdf(k, dim, rho));
  }
  add_trial(t, &b, "the norm ratios", dim);
  return ISC_OK;
}

static isc_status band(isc_conform *c) {
  trials t = {.n = 0};
  for (int i = 0; i < ISC_CONFORM_DIMS; i++) {
    isc_kernel k;
    ISC_TRY(isc_conform_kernel_open(c, c->conf, isc_conform_dims[i], &k));
    const bool angular = k.ops->geometry(k.self) == ISC_ANGULAR;
    isc_status st = angular ? try_norm(&k, isc_conform_dims[i], c->seed, &t) : ISC_OK;
    isc_conform_kernel_close(&k);
    if (!angular) return isc_conform_skip(c, "it has no norm band");
    if (st != ISC_OK) return st;
  }
  return judge(&t);
}

const isc_check isc_checks_kernel_law[] = {
    {"kernel.law", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 40,
     "The distances drawn have the law that profile, geometry and measure say, in every dimension.",
     "Under lebesgue the surface d^(n-1), or sin^(n-2), belongs to the density; "
     "isc_noise_law_open gives the exact law.",
     law},
    {"kernel.cdf", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 20,
     "distance_cdf and norm_cdf are the cumulative laws of what is drawn.",
     "They are of d and of the norm ratio, not of d/epsilon or the angle.", cdf},
    {"kernel.band", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 40,
     "The norm ratio stays in its band and has the measure's law there.",
     "The band is 1 - delta to 1 + delta, under the invariant measure 1/(1 + delta) to "
     "1/(1 - delta); the density of rho is rho^(n-1), 1 or 1/rho.",
     band},
    {"kernel.limits", ISC_OF(ISC_KERNEL), ISC_PER_CASE, 30,
     "The law holds when epsilon goes to 0 and when it is huge.",
     "Integrate over the range where the law has its mass, not over a fixed one.", limits},
    {0}};
