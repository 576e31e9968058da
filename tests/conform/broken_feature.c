/* SPDX-License-Identifier: Apache-2.0
 *
 * A feature, and one way each to break what is asked of features.
 *
 * The label is the first of the names that the prior lists for slot A. Defects remember only what the thread that opened the
 * instance asked, and only of texts that are not the prior's, so that the other checks see nothing.
 */
#include "broken.h"
#include <inversescope/feature.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

enum { LONG = 1000000 };

typedef struct feature {
  isc_prior prior;
  int64_t slot;
  pthread_t opener;
  uint64_t last; /* hash of the text before, 0 = none */
  bool others;   /* other texts came before this one  */
} feature;

static bool lists_names(const isc_prior *p, int64_t *k) {
  const isc_prior_ops *o = p ? p->ops : NULL;
  if (!o || !o->n_slots || !o->slot_name || !o->slot_choices || !o->slot_choice) return false;
  for (*k = 0; *k < o->n_slots(p->self); ++*k)
    if (strcmp(o->slot_name(p->self, *k), "A") == 0) return o->slot_choices(p->self, *k) > 0;
  return false;
}

static isc_status open_feature(const void *settings, const isc_prior *prior, void **self) {
  (void)settings;
  int64_t k = 0;
  if (BROKEN("feature.prior") && !prior) *(volatile int *)8 = 1;
  if (!lists_names(prior, &k))
    return isc_fail(ISC_E_CONFIG, "feature broken: the prior lists no names in a slot A");
  feature *f = calloc(1, sizeof *f);
  if (!f) return isc_fail(ISC_E_NOMEM, "feature broken: no memory");
  *f = (feature){.prior = *prior, .slot = k, .opener = pthread_self()};
  *self = f;
  return ISC_OK;
}

static bool letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static const char *name_of(const feature *f, const char *s, size_t len) {
  const isc_prior_ops *o = f->prior.ops;
  for (int64_t j = 0; j < o->slot_choices(f->prior.self, f->slot); j++) {
    const char *name = o->slot_choice(f->prior.self, f->slot, j);
    if (strlen(name) == len && memcmp(name, s, len) == 0) return name;
  }
  return NULL;
}

static const char *first_name(const feature *f, const char *text, size_t len) {
  for (size_t i = 0; i < len;) {
    size_t end = i;
    while (end < len && letter(text[end]))
      end++;
    const char *name = end > i ? name_of(f, text + i, end - i) : NULL;
    if (name) return name;
    i = end + (end == i);
  }
  return NULL;
}

static bool two_spaces(const char *text, size_t len) {
  for (size_t i = 1; i < len; i++)
    if (text[i] == ' ' && text[i - 1] == ' ') return true;
  return false;
}

static uint64_t hash(const char *text, size_t len) {
  uint64_t h = 1;
  for (size_t i = 0; i < len; i++)
    h = h * 1099511628211u + (unsigned char)text[i];
  return h | 1;
}

/* Remembers the call; does a defect show in it? */
static bool odd_call(feature *f, const char *text, size_t len) {
  if (!pthread_equal(f->opener, pthread_self())) return false;
  const uint64_t h = hash(text, len);
  const bool again = f->last == h, strange = len >= 8 && memcmp(text, "Somebody", 8) == 0;
  f->others |= f->last && !again;
  f->last = h;
  if (BROKEN("feature.pure")) return again;
  return BROKEN("feature.order") && strange && f->others;
}

static isc_status label(void *self, const char *text, size_t len, isc_text *out) {
  feature *f = self;
  if (BROKEN("feature.text") && len > LONG) return isc_text_set(out, "\xff", 1);
  if (BROKEN("feature.retokenised") && two_spaces(text, len)) return isc_text_set(out, "gap", 3);
  const char *name = first_name(f, text, len);
  if (odd_call(f, text, len)) return isc_text_set(out, "odd", 3);
  if (!name && BROKEN("feature.null")) return ISC_OK;
  return isc_text_set(out, name ? name : "", name ? strlen(name) : 0);
}

static const char *slot(void *self) {
  (void)self;
  return BROKEN("feature.slot") ? "B" : "A";
}

static const isc_feature_ops OPS = {
    .size = sizeof OPS, .open = open_feature, .close = free, .label = label, .slot = slot};

ISC_PLUGIN_CLASS(ISC_FEATURE, "broken-feature", "1.0.0", .summary = "The first name of a text",
                 .licence = "Apache-2.0", .source = "the conformance tests", .ops = &OPS);
