/* SPDX-License-Identifier: Apache-2.0
 *
 * Escapes and bracketed classes of a pre-tokeniser's regular expression.
 *
 * Oniguruma gives some escapes a meaning of its own (\h is a hexadecimal digit, \w knows ², but not in brackets); those that
 * are read here mean here what they mean there, and all others are refused.
 */
#include "model/split_regex_parts.h"
#include "model/text_utf8.h"
#include <string.h>

isc_status isc_regex_read_char(isc_regex_parser *p, uint32_t *out) {
  size_t n = isc_utf8_decode(p->at, (size_t)(p->end - p->at), out);
  if (n == 0) return isc_regex_refuse(p, ISC_E_FORMAT, "an end that is too early");
  p->at += n;
  return ISC_OK;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Exactly n digits, or 1 … 6 up to a closing brace when n is 0. */
static isc_status read_hex(isc_regex_parser *p, int n, uint32_t *out) {
  int digits = 0;
  *out = 0;
  for (; p->at < p->end && hex_digit(*p->at) >= 0 && digits < (n ? n : 6); digits++)
    *out = *out * 16 + (uint32_t)hex_digit(*p->at++);
  bool closed = n ? digits == n : digits > 0 && p->at < p->end && *p->at == '}';
  if (!closed || *out > 0x10FFFF || (*out >= 0xD800 && *out <= 0xDFFF))
    return isc_regex_refuse(p, ISC_E_FORMAT, "a hexadecimal number that is no character");
  if (n == 0) p->at++;
  if (n == 2 && *out > 0x7F)
    return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "a \\x with a byte that is not ASCII");
  return ISC_OK;
}

/* \p{L}, \p{^Lu}, \P{N}: general categories by their short names. */
static isc_status read_property(isc_regex_parser *p, bool negative, isc_char_set_builder *b) {
  if (p->at == p->end || *p->at != '{')
    return isc_regex_refuse(p, ISC_E_FORMAT, "a \\p without a name in braces");
  const char *name = p->at + 1;
  const char *close = memchr(name, '}', (size_t)(p->end - name));
  if (!close) return isc_regex_refuse(p, ISC_E_FORMAT, "a \\p without a closing brace");
  if (*name == '^') {
    negative = !negative;
    name++;
  }
  uint32_t mask = isc_category_mask(name, (size_t)(close - name));
  if (mask == 0)
    return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "a property that is no general category");
  isc_char_set_add_categories(b, negative ? ~mask : mask);
  p->at = close + 1;
  return ISC_OK;
}

/* Oniguruma takes the characters below U+0100 from a table in which ² ³ ¹ ¼ ½ ¾ are word characters, and has no joiners
 * among them. */
static void add_oniguruma_word(isc_char_set_builder *b) {
  isc_char_set_add_word(b);
  isc_char_set_remove(b, 0x200C, 0x200D);
  isc_char_set_add(b, 0xB2, 0xB3);
  isc_char_set_add(b, 0xB9, 0xB9);
  isc_char_set_add(b, 0xBC, 0xBE);
}

/* What `add` adds, or all else. */
static isc_status add_either(void (*add)(isc_char_set_builder *), bool negative,
                             isc_char_set_builder *to) {
  isc_char_set_builder b = {0};
  ISC_TRY(isc_char_set_begin(&b));
  add(&b);
  if (negative) isc_char_set_complement(&b);
  isc_char_set_merge(to, &b);
  isc_char_set_discard(&b);
  return ISC_OK;
}

static isc_status read_class_escape(isc_regex_parser *p, char c, isc_char_set_builder *b) {
  bool negative = c >= 'A' && c <= 'Z';
  switch (c) {
  case 'p':
  case 'P':
    return read_property(p, negative, b);
  case 's':
  case 'S':
    return add_either(isc_char_set_add_white_space, negative, b);
  case 'd':
  case 'D': {
    uint32_t mask = isc_category_mask("Nd", 2);
    isc_char_set_add_categories(b, negative ? ~mask : mask);
    return ISC_OK;
  }
  default:
    return add_either(add_oniguruma_word, negative, b);
  }
}

