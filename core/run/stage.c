/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a stage: up to date, resumed, or started in an empty directory; and its progress.
 */
#include "run/stage.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char KEY_FILE[] = "stage.key", DONE_FILE[] = "stage.json";

static isc_status read_key(const char *dir, char key[33]) {
  char *path = NULL, *text = NULL;
  size_t len = 0;
  isc_status st = ISC_OK;
  key[0] = 0;
  ISC_GO(isc_path_join(dir, KEY_FILE, &path));
  if (!isc_exists(path)) goto done;
  ISC_GO(isc_read_file(path, 4096, &text, &len));
  if (len >= 32) memcpy(key, text, 32), key[32] = 0;
done:
  free(path);
  free(text);
  return st;
}

/* Do the files that stage.json lists still have their sizes? */
static bool files_there(const char *dir, const json_t *files) {
  const char *name;
  json_t *size;
  json_object_foreach((json_t *)files, name, size) {
    char *path = NULL;
    struct stat sb;
    bool ok = isc_path_join(dir, name, &path) == ISC_OK && stat(path, &sb) == 0 &&
              sb.st_size == (off_t)json_integer_value(size);
    free(path);
    if (!ok) return false;
  }
  return true;
}

static bool is_done(const char *dir, const char key[33]) {
  char *path = NULL;
  bool done = false;
  if (isc_path_join(dir, DONE_FILE, &path) != ISC_OK) return false;
  json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
  const char *have = json_string_value(json_object_get(j, "fingerprint"));
  done = have && !strcmp(have, key) && files_there(dir, json_object_get(j, "files"));
  json_decref(j);
  free(path);
  return done;
}

static isc_status list_files(const char *dir, json_t *files) {
  struct dirent **entry = NULL;
  isc_status st = ISC_OK;
  int n = scandir(dir, &entry, NULL, alphasort);
  if (n < 0) return isc_fail(ISC_E_IO, "%s: cannot be listed", dir);
  for (int i = 0; i < n; i++) {
    char *path = NULL;
    struct stat sb;
    const char *name = entry[i]->d_name;
    if (st == ISC_OK && strcmp(name, DONE_FILE) && isc_path_join(dir, name, &path) == ISC_OK &&
        stat(path, &sb) == 0 && S_ISREG(sb.st_mode) &&
        json_object_set_new(files, name, json_integer(sb.st_size)) != 0)
      st = isc_fail(ISC_E_NOMEM, "%s: no memory to list it", dir);
    free(path);
    free(entry[i]);
  }
  free(entry);
  return st;
}

