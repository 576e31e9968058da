/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about template priors: addressing, splits, probabilities, and parsing back.
 *
 * Counts are compared with closed forms, and parsing with a search through everything enumerated.
 */
#include "support.h"
#include "base/base.h"
#include <inversescope/rng.h>
#include <inversescope/template.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) ((int64_t)(sizeof(a) / sizeof *(a)))

static const char *const names[] = {"Sam", "Samuel", "S", "Ann", "Anna"};
static const char *const places[] = {"park", "parking lot", "bar"};
static const isc_template_slot slots[] = {
    {"A", names, 5, NULL}, {"B", names, 5, "A"}, {"PLACE", places, 3, NULL}};
static const char *const three[] = {"[B] and [A] met at the [PLACE], and [B] gave it to",
                                    "So [A] left", "Then [A][B] said"};

static isc_template_spec spec_of(const char *const *templates, int64_t n) {
  return (isc_template_spec){.size = sizeof(isc_template_spec),
                             .templates = templates,
                             .n_templates = n,
                             .slots = slots,
                             .n_slots = 3,
                             .test_fraction = 0.25,
                             .seed = 7};
}

static isc_template *made(const isc_template_spec *spec) {
  isc_template *t;
  isc_assert_ok(isc_template_new(spec, &t));
  return t;
}

static void refused(isc_template_spec spec, const char *part) {
  isc_template *t;
  isc_assert_fails(isc_template_new(&spec, &t), ISC_E_CONFIG, part);
  cr_assert_null(t);
}

static int64_t parse(isc_template *t, const char *text) {
  return isc_template_parse(t, text, strlen(text));
}

static const char *value(isc_template *t, const char *text, int64_t k) {
  static isc_text out;
  isc_assert_ok(isc_template_slot_value(t, text, strlen(text), k, &out));
  return out.data;
}

Test(templates, every_text_is_distinct_and_parses_back_to_its_index) {
  isc_template_spec spec = spec_of(three, 2);
  isc_template *t = made(&spec);
  /* 5·4 ordered pairs of names at 3 places, and 5 names */
  const int64_t n = 5 * 4 * 3 + 5;
  char *all[65];
  isc_text x = {0};
  double lp, total = 0;
  cr_assert_eq(isc_template_support(t), n);
  for (int64_t i = 0; i < n; i++) {
    isc_assert_ok(isc_template_enumerate(t, i, &x));
    cr_assert_eq(isc_template_parse(t, x.data, x.len), i, "%s", x.data);
    isc_assert_ok(isc_template_log_prob(t, x.data, x.len, &lp));
    total += exp(lp);
    all[i] = strdup(x.data);
    for (int64_t k = 0; k < i; k++)
      cr_assert_str_neq(all[k], all[i]);
  }
  cr_assert_float_eq(total, 1.0, 1e-12); /* 65 terms of relative error 1e-16 each */
  isc_assert_fails(isc_template_enumerate(t, n, &x), ISC_E_USAGE, "no number 65");
  isc_assert_fails(isc_template_enumerate(t, -1, &x), ISC_E_USAGE, "no number -1");
  for (int64_t i = 0; i < n; i++)
    free(all[i]);
  isc_text_free(&x);
  isc_template_free(t);
}

Test(templates, texts_of_other_kinds_have_no_index_and_no_probability) {
  isc_template_spec spec = spec_of(three, 2);
  isc_template *t = made(&spec);
  double lp;
  cr_assert_geq(parse(t, "Sam and Samuel met at the park, and Sam gave it to"), 0);
  cr_assert_eq(parse(t, "Sam and Sam met at the park, and Sam gave it to"), -1, "B differs from A");
  cr_assert_eq(parse(t, "Sam and Ann met at the park, and Ann gave it to"), -1, "B is one name");
  cr_assert_eq(parse(t, "Sam and Bob met at the park, and Sam gave it to"), -1);
  cr_assert_eq(parse(t, "So Sam left."), -1);
  cr_assert_eq(parse(t, "So Sam lef"), -1);
  cr_assert_eq(parse(t, ""), -1);
  cr_assert_eq(isc_template_parse(t, "So Sam\0left", 11), -1);
  isc_assert_ok(isc_template_log_prob(t, "So", 2, &lp));
  cr_assert(lp == -INFINITY);
  cr_assert_str_eq(value(t, "So", 0), "");
  isc_template_free(t);
}

