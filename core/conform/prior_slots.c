/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of priors: what is read out of a text, its slots and its answer.
 *
 * Features are made of slots, so a slot must be a function of the text alone, with the values that the prior lists, and say
 * nothing of texts that are not the prior's.
 */
#include "conform/prior_use.h"
#include <math.h>
#include <string.h>

enum { SAMPLES = 128, TEMPLATE_SAMPLES = 64 };

typedef struct slots {
  isc_conform *c;
  isc_prior prior, fresh; /* two instances */
  isc_texts sample, foreign;
  int64_t n;
} slots;

static isc_status open_slots(isc_conform *c, slots *s) {
  s->c = c;
  ISC_TRY(isc_conform_prior_open(c, c->conf, c->seed, &s->prior));
  ISC_TRY(isc_conform_prior_open(c, c->conf, c->seed, &s->fresh));
  ISC_TRY(isc_conform_samples(&s->prior, SAMPLES, c->seed, &s->sample));
  if (s->sample.n == 0) return isc_fail(ISC_E_INTERNAL, "it has no texts");
  return isc_texts_add_foreign(&s->foreign, &s->sample.at[0]);
}

static void close_slots(slots *s) {
  isc_texts_free(&s->sample);
  isc_texts_free(&s->foreign);
  isc_conform_prior_close(&s->prior);
  isc_conform_prior_close(&s->fresh);
}

/* ---- prior.slots */

static isc_status names_differ(const isc_prior *p, int64_t n) {
  for (int64_t k = 0; k < n; k++) {
    const char *name = p->ops->slot_name(p->self, k);
    if (!name || !*name)
      return isc_fail(ISC_E_INTERNAL, "slot %lld of %lld has no name", (long long)k, (long long)n);
    for (int64_t j = 0; j < k; j++)
      if (strcmp(name, p->ops->slot_name(p->self, j)) == 0)
        return isc_fail(ISC_E_INTERNAL, "slots %lld and %lld are both called \"%s\"", (long long)j,
                        (long long)k, name);
  }
  return ISC_OK;
}

static int64_t choices(const isc_prior *p, int64_t k) {
  return p->ops->slot_choices && p->ops->slot_choice ? p->ops->slot_choices(p->self, k) : 0;
}

static isc_status choices_differ(const isc_prior *p, int64_t k) {
  enum { MOST = 2000 };
  const char *name = p->ops->slot_name(p->self, k);
  const int64_t n = choices(p, k);
  if (n < 0) return isc_fail(ISC_E_INTERNAL, "slot \"%s\" lists %lld values", name, (long long)n);
  for (int64_t j = 0; j < n && j < MOST; j++) {
    const char *value = p->ops->slot_choice(p->self, k, j);
    if (!value || !*value)
      return isc_fail(ISC_E_INTERNAL, "slot \"%s\": value %lld of the %lld it lists is empty", name,
                      (long long)j, (long long)n);
    for (int64_t i = 0; i < j; i++)
      if (strcmp(value, p->ops->slot_choice(p->self, k, i)) == 0)
        return isc_fail(ISC_E_INTERNAL, "slot \"%s\" lists \"%s\" twice", name, value);
  }
  return ISC_OK;
}

static isc_status read_slot(const isc_prior *p, const isc_text *x, int64_t k, isc_text *out) {
  isc_text_clear(out);
  if (p->ops->slot(p->self, x->data, x->len, k, out) == ISC_OK) return ISC_OK;
  return isc_fail_in("slot \"%s\" of %s", p->ops->slot_name(p->self, k), isc_shown_text(x));
}

static isc_status is_listed(const isc_prior *p, const isc_text *x, int64_t k, const isc_text *v) {
  const int64_t n = choices(p, k);
  if (n == 0 || v->len == 0) return ISC_OK;
  for (int64_t j = 0; j < n; j++) {
    const char *choice = p->ops->slot_choice(p->self, k, j);
    if (choice && strlen(choice) == v->len && memcmp(choice, v->data, v->len) == 0) return ISC_OK;
  }
  return isc_fail(ISC_E_INTERNAL, "slot \"%s\" of %s is %s, which is not among the %lld it lists",
                  p->ops->slot_name(p->self, k), isc_shown_text(x), isc_shown_text(v),
                  (long long)n);
}

