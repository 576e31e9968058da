/* SPDX-License-Identifier: Apache-2.0
 *
 * A noise kernel, and one way each to break what is asked of kernels.
 *
 * The hard kernel, of the cosine distance unless told otherwise. Defects keep to a dimension, an argument or a call that only their own check looks
 * at closely.
 */
#include "broken.h"
#include <inversescope/noise_law.h>
#include <math.h>
#include <stdlib.h>

typedef struct conf {
  double epsilon, delta;
  int32_t geometry;
} conf;

static const char *const GEOMETRIES[] = {"euclidean", "normalised", "angular", NULL};

static const isc_option OPTIONS[] = {
    {"epsilon", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, offsetof(conf, epsilon), NULL, "0.1", 0, 1e30,
     NULL, "Bandwidth of the kernel."},
    {"delta", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN | ISC_OPT_OPEN_MAX, offsetof(conf, delta), NULL,
     "0.1", 0, 1, NULL, "Half-width of the norm band."},
    {"geometry", ISC_OPT_ENUM, 0, offsetof(conf, geometry), NULL, "angular", 0, 0, GEOMETRIES,
     "Which distance it is of."},
    ISC_OPTIONS_END};

typedef struct kernel {
  void *law, *other; /* `other` has the distances of another measure */
  int64_t dim, draws;
  int number; /* among those opened in so many dimensions */
} kernel;

static int opened; /* in 768 dimensions */

static double log_profile(double ratio) {
  (void)ratio;
  return 0;
}

static void close_kernel(void *self) {
  kernel *k = self;
  isc_noise_law_close(k->law);
  isc_noise_law_close(k->other);
  free(k);
}

static isc_status open_kernel(const void *settings, int64_t dim, void **self) {
  const conf *c = settings;
  isc_noise_spec spec = {.size = sizeof spec,
                         .geometry = (isc_geometry)c->geometry,
                         .measure = ISC_LEBESGUE,
                         .dim = dim,
                         .epsilon = c->epsilon,
                         .band = c->delta,
                         .log_profile = log_profile,
                         .support = 1};
  kernel *k = calloc(1, sizeof *k);
  if (!k) return isc_fail(ISC_E_NOMEM, "kernel broken: no memory");
  k->dim = dim;
  k->number = dim == 768 ? ++opened : 0;
  isc_status st = isc_noise_law_open(&spec, &k->law);
  spec.measure = ISC_PROFILE;
  if (st == ISC_OK) st = isc_noise_law_open(&spec, &k->other);
  if (st == ISC_OK)
    *self = k;
  else
    close_kernel(k);
  return st;
}

static isc_geometry geometry(void *self) {
  return isc_noise_law_geometry(((const kernel *)self)->law);
}

static isc_measure measure(void *self) {
  return isc_noise_law_measure(((const kernel *)self)->law);
}

static double epsilon(void *self) {
  const kernel *k = self;
  const double e = isc_noise_law_epsilon(k->law);
  return BROKEN("kernel.epsilon") && k->dim == 2 ? e * (1 + 1e-9) : e;
}

static double band(void *self) {
  return isc_noise_law_band(((const kernel *)self)->law);
}

static double profile(void *self, double ratio) {
  const kernel *k = self;
  if (BROKEN("kernel.range") && ratio == 0) return 0.5;
  if (BROKEN("kernel.monotone") && ratio > 0.5 && ratio < 0.5004) return 0.99;
  return isc_noise_law_profile(k->law, ratio);
}

static void draw(void *self, isc_rng *rng, isc_noise_draw *out) {
  kernel *k = self;
  isc_noise_draw other;
  if (BROKEN("kernel.pure") && ++k->draws > 1500) (void)isc_rng_u64(rng);
  if (BROKEN("kernel.backends") && k->number > 1) (void)isc_rng_u64(rng);
  isc_noise_law_draw(k->law, rng, out);
  if (BROKEN("kernel.draw") && k->dim == 16) out->cos += 1e-9;
  if (BROKEN("kernel.overflow") && k->dim == 4096) out->d = NAN;
  if (BROKEN("kernel.band") && k->dim == 16) out->rho = 1 + 0.9 * (out->rho - 1);
  if (BROKEN("kernel.limits") && isc_noise_law_epsilon(k->law) < 1e-6) out->d *= 0.5;
  if (BROKEN("kernel.law") && k->dim == 16) {
    isc_noise_law_draw(k->other, rng, &other);
    other.rho = out->rho;
    *out = other;
  }
}

static double distance_cdf(void *self, double d) {
  const kernel *k = self;
  const double p = isc_noise_law_distance_cdf(k->law, d);
  if (BROKEN("kernel.finite") && isinf(d)) return NAN;
  return BROKEN("kernel.cdf") && k->dim == 3 ? p * p : p;
}

static double norm_cdf(void *self, double rho) {
  return isc_noise_law_norm_cdf(((const kernel *)self)->law, rho);
}

static const isc_kernel_ops OPS = {.size = sizeof OPS,
                                   .open = open_kernel,
                                   .close = close_kernel,
                                   .geometry = geometry,
                                   .epsilon = epsilon,
                                   .band = band,
                                   .profile = profile,
                                   .draw = draw,
                                   .distance_cdf = distance_cdf,
                                   .norm_cdf = norm_cdf,
                                   .measure = measure};

ISC_PLUGIN_CLASS(ISC_KERNEL, "broken-kernel", "1.0.0",
                 .summary = "The hard kernel of the cosine distance", .licence = "Apache-2.0",
                 .source = "the conformance tests", .options = OPTIONS, .conf_size = sizeof(conf),
                 .ops = &OPS);
