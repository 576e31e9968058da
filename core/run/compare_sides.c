/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading two sides and matching their sites and features by name, their held-out inputs by content.
 */
#include "run/compare_sides.h"

#include "base/base.h"
#include "run/score.h"
#include "run/spent.h"

#include <stdlib.h>
#include <string.h>

/* ---- one side */

static isc_status read_score(const char *dir, json_t **out) {
  char *path = NULL;
  json_error_t e;
  isc_status st = ISC_OK;
  ISC_GO(isc_path_join(dir, "score/score.json", &path));
  if (!isc_exists(path)) {
    st = isc_fail(ISC_E_MISSING, "%s: not a finished run: it has no score/score.json", dir);
    goto done;
  }
  *out = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
  if (!json_is_object(*out))
    st = isc_fail(ISC_E_FORMAT, "%s: %s", path, *out ? "no object" : e.text);
done:
  free(path);
  return st;
}

static isc_status add_spent(const char *dir, const char *stage, isc_spent *sum, bool *known) {
  char *path = NULL;
  isc_spent one;
  ISC_TRY(isc_path_join(dir, stage, &path));
  const isc_status st = isc_spent_read(path, &one);
  free(path);
  *known = *known && st == ISC_OK;
  if (st == ISC_OK) isc_spent_add(sum, &one);
  return st == ISC_E_MISSING ? ISC_OK : st;
}

/* What training and sampling took, as far as the directory tells: the training stages are those with a curve. */
static isc_status read_spent(isc_side *s) {
  size_t i;
  json_t *curve;
  isc_spent training = {0}, sampling = {0};
  bool trained = json_array_size(json_object_get(s->score, "curves")) > 0, sampled = true;
  json_array_foreach(json_object_get(s->score, "curves"), i, curve) {
    const char *stage = json_string_value(json_object_get(curve, "stage"));
    if (!stage || strchr(stage, '/'))
      return isc_fail(ISC_E_FORMAT, "%s: score.json has a curve without a stage", s->dir);
    ISC_TRY(add_spent(s->dir, stage, &training, &trained));
  }
  ISC_TRY(add_spent(s->dir, "sample", &sampling, &sampled));
  s->spent = trained ? isc_spent_json(&training) : json_null();
  s->sample = sampled ? isc_spent_json(&sampling) : json_null();
  return ISC_OK;
}

static isc_status open_side(const char *dir, isc_side *s) {
  char *path = NULL;
  isc_status st = ISC_OK;
  s->dir = dir;
  ISC_GO(read_score(dir, &s->score));
  ISC_GO(isc_path_join(dir, "score/" ISC_CONDITIONS_FILE, &path));
  if (!isc_exists(path)) {
    st = isc_fail(ISC_E_MISSING, "%s: it has no score/" ISC_CONDITIONS_FILE "; run the study again",
                  dir);
    goto done;
  }
  ISC_GO(isc_conditions_read(path, (int64_t)json_array_size(json_object_get(s->score, "sites")),
                             (int64_t)json_array_size(json_object_get(s->score, "features")),
                             &s->conditions));
  ISC_GO(read_spent(s));
done:
  free(path);
  return st;
}

static const char *method_name(const isc_side *s) {
  const char *name =
      json_string_value(json_object_get(json_object_get(s->score, "method"), "name"));
  return name ? name : "method";
}

static isc_status settle_names(isc_sides *s, const char *name_a, const char *name_b) {
  const char *a = name_a ? name_a : method_name(&s->a), *b = name_b ? name_b : method_name(&s->b);
  if (!strcmp(a, b)) {
    a = s->a.dir;
    b = s->b.dir;
  }
  ISC_TRY(isc_strdup(a, &s->a.name));
  return isc_strdup(b, &s->b.name);
}

/* ---- what they share */

static int64_t find_name(const json_t *list, const char *name) {
  size_t i;
  json_t *j;
  json_array_foreach(list, i, j) {
    const char *have = json_string_value(json_object_get(j, "name"));
    if (have && !strcmp(have, name)) return (int64_t)i;
  }
  return -1;
}

