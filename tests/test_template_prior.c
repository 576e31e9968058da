/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about template priors as a plugin describes them: lists, templates, answers, groups, the user's options.
 *
 * Texts and counts are written out by hand.
 */
#include "support.h"
#include "base/base.h"
#include <inversescope/template_prior.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const cities[] = {"Oslo", "Lima", "Rome", NULL};
static const char *const words[] = {"is in", "lies in", NULL};
static const char *const lands[] = {"Norway", "Peru", NULL};

typedef struct conf {
  isc_template_conf templates;
  isc_template_list_conf cities;
} conf;

static const isc_prior_ops ops = ISC_TEMPLATE_PRIOR_OPS(NULL, isc_template_answer);

/* Half of the texts are for testing, so that two texts are enough. */
static conf plain(void) {
  return (conf){.templates = {.test_fraction = 0.5}};
}

static isc_status opened(const conf *c, const char *const *templates,
                         isc_status (*read)(const char *, isc_template_reading *), int64_t group,
                         void **self) {
  static const char *const groups[] = {"short", "long", NULL};
  const isc_template_list lists[] = {
      {ISC_TEMPLATE_LIST("CITY", cities, c, cities)},
      {.slot = "VERB", .what = "verbs", .values = words},
      {.slot = "LAND", .values = lands, .answers = true},
  };
  const isc_template_prior_spec spec = {
      ISC_TEMPLATE_PRIOR("places", &c->templates, templates, lists, 1), .percent_s = "CITY",
      .read = read, .groups = read ? groups : NULL, .group = group};
  *self = NULL;
  return isc_template_prior_open(&spec, self);
}

static void *made(const conf *c, const char *const *templates) {
  void *t;
  isc_assert_ok(opened(c, templates, NULL, 0, &t));
  return t;
}

static void text_is(void *t, int64_t i, const char *want, const char *answer) {
  isc_text x = {0}, y = {0};
  isc_assert_ok(ops.enumerate(t, i, &x));
  cr_assert_str_eq(x.data, want);
  isc_assert_ok(ops.answer(t, x.data, x.len, &y));
  cr_assert_str_eq(y.data, answer, "%s", x.data);
  isc_text_free(&x);
  isc_text_free(&y);
}

static void refused(const conf *c, const char *const *templates, const char *part) {
  void *t;
  isc_assert_fails(opened(c, templates, NULL, 0, &t), ISC_E_CONFIG, part);
  cr_assert_null(t);
}

Test(template_prior, the_slot_at_the_end_is_the_answer) {
  static const char *const two[] = {"In [LAND], %s [VERB] [LAND]", "[LAND] has %s:[LAND]", NULL};
  const conf c = plain();
  void *t = made(&c, two);
  cr_assert_eq(ops.support(t), 2 * 2 * 3 + 2 * 3);
  text_is(t, 0, "In Norway, Oslo is in", " Norway");
  text_is(t, 1, "In Peru, Oslo is in", " Peru");
  text_is(t, 11, "In Peru, Rome lies in", " Peru");
  text_is(t, 12, "Norway has Oslo:", "Norway"); /* glued to the text, and so without a space */
  isc_text out = {0};
  isc_assert_ok(ops.answer(t, "Oslo", 4, &out));
  cr_assert_str_eq(out.data, "");
  isc_text_free(&out);
  ops.close(t);
}

/* CITY may not be an answer, so it stays where it is; nothing follows from such a text. */
Test(template_prior, other_slots_at_the_end_are_part_of_the_text) {
  static const char *const one[] = {"  Go to [CITY] ", NULL};
  const conf c = plain();
  void *t = made(&c, one);
  text_is(t, 2, "Go to Rome", "");
  ops.close(t);
}

Test(template_prior, an_answer_that_is_nowhere_in_the_text_is_refused) {
  static const char *const one[] = {"%s [VERB] [LAND]", NULL};
  const conf c = plain();
  refused(&c, one, "\"[CITY] [VERB]\" does not hold [LAND]");
}

Test(template_prior, users_lists_and_counts_are_kept_to) {
  static const char *const one[] = {"I like %s, you know. Or not!", NULL};
  static const char *const own[] = {"Bern", "Rome", "Kyiv"};
  conf c = plain();
  c.cities.n = 2;
  void *t = made(&c, one);
  cr_assert_eq(ops.support(t), 2);
  ops.close(t);
  c.cities.own = (isc_list){.count = 3, .at.s = own};
  c.cities.n = 0;
  c.templates.spacing = 1;
  t = made(&c, one);
  cr_assert_eq(ops.support(t), 3);
  text_is(t, 2, "I like Kyiv , you know . Or not !", "");
  ops.close(t);
  c.cities.n = 4;
  refused(&c, one, "prior places: n_cities = 4, but there are 3 cities");
  c.cities.n = 0;
  c.templates.n_templates = 2;
  refused(&c, one, "n_templates = 2, but the built-in set has 1 templates");
}

static isc_status by_length(const char *text, isc_template_reading *out) {
  if (strchr(text, '?')) return isc_fail(ISC_E_CONFIG, "asks");
  out->group = strlen(text) > 10;
  out->answer = strstr(text, "[VERB]") ? "VERB" : NULL;
  return ISC_OK;
}

