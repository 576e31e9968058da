/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the shipped priors ioi, addition and text.
 *
 * Answers are checked by a rule that knows nothing of templates (count the names) or by arithmetic, and
 * counts by closed forms.
 */
#include "support.h"
#include "support_plugin.h"
#include "base/base.h"
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static isc_prior opened(const char *name, const char *options) {
  isc_prior p;
  isc_assert_ok(isc_test_prior(name, options, 3, &p));
  return p;
}

static const char *slot(const isc_prior *p, const isc_text *x, int64_t k) {
  static isc_text out[4];
  static int at;
  at = (at + 1) % 4;
  isc_assert_ok(p->ops->slot(p->self, x->data, x->len, k, &out[at]));
  return out[at].data;
}

static const char *answer(const isc_prior *p, const char *text, size_t len) {
  static isc_text out;
  isc_assert_ok(p->ops->answer(p->self, text, len, &out));
  return out.data;
}

static double log_prob(const isc_prior *p, const char *text) {
  double v;
  isc_assert_ok(p->ops->log_prob(p->self, text, strlen(text), &v));
  return v;
}

/* What holds for every prior: the splits share nothing, and log P is that of the uniform law. */
static void check_splits(const isc_prior *p, int64_t most) {
  const isc_prior_ops *o = p->ops;
  int64_t n = o->support(p->self), train = o->count(p->self, ISC_TRAIN),
          test = o->count(p->self, ISC_TEST);
  isc_text x = {0};
  char **seen = calloc((size_t)(train + test), sizeof *seen);
  int64_t n_seen = 0;
  cr_assert_eq(train + test, n);
  cr_assert_leq(n, most);
  for (int split = 0; split < 2; split++)
    for (int64_t i = 0; i < o->count(p->self, (isc_split)split); i++) {
      isc_assert_ok(o->draw(p->self, (isc_split)split, i, &x));
      cr_assert_float_eq(log_prob(p, x.data), -log((double)n), 1e-12);
      seen[n_seen++] = strdup(x.data);
    }
  for (int64_t i = 0; i < n_seen; i++)
    for (int64_t k = 0; k < i; k++)
      cr_assert_str_neq(seen[i], seen[k]);
  isc_assert_fails(o->draw(p->self, ISC_TEST, test, &x), ISC_E_USAGE, "number");
  isc_assert_fails(o->draw(p->self, ISC_TRAIN, -1, &x), ISC_E_USAGE, "number");
  isc_assert_fails(o->enumerate(p->self, n, &x), ISC_E_USAGE, "number");
  for (int64_t i = 0; i < n_seen; i++)
    free(seen[i]);
  free(seen);
  isc_text_free(&x);
}

/* ---- ioi */

static int words_equal(const char *text, const char *word) {
  int n = 0;
  size_t len = strlen(word);
  for (const char *w = text; *w; w += strcspn(w, " "), w += *w == ' ') {
    size_t end = strcspn(w, " ,.");
    n += end == len && memcmp(w, word, len) == 0;
  }
  return n;
}

/* The answer is the one of the two names that comes once; both slots are names of the list. */
static void check_prompt(const isc_prior *p, const isc_text *x, bool words) {
  const char *a = slot(p, x, 0), *b = slot(p, x, 1);
  int n_a = words_equal(x->data, a), n_b = words_equal(x->data, b);
  cr_assert_str_neq(a, b);
  cr_assert_eq(n_a + n_b, 3, "%s", x->data);
  cr_assert(n_a == 1 || n_b == 1, "%s", x->data);
  const char *got = answer(p, x->data, x->len);
  cr_assert_eq(got[0], ' ');
  cr_assert_str_eq(got + 1, n_a == 1 ? a : b, "%s", x->data);
  cr_assert(x->len > 3 && strcmp(x->data + x->len - 3, " to") == 0, "%s", x->data);
  cr_assert_null(strchr(x->data, '['));
  cr_assert_null(strstr(x->data, "  "));
  for (const char *c = strpbrk(x->data, ",."); c; c = strpbrk(c + 1, ",."))
    cr_assert_eq(c[-1] == ' ', words, "%s", x->data);
}