/* Every one-character change of every text is in the support exactly when a search finds it there. */
Test(templates, parsing_agrees_with_a_search) {
  isc_template_spec spec = spec_of(three, 2);
  isc_template *t = made(&spec);
  isc_text x = {0};
  char all[65][80], y[80];
  for (int64_t i = 0; i < 65; i++) {
    isc_assert_ok(isc_template_enumerate(t, i, &x));
    snprintf(all[i], sizeof all[i], "%s", x.data);
  }
  for (int64_t i = 0; i < 65; i++)
    for (size_t at = 0; at < strlen(all[i]); at++)
      for (const char *c = "Saneul "; *c; c++) {
        int64_t want = -1;
        strcpy(y, all[i]);
        y[at] = *c;
        for (int64_t k = 0; k < 65; k++)
          if (strcmp(all[k], y) == 0) want = k;
        cr_assert_eq(parse(t, y), want, "%s", y);
      }
  isc_text_free(&x);
  isc_template_free(t);
}

Test(templates, slots_are_read_from_the_text) {
  isc_template_spec spec = spec_of(three, 2);
  isc_template *t = made(&spec);
  const char *x = "Samuel and S met at the parking lot, and Samuel gave it to";
  cr_assert_eq(isc_template_n_slots(t), 4);
  cr_assert_str_eq(isc_template_slot_name(t, 1), "B");
  cr_assert_str_eq(isc_template_slot_name(t, 3), "template");
  cr_assert_null(isc_template_slot_name(t, 4));
  cr_assert_str_eq(value(t, x, 0), "S");
  cr_assert_str_eq(value(t, x, 1), "Samuel");
  cr_assert_str_eq(value(t, x, 2), "parking lot");
  cr_assert_str_eq(value(t, x, 3), "0");
  cr_assert_str_eq(value(t, "So Ann left", 3), "1");
  cr_assert_str_eq(value(t, "So Ann left", 0), "Ann");
  cr_assert_str_eq(value(t, "So Ann left", 2), "", "the template lacks the slot");
  cr_assert_eq(isc_template_slot_choices(t, 2), 3);
  cr_assert_str_eq(isc_template_slot_choice(t, 2, 1), "parking lot");
  cr_assert_null(isc_template_slot_choice(t, 2, 3));
  cr_assert_eq(isc_template_slot_choices(t, 3), 2);
  cr_assert_str_eq(isc_template_slot_choice(t, 3, 1), "1");
  isc_text out = {0};
  isc_assert_fails(isc_template_slot_value(t, x, 3, 4, &out), ISC_E_USAGE, "no slot");
  isc_template_free(t);
}

/* The bound takes the longest value of each slot, A's too, though A and B differ: 2 bytes more than "Anna". */
Test(templates, no_text_is_longer_than_the_bound) {
  isc_template_spec spec = spec_of(three, 2);
  isc_template *t = made(&spec);
  isc_text x = {0};
  size_t longest = 0;
  for (int64_t i = 0; i < isc_template_support(t); i++) {
    isc_assert_ok(isc_template_enumerate(t, i, &x));
    longest = x.len > longest ? x.len : longest;
  }
  cr_assert_eq(longest, strlen("Samuel and Anna met at the parking lot, and Samuel gave it to"));
  cr_assert_eq(isc_template_max_bytes(t), (int64_t)longest + 2);
  isc_text_free(&x);
  isc_template_free(t);
}

Test(templates, train_and_test_cut_the_support_in_two) {
  isc_template_spec spec = spec_of(three, 2);
  isc_template *t = made(&spec);
  isc_text x = {0};
  bool seen[65] = {false};
  int64_t in_order = 0;
  /* ⌈65/4⌉ = 17 */
  cr_assert_eq(isc_template_count(t, ISC_TEST), 17);
  cr_assert_eq(isc_template_count(t, ISC_TRAIN), 48);
  for (int split = 0; split < 2; split++)
    for (int64_t i = 0; i < isc_template_count(t, (isc_split)split); i++) {
      isc_assert_ok(isc_template_draw(t, (isc_split)split, i, &x));
      int64_t k = isc_template_parse(t, x.data, x.len);
      cr_assert(k >= 0 && !seen[k], "drawn twice: %s", x.data);
      seen[k] = true;
      in_order += k == i;
    }
  cr_assert_lt(in_order, 20, "the order is shuffled");
  isc_assert_fails(isc_template_draw(t, ISC_TEST, 17, &x), ISC_E_USAGE, "no number 17");
  isc_text_free(&x);
  isc_template_free(t);
}

