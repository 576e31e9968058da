/* SPDX-License-Identifier: Apache-2.0
 *
 * The environment and the training loop of a rehearsal.
 */
#include "run/rehearsal.h"

#include "run/model.h"
#include "run/rehearsal_target.h"
#include "run/stage.h"
#include "tensor/count.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Training inputs of a rehearsal: enough for any batch, few enough to make up activations for. */
enum { INPUTS = 2048, STEPS = 2 };

typedef struct stage_env {
  isc_method_env env;
  const isc_study *study;
  isc_plan_device plan;
  isc_rehearsed_target target;
  isc_site *site; /* [n_sites] */
  char (*name)[32];
  float *map; /* [d_head, d_model] of zeros but the diagonal, every head's */
  isc_kernel kernel;
  const isc_kernel **kernels; /* [n_sites] the same one: all have d_model */
  double text_flops;          /* of the target for one text */
} stage_env;

static isc_status env_text(const isc_method_env *env, int64_t i, isc_text *out) {
  const stage_env *e = env->core;
  return isc_study_text(e->study, ISC_TRAIN, i, out);
}

/* Numbers with a norm, the same for the same input. */
static isc_status env_activations(const isc_method_env *env, int64_t site, const int64_t *rows,
                                  int64_t n, float *out) {
  const int64_t stored = isc_method_site(env, site)->stored;
  for (int64_t i = 0; i < n; i++)
    for (int64_t k = 0; k < stored; k++)
      out[i * stored + k] = (float)cos((double)(1 + k) * (double)(3 + (rows ? rows[i] : i)));
  return ISC_OK;
}

/* The target has no pass here, but what it would take is the method's. */
static isc_status env_harvest(const isc_method_env *env, int64_t site, const int64_t *row,
                              const int64_t *position, int64_t n, float *out) {
  stage_env *e = env->core;
  (void)position;
  e->plan.device.flops += (double)n * e->text_flops;
  return env_activations(env, site, row, n, out);
}

static isc_status make_sites(stage_env *e, const isc_study_plan *plan) {
  const isc_site_sum *sum = &plan->harvest.sites;
  const isc_decoder_spec *spec = &plan->memory.spec;
  const size_t n = (size_t)sum->sites;
  ISC_TRY(isc_calloc(n, sizeof *e->site, "sites", (void **)&e->site));
  ISC_TRY(isc_calloc(n, sizeof *e->name, "sites", (void **)&e->name));
  ISC_TRY(isc_calloc(n, sizeof *e->kernels, "sites", (void **)&e->kernels));
  ISC_TRY(isc_calloc((size_t)spec->d_head, (size_t)spec->d_model * sizeof(float), "sites",
                     (void **)&e->map));
  for (int64_t k = 0; k < spec->d_head && k < spec->d_model; k++)
    e->map[k * spec->d_model + k] = 1;
  for (int64_t i = 0; i < sum->sites; i++) {
    const bool head = i < sum->heads;
    snprintf(e->name[i], sizeof e->name[i], "site.%lld", (long long)i);
    e->site[i] = (isc_site){.name = e->name[i],
                            .dim = spec->d_model,
                            .stored = head ? spec->d_head : spec->d_model,
                            .map = head ? e->map : NULL};
    e->kernels[i] = &e->kernel;
  }
  return ISC_OK;
}

static isc_status make_kernel(stage_env *e, const isc_study *s, int64_t dim) {
  e->kernel = (isc_kernel){.ops = s->kernel_class->ops, .name = s->kernel_class->name};
  return e->kernel.ops->open(s->kernel_conf, dim, &e->kernel.self);
}

/* The target first: it is there all along, and its harvest says what a text takes of it. */
static isc_status env_new(const isc_study *s, const isc_study_plan *plan, stage_env *e,
                          isc_rehearsal *out) {
  *e = (stage_env){.study = s};
  ISC_TRY(isc_plan_device_open(s->device, s->device_conf, &e->plan));
  ISC_TRY(isc_rehearse_target(s, plan, &e->plan, &e->target, out));
  e->text_flops = out->harvest_flops / (double)plan->harvest.texts;
  ISC_TRY(make_sites(e, plan));
  ISC_TRY(make_kernel(e, s, plan->memory.spec.d_model));
  e->env =
      (isc_method_env){.size = sizeof e->env,
                       .device = &e->plan.device,
                       .seed = (uint64_t)s->run.seed,
                       .prior = &s->prior,
                       .target_tokenizer = e->target.target.ops->tokenizer(e->target.target.self),
                       .sites = e->site,
                       .site_size = sizeof(isc_site),
                       .n_sites = plan->harvest.sites.sites,
                       .kernels = e->kernels,
                       .n_train = s->n_train < INPUTS ? s->n_train : INPUTS,
                       .text = env_text,
                       .activations = env_activations,
                       .harvest = env_harvest,
                       .core = e};
  return ISC_OK;
}