Test(ioi, the_defaults_are_large_and_every_prompt_has_its_answer) {
  isc_prior p = opened("ioi", "");
  isc_text x = {0};
  /* 2·16 templates, ordered pairs of 120 names, 12 places, 12 objects */
  const int64_t n = 32LL * 120 * 119 * 12 * 12;
  cr_assert_eq(p.ops->support(p.self), n);
  cr_assert_eq(p.ops->count(p.self, ISC_TEST), (n + 9) / 10);
  for (int64_t i = 0; i < 3000; i++) {
    isc_assert_ok(p.ops->draw(p.self, i % 2 ? ISC_TEST : ISC_TRAIN, i, &x));
    check_prompt(&p, &x, false);
    cr_assert_float_eq(log_prob(&p, x.data), -log((double)n), 1e-12);
  }
  for (uint64_t i = 0; i < 3000; i++) {
    isc_rng r = isc_rng_at(5, ISC_RNG_USER, i);
    int64_t k = (int64_t)isc_rng_below(&r, (uint64_t)n);
    isc_assert_ok(p.ops->enumerate(p.self, k, &x));
    check_prompt(&p, &x, false);
  }
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

Test(ioi, spaced_prompts_are_words) {
  isc_prior p = opened("ioi", "spacing = \"words\"; n_names = 3; n_places = 1; n_objects = 1;");
  isc_text x = {0};
  cr_assert_eq(p.ops->support(p.self), 32 * 6);
  for (int64_t i = 0; i < 32 * 6; i++) {
    isc_assert_ok(p.ops->enumerate(p.self, i, &x));
    check_prompt(&p, &x, true);
  }
  check_splits(&p, 1000);
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

static void check_order(const char *options, bool object_first, int64_t support) {
  isc_prior p = opened("ioi", options);
  isc_text x = {0};
  cr_assert_eq(p.ops->support(p.self), support);
  for (int64_t i = 0; i < support; i++) {
    isc_assert_ok(p.ops->enumerate(p.self, i, &x));
    const char *object = answer(&p, x.data, x.len), *a = slot(&p, &x, 0), *b = slot(&p, &x, 1);
    const char *subject = strcmp(object + 1, a) == 0 ? b : a;
    cr_assert_eq(strstr(x.data, object) < strstr(x.data, subject), object_first, "%s", x.data);
  }
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

Test(ioi, the_order_says_who_is_named_first) {
  check_order("order = \"abba\"; n_templates = 15; n_names = 2; n_places = 1; n_objects = 2;", true,
              15 * 2 * 2);
  check_order("order = \"baba\"; n_templates = 2; n_names = 3; n_places = 2; n_objects = 1;", false,
              2 * 6 * 2);
}

Test(ioi, lists_replace_the_built_in_ones) {
  isc_prior p = opened("ioi", "names = [\"Sam\", \"Samuel\", \"Jo\"]; n_names = 2; places = "
                              "[\"moon\"]; objects = [\"car\"];"
                              "n_templates = 1;");
  isc_text x = {0};
  cr_assert_eq(p.ops->support(p.self), 2 * 2);
  for (int64_t i = 0; i < 4; i++) {
    isc_assert_ok(p.ops->enumerate(p.self, i, &x));
    check_prompt(&p, &x, false);
    cr_assert_not_null(strstr(x.data, "moon"));
    cr_assert_str_eq(slot(&p, &x, 3), "car");
  }
  cr_assert_eq(p.ops->slot_choices(p.self, 0), 2);
  cr_assert_str_eq(p.ops->slot_choice(p.self, 1, 1), "Samuel");
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

Test(ioi, what_is_not_of_the_prior_has_no_answer_and_no_probability) {
  isc_prior p = opened("ioi", "");
  isc_text x = {0};
  isc_assert_ok(p.ops->enumerate(p.self, 12345, &x));
  isc_assert_ok(isc_text_append(&x, " ", 1));
  cr_assert(log_prob(&p, x.data) == -INFINITY);
  cr_assert_str_eq(answer(&p, x.data, x.len), "");
  cr_assert_str_eq(answer(&p, "", 0), "");
  cr_assert_str_eq(answer(&p, "\xff\xfe", 2), "");
  cr_assert_str_eq(slot(&p, &x, 0), "");
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

static const char *template_file(const char *content) {
  static char options[1400];
  const char *dir = isc_test_dir("ioi");
  snprintf(options, sizeof options, "%s/templates.txt", dir);
  isc_assert_ok(isc_write_file(options, content, strlen(content)));
  snprintf(options, sizeof options,
           "file = \"%s/templates.txt\"; n_names = 3; n_places = 2; n_objects = 2;", dir);
  return options;
}

Test(ioi, a_file_of_published_form_is_taken_as_it_is) {
  isc_prior p = opened(
      "ioi", template_file("# a comment\r\n\n"
                           "So, [B] and [A] sat in the [PLACE]. [B] cut a [OBJECT] for [A]\r\n"
                           "  So, [A] and [B] sat in the [PLACE]. [B] cut a [OBJECT] for  \n"
                           "Now [A] saw [B], and [A] waved at [B]"));
  isc_text x = {0};
  /* 6 ordered pairs: two templates with place and object, one without */
  cr_assert_eq(p.ops->support(p.self), 6 * 4 * 2 + 6);
  for (int64_t i = 0; i < 54; i++) {
    isc_assert_ok(p.ops->enumerate(p.self, i, &x));
    const char *a = slot(&p, &x, 0), *b = slot(&p, &x, 1), *third = slot(&p, &x, 4);
    cr_assert_str_eq(answer(&p, x.data, x.len) + 1, strcmp(third, "2") == 0 ? b : a, "%s", x.data);
    cr_assert_neq(x.data[x.len - 1], ' ');
  }
  check_splits(&p, 100);
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

Test(ioi, wrong_settings_are_refused) {
  isc_prior p;
  static const struct {
    const char *options, *part;
  } bad[] = {{"n_templates = 17;", "has 16 ABBA and 16 BABA"},
             {"n_names = 121;", "there are 120 names"},
             {"names = [\"Ann\"];", "no text"},
             {"names = [\"Ann\", \"Ann\"];", "\"Ann\" is there twice"},
             {"n_names = 1;", "no text"},
             {"test_fraction = 1.0;", "test_fraction"},
             {"n_name = 3;", "n_names"},
             {"file = \"absent.txt\";", "absent.txt"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    isc_status st = isc_test_prior("ioi", bad[i].options, 1, &p);
    cr_assert(st == ISC_E_CONFIG || st == ISC_E_MISSING, "%s: %s", bad[i].options, isc_error());
    cr_assert(strstr(isc_error(), bad[i].part), "%s: %s", bad[i].options, isc_error());
  }
  isc_assert_fails(isc_test_prior("ioi", template_file("So [A] met [B]"), 1, &p), ISC_E_CONFIG,
                   "templates.txt:1: ");
  isc_assert_fails(isc_test_prior("ioi", template_file("[A] and [B] met. [B] waved to [B]"), 1, &p),
                   ISC_E_CONFIG, "templates.txt:1: ends with the subject");
  isc_assert_fails(isc_test_prior("ioi", template_file("[A], [B]: [B] hit [WHAT]"), 1, &p),
                   ISC_E_CONFIG, "[WHAT]");
  isc_assert_fails(isc_test_prior("ioi", template_file("# none\n"), 1, &p), ISC_E_CONFIG,
                   "no template");
}

Test(ioi, the_fingerprint_follows_what_decides_the_prompts) {
  isc_prior a = opened("ioi", ""), b = opened("ioi", "n_names = 119;"),
            c = opened("ioi", "n_names = 120;");
  char x[33], y[33], z[33];
  isc_assert_ok(a.ops->fingerprint(a.self, x));
  isc_assert_ok(b.ops->fingerprint(b.self, y));
  isc_assert_ok(c.ops->fingerprint(c.self, z));
  cr_assert_str_neq(x, y);
  cr_assert_str_eq(x, z);
  isc_test_prior_close(&a);
  isc_test_prior_close(&b);
  isc_test_prior_close(&c);
}

Test(ioi, a_failed_allocation_is_reported) {
  bool finished = false;
  isc_prior p = opened("ioi", ""); /* so that the plugin is loaded */
  isc_test_prior_close(&p);
  for (int64_t k = 1; !finished; k++) {
    isc_alloc_fail_at(k);
    isc_status st = isc_test_prior("ioi", "n_names = 3; n_templates = 2;", 1, &p);
    finished = isc_alloc_fail_at(0) < k;
    cr_assert_eq(st, finished ? ISC_OK : ISC_E_NOMEM, "allocation %d: %s", (int)k, isc_error());
    isc_test_prior_close(&p);
    cr_assert_lt(k, 5000);
  }
}

/* ---- addition */

Test(addition, the_defaults_are_all_pairs_of_three_digit_numbers) {
  isc_prior p = opened("addition", "");
  isc_text x = {0};
  cr_assert_eq(p.ops->support(p.self), 810000);
  cr_assert_eq(p.ops->max_bytes(p.self), 8);
  for (int64_t i = 0; i < 810000; i += 997) {
    long a, b;
    isc_assert_ok(p.ops->enumerate(p.self, i, &x));
    cr_assert_eq(sscanf(x.data, "%3ld+%3ld=", &a, &b), 2);
    cr_assert(x.len == 8 && a >= 100 && b >= 100, "%s", x.data);
    cr_assert_eq(atol(answer(&p, x.data, x.len)), a + b, "%s", x.data);
    cr_assert_float_eq(log_prob(&p, x.data), -log(810000.0), 1e-12);
  }
  cr_assert_str_eq(answer(&p, "294+289=", 8), "583");
  cr_assert_str_eq(answer(&p, "563+986=", 8), "1549");
  cr_assert(log_prob(&p, "099+289=") == -INFINITY);
  cr_assert(log_prob(&p, "294+289") == -INFINITY);
  cr_assert(log_prob(&p, "294+289==") == -INFINITY);
  cr_assert(log_prob(&p, "294-289=") == -INFINITY);
  cr_assert(log_prob(&p, "2x4+289=") == -INFINITY);
  cr_assert_str_eq(answer(&p, "2x4+289=", 8), "");
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

/* Digit k of a number, 0 being that of the ones. */
static long digit_of(long v, int k) {
  while (k-- > 0)
    v /= 10;
  return v % 10;
}

Test(addition, digits_are_slots) {
  isc_prior p = opened("addition", "answer_digits = 4;");
  static const char *const name[] = {"a1", "a2", "a3", "b1", "b2", "b3",
                                     "s1", "s2", "s3", "c1", "c2", "c3"};
  /* 4 + 7 = 11, 9 + 8 + 1 = 18, 2 + 5 + 1 = 8 */
  static const char *const value[] = {"2", "9", "4", "5", "8", "7", "8", "8", "1", "0", "1", "1"};
  isc_text x = {0};
  isc_assert_ok(isc_text_set(&x, "294+587=", 8));
  cr_assert_eq(p.ops->n_slots(p.self), 12);
  for (int64_t k = 0; k < 12; k++) {
    cr_assert_str_eq(p.ops->slot_name(p.self, k), name[k]);
    cr_assert_str_eq(slot(&p, &x, k), value[k], "%s", name[k]);
    cr_assert_eq(p.ops->slot_choices(p.self, k), k < 9 ? 10 : 2);
  }
  cr_assert_str_eq(p.ops->slot_choice(p.self, 0, 9), "9");
  cr_assert_str_eq(p.ops->slot_choice(p.self, 9, 1), "1");
  cr_assert_null(p.ops->slot_choice(p.self, 9, 2));
  cr_assert_str_eq(answer(&p, x.data, x.len), "0881");
  isc_assert_ok(isc_text_set(&x, "294+58=", 7));
  cr_assert_str_eq(slot(&p, &x, 0), "");
  cr_assert_str_eq(slot(&p, &x, 11), "");
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

/* By the numbers: digit k of the sum, and a carry where the digits up to k add up to more than they have room for. */
Test(addition, the_sum_and_its_carries_are_slots) {
  isc_prior p = opened("addition", "digits = 4; min = 0;");
  isc_text x = {0};
  for (int64_t i = 0; i < 2000; i++) {
    long a, b, room = 1;
    isc_assert_ok(p.ops->draw(p.self, ISC_TRAIN, i, &x));
    cr_assert_eq(sscanf(x.data, "%4ld+%4ld=", &a, &b), 2);
    for (int k = 0; k < 4; k++) {
      const int64_t column = 3 - k;
      room *= 10;
      cr_assert_eq(atol(slot(&p, &x, 8 + column)), digit_of(a + b, k), "%s", x.data);
      cr_assert_eq(atol(slot(&p, &x, 12 + column)), a % room + b % room >= room, "%s", x.data);
    }
  }
  isc_text_free(&x);
  isc_test_prior_close(&p);
}

Test(addition, ranges_and_digits_are_respected) {
  isc_prior p = opened("addition", "digits = 2; min = 8; max = 12;");
  isc_text x = {0};
  cr_assert_eq(p.ops->support(p.self), 25);
  isc_assert_ok(p.ops->enumerate(p.self, 0, &x));
  cr_assert_str_eq(x.data, "08+08=");
  isc_assert_ok(p.ops->enumerate(p.self, 24, &x));
  cr_assert_str_eq(x.data, "12+12=");
  check_splits(&p, 100);
  isc_test_prior_close(&p);
  p = opened("addition", "digits = 1;");
  cr_assert_eq(p.ops->support(p.self), 100);
  isc_test_prior_close(&p);
  p = opened("addition", "digits = 9;");
  cr_assert_eq(p.ops->support(p.self), 900000000LL * 900000000LL);
  isc_assert_ok(p.ops->draw(p.self, ISC_TRAIN, 0, &x));
  cr_assert_eq(x.len, 20);
  isc_test_prior_close(&p);
  isc_assert_fails(isc_test_prior("addition", "min = 500; max = 400;", 1, &p), ISC_E_CONFIG,
                   "500 … 400");
  isc_assert_fails(isc_test_prior("addition", "max = 1000;", 1, &p), ISC_E_CONFIG, "3-digit");
  isc_assert_fails(isc_test_prior("addition", "min = 7; max = 7;", 1, &p), ISC_E_CONFIG,
                   "nothing to train on");
  isc_text_free(&x);
}

/* ---- text */

static const char *text_file(const char *content, size_t len) {
  static char options[1400];
  const char *dir = isc_test_dir("text");
  snprintf(options, sizeof options, "%s/lines.txt", dir);
  isc_assert_ok(isc_write_file(options, content, len));
  snprintf(options, sizeof options, "path = \"%s/lines.txt\"; test_fraction = 0.3;", dir);
  return options;
}

Test(text, distinct_lines_are_equally_likely) {
  static const char lines[] = "\xef\xbb\xbf"
                              "b\r\na\n\n\r\nb\n a\nc d\na\r\nlast";
  isc_prior p = opened("text", text_file(lines, sizeof lines - 1));
  cr_assert_eq(p.ops->support(p.self), 5);
  check_splits(&p, 5);
  cr_assert_eq(p.ops->max_bytes(p.self), 4);
  cr_assert_float_eq(log_prob(&p, "last"), -log(5.0), 1e-15);
  cr_assert_float_eq(log_prob(&p, " a"), -log(5.0), 1e-15);
  cr_assert(log_prob(&p, "") == -INFINITY);
  cr_assert(log_prob(&p, "c") == -INFINITY);
  cr_assert(log_prob(&p, "c d ") == -INFINITY);
  cr_assert_eq(p.ops->count(p.self, ISC_TEST), 2);
  isc_test_prior_close(&p);
}

Test(text, the_order_of_the_lines_changes_nothing) {
  char x[33], y[33];
  isc_prior p = opened("text", text_file("a\nb\nc\nb\n", 8));
  isc_assert_ok(p.ops->fingerprint(p.self, x));
  isc_test_prior_close(&p);
  p = opened("text", text_file("c\nb\na", 5));
  isc_assert_ok(p.ops->fingerprint(p.self, y));
  isc_test_prior_close(&p);
  cr_assert_str_eq(x, y);
  p = opened("text", text_file("c\nbc\na", 6));
  isc_assert_ok(p.ops->fingerprint(p.self, y));
  isc_test_prior_close(&p);
  cr_assert_str_neq(x, y);
}

Test(text, bad_files_are_refused) {
  isc_prior p;
  isc_assert_fails(isc_test_prior("text", text_file("a\nb\xff\n", 5), 1, &p), ISC_E_FORMAT,
                   "lines.txt:2");
  isc_assert_fails(isc_test_prior("text", text_file("a\nb\n\0\n", 6), 1, &p), ISC_E_FORMAT,
                   "lines.txt:3");
  isc_assert_fails(isc_test_prior("text", text_file("\n\r\n", 3), 1, &p), ISC_E_FORMAT, "no lines");
  isc_assert_fails(isc_test_prior("text", text_file("", 0), 1, &p), ISC_E_FORMAT, "no lines");
  isc_assert_fails(isc_test_prior("text", text_file("a\n", 2), 1, &p), ISC_E_CONFIG,
                   "nothing to train on");
  isc_assert_fails(isc_test_prior("text", "", 1, &p), ISC_E_CONFIG, "path");
}
