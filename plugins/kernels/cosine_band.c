/* SPDX-License-Identifier: Apache-2.0
 *
 * The cosine noise kernel of the paper: d = 1 − cos, with the norm held in a band of ±δ (appendix B).
 *
 * The law itself, and the reason for the invariant measure, are in noise_law.h.
 */
#include <inversescope/noise_law.h>
#include <math.h>

typedef struct band_conf {
  double epsilon, delta;
  int32_t profile, measure;
} band_conf;

enum { HARD, GAUSSIAN };
static const char *const profiles[] = {"hard", "gaussian", NULL};
static const char *const measures[] = {"lebesgue", "profile", "invariant", NULL};

static const isc_option options[] = {
    {"epsilon", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, offsetof(band_conf, epsilon), NULL, "0.1", 0, 1e30,
     NULL, "Bandwidth: cosine distance from which a sample counts as refused."},
    {"delta", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN | ISC_OPT_OPEN_MAX, offsetof(band_conf, delta), NULL,
     "0.1", 0, 1, NULL, "Half-width of the norm band, relative to the norm of the condition."},
    {"profile", ISC_OPT_ENUM, 0, offsetof(band_conf, profile), NULL, "hard", 0, 0, profiles,
     "k: 1 below epsilon and 0 beyond, or exp(-(d/epsilon)^2)."},
    {"measure", ISC_OPT_ENUM, 0, offsetof(band_conf, measure), NULL, "lebesgue", 0, 0, measures,
     "Noise density k over activation space (the paper), over d, or over angle and log norm."},
    ISC_OPTIONS_END};

static isc_status open_band(const void *conf, int64_t dim, void **self) {
  const band_conf *c = conf;
  const isc_noise_spec spec = {.size = sizeof spec,
                               .geometry = ISC_ANGULAR,
                               .measure = (isc_measure)c->measure,
                               .dim = dim,
                               .epsilon = c->epsilon,
                               .band = c->delta,
                               .log_profile = c->profile == HARD ? isc_log_profile_hard
                                                                 : isc_log_profile_gaussian,
                               .support = c->profile == HARD ? 1 : INFINITY};
  return isc_noise_law_open(&spec, self);
}

static const isc_kernel_ops ops = ISC_NOISE_LAW_OPS(open_band);
ISC_PLUGIN_CLASS(ISC_KERNEL, "cosine-band", "1.0.0",
                 .summary = "k of the cosine distance, the norm held in a band",
                 .licence = "Apache-2.0", .source = "InverseScope, appendix B", .options = options,
                 .conf_size = sizeof(band_conf), .ops = &ops);
