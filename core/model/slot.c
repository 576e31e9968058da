/* SPDX-License-Identifier: Apache-2.0
 *
 * Slots of a prior by name.
 *
 * A name that the prior lacks is a mistake in a config, so the message says what there is.
 */
#include "base/base.h"
#include <inversescope/slot.h>
#include <stdlib.h>
#include <string.h>

typedef struct slot {
  isc_prior prior;
  int64_t k;
} slot;

static isc_status no_such_slot(const isc_prior *p, const char *name) {
  isc_sb b = {0};
  char *list;
  for (int64_t k = 0; k < p->ops->n_slots(p->self); k++)
    isc_sb_addf(&b, "%s%s", k ? ", " : "", p->ops->slot_name(p->self, k));
  ISC_TRY(isc_sb_finish(&b, &list));
  isc_status st =
      isc_fail(ISC_E_CONFIG, "the prior %s has no slot \"%s\"; it has %s", p->name, name, list);
  free(list);
  return st;
}

isc_status isc_slot_find(const isc_prior *prior, const char *name, int64_t *k) {
  const isc_prior_ops *o = prior ? prior->ops : NULL;
  if (!o || !o->n_slots || !o->slot_name || !o->slot)
    return isc_fail(ISC_E_CONFIG, "the prior %s has no slots", prior ? prior->name : "(none)");
  for (*k = 0; *k < o->n_slots(prior->self); ++*k)
    if (strcmp(o->slot_name(prior->self, *k), name) == 0) return ISC_OK;
  return no_such_slot(prior, name);
}

isc_status isc_slot_open(const isc_prior *prior, const char *name, void **out) {
  int64_t k;
  void *s;
  ISC_TRY(isc_slot_find(prior, name, &k));
  ISC_TRY(isc_malloc(sizeof(slot), "a slot", &s));
  *(slot *)s = (slot){*prior, k};
  *out = s;
  return ISC_OK;
}

void isc_slot_close(void *self) {
  free(self);
}

isc_status isc_slot_label(void *self, const char *text, size_t len, isc_text *out) {
  const slot *s = self;
  return s->prior.ops->slot(s->prior.self, text, len, s->k, out);
}

const char *isc_slot_name(void *self) {
  const slot *s = self;
  return s->prior.ops->slot_name(s->prior.self, s->k);
}
