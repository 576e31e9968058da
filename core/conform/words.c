/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules for the texts of a descriptor.
 *
 * They end up on terminals, in JSON, HTML and man pages; what is clean here needs no special care there.
 */
#include "conform/words.h"
#include <stdint.h>
#include <string.h>

/* Decode one character at *at and step over it; UINT32_MAX when it is no UTF-8. */
static uint32_t next_character(const unsigned char **at) {
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  const unsigned char *s = *at;
  const int more = s[0] < 0x80 ? 0 : s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : -1;
  if (more < 0 || s[0] >= 0xf8) return UINT32_MAX;
  uint32_t c = more ? s[0] & (0x3fu >> more) : s[0];
  for (int i = 1; i <= more; i++) {
    if ((s[i] & 0xc0) != 0x80) return UINT32_MAX;
    c = c << 6 | (s[i] & 0x3fu);
  }
  if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return UINT32_MAX;
  *at = s + more + 1;
  return c;
}

/* Characters that steer a terminal or change the direction of what follows. */
static bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
         (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

const char *isc_words_problem(const char *text) {
  if (!text) return "is missing";
  if (!*text) return "is empty";
  for (const unsigned char *at = (const unsigned char *)text; *at;) {
    const uint32_t c = next_character(&at);
    if (c == UINT32_MAX) return "is not UTF-8";
    if (c == '\n' || c == '\r') return "is more than one line";
    if (is_control(c)) return "holds a control character";
  }
  if (text[0] == ' ' || text[strlen(text) - 1] == ' ') return "starts or ends with a space";
  return strstr(text, "  ") ? "has two spaces in a row" : NULL;
}

size_t isc_words_length(const char *text) {
  size_t n = 0;
  for (; *text; text++)
    n += ((unsigned char)*text & 0xc0) != 0x80;
  return n;
}

size_t isc_words_count(const char *text) {
  size_t n = 0;
  for (; *text; text++)
    n += *text == ' ';
  return n + 1;
}

/* ---- licences */

/* Take the word at *at, which is one of a name's characters long or more. */
static bool take(const char **at, const char **word, size_t *n) {
  *word = *at;
  *n = strspn(*at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.:+");
  *at += *n;
  return *n > 0;
}

static bool is_word(const char *word, size_t n, const char *what) {
  return strlen(what) == n && memcmp(word, what, n) == 0;
}

static bool is_operator(const char *word, size_t n) {
  return is_word(word, n, "AND") || is_word(word, n, "OR") || is_word(word, n, "WITH");
}

static bool take_name(const char **at) {
  const char *word;
  size_t n;
  *at += strspn(*at, " ");
  if (!take(at, &word, &n) || is_operator(word, n)) return false;
  const char *plus = memchr(word, '+', n);
  return (!plus || (n > 1 && plus == word + n - 1)) && word[0] != '-' && word[0] != '.';
}

/* name { (AND | OR | WITH) name }, where a name may be a group in parentheses: `depth` counts those open. A name is due
 * when `due`. */
bool isc_words_is_licence(const char *text) {
  int depth = 0;
  bool due = true;
  for (const char *at = text; *(at += strspn(at, " "));) {
    const char *word;
    size_t n;
    if (due && *at == '(') {
      depth++;
      at++;
    } else if (!due && *at == ')') {
      if (--depth < 0) return false;
      at++;
    } else if (due) {
      if (!take_name(&at)) return false;
      due = false;
    } else {
      if (!take(&at, &word, &n) || !is_operator(word, n)) return false;
      due = true;
    }
  }
  return !due && depth == 0;
}

/* ---- versions */

static bool take_number(const char **at) {
  const size_t n = strspn(*at, "0123456789");
  if (n == 0 || (n > 1 && **at == '0')) return false;
  *at += n;
  return true;
}

bool isc_words_is_version(const char *text) {
  for (int i = 0; i < 3; i++) {
    if (i && *text++ != '.') return false;
    if (!take_number(&text)) return false;
  }
  if (!*text) return true;
  return (*text == '-' || *text == '+') && text[1] &&
         !text[1 + strspn(text + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789-.+")];
}
