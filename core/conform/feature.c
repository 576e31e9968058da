/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of features: a label is a function of the text alone, and of the slot it claims to be.
 *
 * Consistency compares labels of texts that were labelled at other times, in other batches and by other processes; a
 * feature that remembers anything measures itself.
 */
#include "conform/feature_use.h"
#include <inversescope/rng.h>
#include <string.h>

enum { FEW = 24, TEXTS = 128 };

/* ---- feature.pure */

static isc_status parts(const isc_text *x, const isc_text *a, const isc_text *b, const char *when) {
  if (isc_same_text(a, b)) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "the label of %s is %s, and %s %s", isc_shown_text(x),
                  isc_shown_text(a), isc_shown_text(b), when);
}

/* Once by one fresh instance, and twice by another. */
static isc_status pure_of(const isc_feature_trial *t, const isc_text *x) {
  isc_text label[3] = {{0}};
  void *self = NULL;
  isc_status st = ISC_OK;
  for (int i = 0; i < 2 && st == ISC_OK; i++) {
    ISC_GO(isc_feature_instance(t, &self));
    st = isc_feature_label(t, self, x, &label[i]);
    if (st == ISC_OK && i == 1) st = isc_feature_label(t, self, x, &label[2]);
    t->ops->close(self);
  }
  if (st == ISC_OK) st = parts(x, &label[1], &label[2], "when asked again at once");
  if (st == ISC_OK) st = parts(x, &label[0], &label[1], "from a fresh instance");
done:
  for (int i = 0; i < 3; i++)
    isc_text_free(&label[i]);
  return st;
}

static isc_status pure(isc_conform *c) {
  isc_feature_trial t = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_feature_trial_open(c, FEW, &t));
  for (int64_t i = 0; i < t.texts.n; i++)
    ISC_GO(pure_of(&t, &t.texts.at[i]));
done:
  isc_feature_trial_close(&t);
  return st;
}

/* ---- feature.order */

/* Position k of an order of n: as listed, backwards, or shuffled. */
static int64_t place(int order, uint64_t seed, int64_t n, int64_t k) {
  if (order < 2) return order == 0 ? k : n - 1 - k;
  return (int64_t)isc_rng_permute(seed, ISC_RNG_USER, (uint64_t)n, (uint64_t)k);
}

/* One pass in that order; the first one's labels are kept in `known`. */
static isc_status pass(const isc_feature_trial *t, void *self, int order, isc_texts *known) {
  static const char *const when[] = {"", "when all are labelled backwards",
                                     "when all are labelled in another order"};
  const isc_texts *x = &t->texts;
  isc_text label = {0};
  isc_status st = ISC_OK;
  for (int64_t k = 0; k < x->n; k++) {
    const int64_t i = place(order, t->c->seed, x->n, k);
    ISC_GO(isc_feature_label(t, self, &x->at[i], &label));
    if (order == 0)
      ISC_GO(isc_texts_add(known, label.data, label.len));
    else
      ISC_GO(parts(&x->at[i], &known->at[i], &label, when[order]));
  }
done:
  isc_text_free(&label);
  return st;
}

static isc_status order(isc_conform *c) {
  isc_feature_trial t = {0};
  isc_texts known = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_feature_trial_open(c, TEXTS, &t));
  for (int i = 0; i < 3; i++) {
    void *self;
    ISC_GO(isc_feature_instance(&t, &self));
    st = pass(&t, self, i, &known);
    t.ops->close(self);
    if (st != ISC_OK) goto done;
  }
done:
  isc_texts_free(&known);
  isc_feature_trial_close(&t);
  return st;
}

/* ---- feature.null */

static isc_status writes(const isc_feature_trial *t, void *self, const isc_text *x) {
  static const char stale[] = "\x01 an old label";
  isc_text out = {0};
  isc_status st = isc_text_set(&out, stale, sizeof stale - 1);
  if (st == ISC_OK && t->ops->label(self, x->data, x->len, &out) == ISC_OK &&
      out.len >= sizeof stale - 1 && memcmp(out.data, stale, sizeof stale - 1) == 0)
    st = isc_fail(ISC_E_INTERNAL,
                  "label(%s) returns ISC_OK and leaves what `out` held before: the null label is "
                  "the empty text",
                  isc_shown_text(x));
  isc_text_free(&out);
  return st;
}

static isc_status null_label(isc_conform *c) {
  isc_feature_trial t = {0};
  isc_texts odd = {0};
  void *self = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_feature_trial_open(c, FEW, &t));
  ISC_GO(isc_texts_add_foreign(&odd, t.texts.n ? &t.texts.at[0] : NULL));
  ISC_GO(isc_texts_add(&odd, "nothing of the kind", 19));
  ISC_GO(isc_feature_instance(&t, &self));
  for (int64_t i = 0; i < odd.n && st == ISC_OK; i++)
    st = writes(&t, self, &odd.at[i]);
  for (int64_t i = 0; i < t.texts.n && st == ISC_OK; i++)
    st = writes(&t, self, &t.texts.at[i]);
  t.ops->close(self);
done:
  isc_texts_free(&odd);
  isc_feature_trial_close(&t);
  return st;
}

/* ---- feature.slot */

static int64_t slot_number(const isc_prior *p, const char *name) {
  const int64_t n = p->ops->n_slots && p->ops->slot_name ? p->ops->n_slots(p->self) : 0;
  for (int64_t k = 0; k < n; k++)
    if (strcmp(p->ops->slot_name(p->self, k), name) == 0) return k;
  return -1;
}