Test(templates, the_order_depends_on_the_seed_and_the_fingerprint_on_everything) {
  isc_template_spec spec = spec_of(three, 2);
  isc_template *t = made(&spec), *u;
  isc_text x = {0}, y = {0};
  char a[33], b[33];
  int64_t same = 0;
  isc_assert_ok(isc_template_fingerprint(t, a));
  u = made(&spec);
  isc_assert_ok(isc_template_fingerprint(u, b));
  cr_assert_str_eq(a, b);
  isc_template_free(u);
  spec.seed = 8;
  u = made(&spec);
  for (int64_t i = 0; i < 17; i++) {
    isc_assert_ok(isc_template_draw(t, ISC_TEST, i, &x));
    isc_assert_ok(isc_template_draw(u, ISC_TEST, i, &y));
    same += strcmp(x.data, y.data) == 0;
  }
  cr_assert_lt(same, 5);
  isc_assert_ok(isc_template_fingerprint(u, b));
  cr_assert_str_neq(a, b);
  isc_template_free(u);
  spec = spec_of(three, 2);
  spec.test_fraction = 0.3;
  u = made(&spec);
  isc_assert_ok(isc_template_fingerprint(u, b));
  cr_assert_str_neq(a, b);
  isc_template_free(u);
  spec = spec_of(three, 1);
  u = made(&spec);
  isc_assert_ok(isc_template_fingerprint(u, b));
  cr_assert_str_neq(a, b);
  isc_template_free(u);
  isc_template_free(t);
  isc_text_free(&x);
  isc_text_free(&y);
}

/* "abc" is "a" + "bc" and "ab" + "c". */
Test(templates, a_text_that_can_be_made_twice_is_refused_and_shown) {
  static const char *const heads[] = {"a", "ab"}, *const tails[] = {"c", "bc"};
  static const isc_template_slot two[] = {{"A", heads, 2, NULL}, {"B", tails, 2, NULL}};
  static const char *const glued[] = {"[A][B]"}, *const apart[] = {"[A]-[B]"};
  isc_template_spec spec = spec_of(glued, 1);
  spec.slots = two;
  spec.n_slots = 2;
  refused(spec, "the text \"abc\" can be made in two ways");
  spec.templates = apart;
  isc_template_free(made(&spec));
  static const char *const same[] = {"So [A] left", "So [B] left"};
  refused(spec_of(same, 2), "by templates 0 and 1");
}

Test(templates, a_shorter_value_is_tried_when_the_longer_does_not_fit) {
  isc_template_spec spec = spec_of(three, 3);
  isc_template *t = made(&spec);
  cr_assert_str_eq(value(t, "Then SSam said", 0), "S");
  cr_assert_str_eq(value(t, "Then SSam said", 1), "Sam");
  cr_assert_str_eq(value(t, "Then SamSamuel said", 0), "Sam");
  cr_assert_str_eq(value(t, "Then SamuelS said", 0), "Samuel");
  cr_assert_eq(parse(t, "Then SamSam said"), -1);
  isc_template_free(t);
}

Test(templates, slots_with_other_lists_may_differ_too) {
  static const char *const others[] = {"Bob", "Eve"};
  static const isc_template_slot two[] = {{"A", names, 5, NULL}, {"B", others, 2, "A"}};
  static const char *const one[] = {"[A] [B]"};
  isc_template_spec spec = spec_of(one, 1);
  spec.slots = two;
  spec.n_slots = 2;
  isc_template *t = made(&spec);
  cr_assert_eq(isc_template_support(t), 10);
  isc_template_free(t);
  static const char *const mixed[] = {"Bob", "Ann"};
  const isc_template_slot bad[] = {{"A", names, 5, NULL}, {"B", mixed, 2, "A"}};
  spec.slots = bad;
  refused(spec, "share some values but not all");
}

