/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the regular expressions of pre-tokenisers: how they cut, what is refused, what a match may cost.
 *
 * Expected cuts are those of the tokenizers library (0.23), which asks Oniguruma, for Split with the same pattern.
 */
#include "support.h"
#include "model/split_regex.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* The pieces of a text, matches and what is between, joined by '|'. */
static const char *pieces(const char *pattern, const char *text) {
  static char out[512];
  isc_split_regex *r;
  isc_regex_work w = {.budget = 100000};
  size_t len = strlen(text), begin, end, n = 0;
  isc_assert_ok(isc_split_regex_open(pattern, &r));
  for (size_t at = 0; at < len; at = end) {
    isc_assert_ok(isc_split_regex_find(r, &w, text, len, at, &begin, &end));
    cr_assert(begin == len || end > begin, "an empty match");
    if (begin > at)
      n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", n ? "|" : "", (int)(begin - at),
                            text + at);
    if (end > begin)
      n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", n ? "|" : "", (int)(end - begin),
                            text + begin);
  }
  isc_regex_work_free(&w);
  isc_split_regex_close(r);
  return out;
}

Test(cuts, are_those_of_oniguruma) {
  static const struct {
    const char *pattern, *text, *want;
  } cases[] = {
      {"a|ab|abc", "abcab", "a|bc|a|b"},
      {"(?:a|ab)c?", "abcac", "a|bc|ac"},
      {"a{2,3}", "aaaaaaa", "aaa|aaa|a"},
      {"a{2,3}?", "aaaaa", "aa|aa|a"},
      {"a{,2}b", "aaab", "a|aab"},
      {"a{3}", "aaaaaaa", "aaa|aaa|a"},
      {"a++b|a", "aaab", "aaab"},
      {"a++a|b", "aaab", "aaa|b"},
      {"(?>a|ab)c|b", "abc", "a|b|c"},
      {"(?:ab?)*+b|x", "ababb", "ababb"},
      {"(?:ab|c)+?d|b", "abcd", "abcd"},
      {"(?:ab){1,2}c", "abababc", "ab|ababc"},
      {"(?:x|y){2}", "xyxyx", "xy|xy|x"},
      {"[^\\S\\n]+", "a \t\nb", "a| \t|\nb"},
      {"\\s+(?!\\S)|\\s+", "a   b  ", "a|  | |b|  "},
      {"x(?=y)", "xyxz", "x|yxz"},
      {"[a-c\\-]+", "ab-d-", "ab-|d|-"},
      {"[-x]+", "a-x", "a|-x"},
      {"[+-]", "1+2-3", "1|+|2|-|3"},
      {"\\x41|\\x{42}|\\u0043", "ABCD", "A|B|C|D"},
      {".", "a\nb", "a|\n|b"},
      {"\\p{Lu}\\p{^Lu}", "aBcD", "a|Bc|D"},
      {"\\P{L}+", "ab12c", "ab|12|c"},
      {"[\\p{L}\\p{M}]+", "e\xcc\x81-x", "e\xcc\x81|-|x"},
      {"(?i:'s|'LL)", "it's IT'S we'll 'l\xc5\xbf '\xc5\xbf",
       "it|'s| IT|'S| we|'ll| 'l\xc5\xbf |'\xc5\xbf"},
      {"(?i:k)", "kK\xe2\x84\xaa", "k|K|\xe2\x84\xaa"},
      {"\\w+", "a_1\xc2\xb2-\xc3\xa9", "a_1\xc2\xb2|-|\xc3\xa9"},
      {"\\d+", "1\xd9\xa3x\xc2\xb2", "1\xd9\xa3|x\xc2\xb2"},
      {"\\s", "a\xc2\xa0\xe1\xa0\x8e\xe2\x80\x8b", "a|\xc2\xa0|\xe1\xa0\x8e\xe2\x80\x8b"},
      {"\xe4\xb8\xad[\xe4\xb8\x80-\xe9\xbe\xa5]", "\xe4\xb8\xad\xe5\x9b\xbd!",
       "\xe4\xb8\xad\xe5\x9b\xbd|!"},
      {"]}", "a]}", "a|]}"},
      {"\\/\\.\\ \\\\", "/. \\", "/. \\"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    cr_assert_str_eq(pieces(cases[i].pattern, cases[i].text), cases[i].want, "%s on %s: %s",
                     cases[i].pattern, cases[i].text, pieces(cases[i].pattern, cases[i].text));
}

/* Letters, numbers and marks that Unicode got in version 15 and 16, which older libraries of the machine do not know. */
Test(classes, are_unicode_16s_on_every_machine) {
  cr_assert_str_eq(pieces("\\p{L}+", "\xe1\xb2\x8a-\xf0\x90\x97\x80"),
                   "\xe1\xb2\x8a|-|\xf0\x90\x97\x80");
  cr_assert_str_eq(pieces("\\p{N}", "\xf0\x90\xb5\x80"), "\xf0\x90\xb5\x80");
  cr_assert_str_eq(pieces("\\p{M}", "x\xe0\xa2\x97"), "x|\xe0\xa2\x97");
  cr_assert_str_eq(pieces("\\p{Cn}", "a\xf0\x96\xba\xa0"), "a|\xf0\x96\xba\xa0", "a letter of 17");
}

Test(refusals, name_the_place_and_what_is_there) {
  static const struct {
    const char *pattern, *part;
    isc_status status;
  } bad[] = {
      {"a*", "empty text", ISC_E_UNSUPPORTED},
      {"(?=x)", "empty text", ISC_E_UNSUPPORTED},
      {"|a", "empty text", ISC_E_UNSUPPORTED},
      {"^a", "byte 1 an anchor", ISC_E_UNSUPPORTED},
      {"a\\b", "an escape that is not known", ISC_E_UNSUPPORTED},
      {"\\h", "an escape that is not known", ISC_E_UNSUPPORTED},
      {"(a)\\1", "an escape that is not known", ISC_E_UNSUPPORTED},
      {"(?<=a)b", "a kind of group", ISC_E_UNSUPPORTED},
      {"(?<n>a)", "a kind of group", ISC_E_UNSUPPORTED},
      {"(?i)a", "a kind of group", ISC_E_UNSUPPORTED},
      {"a**", "a repetition of a repetition", ISC_E_UNSUPPORTED},
      {"a{2}{3}", "a repetition of a repetition", ISC_E_UNSUPPORTED},
      {"a{2}?", "other syntaxes read otherwise", ISC_E_UNSUPPORTED},
      {"a{1,2}+", "other syntaxes read otherwise", ISC_E_UNSUPPORTED},
      {"(?:a*)+b", "what may be empty", ISC_E_UNSUPPORTED},
      {"(?:|a){2,}b", "what may be empty", ISC_E_UNSUPPORTED},
      {"a(?=b)*", "a repetition of a look ahead", ISC_E_UNSUPPORTED},
      {"+a", "a repetition of nothing", ISC_E_UNSUPPORTED},
      {"a{", "a '{' that begins no count", ISC_E_UNSUPPORTED},
      {"a{x}", "a '{' that begins no count", ISC_E_UNSUPPORTED},
      {"a{3,2}", "counts in the wrong order", ISC_E_UNSUPPORTED},
      {"a{99999}", "a count that is too large", ISC_E_UNSUPPORTED},
      {"(?:(?:(?:ab){1000}){1000}){1000}", "larger than is accepted", ISC_E_UNSUPPORTED},
      {"[a[b]]", "a bracket inside brackets", ISC_E_UNSUPPORTED},
      {"[[:alpha:]]", "a bracket inside brackets", ISC_E_UNSUPPORTED},
      {"[a&&b]", "an intersection", ISC_E_UNSUPPORTED},
      {"[]a]", "first in brackets", ISC_E_UNSUPPORTED},
      {"[a-c-e]", "a '-' behind a range", ISC_E_UNSUPPORTED},
      {"[\\s-a]", "begins or ends with a class", ISC_E_UNSUPPORTED},
      {"[a-\\s]", "begins or ends with a class", ISC_E_UNSUPPORTED},
      {"[\\w]", "a \\w in brackets", ISC_E_UNSUPPORTED},
      {"\\p{Han}", "no general category", ISC_E_UNSUPPORTED},
      {"(?i:[a-z])", "a class where case is ignored", ISC_E_UNSUPPORTED},
      {"(?i:\\s)", "a class where case is ignored", ISC_E_UNSUPPORTED},
      {"(?i:\xc3\xa9)", "not ASCII where case is ignored", ISC_E_UNSUPPORTED},
      {"(?i:miss)", "also one character", ISC_E_UNSUPPORTED},
      {"(?i:st)", "also one character", ISC_E_UNSUPPORTED},
      {"\\x{D800}", "no character", ISC_E_FORMAT},
      {"\\x{110000}", "no character", ISC_E_FORMAT},
      {"\\xFF", "not ASCII", ISC_E_UNSUPPORTED},
      {"\\x4", "no character", ISC_E_FORMAT},
      {"\\p", "without a name", ISC_E_FORMAT},
      {"\\p{L", "without a closing brace", ISC_E_FORMAT},
      {"[b-a]", "before its beginning", ISC_E_FORMAT},
      {"[a", "not closed", ISC_E_FORMAT},
      {"(a", "not closed", ISC_E_FORMAT},
      {"a)", "nothing opened", ISC_E_FORMAT},
      {"a\\", "a backslash at its end", ISC_E_FORMAT},
  };
  isc_split_regex *r;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    isc_assert_fails(isc_split_regex_open(bad[i].pattern, &r), bad[i].status, bad[i].part);
}

static void refused_when_repeated(const char *unit, const char *middle, const char *close, size_t n,
                                  const char *part) {
  isc_sb b = {0};
  char *pattern;
  isc_split_regex *r;
  for (size_t i = 0; i < n; i++)
    isc_sb_add(&b, unit);
  isc_sb_add(&b, middle);
  for (size_t i = 0; i < n; i++)
    isc_sb_add(&b, close);
  isc_assert_ok(isc_sb_finish(&b, &pattern));
  isc_assert_fails(isc_split_regex_open(pattern, &r), ISC_E_UNSUPPORTED, part);
  free(pattern);
}

Test(refusals, sizes_are_bounded) {
  refused_when_repeated("(?:", "a", ")", 25, "nested too deeply");
  refused_when_repeated("a", "", "", 9000, "at most 8192");
  refused_when_repeated("a", "", "", 5000, "more parts");
  isc_sb b = {0};
  char *pattern;
  isc_split_regex *r;
  for (int i = 0; i < 65; i++)
    isc_sb_addf(&b, "\\x{%x}", 0x100 + i);
  isc_assert_ok(isc_sb_finish(&b, &pattern));
  isc_assert_fails(isc_split_regex_open(pattern, &r), ISC_E_UNSUPPORTED, "more than 64 classes");
  free(pattern);
}

Test(budget, a_pattern_that_goes_back_without_end_is_an_error) {
  static const char *const bad[] = {"(?:a|a)+b", "(?:a+)+b", "(?:a|aa)+b", "a+?a+?a+?a+?b",
                                    "(?=(?:a+)+b)a"};
  char text[64];
  memset(text, 'a', sizeof text);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    isc_split_regex *r;
    isc_regex_work w = {.budget = 100000};
    size_t begin, end;
    isc_assert_ok(isc_split_regex_open(bad[i], &r));
    isc_assert_fails(isc_split_regex_find(r, &w, text, sizeof text, 0, &begin, &end),
                     ISC_E_UNSUPPORTED, "goes back without end");
    isc_regex_work_free(&w);
    isc_split_regex_close(r);
  }
}

/* Each repetition of a group can be gone back to, and that many are not kept. */
Test(budget, a_stack_that_grows_without_end_is_an_error) {
  const size_t len = 4 << 20;
  char *text = malloc(len);
  isc_split_regex *r;
  isc_regex_work w = {.budget = 1 << 30};
  size_t begin, end;
  memset(text, 'a', len);
  isc_assert_ok(isc_split_regex_open("(?:a|b)+c", &r));
  isc_assert_fails(isc_split_regex_find(r, &w, text, len, 0, &begin, &end), ISC_E_UNSUPPORTED,
                   "ways to go back");
  isc_regex_work_free(&w);
  isc_split_regex_close(r);
  free(text);
}

Test(memory, a_failed_allocation_is_reported) {
  bool finished = false;
  for (int64_t k = 1; !finished; k++) {
    isc_split_regex *r = NULL;
    isc_regex_work w = {.budget = 1000};
    size_t begin, end;
    isc_alloc_fail_at(k);
    isc_status st = isc_split_regex_open("(?i:'s)|[^\\s\\p{L}]+|(?:ab|c)*+d", &r);
    if (st == ISC_OK) st = isc_split_regex_find(r, &w, "abcd", 4, 0, &begin, &end);
    finished = isc_alloc_fail_at(0) < k;
    cr_assert_eq(st, finished ? ISC_OK : ISC_E_NOMEM, "allocation %d: %s", (int)k, isc_error());
    isc_regex_work_free(&w);
    isc_split_regex_close(r);
    cr_assert_lt(k, 300);
  }
}
