/* SPDX-License-Identifier: Apache-2.0
 *
 * The planted task as a method sees it, with an eye on what it asks for.
 *
 * A run does not stop a method that draws held-out inputs from the prior; neither does this, so that only the check that
 * looks at the counts fails. What a run refuses is refused here too.
 */
#include "conform/toy_env.h"
#include <inttypes.h>
#include <inversescope/noise_law.h>
#include <stdarg.h>

static void offend(isc_task *t, const char *fmt, ...) ISC_PRINTF(2, 3);

static void offend(isc_task *t, const char *fmt, ...) {
  va_list ap;
  if (t->counts.held_out++ > 0) return;
  va_start(ap, fmt);
  vsnprintf(t->counts.offence, sizeof t->counts.offence, fmt, ap);
  va_end(ap);
}

/* ---- the environment's functions */

static isc_status text(const isc_method_env *env, int64_t i, isc_text *out) {
  isc_task *t = env->core;
  if (i >= 0 && i < t->env.n_train) return isc_template_draw(t->texts, ISC_TRAIN, i, out);
  offend(t, "it asked for the text of training input %" PRId64 " of %" PRId64, i, t->env.n_train);
  return isc_fail(ISC_E_USAGE, "method asked for training input %" PRId64 " of %" PRId64, i,
                  t->env.n_train);
}

static isc_status check_row(isc_task *t, int64_t row) {
  if (row >= 0 && row < t->env.n_train) return ISC_OK;
  offend(t, "it asked for the activation of training input %" PRId64 " of %" PRId64, row,
         t->env.n_train);
  return isc_fail(ISC_E_USAGE, "method asked for the activation of training input %" PRId64, row);
}

static isc_status check_site(isc_task *t, int64_t site) {
  t->counts.activations++;
  if (!t->harvested)
    return isc_fail(ISC_E_INTERNAL, "activations were asked for before the harvest");
  if (site < 0 || site >= ISC_TASK_SITES)
    return isc_fail(ISC_E_USAGE, "method asked for site %" PRId64, site);
  return ISC_OK;
}

static isc_status activations(const isc_method_env *env, int64_t site, const int64_t *rows,
                              int64_t n, float *out) {
  isc_task *t = env->core;
  ISC_TRY(check_site(t, site));
  for (int64_t i = 0; i < n; i++) {
    const int64_t row = rows ? rows[i] : i;
    ISC_TRY(check_row(t, row));
    isc_task_factor(t, site, ISC_TRAIN, row, out + i * t->site[site].stored);
  }
  return ISC_OK;
}

static isc_status harvest(const isc_method_env *env, int64_t site, const int64_t *row,
                          const int64_t *position, int64_t n, float *out) {
  isc_task *t = env->core;
  ISC_TRY(check_site(t, site));
  for (int64_t i = 0; i < n; i++) {
    ISC_TRY(check_row(t, row[i]));
    if (position[i] < 0 || position[i] >= ISC_TASK_SLOTS)
      return isc_fail(ISC_E_SHAPE,
                      "training input %" PRId64 " has %d tokens and no position %" PRId64, row[i],
                      (int)ISC_TASK_SLOTS, position[i]);
    isc_task_factor_at(t, site, row[i], position[i], out + i * t->site[site].stored);
  }
  return ISC_OK;
}

/* ---- the prior: the template's, with canaries at what gives inputs */

static int64_t count(void *self, isc_split split) {
  return isc_template_count(((isc_task *)self)->texts, split);
}

static isc_status draw(void *self, isc_split split, int64_t i, isc_text *out) {
  isc_task *t = self;
  if (split != ISC_TRAIN)
    offend(t, "it drew held-out input %" PRId64 " from the prior", i);
  else if (i >= t->env.n_train)
    offend(t, "it drew training input %" PRId64 " of %" PRId64 " from the prior", i,
           t->env.n_train);
  return isc_template_draw(t->texts, split, i, out);
}

static isc_status enumerate(void *self, int64_t i, isc_text *out) {
  offend(self, "it enumerated text %" PRId64 " of the prior", i);
  return isc_template_enumerate(((isc_task *)self)->texts, i, out);
}

static isc_status log_prob(void *self, const char *s, size_t len, double *out) {
  return isc_template_log_prob(((isc_task *)self)->texts, s, len, out);
}

static int64_t support(void *self) {
  return isc_template_support(((isc_task *)self)->texts);
}

static int64_t n_slots(void *self) {
  return isc_template_n_slots(((isc_task *)self)->texts);
}

