/* SPDX-License-Identifier: Apache-2.0
 *
 * The feature that is a slot of the prior: a name, a place, a digit, the template's number.
 *
 * A text that is not of the prior, or whose template lacks the slot, has the null label.
 */
#include <inversescope/feature.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct slot_conf {
  const char *slot;
} slot_conf;

static const isc_option options[] = {
    {"slot", ISC_OPT_STRING, ISC_OPT_REQUIRED, offsetof(slot_conf, slot), NULL, NULL, 0, 0, NULL,
     "The slot of the prior whose value is the label, \"template\" for the template's number."},
    ISC_OPTIONS_END};

typedef struct slot {
  isc_prior prior;
  int64_t k;
} slot;

/* "A, B, PLACE": what the prior has. */
static isc_status list_slots(const isc_prior *p, isc_text *out) {
  ISC_TRY(isc_text_set(out, "", 0));
  for (int64_t k = 0; k < p->ops->n_slots(p->self); k++) {
    const char *name = p->ops->slot_name(p->self, k);
    if (k) ISC_TRY(isc_text_append(out, ", ", 2));
    ISC_TRY(isc_text_append(out, name, strlen(name)));
  }
  return ISC_OK;
}

static isc_status no_such_slot(const isc_prior *p, const char *name) {
  isc_text list = {0};
  isc_status st = list_slots(p, &list);
  if (st == ISC_OK)
    st = isc_fail(ISC_E_CONFIG, "feature slot: the prior %s has no slot \"%s\"; it has %s", p->name,
                  name, list.data);
  isc_text_free(&list);
  return st;
}

static isc_status slot_open(const void *conf, const isc_prior *prior, void **self) {
  const slot_conf *c = conf;
  const isc_prior_ops *o = prior ? prior->ops : NULL;
  if (!o || !o->n_slots || !o->slot_name || !o->slot)
    return isc_fail(ISC_E_CONFIG, "feature slot: the prior %s has no slots",
                    prior ? prior->name : "(none)");
  int64_t n = o->n_slots(prior->self), k = 0;
  while (k < n && strcmp(o->slot_name(prior->self, k), c->slot) != 0)
    k++;
  if (k == n) return no_such_slot(prior, c->slot);
  slot *s = malloc(sizeof *s);
  if (!s) return isc_fail(ISC_E_NOMEM, "feature slot: no memory");
  *s = (slot){*prior, k};
  *self = s;
  return ISC_OK;
}

static isc_status slot_label(void *self, const char *text, size_t len, isc_text *out) {
  const slot *s = self;
  return s->prior.ops->slot(s->prior.self, text, len, s->k, out);
}

static const char *slot_claimed(void *self) {
  const slot *s = self;
  return s->prior.ops->slot_name(s->prior.self, s->k);
}

static const isc_feature_ops ops = {.size = sizeof ops,
                                    .open = slot_open,
                                    .close = free,
                                    .label = slot_label,
                                    .slot = slot_claimed};

static const isc_class slot_class = {
    ISC_CLASS(ISC_FEATURE),
    .name = "slot",
    .version = "1.0.0",
    .summary = "The value of a slot of the prior",
    .licence = "Apache-2.0",
    .options = options,
    .conf_size = sizeof(slot_conf),
    .ops = &ops,
};

ISC_PLUGIN("slot", "1.0.0", &slot_class);
