/* SPDX-License-Identifier: Apache-2.0
 *
 * Plugin groups that also carry settings of the core, the run directory's name, and the device.
 */
#include "run/study_open.h"

#include "plugin/registry.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

isc_status isc_study_search_path(isc_config *c) {
  enum { ROOM = 32 };
  const char *const *const lists[] = {isc_run_keys, isc_pretrain_keys};
  const char *keys[ROOM] = {NULL};
  isc_path_settings p = {{0}};
  int n = 0;
  if (!isc_config_has(c, "plugin_path")) return isc_registry_search_path(NULL, 0);
  /* Whichever of the two configs it is: what does not belong there is found by isc_config_check_unused. */
  for (int l = 0; l < 2; l++)
    for (const char *const *k = lists[l]; *k && n < ROOM - 1; k++)
      keys[n++] = *k;
  ISC_TRY(isc_config_fill(c, "", isc_path_options, keys, &p));
  return isc_registry_search_path(p.plugin_path.at.s, p.plugin_path.count);
}

static isc_status settle_name(isc_study *s) {
  if (s->run.name) return isc_strdup(s->run.name, &s->name);
  const char *slash = strrchr(s->config_path, '/');
  ISC_TRY(isc_strdup(slash ? slash + 1 : s->config_path, &s->name));
  char *dot = strrchr(s->name, '.');
  if (dot && dot != s->name) *dot = 0;
  return ISC_OK;
}

isc_status isc_study_run_dir(isc_study *s, const char *dir) {
  isc_status st = ISC_OK;
  char *cwd = NULL, *chosen = NULL;
  cwd = getcwd(NULL, 0);
  if (!cwd) return isc_fail(ISC_E_IO, "the working directory cannot be read");
  ISC_GO(settle_name(s));
  if (dir)
    ISC_GO(isc_strdup(dir, &chosen));
  else if (s->run.dir)
    ISC_GO(isc_strdup(s->run.dir, &chosen));
  else
    ISC_GO(isc_asprintf(&chosen, "runs/%s", s->name));
  ISC_GO(isc_path_join(cwd, chosen, &s->dir));
done:
  free(cwd);
  free(chosen);
  return st;
}

/* The settings of the backend: those of the group `backend`, and run.threads where it has that option and no other says so. */
static isc_status backend_conf(isc_config *c, const isc_class *cls, int64_t threads, void **conf) {
  int64_t *own = NULL;
  ISC_TRY(isc_calloc(1, cls->conf_size ? cls->conf_size : 1, "backend options", conf));
  ISC_TRY(isc_config_fill(c, "backend", cls->options, NULL, *conf));
  for (const isc_option *o = cls->options; o && o->name; o++)
    if (!strcmp(o->name, "threads") && o->type == ISC_OPT_INT)
      own = (int64_t *)(void *)((char *)*conf + o->offset);
  if (own && threads > 0 && !isc_config_has(c, "backend.threads")) *own = threads;
  return ISC_OK;
}

static bool has_threads(const isc_class *cls) {
  for (const isc_option *o = cls->options; o && o->name; o++)
    if (!strcmp(o->name, "threads")) return true;
  return false;
}

/* The backend is known once it is open; with settings of its own it is opened again. */
isc_status isc_study_device(isc_config *c, const isc_run_settings *run, isc_device **out,
                            void **conf, char **report) {
  *conf = NULL;
  ISC_TRY(isc_device_open(run->device, NULL, out, report));
  const isc_class *cls = (*out)->cls;
  if (!isc_config_has(c, "backend") && !(run->threads > 0 && has_threads(cls))) return ISC_OK;
  if (backend_conf(c, cls, run->threads, conf) != ISC_OK)
    return isc_fail_in("run.device is the backend \"%s\"", cls->name);
  isc_device_close(*out);
  *out = NULL;
  return isc_device_open(cls->name, *conf, out, NULL);
}

isc_status isc_study_blame(const isc_study *s, const char *path) {
  return isc_fail(ISC_E_CONFIG, "%s: %s: %s", isc_config_where(s->config, path), path, isc_error());
}

isc_status isc_study_in(const isc_study *s, const char *path, isc_status st) {
  if (st == ISC_OK) return ISC_OK;
  return isc_fail_in("%s: %s", isc_config_where(s->config, path), path);
}

isc_status isc_study_run_device(isc_study *s) {
  const isc_status st =
      isc_study_device(s->config, &s->run, &s->device, &s->device_conf, &s->device_report);
  return st == ISC_E_MISSING ? isc_study_blame(s, "run.device") : st;
}

static int64_t count_options(const isc_option *o) {
  int64_t n = 0;
  for (; o && o->name; o++)
    n++;
  return n;
}

static void add_names(const isc_option *o, const char **names, int64_t *n) {
  for (; o && o->name; o++)
    names[(*n)++] = o->name;
}

isc_status isc_study_fill(isc_config *c, const char *path, isc_kind kind, const char *fallback,
                          const isc_option *extra_options, void *extra, const isc_class **cls,
                          void **conf) {
  isc_status st = ISC_OK;
  const char **own = NULL, **plugins = NULL;
  int64_t n_own = 0, n_plugin = 0;
  *conf = NULL;
  ISC_GO(isc_calloc((size_t)count_options(extra_options) + 1, sizeof *own, "option names",
                    (void **)&own));
  add_names(extra_options, own, &n_own);
  ISC_GO(isc_config_plugin(c, path, kind, fallback, own, cls, conf));
  if (!extra_options) goto done;
  ISC_GO(isc_calloc((size_t)count_options((*cls)->options) + 2, sizeof *plugins, "option names",
                    (void **)&plugins));
  add_names((*cls)->options, plugins, &n_plugin);
  plugins[n_plugin] = "plugin";
  ISC_GO(isc_config_fill(c, path, extra_options, plugins, extra));
done:
  if (st != ISC_OK) {
    free(*conf);
    *conf = NULL;
  }
  free(own);
  free(plugins);
  return st;
}
