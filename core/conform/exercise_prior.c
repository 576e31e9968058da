/* SPDX-License-Identifier: Apache-2.0
 *
 * How a prior is opened and used by the checks that know nothing of priors.
 */
#include "conform/conform.h"
#include <inversescope/prior.h>
#include <inversescope/rng.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 8, SLOTS = 8 };

typedef struct prior {
  void *self;
} prior;

static isc_status open_prior(isc_conform *c, const void *conf, uint64_t seed, int threads,
                             void **instance) {
  const isc_prior_ops *ops = c->cls->ops;
  void *p;
  (void)threads;
  ISC_TRY(isc_calloc(1, sizeof(prior), "an opened prior", &p));
  isc_status st = ops->open(conf, seed, &((prior *)p)->self);
  if (st == ISC_OK)
    *instance = p;
  else
    free(p);
  return st;
}

static void close_prior(isc_conform *c, void *instance) {
  const isc_prior_ops *ops = c->cls->ops;
  ops->close(((prior *)instance)->self);
  free(instance);
}

/* What is asked about one text; `text` is a buffer that ends where the text ends. */
static isc_status ask(const isc_prior_ops *o, void *self, const char *text, size_t len, isc_text *t,
                      isc_sb *out) {
  double log_p = 0;
  if (o->log_prob) {
    ISC_TRY(o->log_prob(self, text, len, &log_p));
    isc_sb_addn(out, (const char *)&log_p, sizeof log_p);
  }
  if (o->answer) {
    ISC_TRY(o->answer(self, text, len, t));
    isc_sb_addn(out, t->data, t->len);
  }
  const int64_t slots = o->slot && o->n_slots ? o->n_slots(self) : 0;
  for (int64_t k = 0; k < slots && k < SLOTS; k++) {
    ISC_TRY(o->slot(self, text, len, k, t));
    isc_sb_addn(out, t->data, t->len);
  }
  return ISC_OK;
}

static isc_status ask_guarded(isc_conform *c, void *self, const isc_text *text, isc_text *t,
                              isc_sb *out) {
  void *guarded;
  isc_sb_addn(out, text->data, text->len);
  ISC_TRY(isc_guard_new(c, text->len, &guarded));
  if (text->len) memcpy(guarded, text->data, text->len);
  ISC_TRY(isc_guard_seal(c, guarded));
  return ask(c->cls->ops, self, guarded, text->len, t, out);
}

static isc_status use_texts(isc_conform *c, void *self, uint64_t seed, isc_sb *out) {
  const isc_prior_ops *o = c->cls->ops;
  isc_text text = {0}, t = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < DRAWS; i++) {
    const isc_split split = i % 4 == 3 ? ISC_TEST : ISC_TRAIN;
    const int64_t n = o->count(self, split);
    isc_rng r = isc_rng_at(seed, ISC_RNG_USER, (uint64_t)i);
    if (n <= 0) continue;
    ISC_GO(o->draw(self, split, i < n ? i : (int64_t)isc_rng_below(&r, (uint64_t)n), &text));
    ISC_GO(ask_guarded(c, self, &text, &t, out));
  }
  if (o->enumerate && o->support && o->support(self) > 0) {
    ISC_GO(o->enumerate(self, o->support(self) - 1, &text));
    isc_sb_addn(out, text.data, text.len);
  }
done:
  isc_text_free(&text);
  isc_text_free(&t);
  return st;
}

static void use_lists(const isc_prior_ops *o, void *self, isc_sb *out) {
  const int64_t slots = o->slot_name && o->n_slots ? o->n_slots(self) : 0;
  for (int64_t k = 0; k < slots && k < SLOTS; k++) {
    const char *name = o->slot_name(self, k);
    isc_sb_add(out, name ? name : "");
    if (!o->slot_choices || !o->slot_choice || o->slot_choices(self, k) < 1) continue;
    const char *choice = o->slot_choice(self, k, 0);
    isc_sb_add(out, choice ? choice : "");
  }
  if (o->max_bytes) isc_sb_addf(out, "%lld", (long long)o->max_bytes(self));
}

static isc_status use(isc_conform *c, void *instance, uint64_t seed, isc_sb *out) {
  const isc_prior_ops *o = c->cls->ops;
  void *self = ((prior *)instance)->self, *hex;
  ISC_TRY(use_texts(c, self, seed, out));
  use_lists(o, self, out);
  ISC_TRY(isc_guard_new(c, 33, &hex));
  ISC_TRY(o->fingerprint(self, hex));
  isc_sb_addn(out, hex, 33);
  return ISC_OK;
}

const isc_exercise isc_exercise_prior = {
    .open = open_prior, .close = close_prior, .use = use, .seeded = true, .shared = true};
