/* SPDX-License-Identifier: Apache-2.0
 *
 * Which checks a plugin gets, in which order, and which of them cannot be had.
 *
 * The order is that of the documentation: of the file, then of each class, then of each of its cases.
 */
#include "conform/runner_plan.h"
#include <stdlib.h>
#include <string.h>

typedef struct layout {
  isc_run_plan *plan;
  const isc_target *target;
  isc_conform_plugin *plugin;
  int64_t room;
} layout;

static isc_status keep(isc_pool *pool, const char *s, const char **out) {
  char *kept;
  *out = NULL;
  if (!s) return ISC_OK;
  ISC_TRY(isc_pool_strndup(pool, s, strlen(s), &kept));
  *out = kept;
  return ISC_OK;
}

static const char *string_at(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

static isc_status add(layout *l, const isc_check *check, const char *cls, const char *cs,
                      const char *skip) {
  isc_conform_plugin *p = l->plugin;
  if (p->n_results == l->room) {
    void *bigger;
    l->room = l->room ? 2 * l->room : 64;
    ISC_TRY(isc_pool_alloc(l->plan->pool, (size_t)l->room, sizeof *p->results, "results", &bigger));
    if (p->n_results) memcpy(bigger, p->results, (size_t)p->n_results * sizeof *p->results);
    p->results = bigger;
  }
  isc_conform_result *r = &p->results[p->n_results++];
  *r = (isc_conform_result){
      .check = check, .cls = cls, .cs = cs, .outcome = ISC_SKIPPED, .message = skip, .output = ""};
  return isc_plan_replay(l->plan, l->target, r, &r->replay);
}

static bool wanted(const isc_conform_request *r, const isc_check *check) {
  bool found = r->n_only == 0;
  for (int64_t i = 0; i < r->n_only && !found; i++)
    found = !strcmp(r->only[i], check->id);
  return found;
}

/* Every wanted check of `scope` for a kind (0 = of any.* alone, when nobody knows the kinds). */
static isc_status add_scope(layout *l, isc_check_scope scope, unsigned kind, const char *cls,
                            const char *cs, const char *skip) {
  int64_t n;
  const isc_check *const *check = isc_checks_all(&n);
  for (int64_t i = 0; i < n; i++) {
    const bool fits = kind ? check[i]->kinds & ISC_OF(kind) : check[i]->kinds == ISC_ALL_KINDS;
    if (check[i]->scope == scope && fits && wanted(l->plan->request, check[i]))
      ISC_TRY(add(l, check[i], cls, cs, skip));
  }
  return ISC_OK;
}

static unsigned kind_of(const char *name) {
  for (unsigned k = 1; name && k <= ISC_KIND_COUNT; k++)
    if (!strcmp(name, isc_kind_name((isc_kind)k))) return k;
  return 0;
}

static isc_status add_case(layout *l, unsigned kind, const char *cls, const json_t *cs) {
  const char *name, *skip, *broken = string_at(l->target->listing.answer, "cases_error");
  const char *only = l->plan->request->cs;
  ISC_TRY(keep(l->plan->pool, string_at(cs, "name"), &name));
  ISC_TRY(keep(l->plan->pool, string_at(cs, "problem"), &skip));
  if (!name || (only && strcmp(only, name) != 0)) return ISC_OK;
  if (broken) skip = "the case file is broken";
  return add_scope(l, ISC_PER_CASE, kind, cls, name, skip);
}

static isc_status add_class(layout *l, const json_t *cls, isc_conform_class *out) {
  char *full;
  const char *kept;
  size_t i;
  json_t *cs;
  ISC_TRY(keep(l->plan->pool, string_at(cls, "kind"), &out->kind));
  ISC_TRY(keep(l->plan->pool, string_at(cls, "name"), &out->name));
  ISC_TRY(keep(l->plan->pool, string_at(cls, "version"), &out->version));
  const unsigned kind = kind_of(out->kind);
  if (!kind || !out->name || !out->version)
    return isc_fail(ISC_E_INTERNAL, "%s: the listing of its classes was disturbed",
                    l->target->path);
  ISC_TRY(isc_asprintf(&full, "%s/%s", out->kind, out->name));
  isc_status st = keep(l->plan->pool, full, &kept);
  free(full);
  ISC_TRY(st);
  if (l->target->cls && strcmp(l->target->cls, kept) != 0) return ISC_OK;
  ISC_TRY(add_scope(l, ISC_PER_CLASS, kind, kept, "", NULL));
  json_array_foreach(json_object_get(cls, "cases"), i, cs) ISC_TRY(add_case(l, kind, kept, cs));
  return ISC_OK;
}

static isc_status add_classes(layout *l) {
  const json_t *list = json_object_get(l->target->listing.answer, "classes");
  void *memory;
  size_t i;
  json_t *cls;
  ISC_TRY(isc_pool_alloc(l->plan->pool, json_array_size(list), sizeof *l->plugin->classes,
                         "classes", &memory));
  l->plugin->classes = memory;
  json_array_foreach(list, i, cls)
      ISC_TRY(add_class(l, cls, &l->plugin->classes[l->plugin->n_classes++]));
  return ISC_OK;
}

isc_status isc_plan_results(isc_run_plan *p, int64_t i) {
  layout l = {.plan = p, .target = &p->targets[i], .plugin = &p->report->plugins[i]};
  const isc_verdict *v = &l.target->listing;
  const bool is_file = l.target->path[0] == '/';
  if (v->broken) {
    l.plugin->problem = v->message;
    return ISC_OK;
  }
  /* With a class named, what is of the file as a whole is not meant; but of one that does not load it is all there is. */
  if (is_file && (!l.target->cls || v->outcome != ISC_PASSED))
    ISC_TRY(add_scope(&l, ISC_PER_PLUGIN, 0, "", "", NULL));
  if (v->outcome != ISC_PASSED) {
    ISC_TRY(add_scope(&l, ISC_PER_CLASS, 0, "", "", "the plugin does not load"));
    return add_scope(&l, ISC_PER_CASE, 0, "", "", "the plugin does not load");
  }
  ISC_TRY(keep(p->pool, string_at(v->answer, "cases_file"), &l.plugin->cases_file));
  if (!l.plugin->problem)
    ISC_TRY(keep(p->pool, string_at(v->answer, "cases_error"), &l.plugin->problem));
  return add_classes(&l);
}

/* ---- command lines */

typedef struct words {
  const char *at[32];
  int n;
} words;

static void add_word(words *w, const char *name, const char *value) {
  if (name) w->at[w->n++] = name;
  if (value) w->at[w->n++] = value;
}

static void add_result(words *w, const isc_run_plan *p, const isc_conform_result *r,
                       const char *seed) {
  if (r->cls[0]) add_word(w, "--class", r->cls);
  if (r->cs[0]) add_word(w, "--case", r->cs);
  add_word(w, "--seed", seed);
  if (p->cases) add_word(w, "--cases", p->cases);
}

static isc_status seed_text(isc_run_plan *p, const char **out) {
  char text[32];
  snprintf(text, sizeof text, "%llu", (unsigned long long)p->request->seed);
  return keep(p->pool, text, out);
}

isc_status isc_plan_argv(isc_run_plan *p, const isc_target *t, const isc_conform_result *r,
                         const char *scratch, const char *const **out) {
  words w = {.n = 0};
  const char *seed;
  void *list;
  ISC_TRY(seed_text(p, &seed));
  add_word(&w, p->checker, "--result");
  add_word(&w, "3", NULL);
  if (r) {
    add_word(&w, "--check", r->check->id);
    add_word(&w, "--scratch", scratch);
    add_result(&w, p, r, seed);
  } else {
    add_word(&w, "--list", NULL);
    if (p->cases) add_word(&w, "--cases", p->cases);
  }
  add_word(&w, t->path, NULL);
  ISC_TRY(isc_pool_alloc(p->pool, (size_t)w.n + 1, sizeof *w.at, "a command line", &list));
  memcpy(list, w.at, (size_t)w.n * sizeof *w.at);
  *out = list;
  return ISC_OK;
}

/* The plugin path of the environment, its directories as they are called from anywhere. */
static isc_status absolute_dirs(const char *list, char **out) {
  isc_sb b = {0};
  char *copy, *at, *rest = NULL;
  ISC_TRY(isc_strdup(list, &copy));
  for (at = strtok_r(copy, ":", &rest); at; at = strtok_r(NULL, ":", &rest)) {
    char *real = realpath(at, NULL);
    isc_sb_addf(&b, "%s%s", b.len ? ":" : "", real ? real : at);
    free(real);
  }
  free(copy);
  return isc_sb_finish(&b, out);
}

isc_status isc_plan_replay(isc_run_plan *p, const isc_target *t, const isc_conform_result *r,
                           const char **out) {
  const char *seed, *path = getenv("INVERSESCOPE_PLUGIN_PATH");
  words w = {.n = 0};
  isc_sb b = {0};
  char *text, scale[32];
  ISC_TRY(seed_text(p, &seed));
  snprintf(scale, sizeof scale, "%.9g", p->request->timeout_scale);
  add_word(&w, p->request->program ? p->request->program : "inversescope", "conform");
  add_word(&w, "--only", r->check->id);
  add_result(&w, p, r, seed);
  if (p->request->timeout_scale != 1) add_word(&w, "--timeout-scale", scale);
  add_word(&w, t->path, NULL);
  if (path && *path) {
    ISC_TRY(absolute_dirs(path, &text));
    isc_sb_add(&b, "INVERSESCOPE_PLUGIN_PATH=");
    isc_sb_add_shell(&b, text);
    free(text);
  }
  for (int i = 0; i < w.n; i++) {
    if (b.len) isc_sb_add(&b, " ");
    isc_sb_add_shell(&b, w.at[i]);
  }
  ISC_TRY(isc_sb_finish(&b, &text));
  isc_status st = keep(p->pool, text, out);
  free(text);
  return st;
}
