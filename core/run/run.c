/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of the stages, and what belongs to the run directory as a whole: its lock, run.json,
 * the resolved config and log.jsonl.
 */
#include "run/run.h"

#include "run/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char MARK[] = "run.json";

/* One process at a time works in a run directory; the lock dies with the process. */
static isc_status lock_dir(const isc_study *s, int *fd) {
  char *path = NULL;
  ISC_TRY(isc_study_path(s, &path, ".lock"));
  *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  isc_status st = ISC_OK;
  if (*fd < 0)
    st = isc_fail(ISC_E_IO, "%s: %s", path, strerror(errno));
  else if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
    st = isc_fail(ISC_E_USAGE, "%s: another process is working in this run directory", s->dir);
  free(path);
  return st;
}

/* Refuse to work in a directory that holds something else. */
static isc_status claim_dir(const isc_study *s) {
  char *mark = NULL, *lock = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_study_path(s, &mark, "%s", MARK));
  ISC_GO(isc_study_path(s, &lock, ".lock"));
  if (isc_is_dir(s->dir) && !isc_exists(mark) && !isc_exists(lock) && !isc_dir_is_empty(s->dir))
    st = isc_fail(ISC_E_USAGE, "%s: not empty and not a run directory; choose another run.dir",
                  s->dir);
  else
    st = isc_mkdirs(s->dir);
done:
  free(mark);
  free(lock);
  return st;
}

static isc_status write_resolved(const isc_study *s) {
  char *text = NULL, *path = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_config_resolved(s->config, &text));
  ISC_GO(isc_study_path(s, &path, "config.cfg"));
  ISC_GO(isc_write_file(path, text, strlen(text)));
done:
  free(text);
  free(path);
  return st;
}

static void add_plugin(json_t *list, const isc_class *cls) {
  json_array_append_new(list, json_pack("{ssssss}", "kind", isc_kind_name(cls->kind), "name",
                                        cls->name, "version", cls->version));
}

static isc_status write_mark(const isc_study *s) {
  isc_status st = ISC_OK;
  char *text = NULL, *path = NULL;
  char when[32], target[33] = "", prior[33] = "";
  isc_utc(when);
  ISC_TRY(s->target.ops->fingerprint(s->target.self, target));
  if (s->prior.ops->fingerprint) ISC_TRY(s->prior.ops->fingerprint(s->prior.self, prior));
  json_t *plugins = json_array();
  add_plugin(plugins, s->device->cls);
  add_plugin(plugins, s->target.cls);
  add_plugin(plugins, s->prior_class);
  add_plugin(plugins, s->kernel_class);
  add_plugin(plugins, s->method_class);
  for (int64_t i = 0; i < s->n_features; i++)
    add_plugin(plugins, s->feature[i].cls);
  json_t *j = json_pack("{ss ss ss sI ss ss ss so}", "program", "inversescope " PACKAGE_VERSION,
                        "config", s->config_path, "last_run", when, "seed", (json_int_t)s->run.seed,
                        "device", s->device->description, "target_hash", target, "prior_hash",
                        prior, "plugins", plugins);
  text = j ? json_dumps(j, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
  json_decref(j);
  if (!text) return isc_fail(ISC_E_NOMEM, "%s: no memory to write %s", s->dir, MARK);
  ISC_GO(isc_study_path(s, &path, "%s", MARK));
  ISC_GO(isc_write_file(path, text, strlen(text)));
done:
  free(text);
  free(path);
  return st;
}

static isc_status open_log(isc_run_state *r) {
  char *path = NULL;
  ISC_TRY(isc_study_path(r->study, &path, "log.jsonl"));
  r->log = fopen(path, "ae");
  isc_status st = r->log ? ISC_OK : isc_fail(ISC_E_IO, "%s: %s", path, strerror(errno));
  free(path);
  return st;
}

static isc_status open_train_store(isc_study *s) {
  char *dir = NULL;
  ISC_TRY(isc_study_path(s, &dir, "harvest/train"));
  isc_status st = isc_store_open(dir, s->sites.site, s->sites.n, s->n_train, &s->train_store);
  free(dir);
  return st;
}

static isc_status train_stages(isc_run_state *r, const char harvest[33], char trained[33]) {
  isc_study *s = r->study;
  trained[0] = 0;
  for (int64_t k = 0; isc_study_stage_name(s, k); k++) {
    char key[33];
    ISC_TRY(isc_key_method(s, k, harvest, trained, key));
    ISC_TRY(isc_stage_run(r, isc_study_stage_name(s, k), key, isc_stage_train, &k));
    ISC_TRY(s->method_ops->load(s->method, k, r->stage_dir));
    memcpy(trained, key, sizeof key);
  }
  return ISC_OK;
}

static isc_status run_stages(isc_run_state *r) {
  isc_study *s = r->study;
  char harvest[33], trained[33], sample[33], score[33], report[33];
  ISC_TRY(isc_key_harvest(s, harvest));
  ISC_TRY(isc_stage_run(r, "harvest", harvest, isc_stage_harvest, NULL));
  ISC_TRY(open_train_store(s));
  ISC_TRY(train_stages(r, harvest, trained));
  ISC_TRY(isc_key_sample(s, harvest, trained, sample));
  ISC_TRY(isc_stage_run(r, "sample", sample, isc_stage_sample, NULL));
  ISC_TRY(isc_key_score(s, sample, score));
  ISC_TRY(isc_stage_run(r, "score", score, isc_stage_score, NULL));
  if (!r->request->report) return ISC_OK;
  ISC_TRY(isc_key_report(s, score, report));
  return isc_stage_run(r, "report", report, isc_stage_report, NULL);
}

isc_status isc_run(const isc_run_request *request, char **report_dir) {
  isc_status st = ISC_OK;
  isc_run_state r = {.request = request, .started = isc_now()};
  int lock = -1;
  *report_dir = NULL;
  ISC_GO(isc_study_open(&request->source, request->dir, &r.study));
  if (request->events.note && r.study->device_report && *r.study->device_report)
    request->events.note(request->events.user, r.study->device_report);
  if (request->events.note)
    request->events.note(request->events.user, r.study->device->description);
  ISC_GO(claim_dir(r.study));
  ISC_GO(lock_dir(r.study, &lock));
  ISC_GO(write_resolved(r.study));
  ISC_GO(write_mark(r.study));
  ISC_GO(open_log(&r));
  ISC_GO(run_stages(&r));
  ISC_GO(isc_study_path(r.study, report_dir, "report"));
done:
  if (r.log) fclose(r.log);
  isc_curve_free(&r.curve);
  free(r.stage_dir);
  isc_study_close(r.study);
  if (lock >= 0) close(lock);
  return st;
}
