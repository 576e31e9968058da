/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about what the API gives plugins for texts: lines, formatted texts, counted words, slots, numbered priors.
 *
 * Results are written out by hand. The regular expressions are tested through their feature (test_features.c).
 */
#include "support.h"
#include "base/base.h"
#include <inversescope/slot.h>
#include <inversescope/uniform.h>
#include <inversescope/words.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(lines, a_text_is_cut_at_its_line_ends) {
  static const char *const want[] = {"a", "", "b\rc", "", "d\r"};
  isc_text t = {0};
  const char *line;
  size_t at = 0, len, n = 0;
  cr_assert_not(isc_text_line(&t, &at, &line, &len), "an empty text has no line");
  isc_assert_ok(isc_text_set(&t, "a\n\r\nb\rc\r\n\nd\r\r\n", 14));
  for (; isc_text_line(&t, &at, &line, &len); n++) {
    cr_assert_lt(n, 5);
    cr_assert(len == strlen(want[n]) && memcmp(line, want[n], len) == 0, "line %zu", n);
  }
  cr_assert_eq(n, 5);
  cr_assert_eq(at, t.len);
  isc_text_free(&t);
}

Test(format, a_text_of_any_length_replaces_the_old_one) {
  isc_text t = {0};
  isc_assert_ok(isc_text_format(&t, "%03d+%s", 7, "x"));
  cr_assert_str_eq(t.data, "007+x");
  isc_assert_ok(isc_text_format(&t, "%*d", 5000, 1));
  cr_assert_eq(t.len, 5000);
  cr_assert_eq(t.data[4999], '1');
  isc_assert_ok(isc_text_format(&t, "%s", ""));
  cr_assert(t.len == 0 && t.data[0] == '\0');
  isc_text_free(&t);
}

/* ---- words */

static void *opened(const char *const *list, int64_t n) {
  void *w;
  const isc_list l = {.count = n, .at.s = list};
  isc_assert_ok(isc_words_open(&l, "words", NULL, NULL, &w));
  return w;
}

Test(words, they_are_counted_in_the_order_they_come) {
  static const char *const list[] = {"red", "blue", "re", "red", "vert\xc3\xa9"};
  static const char text[] = "blue, red;blue reds vert\xc3\xa9 (blue) Red\tre";
  void *w = opened(list, 5);
  isc_word_count c[8];
  cr_assert_eq(isc_words_count(w, text, strlen(text), c, 8), 4);
  cr_assert(strcmp(c[0].word, "blue") == 0 && c[0].count == 3);
  cr_assert(strcmp(c[1].word, "red") == 0 && c[1].count == 1 && c[1].len == 3);
  cr_assert(strcmp(c[2].word, "vert\xc3\xa9") == 0 && c[2].count == 1);
  cr_assert(strcmp(c[3].word, "re") == 0 && c[3].count == 1);
  cr_assert_eq(isc_words_count(w, text, strlen(text), c, 2), 2);
  cr_assert_eq(c[0].count, 1, "reading stops where the second word is met");
  cr_assert_eq(isc_words_count(w, text, strlen(text), c, 0), 0);
  cr_assert_eq(isc_words_count(w, "red\0red", 7, c, 8), 1);
  cr_assert_eq(c[0].count, 2, "a NUL separates");
  cr_assert_eq(isc_words_count(w, NULL, 0, c, 8), 0);
  isc_words_close(w);
  isc_words_close(NULL);
}

Test(words, what_is_no_word_is_refused) {
  static const char *const two[] = {"a-b"}, *const none[] = {""}, *const slots[] = {"A", NULL};
  isc_list l = {.count = 1, .at.s = two};
  void *w;
  isc_assert_fails(isc_words_open(&l, "words", NULL, slots, &w), ISC_E_CONFIG,
                   "\"a-b\" is not one");
  l.at.s = none;
  isc_assert_fails(isc_words_open(&l, "words", NULL, slots, &w), ISC_E_CONFIG, "empty");
  isc_assert_fails(
      isc_words_open(NULL, "words", NULL, slots, &w), ISC_E_CONFIG,
      "the prior (none) has no slot A that lists its values; give the option \"words\"");
}

