/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a study: config → settings → device, target, prior, kernels, features, method, in that order,
 * so that every mistake in the config is found before anything expensive starts.
 */
#include "run/study.h"

#include "method/inversescope.h"
#include "plugin/registry.h"
#include "run/ablation.h"
#include "run/scatter.h"
#include "run/study_harvest.h"
#include "run/study_open.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

isc_status isc_study_path(const isc_study *s, char **out, const char *fmt, ...) {
  isc_sb b = {0};
  char name[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(name, sizeof name, fmt, ap);
  va_end(ap);
  isc_sb_addf(&b, "%s/%s", s->dir, name);
  return isc_sb_finish(&b, out);
}

isc_status isc_study_text(const isc_study *s, isc_split split, int64_t i, isc_text *out) {
  return s->prior.ops->draw(s->prior.self, split, i, out);
}

/* A pretraining has no target; then it has no hash either. */
isc_status isc_study_hash(isc_study *s) {
  const isc_prior_ops *prior = s->prior.ops;
  s->target_hash[0] = s->prior_hash[0] = 0;
  if (s->target.ops) ISC_TRY(s->target.ops->fingerprint(s->target.self, s->target_hash));
  return prior->fingerprint ? prior->fingerprint(s->prior.self, s->prior_hash) : ISC_OK;
}

int64_t isc_study_piece(const isc_study *s) {
  enum { BATCHES = 4, FEWEST = 256 };
  const int64_t n = s->target_settings.batch * BATCHES;
  if (s->target.info.by_layer) return ISC_STORE_CHUNK; /* each piece is a look at all the weights */
  return n < FEWEST ? FEWEST : n > ISC_STORE_CHUNK ? ISC_STORE_CHUNK : n;
}

const char *isc_method_stage(const isc_study_method *m, int64_t k) {
  const char *const *names = m->ops->stages(m->self);
  for (int64_t i = 0; i < k; i++)
    if (!names[i]) return NULL;
  return names[k];
}

/* ---- the method's view */

static isc_status env_text(const isc_method_env *env, int64_t i, isc_text *out) {
  const isc_study *s = env->core;
  if (i < 0 || i >= s->n_train)
    return isc_fail(ISC_E_USAGE, "method asked for training input %lld of %lld", (long long)i,
                    (long long)s->n_train);
  return isc_study_text(s, ISC_TRAIN, i, out);
}

static isc_status env_activations(const isc_method_env *env, int64_t site, const int64_t *rows,
                                  int64_t n, float *out) {
  const isc_study *s = env->core;
  if (!s->train_store)
    return isc_fail(ISC_E_INTERNAL, "activations were asked for before the harvest");
  if (site < 0 || site >= s->sites.n)
    return isc_fail(ISC_E_USAGE, "method asked for site %lld", (long long)site);
  return isc_store_read(s->train_store, site, rows, n, out);
}

/* ---- opening, part by part */

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static isc_status open_config(isc_study *s, const isc_config_source *source, const char *dir) {
  ISC_TRY(isc_config_load(source, &s->config));
  ISC_TRY(isc_strdup(source->path, &s->config_path));
  ISC_TRY(isc_study_search_path(s->config));
  ISC_TRY(isc_config_check_unused(s->config, isc_run_keys));
  ISC_TRY(isc_config_fill(s->config, "run", isc_run_options, NULL, &s->run));
  ISC_TRY(isc_config_fill(s->config, "evaluate", isc_evaluate_options, NULL, &s->evaluate));
  ISC_TRY(isc_config_fill(s->config, "report", isc_report_options, NULL, &s->report));
  return isc_study_run_dir(s, dir);
}

/* The classes that are opened later, and their settings. */
static isc_status fill_classes(isc_study *s) {
  ISC_TRY(isc_study_fill(s->config, "target", ISC_TARGET, NULL, isc_target_options,
                         &s->target_settings, &s->target_class, &s->target_conf));
  ISC_TRY(isc_study_fill(s->config, "kernel", ISC_KERNEL, "cosine-band", NULL, NULL,
                         &s->kernel_class, &s->kernel_conf));
  return isc_study_fill_methods(s);
}

static isc_status open_target(isc_study *s) {
  ISC_TRY(isc_target_open(s->target_class, s->target_conf, s->device, &s->target));
  const isc_list *sites = &s->target_settings.sites;
  const isc_status st = isc_sites_select(&s->target, sites->at.s, sites->count, &s->sites);
  if (st == ISC_E_MISSING) return isc_study_blame(s, "target.sites");
  return isc_study_in(s, "target.sites", st);
}

static isc_status open_prior(isc_study *s) {
  ISC_TRY(isc_study_fill(s->config, "prior", ISC_PRIOR, NULL, isc_prior_options, &s->prior_settings,
                         &s->prior_class, &s->prior_conf));
  s->prior.ops = s->prior_class->ops;
  s->prior.name = s->prior_class->name;
  ISC_TRY(isc_study_in(s, "prior",
                       s->prior.ops->open(s->prior_conf, (uint64_t)s->run.seed, &s->prior.self)));
  s->n_train = smaller(s->prior_settings.train, s->prior.ops->count(s->prior.self, ISC_TRAIN));
  s->n_test = smaller(s->prior_settings.test, s->prior.ops->count(s->prior.self, ISC_TEST));
  s->n_conditions = smaller(s->evaluate.conditions, s->n_test);
  if (s->n_train < 1 || s->n_conditions < 2)
    return isc_fail(
        ISC_E_CONFIG,
        "%s: the prior has %lld training and %lld test inputs; at least 1 and 2 are needed",
        isc_config_where(s->config, "prior"), (long long)s->n_train, (long long)s->n_test);
  return ISC_OK;
}

static isc_status kernel_for(isc_study *s, int64_t dim, int64_t *out) {
  for (int64_t i = 0; i < s->n_kernels; i++)
    if (s->kernel_dim[i] == dim) {
      *out = i;
      return ISC_OK;
    }
  isc_kernel *k = &s->kernel[s->n_kernels];
  k->ops = s->kernel_class->ops;
  k->name = s->kernel_class->name;
  ISC_TRY(isc_study_in(s, "kernel", k->ops->open(s->kernel_conf, dim, &k->self)));
  s->kernel_dim[s->n_kernels] = dim;
  *out = s->n_kernels++;
  return ISC_OK;
}

static isc_status open_kernels(isc_study *s) {
  const size_t n = (size_t)s->sites.n;
  ISC_TRY(isc_calloc(n, sizeof *s->kernel, "kernels", (void **)&s->kernel));
  ISC_TRY(isc_calloc(n, sizeof *s->kernel_dim, "kernels", (void **)&s->kernel_dim));
  ISC_TRY(isc_calloc(n, sizeof *s->site_kernel, "kernels", (void **)&s->site_kernel));
  for (int64_t i = 0; i < s->sites.n; i++) {
    int64_t k = 0;
    ISC_TRY(kernel_for(s, s->sites.site[i].dim, &k));
    s->site_kernel[i] = &s->kernel[k];
  }
  return ISC_OK;
}

static isc_status open_features(isc_study *s) {
  const int64_t n = isc_config_count(s->config, "features");
  ISC_TRY(isc_calloc((size_t)n, sizeof *s->feature, "features", (void **)&s->feature));
  for (int64_t i = 0; i < n; i++) {
    isc_feature *f = &s->feature[i];
    isc_feature_settings extra = {0};
    char path[64];
    snprintf(path, sizeof path, "features.[%lld]", (long long)i);
    ISC_TRY(isc_study_fill(s->config, path, ISC_FEATURE, NULL, isc_feature_options, &extra, &f->cls,
                           &f->conf));
    f->ops = f->cls->ops;
    f->name = extra.name ? extra.name : f->cls->name;
    ISC_TRY(isc_study_in(s, path, f->ops->open(f->conf, &s->prior, &f->self)));
    s->n_features = i + 1;
    for (int64_t j = 0; j < i; j++)
      if (!strcmp(s->feature[j].name, f->name))
        return isc_fail(ISC_E_CONFIG, "%s: two features are named \"%s\"; give one another `name`",
                        isc_config_where(s->config, path), f->name);
  }
  return ISC_OK;
}

static isc_status open_methods(isc_study *s) {
  s->env = (isc_method_env){.size = sizeof s->env,
                            .device = s->device,
                            .seed = (uint64_t)s->run.seed,
                            .prior = &s->prior,
                            .target_tokenizer = s->target.ops->tokenizer(s->target.self),
                            .sites = s->sites.site,
                            .site_size = sizeof(isc_site),
                            .n_sites = s->sites.n,
                            .kernels = s->site_kernel,
                            .n_train = s->n_train,
                            .text = env_text,
                            .activations = env_activations,
                            .core = s,
                            .harvest = isc_study_env_harvest};
  for (int64_t i = 0; i < s->n_methods; i++) {
    isc_study_method *m = &s->method[i];
    ISC_TRY(isc_study_in(s, m->group, m->ops->open(m->conf, &s->env, &m->self)));
  }
  return isc_study_check_methods(s);
}

static isc_status read_study(isc_study *s, const isc_config_source *source, const char *dir) {
  ISC_TRY(open_config(s, source, dir));
  ISC_TRY(isc_study_run_device(s));
  ISC_TRY(isc_step_new(s->device, &s->step));
  ISC_TRY(open_prior(s));
  ISC_TRY(open_features(s));
  return fill_classes(s);
}

static isc_status begin_study(const isc_config_source *source, const char *dir, isc_study **out) {
  *out = NULL;
  ISC_TRY(isc_registry_add_builtin(isc_method_inversescope_class()));
  ISC_TRY(isc_calloc(1, sizeof **out, "study", (void **)out));
  return read_study(*out, source, dir);
}

isc_status isc_study_read(const isc_config_source *source, const char *dir, isc_study **out) {
  isc_study *s;
  const isc_status st = begin_study(source, dir, &s);
  if (st != ISC_OK) isc_study_close(s);
  *out = st == ISC_OK ? s : NULL;
  return st;
}

isc_status isc_study_open(const isc_config_source *source, const char *dir, isc_study **out) {
  isc_study *s;
  isc_status st = begin_study(source, dir, &s);
  if (st == ISC_OK) st = open_target(s);
  if (st == ISC_OK) st = open_kernels(s);
  if (st == ISC_OK) st = isc_ablation_check(s);
  if (st == ISC_OK) st = isc_scatter_check(s);
  if (st == ISC_OK) st = open_methods(s);
  if (st != ISC_OK) isc_study_close(s);
  *out = st == ISC_OK ? s : NULL;
  return st;
}

void isc_study_close(isc_study *s) {
  if (!s) return;
  isc_study_close_methods(s);
  for (int64_t i = 0; i < s->n_features; i++)
    if (s->feature[i].self) s->feature[i].ops->close(s->feature[i].self);
  const int64_t n_confs = s->feature ? isc_config_count(s->config, "features") : 0;
  for (int64_t i = 0; i < n_confs; i++)
    free(s->feature[i].conf);
  for (int64_t i = 0; i < s->n_kernels; i++)
    s->kernel[i].ops->close(s->kernel[i].self);
  if (s->train_store) isc_store_close(s->train_store);
  isc_sites_free(&s->sites);
  isc_target_close(&s->target);
  if (s->prior.self) s->prior.ops->close(s->prior.self);
  isc_step_free(s->step);
  isc_device_close(s->device);
  free(s->device_conf);
  free(s->feature);
  free(s->kernel);
  free(s->kernel_dim);
  free(s->site_kernel);
  free(s->kernel_conf);
  free(s->prior_conf);
  free(s->target_conf);
  free(s->device_report);
  free(s->config_path);
  free(s->dir);
  free(s->name);
  isc_config_free(s->config);
  free(s);
}
