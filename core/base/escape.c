/* SPDX-License-Identifier: Apache-2.0
 *
 * Untrusted text made safe to show: JSON strings, HTML text, and words of a shell's command line.
 *
 * What is not well-formed UTF-8 becomes U+FFFD in JSON and HTML, one for each byte, so that the output always is.
 */
#include "base/base.h"
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

/* Length of the well-formed sequence at s[0 … n-1] and its code point; 0 if there is none.
 * Overlong forms, surrogates and values above U+10FFFF are refused (Unicode 15, table 3-7). */
static size_t decode(const unsigned char *s, size_t n, uint32_t *cp) {
  if (s[0] < 0x80u) {
    *cp = s[0];
    return 1;
  }
  size_t len = s[0] >= 0xF0u ? 4 : s[0] >= 0xE0u ? 3 : 2;
  static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  if (s[0] < 0xC2u || s[0] > 0xF4u || n < len) return 0;
  uint32_t c = s[0] & (0x7Fu >> len);
  for (size_t i = 1; i < len; i++) {
    if ((s[i] & 0xC0u) != 0x80u) return 0;
    c = c << 6 | (s[i] & 0x3Fu);
  }
  if (c < least[len] || c > 0x10FFFFu || (c >= 0xD800u && c <= 0xDFFFu)) return 0;
  *cp = c;
  return len;
}

static void json_ascii(isc_sb *b, char c, char next) {
  switch (c) {
  case '"':
    isc_sb_add(b, "\\\"");
    return;
  case '\\':
    isc_sb_add(b, "\\\\");
    return;
  case '\n':
    isc_sb_add(b, "\\n");
    return;
  case '\t':
    isc_sb_add(b, "\\t");
    return;
  case '\r':
    isc_sb_add(b, "\\r");
    return;
  default:
    break;
  }
  /* "</script" and "<!--" would end or confuse a script element that holds the JSON. */
  bool opens_markup = c == '<' && (next == '/' || next == '!');
  if ((unsigned char)c < 0x20u || c == 0x7F || opens_markup)
    isc_sb_addf(b, "\\u%04x", (unsigned)c);
  else
    isc_sb_addn(b, &c, 1);
}

void isc_sb_add_json(isc_sb *b, const char *s, size_t n) {
  isc_sb_add(b, "\"");
  for (size_t i = 0; i < n;) {
    uint32_t cp = 0;
    size_t len = decode((const unsigned char *)s + i, n - i, &cp);
    if (len == 0)
      isc_sb_add(b, REPLACEMENT);
    else if (len == 1)
      json_ascii(b, s[i], i + 1 < n ? s[i + 1] : '\0');
    else
      isc_sb_addn(b, s + i, len);
    i += len ? len : 1;
  }
  isc_sb_add(b, "\"");
}

/* Controls, and the marks that reorder the text around them. */
static bool unshowable(uint32_t cp) {
  if (cp == '\n' || cp == '\t') return false;
  return cp < 0x20u || (cp >= 0x7Fu && cp <= 0x9Fu) || (cp >= 0x202Au && cp <= 0x202Eu) ||
         (cp >= 0x2066u && cp <= 0x2069u);
}

void isc_sb_add_html(isc_sb *b, const char *s, size_t n) {
  for (size_t i = 0; i < n;) {
    uint32_t cp = 0;
    size_t len = decode((const unsigned char *)s + i, n - i, &cp);
    if (len == 0 || unshowable(cp))
      isc_sb_add(b, REPLACEMENT);
    else if (cp == '&')
      isc_sb_add(b, "&amp;");
    else if (cp == '<')
      isc_sb_add(b, "&lt;");
    else if (cp == '>')
      isc_sb_add(b, "&gt;");
    else if (cp == '"')
      isc_sb_add(b, "&quot;");
    else if (cp == '\'')
      isc_sb_add(b, "&#39;");
    else
      isc_sb_addn(b, s + i, len);
    i += len ? len : 1;
  }
}

void isc_sb_add_shell(isc_sb *b, const char *s) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "/._-+,:=@%";
  if (*s && strspn(s, plain) == strlen(s)) {
    isc_sb_add(b, s);
    return;
  }
  isc_sb_add(b, "'");
  for (; *s; s++)
    isc_sb_addn(b, *s == '\'' ? "'\\''" : s, *s == '\'' ? 4 : 1);
  isc_sb_add(b, "'");
}
