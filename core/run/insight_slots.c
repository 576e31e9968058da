/* SPDX-License-Identifier: Apache-2.0
 *
 * The hypotheses: slots of the prior, equalities of two slots, and the config's features; those that say nothing, or
 * nothing new, are left out.
 */
#include "eval/hypothesis.h"
#include "run/insight.h"

#include <stdlib.h>
#include <string.h>

enum { LOOKS = 1024 }; /* texts between two looks at whether to stop */

/* ---- the texts, of which every hypothesis has a label */

typedef struct texts {
  isc_score *s;
  int64_t n;
  isc_status (*get)(const isc_score *s, int64_t i, isc_text *out);
} texts;

static isc_status draw_text(const isc_score *s, int64_t i, isc_text *out) {
  const isc_study *t = s->study;
  return s->support.n ? t->prior.ops->enumerate(t->prior.self, i, out)
                      : isc_study_text(t, ISC_TRAIN, i, out);
}

static isc_status sample_text(const isc_score *s, int64_t i, isc_text *out) {
  return isc_text_set(out, s->samples.string[i], s->samples.len[i]);
}

static isc_status condition_text(const isc_score *s, int64_t i, isc_text *out) {
  return isc_text_set(out, s->condition_text[i].data, s->condition_text[i].len);
}

/* Values of the first `slots` hypotheses in text i; `label` gives the array of each. */
static isc_status slots_of(const isc_prior *prior, isc_labels *values, const isc_text *text,
                           int64_t slots, int32_t **label, int64_t i, isc_text *value) {
  for (int64_t k = 0; k < slots; k++) {
    isc_text_clear(value);
    ISC_TRY(prior->ops->slot(prior->self, text->data ? text->data : "", text->len, k, value));
    ISC_TRY(isc_labels_intern(values, value->data ? value->data : "", value->len, &label[k][i]));
  }
  return ISC_OK;
}

static isc_status label_texts(const texts *t, isc_insight *in, int64_t slots, int32_t **label) {
  isc_text text = {0}, value = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < t->n; i++) {
    if (i % LOOKS == 0) ISC_GO(isc_stage_check(t->s->run));
    isc_text_clear(&text);
    ISC_GO(t->get(t->s, i, &text));
    ISC_GO(slots_of(&t->s->study->prior, &in->values, &text, slots, label, i, &value));
  }
done:
  isc_text_free(&text);
  isc_text_free(&value);
  return st;
}

/* ---- the list */

void isc_hypothesis_free(isc_hypothesis *h) {
  free(h->name);
  free(h->alike);
  free(h->draw);
  free(h->text);
  free(h->hat);
  *h = (isc_hypothesis){0};
}

static isc_status hypothesis_new(const isc_score *s, const isc_insight *in, const char *kind,
                                 isc_hypothesis *h) {
  *h = (isc_hypothesis){.kind = kind};
  ISC_TRY(isc_strdup("", &h->alike));
  ISC_TRY(isc_calloc((size_t)in->n_draws, sizeof *h->draw, "labels", (void **)&h->draw));
  ISC_TRY(isc_calloc((size_t)s->samples.n_texts, sizeof *h->text, "labels", (void **)&h->text));
  return isc_calloc((size_t)s->study->n_conditions, sizeof *h->hat, "labels", (void **)&h->hat);
}

/* How many labels there are among the draws. */
static isc_status count_values(int64_t n, isc_hypothesis *h) {
  int32_t most = 0;
  bool *seen;
  for (int64_t i = 0; i < n; i++)
    most = h->draw[i] > most ? h->draw[i] : most;
  ISC_TRY(isc_calloc((size_t)most + 1, sizeof *seen, "labels", (void **)&seen));
  for (int64_t i = 0; i < n; i++)
    if (h->draw[i] != ISC_LABEL_NULL && !seen[h->draw[i]]) seen[h->draw[i]] = true, h->values++;
  free(seen);
  return ISC_OK;
}

static isc_status add_alike(isc_hypothesis *h, const char *name) {
  char *joined;
  ISC_TRY(isc_asprintf(&joined, "%s%s%s", h->alike, *h->alike ? ", " : "", name));
  free(h->alike);
  h->alike = joined;
  return ISC_OK;
}

static isc_status add(isc_insight *in, const isc_hypothesis *h) {
  if (in->n == in->room) {
    const int64_t room = in->room ? 2 * in->room : 16;
    ISC_TRY(
        isc_realloc((void **)&in->hypothesis, (size_t)room, sizeof *in->hypothesis, "hypotheses"));
    in->room = room;
  }
  in->hypothesis[in->n++] = *h;
  return ISC_OK;
}

/* A feature may have the name of a slot that it is not. */
static isc_status tell_apart(const isc_insight *in, isc_hypothesis *h) {
  for (int64_t k = 0; k < in->n; k++) {
    char *name;
    if (strcmp(in->hypothesis[k].name, h->name)) continue;
    ISC_TRY(isc_asprintf(&name, "%s (%s)", h->name, h->kind));
    free(h->name);
    h->name = name;
  }
  return ISC_OK;
}

