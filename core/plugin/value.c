/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers and quoted strings of the config syntax, from text to values.
 *
 * Stricter than libconfig on purpose: what some version of it reads differently (octal, overflow,
 * unknown escapes, NUL) is refused rather than guessed.
 */
#include "plugin/schema.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_NUMBER = 64 };

static bool number_char(char c) {
  return isalnum((unsigned char)c) || c == '.' || c == '_';
}

/* The run of characters that belong to a number-like word, signs after an exponent included. */
static size_t word_length(const char *s, size_t n) {
  bool hex = n > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
  size_t i = n > 0 && (s[0] == '+' || s[0] == '-') ? 1 : 0;
  for (; i < n; i++) {
    bool exponent_sign =
        !hex && i > 0 && (s[i] == '+' || s[i] == '-') && (s[i - 1] == 'e' || s[i - 1] == 'E');
    if (!number_char(s[i]) && !exponent_sign) break;
  }
  return i;
}

static isc_status malformed(const char *word) {
  return isc_fail(ISC_E_CONFIG, "\"%s\" is not a number", word);
}

static isc_status integer(const char *word, const char *digits, int base, isc_value *out) {
  char *end;
  errno = 0;
  long long v = strtoll(word, &end, base);
  if (end == digits || strspn(end, "L") != strlen(end) || strlen(end) > 2) return malformed(word);
  if (errno == ERANGE)
    return isc_fail(ISC_E_CONFIG, "the integer %s does not fit in 64 bits", word);
  *out = (isc_value){.type = ISC_VALUE_INT, .i = v};
  return ISC_OK;
}

/* digits* [. digits*] [e [+-] digits+] with a digit before the exponent. */
static bool is_fraction(const char *s) {
  size_t before = strspn(s, "0123456789");
  s += before;
  size_t after = *s == '.' ? strspn(s + 1, "0123456789") : 0;
  s += *s == '.' ? after + 1 : 0;
  if (before + after == 0) return false;
  if (*s != 'e' && *s != 'E') return *s == '\0';
  s += s[1] == '+' || s[1] == '-' ? 2 : 1;
  size_t exponent = strspn(s, "0123456789");
  return exponent > 0 && s[exponent] == '\0';
}

static isc_status fraction(const char *word, const char *digits, isc_value *out) {
  double v;
  if (!is_fraction(digits)) return malformed(word);
  if (!isc_text_double(word, &v))
    return isc_fail(ISC_E_CONFIG, "%s is too large for a number", word);
  if (v == 0 && strcspn(digits, "123456789") < strcspn(digits, "eE"))
    return isc_fail(ISC_E_CONFIG, "%s is too small for a number; write 0.0", word);
  *out = (isc_value){.type = ISC_VALUE_FLOAT, .f = v};
  return ISC_OK;
}

isc_status isc_value_number(const char *s, size_t n, isc_value *out, size_t *used) {
  char word[LONGEST_NUMBER + 1];
  size_t len = word_length(s, n);
  if (len > LONGEST_NUMBER)
    return isc_fail(ISC_E_CONFIG, "\"%.*s…\" is too long for a number", 20, s);
  if (len) memcpy(word, s, len);
  word[len] = '\0';
  *used = len;
  const char *digits = word[0] == '+' || word[0] == '-' ? word + 1 : word;
  if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
    if (digits != word || !isxdigit((unsigned char)digits[2])) return malformed(word);
    return integer(word, digits, 16, out);
  }
  if (strpbrk(digits, ".eE")) return fraction(word, digits, out);
  if (!isdigit((unsigned char)digits[0])) return malformed(word);
  if (digits[0] == '0' && isdigit((unsigned char)digits[1]))
    return isc_fail(ISC_E_CONFIG,
                    "%s has a leading zero, which some readers take for octal; write it without",
                    word);
  return integer(word, digits, 10, out);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)tolower((unsigned char)c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The escape at s[0] == '\\'. */
static isc_status escape(const char *s, size_t n, isc_sb *text, size_t *used) {
  static const char from[] = "nrtf\\\"", to[] = "\n\r\t\f\\\"";
  const char *at = n > 1 && s[1] ? strchr(from, s[1]) : NULL;
  *used = 2;
  if (at) {
    isc_sb_addn(text, &to[at - from], 1);
    return ISC_OK;
  }
  int hi = n > 3 && s[1] == 'x' ? hex_digit(s[2]) : -1, lo = hi < 0 ? -1 : hex_digit(s[3]);
  if (lo < 0)
    return isc_fail(ISC_E_CONFIG,
                    "unknown escape in a string; known are \\n \\r \\t \\f \\\\ \\\" \\xHH");
  if (hi == 0 && lo == 0) return isc_fail(ISC_E_CONFIG, "a string may not hold a NUL (\\x00)");
  char c = (char)(hi << 4 | lo);
  isc_sb_addn(text, &c, 1);
  *used = 4;
  return ISC_OK;
}

isc_status isc_value_quoted(const char *s, size_t n, isc_sb *text, size_t *used) {
  size_t i = 1;
  while (i < n && s[i] != '"') {
    size_t step = 1;
    if (s[i] == '\n' || s[i] == '\r') break;
    if (s[i] == '\0') return isc_fail(ISC_E_CONFIG, "a string may not hold a NUL byte");
    if (s[i] == '\\')
      ISC_TRY(escape(s + i, n - i, text, &step));
    else
      isc_sb_addn(text, s + i, 1);
    i += step;
  }
  if (i >= n || s[i] != '"')
    return isc_fail(ISC_E_CONFIG, "a string is not closed on its line; write a line end as \\n");
  *used = i + 1;
  return ISC_OK;
}
