/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about what `inversescope conform` is asked: names that are wrong, cases that are broken or missing, and the list of
 * checks with its page.
 */
#include "support.h"
#include "support_conform.h"
#include "support_run.h"

#include <string.h>

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define CHECK     "any.same-seed"

/* ---- what cannot be done */

static void refuses(const char *part, const char *const *args) {
  isc_conformed c = isc_conform_cli(args);
  cr_assert_eq(c.status, 3, "%s: ended with %d: %s%s", part, c.status, c.out, c.err);
  cr_assert(strstr(c.err, part), "no \"%s\" in: %s", part, c.err);
  isc_conformed_free(&c);
}

Test(conform_names, wrong_names_end_with_3_and_tell_the_nearest) {
  const char *so = isc_mood_plugin();
  refuses("did you mean \"any.same-seed\"?", ARGS("--only", "any.sameseed", so));
  refuses("did you mean \"feature/mood\"?", ARGS("--class", "feature/moot", so));
  refuses("did you mean \"default\"?", ARGS("--case", "defualt", so));
  refuses("did you mean \"kernel/hard\"?", ARGS("kernel/hart"));
  refuses("nothing.so: there is no such file", ARGS("nothing.so"));
  refuses("is no x.so and no KIND/NAME", ARGS("/etc/passwd"));
  refuses("there is no such case file", ARGS("--cases", "nothing.cfg", so));
  refuses("which plugin?", ARGS("--json"));
  refuses("--seed needs", ARGS("--seed", "-1", so));
  refuses("--jobs needs", ARGS("--jobs", "0", so));
  refuses("--timeout-scale needs", ARGS("--timeout-scale", "0", so));
  refuses("one form at a time", ARGS("--json", "--tap", so));
  refuses("--lsit: unknown option", ARGS("--lsit"));
}

static void broken_cases(const char *text, const char *part) {
  const char *dir = isc_scratch("conform-cases");
  isc_test_write(dir, "bad.cfg", text, strlen(text));
  refuses(part, ARGS("--only", CHECK, "--cases", isc_test_path(dir, "bad.cfg"), isc_mood_plugin()));
}

Test(conform_names, a_broken_case_file_ends_with_3_and_the_place) {
  broken_cases("cases = (\n{ class = \"feature/mood\"; optoins = { }; } );",
               "bad.cfg:2: cases.[0].optoins: unknown setting; did you mean \"options\"?");
  broken_cases("cases = ( { class = \"feature/mood\";\noptions = { mod = 1; }; } );",
               "bad.cfg:2: cases.[0].options.mod: unknown setting; did you mean \"mood\"?");
  broken_cases("cases = ( { class = \"feature/mood\";\noptions = { mood = \"wel\"; }; } );",
               "bad.cfg:2: ");
  broken_cases("cases = (\n{ class = \"feature/mod\"; } );", "did you mean \"feature/mood\"?");
  broken_cases("cases = ( { class = \"feature/mood\"; name = \"a\"; },\n{ class = "
               "\"feature/mood\"; name = \"a\"; } );",
               "bad.cfg:2: feature/mood has a case \"a\" already");
  broken_cases("cases = ( { name = \"a\"; } );", "class: must be given");
  broken_cases("cases = ( { class = \"feature/mood\"; prior = { plugin = \"nono\"; }; } );",
               "no prior plugin \"nono\"");
  broken_cases("cases = ( { class = \"feature/mood\"; name = \"\"; } );",
               "must be text of one line");
  broken_cases("case = 1;", "unknown setting; did you mean \"cases\"?");
  broken_cases("", "has no cases");
}

Test(conform_names, nothing_to_check_ends_with_77) {
  isc_conformed c = isc_conform_cli(ARGS("--json", "--only", "prior.index", isc_mood_plugin()));
  cr_assert_eq(c.status, 77, "%s%s", c.out, c.err);
  isc_conformed_free(&c);
  c = isc_conform_cli(ARGS("--tap", "--only", "prior.index", isc_mood_plugin()));
  cr_assert(strstr(c.out, "\n1..0 # SKIP"), "%s", c.out);
  isc_conformed_free(&c);
  c = isc_conform_cli(ARGS("--only", "any.load", "kernel/hard"));
  cr_assert_eq(c.status, 77, "%s%s", c.out, c.err);
  cr_assert(strstr(c.out, "nothing to check: no check asked for is of what was named"), "%s",
            c.out);
  isc_conformed_free(&c);
}

/* Every class of a shipped file with a required option: its cases are skipped with the reason. */
Test(conform_names, a_required_option_without_a_case_is_a_reason_to_skip) {
  const char *message;
  const char *so = isc_test_build("plugins/.libs/feature_slot.so");
  isc_conformed c = isc_conform_cli(ARGS("--json", "--only", CHECK, so));
  cr_assert_eq(c.status, 77, "%s%s", c.out, c.err);
  cr_assert_str_eq(isc_report_status(isc_report_plugin(c.json, 0), CHECK, NULL, &message),
                   "skipped");
  cr_assert(strstr(message, "option slot is required: give it in a case file"), "%s", message);
  isc_conformed_free(&c);
}

/* ---- the list and its documentation */

Test(conform_names, the_list_tells_the_rule_of_every_check) {
  isc_conformed text = isc_conform_cli(ARGS("--list")),
                c = isc_conform_cli(ARGS("--list", "--json"));
  size_t i, k;
  json_t *check, *other;
  json_t *all = json_object_get(c.json, "checks");
  cr_assert(text.status == 0 && c.status == 0 && json_array_size(all) > 10);
  json_array_foreach(all, i, check) {
    const char *id = json_string_value(json_object_get(check, "id"));
    const char *rule = json_string_value(json_object_get(check, "rule"));
    const char *advice = json_string_value(json_object_get(check, "advice"));
    cr_assert(strstr(text.out, id) && strstr(text.out, rule), "%s", id);
    cr_assert_eq(id[strspn(id, "abcdefghijklmnopqrstuvwxyz-.0123456789")], '\0', "%s", id);
    cr_assert(rule[0] && rule[strlen(rule) - 1] == '.' && advice[0], "%s: %s", id, rule);
    cr_assert_gt(json_integer_value(json_object_get(check, "seconds")), 0, "%s", id);
    json_array_foreach(all, k, other)
        cr_assert(k == i || strcmp(json_string_value(json_object_get(other, "id")), id) != 0,
                  "%s stands twice in the list", id);
  }
  isc_conformed_free(&text);
  isc_conformed_free(&c);
}

Test(conform_names, the_page_has_the_anchor_of_every_check) {
  char *page = isc_test_read(isc_test_build("docs"), "conformance.md", NULL);
  isc_conformed c = isc_conform_cli(ARGS("--list", "--json"));
  size_t i;
  json_t *check;
  json_array_foreach(json_object_get(c.json, "checks"), i, check) {
    char anchor[128];
    const char *doc = json_string_value(json_object_get(check, "doc"));
    cr_assert_eq(strncmp(doc, "docs/conformance.md#", 20), 0, "%s", doc);
    snprintf(anchor, sizeof anchor, "<a id=\"%s\"></a>\n", doc + 20);
    cr_expect(strstr(page, anchor), "docs/conformance.md has no %s", anchor);
    cr_expect(strstr(page, json_string_value(json_object_get(check, "rule"))), "%s", doc);
  }
  cr_assert(i > 0);
  free(page);
  isc_conformed_free(&c);
}