Test(template_prior, a_plugin_reads_groups_and_answers_off_its_templates) {
  static const char *const four[] = {"A %s", "A city is %s", "A city [VERB] [LAND] so ", "B %s",
                                     NULL};
  static const char *const bad[] = {"A %s", "Is it %s?", NULL};
  conf c = plain();
  void *t;
  isc_assert_ok(opened(&c, four, by_length, -1, &t));
  cr_assert_eq(ops.support(t), 3 + 3 + 4 + 3);
  text_is(t, 3 + 3, "A city is in Norway so", " is in");
  text_is(t, 3 + 3 + 4, "B Oslo", "");
  ops.close(t);
  c.templates.n_templates = 1;
  isc_assert_ok(opened(&c, four, by_length, -1, &t));
  cr_assert_eq(ops.support(t), 3 + 3, "the first of each group");
  ops.close(t);
  c.templates.n_templates = 0;
  isc_assert_ok(opened(&c, four, by_length, 1, &t));
  cr_assert_eq(ops.support(t), 3 + 4, "one group only");
  ops.close(t);
  isc_assert_fails(opened(&c, bad, by_length, -1, &t), ISC_E_CONFIG,
                   "the built-in set: \"Is it %s?\": asks");
  c.templates.n_templates = 3;
  isc_assert_fails(opened(&c, four, by_length, -1, &t), ISC_E_CONFIG,
                   "has 2 short and 2 long templates");
}

Test(template_prior, a_file_replaces_the_built_in_templates) {
  static const char *const one[] = {"never %s", NULL};
  static const char good[] = "# mine\r\n\r\n\t%s, so [VERB]\r\n  [LAND] for [LAND]",
                    nul[] = "a\n%s\0";
  char path[1100];
  conf c = plain();
  snprintf(path, sizeof path, "%s/t.txt", isc_test_dir("places"));
  isc_assert_ok(isc_write_file(path, good, sizeof good - 1));
  c.templates.file = path;
  c.templates.spacing = 1; /* of the built-in ones only */
  void *t = made(&c, one);
  cr_assert_eq(ops.support(t), 3 * 2 + 2);
  text_is(t, 0, "Oslo, so is in", "");
  text_is(t, 7, "Peru for", " Peru");
  ops.close(t);
  isc_assert_ok(isc_write_file(path, nul, sizeof nul - 1));
  isc_assert_fails(opened(&c, one, NULL, 0, &t), ISC_E_FORMAT, "t.txt:2: holds a NUL byte");
  isc_assert_ok(isc_write_file(path, "#\n", 2));
  refused(&c, one, "t.txt: there is no template");
}

Test(template_prior, the_fingerprint_follows_the_answers) {
  static const char *const with[] = {"[LAND] and [LAND]", NULL}, *const without[] = {"[LAND] and",
                                                                                     NULL};
  const conf c = plain();
  void *a = made(&c, with), *b = made(&c, without);
  char x[33], y[33];
  text_is(a, 0, "Norway and", " Norway");
  text_is(b, 0, "Norway and", "");
  isc_assert_ok(ops.fingerprint(a, x));
  isc_assert_ok(ops.fingerprint(b, y));
  cr_assert_str_neq(x, y);
  ops.close(a);
  ops.close(b);
}

static isc_status wrong_slot(const char *text, isc_template_reading *out) {
  out->answer = text;
  return ISC_OK;
}

static isc_status wrong_group(const char *text, isc_template_reading *out) {
  out->group = 2 * (text[0] != '\0');
  return ISC_OK;
}

Test(template_prior, a_wrong_description_is_the_plugins_mistake) {
  static const char *const one[] = {"A %s", NULL};
  const conf c = plain();
  void *t;
  isc_assert_fails(opened(&c, one, wrong_slot, -1, &t), ISC_E_USAGE, "slot \"A [CITY]\"");
  isc_assert_fails(opened(&c, one, wrong_group, -1, &t), ISC_E_USAGE, "group 2; there are 2");
  const isc_template_list no_name[] = {{.values = cities}};
  isc_template_prior_spec spec = {ISC_TEMPLATE_PRIOR("places", &c.templates, one, no_name, 1)};
  isc_assert_fails(isc_template_prior_open(&spec, &t), ISC_E_USAGE, "names no slot");
  spec.list_size = 8;
  isc_assert_fails(isc_template_prior_open(&spec, &t), ISC_E_USAGE, "lists of 8 bytes");
  spec.list_size = sizeof *spec.lists;
  spec.conf = NULL;
  isc_assert_fails(isc_template_prior_open(&spec, &t), ISC_E_USAGE, "lacks its name or conf");
}

Test(template_prior, occurrences_are_of_the_whole_slot) {
  cr_assert_eq(isc_template_occurrences("[A] [AB] [A][A", "A"), 2);
  cr_assert_eq(isc_template_occurrences("[A][A] [[A]]", "A"), 3);
  cr_assert_eq(isc_template_occurrences("", "A"), 0);
}

Test(template_prior, a_failed_allocation_is_reported) {
  static const char *const two[] = {"In [LAND], %s [VERB] [LAND]", "[LAND] has %s:[LAND]", NULL};
  const conf c = plain();
  bool finished = false;
  for (int64_t k = 1; !finished; k++) {
    void *t;
    isc_alloc_fail_at(k);
    isc_status st = opened(&c, two, NULL, 0, &t);
    finished = isc_alloc_fail_at(0) < k;
    cr_assert_eq(st, finished ? ISC_OK : ISC_E_NOMEM, "allocation %d: %s", (int)k, isc_error());
    ops.close(t);
    cr_assert_lt(k, 500);
  }
}
