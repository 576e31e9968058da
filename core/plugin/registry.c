/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of classes, and finding one by name.
 *
 * The library's only process-wide state; one lock guards it. Entries are never removed, so a pointer
 * to one is good for the life of the process.
 */
#include "plugin/registry.h"
#include "base/base.h"
#include "plugin/adopt.h"
#include "plugin/loader.h"
#include "plugin/search.h"
#include "plugin/survey.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct {
  pthread_mutex_t lock;
  const isc_registry_entry **sorted; /* [n] by kind, then name */
  int64_t n;
  isc_dirs dirs;
  bool has_dirs;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

typedef enum { KEEP_FIRST, REFUSE_SECOND } duplicate_rule;

/* Where kind/name stands or would stand. */
static int64_t place(isc_kind kind, const char *name, bool *found) {
  int64_t i = 0;
  *found = false;
  for (; i < registry.n; i++) {
    const isc_class *c = registry.sorted[i]->cls;
    int order = c->kind != kind ? (c->kind < kind ? -1 : 1) : strcmp(c->name, name);
    *found = order == 0;
    if (order >= 0) break;
  }
  return i;
}

static const isc_registry_entry *lookup(isc_kind kind, const char *name) {
  bool found;
  int64_t i = place(kind, name, &found);
  return found ? registry.sorted[i] : NULL;
}

static isc_status insert(const isc_class *cls, const char *plugin, const char *version,
                         const char *path) {
  bool found;
  int64_t at = place(cls->kind, cls->name, &found);
  void *list = registry.sorted, *memory;
  char *kept;
  ISC_TRY(
      isc_realloc(&list, (size_t)registry.n + 1, sizeof *registry.sorted, "the plugin registry"));
  registry.sorted = list;
  isc_adopted adopted;
  ISC_TRY(isc_class_adopt(cls, &adopted));
  isc_status st = isc_strdup(path, &kept);
  if (st == ISC_OK) {
    st = isc_malloc(sizeof(isc_registry_entry), "the plugin registry", &memory);
    if (st != ISC_OK) free(kept);
  }
  if (st != ISC_OK) {
    isc_adopted_free(&adopted);
    return st;
  }
  isc_registry_entry *e = memory;
  *e = (isc_registry_entry){
      .cls = adopted.cls, .origin = cls, .plugin = plugin, .plugin_version = version, .path = kept};
  memmove(registry.sorted + at + 1, registry.sorted + at,
          (size_t)(registry.n - at) * sizeof *registry.sorted);
  registry.sorted[at] = e;
  registry.n++;
  return ISC_OK;
}

static isc_status add(const isc_class *cls, const char *plugin, const char *version,
                      const char *path, duplicate_rule rule) {
  const isc_registry_entry *old = lookup(cls->kind, cls->name);
  if (!old) return insert(cls, plugin, version, path);
  if (old->origin == cls || rule == KEEP_FIRST) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "%s: %s/%s is already registered from %s", path,
                  isc_kind_name(cls->kind), cls->name, old->path);
}

static isc_status load(const char *path, duplicate_rule rule) {
  const isc_plugin *p;
  ISC_TRY(isc_plugin_open(path, &p));
  for (int i = 0; p->classes[i]; i++)
    ISC_TRY(add(p->classes[i], p->name, p->version, path, rule));
  return ISC_OK;
}

static isc_status need_dirs(void) {
  if (registry.has_dirs) return ISC_OK;
  ISC_TRY(isc_dirs_build(&registry.dirs, NULL, 0));
  registry.has_dirs = true;
  return ISC_OK;
}

/* ---- finding */

/* Load `<dir>/<kind>_<name>.so` from each directory until one offers the class; reasons of those that
 * do not are collected. */
static isc_status try_by_file_name(isc_kind kind, const char *name, isc_sb *reasons) {
  for (int64_t d = 0; d < registry.dirs.n && !lookup(kind, name); d++) {
    char *path;
    ISC_TRY(isc_asprintf(&path, "%s/%s_%s.so", registry.dirs.at[d], isc_kind_name(kind), name));
    for (char *c = strrchr(path, '/'); *c; c++)
      if (*c == '-') *c = '_';
    if (isc_exists(path)) {
      if (load(path, KEEP_FIRST) != ISC_OK)
        isc_sb_addf(reasons, "; %s", isc_error());
      else if (!lookup(kind, name))
        isc_sb_addf(reasons, "; %s: offers no %s \"%s\"", path, isc_kind_name(kind), name);
    }
    free(path);
  }
  return ISC_OK;
}

