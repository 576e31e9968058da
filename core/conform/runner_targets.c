/* SPDX-License-Identifier: Apache-2.0
 *
 * What the user named: files, classes, checks, cases. A name that is wrong is told with the nearest right one.
 */
#include "conform/runner_plan.h"
#include "conform/places.h"
#include "method/inversescope.h"
#include "plugin/registry.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 512 };

/* A set of names for isc_nearest_name; what has no room is only never suggested. */
typedef struct names {
  const char *at[MAX_NAMES + 1];
  int n;
} names;

static void add_name(names *s, const char *name) {
  for (int i = 0; i < s->n; i++)
    if (!strcmp(s->at[i], name)) return;
  if (s->n < MAX_NAMES) s->at[s->n++] = name;
}

static isc_status unknown(const names *s, const char *what, const char *name) {
  const char *near = isc_nearest_name(name, s->at);
  if (near)
    return isc_fail(ISC_E_USAGE, "there is no %s \"%s\"; did you mean \"%s\"?", what, name, near);
  return isc_fail(ISC_E_USAGE, "there is no %s \"%s\"", what, name);
}

isc_status isc_plan_check_ids(const isc_conform_request *r) {
  names all = {.n = 0};
  int64_t n;
  const isc_check *const *check = isc_checks_all(&n);
  for (int64_t i = 0; i < n; i++)
    add_name(&all, check[i]->id);
  for (int64_t i = 0; i < r->n_only; i++)
    if (!isc_check_find(r->only[i])) return unknown(&all, "check", r->only[i]);
  return ISC_OK;
}

/* ---- arguments */

static isc_status keep(isc_run_plan *p, const char *s, const char **out) {
  char *kept;
  ISC_TRY(isc_pool_strndup(p->pool, s, strlen(s), &kept));
  *out = kept;
  return ISC_OK;
}

static bool names_class(const char *s) {
  const char *slash = strchr(s, '/');
  for (int k = 1; slash && k <= ISC_KIND_COUNT; k++) {
    const char *kind = isc_kind_name((isc_kind)k);
    if (strlen(kind) == (size_t)(slash - s) && !strncmp(s, kind, strlen(kind)))
      return !strchr(slash + 1, '/');
  }
  return false;
}

/* The file that offers KIND/NAME, found without running its code here. */
static isc_status find_class(isc_run_plan *p, const char *name, isc_target *t) {
  isc_survey all = {0};
  names known = {.n = 0};
  isc_status st = ISC_OK;
  ISC_TRY(isc_registry_search_path(NULL, 0));
  ISC_TRY(isc_registry_add_builtin(isc_method_inversescope_class()));
  ISC_GO(isc_registry_survey(&all));
  for (int64_t i = 0; i < all.n && !t->path; i++) {
    const isc_registry_entry *e = &all.entries[i];
    char full[160];
    const char *kept;
    snprintf(full, sizeof full, "%s/%s", isc_kind_name(e->cls->kind), e->cls->name);
    ISC_GO(keep(p, full, &kept));
    add_name(&known, kept);
    if (strcmp(full, name) != 0) continue;
    t->cls = kept;
    ISC_GO(keep(p, e->path[0] == '(' ? full : e->path, &t->path));
  }
  if (!t->path) st = unknown(&known, "class", name);
done:
  isc_survey_free(&all);
  return st;
}

static isc_status find_target(isc_run_plan *p, const char *given, isc_target *t) {
  char *path;
  if (!isc_exists(given) && names_class(given)) return find_class(p, given, t);
  ISC_TRY(isc_conform_absolute(given, &path));
  const size_t len = strlen(path);
  isc_status st = isc_is_dir(path) || len < 4 || strcmp(path + len - 3, ".so") != 0
                      ? isc_fail(ISC_E_USAGE, "%s: is no x.so and no KIND/NAME", given)
                      : keep(p, path, &t->path);
  free(path);
  return st;
}

isc_status isc_plan_targets(isc_run_plan *p) {
  const isc_conform_request *r = p->request;
  for (int64_t i = 0; i < r->n_plugins; i++) {
    isc_target *t = &p->targets[i];
    ISC_TRY(find_target(p, r->plugins[i], t));
    if (!t->cls) t->cls = r->cls;
    p->report->plugins[i].path = t->path;
  }
  return ISC_OK;
}

/* ---- names in what was listed */

static const char *string_at(const json_t *object, const char *key) {
  const char *s = json_string_value(json_object_get(object, key));
  return s ? s : "";
}

static isc_status gather(isc_run_plan *p, const json_t *cls, names *classes, names *cases) {
  char full[300];
  const char *kept;
  size_t i;
  json_t *cs;
  snprintf(full, sizeof full, "%s/%s", string_at(cls, "kind"), string_at(cls, "name"));
  ISC_TRY(keep(p, full, &kept));
  add_name(classes, kept);
  if (p->request->cls && strcmp(p->request->cls, full) != 0) return ISC_OK;
  json_array_foreach(json_object_get(cls, "cases"), i, cs) add_name(cases, string_at(cs, "name"));
  return ISC_OK;
}

static bool has(const names *s, const char *name) {
  for (int i = 0; i < s->n; i++)
    if (!strcmp(s->at[i], name)) return true;
  return false;
}

/* A case file may be shared by the plugins of a run: a class in it must be somebody's. */
static isc_status blame_strangers(isc_run_plan *p, const names *classes) {
  for (int64_t t = 0; t < p->report->n_plugins; t++) {
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(p->targets[t].listing.answer, "strangers"), i, s) {
      if (has(classes, string_at(s, "class")) || p->report->plugins[t].problem) continue;
      ISC_TRY(keep(p, string_at(s, "message"), &p->report->plugins[t].problem));
    }
  }
  return ISC_OK;
}

isc_status isc_plan_check_names(isc_run_plan *p) {
  names classes = {.n = 0}, cases = {.n = 0};
  for (int64_t t = 0; t < p->report->n_plugins; t++) {
    size_t i;
    json_t *cls;
    /* What one that does not load would have offered nobody knows. */
    if (p->targets[t].listing.outcome != ISC_PASSED) return ISC_OK;
    json_array_foreach(json_object_get(p->targets[t].listing.answer, "classes"), i, cls) {
      ISC_TRY(gather(p, cls, &classes, &cases));
    }
  }
  ISC_TRY(blame_strangers(p, &classes));
  if (p->request->cls && !has(&classes, p->request->cls))
    return unknown(&classes, "class", p->request->cls);
  if (p->request->cs && !has(&cases, p->request->cs))
    return unknown(&cases, "case", p->request->cs);
  return ISC_OK;
}
