/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the shipped prior counting.
 *
 * Texts are counted and judged by going through all strings of an alphabet, log P comes from the law by hand, and
 * frequencies of draws are compared with the law that the documentation states.
 */
#include "support.h"
#include "support_plugin.h"
#include "base/base.h"
#include "eval/goodness.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ASKED = 6, ASKED_COUNT = 7 };

static isc_prior opened(const char *options) {
  isc_prior p;
  isc_assert_ok(isc_test_prior("counting", options, 3, &p));
  return p;
}

static const char *slot(const isc_prior *p, const char *x, int64_t k) {
  static isc_text out[4];
  static int at;
  at = (at + 1) % 4;
  isc_assert_ok(p->ops->slot(p->self, x, strlen(x), k, &out[at]));
  return out[at].data;
}

static const char *answer(const isc_prior *p, const char *text) {
  static isc_text out;
  isc_assert_ok(p->ops->answer(p->self, text, strlen(text), &out));
  return out.data;
}

static double log_prob(const isc_prior *p, const char *text, size_t len) {
  double v;
  isc_assert_ok(p->ops->log_prob(p->self, text, len, &v));
  return v;
}

static const char *drawn(const isc_prior *p, isc_split split, int64_t i) {
  static isc_text out;
  isc_assert_ok(p->ops->draw(p->self, split, i, &out));
  return out.data;
}

/* ---- which texts there are */

/* How often c comes before the bar. */
static int often(const char *text, char c) {
  int n = 0;
  for (; *text && *text != '|'; text++)
    n += *text == c;
  return n;
}

/* Three of the letters a … d, each once or twice, and nothing else. */
static bool is_word(const char *word) {
  int kinds = 0;
  if (often(word, 'e') > 0) return false;
  for (char c = 'a'; c <= 'd'; c++) {
    if (often(word, c) > 2) return false;
    kinds += often(word, c) > 0;
  }
  return kinds == 3;
}

/* Word number i of length n over the letters a … e; e belongs to no word. */
static void write_word(int i, int n, char *out) {
  for (int k = 0; k < n; k++, i /= 5)
    out[k] = (char)('a' + i % 5);
  out[n] = 0;
}