/* Members of both lists that have the same "name". */
static isc_status share_names(const isc_sides *s, const char *key, isc_shared **out, int64_t *n) {
  const json_t *a = json_object_get(s->a.score, key), *b = json_object_get(s->b.score, key);
  size_t i;
  json_t *j;
  *n = 0;
  ISC_TRY(isc_calloc(json_array_size(a) + 1, sizeof **out, "comparison", (void **)out));
  json_array_foreach(a, i, j) {
    json_t *name = json_object_get(j, "name");
    const int64_t at = json_is_string(name) ? find_name(b, json_string_value(name)) : -1;
    if (at < 0) continue;
    (*out)[(*n)++] =
        (isc_shared){.name = json_string_value(name), .json_name = name, .a = (int64_t)i, .b = at};
  }
  return ISC_OK;
}

typedef struct keyed {
  int64_t key, at;
  int64_t used; /* of those of one key, at the first of them */
} keyed;

static int by_key(const void *x, const void *y) {
  const keyed *a = x, *b = y;
  return a->key != b->key ? (a->key > b->key) - (a->key < b->key)
                          : (a->at > b->at) - (a->at < b->at);
}

/* The first of n sorted ones whose key is at least `key`. */
static int64_t first_of(const keyed *sorted, int64_t n, int64_t key) {
  int64_t lo = 0, hi = n;
  while (lo < hi) {
    const int64_t mid = lo + (hi - lo) / 2;
    if (sorted[mid].key < key)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

/* Inputs that both have. One that is drawn again is paired again, the k-th time with the k-th: how often it comes is its
 * probability. */
static isc_status share_conditions(isc_sides *s) {
  const isc_conditions *a = &s->a.conditions, *b = &s->b.conditions;
  keyed *sorted = NULL;
  ISC_TRY(isc_calloc((size_t)a->n, sizeof *s->condition, "comparison", (void **)&s->condition));
  ISC_TRY(isc_calloc((size_t)b->n, sizeof *sorted, "comparison", (void **)&sorted));
  for (int64_t i = 0; i < b->n; i++)
    sorted[i] = (keyed){.key = b->text[i], .at = i};
  qsort(sorted, (size_t)b->n, sizeof *sorted, by_key);
  for (int64_t i = 0; i < a->n; i++) {
    const int64_t first = first_of(sorted, b->n, a->text[i]);
    const int64_t k = first < b->n ? first + sorted[first].used : b->n;
    if (k == b->n || sorted[k].key != a->text[i]) continue;
    s->condition[s->n++] = (isc_shared){.a = i, .b = sorted[k].at};
    sorted[first].used++;
  }
  free(sorted);
  return ISC_OK;
}

isc_status isc_sides_open(const char *a, const char *b, const char *name_a, const char *name_b,
                          isc_sides *out) {
  *out = (isc_sides){0};
  ISC_TRY(open_side(a, &out->a));
  ISC_TRY(open_side(b, &out->b));
  ISC_TRY(settle_names(out, name_a, name_b));
  ISC_TRY(share_names(out, "sites", &out->site, &out->n_sites));
  ISC_TRY(share_names(out, "features", &out->feature, &out->n_features));
  ISC_TRY(share_conditions(out));
  if (!out->n_sites) return isc_fail(ISC_E_USAGE, "%s and %s have no site in common", a, b);
  if (out->n < 2)
    return isc_fail(
        ISC_E_USAGE,
        "%s and %s have %lld held-out inputs in common; a comparison in pairs needs two or "
        "more, so runs of one prior and seed",
        a, b, (long long)out->n);
  return ISC_OK;
}

static void close_side(isc_side *s) {
  json_decref(s->score);
  json_decref(s->spent);
  json_decref(s->sample);
  isc_conditions_free(&s->conditions);
  free(s->name);
}

void isc_sides_close(isc_sides *s) {
  close_side(&s->a);
  close_side(&s->b);
  free(s->site);
  free(s->feature);
  free(s->condition);
}

/* ---- scores */

/* [n_sites, n] of one side. */
static const float *table_of(const isc_side *s, isc_side_score what, int64_t which) {
  const isc_conditions *c = &s->conditions;
  switch (what) {
  case ISC_SIDE_REFUSAL:
    return c->refusal[which];
  case ISC_SIDE_VALIDITY:
    return c->validity;
  case ISC_SIDE_COPIES:
    return c->copies;
  case ISC_SIDE_REJECT:
    return c->reject + which * c->n_sites * c->n;
  case ISC_SIDE_EXACT:
    break;
  }
  return c->exact + which * c->n_sites * c->n;
}

void isc_sides_take(const isc_sides *s, isc_side_score what, int64_t which, double *a, double *b) {
  const bool of_feature = what == ISC_SIDE_REJECT || what == ISC_SIDE_EXACT;
  const float *x = table_of(&s->a, what, of_feature ? s->feature[which].a : which),
              *y = table_of(&s->b, what, of_feature ? s->feature[which].b : which);
  for (int64_t k = 0; k < s->n_sites; k++)
    for (int64_t i = 0; i < s->n; i++) {
      a[k * s->n + i] = (double)x[s->site[k].a * s->a.conditions.n + s->condition[i].a];
      b[k * s->n + i] = (double)y[s->site[k].b * s->b.conditions.n + s->condition[i].b];
    }
}

/* ---- what they are */

json_t *isc_side_part(const isc_side *s) {
  const json_t *method = json_object_get(s->score, "method");
  json_t *parameters = json_object_get(method, "parameters"),
         *plugin = json_object_get(method, "plugin");
  return json_pack("{so ss sO sO sO sO}", "name", isc_score_string(s->name), "method",
                   method_name(s), "plugin", plugin ? plugin : json_null(), "parameters",
                   parameters ? parameters : json_null(), "training", s->spent, "sampling",
                   s->sample);
}

static isc_status add_difference(json_t *list, const char *group, const char *key, json_t *a,
                                 json_t *b) {
  char *path = NULL;
  ISC_TRY(isc_asprintf(&path, "%s%s%s", group, *key ? "." : "", key));
  json_t *j = json_pack("{ss sO sO}", "key", path, "a", a, "b", b ? b : json_null());
  const int added = json_array_append_new(list, j);
  free(path);
  return added == 0 ? ISC_OK : isc_fail(ISC_E_NOMEM, "no memory for a comparison");
}

static isc_status group_differences(const isc_sides *s, const char *group, json_t *list) {
  json_t *a = json_object_get(s->a.score, group), *b = json_object_get(s->b.score, group), *value;
  const char *key;
  json_object_foreach(a, key, value) {
    json_t *other = json_object_get(b, key);
    if (!strcmp(key, "example") || (other && json_equal(value, other))) continue;
    ISC_TRY(add_difference(list, group, key, value, other));
  }
  return ISC_OK;
}

/* What has one name in both and is not the same. */
static isc_status feature_differences(const isc_sides *s, json_t *list) {
  isc_status st = ISC_OK;
  for (int64_t f = 0; f < s->n_features && st == ISC_OK; f++) {
    json_t *a = json_array_get(json_object_get(s->a.score, "features"), (size_t)s->feature[f].a),
           *b = json_array_get(json_object_get(s->b.score, "features"), (size_t)s->feature[f].b),
           *x = json_object_get(a, "plugin"), *y = json_object_get(b, "plugin");
    char *group = NULL;
    if (!x || (y && json_equal(x, y))) continue;
    ISC_TRY(isc_asprintf(&group, "features.%s", s->feature[f].name));
    st = add_difference(list, group, "plugin", x, y);
    free(group);
  }
  return st;
}

/* Sites or features that only one of them has are left out of every mean. */
static isc_status count_differences(const isc_sides *s, const char *key, int64_t shared,
                                    json_t *list) {
  const size_t a = json_array_size(json_object_get(s->a.score, key)),
               b = json_array_size(json_object_get(s->b.score, key));
  if ((int64_t)a == shared && (int64_t)b == shared) return ISC_OK;
  json_t *x = json_integer((json_int_t)a), *y = json_integer((json_int_t)b);
  const isc_status st = add_difference(list, key, "", x, y);
  json_decref(x);
  json_decref(y);
  return st;
}

isc_status isc_sides_differences(const isc_sides *s, json_t *list) {
  static const char *const groups[] = {"run", "target", "prior", "kernel", "evaluate"};
  for (size_t g = 0; g < sizeof groups / sizeof *groups; g++)
    ISC_TRY(group_differences(s, groups[g], list));
  ISC_TRY(feature_differences(s, list));
  ISC_TRY(count_differences(s, "sites", s->n_sites, list));
  return count_differences(s, "features", s->n_features, list);
}
