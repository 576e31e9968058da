/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a stage: up to date, resumed, or started in an empty directory; and its progress.
 */
#include "run/stage.h"

#include <dirent.h>
#include <errno.h>
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

bool isc_stage_is_done(const char *dir, const char key[33]) {
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

static isc_status list_files(const char *dir, const char *below, json_t *files);

/* One entry of the directory `dir`/`below` into the list: a file by its path from `dir`, a directory by its files. */
static isc_status list_entry(const char *dir, const char *below, const char *name, json_t *files) {
  char *rel = NULL, *path = NULL;
  struct stat sb;
  isc_status st = ISC_OK;
  ISC_GO(isc_path_join(below, name, &rel));
  ISC_GO(isc_path_join(dir, rel, &path));
  if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(rel, DONE_FILE) ||
      !strcmp(rel, ISC_SPENT_FILE)) /* tells of the process, not of its result */
    goto done;
  if (lstat(path, &sb) != 0)
    st = isc_fail(ISC_E_IO, "%s: cannot be listed: %s", path, strerror(errno));
  else if (S_ISDIR(sb.st_mode))
    st = list_files(dir, rel, files);
  else if (json_object_set_new(files, rel, json_integer(sb.st_size)) != 0)
    st = isc_fail(ISC_E_NOMEM, "%s: no memory to list it", path);
done:
  free(rel);
  free(path);
  return st;
}

static isc_status list_files(const char *dir, const char *below, json_t *files) {
  struct dirent **entry = NULL;
  char *path = NULL;
  ISC_TRY(isc_path_join(dir, below, &path));
  isc_status st = ISC_OK;
  const int n = scandir(path, &entry, NULL, alphasort);
  if (n < 0) st = isc_fail(ISC_E_IO, "%s: cannot be listed: %s", path, strerror(errno));
  for (int i = 0; i < n; i++) {
    if (st == ISC_OK) st = list_entry(dir, below, entry[i]->d_name, files);
    free(entry[i]);
  }
  free(entry);
  free(path);
  return st;
}

static isc_status mark_done(const char *dir, const char key[33]) {
  isc_status st = ISC_OK;
  char *path = NULL, *text = NULL;
  json_t *files = json_object(), *j = json_object();
  ISC_GO(list_files(dir, "", files));
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

typedef bool (*choose_fn)(const char *name);

static bool any_file(const char *name) {
  (void)name;
  return true;
}

/* What a killed process was writing. */
static bool half_written(const char *name) {
  const size_t len = strlen(name);
  return len > 4 && !strcmp(name + len - 4, ".tmp");
}

static isc_status remove_files(const char *dir, choose_fn choose);

static isc_status remove_entry(const char *dir, const char *name, choose_fn choose) {
  char *path = NULL;
  struct stat sb;
  isc_status st = ISC_OK;
  if (!strcmp(name, ".") || !strcmp(name, "..")) return ISC_OK;
  ISC_TRY(isc_path_join(dir, name, &path));
  const bool is_dir = lstat(path, &sb) == 0 && S_ISDIR(sb.st_mode);
  if (is_dir) st = remove_files(path, choose);
  if (is_dir && choose == any_file) rmdir(path);
  if (!is_dir && choose(name) && unlink(path) != 0)
    st = isc_fail(ISC_E_IO, "%s: cannot be removed: %s", path, strerror(errno));
  free(path);
  return st;
}

static isc_status remove_files(const char *dir, choose_fn choose) {
  DIR *d = opendir(dir);
  if (!d) return isc_fail(ISC_E_IO, "%s: cannot be opened: %s", dir, strerror(errno));
  isc_status st = ISC_OK;
  for (struct dirent *e; st == ISC_OK && (e = readdir(d));)
    st = remove_entry(dir, e->d_name, choose);
  closedir(d);
  return st;
}

isc_status isc_stage_remove(const char *dir) {
  if (!isc_is_dir(dir)) return ISC_OK;
  ISC_TRY(remove_files(dir, any_file));
  return rmdir(dir) == 0 ? ISC_OK
                         : isc_fail(ISC_E_IO, "%s: cannot be removed: %s", dir, strerror(errno));
}

/* The record and the key go first: a kill in between must leave neither for files that are gone. */
static isc_status start_empty(const char *dir, const char key[33]) {
  static const char *const first[] = {DONE_FILE, KEY_FILE};
  char *path = NULL;
  for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
    ISC_TRY(isc_path_join(dir, first[i], &path));
    unlink(path);
    free(path);
  }
  ISC_TRY(remove_files(dir, any_file));
  ISC_TRY(isc_path_join(dir, KEY_FILE, &path));
  isc_status st = isc_write_file(path, key, 32);
  free(path);
  return st;
}

/* Go on in a directory whose key is this one, or start it. A stage that once was finished and no longer is what its
 * record says is started anew: what happened to its files is unknown. */
static isc_status prepare(isc_run_state *r, const char key[33], const char **why) {
  const char *dir = r->stage_dir;
  char have[33], *record = NULL;
  ISC_TRY(isc_mkdirs(dir));
  ISC_TRY(read_key(dir, have));
  ISC_TRY(isc_path_join(dir, DONE_FILE, &record));
  const bool resumed = !strcmp(have, key) && !isc_exists(record);
  free(record);
  *why = resumed ? "resumed" : have[0] ? "changed" : "new";
  if (!resumed) return start_empty(dir, key);
  ISC_TRY(remove_files(dir, half_written));
  return isc_curve_read(&r->curve, dir);
}

