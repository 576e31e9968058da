/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the plugin of a model and opening it by its path.
 */
#include "run/model.h"

#include "plugin/registry.h"
#include "run/study_open.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void isc_target_family(const isc_class *cls, const void *conf, const isc_decoder_family **family,
                       const isc_decoder_options **options) {
  const isc_target_ops *ops = cls->ops;
  *family = ops->family;
  *options = NULL;
  if (ops->family)
    *options =
        (const isc_decoder_options *)(const void *)((const char *)conf + ops->family_options);
}

/* ---- which class reads the model */

static bool reads(const isc_class *cls, const char *type) {
  const isc_decoder_family *f = ((const isc_target_ops *)cls->ops)->family;
  for (const char *const *t = f ? f->model_types : NULL; t && *t; t++)
    if (strcmp(*t, type) == 0) return true;
  return false;
}

/* "llama of llama, mistral": a target and the types of models that it reads. */
static void add_known(isc_sb *b, const isc_class *cls) {
  const isc_decoder_family *f = ((const isc_target_ops *)cls->ops)->family;
  isc_sb_addf(b, "%s%s", b->len ? "; " : "", cls->name);
  for (const char *const *t = f ? f->model_types : NULL; t && *t; t++)
    isc_sb_addf(b, "%s%s", t == f->model_types ? " of " : ", ", *t);
}

static void forget(char **problem, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    free(problem[i]);
  free(problem);
}

/* Every target is loaded for this: what it reads is in its ops table. */
static isc_status find_reader(const char *path, const char *type, const char **name) {
  const isc_registry_entry *const *list;
  isc_sb known = {0};
  char **problem = NULL;
  int64_t n_problems = 0;
  ISC_TRY(isc_registry_scan(ISC_TARGET, &problem, &n_problems));
  forget(problem, n_problems);
  *name = NULL;
  isc_status st = ISC_OK;
  for (int64_t i = 0, n = isc_registry_list(ISC_TARGET, &list); i < n && st == ISC_OK; i++) {
    const isc_class *cls = list[i]->cls;
    add_known(&known, cls);
    if (!reads(cls, type)) continue;
    if (*name)
      st = isc_fail(ISC_E_USAGE,
                    "%s: targets \"%s\" and \"%s\" both read model_type \"%s\"; name one", path,
                    *name, cls->name, type);
    *name = cls->name;
  }
  if (st == ISC_OK && !*name)
    st = isc_fail(ISC_E_MISSING,
                  "%s: no target plugin says that it reads model_type \"%s\" (there are: %s); name "
                  "one that does",
                  path, type, known.len ? known.s : "none");
  isc_sb_free(&known);
  return st;
}

static isc_status choose(const isc_model_request *q, isc_model *m, const char **name) {
  isc_text type = {0};
  *name = q->plugin;
  if (q->plugin) return ISC_OK;
  isc_status st = isc_model_type(q->path, &type);
  if (st == ISC_OK) st = isc_strdup(type.data, &m->type);
  if (st == ISC_OK) st = find_reader(q->path, m->type, name);
  isc_text_free(&type);
  return st;
}

/* ---- settings */

static isc_status override(isc_config *c, const char *key, const char *value) {
  char *text;
  ISC_TRY(isc_asprintf(&text, "%s=%s", key, value));
  const isc_status st = isc_config_override(c, text);
  free(text);
  return st;
}

static isc_status settle_path(isc_config *c, const char *path) {
  char *cwd = getcwd(NULL, 0), *whole = NULL;
  isc_status st = cwd ? isc_path_join(cwd, path, &whole)
                      : isc_fail(ISC_E_IO, "the working directory cannot be read");
  if (st == ISC_OK) st = override(c, "target.path", whole);
  free(cwd);
  free(whole);
  return st;
}

static isc_status settle(const isc_model_request *q, const char *plugin, isc_model *m) {
  static const char *const known[] = {"run", "backend", "target", NULL};
  ISC_TRY(isc_config_parse("", 0, q->path, ".", &m->config));
  ISC_TRY(override(m->config, "target.plugin", plugin));
  ISC_TRY(settle_path(m->config, q->path));
  for (int64_t i = 0; i < q->n_set; i++)
    ISC_TRY(isc_config_override(m->config, q->set[i]));
  ISC_TRY(isc_config_check_unused(m->config, known));
  ISC_TRY(isc_config_fill(m->config, "run", isc_run_options, NULL, &m->run));
  return isc_study_fill(m->config, "target", ISC_TARGET, NULL, isc_target_options, &m->settings,
                        &m->cls, &m->conf);
}

isc_status isc_model_find(const isc_model_request *q, isc_model *out) {
  const char *plugin;
  isc_status st = ISC_OK;
  *out = (isc_model){0};
  if (!isc_exists(q->path))
    return isc_fail(ISC_E_MISSING, "%s: there is no such file or directory", q->path);
  ISC_GO(isc_registry_search_path(NULL, 0));
  ISC_GO(choose(q, out, &plugin));
  ISC_GO(settle(q, plugin, out));
  return ISC_OK;
done:
  isc_model_close(out);
  return st;
}

isc_status isc_model_open(isc_model *m) {
  ISC_TRY(isc_study_device(m->config, &m->run, &m->device, &m->device_conf, &m->device_report));
  ISC_TRY(isc_step_new(m->device, &m->step));
  return isc_target_open(m->cls, m->conf, m->device, &m->target);
}

void isc_model_close(isc_model *m) {
  isc_target_close(&m->target);
  isc_step_free(m->step);
  isc_device_close(m->device);
  free(m->device_conf);
  isc_config_free(m->config);
  free(m->device_report);
  free(m->conf);
  free(m->type);
  *m = (isc_model){0};
}
