/* SPDX-License-Identifier: Apache-2.0
 *
 * The pre-tokenisers: cutting a piece of text into words.
 *
 * Each part of the sequence hands its pieces to the next one as it finds them, so that nothing is collected; empty
 * pieces are dropped.
 */
#include "model/tokenizer_parts.h"
#include "model/text_utf8.h"
#include <string.h>

/* To the part behind `part`. */
static isc_status next(isc_encoding *e, int64_t part, const char *s, size_t len) {
  return len > 0 ? isc_encode_piece(e, part + 1, s, len) : ISC_OK;
}

/* ---- Split */

/* What a Split holds back until it knows what comes behind it. */
typedef struct splitting {
  isc_encoding *e;
  int64_t part;
  isc_behavior behavior;
  const char *s;
  size_t begin, end; /* held back; nothing when equal */
  bool was_match;    /* was the piece before this a match? */
} splitting;

static isc_status release(splitting *p) {
  size_t begin = p->begin;
  p->begin = p->end;
  return next(p->e, p->part, p->s + begin, p->end - begin);
}

/* The piece behind the one held back, joined to it or in its place. */
static isc_status hold(splitting *p, size_t begin, size_t end, bool join) {
  if (p->begin == p->end || !join) {
    ISC_TRY(release(p));
    p->begin = begin;
  }
  p->end = end;
  return ISC_OK;
}

static isc_status piece(splitting *p, size_t begin, size_t end, bool match) {
  bool was_match = p->was_match;
  if (begin == end) return ISC_OK;
  p->was_match = match;
  switch (p->behavior) {
  case ISC_ISOLATED:
    return next(p->e, p->part, p->s + begin, end - begin);
  case ISC_REMOVED:
    return match ? ISC_OK : next(p->e, p->part, p->s + begin, end - begin);
  case ISC_CONTIGUOUS:
    return hold(p, begin, end, match == was_match);
  case ISC_MERGED_WITH_PREVIOUS:
    return hold(p, begin, end, match && !was_match);
  case ISC_MERGED_WITH_NEXT:
    ISC_TRY(hold(p, begin, end, was_match && !match));
    return match ? ISC_OK : release(p);
  }
  return isc_fail(ISC_E_INTERNAL, "unknown behavior of a Split");
}

static isc_status split(isc_encoding *e, int64_t part, const isc_pattern *pattern,
                        isc_behavior behavior, bool invert, const char *s, size_t len) {
  splitting p = {.e = e, .part = part, .behavior = behavior, .s = s};
  size_t begin, end;
  for (size_t at = 0; at < len; at = end) {
    ISC_TRY(isc_pattern_find(pattern, &e->work, s, len, at, &begin, &end));
    ISC_TRY(piece(&p, at, begin, invert));
    ISC_TRY(piece(&p, begin, end, !invert));
  }
  return release(&p);
}

/* ---- the others */

/* Runs of word characters, and runs of what is neither word nor white space. */
static isc_status words(isc_encoding *e, int64_t part, const char *s, size_t len) {
  enum { SPACE, WORD, OTHER } kind, last = SPACE;
  const isc_char_set *word = &e->t->pre[part].set;
  size_t start = 0, n;
  for (size_t i = 0; i < len; i += n, last = kind) {
    uint32_t cp = 0;
    n = isc_utf8_decode(s + i, len - i, &cp);
    kind = isc_char_set_has(word, cp) ? WORD : isc_is_white_space(cp) ? SPACE : OTHER;
    if (kind == last) continue;
    if (last != SPACE) ISC_TRY(next(e, part, s + start, i - start));
    start = i;
  }
  return last == SPACE ? ISC_OK : next(e, part, s + start, len - start);
}

/* Words between white space. */
static isc_status runs(isc_encoding *e, int64_t part, const char *s, size_t len) {
  size_t start = 0, n;
  for (size_t i = 0; i < len; i += n) {
    uint32_t cp = 0;
    n = isc_utf8_decode(s + i, len - i, &cp);
    if (!isc_is_white_space(cp)) continue;
    ISC_TRY(next(e, part, s + start, i - start));
    start = i + n;
  }
  return next(e, part, s + start, len - start);
}

