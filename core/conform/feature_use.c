/* SPDX-License-Identifier: Apache-2.0
 *
 * See feature_use.h.
 */
#include "conform/feature_use.h"
#include <stdio.h>
#include <string.h>

static isc_status add_distinct(isc_texts *t, int64_t most, const char *s, size_t len) {
  const isc_text x = {(char *)(uintptr_t)s, len, len};
  for (int64_t i = 0; i < t->n; i++)
    if (isc_same_text(&t->at[i], &x)) return ISC_OK;
  return t->n < most ? isc_texts_add(t, s, len) : ISC_OK;
}

isc_status isc_feature_trial_open(isc_conform *c, int64_t most, isc_feature_trial *t) {
  isc_texts sample = {0};
  isc_status st = ISC_OK;
  *t = (isc_feature_trial){.c = c, .ops = c->cls->ops, .prior = c->cs->prior};
  if (!t->prior) {
    ISC_GO(isc_toy_prior_open(c->seed, &t->toy));
    t->prior = &t->toy;
  }
  for (int64_t i = 0; i < c->cs->n_texts; i++)
    ISC_GO(add_distinct(&t->texts, most / 2, c->cs->texts[i], strlen(c->cs->texts[i])));
  ISC_GO(isc_conform_samples(t->prior, most, c->seed, &sample));
  for (int64_t i = 0; i < sample.n; i++)
    ISC_GO(add_distinct(&t->texts, most, sample.at[i].data, sample.at[i].len));
done:
  isc_texts_free(&sample);
  return st;
}

void isc_feature_trial_close(isc_feature_trial *t) {
  isc_texts_free(&t->texts);
  isc_toy_prior_close(&t->toy);
}

isc_status isc_feature_instance(const isc_feature_trial *t, void **self) {
  *self = NULL;
  return t->ops->open(t->c->conf, t->prior, self);
}

isc_status isc_feature_label(const isc_feature_trial *t, void *self, const isc_text *x,
                             isc_text *out) {
  char refusal[8];
  isc_text_clear(out);
  isc_error_clear();
  isc_status st = t->ops->label(self, x->data, x->len, out);
  if (st == ISC_OK) return out->data ? ISC_OK : isc_text_set(out, "", 0);
  if (!isc_error()[0])
    return isc_fail(ISC_E_INTERNAL, "label(%s) fails without a message", isc_shown_text(x));
  const int n = snprintf(refusal, sizeof refusal, "\x02%d", (int)st);
  return isc_text_set(out, refusal, (size_t)n);
}
