/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting a text into added tokens and what is between them.
 *
 * Two passes: tokens that are looked for in the raw text, and those that are looked for in the normalised text of each
 * piece that the first pass left. The leftmost match counts, the longest of those; a match that is thrown away
 * because it is no single word is passed over whole.
 */
#include "model/tokenizer_parts.h"
#include "model/text_utf8.h"

/* One piece being searched for added tokens. */
typedef struct search {
  isc_encoding *e;
  int pass;
  const char *s;
  size_t len;
  size_t rest;                 /* where what is not given out yet begins   */
  size_t space_from, space_to; /* white space known to end at space_to     */
} search;

/* Bytes of the character that ends at `end` > 0. */
static size_t char_before(const char *s, size_t end, uint32_t *cp) {
  size_t n = 1;
  while (n < end && n < 4 && ((unsigned char)s[end - n] & 0xC0u) == 0x80u)
    n++;
  return isc_utf8_decode(s + end - n, n, cp);
}

static bool is_single_word(const search *q, size_t begin, size_t end) {
  const isc_char_set *word = &q->e->t->word;
  uint32_t cp;
  if (begin > 0 && char_before(q->s, begin, &cp) && isc_char_set_has(word, cp)) return false;
  return !isc_utf8_decode(q->s + end, q->len - end, &cp) || !isc_char_set_has(word, cp);
}

/* Beginning of the white space before `begin`, not further than `rest`. */
static size_t skip_back(const search *q, size_t begin) {
  uint32_t cp;
  for (; begin > q->rest; q->e->steps++) {
    size_t n = char_before(q->s, begin, &cp);
    if (n == 0 || !isc_is_white_space(cp)) break;
    begin -= n;
  }
  return begin > q->rest ? begin : q->rest;
}

/* End of the white space at `end`. A run that was walked through is not walked through again by the next token in it. */
static size_t skip_ahead(search *q, size_t end) {
  uint32_t cp;
  size_t at = end, n;
  if (end >= q->space_from && end < q->space_to) return q->space_to;
  while ((n = isc_utf8_decode(q->s + at, q->len - at, &cp)) > 0 && isc_is_white_space(cp))
    at += n;
  q->space_from = end;
  q->space_to = at;
  q->e->steps += (int64_t)(at - end);
  return at;
}

static isc_status between(search *q, const char *s, size_t len);

static isc_status give_out(search *q, const isc_added *a, size_t begin, size_t end) {
  if (a->single_word && !is_single_word(q, begin, end)) return ISC_OK;
  if (a->lstrip) begin = skip_back(q, begin);
  if (a->rstrip) end = skip_ahead(q, end);
  if (begin >= end) return ISC_OK; /* an earlier token took it for its white space */
  if (q->rest < begin) ISC_TRY(between(q, q->s + q->rest, begin - q->rest));
  isc_ids_add(q->e->out, a->id);
  q->rest = end;
  return ISC_OK;
}

static isc_status search_all(search *q) {
  const isc_tokenizer *t = q->e->t;
  const isc_prefix_set *set = &t->pass[q->pass];
  for (size_t i = 0; set->n > 0 && i < q->len;) {
    const isc_prefix *found = isc_prefix_set_longest(set, q->s + i, q->len - i);
    if (found) ISC_TRY(give_out(q, &t->added[found->id], i, i + found->key.len));
    i += found ? found->key.len : 1;
  }
  return q->rest < q->len ? between(q, q->s + q->rest, q->len - q->rest) : ISC_OK;
}

/* What the second pass sees: the normalised text of a piece. */
static isc_status second_pass(isc_encoding *e, const char *s, size_t len) {
  isc_text text = {0};
  if (e->t->n_normalize == 0) {
    search q = {.e = e, .pass = 1, .s = s, .len = len};
    return search_all(&q);
  }
  isc_status st = isc_tokenizer_normalize(e->t, &e->work, s, len, &text);
  if (st == ISC_OK) {
    search q = {.e = e, .pass = 1, .s = text.data, .len = text.len};
    st = search_all(&q);
  }
  isc_text_free(&text);
  return st;
}

static isc_status between(search *q, const char *s, size_t len) {
  return q->pass == 0 ? second_pass(q->e, s, len) : isc_encode_piece(q->e, 0, s, len);
}

isc_status isc_encode_text(isc_encoding *e, const char *text, size_t len) {
  search q = {.e = e, .s = text, .len = len};
  return search_all(&q);
}
