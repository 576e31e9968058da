/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting names in a text.
 *
 * A name is a whole word: what lies between white space and ASCII punctuation. One pass over the text
 * and a look-up a word, whatever the text holds.
 */
#include "ioi_label.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const isc_option ioi_label_options[] = {
    {"names", ISC_OPT_STRING_LIST, 0, offsetof(ioi_label_conf, names), NULL, NULL, 0, 0, NULL,
     "The names to count; without them, those of the prior's slots A and B."},
    ISC_OPTIONS_END};

typedef struct word {
  const char *s;
  size_t len;
} word;

typedef struct names {
  word *name; /* [n] sorted, distinct; copied */
  int64_t n;
} names;

static int by_bytes(const void *a, const void *b) {
  const word *x = a, *y = b;
  int c = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);
  return c ? c : (x->len > y->len) - (x->len < y->len);
}

/* Only ASCII decides: isspace and ispunct would depend on the locale above it. */
static bool separates(char c) {
  unsigned char u = (unsigned char)c;
  return u < 0x80 && !(u >= '0' && u <= '9') && !(u >= 'A' && u <= 'Z') && !(u >= 'a' && u <= 'z');
}

static isc_status add_name(names *l, const char *s) {
  size_t len = strlen(s);
  for (size_t i = 0; i < len; i++)
    if (separates(s[i]))
      return isc_fail(ISC_E_CONFIG, "the name \"%s\" is not one word of letters", s);
  if (len == 0) return isc_fail(ISC_E_CONFIG, "a name is empty");
  char *copy = strdup(s);
  if (!copy) return isc_fail(ISC_E_NOMEM, "no memory for the names");
  l->name[l->n++] = (word){copy, len};
  return ISC_OK;
}

static void sort_names(names *l) {
  int64_t n = 0;
  if (l->n) qsort(l->name, (size_t)l->n, sizeof *l->name, by_bytes);
  for (int64_t i = 0; i < l->n; i++) {
    if (n == 0 || by_bytes(&l->name[n - 1], &l->name[i]) != 0)
      l->name[n++] = l->name[i];
    else
      free((char *)(uintptr_t)l->name[i].s);
  }
  l->n = n;
}

/* Number of the prior's slot `name` that lists its values, or −1. */
static int64_t listed_slot(const isc_prior *p, const char *name) {
  const isc_prior_ops *o = p ? p->ops : NULL;
  if (!o || !o->n_slots || !o->slot_name || !o->slot_choices || !o->slot_choice) return -1;
  for (int64_t k = 0; k < o->n_slots(p->self); k++)
    if (strcmp(o->slot_name(p->self, k), name) == 0 && o->slot_choices(p->self, k) > 0) return k;
  return -1;
}

static isc_status make_room(names *l, int64_t n) {
  l->name = calloc((size_t)n, sizeof *l->name);
  return l->name ? ISC_OK : isc_fail(ISC_E_NOMEM, "no memory for %lld names", (long long)n);
}

static isc_status from_prior(names *l, const isc_prior *p) {
  int64_t slot[2] = {listed_slot(p, "A"), listed_slot(p, "B")};
  if (slot[0] < 0 || slot[1] < 0)
    return isc_fail(ISC_E_CONFIG,
                    "the prior %s has no slots A and B that list names; give the option \"names\"",
                    p ? p->name : "(none)");
  int64_t n[2] = {p->ops->slot_choices(p->self, slot[0]), p->ops->slot_choices(p->self, slot[1])};
  ISC_TRY(make_room(l, n[0] + n[1]));
  for (int s = 0; s < 2; s++)
    for (int64_t j = 0; j < n[s]; j++)
      ISC_TRY(add_name(l, p->ops->slot_choice(p->self, slot[s], j)));
  return ISC_OK;
}

static isc_status from_list(names *l, const isc_list *list) {
  ISC_TRY(make_room(l, list->count));
  for (int64_t i = 0; i < list->count; i++)
    ISC_TRY(add_name(l, list->at.s[i]));
  return ISC_OK;
}

void ioi_label_close(void *self) {
  names *l = self;
  if (!l) return;
  for (int64_t i = 0; i < l->n; i++)
    free((char *)(uintptr_t)l->name[i].s);
  free(l->name);
  free(l);
}

isc_status ioi_label_open(const void *conf, const isc_prior *prior, void **self) {
  const ioi_label_conf *c = conf;
  names *l = calloc(1, sizeof *l);
  if (!l) return isc_fail(ISC_E_NOMEM, "an IOI feature: no memory");
  isc_status st = c->names.count ? from_list(l, &c->names) : from_prior(l, prior);
  if (st != ISC_OK) {
    ioi_label_close(l);
    return isc_fail_in("an IOI feature");
  }
  sort_names(l);
  *self = l;
  return ISC_OK;
}

typedef struct tally {
  const word *name[2];
  int count[2];
  bool many; /* a third name came */
} tally;

static void count_word(tally *t, const word *name) {
  for (int i = 0; i < 2; i++) {
    if (!t->name[i]) t->name[i] = name;
    if (t->name[i] == name) {
      t->count[i] += t->count[i] < 3; /* more than two is all the same */
      return;
    }
  }
  t->many = true;
}

isc_status ioi_label(void *self, const char *text, size_t len, int times, isc_text *out) {
  const names *l = self;
  tally t = {0};
  ISC_TRY(isc_text_set(out, "", 0));
  for (size_t i = 0; i < len && !t.many; i++) {
    size_t start = i;
    while (i < len && !separates(text[i]))
      i++;
    const word w = {text + start, i - start};
    const word *name = w.len ? bsearch(&w, l->name, (size_t)l->n, sizeof w, by_bytes) : NULL;
    if (name) count_word(&t, name);
  }
  if (t.many || t.count[0] + t.count[1] != 3 || t.count[0] == 3) return ISC_OK;
  const word *label = t.name[t.count[0] == times ? 0 : 1];
  return isc_text_set(out, label->s, label->len);
}
