/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of characters: built from ranges and general categories, asked once per character of a text.
 *
 * Pages of 256 characters, equal ones kept once, so that a look-up is two loads whatever the set is.
 */
#ifndef ISC_CORE_CHAR_SET_H
#define ISC_CORE_CHAR_SET_H

#include "model/unicode_categories.h"
#include <inversescope/status.h>
#include <stdbool.h>

enum { ISC_CHAR_PAGES = ISC_CODE_POINTS / 256 };

typedef struct isc_char_set {
  uint16_t of[ISC_CHAR_PAGES]; /* which page */
  uint64_t (*page)[4];         /* [n_pages]  */
  size_t n_pages;
} isc_char_set;

/* A set being built, one bit per code point: zero-initialise, add, finish. */
typedef struct isc_char_set_builder {
  uint64_t *bits; /* [ISC_CODE_POINTS / 64] */
} isc_char_set_builder;

isc_status isc_char_set_begin(isc_char_set_builder *b);
void isc_char_set_add(isc_char_set_builder *b, uint32_t first, uint32_t last);
void isc_char_set_add_categories(isc_char_set_builder *b, uint32_t mask);
void isc_char_set_remove(isc_char_set_builder *b, uint32_t first, uint32_t last);
void isc_char_set_merge(isc_char_set_builder *b, const isc_char_set_builder *other);
void isc_char_set_complement(isc_char_set_builder *b);
/* Either way the builder is empty afterwards. */
isc_status isc_char_set_finish(isc_char_set_builder *b, isc_char_set *out);
void isc_char_set_discard(isc_char_set_builder *b);
void isc_char_set_free(isc_char_set *s);

/* cp ≤ U+10FFFF. Any thread. */
static inline bool isc_char_set_has(const isc_char_set *s, uint32_t cp) {
  return s->page[s->of[cp >> 8]][cp >> 6 & 3] >> (cp & 63) & 1;
}

/* Unicode White_Space. */
bool isc_is_white_space(uint32_t cp);
void isc_char_set_add_white_space(isc_char_set_builder *b);
/* Word characters: \w of Unicode's technical standard 18. */
void isc_char_set_add_word(isc_char_set_builder *b);

#endif