/* ---- a prior of numbered texts: "0" … "9" */

static isc_status digit(const void *self, int64_t i, isc_text *out) {
  (void)self;
  return isc_text_format(out, "%d", (int)i);
}

static int64_t value(const void *self, const char *text, size_t len) {
  (void)self;
  return len == 1 && text[0] >= '0' && text[0] <= '9' ? text[0] - '0' : -1;
}

static int64_t one_slot(void *self) {
  (void)self;
  return 1;
}

static const char *its_name(void *self, int64_t k) {
  (void)self;
  return k == 0 ? "digit" : NULL;
}

static isc_status its_value(void *self, const char *text, size_t len, int64_t k, isc_text *out) {
  (void)k;
  return isc_text_set(out, text, value(self, text, len) < 0 ? 0 : len);
}

static const isc_prior_ops digits_ops = {ISC_UNIFORM_PRIOR, .n_slots = one_slot,
                                         .slot_name = its_name, .slot = its_value};

static isc_uniform digits(void) {
  return (isc_uniform){.size = sizeof(isc_uniform),
                       .name = "digits",
                       .support = 10,
                       .test_fraction = 0.25,
                       .seed = 4,
                       .text = digit,
                       .index = value,
                       .max_bytes = 1};
}

Test(uniform, the_splits_hold_each_text_once) {
  isc_uniform u = digits();
  isc_text x = {0};
  int met[10] = {0};
  double lp;
  cr_assert_eq(digits_ops.count(&u, ISC_TEST), 3); /* ⌈2.5⌉ */
  cr_assert_eq(digits_ops.count(&u, ISC_TRAIN), 7);
  cr_assert_eq(digits_ops.max_bytes(&u), 1);
  for (int s = 0; s < 2; s++)
    for (int64_t i = 0; i < digits_ops.count(&u, (isc_split)s); i++) {
      isc_assert_ok(digits_ops.draw(&u, (isc_split)s, i, &x));
      met[x.data[0] - '0']++;
    }
  for (int i = 0; i < 10; i++)
    cr_assert_eq(met[i], 1);
  isc_assert_ok(digits_ops.log_prob(&u, "7", 1, &lp));
  cr_assert_float_eq(lp, -log(10.0), 1e-15); /* one rounding */
  isc_assert_ok(digits_ops.log_prob(&u, "17", 2, &lp));
  cr_assert(lp == -INFINITY);
  isc_assert_fails(digits_ops.enumerate(&u, 10, &x), ISC_E_USAGE, "no number 10");
  isc_assert_fails(digits_ops.enumerate(&u, -1, &x), ISC_E_USAGE, "no number -1");
  isc_assert_fails(digits_ops.draw(&u, ISC_TEST, 3, &x), ISC_E_USAGE, "test split has 3 texts");
  isc_text_free(&x);
}

Test(slots, they_are_found_by_name) {
  isc_uniform u = digits();
  const isc_prior p = {.ops = &digits_ops, .self = &u, .name = "digits"};
  isc_text x = {0};
  int64_t k = -1;
  void *s = NULL;
  isc_assert_ok(isc_slot_find(&p, "digit", &k));
  cr_assert_eq(k, 0);
  isc_assert_ok(isc_slot_open(&p, "digit", &s));
  cr_assert_str_eq(isc_slot_name(s), "digit");
  isc_assert_ok(isc_slot_label(s, "7", 1, &x));
  cr_assert_str_eq(x.data, "7");
  isc_assert_ok(isc_slot_label(s, "77", 2, &x));
  cr_assert_str_eq(x.data, "");
  isc_slot_close(s);
  isc_slot_close(NULL);
  isc_assert_fails(isc_slot_open(&p, "digits", &s), ISC_E_CONFIG,
                   "the prior digits has no slot \"digits\"; it has digit");
  isc_assert_fails(isc_slot_find(NULL, "digit", &k), ISC_E_CONFIG, "(none) has no slots");
  isc_text_free(&x);
}