/* The same from two instances, in other orders, and twice. */
static isc_status reads_alike(const slots *s, int64_t i, int64_t k, const isc_text *known,
                              isc_text *again) {
  const isc_prior *from[] = {&s->prior, &s->fresh};
  for (int j = 0; j < 2; j++) {
    const isc_text *x = &s->sample.at[i];
    ISC_TRY(read_slot(from[j], x, k, again));
    if (!isc_same_text(known, again))
      return isc_fail(ISC_E_INTERNAL, "slot \"%s\" of %s is %s, and %s when asked %s",
                      s->prior.ops->slot_name(s->prior.self, k), isc_shown_text(x),
                      isc_shown_text(known), isc_shown_text(again),
                      j ? "of a fresh instance" : "again after other texts");
  }
  return ISC_OK;
}

static isc_status sample_slots(const slots *s, int64_t i, isc_texts *values) {
  isc_text v = {0};
  isc_status st = ISC_OK;
  bool any = false;
  const isc_text *x = &s->sample.at[i];
  for (int64_t k = 0; k < s->n; k++) {
    ISC_GO(read_slot(&s->prior, x, k, &v));
    ISC_GO(is_listed(&s->prior, x, k, &v));
    ISC_GO(isc_texts_add(values, v.data ? v.data : "", v.len));
    any |= v.len > 0;
  }
  if (!any)
    st = isc_fail(ISC_E_INTERNAL, "all slots of %s, a text it draws, are empty", isc_shown_text(x));
done:
  isc_text_free(&v);
  return st;
}

static isc_status foreign_slots(const slots *s) {
  isc_text v = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < s->foreign.n; i++)
    for (int64_t k = 0; k < s->n; k++) {
      ISC_GO(read_slot(&s->prior, &s->foreign.at[i], k, &v));
      if (v.len > 0)
        ISC_GO(isc_fail(ISC_E_INTERNAL, "slot \"%s\" of %s is %s; that is no text of a prior",
                        s->prior.ops->slot_name(s->prior.self, k),
                        isc_shown_text(&s->foreign.at[i]), isc_shown_text(&v)));
    }
done:
  isc_text_free(&v);
  return st;
}

/* With a slot "template" the other values stand in the text, and all of them together decide it. */
static isc_status decide_text(const slots *s, const isc_texts *values) {
  int64_t template = 0;
  while (template <s->n &&strcmp(s->prior.ops->slot_name(s->prior.self, template), "template") != 0)
    template ++;
  if (template == s->n) return ISC_OK;
  const int64_t n = s->sample.n < TEMPLATE_SAMPLES ? s->sample.n : TEMPLATE_SAMPLES;
  for (int64_t i = 0; i < n; i++) {
    const isc_text *x = &s->sample.at[i];
    for (int64_t k = 0; k < s->n; k++) {
      const isc_text *v = &values->at[i * s->n + k];
      if (k != template && v->len > 0 && !memmem(x->data, x->len, v->data, v->len))
        return isc_fail(ISC_E_INTERNAL, "slot \"%s\" of %s is %s, which does not stand there",
                        s->prior.ops->slot_name(s->prior.self, k), isc_shown_text(x),
                        isc_shown_text(v));
    }
    for (int64_t j = 0; j < i; j++) {
      bool same = true;
      for (int64_t k = 0; k < s->n && same; k++)
        same = isc_same_text(&values->at[i * s->n + k], &values->at[j * s->n + k]);
      if (same && !isc_same_text(x, &s->sample.at[j]))
        return isc_fail(ISC_E_INTERNAL, "%s and %s have the same slots, template included",
                        isc_shown_text(x), isc_shown_text(&s->sample.at[j]));
    }
  }
  return ISC_OK;
}

