/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoders: from the tokens of ids to one text.
 *
 * Each part of the sequence turns a list of pieces into another; the pieces lie end to end in one buffer.
 */
#include "model/tokenizer_parts.h"
#include "model/text_utf8.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char replacement_character[] = "\xEF\xBF\xBD";

typedef struct pieces {
  isc_text text;
  size_t *end; /* [n] of piece i in the text */
  size_t n, cap;
} pieces;

static isc_status end_piece(pieces *p) {
  if (p->n == p->cap) {
    size_t cap = p->cap ? 2 * p->cap : 64;
    void *grown = p->end;
    ISC_TRY(isc_realloc(&grown, cap, sizeof *p->end, "decoding"));
    p->end = grown;
    p->cap = cap;
  }
  p->end[p->n++] = p->text.len;
  return ISC_OK;
}

static isc_status append(pieces *p, const char *s, size_t len) {
  return isc_text_append(&p->text, s, len);
}

static void clear(pieces *p) {
  isc_text_clear(&p->text);
  p->n = 0;
}

static void free_pieces(pieces *p) {
  isc_text_free(&p->text);
  free(p->end);
}

static const char *piece_at(const pieces *p, size_t i, size_t *len) {
  size_t begin = i ? p->end[i - 1] : 0;
  *len = p->end[i] - begin;
  return p->text.data ? p->text.data + begin : "";
}

/* ---- bytes */

/* Bytes of a token written in GPT-2's printable characters; of any other token its own. */
static isc_status append_bytes(const char *token, size_t len, isc_text *out) {
  size_t start = out->len, n;
  uint32_t cp = 0;
  for (size_t i = 0; i < len; i += n) {
    n = isc_utf8_decode(token + i, len - i, &cp);
    int byte = n ? isc_char_to_byte(cp) : -1;
    if (byte < 0) {
      out->len = start;
      return isc_text_append(out, token, len);
    }
    char c = (char)byte;
    ISC_TRY(isc_text_append(out, &c, 1));
  }
  return ISC_OK;
}

/* Length of the ill-formed piece at s that one U+FFFD stands for: the longest start of a well-formed
 * sequence, else one byte. */
static size_t ill_formed(const unsigned char *s, size_t n) {
  size_t want = s[0] >= 0xF0u ? 4 : s[0] >= 0xE0u ? 3 : 2, have = 1;
  if (s[0] < 0xC2u || s[0] > 0xF4u) return 1;
  unsigned low = s[0] == 0xE0u ? 0xA0u : s[0] == 0xF0u ? 0x90u : 0x80u;
  unsigned high = s[0] == 0xEDu ? 0x9Fu : s[0] == 0xF4u ? 0x8Fu : 0xBFu;
  while (have < want && have < n && s[have] >= low && s[have] <= high) {
    have++;
    low = 0x80u;
    high = 0xBFu;
  }
  return have;
}

isc_status isc_text_make_utf8(isc_text *t) {
  isc_text fixed = {0};
  isc_status st = ISC_OK;
  if (isc_text_is_utf8(t->data, t->len)) return ISC_OK;
  for (size_t i = 0, n; i < t->len; i += n) {
    uint32_t cp;
    n = isc_utf8_decode(t->data + i, t->len - i, &cp);
    if (n) {
      ISC_GO(isc_text_append(&fixed, t->data + i, n));
      continue;
    }
    n = ill_formed((const unsigned char *)t->data + i, t->len - i);
    ISC_GO(isc_text_append(&fixed, replacement_character, 3));
  }
  ISC_GO(isc_text_set(t, fixed.data, fixed.len));
done:
  isc_text_free(&fixed);
  return st;
}

static isc_status byte_level(const pieces *in, pieces *out) {
  for (size_t i = 0; i < in->n; i++) {
    size_t len;
    const char *s = piece_at(in, i, &len);
    ISC_TRY(append_bytes(s, len, &out->text));
  }
  ISC_TRY(isc_text_make_utf8(&out->text));
  return end_piece(out);
}

