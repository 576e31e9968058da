/* SPDX-License-Identifier: Apache-2.0
 *
 * The sites of a target: opening the target, selecting by pattern, finding by name.
 *
 * A set is in model order, so a forward pass meets its sites in that order and may end after the last.
 * A head site is kept as the head's d_head factor with its part of W_O as the map: exact, and 12 times smaller
 * in GPT-2 small.
 */
#include "model/sites_internal.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

isc_status isc_target_open(const isc_class *cls, const void *conf, isc_device *dev,
                           isc_target *out) {
  *out = (isc_target){.cls = cls, .ops = cls->ops, .info = {.size = sizeof out->info}};
  if (cls->kind != ISC_TARGET || !out->ops)
    return isc_fail(ISC_E_USAGE, "class \"%s\" is not a target", cls->name);
  isc_status st = out->ops->open(conf, dev, &out->self);
  if (st != ISC_OK) {
    *out = (isc_target){0};
    return st;
  }
  out->ops->info(out->self, &out->info);
  return ISC_OK;
}

void isc_target_close(isc_target *t) {
  if (t->ops && t->self) t->ops->close(t->self);
  *t = (isc_target){0};
}

/* ---- selection */

typedef struct selection {
  const isc_target *target;
  isc_site_pattern *pattern; /* [n] */
  bool *matched;             /* [n] */
  int64_t n;
  isc_site_set *set; /* NULL while counting */
  int64_t count, heads, last_layer;
} selection;

/* "head.0-2.0-3, attn_out.0-2, …": what a user may write. */
static isc_status unknown_site(isc_status code, const isc_target *t, const char *pattern,
                               const char *why) {
  long long layers = (long long)t->info.n_layer - 1, heads = (long long)t->info.n_head - 1;
  return isc_fail(
      code,
      "site \"%s\" %s; this model has head.L.H, attn_out.L, mlp_out.L, resid_pre.L, resid_mid.L "
      "and "
      "resid_post.L with L 0-%lld and H 0-%lld, and \"*\" or a range a-b stands for several",
      pattern, why, layers, heads);
}

static bool selects(const selection *sel, isc_place place, int64_t layer, int64_t head) {
  bool any = false;
  for (int64_t i = 0; i < sel->n; i++)
    if (isc_site_pattern_has(&sel->pattern[i], place, layer, head)) any = sel->matched[i] = true;
  return any;
}

static void name_site(isc_place place, int64_t layer, int64_t head, char *out) {
  if (head >= 0)
    snprintf(out, ISC_SITE_NAME_SIZE, "%s.%lld.%lld", isc_place_name(place), (long long)layer,
             (long long)head);
  else
    snprintf(out, ISC_SITE_NAME_SIZE, "%s.%lld", isc_place_name(place), (long long)layer);
}

static isc_status fill_site(selection *sel, isc_place place, int64_t layer, int64_t head) {
  const isc_target_info *info = &sel->target->info;
  isc_site_set *s = sel->set;
  int64_t i = sel->count;
  char *name = s->names + i * ISC_SITE_NAME_SIZE;
  name_site(place, layer, head, name);
  s->place[i] = s->last_place = place;
  s->layer[i] = s->last_layer = layer;
  s->head[i] = head;
  s->site[i] = (isc_site){.name = name, .dim = info->d_model, .stored = info->d_model};
  if (head < 0) return ISC_OK;
  float *map = s->maps + sel->heads * info->d_head * info->d_model;
  s->site[i].stored = info->d_head;
  s->site[i].map = map;
  return sel->target->ops->head_map(sel->target->self, layer, head, map);
}

static isc_status visit(selection *sel, isc_place place, int64_t layer, int64_t head) {
  if (!selects(sel, place, layer, head)) return ISC_OK;
  if (sel->set) ISC_TRY(fill_site(sel, place, layer, head));
  sel->count++;
  sel->heads += head >= 0;
  sel->last_layer = layer;
  return ISC_OK;
}

/* Every site of the model in its order. */
static isc_status walk(selection *sel) {
  sel->count = sel->heads = 0;
  for (int64_t layer = 0; layer < sel->target->info.n_layer; layer++)
    for (int place = 0; place < ISC_PLACE_COUNT; place++) {
      if (place != ISC_HEADS) {
        ISC_TRY(visit(sel, (isc_place)place, layer, -1));
        continue;
      }
      for (int64_t head = 0; head < sel->target->info.n_head; head++)
        ISC_TRY(visit(sel, ISC_HEADS, layer, head));
    }
  return ISC_OK;
}

static isc_status parse_all(selection *sel, const char *const *patterns) {
  for (int64_t i = 0; i < sel->n; i++)
    if (!isc_site_pattern_parse(patterns[i], &sel->pattern[i]))
      return unknown_site(ISC_E_CONFIG, sel->target, patterns[i], "is not the name of a site");
  return ISC_OK;
}