static isc_status slots_of(slots *s) {
  isc_texts values = {0};
  isc_text again = {0};
  isc_status st = ISC_OK;
  ISC_GO(names_differ(&s->prior, s->n));
  for (int64_t k = 0; k < s->n; k++)
    ISC_GO(choices_differ(&s->prior, k));
  for (int64_t i = 0; i < s->sample.n; i++)
    ISC_GO(sample_slots(s, i, &values));
  for (int64_t i = s->sample.n - 1; i >= 0; i--)
    for (int64_t k = s->n - 1; k >= 0; k--)
      ISC_GO(reads_alike(s, i, k, &values.at[i * s->n + k], &again));
  ISC_GO(foreign_slots(s));
  ISC_GO(decide_text(s, &values));
done:
  isc_texts_free(&values);
  isc_text_free(&again);
  return st;
}

static isc_status slot_values(isc_conform *c) {
  slots s = {0};
  isc_status st = ISC_OK;
  ISC_GO(open_slots(c, &s));
  const isc_prior_ops *o = s.prior.ops;
  s.n = o->n_slots ? o->n_slots(s.prior.self) : 0;
  if (s.n == 0)
    st = isc_conform_skip(c, "it has no slots");
  else if (s.n < 0 || !o->slot || !o->slot_name)
    st = isc_fail(ISC_E_INTERNAL, "it has n_slots, but lacks slot or slot_name");
  else
    st = slots_of(&s);
done:
  close_slots(&s);
  return st;
}

/* ---- prior.answer */

static isc_status read_answer(const isc_prior *p, const isc_text *x, isc_text *out) {
  ISC_TRY(isc_text_set(out, "\x01stale", 6));
  if (p->ops->answer(p->self, x->data, x->len, out) != ISC_OK)
    return isc_fail_in("answer of %s", isc_shown_text(x));
  if (out->len == 6 && memcmp(out->data, "\x01stale", 6) == 0)
    return isc_fail(ISC_E_INTERNAL, "answer of %s returns ISC_OK and leaves `out` as it was",
                    isc_shown_text(x));
  if (isc_text_is_utf8(out->data, out->len) && !memchr(out->data, 0, out->len)) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "answer of %s is %s, which is no text", isc_shown_text(x),
                  isc_shown_text(out));
}

static isc_status answers_of(const slots *s) {
  isc_texts known = {0};
  isc_text a = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < s->sample.n; i++) {
    ISC_GO(read_answer(&s->prior, &s->sample.at[i], &a));
    ISC_GO(isc_texts_add(&known, a.data, a.len));
  }
  for (int64_t i = s->sample.n - 1; i >= 0; i--) {
    ISC_GO(read_answer(&s->fresh, &s->sample.at[i], &a));
    if (!isc_same_text(&a, &known.at[i]))
      ISC_GO(isc_fail(ISC_E_INTERNAL, "the answer of %s is %s, and %s from a fresh instance",
                      isc_shown_text(&s->sample.at[i]), isc_shown_text(&known.at[i]),
                      isc_shown_text(&a)));
  }
  for (int64_t i = 0; i < s->foreign.n; i++) {
    ISC_GO(read_answer(&s->prior, &s->foreign.at[i], &a));
    if (a.len > 0)
      ISC_GO(isc_fail(ISC_E_INTERNAL, "the answer of %s, which is no text of a prior, is %s",
                      isc_shown_text(&s->foreign.at[i]), isc_shown_text(&a)));
  }
done:
  isc_texts_free(&known);
  isc_text_free(&a);
  return st;
}

static isc_status answers(isc_conform *c) {
  slots s = {0};
  isc_status st = ISC_OK;
  ISC_GO(open_slots(c, &s));
  st = s.prior.ops->answer ? answers_of(&s) : isc_conform_skip(c, "it has no answers");
done:
  close_slots(&s);
  return st;
}

const isc_check isc_checks_prior_slots[] = {
    {"prior.slots", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 20,
     "Slots have names of their own; a text's slots depend on it alone, are among the values "
     "listed, not all empty, and all empty for what is no text of the prior; with a slot "
     "\"template\" the others stand in the text and all together decide it.",
     "Read slots by parsing the text, not from what was drawn last. List every value a slot can "
     "take, or none.",
     slot_values},
    {"prior.answer", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 20,
     "The answer depends on the text alone, and is empty for what is no text of the prior.",
     "Set `out` on every path that returns ISC_OK; parse the text by its length.", answers},
    {0}};
