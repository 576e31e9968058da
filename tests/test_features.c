/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the shipped features, on the prior's texts and on hostile ones.
 *
 * On the prior the labels are checked against its slots and answers; outside it, against labels written
 * out by hand.
 */
#include "support.h"
#include "support_plugin.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

static isc_test_feature feature(const char *name, const char *options, const isc_prior *p) {
  isc_test_feature f;
  isc_assert_ok(isc_test_feature_open(name, options, p, &f));
  return f;
}

static void label_is(const isc_test_feature *f, const char *text, const char *want) {
  cr_assert_str_eq(isc_test_label(f, text, strlen(text)), want, "%s", text);
}

/* Texts no feature may stumble over; the last is megabytes of names. */
static void survive(const isc_test_feature *f) {
  static const char odd[] = "\xff\xfe\0Ann\x80 Bob\xed\xa0\x80";
  const size_t big = 4 << 20;
  char *text = malloc(big);
  isc_test_label(f, "", 0);
  isc_test_label(f, odd, sizeof odd - 1);
  for (size_t i = 0; i < big; i++)
    text[i] = "Ann Bob "[i % 8];
  isc_test_label(f, text, big);
  memset(text, 'A', big);
  isc_test_label(f, text, big);
  memset(text, 0xC3, big);
  isc_test_label(f, text, big);
  free(text);
}

Test(ioi_features, they_are_the_answer_and_the_other_name) {
  isc_prior p;
  isc_text x = {0}, y = {0};
  isc_assert_ok(isc_test_prior("ioi", "n_names = 5; n_places = 2; n_objects = 1;", 1, &p));
  isc_test_feature object = feature("ioi-object", "", &p), subject = feature("ioi-subject", "", &p);
  for (int64_t i = 0; i < p.ops->support(p.self); i++) {
    isc_assert_ok(p.ops->enumerate(p.self, i, &x));
    isc_assert_ok(p.ops->answer(p.self, x.data, x.len, &y));
    label_is(&object, x.data, y.data + 1);
    isc_assert_ok(p.ops->slot(p.self, x.data, x.len, 0, &y));
    bool a_is_object = strcmp(isc_test_label(&object, x.data, x.len), y.data) == 0;
    isc_assert_ok(p.ops->slot(p.self, x.data, x.len, a_is_object ? 1 : 0, &y));
    label_is(&subject, x.data, y.data);
  }
  isc_test_feature_close(&object);
  isc_test_feature_close(&subject);
  isc_test_prior_close(&p);
  isc_text_free(&x);
  isc_text_free(&y);
}