/* What is registered and what lies on the path. */
static isc_status survey(isc_survey *s) {
  ISC_TRY(need_dirs());
  for (int64_t i = 0; i < registry.n; i++) {
    const isc_registry_entry *e = registry.sorted[i];
    ISC_TRY(isc_survey_add(s, e->cls, e->plugin, e->plugin_version, e->path));
  }
  ISC_TRY(isc_survey_dirs(&registry.dirs, s));
  isc_survey_sort(s);
  return ISC_OK;
}

/* Load what a survey found: of one kind, or all (0); with a name, only what offers that class. */
static isc_status load_surveyed(isc_survey *s, isc_kind kind, const char *name) {
  for (int64_t i = 0; i < s->n; i++) {
    const isc_registry_entry *e = &s->entries[i];
    if (kind != 0 && e->cls->kind != kind) continue;
    if (name && strcmp(e->cls->name, name) != 0) continue;
    if (lookup(e->cls->kind, e->cls->name)) continue;
    if (load(e->path, KEEP_FIRST) != ISC_OK) ISC_TRY(isc_survey_refuse(s, e->path));
  }
  return ISC_OK;
}

/* The kind's known name nearest to `name`. */
static isc_status nearest(const isc_survey *s, isc_kind kind, const char *name, const char **out) {
  void *p;
  int64_t k = 0;
  ISC_TRY(isc_calloc((size_t)s->n + 1, sizeof(char *), "plugin names", &p));
  const char **names = p;
  for (int64_t i = 0; i < s->n; i++)
    if (s->entries[i].cls->kind == kind) names[k++] = s->entries[i].cls->name;
  *out = isc_nearest_name(name, names);
  free(p);
  return ISC_OK;
}

/* Why nothing can be found in a directory of the path; NULL when something could be. */
static const char *dir_problem(const isc_survey *s, const char *dir) {
  if (!isc_is_dir(dir)) return "no such directory";
  for (int64_t i = 0; i < s->n_problems; i++)
    if (strcmp(s->problems[i].path, dir) == 0) return s->problems[i].reason;
  return NULL;
}

static isc_status miss(const isc_survey *s, isc_kind kind, const char *name, const char *reasons) {
  isc_sb b = {0};
  const char *near = NULL;
  char *text = NULL;
  int64_t files = s->n_problems;
  ISC_TRY(nearest(s, kind, name, &near));
  isc_sb_addf(&b, "no %s plugin \"%s\"", isc_kind_name(kind), name);
  if (near) isc_sb_addf(&b, "; did you mean \"%s\"?", near);
  isc_sb_add(&b, near ? " Looked in " : "; looked in ");
  for (int64_t d = 0; d < registry.dirs.n; d++) {
    const char *why = dir_problem(s, registry.dirs.at[d]);
    isc_sb_addf(&b, "%s%s", d ? ", " : "", registry.dirs.at[d]);
    if (why) isc_sb_addf(&b, " (%s)", why), files--;
  }
  if (registry.dirs.n == 0) isc_sb_add(&b, "no directory at all");
  isc_sb_add(&b, reasons);
  if (!*reasons && files > 0)
    isc_sb_addf(&b, "; %lld file(s) there cannot be used, `inversescope plugins` says why",
                (long long)files);
  ISC_TRY(isc_sb_finish(&b, &text));
  isc_status st = isc_fail(ISC_E_MISSING, "%s", text);
  free(text);
  return st;
}