isc_status isc_regex_read_escape(isc_regex_parser *p, isc_char_set_builder *b,
                                 isc_regex_escape *out) {
  static const char plain[] = "tnrfvae", means[] = "\t\n\r\f\v\a\033";
  *out = (isc_regex_escape){0};
  p->at++;
  if (p->at == p->end) return isc_regex_refuse(p, ISC_E_FORMAT, "a backslash at its end");
  char c = *p->at;
  const char *control = memchr(plain, c, sizeof plain - 1);
  if (strchr("pPsSdDwW", c)) {
    p->at++;
    out->is_set = true;
    return read_class_escape(p, c, b);
  }
  if (control) {
    p->at++;
    out->code = (uint32_t)(unsigned char)means[control - plain];
    return ISC_OK;
  }
  if (c == 'x' || c == 'u') {
    bool braces = c == 'x' && p->at + 1 < p->end && p->at[1] == '{';
    p->at += 1 + braces;
    return read_hex(p, braces ? 0 : c == 'x' ? 2 : 4, &out->code);
  }
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
    return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "an escape that is not known here");
  return isc_regex_read_char(p, &out->code);
}

/* One member of a bracketed class: a character, or a set that went to the builder. */
static isc_status read_member(isc_regex_parser *p, isc_char_set_builder *b, isc_regex_escape *out) {
  bool word = *p->at == '\\' && p->end - p->at > 1 && (p->at[1] == 'w' || p->at[1] == 'W');
  if (word)
    return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "a \\w in brackets, which is another one");
  if (*p->at == '\\') return isc_regex_read_escape(p, b, out);
  if (*p->at == '[')
    return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "a bracket inside brackets that is not escaped");
  if (*p->at == '&' && p->end - p->at > 1 && p->at[1] == '&')
    return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "an intersection of classes");
  out->is_set = false;
  return isc_regex_read_char(p, &out->code);
}

static isc_status read_range(isc_regex_parser *p, isc_char_set_builder *b,
                             const isc_regex_escape *first) {
  isc_regex_escape last = {0};
  p->at++; /* the '-' */
  if (first->is_set || p->at == p->end)
    return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "a range that begins or ends with a class");
  ISC_TRY(read_member(p, b, &last));
  if (last.is_set)
    return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "a range that begins or ends with a class");
  if (last.code < first->code)
    return isc_regex_refuse(p, ISC_E_FORMAT, "a range whose end lies before its beginning");
  isc_char_set_add(b, first->code, last.code);
  if (p->end - p->at > 1 && p->at[0] == '-' && p->at[1] != ']')
    return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "a '-' behind a range that is not escaped");
  return ISC_OK;
}

isc_status isc_regex_read_class(isc_regex_parser *p, isc_char_set_builder *b) {
  bool negative = false, empty = true;
  p->at++; /* the '[' */
  if (p->at < p->end && *p->at == '^') {
    negative = true;
    p->at++;
  }
  for (; p->at < p->end && (*p->at != ']' || empty); empty = false) {
    isc_regex_escape first = {0};
    if (*p->at == ']')
      return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "a ']' that is first in brackets");
    bool dash = *p->at == '-';
    ISC_TRY(read_member(p, b, &first));
    bool range = p->end - p->at > 1 && p->at[0] == '-' && p->at[1] != ']';
    if (range && dash)
      return isc_regex_refuse(p, ISC_E_UNSUPPORTED, "a range that begins with '-'");
    if (range)
      ISC_TRY(read_range(p, b, &first));
    else if (!first.is_set)
      isc_char_set_add(b, first.code, first.code);
  }
  if (p->at == p->end) return isc_regex_refuse(p, ISC_E_FORMAT, "a '[' that is not closed");
  p->at++;
  if (negative) isc_char_set_complement(b);
  return ISC_OK;
}
