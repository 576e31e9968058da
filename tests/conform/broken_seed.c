/* SPDX-License-Identifier: Apache-2.0
 *
 * A noise kernel that can forget its seed: a kind that takes one, unlike the feature of broken_any.c.
 *
 * Its draws then have the right law, in each stream of their own, and are the same for every seed.
 */
#include "broken.h"
#include <inversescope/noise_law.h>
#include <math.h>

typedef struct conf {
  double epsilon;
} conf;

static const isc_option OPTIONS[] = {{"epsilon", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN,
                                      offsetof(conf, epsilon), NULL, "0.1", 0, 1e30, NULL,
                                      "Bandwidth of the kernel."},
                                     ISC_OPTIONS_END};

static double log_profile(double ratio) {
  return -ratio * ratio;
}

static isc_status open_kernel(const void *settings, int64_t dim, void **self) {
  const conf *c = settings;
  const isc_noise_spec spec = {.size = sizeof spec,
                               .geometry = ISC_EUCLIDEAN,
                               .measure = ISC_LEBESGUE,
                               .dim = dim,
                               .epsilon = c->epsilon,
                               .log_profile = log_profile,
                               .support = INFINITY};
  return isc_noise_law_open(&spec, self);
}

static void draw(void *self, isc_rng *rng, isc_noise_draw *out) {
  if (BROKEN("any.other-seed")) *rng = isc_rng_at(0, ISC_RNG_USER, rng->index);
  isc_noise_law_draw(self, rng, out);
}

static const isc_kernel_ops OPS = {.size = sizeof OPS,
                                   .open = open_kernel,
                                   .close = isc_noise_law_close,
                                   .geometry = isc_noise_law_geometry,
                                   .epsilon = isc_noise_law_epsilon,
                                   .band = isc_noise_law_band,
                                   .profile = isc_noise_law_profile,
                                   .draw = draw,
                                   .distance_cdf = isc_noise_law_distance_cdf,
                                   .norm_cdf = isc_noise_law_norm_cdf,
                                   .measure = isc_noise_law_measure};

ISC_PLUGIN_CLASS(ISC_KERNEL, "broken-seed", "1.0.0", .summary = "A Gaussian of the distance",
                 .licence = "Apache-2.0", .source = "the conformance tests", .options = OPTIONS,
                 .conf_size = sizeof(conf), .ops = &OPS);