static isc_status check_matched(const selection *sel, const char *const *patterns) {
  for (int64_t i = 0; i < sel->n; i++)
    if (!sel->matched[i])
      return unknown_site(ISC_E_MISSING, sel->target, patterns[i], "is not in the model");
  return ISC_OK;
}

static isc_status allocate(const selection *sel, isc_site_set *s) {
  const isc_target_info *info = &sel->target->info;
  size_t n = (size_t)sel->count, map;
  ISC_TRY(isc_mul_size((size_t)info->d_head, (size_t)info->d_model, "the head maps", &map));
  ISC_TRY(isc_mul_size(map, sizeof(float), "the head maps", &map));
  ISC_TRY(isc_calloc(n, sizeof *s->site, "the sites", (void **)&s->site));
  ISC_TRY(isc_calloc(n, sizeof *s->place, "the sites", (void **)&s->place));
  ISC_TRY(isc_calloc(n, sizeof *s->layer, "the sites", (void **)&s->layer));
  ISC_TRY(isc_calloc(n, sizeof *s->head, "the sites", (void **)&s->head));
  ISC_TRY(isc_calloc(n, ISC_SITE_NAME_SIZE, "the sites' names", (void **)&s->names));
  ISC_TRY(isc_calloc((size_t)sel->heads, map, "the head maps", (void **)&s->maps));
  s->n = sel->count;
  return ISC_OK;
}

/* The sites that the patterns take, counted. */
static isc_status begin(selection *sel, const char *const *patterns) {
  const size_t n = (size_t)sel->n;
  if (sel->n < 1)
    return isc_fail(ISC_E_CONFIG, "no sites are selected; \"head.*.*\" takes every head");
  ISC_TRY(isc_calloc(n, sizeof *sel->pattern, "site patterns", (void **)&sel->pattern));
  ISC_TRY(isc_calloc(n, sizeof *sel->matched, "site patterns", (void **)&sel->matched));
  ISC_TRY(parse_all(sel, patterns));
  ISC_TRY(walk(sel));
  return check_matched(sel, patterns);
}

static void end(selection *sel) {
  free(sel->pattern);
  free(sel->matched);
}

isc_status isc_sites_select(const isc_target *t, const char *const *patterns, int64_t n,
                            isc_site_set *out) {
  isc_status st = ISC_OK;
  selection sel = {.target = t, .n = n};
  *out = (isc_site_set){0};
  ISC_GO(begin(&sel, patterns));
  ISC_GO(allocate(&sel, out));
  sel.set = out;
  ISC_GO(walk(&sel));
done:
  if (st != ISC_OK) isc_sites_free(out);
  end(&sel);
  return st;
}

isc_status isc_sites_measure(const isc_target_info *info, const char *const *patterns, int64_t n,
                             isc_site_sum *out) {
  const isc_target t = {.info = *info};
  selection sel = {.target = &t, .n = n};
  const isc_status st = begin(&sel, patterns);
  *out =
      (isc_site_sum){.sites = sel.count,
                     .heads = sel.heads,
                     .stored = sel.heads * info->d_head + (sel.count - sel.heads) * info->d_model,
                     .last_layer = sel.last_layer};
  end(&sel);
  return st;
}

void isc_sites_free(isc_site_set *s) {
  free(s->site);
  free(s->place);
  free(s->layer);
  free(s->head);
  free(s->names);
  free(s->maps);
  *s = (isc_site_set){0};
}

int64_t isc_sites_find(const isc_site_set *s, const char *name) {
  isc_site_pattern p;
  if (!isc_site_pattern_parse(name, &p) || !isc_site_pattern_is_one(&p)) return -1;
  for (int64_t i = 0; i < s->n; i++)
    if (isc_site_pattern_has(&p, s->place[i], s->layer[i], s->head[i])) return i;
  return -1;
}

/* ---- in a forward pass */

int64_t isc_sites_at(const isc_site_set *s, isc_place place, int64_t layer, int64_t *first) {
  int64_t i = 0, n = 0;
  while (i < s->n && (s->place[i] != place || s->layer[i] != layer))
    i++;
  *first = i;
  while (i + n < s->n && s->place[i + n] == place && s->layer[i + n] == layer)
    n++;
  return n;
}

int64_t isc_site_column(const isc_site_set *s, int64_t i) {
  return s->head[i] < 0 ? 0 : s->head[i] * s->site[i].stored;
}

isc_status isc_sites_check_tensor(const isc_site_set *s, int64_t first, int64_t n, int64_t rows,
                                  const isc_tensor *x) {
  int64_t last = first + n - 1, need = isc_site_column(s, last) + s->site[last].stored;
  if (x->ndim == 2 && x->shape[0] == rows && x->shape[1] >= need) return ISC_OK;
  return isc_fail(
      ISC_E_INTERNAL,
      "the target gave a tensor of %d dimensions, [%lld, %lld …], at %s; [%lld, ≥ %lld] "
      "is needed",
      (int)x->ndim, (long long)x->shape[0], (long long)x->shape[1], s->site[last].name,
      (long long)rows, (long long)need);
}