/* The byte of a token such as <0x0A>, −1 for any other. A number with a sign is one, as Rust reads it. */
static int byte_of(const char *s, size_t len) {
  static const char digits[] = "0123456789abcdef0123456789ABCDEF";
  if (len != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
  const char *high = s[3] == '+' ? digits : memchr(digits, s[3], 32),
             *low = memchr(digits, s[4], 32);
  return high && low ? (int)((high - digits) % 16 * 16 + (low - digits) % 16) : -1;
}

/* A run of byte tokens: its characters as one piece, or a U+FFFD for each byte when they are no text. */
static isc_status end_bytes(isc_text *bytes, pieces *out) {
  if (bytes->len == 0) return ISC_OK;
  bool text = isc_text_is_utf8(bytes->data, bytes->len);
  if (text) ISC_TRY(append(out, bytes->data, bytes->len));
  for (size_t i = 0; !text && i < bytes->len; i++) {
    ISC_TRY(append(out, replacement_character, 3));
    if (i + 1 < bytes->len) ISC_TRY(end_piece(out));
  }
  isc_text_clear(bytes);
  return end_piece(out);
}

static isc_status byte_fallback(const pieces *in, pieces *out) {
  isc_text bytes = {0};
  isc_status st = ISC_OK;
  for (size_t i = 0; i < in->n; i++) {
    size_t len;
    const char *s = piece_at(in, i, &len);
    int byte = byte_of(s, len);
    char c = (char)byte;
    if (byte >= 0) {
      ISC_GO(isc_text_append(&bytes, &c, 1));
      continue;
    }
    ISC_GO(end_bytes(&bytes, out));
    ISC_GO(append(out, s, len));
    ISC_GO(end_piece(out));
  }
  ISC_GO(end_bytes(&bytes, out));
done:
  isc_text_free(&bytes);
  return st;
}

/* ---- texts */

/* Up to `start` characters that are the content off the front, up to `stop` off the back. */
static isc_status strip(const isc_decode_part *p, const char *s, size_t len, pieces *out) {
  size_t n = strlen(p->content);
  for (int64_t i = 0; i < p->start && len >= n && memcmp(s, p->content, n) == 0; i++) {
    s += n;
    len -= n;
  }
  for (int64_t i = 0; i < p->stop && len >= n && memcmp(s + len - n, p->content, n) == 0; i++)
    len -= n;
  return append(out, s, len);
}

static isc_status replace(const isc_decode_part *p, isc_regex_work *w, const char *s, size_t len,
                          pieces *out) {
  size_t begin, end, n = strlen(p->content);
  for (size_t at = 0; at < len; at = end) {
    ISC_TRY(isc_pattern_find(&p->pattern, w, s, len, at, &begin, &end));
    ISC_TRY(append(out, s + at, begin - at));
    if (begin < len) ISC_TRY(append(out, p->content, n));
  }
  return ISC_OK;
}

/* The replacement character becomes a space, and nothing in the first piece when encoding puts it there. */
static isc_status metaspace(const isc_decode_part *p, bool first, const char *s, size_t len,
                            pieces *out) {
  size_t n = strlen(p->content);
  bool drop = first && p->scheme != ISC_PREPEND_NEVER;
  for (size_t i = 0; i < len;) {
    bool found = len - i >= n && memcmp(s + i, p->content, n) == 0;
    if (!found) ISC_TRY(append(out, s + i, 1));
    if (found && !drop) ISC_TRY(append(out, " ", 1));
    i += found ? n : 1;
  }
  return ISC_OK;
}

static isc_status run_part(const isc_decode_part *p, isc_regex_work *w, const pieces *in,
                           pieces *out) {
  if (p->kind == ISC_DECODE_BYTE_LEVEL) return byte_level(in, out);
  if (p->kind == ISC_DECODE_BYTE_FALLBACK) return byte_fallback(in, out);
  for (size_t i = 0; i < in->n; i++) {
    size_t len;
    const char *s = piece_at(in, i, &len);
    if (p->kind == ISC_DECODE_STRIP) ISC_TRY(strip(p, s, len, out));
    if (p->kind == ISC_DECODE_REPLACE) ISC_TRY(replace(p, w, s, len, out));
    if (p->kind == ISC_DECODE_METASPACE) ISC_TRY(metaspace(p, i == 0, s, len, out));
    if (p->kind == ISC_DECODE_FUSE) ISC_TRY(append(out, s, len));
    if (p->kind != ISC_DECODE_FUSE) ISC_TRY(end_piece(out));
  }
  return p->kind == ISC_DECODE_FUSE ? end_piece(out) : ISC_OK;
}

/* The tokens as they are, special ones left out. */
static isc_status collect(const isc_tokenizer *t, const int32_t *ids, int64_t n, pieces *out) {
  for (int64_t i = 0; i < n; i++) {
    if (!isc_tokenizer_token(t, ids[i]))
      return isc_fail(ISC_E_SHAPE, "%s: there is no token with id %" PRId32, t->where, ids[i]);
    if (t->special[ids[i]]) continue;
    const char *token = t->shown ? t->shown[ids[i]] : t->token[ids[i]];
    if (t->joins_with_spaces && out->n > 0) ISC_TRY(append(out, " ", 1));
    ISC_TRY(append(out, token, strlen(token)));
    ISC_TRY(end_piece(out));
  }
  return ISC_OK;
}

isc_status isc_tokenizer_run_decoders(const isc_tokenizer *t, const int32_t *ids, int64_t n,
                                      isc_text *out) {
  pieces from = {0}, to = {0};
  isc_regex_work w = {0};
  isc_status st = ISC_OK;
  ISC_GO(collect(t, ids, n, &from));
  size_t limit = 64 * (from.text.len + 1024);
  w.budget = (int64_t)from.text.len * 1024 + 65536;
  for (int64_t i = 0; i < t->n_decode; i++) {
    ISC_GO(run_part(&t->decode[i], &w, &from, &to));
    if (to.text.len > limit)
      ISC_GO(isc_fail(ISC_E_UNSUPPORTED, "%s: the decoder makes more than %zu bytes of %zu",
                      t->where, limit, from.text.len));
    pieces swap = from;
    from = to;
    to = swap;
    clear(&to);
  }
  ISC_GO(isc_text_set(out, from.text.data ? from.text.data : "", from.text.len));
done:
  isc_regex_work_free(&w);
  free_pieces(&from);
  free_pieces(&to);
  return st;
}
