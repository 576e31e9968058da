/* SPDX-License-Identifier: Apache-2.0
 *
 * The noise kernel @NAME@: k = 1 - (d/epsilon)^2 on Euclidean distance, plain or relative to the condition's norm.
 *
 * All that makes it this kernel is log_profile; the library finds the exact law of the noise from it.
 */
#include <inversescope/noise_law.h>
#include <math.h>

/* The settings, filled by the library from the table below. */
typedef struct kernel_conf {
  double epsilon;
  int32_t geometry, measure; /* isc_geometry, isc_measure */
} kernel_conf;

static const char *const geometries[] = {"euclidean", "normalised", NULL};
static const char *const measures[] = {"lebesgue", "profile", NULL};

static const isc_option options[] = {
    {"epsilon", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, offsetof(kernel_conf, epsilon), NULL, "0.1", 0,
     1e30, NULL, "Bandwidth: k falls to 0 there, and samples from there on count as refused."},
    {"geometry", ISC_OPT_ENUM, 0, offsetof(kernel_conf, geometry), NULL, "euclidean", 0, 0,
     geometries, "Distance: |z - z0|, or that divided by |z0|."},
    {"measure", ISC_OPT_ENUM, 0, offsetof(kernel_conf, measure), NULL, "lebesgue", 0, 0, measures,
     "Noise density k over activation space, or over d itself."},
    ISC_OPTIONS_END};

/* log k at ratio = d/epsilon: 0 at 0, and never rising. It is asked below spec.support only, the ratio from which k is 0
 * (INFINITY when it never is). */
static double log_profile(double ratio) {
  return log1p(-ratio * ratio);
}

static isc_status open_kernel(const void *conf, int64_t dim, void **self) {
  const kernel_conf *c = conf;
  const isc_noise_spec spec = {.size = sizeof spec,
                               .geometry = (isc_geometry)c->geometry,
                               .measure = (isc_measure)c->measure,
                               .dim = dim,
                               .epsilon = c->epsilon,
                               .log_profile = log_profile,
                               .support = 1};
  return isc_noise_law_open(&spec, self);
}

static const isc_kernel_ops ops = ISC_NOISE_LAW_OPS(open_kernel);

ISC_PLUGIN_CLASS(ISC_KERNEL, "@NAME@", "0.1.0",
                 .summary = "k = 1 - (d/epsilon)^2 on Euclidean distance", .licence = "Apache-2.0",
                 .options = options, .conf_size = sizeof(kernel_conf), .ops = &ops);