Test(templates, broken_specs_are_refused) {
  static const char *const values[] = {"x", "x"}, *const empty[] = {""};
  static const struct {
    const char *text, *part;
  } bad[] = {{"So [C] left", "there is no slot [C]"},
             {"So [A left", "there is no slot [A left"},
             {"So [] left", "there is no slot []"},
             {"", "empty"},
             {"\xff [A]", "not UTF-8"},
             {"So left", "nothing to"}};
  for (int64_t i = 0; i < COUNT(bad); i++) {
    const char *const one[] = {bad[i].text};
    refused(spec_of(one, 1), bad[i].part);
  }
  isc_template_spec spec = spec_of(three, 0);
  refused(spec, "no templates");
  spec = spec_of(three, 1);
  spec.n_slots = 1;
  const struct {
    isc_template_slot slot;
    const char *part;
  } bad_slot[] = {{{"A", values, 2, NULL}, "\"x\" is there twice"},
                  {{"A", values, 0, NULL}, "no values"},
                  {{"A", empty, 1, NULL}, "empty"},
                  {{"template", values, 1, NULL}, "cannot name"},
                  {{"", values, 1, NULL}, "cannot name"},
                  {{"A", values, 1, "B"}, "not an earlier slot"}};
  for (int64_t i = 0; i < COUNT(bad_slot); i++) {
    spec.slots = &bad_slot[i].slot;
    refused(spec, bad_slot[i].part);
  }
  spec = spec_of(three, 2);
  spec.test_fraction = 0;
  refused(spec, "nothing to test on");
  spec.test_fraction = 1;
  refused(spec, "nothing to train on");
  spec.test_fraction = NAN;
  refused(spec, "nothing to test on");
}

Test(templates, a_slot_without_a_value_left_and_too_many_texts_are_refused) {
  static const char *const one_name[] = {"Ann"};
  static const isc_template_slot two[] = {{"A", one_name, 1, NULL}, {"B", one_name, 1, "A"}};
  isc_template_spec spec = spec_of(three, 1);
  spec.slots = two;
  spec.n_slots = 2;
  static const char *const pair[] = {"[A] [B]"};
  spec.templates = pair;
  refused(spec, "makes no text");

  isc_template_slot many[40];
  char slot_names[40][16], text[300] = "";
  for (int i = 0; i < 40; i++) {
    snprintf(slot_names[i], sizeof slot_names[i], "s%d", i);
    many[i] = (isc_template_slot){slot_names[i], names, 3, NULL};
    snprintf(text + strlen(text), sizeof text - strlen(text), "[%s]-", slot_names[i]);
  }
  const char *const wide[] = {text};
  spec.templates = wide;
  spec.slots = many;
  spec.n_slots = 40;
  refused(spec, "more texts than can be counted"); /* 3^40 > 2^63 */
}

/* 10^12 texts: nothing may take time or memory that grows with them. */
Test(templates, a_large_support_is_sampled_not_listed) {
  static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  isc_template_slot twelve[12];
  char slot_names[12][16], text[100] = "";
  for (int i = 0; i < 12; i++) {
    snprintf(slot_names[i], sizeof slot_names[i], "d%d", i);
    twelve[i] = (isc_template_slot){slot_names[i], digits, 10, NULL};
    snprintf(text + strlen(text), sizeof text - strlen(text), "[%s]", slot_names[i]);
  }
  const char *const one[] = {text};
  isc_template_spec spec = spec_of(one, 1);
  isc_text x = {0};
  spec.slots = twelve;
  spec.n_slots = 12;
  isc_template *t = made(&spec);
  cr_assert_eq(isc_template_support(t), 1000000000000);
  cr_assert_eq(isc_template_count(t, ISC_TEST), 250000000000);
  for (uint64_t i = 0; i < 2000; i++) {
    isc_rng r = isc_rng_at(1, ISC_RNG_USER, i);
    int64_t k = (int64_t)isc_rng_below(&r, 1000000000000);
    char want[20];
    isc_assert_ok(isc_template_enumerate(t, k, &x));
    snprintf(want, sizeof want, "%012lld", (long long)k);
    cr_assert_str_eq(x.data, want, "the digits of the address are the digits");
    cr_assert_eq(isc_template_parse(t, x.data, x.len), k);
  }
  isc_text_free(&x);
  isc_template_free(t);
}

Test(templates, a_failed_allocation_is_reported) {
  isc_template_spec spec = spec_of(three, 3);
  bool finished = false;
  for (int64_t k = 1; !finished; k++) {
    isc_template *t;
    isc_alloc_fail_at(k);
    isc_status st = isc_template_new(&spec, &t);
    finished = isc_alloc_fail_at(0) < k;
    cr_assert_eq(st, finished ? ISC_OK : ISC_E_NOMEM, "allocation %d: %s", (int)k, isc_error());
    isc_template_free(t);
    cr_assert_lt(k, 500);
  }
}
