/* SPDX-License-Identifier: Apache-2.0
 *
 * Building sets of characters, and the two classes that are no union of general categories.
 */
#include "model/char_set.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

enum { WORDS = ISC_CODE_POINTS / 64, CATEGORY_BITS = 5 };

isc_status isc_char_set_begin(isc_char_set_builder *b) {
  return isc_calloc(WORDS, sizeof *b->bits, "a set of characters", (void **)&b->bits);
}

void isc_char_set_discard(isc_char_set_builder *b) {
  free(b->bits);
  b->bits = NULL;
}

void isc_char_set_free(isc_char_set *s) {
  free(s->page);
  *s = (isc_char_set){0};
}

void isc_char_set_add(isc_char_set_builder *b, uint32_t first, uint32_t last) {
  for (uint32_t cp = first; cp <= last; cp++) {
    if ((cp & 63) == 0 && last - cp >= 63) {
      b->bits[cp / 64] = UINT64_MAX;
      cp += 63;
    } else
      b->bits[cp / 64] |= UINT64_C(1) << (cp & 63);
  }
}

void isc_char_set_remove(isc_char_set_builder *b, uint32_t first, uint32_t last) {
  for (uint32_t cp = first; cp <= last; cp++)
    b->bits[cp / 64] &= ~(UINT64_C(1) << (cp & 63));
}

void isc_char_set_merge(isc_char_set_builder *b, const isc_char_set_builder *other) {
  for (size_t i = 0; i < WORDS; i++)
    b->bits[i] |= other->bits[i];
}

void isc_char_set_add_categories(isc_char_set_builder *b, uint32_t mask) {
  for (size_t i = 0; i < isc_n_category_runs; i++) {
    uint32_t run = isc_category_runs[i];
    uint32_t end = i + 1 < isc_n_category_runs ? isc_category_runs[i + 1] >> CATEGORY_BITS
                                               : (uint32_t)ISC_CODE_POINTS;
    if (mask >> (run & ((1u << CATEGORY_BITS) - 1)) & 1)
      isc_char_set_add(b, run >> CATEGORY_BITS, end - 1);
  }
}

void isc_char_set_complement(isc_char_set_builder *b) {
  for (size_t i = 0; i < WORDS; i++)
    b->bits[i] = ~b->bits[i];
}

/* Number of an equal page, which is added if there is none. Most pages are like the one before. */
static size_t page_number(isc_char_set *s, size_t before, const uint64_t *bits) {
  if (before < s->n_pages && memcmp(s->page[before], bits, sizeof *s->page) == 0) return before;
  for (size_t i = s->n_pages; i-- > 0;)
    if (memcmp(s->page[i], bits, sizeof *s->page) == 0) return i;
  memcpy(s->page[s->n_pages], bits, sizeof *s->page);
  return s->n_pages++;
}

isc_status isc_char_set_finish(isc_char_set_builder *b, isc_char_set *out) {
  static const char what[] = "a set of characters";
  *out = (isc_char_set){0};
  isc_status st = isc_calloc(ISC_CHAR_PAGES, sizeof *out->page, what, (void **)&out->page);
  for (size_t i = 0; st == ISC_OK && i < ISC_CHAR_PAGES; i++)
    out->of[i] = (uint16_t)page_number(out, i ? out->of[i - 1] : 0, b->bits + 4 * i);
  isc_char_set_discard(b);
  ISC_TRY(st);
  void *fitted = out->page;
  st = isc_realloc(&fitted, out->n_pages, sizeof *out->page, what);
  if (st == ISC_OK)
    out->page = fitted;
  else
    isc_char_set_free(out);
  return st;
}

bool isc_is_white_space(uint32_t cp) {
  return (cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
         (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
         cp == 0x205F || cp == 0x3000;
}

void isc_char_set_add_white_space(isc_char_set_builder *b) {
  isc_char_set_add_categories(b, isc_category_mask("Z", 1));
  isc_char_set_add(b, 9, 13);
  isc_char_set_add(b, 0x85, 0x85);
}

/* Alphabetic, marks, decimal numbers, connectors, joiners. What is alphabetic and no letter, mark or letter number is
 * in circles and squares. */
void isc_char_set_add_word(isc_char_set_builder *b) {
  static const char *const categories[] = {"L", "M", "Nd", "Nl", "Pc"};
  for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
    isc_char_set_add_categories(b, isc_category_mask(categories[i], strlen(categories[i])));
  isc_char_set_add(b, 0x200C, 0x200D);
  isc_char_set_add(b, 0x24B6, 0x24E9);
  isc_char_set_add(b, 0x1F130, 0x1F149);
  isc_char_set_add(b, 0x1F150, 0x1F169);
  isc_char_set_add(b, 0x1F170, 0x1F189);
}
