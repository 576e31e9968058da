/* SPDX-License-Identifier: Apache-2.0
 *
 * The method class `inversescope`: its table of functions, and what its stages depend on.
 */
#include "method/inversescope.h"
#include "method/sampler.h"
#include "base/base.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static void method_close(void *self) {
  isc_inversescope *m = self;
  if (!m) return;
  isc_steering_free(m);
  isc_decoder_free(m->backbone);
  isc_tokenizer_close(m->tokenizer);
  free(m);
}

static isc_status method_open(const void *conf, const isc_method_env *env, void **self) {
  isc_inversescope *m = NULL;
  *self = NULL;
  if (env->n_sites < 1)
    return isc_fail(ISC_E_CONFIG, "the method inversescope needs at least one site");
  ISC_TRY(isc_calloc(1, sizeof *m, "the method", (void **)&m));
  m->conf = conf;
  m->env = env;
  *self = m;
  return ISC_OK;
}

enum { BACKBONE, CONTROL, STAGES };

static const char *const *method_stages(void *self) {
  static const char *const names[] = {"backbone", "control", NULL};
  (void)self;
  return names;
}

static const char *const *method_stage_options(void *self, int64_t stage) {
  (void)self;
  return stage == BACKBONE ? isc_inversescope_backbone_options : isc_inversescope_control_options;
}

static uint32_t method_stage_uses(void *self, int64_t stage) {
  (void)self;
  return stage == BACKBONE ? 0 : ISC_USES_ACTIVATIONS | ISC_USES_KERNEL;
}

/* ---- fingerprints */

/* Files of a model directory that can decide a model or its tokenizer. */
static int matters(const struct dirent *e) {
  const char *dot = strrchr(e->d_name, '.');
  return dot && (!strcmp(dot, ".safetensors") || !strcmp(dot, ".json") || !strcmp(dot, ".txt") ||
                 !strcmp(dot, ".model"));
}

static isc_status hash_file(isc_hash *h, const char *dir, const char *name) {
  isc_status st = ISC_OK;
  isc_digest d;
  char *path = NULL;
  ISC_GO(isc_path_join(dir, name, &path));
  ISC_GO(isc_hash_file(path, &d));
  isc_hash_str(h, name);
  isc_hash_add(h, &d, sizeof d);
done:
  free(path);
  return st;
}

static isc_status hash_directory(isc_hash *h, const char *dir) {
  isc_status st = ISC_OK;
  struct dirent **list = NULL;
  int n = scandir(dir, &list, matters, alphasort);
  if (n < 0) return isc_fail(ISC_E_MISSING, "%s: backbone.path cannot be read as a directory", dir);
  for (int i = 0; i < n; i++) {
    if (st == ISC_OK) st = hash_file(h, dir, list[i]->d_name);
    free(list[i]);
  }
  free(list);
  return st;
}

static isc_status hash_backbone(isc_hash *h, const isc_inversescope *m) {
  const isc_backbone_conf *c = &m->conf->backbone;
  char hex[33];
  if (c->path && c->path[0]) return hash_directory(h, c->path);
  if (c->tokenizer != ISC_TOKENIZER_TARGET || !m->env->target_tokenizer) return ISC_OK;
  isc_tokenizer_fingerprint(m->env->target_tokenizer, hex);
  isc_hash_str(h, hex);
  return ISC_OK;
}

static isc_status method_fingerprint(void *self, int64_t stage, char hex[33]) {
  const isc_inversescope *m = self;
  isc_hash h;
  isc_status st = ISC_OK;
  ISC_TRY(isc_hash_begin(&h));
  isc_hash_add(&h, &m->env->seed, sizeof m->env->seed);
  if (stage == BACKBONE) st = hash_backbone(&h, m);
  isc_digest_hex(isc_hash_end(&h), hex);
  return st;
}

/* ---- stages */

static isc_status unknown_stage(int64_t stage) {
  return isc_fail(ISC_E_USAGE, "the method inversescope has no stage %lld", (long long)stage);
}

static isc_status method_train(void *self, int64_t stage, isc_train_io *io) {
  if (stage == BACKBONE) return isc_backbone_train(self, io);
  return stage == CONTROL ? isc_control_train(self, io) : unknown_stage(stage);
}

static isc_status method_load(void *self, int64_t stage, const char *dir) {
  if (stage == BACKBONE) return isc_backbone_load(self, dir);
  return stage == CONTROL ? isc_control_load(self, dir) : unknown_stage(stage);
}

/* ---- sampling */

static isc_status sampler(const isc_inversescope *m, bool conditional, isc_sampler *out) {
  if (!m->backbone) return isc_fail(ISC_E_USAGE, "sampling: the backbone is not loaded");
  if (conditional && !m->control)
    return isc_fail(ISC_E_USAGE, "inversion: the control layers are not loaded");
  *out = (isc_sampler){.device = m->env->device,
                       .decoder = conditional ? isc_steered(m) : m->backbone,
                       .tokenizer = m->tokenizer,
                       .control = conditional ? m->control : NULL,
                       .max_tokens = m->max_tokens,
                       .product = (isc_dtype)m->conf->sampling_precision};
  return ISC_OK;
}

static isc_status method_invert(void *self, const isc_invert *req) {
  isc_sampler sp;
  ISC_TRY(sampler(self, true, &sp));
  return isc_sampler_run(&sp, req);
}

static isc_status method_sample_prior(void *self, int64_t n, double temperature, uint64_t seed,
                                      int64_t batch, void *user,
                                      isc_status (*sample)(void *user, int64_t row, int64_t j,
                                                           const char *text, size_t len,
                                                           double log_q)) {
  isc_sampler sp;
  uint64_t *index;
  ISC_TRY(sampler(self, false, &sp));
  ISC_TRY(isc_calloc((size_t)n, sizeof *index, "sampling", (void **)&index));
  for (int64_t i = 0; i < n; i++)
    index[i] = (uint64_t)i;
  const isc_invert req = {.size = sizeof req,
                          .n = n,
                          .samples = 1,
                          .temperature = temperature,
                          .seed = seed,
                          .index = index,
                          .batch = batch,
                          .user = user,
                          .sample = sample};
  isc_status st = isc_sampler_run(&sp, &req);
  free(index);
  return st;
}

static int64_t method_parameters(void *self) {
  const isc_inversescope *m = self;
  return (m->backbone ? isc_params_elements(isc_decoder_params(m->backbone)) : 0) +
         (m->control ? isc_params_elements(m->control->params) : 0);
}

static const isc_method_ops ops = {.size = sizeof ops,
                                   .open = method_open,
                                   .close = method_close,
                                   .stages = method_stages,
                                   .fingerprint = method_fingerprint,
                                   .stage_options = method_stage_options,
                                   .train = method_train,
                                   .load = method_load,
                                   .invert = method_invert,
                                   .sample_prior = method_sample_prior,
                                   .parameters = method_parameters,
                                   .stage_uses = method_stage_uses};

static const isc_class inversescope = {
    ISC_CLASS(ISC_METHOD),
    .name = "inversescope",
    .version = "1.0.0",
    .summary = "Conditional generator: a language model of the prior steered by control layers",
    .licence = "Apache-2.0",
    .source = "InverseScope, section 3 and appendices B and C",
    .options = isc_inversescope_options,
    .conf_size = sizeof(isc_inversescope_conf),
    .ops = &ops};

const isc_class *isc_method_inversescope_class(void) {
  return &inversescope;
}
