/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting listed words in a text.
 *
 * The words are kept sorted and distinct. Only ASCII decides where a word ends: isspace and ispunct would
 * depend on the locale above it.
 */
#include "base/base.h"
#include <inversescope/slot.h>
#include <inversescope/words.h>
#include <stdlib.h>
#include <string.h>

typedef struct word {
  const char *s;
  size_t len;
} word;

typedef struct words {
  word *word; /* [n] sorted, distinct */
  int64_t n;
  isc_pool pool; /* holds the words and their bytes */
} words;

static int by_bytes(const void *a, const void *b) {
  const word *x = a, *y = b;
  int c = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);
  return c ? c : (x->len > y->len) - (x->len < y->len);
}

static bool separates(char c) {
  unsigned char u = (unsigned char)c;
  return u < 0x80 && !(u >= '0' && u <= '9') && !(u >= 'A' && u <= 'Z') && !(u >= 'a' && u <= 'z');
}

static isc_status make_room(words *w, int64_t n) {
  void *p;
  ISC_TRY(isc_pool_alloc(&w->pool, (size_t)n, sizeof *w->word, "words", &p));
  w->word = p;
  return ISC_OK;
}

static isc_status add_word(words *w, const char *s) {
  size_t len = strlen(s);
  char *copy;
  for (size_t i = 0; i < len; i++)
    if (separates(s[i])) return isc_fail(ISC_E_CONFIG, "\"%s\" is not one word of letters", s);
  if (len == 0) return isc_fail(ISC_E_CONFIG, "a word is empty");
  ISC_TRY(isc_pool_strndup(&w->pool, s, len, &copy));
  w->word[w->n++] = (word){copy, len};
  return ISC_OK;
}

static void keep_distinct(words *w) {
  int64_t n = 0;
  if (w->n) qsort(w->word, (size_t)w->n, sizeof *w->word, by_bytes);
  for (int64_t i = 0; i < w->n; i++)
    if (n == 0 || by_bytes(&w->word[n - 1], &w->word[i]) != 0) w->word[n++] = w->word[i];
  w->n = n;
}

static isc_status from_list(words *w, const isc_list *list) {
  ISC_TRY(make_room(w, list->count));
  for (int64_t i = 0; i < list->count; i++)
    ISC_TRY(add_word(w, list->at.s[i]));
  return ISC_OK;
}

/* How many values the prior's slot lists; 0 when it has no such slot, or one without a list. */
static int64_t listed(const isc_prior *p, const char *slot, int64_t *k) {
  if (!p || !p->ops->slot_choices || !p->ops->slot_choice) return 0;
  return isc_slot_find(p, slot, k) == ISC_OK ? p->ops->slot_choices(p->self, *k) : 0;
}

static isc_status count_listed(const char *option, const isc_prior *p, const char *const *slots,
                               int64_t *total) {
  int64_t k;
  *total = 0;
  for (; *slots; slots++) {
    const int64_t n = listed(p, *slots, &k);
    if (n == 0)
      return isc_fail(ISC_E_CONFIG,
                      "the prior %s has no slot %s that lists its values; give the option \"%s\"",
                      p ? p->name : "(none)", *slots, option);
    if (__builtin_add_overflow(*total, n, total)) return isc_fail(ISC_E_SHAPE, "too many words");
  }
  return ISC_OK;
}

static isc_status from_prior(words *w, const char *option, const isc_prior *p,
                             const char *const *slots) {
  int64_t total, k;
  ISC_TRY(count_listed(option, p, slots, &total));
  ISC_TRY(make_room(w, total));
  for (; *slots; slots++) {
    const int64_t n = listed(p, *slots, &k);
    for (int64_t j = 0; j < n; j++)
      ISC_TRY(add_word(w, p->ops->slot_choice(p->self, k, j)));
  }
  return ISC_OK;
}

isc_status isc_words_open(const isc_list *list, const char *option, const isc_prior *prior,
                          const char *const *slots, void **out) {
  const bool own = list && list->count > 0;
  void *p;
  ISC_TRY(isc_calloc(1, sizeof(words), "words", &p));
  words *w = p;
  isc_status st = own ? from_list(w, list) : from_prior(w, option, prior, slots);
  if (st != ISC_OK) {
    isc_words_close(w);
    return st;
  }
  keep_distinct(w);
  *out = w;
  return ISC_OK;
}

void isc_words_close(void *self) {
  words *w = self;
  if (!w) return;
  isc_pool_free(&w->pool);
  free(w);
}

int64_t isc_words_count(void *self, const char *text, size_t len, isc_word_count *out,
                        int64_t max) {
  const words *w = self;
  int64_t n = 0;
  for (size_t i = 0; i < len && n < max; i++) {
    const size_t start = i;
    while (i < len && !separates(text[i]))
      i++;
    const word met = {text + start, i - start};
    const word *known =
        met.len && w->n ? bsearch(&met, w->word, (size_t)w->n, sizeof met, by_bytes) : NULL;
    if (!known) continue;
    int64_t k = 0;
    while (k < n && out[k].word != known->s)
      k++;
    if (k == n) out[n++] = (isc_word_count){known->s, known->len, 0};
    out[k].count++;
  }
  return n;
}