static void env_free(stage_env *e) {
  if (e->kernel.self) e->kernel.ops->close(e->kernel.self);
  free(e->site);
  free(e->name);
  free(e->kernels);
  free(e->map);
  isc_rehearsed_target_close(&e->target);
  isc_plan_device_close(&e->plan);
}

/* ---- a stage */

typedef struct listener {
  const isc_device *device;
  double from, flops, tokens; /* of the last step */
  int64_t total;
  bool ends; /* after the first step: its number of steps is all that is asked */
} listener;

static isc_status on_progress(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                              int64_t n) {
  listener *l = io->core;
  (void)done, (void)m, (void)n;
  l->flops = l->device->flops - l->from;
  l->total = total;
  return l->ends ? isc_fail(ISC_E_INTERRUPTED, "the rehearsal has what it asked for") : ISC_OK;
}

static void on_took(isc_train_io *io, int64_t examples, int64_t tokens) {
  (void)examples;
  ((listener *)io->core)->tokens = (double)tokens;
}

static bool on_step(isc_train_io *io) {
  listener *l = io->core;
  l->from = l->device->flops;
  return false;
}

static isc_status train(const isc_study_method *m, void *self, int64_t stage, const char *dir,
                        int64_t max_steps, listener *l) {
  isc_train_io io = {.size = sizeof io,
                     .dir = dir,
                     .core = l,
                     .progress = on_progress,
                     .should_stop = on_step,
                     .took = on_took,
                     .max_steps = max_steps};
  return m->ops->train(self, stage, &io);
}

/* How many steps the stage has; then a short one, whose end the next stage begins from. */
static isc_status rehearse_stage(stage_env *e, const isc_study_method *m, void *self, int64_t k,
                                 const char *dir, isc_rehearsal *out) {
  listener whole = {.device = &e->plan.device, .ends = true}, few = {.device = &e->plan.device};
  ISC_TRY(isc_mkdirs(dir));
  const isc_status st = train(m, self, k, dir, 0, &whole);
  if (st != ISC_OK && !(st == ISC_E_INTERRUPTED && whole.total)) return st;
  ISC_TRY(isc_stage_remove(dir));
  ISC_TRY(isc_mkdirs(dir));
  double most;
  ISC_TRY(isc_plan_device_most(&e->plan, true, &most));
  ISC_TRY(train(m, self, k, dir, STEPS, &few));
  out->stage[k].name = isc_method_stage(m, k);
  out->stage[k].steps = whole.total;
  out->stage[k].flops = few.flops * (double)whole.total;
  out->stage[k].tokens = few.tokens * (double)whole.total;
  ISC_TRY(isc_plan_device_most(&e->plan, false, &out->stage[k].memory));
  return m->ops->load(self, k, dir);
}

static isc_status count_text(void *user, int64_t row, int64_t j, const char *text, size_t len,
                             double log_q) {
  (void)user, (void)row, (void)j, (void)text, (void)len, (void)log_q;
  return ISC_OK;
}

/* Rows of conditions that are decoded together, all of the first site. */
typedef struct together {
  int64_t n;
  int64_t *site;
  uint64_t *index;
  const float **z;
  float *at; /* [dim] */
} together;

static void together_free(together *t) {
  free(t->site);
  free(t->index);
  free(t->z);
  free(t->at);
}

static isc_status together_new(const stage_env *e, double most, together *t) {
  const int64_t rows = e->study->evaluate.batch / e->study->evaluate.samples;
  const char *what = "activations";
  *t = (together){.n = rows < 1 ? 1 : (double)rows < most ? rows : (int64_t)most};
  const size_t n = (size_t)t->n;
  ISC_TRY(isc_calloc(n, sizeof *t->site, what, (void **)&t->site));
  ISC_TRY(isc_calloc(n, sizeof *t->index, what, (void **)&t->index));
  ISC_TRY(isc_calloc(n, sizeof *t->z, what, (void **)&t->z));
  ISC_TRY(isc_calloc((size_t)e->site[0].dim, sizeof *t->at, what, (void **)&t->at));
  t->at[0] = 1;
  for (int64_t i = 0; i < t->n; i++)
    t->z[i] = t->at;
  return ISC_OK;
}

/* Conditions of all sites that are sampled, those of the scatter's noises as well. */
static double sampled_conditions(const stage_env *e) {
  const isc_study *s = e->study;
  const int64_t noisy = s->evaluate.scatter_conditions < s->n_conditions
                            ? s->evaluate.scatter_conditions
                            : s->n_conditions;
  return (double)e->env.n_sites *
         ((double)s->n_conditions + (double)s->evaluate.scatter_noise.count * (double)noisy);
}

