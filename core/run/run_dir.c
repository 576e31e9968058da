/* SPDX-License-Identifier: Apache-2.0
 *
 * Claiming a run directory and writing what tells where it came from.
 */
#include "run/run_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char MARK[] = "run.json", LOCK[] = ".lock";

/* Refuse to work in a directory that holds something else. */
static isc_status claim(const isc_study *s) {
  char *mark = NULL, *lock = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_study_path(s, &mark, "%s", MARK));
  ISC_GO(isc_study_path(s, &lock, "%s", LOCK));
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

static isc_status take_lock(const isc_study *s, int *fd) {
  char *path = NULL;
  ISC_TRY(isc_study_path(s, &path, "%s", LOCK));
  *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  isc_status st = ISC_OK;
  if (*fd < 0)
    st = isc_fail(ISC_E_IO, "%s: %s", path, strerror(errno));
  else if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
    st = isc_fail(ISC_E_USAGE, "%s: another process is working in this run directory", s->dir);
  free(path);
  return st;
}

static isc_status write_text(const isc_study *s, const char *name, const char *text) {
  char *path = NULL;
  ISC_TRY(isc_study_path(s, &path, "%s", name));
  isc_status st = isc_write_file(path, text, strlen(text));
  free(path);
  return st;
}

static isc_status write_resolved(const isc_study *s) {
  char *text = NULL;
  ISC_TRY(isc_config_resolved(s->config, &text));
  isc_status st = write_text(s, "config.cfg", text);
  free(text);
  return st;
}

static void add_plugin(json_t *list, const isc_class *cls) {
  if (!cls) return;
  json_array_append_new(list, json_pack("{ssssss}", "kind", isc_kind_name(cls->kind), "name",
                                        cls->name, "version", cls->version));
}

static json_t *plugins(const isc_study *s) {
  json_t *list = json_array();
  add_plugin(list, s->device->cls);
  add_plugin(list, s->target.cls);
  add_plugin(list, s->prior_class);
  add_plugin(list, s->kernel_class);
  for (int64_t i = 0; i < s->n_methods; i++)
    add_plugin(list, s->method[i].cls);
  for (int64_t i = 0; i < s->n_features; i++)
    add_plugin(list, s->feature[i].cls);
  return list;
}

static isc_status write_mark(isc_study *s) {
  const char *target = s->target_hash, *prior = s->prior_hash;
  char when[32];
  isc_utc(when);
  ISC_TRY(isc_study_hash(s));
  json_t *j = json_pack("{ss ss ss sI ss ss* ss* so}", "program", "inversescope " PACKAGE_VERSION,
                        "config", s->config_path, "last_run", when, "seed", (json_int_t)s->run.seed,
                        "device", s->device->description, "target_hash", *target ? target : NULL,
                        "prior_hash", *prior ? prior : NULL, "plugins", plugins(s));
  char *text = j ? json_dumps(j, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
  json_decref(j);
  if (!text)
    return isc_fail(ISC_E_NOMEM, "%s: %s cannot be written: no memory, or a path that is not UTF-8",
                    s->dir, MARK);
  isc_status st = write_text(s, MARK, text);
  free(text);
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

isc_status isc_run_dir_open(isc_run_state *r, int *lock) {
  isc_study *s = r->study;
  ISC_TRY(claim(s));
  ISC_TRY(take_lock(s, lock));
  ISC_TRY(write_resolved(s));
  ISC_TRY(write_mark(s));
  return open_log(r);
}

void isc_run_dir_close(isc_run_state *r, int lock) {
  if (r->log) fclose(r->log);
  r->log = NULL;
  if (lock >= 0) close(lock);
}