static const char *slot_name(void *self, int64_t k) {
  return isc_template_slot_name(((isc_task *)self)->texts, k);
}

static isc_status slot(void *self, const char *s, size_t len, int64_t k, isc_text *out) {
  return isc_template_slot_value(((isc_task *)self)->texts, s, len, k, out);
}

static isc_status fingerprint(void *self, char hex[33]) {
  return isc_template_fingerprint(((isc_task *)self)->texts, hex);
}

static int64_t slot_choices(void *self, int64_t k) {
  return isc_template_slot_choices(((isc_task *)self)->texts, k);
}

static const char *slot_choice(void *self, int64_t k, int64_t j) {
  return isc_template_slot_choice(((isc_task *)self)->texts, k, j);
}

static int64_t max_bytes(void *self) {
  return isc_template_max_bytes(((isc_task *)self)->texts);
}

static const isc_prior_ops PRIOR = {.size = sizeof PRIOR,
                                    .count = count,
                                    .draw = draw,
                                    .log_prob = log_prob,
                                    .support = support,
                                    .enumerate = enumerate,
                                    .n_slots = n_slots,
                                    .slot_name = slot_name,
                                    .slot = slot,
                                    .fingerprint = fingerprint,
                                    .slot_choices = slot_choices,
                                    .slot_choice = slot_choice,
                                    .max_bytes = max_bytes};

/* ---- kernels: a hard ball of the cosine band, its uses counted */

static void *law_of(void *self) {
  struct isc_task_kernel *k = self;
  k->task->counts.kernel++;
  return k->law;
}

static isc_geometry geometry(void *self) {
  return isc_noise_law_geometry(law_of(self));
}

static double epsilon(void *self) {
  return isc_noise_law_epsilon(law_of(self));
}

static double band(void *self) {
  return isc_noise_law_band(law_of(self));
}

static double profile(void *self, double ratio) {
  return isc_noise_law_profile(law_of(self), ratio);
}

static void draw_noise(void *self, isc_rng *rng, isc_noise_draw *out) {
  isc_noise_law_draw(law_of(self), rng, out);
}

static double distance_cdf(void *self, double d) {
  return isc_noise_law_distance_cdf(law_of(self), d);
}

static double norm_cdf(void *self, double rho) {
  return isc_noise_law_norm_cdf(law_of(self), rho);
}

static isc_measure measure(void *self) {
  return isc_noise_law_measure(law_of(self));
}

static const isc_kernel_ops KERNEL = {.size = sizeof KERNEL,
                                      .geometry = geometry,
                                      .epsilon = epsilon,
                                      .band = band,
                                      .profile = profile,
                                      .draw = draw_noise,
                                      .distance_cdf = distance_cdf,
                                      .norm_cdf = norm_cdf,
                                      .measure = measure};

static isc_status open_kernel(isc_task *t, int64_t site) {
  struct isc_task_kernel *k = &t->kernel[site];
  const isc_noise_spec spec = {.size = sizeof spec,
                               .geometry = ISC_ANGULAR,
                               .measure = ISC_PROFILE,
                               .dim = t->site[site].dim,
                               .epsilon = 0.1,
                               .band = 0.1,
                               .log_profile = isc_log_profile_hard,
                               .support = 1};
  k->task = t;
  k->opened = (isc_kernel){.ops = &KERNEL, .self = k, .name = "hard-ball"};
  t->kernel_of[site] = &k->opened;
  return isc_noise_law_open(&spec, &k->law);
}

/* ---- */

isc_status isc_task_open_env(isc_task *t, isc_device *dev, int64_t n_train) {
  for (int64_t s = 0; s < ISC_TASK_SITES; s++)
    ISC_TRY(open_kernel(t, s));
  t->prior = (isc_prior){.ops = &PRIOR, .self = t, .name = "planted"};
  t->env = (isc_method_env){.size = sizeof t->env,
                            .device = dev,
                            .seed = t->seed,
                            .prior = &t->prior,
                            .target_tokenizer = t->tokenizer,
                            .sites = t->site,
                            .site_size = sizeof(isc_site),
                            .n_sites = ISC_TASK_SITES,
                            .kernels = t->kernel_of,
                            .measure = ISC_PROFILE,
                            .n_train = n_train,
                            .text = text,
                            .activations = activations,
                            .core = t,
                            .harvest = harvest};
  return ISC_OK;
}

void isc_task_close_env(isc_task *t) {
  for (int64_t s = 0; s < ISC_TASK_SITES; s++)
    isc_noise_law_close(t->kernel[s].law);
}
