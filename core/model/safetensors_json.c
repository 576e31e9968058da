/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokens of a safetensors header.
 *
 * Strict where a lenient reader could be made to see another file than the next reader does:
 * escapes, UTF-8, leading zeros, NUL in a name.
 */
#include "model/safetensors_json.h"
#include "model/text_utf8.h"
#include <string.h>

static isc_status bad(const isc_st_json *j, const char *what) {
  return isc_fail(ISC_E_FORMAT, "%s: header byte %zu: %s", j->path, (size_t)(j->p - j->text), what);
}

void isc_st_json_begin(isc_st_json *j, const char *path, const char *text, size_t len,
                       char *strings) {
  *j = (isc_st_json){.path = path, .text = text, .p = text, .end = text + len, .strings = strings};
}

static void skip_space(isc_st_json *j) {
  while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
    j->p++;
}

bool isc_st_json_accept(isc_st_json *j, char c) {
  skip_space(j);
  if (j->p == j->end || *j->p != c) return false;
  j->p++;
  return true;
}

isc_status isc_st_json_expect(isc_st_json *j, char c) {
  if (isc_st_json_accept(j, c)) return ISC_OK;
  char what[] = "expected '?'";
  what[10] = c;
  return bad(j, what);
}

isc_status isc_st_json_end(isc_st_json *j) {
  skip_space(j);
  return j->p == j->end ? ISC_OK : bad(j, "something follows the closing '}'");
}

isc_status isc_st_json_u64(isc_st_json *j, uint64_t *out) {
  uint64_t v = 0;
  skip_space(j);
  const char *start = j->p;
  for (; j->p < j->end && *j->p >= '0' && *j->p <= '9'; j->p++)
    if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
        __builtin_add_overflow(v, (uint64_t)(*j->p - '0'), &v))
      return bad(j, "the number is too large");
  if (j->p == start) return bad(j, "expected a non-negative integer");
  if (*start == '0' && j->p - start > 1) return bad(j, "a number has leading zeros");
  if (j->p < j->end && (*j->p == '.' || *j->p == 'e' || *j->p == 'E'))
    return bad(j, "expected an integer");
  *out = v;
  return ISC_OK;
}

/* The four hex digits at p. */
static bool hex4(const isc_st_json *j, const char *p, uint32_t *out) {
  *out = 0;
  if (j->end - p < 4) return false;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                 : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                 : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                        : 16;
    if (d == 16) return false;
    *out = *out << 4 | d;
  }
  return true;
}

/* \uXXXX, with its second half when it is a surrogate. p is at the 'u'. */
static isc_status unicode_escape(isc_st_json *j) {
  uint32_t cp, low;
  if (!hex4(j, j->p + 1, &cp)) return bad(j, "bad \\u escape");
  j->p += 5;
  if (cp >= 0xD800u && cp <= 0xDBFFu) {
    if (j->end - j->p < 6 || j->p[0] != '\\' || j->p[1] != 'u' || !hex4(j, j->p + 2, &low) ||
        low < 0xDC00u || low > 0xDFFFu)
      return bad(j, "half a surrogate pair");
    j->p += 6;
    cp = 0x10000u + ((cp - 0xD800u) << 10) + (low - 0xDC00u);
  }
  if (cp >= 0xDC00u && cp <= 0xDFFFu) return bad(j, "half a surrogate pair");
  if (cp == 0) return bad(j, "a string holds a NUL");
  j->strings += isc_utf8_encode(cp, j->strings);
  return ISC_OK;
}

static isc_status escape(isc_st_json *j) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  j->p++;
  if (j->p == j->end) return bad(j, "the header ends inside a string");
  if (*j->p == 'u') return unicode_escape(j);
  const char *at = *j->p ? strchr(from, *j->p) : NULL;
  if (!at) return bad(j, "unknown escape");
  *j->strings++ = to[at - from];
  j->p++;
  return ISC_OK;
}

isc_status isc_st_json_string(isc_st_json *j, const char **out) {
  ISC_TRY(isc_st_json_expect(j, '"'));
  *out = j->strings;
  for (;;) {
    uint32_t cp;
    if (j->p == j->end) return bad(j, "the header ends inside a string");
    if (*j->p == '"') break;
    if (*j->p == '\\') {
      ISC_TRY(escape(j));
      continue;
    }
    size_t n = isc_utf8_decode(j->p, (size_t)(j->end - j->p), &cp);
    if (n == 0) return bad(j, "not UTF-8");
    if (cp < 0x20u) return bad(j, "a control character in a string");
    memcpy(j->strings, j->p, n);
    j->strings += n;
    j->p += n;
  }
  j->p++;
  *j->strings++ = '\0';
  return ISC_OK;
}