/* {"time": …, "stage": …, "event": …, "seconds": … */
static void begin_line(const isc_run_state *r, const char *event, isc_sb *b) {
  char when[32];
  isc_utc(when);
  isc_sb_addf(b, "{\"time\":\"%s\",\"stage\":", when);
  isc_sb_add_json(b, r->stage, strlen(r->stage));
  isc_sb_addf(b, ",\"event\":\"%s\",\"seconds\":%.3f", event, isc_now() - r->stage_started);
}

static void end_line(const isc_run_state *r, isc_sb *b) {
  char *line = NULL;
  isc_sb_add(b, "}\n");
  if (isc_sb_finish(b, &line) == ISC_OK) fputs(line, r->log), fflush(r->log);
  free(line);
}

static void log_line(isc_run_state *r, const char *event, int64_t done, int64_t total,
                     const isc_metric *m, int64_t n) {
  if (!r->log) return;
  isc_sb b = {0};
  begin_line(r, event, &b);
  if (total > 0)
    isc_sb_addf(&b, ",\"done\":%lld,\"total\":%lld", (long long)done, (long long)total);
  for (int64_t i = 0; i < n; i++) {
    isc_sb_add(&b, ",");
    isc_sb_add_json(&b, m[i].name, strlen(m[i].name));
    isc_sb_addf(&b, ":%.9g", m[i].value);
  }
  end_line(r, &b);
}

void isc_stage_note(isc_run_state *r, const char *event, const char *members, const char *text) {
  const isc_run_events *ev = &r->request->events;
  isc_sb b = {0};
  if (ev->note) ev->note(ev->user, text);
  if (!r->log) return;
  begin_line(r, event, &b);
  isc_sb_addf(&b, ",%s", members);
  end_line(r, &b);
}

isc_status isc_stage_run(isc_run_state *r, const char *name, const char key[33], isc_stage_fn fn,
                         void *arg) {
  isc_status st = ISC_OK;
  const char *why;
  const isc_run_events *ev = &r->request->events;
  const char *below = r->method ? r->method->below : "";
  /* Cut short it would be the directory of another stage. */
  if (snprintf(r->stage, sizeof r->stage, "%s%s", below, name) >= (int)sizeof r->stage)
    return isc_fail(ISC_E_USAGE, "%s%s: a stage's name has more than %zu letters", below, name,
                    sizeof r->stage - 1);
  free(r->stage_dir);
  r->stage_dir = NULL;
  r->stage_started = r->last_checkpoint = isc_now();
  r->last_logged = 0;
  isc_curve_free(&r->curve);
  r->curve_unsaved = false;
  ISC_TRY(isc_study_path(r->study, &r->stage_dir, "%s", r->stage));
  ISC_TRY(isc_stage_check(r));
  if (isc_stage_is_done(r->stage_dir, key)) {
    if (ev->end) ev->end(ev->user, r->stage, -1);
    return ISC_OK;
  }
  ISC_TRY(prepare(r, key, &why));
  ISC_TRY(isc_meter_begin(&r->meter, r->study->device, r->stage_dir));
  if (ev->begin) ev->begin(ev->user, r->stage, why);
  log_line(r, !strcmp(why, "resumed") ? "resume" : "begin", 0, 0, NULL, 0);
  st = fn(r, arg);
  if (st == ISC_OK && r->curve.n) st = isc_curve_write(&r->curve, r->stage_dir);
  if (st == ISC_OK) st = isc_meter_finish(&r->meter, r->stage_dir);
  if (st == ISC_OK) st = mark_done(r->stage_dir, key);
  log_line(r, st == ISC_OK ? "end" : "stop", 0, 0, NULL, 0);
  if (st == ISC_OK && ev->end) ev->end(ev->user, r->stage, isc_now() - r->stage_started);
  return st;
}

static isc_status write_progress(isc_run_state *r) {
  ISC_TRY(isc_meter_keep(&r->meter, r->stage_dir));
  return r->curve.n ? isc_curve_write(&r->curve, r->stage_dir) : ISC_OK;
}

isc_status isc_stage_progress(isc_run_state *r, int64_t done, int64_t total, const isc_metric *m,
                              int64_t n) {
  const isc_run_events *ev = &r->request->events;
  const double now = isc_now();
  if (n > 0) ISC_TRY(isc_curve_add(&r->curve, done, total, m, n));
  /* What asked for a checkpoint could not be told of an error: a disk that is still full is one now. */
  if (r->curve_unsaved) ISC_TRY(write_progress(r));
  r->curve_unsaved = false;
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

/* The point of a step that is in progress, for a trainer whose device answers later, is written when it comes. */
bool isc_stage_save_curve(isc_run_state *r) {
  const bool saved = write_progress(r) == ISC_OK;
  r->curve_unsaved = !saved || r->meter.open;
  return saved;
}

bool isc_stage_checkpoint_due(isc_run_state *r) {
  const double now = isc_now();
  if (!isc_stage_stopping(r) && now - r->last_checkpoint < r->study->run.checkpoint_seconds)
    return false;
  /* The curve goes first: on resume, points past the checkpoint are dropped, but none may be missing. */
  if (!isc_stage_save_curve(r)) return false;
  r->last_checkpoint = now;
  return true;
}
