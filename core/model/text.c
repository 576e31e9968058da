/* SPDX-License-Identifier: Apache-2.0
 *
 * The reusable text buffer of the public API, and UTF-8 one character at a time.
 *
 * Texts cross the plugin boundary in these buffers, so their memory always belongs to the library.
 */
#include "model/text_utf8.h"
#include "base/base.h"
#include <inversescope/text.h>
#include <stdlib.h>
#include <string.h>

/* Room for `len` bytes and the terminator. */
static isc_status reserve(isc_text *t, size_t len) {
  size_t need, cap = t->cap ? t->cap : 32;
  ISC_TRY(isc_add_size(len, 1, "a text", &need));
  if (need <= t->cap) return ISC_OK;
  while (cap < need && cap <= SIZE_MAX / 2)
    cap *= 2;
  if (cap < need) cap = need;
  void *p = t->data;
  ISC_TRY(isc_realloc(&p, cap, 1, "a text"));
  t->data = p;
  t->cap = cap;
  return ISC_OK;
}

isc_status isc_text_append(isc_text *t, const char *s, size_t len) {
  size_t total;
  ISC_TRY(isc_add_size(t->len, len, "a text", &total));
  ISC_TRY(reserve(t, total));
  if (len) memcpy(t->data + t->len, s, len);
  t->len = total;
  t->data[total] = '\0';
  return ISC_OK;
}

isc_status isc_text_set(isc_text *t, const char *s, size_t len) {
  isc_text_clear(t);
  return isc_text_append(t, s, len);
}

isc_status isc_text_format(isc_text *t, const char *fmt, ...) {
  va_list ap;
  isc_text_clear(t);
  va_start(ap, fmt);
  const int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  if (n < 0) return isc_fail(ISC_E_USAGE, "\"%s\" cannot be formatted", fmt);
  ISC_TRY(reserve(t, (size_t)n));
  va_start(ap, fmt);
  vsnprintf(t->data, (size_t)n + 1, fmt, ap);
  va_end(ap);
  t->len = (size_t)n;
  return ISC_OK;
}

void isc_text_clear(isc_text *t) {
  t->len = 0;
  if (t->data) t->data[0] = '\0';
}

void isc_text_free(isc_text *t) {
  free(t->data);
  *t = (isc_text){0};
}

isc_status isc_text_read(isc_text *t, const char *path, size_t max) {
  char *data;
  size_t len;
  ISC_TRY(isc_read_file(path, max, &data, &len));
  isc_status st = isc_text_set(t, data, len);
  free(data);
  return st;
}

bool isc_text_line(const isc_text *t, size_t *at, const char **line, size_t *len) {
  if (*at >= t->len) return false;
  *line = t->data + *at;
  const char *end = memchr(*line, '\n', t->len - *at);
  *len = end ? (size_t)(end - *line) : t->len - *at;
  *at += *len + (end != NULL);
  if (*len > 0 && (*line)[*len - 1] == '\r') --*len;
  return true;
}

size_t isc_utf8_decode(const char *text, size_t n, uint32_t *cp) {
  const unsigned char *s = (const unsigned char *)text;
  static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  if (n == 0) return 0;
  if (s[0] < 0x80u) {
    *cp = s[0];
    return 1;
  }
  size_t len = s[0] >= 0xF0u ? 4 : s[0] >= 0xE0u ? 3 : 2;
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

size_t isc_utf8_encode(uint32_t cp, char out[4]) {
  if (cp < 0x80u) {
    out[0] = (char)cp;
    return 1;
  }
  size_t len = cp < 0x800u ? 2 : cp < 0x10000u ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--) {
    out[i] = (char)(0x80u | (cp & 0x3Fu));
    cp >>= 6;
  }
  out[0] = (char)((0xF00u >> len & 0xF0u) | cp);
  return len;
}

bool isc_text_is_utf8(const char *s, size_t n) {
  for (size_t i = 0; i < n;) {
    uint32_t cp;
    size_t len = isc_utf8_decode(s + i, n - i, &cp);
    if (len == 0) return false;
    i += len;
  }
  return true;
}

isc_status isc_text_hash(const char *s, size_t len, char hex[33]) {
  isc_hash h;
  ISC_TRY(isc_hash_begin(&h));
  isc_hash_add(&h, s, len);
  isc_digest_hex(isc_hash_end(&h), hex);
  return ISC_OK;
}