/* Takes the hypothesis over: into the list, or away with it when it says nothing or what another says. */
static isc_status consider(const isc_score *s, isc_insight *in, isc_hypothesis *h) {
  const int32_t most =
      in->values.count > s->judge.labels.count ? in->values.count : s->judge.labels.count;
  isc_status st = ISC_OK;
  bool alike = false;
  if (isc_hypothesis_constant(in->n_draws, h->draw)) goto drop;
  for (int64_t k = 0; k < in->n && !alike; k++) {
    ISC_GO(isc_hypothesis_alike(in->n_draws, in->hypothesis[k].draw, h->draw, most + 2, &alike));
    if (alike && strcmp(in->hypothesis[k].name, h->name))
      ISC_GO(add_alike(&in->hypothesis[k], h->name));
  }
  if (alike) goto drop;
  ISC_GO(tell_apart(in, h));
  ISC_GO(count_values(in->n_draws, h));
  ISC_GO(add(in, h));
  *h = (isc_hypothesis){0};
drop:
done:
  isc_hypothesis_free(h);
  return st;
}

/* ---- slots and their equalities */

/* One row of label arrays of all slots: of draws, of sampled texts, of conditions. */
static isc_status label_slots(isc_score *s, isc_insight *in, isc_hypothesis *slot, int64_t n) {
  const texts of[] = {{s, in->n_draws, draw_text},
                      {s, s->samples.n_texts, sample_text},
                      {s, s->study->n_conditions, condition_text}};
  int32_t **label;
  isc_status st = ISC_OK;
  ISC_TRY(isc_calloc((size_t)n, sizeof *label, "labels", (void **)&label));
  for (int part = 0; part < 3; part++) {
    for (int64_t k = 0; k < n; k++)
      label[k] = part == 0 ? slot[k].draw : part == 1 ? slot[k].text : slot[k].hat;
    ISC_GO(label_texts(&of[part], in, n, label));
  }
done:
  free(label);
  return st;
}

static isc_status equality(isc_score *s, isc_insight *in, const isc_hypothesis *a,
                           const isc_hypothesis *b) {
  isc_hypothesis h;
  isc_status st;
  ISC_GO(hypothesis_new(s, in, "equality", &h));
  ISC_GO(isc_asprintf(&h.name, "%s = %s", a->name, b->name));
  isc_hypothesis_equal(in->n_draws, a->draw, b->draw, h.draw);
  isc_hypothesis_equal(s->samples.n_texts, a->text, b->text, h.text);
  isc_hypothesis_equal(s->study->n_conditions, a->hat, b->hat, h.hat);
  return consider(s, in, &h);
done:
  isc_hypothesis_free(&h);
  return st;
}

static isc_status add_slots(isc_score *s, isc_insight *in) {
  const isc_prior *p = &s->study->prior;
  const int64_t n = p->ops->n_slots && p->ops->slot ? p->ops->n_slots(p->self) : 0;
  isc_hypothesis *slot = NULL, copy = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_calloc((size_t)n, sizeof *slot, "slots", (void **)&slot));
  for (int64_t k = 0; k < n; k++) {
    ISC_GO(hypothesis_new(s, in, "slot", &slot[k]));
    ISC_GO(isc_strdup(p->ops->slot_name(p->self, k), &slot[k].name));
  }
  if (n) ISC_GO(label_slots(s, in, slot, n));
  /* Copies, as the equalities are still to be made of them. */
  for (int64_t k = 0; k < n; k++) {
    ISC_GO(hypothesis_new(s, in, "slot", &copy));
    ISC_GO(isc_strdup(slot[k].name, &copy.name));
    memcpy(copy.draw, slot[k].draw, (size_t)in->n_draws * sizeof *copy.draw);
    memcpy(copy.text, slot[k].text, (size_t)s->samples.n_texts * sizeof *copy.text);
    memcpy(copy.hat, slot[k].hat, (size_t)s->study->n_conditions * sizeof *copy.hat);
    ISC_GO(consider(s, in, &copy));
  }
  for (int64_t a = 0; a < n; a++)
    for (int64_t b = a + 1; b < n; b++)
      ISC_GO(equality(s, in, &slot[a], &slot[b]));
done:
  isc_hypothesis_free(&copy);
  for (int64_t k = 0; slot && k < n; k++)
    isc_hypothesis_free(&slot[k]);
  free(slot);
  return st;
}

static isc_status add_feature(isc_score *s, isc_insight *in, int64_t f) {
  isc_hypothesis h;
  isc_status st;
  const int32_t *draw = s->n_draws ? s->draw_label + f * s->n_draws : s->support_label[f];
  ISC_GO(hypothesis_new(s, in, "feature", &h));
  ISC_GO(isc_strdup(s->study->feature[f].name, &h.name));
  memcpy(h.draw, draw, (size_t)in->n_draws * sizeof *draw);
  memcpy(h.text, s->label[f], (size_t)s->samples.n_texts * sizeof *h.text);
  memcpy(h.hat, s->label_hat[f], (size_t)s->study->n_conditions * sizeof *h.hat);
  return consider(s, in, &h);
done:
  isc_hypothesis_free(&h);
  return st;
}

isc_status isc_insight_hypotheses(isc_score *s, isc_insight *in) {
  in->n_draws = s->n_draws ? s->n_draws : s->support.n;
  ISC_TRY(add_slots(s, in));
  for (int64_t f = 0; f < s->study->n_features; f++)
    ISC_TRY(add_feature(s, in, f));
  return ISC_OK;
}
