/* SPDX-License-Identifier: Apache-2.0
 *
 * What most methods ask of their environment: whole activations instead of factors, and labels.
 *
 * Built on the environment's own functions alone, so it serves a test's environment as well as a run's.
 */
#include "base/base.h"
#include <inttypes.h>
#include <inversescope/method.h>
#include <stdlib.h>
#include <string.h>

/* z = a·map for each of n rows: a [n, stored], z [n, dim]. */
static void expand(const isc_site *s, const float *a, int64_t n, float *z) {
  for (int64_t i = 0; i < n; i++) {
    float *to = z + i * s->dim;
    memset(to, 0, (size_t)s->dim * sizeof *to);
    for (int64_t k = 0; k < s->stored; k++)
      for (int64_t d = 0; d < s->dim; d++)
        to[d] += a[i * s->stored + k] * s->map[k * s->dim + d];
  }
}

static isc_status check_site(const isc_method_env *env, int64_t site) {
  if (site >= 0 && site < env->n_sites) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "there is no site number %" PRId64, site);
}

/* Factors of n rows at a site: stored ones, or, with `position`, fresh ones. */
static isc_status factors(const isc_method_env *env, int64_t site, const int64_t *rows,
                          const int64_t *position, int64_t n, float *out) {
  return position ? env->harvest(env, site, rows, position, n, out)
                  : env->activations(env, site, rows, n, out);
}

static isc_status activations(const isc_method_env *env, int64_t site, const int64_t *rows,
                              const int64_t *position, int64_t n, float *z) {
  void *a = NULL;
  size_t values;
  ISC_TRY(check_site(env, site));
  const isc_site *s = isc_method_site(env, site);
  if (!s->map) return factors(env, site, rows, position, n, z);
  ISC_TRY(isc_mul_size((size_t)n, (size_t)s->stored, "activations", &values));
  ISC_TRY(isc_calloc(values, sizeof(float), "activations", &a));
  isc_status st = factors(env, site, rows, position, n, a);
  if (st == ISC_OK) expand(s, a, n, z);
  free(a);
  return st;
}

isc_status isc_method_activations(const isc_method_env *env, int64_t site, const int64_t *rows,
                                  int64_t n, float *z) {
  return activations(env, site, rows, NULL, n, z);
}

isc_status isc_method_harvest(const isc_method_env *env, int64_t site, const int64_t *row,
                              const int64_t *position, int64_t n, float *z) {
  if (env->size < ISC_SIZE_TO(isc_method_env, harvest) || !env->harvest)
    return isc_fail(ISC_E_UNSUPPORTED, "fresh activations: this environment has no target");
  return activations(env, site, row, position, n, z);
}

/* "A, B, PLACE": the slots whose values are a list. */
static isc_status list_slots(const isc_prior *p, int64_t n, isc_sb *out) {
  for (int64_t k = 0; k < n; k++)
    if (p->ops->slot_choices(p->self, k) > 0)
      isc_sb_addf(out, "%s%s", out->len ? ", " : "", p->ops->slot_name(p->self, k));
  return out->failed ? isc_fail(ISC_E_NOMEM, "no memory for the list of slots") : ISC_OK;
}

isc_status isc_method_slot(const isc_method_env *env, const char *name, int64_t *slot,
                           int64_t *labels) {
  const isc_prior *p = env->prior;
  const isc_prior_ops *o = p->ops;
  const bool any = o->n_slots && o->slot_name && o->slot && o->slot_choices && o->slot_choice;
  const int64_t n = any ? o->n_slots(p->self) : 0;
  isc_sb have = {0};
  for (int64_t k = 0; k < n; k++) {
    *labels = o->slot_choices(p->self, k);
    *slot = k;
    if (*labels > 0 && (!name || strcmp(o->slot_name(p->self, k), name) == 0)) return ISC_OK;
  }
  isc_status st = list_slots(p, n, &have);
  if (st == ISC_OK)
    st = isc_fail(ISC_E_CONFIG, "the prior %s has no slot %s%s%swith a list of values; it has %s",
                  p->name, name ? "\"" : "", name ? name : "", name ? "\" " : "",
                  have.len ? have.s : "none");
  isc_sb_free(&have);
  return st;
}

isc_status isc_method_label(const isc_method_env *env, int64_t slot, int64_t i, int64_t *label) {
  const isc_prior *p = env->prior;
  const int64_t n = p->ops->slot_choices(p->self, slot);
  isc_text text = {0}, value = {0};
  isc_status st = ISC_OK;
  *label = -1;
  ISC_GO(env->text(env, i, &text));
  ISC_GO(p->ops->slot(p->self, text.data, text.len, slot, &value));
  for (int64_t j = 0; j < n && *label < 0; j++)
    if (strcmp(value.data, p->ops->slot_choice(p->self, slot, j)) == 0) *label = j;
done:
  isc_text_free(&text);
  isc_text_free(&value);
  return st;
}