/* "." does not match a line feed, so a run of them stays one piece. */
static isc_status characters(isc_encoding *e, int64_t part, const char *s, size_t len) {
  for (size_t i = 0, n; i < len; i += n) {
    uint32_t cp;
    n = isc_utf8_decode(s + i, len - i, &cp);
    while (s[i] == '\n' && i + n < len && s[i + n] == '\n')
      n++;
    ISC_TRY(next(e, part, s + i, n));
  }
  return ISC_OK;
}

static isc_status digits(isc_encoding *e, int64_t part, const char *s, size_t len) {
  const isc_pre_part *p = &e->t->pre[part];
  bool was_digit = false;
  size_t start = 0, n;
  for (size_t i = 0; i < len; i += n) {
    uint32_t cp = 0;
    n = isc_utf8_decode(s + i, len - i, &cp);
    bool digit = isc_char_set_has(&p->set, cp);
    if (digit != was_digit || (digit && p->individual_digits)) {
      ISC_TRY(next(e, part, s + start, i - start));
      start = i;
    }
    was_digit = digit;
  }
  return next(e, part, s + start, len - start);
}

static isc_status byte_level(isc_encoding *e, int64_t part, const char *s, size_t len) {
  const isc_pre_part *p = &e->t->pre[part];
  if (p->add_prefix_space && s[0] != ' ') {
    isc_text spaced = {0};
    isc_status st = isc_text_append(&spaced, " ", 1);
    if (st == ISC_OK) st = isc_text_append(&spaced, s, len);
    if (st == ISC_OK) st = byte_level(e, part, spaced.data, spaced.len);
    isc_text_free(&spaced);
    return st;
  }
  if (!p->use_regex) return next(e, part, s, len);
  return split(e, part, &p->pattern, ISC_ISOLATED, false, s, len);
}

/* Words that begin with the replacement. */
static isc_status at_replacement(isc_encoding *e, int64_t part, const char *s, size_t len) {
  const isc_pre_part *p = &e->t->pre[part];
  size_t n = strlen(p->replacement), start = 0;
  if (!p->split) return next(e, part, s, len);
  for (size_t i = 0; i + n <= len;) {
    if (memcmp(s + i, p->replacement, n) != 0) {
      i++;
      continue;
    }
    ISC_TRY(next(e, part, s + start, i - start));
    start = i;
    i += n;
  }
  return next(e, part, s + start, len - start);
}

static isc_status metaspace(isc_encoding *e, int64_t part, const char *s, size_t len) {
  const isc_pre_part *p = &e->t->pre[part];
  size_t n = strlen(p->replacement);
  isc_status st = ISC_OK;
  isc_text out = {0};
  bool first = p->scheme == ISC_PREPEND_FIRST && s == e->text;
  bool begins = s[0] == ' ' || (len >= n && memcmp(s, p->replacement, n) == 0);
  if (!begins && (first || p->scheme == ISC_PREPEND_ALWAYS))
    ISC_GO(isc_text_append(&out, p->replacement, n));
  for (size_t i = 0, end; i < len; i = end) {
    const char *space = memchr(s + i, ' ', len - i);
    end = space ? (size_t)(space - s) : len;
    ISC_GO(isc_text_append(&out, s + i, end - i));
    if (!space) break;
    ISC_GO(isc_text_append(&out, p->replacement, n));
    end++;
  }
  ISC_GO(at_replacement(e, part, out.data, out.len));
done:
  isc_text_free(&out);
  return st;
}

isc_status isc_encode_piece(isc_encoding *e, int64_t part, const char *s, size_t len) {
  if (part == e->t->n_pre) return isc_encode_word(e, s, len);
  const isc_pre_part *p = &e->t->pre[part];
  switch (p->kind) {
  case ISC_PRE_WHITESPACE:
    return words(e, part, s, len);
  case ISC_PRE_WHITESPACE_SPLIT:
    return runs(e, part, s, len);
  case ISC_PRE_CHARS:
    return characters(e, part, s, len);
  case ISC_PRE_BYTE_LEVEL:
    return byte_level(e, part, s, len);
  case ISC_PRE_SPLIT:
    return split(e, part, &p->pattern, p->behavior, p->invert, s, len);
  case ISC_PRE_DIGITS:
    return digits(e, part, s, len);
  case ISC_PRE_METASPACE:
    return metaspace(e, part, s, len);
  }
  return isc_fail(ISC_E_INTERNAL, "%s: unknown pre-tokeniser", e->t->where);
}
