/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of distinct units (words or characters) in a hash table.
 *
 * The texts come in millions and the units in dozens, so looking one up must cost no allocation.
 */
#include "method/vocabulary.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

static const char END_OF_TEXT[] = "<|endoftext|>";

struct isc_vocabulary {
  isc_vocabulary_unit unit;
  char **slot;   /* [cap] open addressing; NULL = free */
  size_t n, cap; /* cap is a power of two              */
};

isc_status isc_vocabulary_new(isc_vocabulary_unit unit, isc_vocabulary **out) {
  isc_vocabulary *v = NULL;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *v, "a vocabulary", (void **)&v));
  v->unit = unit;
  v->cap = 256;
  isc_status st = isc_calloc(v->cap, sizeof *v->slot, "a vocabulary", (void **)&v->slot);
  if (st != ISC_OK) {
    free(v);
    return st;
  }
  *out = v;
  return ISC_OK;
}

void isc_vocabulary_free(isc_vocabulary *v) {
  if (!v) return;
  for (size_t i = 0; i < v->cap; i++)
    free(v->slot[i]);
  free(v->slot);
  free(v);
}

/* FNV-1a */
static size_t hash(const char *s, size_t n) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < n; i++)
    h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
  return (size_t)(h ^ h >> 32);
}

/* The slot that holds the unit, or the free one where it goes. */
static char **find(char **slot, size_t cap, const char *s, size_t n) {
  size_t i = hash(s, n) & (cap - 1);
  while (slot[i] && (strlen(slot[i]) != n || memcmp(slot[i], s, n) != 0))
    i = (i + 1) & (cap - 1);
  return &slot[i];
}

static isc_status grow(isc_vocabulary *v) {
  char **slot;
  ISC_TRY(isc_calloc(2 * v->cap, sizeof *slot, "a vocabulary", (void **)&slot));
  for (size_t i = 0; i < v->cap; i++)
    if (v->slot[i]) *find(slot, 2 * v->cap, v->slot[i], strlen(v->slot[i])) = v->slot[i];
  free(v->slot);
  v->slot = slot;
  v->cap *= 2;
  return ISC_OK;
}

static isc_status add_unit(isc_vocabulary *v, const char *s, size_t n) {
  char *copy;
  if (*find(v->slot, v->cap, s, n)) return ISC_OK;
  if (2 * (v->n + 1) > v->cap) ISC_TRY(grow(v));
  ISC_TRY(isc_malloc(n + 1, "a vocabulary", (void **)&copy));
  memcpy(copy, s, n);
  copy[n] = '\0';
  *find(v->slot, v->cap, s, n) = copy;
  v->n++;
  return ISC_OK;
}

static bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Bytes of the unit at s: a word, or a UTF-8 character (a stray byte counts as one). */
static size_t unit_length(isc_vocabulary_unit unit, const char *s, size_t left) {
  size_t n = 1;
  if (unit == ISC_UNIT_WORDS)
    while (n < left && !is_space(s[n]))
      n++;
  else
    while (n < left && ((unsigned char)s[n] & 0xC0) == 0x80)
      n++;
  return n;
}

isc_status isc_vocabulary_add(isc_vocabulary *v, const char *text, size_t len) {
  for (size_t i = 0; i < len;) {
    if (v->unit == ISC_UNIT_WORDS && is_space(text[i])) {
      i++;
      continue;
    }
    size_t n = unit_length(v->unit, text + i, len - i);
    ISC_TRY(add_unit(v, text + i, n));
    i += n;
  }
  return ISC_OK;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

isc_status isc_vocabulary_tokenizer(const isc_vocabulary *v, isc_tokenizer **out) {
  const char **unit;
  size_t n = 1;
  *out = NULL;
  ISC_TRY(isc_calloc(v->n + 1, sizeof *unit, "a vocabulary", (void **)&unit));
  unit[0] = END_OF_TEXT;
  for (size_t i = 0; i < v->cap; i++)
    if (v->slot[i]) unit[n++] = v->slot[i];
  qsort(unit + 1, n - 1, sizeof *unit, by_bytes);
  isc_status st = v->unit == ISC_UNIT_WORDS
                      ? isc_tokenizer_from_words(unit, (int64_t)n, END_OF_TEXT, out)
                      : isc_tokenizer_from_chars(unit + 1, (int64_t)n - 1, END_OF_TEXT, out);
  free(unit);
  return st;
}
