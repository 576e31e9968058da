/* SPDX-License-Identifier: Apache-2.0
 *
 * Surveying plugin directories.
 *
 * A survey's classes carry texts only: a plugin's options and ops lie in the child that has ended.
 */
#include "plugin/survey.h"
#include "base/base.h"
#include "plugin/examine.h"
#include "plugin/trial.h"
#include <stdlib.h>
#include <string.h>

static isc_status grow(void **list, int64_t n, size_t size) {
  return isc_realloc(list, (size_t)n + 1, size, "a survey of plugins");
}

static isc_status keep(isc_survey *s, const char *text, const char **out) {
  char *copy = NULL;
  if (text) ISC_TRY(isc_pool_strndup(&s->pool, text, strlen(text), &copy));
  *out = copy;
  return ISC_OK;
}

isc_status isc_survey_add(isc_survey *s, const isc_class *cls, const char *plugin,
                          const char *version, const char *path) {
  void *list = s->entries, *memory;
  ISC_TRY(isc_pool_alloc(&s->pool, 1, sizeof *cls, "a survey of plugins", &memory));
  isc_class *own = memory;
  isc_registry_entry e = {.cls = own};
  own->size = sizeof *own;
  own->kind = cls->kind;
  ISC_TRY(keep(s, cls->name, &own->name));
  ISC_TRY(keep(s, cls->version, &own->version));
  ISC_TRY(keep(s, cls->summary, &own->summary));
  ISC_TRY(keep(s, cls->licence, &own->licence));
  ISC_TRY(keep(s, cls->source, &own->source));
  ISC_TRY(keep(s, plugin, &e.plugin));
  ISC_TRY(keep(s, version, &e.plugin_version));
  ISC_TRY(keep(s, path, &e.path));
  ISC_TRY(grow(&list, s->n, sizeof *s->entries));
  s->entries = list;
  s->entries[s->n++] = e;
  return ISC_OK;
}

/* The message without the path that it starts with. */
static const char *reason(const char *path) {
  const char *text = isc_error();
  size_t n = strlen(path);
  return strncmp(text, path, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

isc_status isc_survey_refuse(isc_survey *s, const char *path) {
  void *list = s->problems;
  isc_plugin_problem p;
  ISC_TRY(keep(s, reason(path), &p.reason));
  ISC_TRY(keep(s, path, &p.path));
  ISC_TRY(grow(&list, s->n_problems, sizeof *s->problems));
  s->problems = list;
  s->problems[s->n_problems++] = p;
  return ISC_OK;
}

static isc_status look_at(const char *path, isc_survey *s) {
  isc_trial found = {0};
  isc_pool pool = {0};
  isc_status st = isc_plugin_examine(path);
  if (st == ISC_OK) st = isc_plugin_trial(path, &pool, &found);
  /* This process lacks something; the file is not to blame. */
  if (st != ISC_OK && st != ISC_E_NOMEM) st = isc_survey_refuse(s, path);
  for (int64_t i = 0; st == ISC_OK && i < found.n; i++)
    st = isc_survey_add(s, &found.classes[i], found.plugin, found.version, path);
  isc_pool_free(&pool);
  return st;
}

isc_status isc_survey_dirs(const isc_dirs *dirs, isc_survey *s) {
  isc_status st = ISC_OK;
  for (int64_t d = 0; st == ISC_OK && d < dirs->n; d++) {
    isc_dirs files = {0};
    if (!isc_exists(dirs->at[d]))
      isc_fail(ISC_E_MISSING, "%s: there is no such directory", dirs->at[d]);
    st = isc_exists(dirs->at[d]) ? isc_dirs_modules(dirs->at[d], &files) : ISC_E_MISSING;
    if (st == ISC_E_IO || st == ISC_E_MISSING) st = isc_survey_refuse(s, dirs->at[d]);
    for (int64_t i = 0; st == ISC_OK && i < files.n; i++)
      st = look_at(files.at[i], s);
    isc_dirs_free(&files);
  }
  return st;
}

static int by_kind_and_name(const isc_registry_entry *a, const isc_registry_entry *b) {
  if (a->cls->kind != b->cls->kind) return a->cls->kind < b->cls->kind ? -1 : 1;
  return strcmp(a->cls->name, b->cls->name);
}

/* By insertion: stable, and there are few. */
void isc_survey_sort(isc_survey *s) {
  int64_t n = 0;
  for (int64_t i = 0; i < s->n; i++) {
    isc_registry_entry e = s->entries[i];
    int64_t at = n;
    while (at > 0 && by_kind_and_name(&s->entries[at - 1], &e) > 0)
      at--;
    if (at > 0 && by_kind_and_name(&s->entries[at - 1], &e) == 0) continue;
    memmove(s->entries + at + 1, s->entries + at, (size_t)(n - at) * sizeof e);
    s->entries[at] = e;
    n++;
  }
  s->n = n;
}

void isc_survey_free(isc_survey *s) {
  free(s->entries);
  free(s->problems);
  isc_pool_free(&s->pool);
  *s = (isc_survey){0};
}
