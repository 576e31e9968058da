/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting a text into added tokens and words.
 *
 * The patterns follow the tokenizers library, whose classes are Unicode's: PCRE2's own \s and \w differ
 * (its \s takes U+180E too), so they are spelled out.
 */
#include "model/tokenizer_parts.h"
#include "model/text_utf8.h"
#include <string.h>

#define SPACE                                                                                      \
  "\\t-\\r "                                                                                       \
  "\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}"

static const char gpt2_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE
                                   "\\p{L}\\p{N}]+|[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+";
static const char whitespace_pattern[] = "[" WORD "]+|[^" WORD SPACE "]+";

bool isc_is_white_space(uint32_t cp) {
  return (cp >= 9 && cp <= 13) || cp == ' ' || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
         (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
         cp == 0x205F || cp == 0x3000;
}

isc_status isc_tokenizer_compile(isc_tokenizer *t) {
  const char *pattern = t->pre == ISC_PRE_WHITESPACE                   ? whitespace_pattern
                        : t->pre == ISC_PRE_BYTE_LEVEL && t->use_regex ? gpt2_pattern
                                                                       : NULL;
  int error;
  PCRE2_SIZE at;
  if (!pattern) return ISC_OK;
  t->regex =
      pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &at, NULL);
  if (!t->regex) {
    PCRE2_UCHAR message[160];
    pcre2_get_error_message(error, message, sizeof message);
    return isc_fail(ISC_E_UNSUPPORTED, "%s: this PCRE2 cannot compile the word pattern: %s",
                    t->where, (const char *)message);
  }
  pcre2_jit_compile(t->regex, PCRE2_JIT_COMPLETE); /* only speed is lost without it */
  return ISC_OK;
}

static isc_status each_match(const isc_tokenizer *t, const isc_splitter *s, const char *text,
                             size_t len) {
  isc_status st = ISC_OK;
  pcre2_match_data *m = pcre2_match_data_create(1, NULL);
  if (!m) return isc_fail(ISC_E_NOMEM, "no memory to match words");
  const PCRE2_SIZE *span = pcre2_get_ovector_pointer(m);
  for (size_t at = 0; at < len; at = span[1]) {
    int r = pcre2_match(t->regex, (PCRE2_SPTR)text, len, at, PCRE2_NO_UTF_CHECK, m, NULL);
    if (r == PCRE2_ERROR_NOMATCH) break;
    if (r < 0)
      ISC_GO(isc_fail(ISC_E_NOMEM, "%s: matching words failed (PCRE2 error %d)", t->where, r));
    ISC_GO(s->word(t, text + span[0], span[1] - span[0], s->out));
  }
done:
  pcre2_match_data_free(m);
  return st;
}

/* Words between white space. */
static isc_status each_run(const isc_tokenizer *t, const isc_splitter *s, const char *text,
                           size_t len) {
  size_t start = 0;
  for (size_t i = 0; i < len;) {
    uint32_t cp = 0;
    size_t n = isc_utf8_decode(text + i, len - i, &cp);
    if (isc_is_white_space(cp)) {
      if (i > start) ISC_TRY(s->word(t, text + start, i - start, s->out));
      start = i + n;
    }
    i += n;
  }
  return len > start ? s->word(t, text + start, len - start, s->out) : ISC_OK;
}

/* "." does not match a line feed, so a run of them stays one piece. */
static isc_status each_char(const isc_tokenizer *t, const isc_splitter *s, const char *text,
                            size_t len) {
  for (size_t i = 0; i < len;) {
    uint32_t cp;
    size_t n = isc_utf8_decode(text + i, len - i, &cp);
    while (text[i] == '\n' && i + n < len && text[i + n] == '\n')
      n++;
    ISC_TRY(s->word(t, text + i, n, s->out));
    i += n;
  }
  return ISC_OK;
}

static isc_status byte_level(const isc_tokenizer *t, const isc_splitter *s, const char *text,
                             size_t len) {
  if (t->add_prefix_space && text[0] != ' ') {
    isc_text spaced = {0};
    isc_status st = isc_text_append(&spaced, " ", 1);
    if (st == ISC_OK) st = isc_text_append(&spaced, text, len);
    if (st == ISC_OK) st = byte_level(t, s, spaced.data, spaced.len);
    isc_text_free(&spaced);
    return st;
  }
  return t->use_regex ? each_match(t, s, text, len) : s->word(t, text, len, s->out);
}

static isc_status plain(const isc_tokenizer *t, const isc_splitter *s, const char *text,
                        size_t len) {
  if (len == 0) return ISC_OK;
  switch (t->pre) {
  case ISC_PRE_NONE:
    return s->word(t, text, len, s->out);
  case ISC_PRE_WHITESPACE:
    return each_match(t, s, text, len);
  case ISC_PRE_WHITESPACE_SPLIT:
    return each_run(t, s, text, len);
  case ISC_PRE_CHARS:
    return each_char(t, s, text, len);
  case ISC_PRE_BYTE_LEVEL:
    return byte_level(t, s, text, len);
  }
  return isc_fail(ISC_E_INTERNAL, "%s: unknown pre-tokeniser", t->where);
}

/* Length of the longest added token at s, 0 if none. */
static size_t added_at(const isc_added_set *set, const char *s, size_t len, int32_t *id) {
  if (!set->starts[(uint8_t)*s]) return 0;
  for (size_t n = len < set->longest ? len : set->longest; n > 0; n--) {
    if (!set->has_length[n]) continue;
    int64_t i = isc_table_find(&set->table, s, n);
    if (i < 0) continue;
    *id = set->id[i];
    return n;
  }
  return 0;
}

/* Pass 0 looks for added tokens in the raw text, pass 1 in what it left, the rest is words. */
static isc_status cut(const isc_tokenizer *t, const isc_splitter *s, int pass, const char *text,
                      size_t len) {
  if (pass == 2) return plain(t, s, text, len);
  const isc_added_set *set = &t->pass[pass];
  size_t start = 0;
  for (size_t i = 0; set->n > 0 && i < len;) {
    int32_t id = -1;
    size_t n = added_at(set, text + i, len - i, &id);
    if (n == 0) {
      i++;
      continue;
    }
    ISC_TRY(cut(t, s, pass + 1, text + start, i - start));
    isc_ids_add(s->out, id);
    i += n;
    start = i;
  }
  return cut(t, s, pass + 1, text + start, len - start);
}

isc_status isc_tokenizer_split(const isc_tokenizer *t, const isc_splitter *s, const char *text,
                               size_t len) {
  if (!isc_text_is_utf8(text, len)) return isc_fail(ISC_E_FORMAT, "the text is not UTF-8");
  return cut(t, s, 0, text, len);
}