static isc_status agrees(const isc_feature_trial *t, void *self, const char *name) {
  isc_text label = {0}, value = {0};
  isc_texts sample = {0};
  const isc_prior *p = t->prior;
  const int64_t k = slot_number(p, name);
  isc_status st = ISC_OK;
  if (k < 0)
    return isc_fail(ISC_E_INTERNAL, "it claims the slot \"%s\", which the prior %s has not", name,
                    p->name);
  ISC_GO(isc_conform_samples(p, TEXTS, t->c->seed, &sample));
  for (int64_t i = 0; i < sample.n; i++) {
    const isc_text *x = &sample.at[i];
    isc_text_clear(&value);
    ISC_GO(p->ops->slot(p->self, x->data, x->len, k, &value));
    ISC_GO(isc_feature_label(t, self, x, &label));
    if (!isc_same_text(&label, &value))
      ISC_GO(isc_fail(ISC_E_INTERNAL, "the label of %s is %s, but its slot \"%s\" is %s",
                      isc_shown_text(x), isc_shown_text(&label), name, isc_shown_text(&value)));
  }
done:
  isc_text_free(&label);
  isc_text_free(&value);
  isc_texts_free(&sample);
  return st;
}

static isc_status slot(isc_conform *c) {
  isc_feature_trial t = {0};
  void *self = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_feature_trial_open(c, FEW, &t));
  ISC_GO(isc_feature_instance(&t, &self));
  const char *name = t.ops->slot ? t.ops->slot(self) : NULL;
  st = name ? agrees(&t, self, name) : isc_conform_skip(c, "it claims no slot");
  t.ops->close(self);
done:
  isc_feature_trial_close(&t);
  return st;
}

/* ---- feature.prior */

static int64_t no_slots(void *self) {
  (void)self;
  return 0;
}

/* Open and use it on a prior that lacks something: an error with a message, or it works. */
static isc_status lives_with(isc_feature_trial *t, const isc_prior *prior, const char *which) {
  const isc_prior *usual = t->prior;
  isc_text label = {0};
  void *self = NULL;
  t->prior = prior;
  isc_error_clear();
  isc_status st = isc_feature_instance(t, &self);
  if (st != ISC_OK) {
    st = isc_error()[0] ? ISC_OK
                        : isc_fail(ISC_E_INTERNAL, "it refuses %s without a message", which);
  } else {
    for (int64_t i = 0; i < t->texts.n && st == ISC_OK; i++)
      st = isc_feature_label(t, self, &t->texts.at[i], &label);
    if (t->ops->slot) (void)t->ops->slot(self);
    t->ops->close(self);
    if (st != ISC_OK) isc_fail_in("opened on %s", which);
  }
  isc_text_free(&label);
  t->prior = usual;
  return st;
}

static isc_status poor_priors(isc_conform *c) {
  isc_feature_trial t = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_feature_trial_open(c, FEW, &t));
  isc_prior_ops bare = *t.prior->ops, listless = bare, empty = bare;
  bare.n_slots = NULL;
  bare.slot_name = NULL;
  bare.slot = NULL;
  bare.answer = NULL;
  bare.log_prob = NULL;
  bare.support = NULL;
  bare.enumerate = NULL;
  listless.slot_choices = bare.slot_choices = NULL;
  listless.slot_choice = bare.slot_choice = NULL;
  empty.n_slots = no_slots;
  void *self = t.prior->self;
  ISC_GO(lives_with(&t, NULL, "no prior"));
  ISC_GO(lives_with(&t, &(isc_prior){&bare, self, "bare"}, "a prior without slots"));
  ISC_GO(lives_with(&t, &(isc_prior){&empty, self, "empty"}, "a prior with 0 slots"));
  ISC_GO(lives_with(&t, &(isc_prior){&listless, self, "listless"},
                    "a prior that does not list the values of its slots"));
done:
  isc_feature_trial_close(&t);
  return st;
}

const isc_check isc_checks_feature[] = {
    {"feature.pure", ISC_OF(ISC_FEATURE), ISC_PER_CASE, 20,
     "A text has one label: asked again, and from a fresh instance.",
     "Use neither random numbers nor the clock; keep nothing of a call in the instance.", pure},
    {"feature.order", ISC_OF(ISC_FEATURE), ISC_PER_CASE, 20,
     "Labels do not depend on which texts came before.",
     "Reset what a call uses at its start; keep no cache that is looked up by less than the whole "
     "text.",
     order},
    {"feature.null", ISC_OF(ISC_FEATURE), ISC_PER_CASE, 10,
     "Every call that returns ISC_OK writes `out`, the null label too.",
     "Begin `label` with isc_text_set(out, \"\", 0).", null_label},
    {"feature.slot", ISC_OF(ISC_FEATURE), ISC_PER_CASE, 10,
     "A feature that claims a slot gives that slot's value for every text of the prior.",
     "Return from `slot` the name of the slot that is read, or leave the member out.", slot},
    {"feature.prior", ISC_OF(ISC_FEATURE), ISC_PER_CASE, 10,
     "Without a prior, or on one without slots or lists of values, it refuses with a message or "
     "works.",
     "Every member of isc_prior_ops that may be NULL must be compared with NULL before it is "
     "called, and so must the prior.",
     poor_priors},
    {0}};
