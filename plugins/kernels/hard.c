/* SPDX-License-Identifier: Apache-2.0
 *
 * The hard noise kernel k = 1 for d < ε, else 0, on Euclidean distance, plain or relative to ‖ẑ‖ (paper 2).
 *
 * Under the lebesgue measure its noise is uniform in a ball. The law itself is the library's (noise_law.h).
 */
#include <inversescope/noise_law.h>

typedef struct hard_conf {
  double epsilon;
  int32_t geometry, measure; /* isc_geometry, isc_measure */
} hard_conf;

static const char *const geometries[] = {"euclidean", "normalised", NULL};
static const char *const measures[] = {"lebesgue", "profile", NULL};

static const isc_option options[] = {
    {"epsilon", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, offsetof(hard_conf, epsilon), NULL, "0.1", 0, 1e30,
     NULL, "Bandwidth: the radius of the ball."},
    {"geometry", ISC_OPT_ENUM, 0, offsetof(hard_conf, geometry), NULL, "euclidean", 0, 0,
     geometries, "Distance: |z - z0|, or that divided by |z0|."},
    {"measure", ISC_OPT_ENUM, 0, offsetof(hard_conf, measure), NULL, "lebesgue", 0, 0, measures,
     "Noise density k over activation space (the paper), or over d itself."},
    ISC_OPTIONS_END};

static isc_status open_hard(const void *conf, int64_t dim, void **self) {
  const hard_conf *c = conf;
  const isc_noise_spec spec = {.size = sizeof spec,
                               .geometry = (isc_geometry)c->geometry,
                               .measure = (isc_measure)c->measure,
                               .dim = dim,
                               .epsilon = c->epsilon,
                               .log_profile = isc_log_profile_hard,
                               .support = 1};
  return isc_noise_law_open(&spec, self);
}

static const isc_kernel_ops ops = ISC_NOISE_LAW_OPS(open_hard);
ISC_PLUGIN_CLASS(ISC_KERNEL, "hard", "1.0.0",
                 .summary = "k = 1 for d < epsilon, else 0, on Euclidean distance",
                 .licence = "Apache-2.0", .source = "InverseScope, section 2 and appendix B",
                 .options = options, .conf_size = sizeof(hard_conf), .ops = &ops);