Test(counting, its_texts_are_those_of_the_rule_and_no_others) {
  isc_prior p = opened("letters = \"abcd\"; max = 2;");
  int64_t n = 0;
  double total = 0;
  char word[16], text[24];
  for (int len = 0, all = 1; len <= 7; len++, all *= 5)
    for (int i = 0; i < all; i++) {
      write_word(i, len, word);
      for (char asked = 'a'; asked <= 'e'; asked++) {
        snprintf(text, sizeof text, "%s|%c:", word, asked);
        const double lp = log_prob(&p, text, strlen(text));
        const bool member = is_word(word) && often(word, asked) > 0;
        cr_assert_eq(lp > -INFINITY, member, "%s", text);
        n += member;
        total += exp(lp);
      }
    }
  /* 4 sets of letters, 3 asked; 6 + 3·12 + 3·30 + 90 words of three given letters */
  cr_assert_eq(n, 4 * 3 * 222);
  cr_assert_eq(p.ops->support(p.self), n);
  cr_assert_float_eq(total, 1, 1e-12); /* 2,664 terms */
  isc_test_prior_close(&p);
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

Test(counting, enumeration_gives_each_text_once_and_log_p_sums_to_one) {
  isc_prior p = opened("letters = \"xAbz\"; max = 3;");
  const int64_t n = p.ops->support(p.self);
  isc_text x = {0};
  double total = 0;
  cr_assert_eq(n, 4 * 3 * 5052);
  char **all = calloc((size_t)n, sizeof *all);
  for (int64_t i = 0; i < n; i++) {
    isc_assert_ok(p.ops->enumerate(p.self, i, &x));
    total += exp(log_prob(&p, x.data, x.len));
    all[i] = strdup(x.data);
  }
  cr_assert_float_eq(total, 1, 1e-10); /* 60,624 terms */
  qsort(all, (size_t)n, sizeof *all, by_text);
  for (int64_t i = 1; i < n; i++)
    cr_assert_str_neq(all[i - 1], all[i]);
  for (int64_t i = 0; i < n; i++)
    free(all[i]);
  free(all);
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

Test(counting, log_p_is_that_of_the_law) {
  isc_prior p = opened("");
  /* sets of letters · asked · triples of counts · arrangements */
  cr_assert_float_eq(log_prob(&p, "ccbcbabc|b:", 11),
                     -log(2600.0 * 3 * 729 * (40320 / (1 * 6 * 24))), 1e-12);
  cr_assert_float_eq(log_prob(&p, "xay|a:", 6), -log(2600.0 * 3 * 729 * 6), 1e-12);
  cr_assert_eq(p.ops->max_bytes(p.self), 30);
  isc_test_prior_close(&p);
}

Test(counting, what_is_not_of_the_prior_has_no_answer_and_no_probability) {
  static const char *const foreign[] = {
      "",       "|a:",     "abc",        "abc|a",   "abc|a: ",   " abc|a:",
      "abc|d:", "abc|:",   "aabb|a:",    "abcd|a:", "abc:a|",    "aBc|a:",
      "abc|A:", "ab|c|a:", "abcabca|a:", "abc||:",  "abcabc|a:b"};
  isc_prior p = opened("max = 2;");
  cr_assert_str_eq(answer(&p, "abcabc|a:"), "2");
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
    cr_assert(log_prob(&p, foreign[i], strlen(foreign[i])) == -INFINITY, "%s", foreign[i]);
    cr_assert_str_eq(answer(&p, foreign[i]), "");
    for (int64_t k = 0; k < 8; k++)
      cr_assert_str_eq(slot(&p, foreign[i], k), "");
  }
  cr_assert(log_prob(&p, "abc\0abc|a:", 10) == -INFINITY);
  cr_assert(log_prob(&p, "ab\xff|a:", 6) == -INFINITY);
  isc_test_prior_close(&p);
}

/* ---- slots */

Test(counting, letters_and_counts_are_slots) {
  static const char *const name[] = {"letter1", "letter2", "letter3", "count1",
                                     "count2",  "count3",  "asked",   "count"};
  static const char *const value[] = {"a", "b", "c", "1", "3", "4", "b", "3"};
  static const int64_t choices[] = {24, 24, 24, 9, 9, 9, 26, 9};
  isc_prior p = opened("");
  cr_assert_eq(p.ops->n_slots(p.self), 8);
  for (int64_t k = 0; k < 8; k++) {
    cr_assert_str_eq(p.ops->slot_name(p.self, k), name[k]);
    cr_assert_str_eq(slot(&p, "ccbcbabc|b:", k), value[k]);
    cr_assert_eq(p.ops->slot_choices(p.self, k), choices[k]);
  }
  cr_assert_str_eq(p.ops->slot_choice(p.self, 0, 0), "a");
  cr_assert_str_eq(p.ops->slot_choice(p.self, 2, 23), "z");
  cr_assert_str_eq(p.ops->slot_choice(p.self, ASKED_COUNT, 8), "9");
  cr_assert_str_eq(answer(&p, "ccbcbabc|b:"), "3");
  isc_test_prior_close(&p);
}

Test(counting, the_alphabet_gives_the_order) {
  isc_prior p =
      opened("letters = \"zyxw\"; n_letters = 3; min = 9; max = 12; test_fraction = 0.5;");
  char text[64];
  snprintf(text, sizeof text, "%.9s%.12s%.10s|x:", "xxxxxxxxxxxx", "zzzzzzzzzzzz", "yyyyyyyyyyyy");
  cr_assert_str_eq(slot(&p, text, 0), "z");
  cr_assert_str_eq(slot(&p, text, 2), "x");
  cr_assert_str_eq(slot(&p, text, 3), "12");
  cr_assert_str_eq(slot(&p, text, ASKED_COUNT), "9");
  cr_assert_str_eq(p.ops->slot_choice(p.self, 3, 3), "12");
  cr_assert_eq(p.ops->slot_choices(p.self, ASKED), 3);
  isc_test_prior_close(&p);
}

/* ---- draws */

/* Fits with 1e-6 of chance to be refused though true. */
static void check_even(int64_t n, const int64_t *count, int64_t draws, const char *what) {
  double expected[32];
  for (int64_t k = 0; k < n; k++)
    expected[k] = (double)draws / (double)n;
  const isc_fit f = isc_fit_expected(n, count, expected);
  cr_assert(isc_fit_p(f) > 1e-6, "%s: chi-square %.1f, %d", what, f.x, (int)f.freedom);
}

/* So many texts that a side of the split has the law of the whole. */
Test(counting, letters_counts_and_arrangements_are_even) {
  enum { N = 20000 };
  isc_prior p = opened("");
  for (int s = 0; s < 2; s++) {
    int64_t asked[26] = {0}, count[9] = {0}, triple[27] = {0};
    double z = 0, variance = 0;
    for (int64_t i = 0; i < N; i++) {
      const char *x = drawn(&p, (isc_split)s, i), *colon = strchr(x, ':');
      const char c = colon[-1];
      const int n = often(x, c);
      const double share = n / (double)(strlen(x) - 3);
      asked[c - 'a']++;
      count[n - 1]++;
      triple[(atoi(slot(&p, x, 3)) - 1) / 3 * 9 + (atoi(slot(&p, x, 4)) - 1) / 3 * 3 +
             (atoi(slot(&p, x, 5)) - 1) / 3]++;
      z += (x[0] == c) - share; /* any place of a shuffle has a letter as often as its share */
      variance += share * (1 - share);
    }
    check_even(26, asked, N, "the letter asked");
    check_even(9, count, N, "its count");
    check_even(27, triple, N, "triples of counts, by thirds");
    cr_assert_lt(fabs(z / sqrt(variance)), 5, "the first letter is the one asked: %.1f", z);
  }
  isc_test_prior_close(&p);
}

Test(counting, the_splits_share_no_text_and_repeat_their_own) {
  enum { N = 2000 };
  isc_prior p = opened("letters = \"abcd\"; max = 2; test_fraction = 0.3;");
  const int64_t n[] = {p.ops->count(p.self, ISC_TRAIN), p.ops->count(p.self, ISC_TEST)};
  int64_t repeats = 0;
  char *text[N];
  bool test[N];
  cr_assert_eq(n[0] + n[1], 2664);
  cr_assert_eq(p.ops->draws, ISC_DRAWS_REPEAT);
  for (int64_t i = 0; i < N; i++) {
    test[i] = i % 4 == 0;
    text[i] = strdup(drawn(&p, test[i] ? ISC_TEST : ISC_TRAIN, test[i] ? i / 4 : i - i / 4 - 1));
  }
  for (int64_t i = 0; i < N; i++)
    for (int64_t j = 0; j < i; j++) {
      if (strcmp(text[i], text[j]) != 0) continue;
      cr_assert_eq(test[i], test[j], "%s", text[i]);
      repeats++;
    }
  cr_assert_gt(repeats, 0);
  for (int64_t i = 0; i < N; i++)
    free(text[i]);
  isc_test_prior_close(&p);
}

Test(counting, what_is_out_of_range_is_refused) {
  isc_prior p = opened("letters = \"abcd\"; max = 2;");
  isc_text x = {0};
  isc_assert_fails(p.ops->draw(p.self, ISC_TEST, 267, &x), ISC_E_USAGE, "test split has 267");
  isc_assert_fails(p.ops->draw(p.self, ISC_TRAIN, -1, &x), ISC_E_USAGE, "number -1");
  isc_assert_fails(p.ops->enumerate(p.self, 2664, &x), ISC_E_USAGE, "number 2664");
  isc_assert_fails(p.ops->slot(p.self, "abc|a:", 6, 8, &x), ISC_E_USAGE, "slot number 8");
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

/* ---- settings */

Test(counting, wrong_settings_are_refused) {
  static const struct {
    const char *options, *part;
  } bad[] = {{"letters = \"ab\";", "2 of the letters"},
             {"letters = \"\";", "0 of the letters"},
             {"letters = \"abc\"; n_letters = 4;", "4 of the letters"},
             {"n_letters = 2;", "2 of the letters"},
             {"letters = \"abca\";", "character 4"},
             {"letters = \"ab|c\";", "character 3"},
             {"letters = \"ab\xc3\xa9\";", "character 3"},
             {"min = 3; max = 2;", "min = 3 to max = 2"},
             {"max = 20;", "lower max"},
             {"max = 12; letters = \"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ\";",
              "lower max"},
             {"letters = \"abc\"; max = 1; test_fraction = 0.001;", "nothing to test on"},
             {"letters = \"abc\"; max = 1; test_fraction = 0.999;", "nothing to train on"},
             {"test_fraction = 0.0;", "test_fraction"}};
  isc_prior p;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    isc_assert_fails(isc_test_prior("counting", bad[i].options, 1, &p), ISC_E_CONFIG, bad[i].part);
}

Test(counting, large_counts_have_numbers) {
  isc_prior p = opened("letters = \"abc\"; min = 13; max = 13;");
  isc_text x = {0};
  /* 3 · 39!/13!³ */
  cr_assert_eq(p.ops->support(p.self), 3 * INT64_C(84478098072866400));
  isc_assert_ok(p.ops->enumerate(p.self, p.ops->support(p.self) - 1, &x));
  cr_assert_str_eq(x.data, "cccccccccccccbbbbbbbbbbbbbaaaaaaaaaaaaa|c:");
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

Test(counting, the_fingerprint_follows_what_decides_the_texts) {
  static const char *const options[] = {"",         "letters = \"abc\"; max = 3;",
                                        "max = 8;", "n_letters = 25;",
                                        "min = 2;", "test_fraction = 0.2;"};
  char hex[6][33], same[33];
  isc_prior p = opened("letters = \"abcdefghijklmnopqrstuvwxyzA\"; n_letters = 26;");
  isc_assert_ok(p.ops->fingerprint(p.self, same));
  isc_test_prior_close(&p);
  for (int i = 0; i < 6; i++) {
    p = opened(options[i]);
    isc_assert_ok(p.ops->fingerprint(p.self, hex[i]));
    isc_test_prior_close(&p);
    for (int k = 0; k < i; k++)
      cr_assert_str_neq(hex[i], hex[k]);
  }
  cr_assert_str_eq(hex[0], same);
}

Test(counting, a_failed_allocation_is_reported) {
  bool finished = false;
  isc_prior p = opened(""); /* so that the plugin is loaded */
  isc_test_prior_close(&p);
  for (int64_t k = 1; !finished; k++) {
    isc_alloc_fail_at(k);
    isc_status st = isc_test_prior("counting", "max = 2;", 1, &p);
    finished = isc_alloc_fail_at(0) < k;
    cr_assert_eq(st, finished ? ISC_OK : ISC_E_NOMEM, "allocation %d: %s", (int)k, isc_error());
    isc_test_prior_close(&p);
    cr_assert_lt(k, 5000);
  }
}