static bool is_class_name(const char *s) {
  size_t n = strlen(s);
  return n > 0 && n < 128 && s[0] >= 'a' && s[0] <= 'z' &&
         strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static isc_status find(isc_kind kind, const char *name, const isc_registry_entry **out) {
  isc_sb reasons = {0};
  isc_survey found = {0};
  char *text = NULL;
  isc_status st = ISC_OK;
  *out = lookup(kind, name);
  if (*out) return ISC_OK;
  ISC_GO(need_dirs());
  if (is_class_name(name)) ISC_GO(try_by_file_name(kind, name, &reasons));
  *out = lookup(kind, name);
  if (*out) goto done;
  ISC_GO(survey(&found));
  ISC_GO(load_surveyed(&found, kind, name));
  *out = lookup(kind, name);
  if (*out) goto done;
  ISC_GO(isc_sb_finish(&reasons, &text));
  st = miss(&found, kind, name, text);
done:
  isc_sb_free(&reasons);
  isc_survey_free(&found);
  free(text);
  return st;
}

/* ---- the public face */

isc_status isc_registry_search_path(const char *const *config_paths, int64_t n) {
  isc_dirs fresh;
  ISC_TRY(isc_dirs_build(&fresh, config_paths, n));
  pthread_mutex_lock(&registry.lock);
  isc_dirs old = registry.dirs;
  registry.dirs = fresh;
  registry.has_dirs = true;
  pthread_mutex_unlock(&registry.lock);
  isc_dirs_free(&old);
  return ISC_OK;
}

int64_t isc_registry_dirs(const char *const **out) {
  pthread_mutex_lock(&registry.lock);
  isc_status st = need_dirs();
  *out = (const char *const *)registry.dirs.at;
  int64_t n = st == ISC_OK ? registry.dirs.n : 0;
  pthread_mutex_unlock(&registry.lock);
  return n;
}

isc_status isc_registry_add_builtin(const isc_class *cls) {
  ISC_TRY(isc_class_check(cls));
  pthread_mutex_lock(&registry.lock);
  isc_status st = add(cls, "inversescope", cls->version, "(built in)", REFUSE_SECOND);
  pthread_mutex_unlock(&registry.lock);
  return st;
}

isc_status isc_registry_find(isc_kind kind, const char *name, const isc_registry_entry **out) {
  *out = NULL;
  if (!isc_kind_name(kind)) return isc_fail(ISC_E_USAGE, "there is no plugin kind %d", (int)kind);
  pthread_mutex_lock(&registry.lock);
  isc_status st = find(kind, name, out);
  pthread_mutex_unlock(&registry.lock);
  return st;
}

isc_status isc_registry_survey(isc_survey *out) {
  *out = (isc_survey){0};
  pthread_mutex_lock(&registry.lock);
  isc_status st = survey(out);
  pthread_mutex_unlock(&registry.lock);
  return st;
}

static isc_status problem_lines(const isc_survey *s, char ***out) {
  void *p;
  isc_status st = ISC_OK;
  ISC_TRY(isc_calloc((size_t)s->n_problems + 1, sizeof **out, "the plugin problems", &p));
  char **lines = p;
  for (int64_t i = 0; i < s->n_problems; i++)
    ISC_GO(isc_asprintf(&lines[i], "%s: %s", s->problems[i].path, s->problems[i].reason));
  *out = lines;
done:
  for (int64_t i = 0; st != ISC_OK && i < s->n_problems; i++)
    free(lines[i]);
  if (st != ISC_OK) free(lines);
  return st;
}

isc_status isc_registry_scan(isc_kind kind, char ***problems, int64_t *n_problems) {
  isc_survey found = {0};
  if (problems) *problems = NULL;
  pthread_mutex_lock(&registry.lock);
  isc_status st = survey(&found);
  if (st == ISC_OK) st = load_surveyed(&found, kind, NULL);
  pthread_mutex_unlock(&registry.lock);
  if (st == ISC_OK && problems) st = problem_lines(&found, problems);
  if (n_problems) *n_problems = st == ISC_OK ? found.n_problems : 0;
  isc_survey_free(&found);
  return st;
}

isc_status isc_registry_load(const char *path) {
  pthread_mutex_lock(&registry.lock);
  isc_status st = load(path, REFUSE_SECOND);
  pthread_mutex_unlock(&registry.lock);
  return st;
}

int64_t isc_registry_list(isc_kind kind, const isc_registry_entry *const **out) {
  pthread_mutex_lock(&registry.lock);
  int64_t from = 0, to = registry.n;
  if (kind != 0) {
    while (from < to && registry.sorted[from]->cls->kind < kind)
      from++;
    while (to > from && registry.sorted[to - 1]->cls->kind > kind)
      to--;
  }
  *out = registry.sorted ? registry.sorted + from : NULL;
  pthread_mutex_unlock(&registry.lock);
  return to - from;
}