static isc_status mark_done(const char *dir, const char key[33]) {
  isc_status st = ISC_OK;
  char *path = NULL, *text = NULL;
  json_t *files = json_object(), *j = json_object();
  ISC_GO(list_files(dir, files));
  json_object_set_new(j, "fingerprint", json_string(key));
  json_object_set(j, "files", files);
  text = json_dumps(j, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
  if (!text) {
    st = isc_fail(ISC_E_NOMEM, "%s: no memory to write its record", dir);
    goto done;
  }
  ISC_GO(isc_path_join(dir, DONE_FILE, &path));
  ISC_GO(isc_write_file(path, text, strlen(text)));
done:
  json_decref(files);
  json_decref(j);
  free(path);
  free(text);
  return st;
}

/* Remove the regular files and the sub-directories' regular files of a stage directory. The record goes first: a kill
 * in between must not leave a record of files that are gone. */
static isc_status empty_dir(const char *dir) {
  char *path = NULL;
  ISC_TRY(isc_path_join(dir, DONE_FILE, &path));
  unlink(path);
  free(path);
  DIR *d = opendir(dir);
  if (!d) return isc_fail(ISC_E_IO, "%s: cannot be opened", dir);
  isc_status st = ISC_OK;
  for (struct dirent *e; st == ISC_OK && (e = readdir(d));) {
    struct stat sb;
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
    path = NULL;
    st = isc_path_join(dir, e->d_name, &path);
    if (st == ISC_OK && lstat(path, &sb) == 0 && S_ISDIR(sb.st_mode)) {
      st = empty_dir(path);
      if (st == ISC_OK) rmdir(path);
    } else if (st == ISC_OK && unlink(path) != 0) {
      st = isc_fail(ISC_E_IO, "%s: cannot be removed", path);
    }
    free(path);
  }
  closedir(d);
  return st;
}

static isc_status start_empty(const char *dir, const char key[33]) {
  char *path = NULL;
  ISC_TRY(empty_dir(dir));
  ISC_TRY(isc_path_join(dir, KEY_FILE, &path));
  isc_status st = isc_write_file(path, key, 32);
  free(path);
  return st;
}

static void log_line(isc_run_state *r, const char *event, int64_t done, int64_t total,
                     const isc_metric *m, int64_t n) {
  if (!r->log) return;
  isc_sb b = {0};
  char *line = NULL, when[32];
  isc_utc(when);
  isc_sb_addf(&b, "{\"time\":\"%s\",\"stage\":", when);
  isc_sb_add_json(&b, r->stage, strlen(r->stage));
  isc_sb_addf(&b, ",\"event\":\"%s\",\"seconds\":%.3f", event, isc_now() - r->stage_started);
  if (total > 0)
    isc_sb_addf(&b, ",\"done\":%lld,\"total\":%lld", (long long)done, (long long)total);
  for (int64_t i = 0; i < n; i++) {
    isc_sb_add(&b, ",");
    isc_sb_add_json(&b, m[i].name, strlen(m[i].name));
    isc_sb_addf(&b, ":%.9g", m[i].value);
  }
  isc_sb_add(&b, "}\n");
  if (isc_sb_finish(&b, &line) == ISC_OK) fputs(line, r->log), fflush(r->log);
  free(line);
}

isc_status isc_stage_run(isc_run_state *r, const char *name, const char key[33], isc_stage_fn fn,
                         void *arg) {
  isc_status st = ISC_OK;
  char have[33];
  const isc_run_events *ev = &r->request->events;
  r->stage = name;
  free(r->stage_dir);
  r->stage_dir = NULL;
  r->stage_started = r->last_checkpoint = isc_now();
  r->last_logged = 0;
  isc_curve_free(&r->curve);
  ISC_TRY(isc_study_path(r->study, &r->stage_dir, "%s", name));
  ISC_TRY(isc_stage_check(r));
  if (is_done(r->stage_dir, key)) {
    if (ev->end) ev->end(ev->user, name, -1);
    return ISC_OK;
  }
  ISC_TRY(isc_mkdirs(r->stage_dir));
  ISC_TRY(read_key(r->stage_dir, have));
  const bool resumed = !strcmp(have, key);
  if (!resumed) ISC_TRY(start_empty(r->stage_dir, key));
  if (resumed) ISC_TRY(isc_curve_read(&r->curve, r->stage_dir));
  if (ev->begin) ev->begin(ev->user, name, resumed ? "resumed" : have[0] ? "changed" : "new");
  log_line(r, resumed ? "resume" : "begin", 0, 0, NULL, 0);
  st = fn(r, arg);
  if (st == ISC_OK && r->curve.n) st = isc_curve_write(&r->curve, r->stage_dir);
  if (st == ISC_OK) st = mark_done(r->stage_dir, key);
  log_line(r, st == ISC_OK ? "end" : "stop", 0, 0, NULL, 0);
  if (st == ISC_OK && ev->end) ev->end(ev->user, name, isc_now() - r->stage_started);
  return st;
}

isc_status isc_stage_progress(isc_run_state *r, int64_t done, int64_t total, const isc_metric *m,
                              int64_t n) {
  const isc_run_events *ev = &r->request->events;
  const double now = isc_now();
  if (n > 0) ISC_TRY(isc_curve_add(&r->curve, done, total, m, n));
  if (ev->progress) ev->progress(ev->user, r->stage, done, total, m, n, now - r->stage_started);
  if (now - r->last_logged >= 2 || done == total) {
    r->last_logged = now;
    log_line(r, "step", done, total, m, n);
  }
  return ISC_OK;
}

bool isc_stage_stopping(const isc_run_state *r) {
  return r->request->stop && *r->request->stop;
}

isc_status isc_stage_check(const isc_run_state *r) {
  return isc_stage_stopping(r)
             ? isc_fail(ISC_E_INTERRUPTED,
                        "stopped in stage %s; run the same command again to go on", r->stage)
             : ISC_OK;
}

bool isc_stage_checkpoint_due(isc_run_state *r) {
  const double now = isc_now();
  if (!isc_stage_stopping(r) && now - r->last_checkpoint < r->study->run.checkpoint_seconds)
    return false;
  /* The curve goes first: on resume, points past the checkpoint are dropped, but none may be missing. */
  if (r->curve.n && isc_curve_write(&r->curve, r->stage_dir) != ISC_OK) return false;
  r->last_checkpoint = now;
  return true;
}