Test(ioi_features, texts_outside_the_prior_are_judged_by_the_same_rule) {
  isc_test_feature object = feature(
      "ioi-object", "names = [\"Ann\", \"Anna\", \"Bob\", \"Bob\", \"Zo\\xc3\\xab\"];", NULL);
  isc_test_feature subject =
      feature("ioi-subject", "names = [\"Ann\", \"Anna\", \"Bob\", \"Zo\\xc3\\xab\"];", NULL);
  static const struct {
    const char *text, *object, *subject;
  } cases[] = {
      {"Ann and Bob. Bob gave to", "Ann", "Bob"},
      {"Bob,Ann;Bob", "Ann", "Bob"},
      {"Bob's Ann (Bob)", "Ann", "Bob"},
      {"Zo\xc3\xab saw Ann and Zo\xc3\xab", "Ann", "Zo\xc3\xab"},
      {"Ann and Bobby and Bob, Bob", "Ann", "Bob"},
      {"Ann and Anna and Ann", "Anna", "Ann"},
      {"Ann and Carl. Ann", "", ""},
      {"Ann and Bob", "", ""},
      {"Ann Ann", "", ""},
      {"Ann Ann Ann", "", ""},
      {"Ann Ann Bob Bob", "", ""},
      {"Ann Ann Ann Bob", "", ""},
      {"Ann Bob Bob Anna", "", ""},
      {"ann bob bob", "", ""},
      {"AnnBobBob", "", ""},
      {"", "", ""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    label_is(&object, cases[i].text, cases[i].object);
    label_is(&subject, cases[i].text, cases[i].subject);
  }
  cr_assert_str_eq(isc_test_label(&object, "Ann\0Bob\0Bob", 11), "Ann",
                   "NUL separates like any control");
  survive(&object);
  survive(&subject);
  isc_test_feature_close(&object);
  isc_test_feature_close(&subject);
}

Test(ioi_features, names_must_be_known_and_words) {
  isc_prior p;
  isc_test_feature f;
  isc_assert_ok(isc_test_prior("addition", "", 1, &p));
  isc_assert_fails(
      isc_test_feature_open("ioi-object", "", &p, &f), ISC_E_CONFIG,
      "the prior addition has no slot A that lists its values; give the option \"names\"");
  isc_assert_fails(isc_test_feature_open("ioi-subject", "", NULL, &f), ISC_E_CONFIG, "(none)");
  isc_assert_fails(isc_test_feature_open("ioi-object", "names = [\"Mary Ann\"];", &p, &f),
                   ISC_E_CONFIG, "\"Mary Ann\" is not one word");
  isc_test_prior_close(&p);
}

Test(slot_feature, it_is_the_value_of_the_slot) {
  isc_prior p;
  isc_text x = {0}, want = {0};
  isc_assert_ok(isc_test_prior("ioi", "n_names = 4; n_places = 3;", 1, &p));
  isc_test_feature place = feature("slot", "slot = \"PLACE\";", &p),
                   number = feature("slot", "slot = \"template\";", &p);
  for (int64_t i = 0; i < 500; i++) {
    isc_assert_ok(p.ops->draw(p.self, ISC_TEST, i, &x));
    isc_assert_ok(p.ops->slot(p.self, x.data, x.len, 2, &want));
    cr_assert(want.len > 0 && strstr(x.data, want.data));
    label_is(&place, x.data, want.data);
    isc_assert_ok(p.ops->slot(p.self, x.data, x.len, 4, &want));
    cr_assert(atoi(want.data) >= 0 && atoi(want.data) < 32 && want.len > 0);
    label_is(&number, x.data, want.data);
  }
  label_is(&place, "The market is closed to", "");
  cr_assert_str_eq(place.ops->slot(place.self), "PLACE");
  survive(&place);
  isc_test_feature f;
  isc_assert_fails(isc_test_feature_open("slot", "slot = \"place\";", &p, &f), ISC_E_CONFIG,
                   "no slot \"place\"; it has A, B, PLACE, OBJECT, template");
  isc_test_feature_close(&place);
  isc_test_feature_close(&number);
  isc_test_prior_close(&p);
  isc_text_free(&x);
  isc_text_free(&want);
}

Test(slot_feature, digits_of_an_addition_are_slots) {
  isc_prior p;
  isc_assert_ok(isc_test_prior("addition", "", 1, &p));
  isc_test_feature f = feature("slot", "slot = \"b2\";", &p);
  label_is(&f, "294+587=", "8");
  label_is(&f, "294+58=", "");
  isc_test_feature_close(&f);
  isc_test_prior_close(&p);
}

Test(regex_feature, it_captures_or_says_match) {
  isc_test_feature f = feature("regex", "pattern = \"gave a (\\\\w+)( big)?\"; group = 1;", NULL);
  label_is(&f, "Ann gave a ring to", "ring");
  label_is(&f, "Ann took a ring", "");
  isc_test_feature_close(&f);
  f = feature("regex", "pattern = \"gave a (\\\\w+)( big)?\"; group = 2; otherwise = \"no\";",
              NULL);
  label_is(&f, "Ann gave a ring to", "");
  label_is(&f, "Ann took a ring", "no");
  isc_test_feature_close(&f);
  f = feature("regex", "pattern = \"^\\\\d+\"; group = 0;", NULL);
  label_is(&f, "294+587=", "294");
  isc_test_feature_close(&f);
  f = feature("regex", "pattern = \"\\xc3\\xa9T\"; ignore_case = true;", NULL);
  label_is(&f, "\xc3\x89t\xc3\xa9", "match");
  label_is(&f, "ete", "");
  cr_assert_str_eq(isc_test_label(&f, "\xff\xc3\xa9t", 4), "", "not UTF-8: no label");
  survive(&f);
  isc_test_feature_close(&f);
  f = feature("regex", "pattern = \"x*\";", NULL);
  label_is(&f, "", "match");
  isc_test_feature_close(&f);
}

Test(regex_feature, patterns_and_searches_that_go_wrong_are_errors) {
  isc_test_feature f;
  isc_text out = {0};
  char text[64];
  isc_assert_fails(isc_test_feature_open("regex", "pattern = \"a(b\";", NULL, &f), ISC_E_CONFIG,
                   "parenthesis");
  isc_assert_fails(isc_test_feature_open("regex", "pattern = \"a(b)\"; group = 2;", NULL, &f),
                   ISC_E_CONFIG, "1 groups");
  isc_assert_fails(isc_test_feature_open("regex", "pattern = \"\\\\C\";", NULL, &f), ISC_E_CONFIG,
                   "\\C");
  isc_assert_fails(isc_test_feature_open("regex", "", NULL, &f), ISC_E_CONFIG, "pattern");
  f = feature("regex", "pattern = \"^(a+)+$\";", NULL); /* 2^40 ways to fail */
  memset(text, 'a', 40);
  text[40] = 'b';
  isc_assert_fails(f.ops->label(f.self, text, 41, &out), ISC_E_UNSUPPORTED,
                   "given up: match limit");
  isc_test_feature_close(&f);
  isc_text_free(&out);
}