static isc_status rehearse_sampling(stage_env *e, const isc_study_method *m, void *self,
                                    isc_rehearsal *out) {
  const isc_study *s = e->study;
  const double all = sampled_conditions(e);
  const double from = e->plan.device.flops;
  isc_status st = ISC_OK;
  together t;
  double most;
  ISC_GO(together_new(e, all, &t));
  const isc_invert req = {.size = sizeof req,
                          .n = t.n,
                          .site = t.site,
                          .z = t.z,
                          .samples = s->evaluate.samples,
                          .temperature = 1,
                          .seed = 1,
                          .index = t.index,
                          .batch = s->evaluate.batch,
                          .sample = count_text};
  ISC_GO(isc_plan_device_most(&e->plan, true, &most));
  ISC_GO(m->ops->invert(self, &req));
  ISC_GO(isc_plan_device_most(&e->plan, false, &out->sampling_memory));
  out->sampling_flops = (e->plan.device.flops - from) * all / (double)t.n;
done:
  together_free(&t);
  return st;
}

/* Every distinct sample goes through the target, again for its best position; so does the prior where it is enumerated. */
static double scoring_flops(const stage_env *e) {
  const isc_study *s = e->study;
  const isc_prior_ops *ops = s->prior.ops;
  const double samples = sampled_conditions(e) * (double)s->evaluate.samples;
  const int64_t support = ops->support && ops->enumerate ? ops->support(s->prior.self) : 0;
  const bool exact = support > 0 && support <= s->evaluate.max_support;
  return e->text_flops * (samples * (s->evaluate.any_position ? 2 : 1) + (double)s->n_conditions +
                          (exact ? (double)support : 0));
}

static isc_status rehearse_stages(stage_env *e, const isc_study_method *m, void *self,
                                  const char *scratch, isc_rehearsal *out) {
  for (int64_t k = 0; isc_method_stage(m, k); k++) {
    char *dir = NULL;
    if (k == ISC_REHEARSED)
      return isc_fail(ISC_E_UNSUPPORTED, "method %s has more than %d stages", m->name,
                      ISC_REHEARSED);
    ISC_TRY(isc_path_join(scratch, isc_method_stage(m, k), &dir));
    const isc_status st = rehearse_stage(e, m, self, k, dir, out);
    free(dir);
    ISC_TRY(st);
    out->n_stages = k + 1;
  }
  return ISC_OK;
}

isc_status isc_rehearse(const isc_study *s, const isc_study_plan *plan, const isc_study_method *m,
                        const char *scratch, isc_rehearsal *out) {
  isc_status st = ISC_OK;
  stage_env e;
  isc_study_method own = *m;
  *out = (isc_rehearsal){.parameters = -1};
  ISC_GO(env_new(s, plan, &e, out));
  ISC_GO(m->ops->open(m->conf, &e.env, &own.self));
  ISC_GO(rehearse_stages(&e, &own, own.self, scratch, out));
  if (m->ops->parameters) out->parameters = m->ops->parameters(own.self);
  ISC_GO(rehearse_sampling(&e, &own, own.self, out));
  out->scoring_flops = scoring_flops(&e);
done:
  if (own.self) m->ops->close(own.self);
  env_free(&e);
  const isc_status removed = isc_stage_remove(scratch);
  return st == ISC_OK ? removed : st;
}

/* ---- this machine */

/* The best rate of a product in six tries, the first of which warm up; *seconds of the last. */
static isc_status products(isc_device *dev, const isc_gemm *g, double *rate, double *seconds) {
  for (int k = 0; k < 6; k++) {
    const double flops = dev->flops, start = isc_now();
    ISC_TRY(isc_device_gemm(dev, g));
    ISC_TRY(dev->ops->sync(dev->impl));
    *seconds = isc_now() - start;
    const double r = (dev->flops - flops) / *seconds;
    if (r > *rate) *rate = r;
  }
  return ISC_OK;
}

isc_status isc_measure_rate(isc_device *dev, double *flops_per_second) {
  enum { M = 1536, K = 768, N = 3072 };
  isc_status st = ISC_OK;
  void *a = NULL, *b = NULL, *c = NULL;
  ISC_GO(dev->ops->alloc(dev->impl, sizeof(float) * M * K, &a));
  ISC_GO(dev->ops->alloc(dev->impl, sizeof(float) * K * N, &b));
  ISC_GO(dev->ops->alloc(dev->impl, sizeof(float) * M * N, &c));
  ISC_GO(dev->ops->zero(dev->impl, a, sizeof(float) * M * K));
  ISC_GO(dev->ops->zero(dev->impl, b, sizeof(float) * K * N));
  *flops_per_second = 0;
  double seconds = 0;
  /* Larger ones as long as they take no time to speak of. */
  for (int64_t part = 8; part >= 1 && seconds < 0.02; part /= 2) {
    const isc_gemm g = {.batch = 1,
                        .m = M / part,
                        .n = N / part,
                        .k = K / part,
                        .a = a,
                        .b = b,
                        .c = c,
                        .lda = K / part,
                        .ldb = N / part,
                        .ldc = N / part,
                        .alpha = 1};
    ISC_GO(products(dev, &g, flops_per_second, &seconds));
  }
done:
  dev->ops->free(dev->impl, a);
  dev->ops->free(dev->impl, b);
  dev->ops->free(dev->impl, c);
  return st;
}
