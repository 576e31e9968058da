/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the linter: what libconfig 1.5 would read wrongly is read rightly or refused with its
 * file and line.
 *
 * Each trap is named for what libconfig does with it.
 */
#include "support.h"
#include "base/base.h"
#include "config/config.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct one {
  int64_t i;
  double f;
  const char *s;
} one;

static const isc_option an_int[] = {
    {.name = "v", .type = ISC_OPT_INT, .offset = offsetof(one, i), .preset = "0", .doc = "V."},
    ISC_OPTIONS_END};
static const isc_option a_float[] = {
    {.name = "v", .type = ISC_OPT_FLOAT, .offset = offsetof(one, f), .preset = "0", .doc = "V."},
    ISC_OPTIONS_END};
static const isc_option a_string[] = {
    {.name = "v", .type = ISC_OPT_STRING, .offset = offsetof(one, s), .doc = "V."},
    ISC_OPTIONS_END};

static isc_status parse(const char *text, isc_config **c) {
  return isc_config_parse(text, strlen(text), "x.cfg", ".", c);
}

static isc_config *parsed(const char *text) {
  isc_config *c = NULL;
  isc_assert_ok(parse(text, &c));
  return c;
}

static int64_t int_of(const char *text) {
  one o = {0};
  isc_config *c = parsed(text);
  isc_assert_ok(isc_config_fill(c, "", an_int, NULL, &o));
  isc_config_free(c);
  return o.i;
}

static double float_of(const char *text) {
  one o = {0};
  isc_config *c = parsed(text);
  isc_assert_ok(isc_config_fill(c, "", a_float, NULL, &o));
  isc_config_free(c);
  return o.f;
}

static void expect_string(const char *text, const char *want) {
  one o = {0};
  isc_config *c = parsed(text);
  isc_assert_ok(isc_config_fill(c, "", a_string, NULL, &o));
  cr_assert_str_eq(o.s, want);
  isc_config_free(c);
}

static void refused(const char *text, const char *message) {
  isc_config *c = NULL;
  isc_assert_fails(parse(text, &c), ISC_E_CONFIG, message);
  cr_assert_null(c);
}

Test(lint, integers_above_2_31_do_not_wrap) {
  cr_assert_eq(int_of("v = 5000000000;"), 5000000000);
  cr_assert_eq(int_of("v = 5000000000L;"), 5000000000);
  cr_assert_eq(int_of("v = -9223372036854775808;"), INT64_MIN);
  cr_assert_eq(int_of("v = 0x1FFFFFFFF;"), 0x1FFFFFFFF);
  cr_assert_eq(int_of("v = 0xffLL;"), 255);
  refused("a = 1;\nv = 9223372036854775808;",
          "x.cfg:2: the integer 9223372036854775808 does not fit");
  refused("v = 0xFFFFFFFFFFFFFFFF;", "x.cfg:1: the integer 0xFFFFFFFFFFFFFFFF does not fit");
}

Test(lint, an_integer_does_for_a_float) {
  cr_assert_eq(float_of("v = 1;"), 1.0);
  cr_assert_eq(float_of("v = 5000000000;"), 5e9);
}

Test(lint, floats_are_read_in_every_form) {
  cr_assert_eq(float_of("v = 1e-3;"), 1e-3);
  cr_assert_eq(float_of("v = .5;"), .5);
  cr_assert_eq(float_of("v = 5.;"), 5.);
  cr_assert_eq(float_of("v = -2.5E+3;"), -2500.);
  cr_assert_eq(float_of("v = 0.0;"), 0.);
  cr_assert_eq(float_of("v = 4.9406564584124654e-324;"), 4.9406564584124654e-324);
}

Test(lint, numbers_that_are_not_finite_are_refused) {
  refused("v = 1e999;", "x.cfg:1: 1e999 is too large");
  refused("v = 1e-999;", "too small");
  refused("v = nan;", "nan is not a value");
  refused("v = inf;", "inf is not a value");
  refused("v = -inf;", "\"-inf\" is not a number");
}

Test(lint, numbers_some_readers_take_otherwise_are_refused) {
  refused("v = 010;", "leading zero");
  refused("v = 12abc;", "\"12abc\" is not a number");
  refused("v = 1.2.3;", "\"1.2.3\" is not a number");
  refused("v = 1_000;", "\"1_000\" is not a number");
  refused("v = 0x;", "\"0x\" is not a number");
  refused("v = 1e;", "\"1e\" is not a number");
  refused("v = 5LLL;", "\"5LLL\" is not a number");
  refused("v = -;", "\"-\" is not a number");
}

Test(lint, an_unclosed_comment_does_not_swallow_the_file) {
  refused("a = 1;\n/* begins here\nb = 2;\n", "x.cfg:2: this comment is never closed");
  refused("a = 1; /*/", "never closed");
  cr_assert_eq(int_of("/* one */ v /* two\n lines */ = 3; # v = 4\n// v = 5\n"), 3);
}

Test(lint, comment_marks_in_strings_are_text) {
  expect_string("v = \"a /* b # c // d\";", "a /* b # c // d");
}

Test(lint, a_nul_byte_does_not_end_the_file) {
  static const char in_string[] = "a = 1;\nv = \"x\0y\";", bare[] = "a = 1;\n\n\0b = 2;";
  static const char in_comment[] = "# c\0d\nv = 2;";
  isc_config *c;
  isc_assert_fails(isc_config_parse(in_string, sizeof in_string - 1, "x.cfg", ".", &c),
                   ISC_E_CONFIG, "x.cfg:2: a string may not hold a NUL");
  isc_assert_fails(isc_config_parse(bare, sizeof bare - 1, "x.cfg", ".", &c), ISC_E_CONFIG,
                   "x.cfg:3: a NUL byte");
  isc_assert_fails(isc_config_parse(in_comment, sizeof in_comment - 1, "x.cfg", ".", &c),
                   ISC_E_CONFIG, "x.cfg:1: a NUL byte");
  refused("v = \"a\\x00b\";", "NUL");
}

Test(lint, strings_keep_their_escapes) {
  expect_string("v = \"q\\\" b\\\\ n\\n t\\t r\\r f\\f x\\x41\\xC3\\xA9\";",
                "q\" b\\ n\n t\t r\r f\f xA\xC3\xA9");
  refused("v = \"a\\qb\";", "x.cfg:1: unknown escape");
  refused("v = \"a\\x4\";", "unknown escape");
}

Test(lint, an_unclosed_string_is_told_where_it_begins) {
  refused("a = 1;\nv = \"open;\nb = 2;\n\"", "x.cfg:2: a string is not closed on its line");
  refused("v = \"", "x.cfg:1: a string is not closed");
}

Test(lint, strings_side_by_side_join_but_not_in_lists) {
  expect_string("v = \"a\" \"b\"\n  \"c\";", "abc");
  refused("v = [\"a\" \"b\"];", "x.cfg:1: two strings without a comma");
  refused("v = (\"a\",\n \"b\" \"c\");", "x.cfg:2: two strings without a comma");
}

Test(lint, a_key_twice_is_refused) {
  refused("run = {\n  seed = 1;\n  seed = 2;\n};", "x.cfg:3: seed: given twice in the same group");
  refused("a = 1; b = 2; a = 3;", "x.cfg:1: a setting: given twice");
}

Test(lint, brackets_must_match_and_close) {
  refused("a = {\n b = 1;\n", "x.cfg:1: a bracket opened here lacks its \"}\"");
  refused("a = { b = [1, 2 };", "\"}\" where \"]\" is due for the bracket of line 1");
  refused("a = 1; }", "x.cfg:1: \"}\" closes nothing");
}

Test(lint, syntax_errors_have_their_line) {
  refused("a = 1;\nb c = 2;\n", "x.cfg:2: syntax error");
  refused("a = ;", "x.cfg:1: syntax error");
  refused("a = 1;\nb = hard;", "x.cfg:2: hard is not a value; a string needs quotes: \"hard\"");
  refused("a = [x];", "x is not a value");
  refused("a = 1 $ 2;", "unexpected character \"$\"");
  refused("a = \xC3\xA9;", "unexpected byte 0xC3");
  refused("a = 1 @ 2", "did you mean @include?");
}

Test(lint, a_comma_before_the_end_of_a_list_is_fine) {
  isc_config *c = parsed("a = [1, 2, ]; b = ( {x = 1}, (2, /* c */ ), );");
  cr_assert_eq(isc_config_count(c, "a"), 2);
  cr_assert_eq(isc_config_count(c, "b"), 2);
  cr_assert_eq(isc_config_count(c, "b.[1]"), 1);
  isc_config_free(c);
}

Test(lint, lists_may_mix_integers_and_fractions) {
  isc_config *c = parsed("a = [1, 0.5];");
  cr_assert_eq(isc_config_count(c, "a"), 2);
  isc_config_free(c);
}

Test(lint, line_ends_and_byte_order_marks_of_other_systems_are_taken) {
  cr_assert_eq(int_of("\xEF\xBB\xBF# c\r\nv = 7;\r\n"), 7);
  cr_assert_eq(int_of("v = 7"), 7);
}

Test(lint, depth_is_bounded) {
  char text[200] = "a = ";
  for (int i = 0; i < 40; i++)
    strcat(text, "(");
  refused(text, "x.cfg:1: nested deeper than 32");
}

Test(lint, size_is_bounded) {
  size_t n = (1 << 20) + 1;
  char *big = malloc(n);
  isc_config *c;
  memset(big, '\n', n);
  isc_assert_fails(isc_config_parse(big, n, "x.cfg", ".", &c), ISC_E_CONFIG,
                   "exceed 1048576 bytes");
  isc_assert_ok(isc_config_parse(big, n - 1, "x.cfg", ".", &c));
  isc_config_free(c);
  free(big);
}

Test(lint, many_settings_end_soon) {
  isc_sb b = {0};
  char *text;
  isc_config *c;
  for (int i = 0; i < 4000; i++)
    isc_sb_addf(&b, "a%d=%d;", i, i);
  isc_assert_ok(isc_sb_finish(&b, &text));
  double start = isc_now();
  isc_assert_ok(parse(text, &c));
  cr_assert_lt(isc_now() - start, 5.0); /* takes 0.3 s; 1 MiB of them would take minutes */
  isc_config_free(c);
  isc_sb_add(&b, text);
  isc_sb_add(&b, "z=1;");
  free(text);
  isc_assert_ok(isc_sb_finish(&b, &text));
  refused(text, "more than 4000 settings");
  free(text);
}

Test(lint, long_lists_end_soon) {
  isc_sb b = {0};
  char *text;
  isc_config *c;
  isc_sb_add(&b, "a=[0");
  for (int i = 0; i < 100000; i++)
    isc_sb_add(&b, ",1");
  isc_sb_add(&b, "];");
  isc_assert_ok(isc_sb_finish(&b, &text));
  double start = isc_now();
  isc_assert_ok(parse(text, &c));
  cr_assert_lt(isc_now() - start, 10.0);
  cr_assert_eq(isc_config_count(c, "a"), 100001);
  isc_config_free(c);
  free(text);
}

/* ---- @include */

static const char *dir;

static void enter(void) {
  dir = isc_test_dir("config");
}

static void leave(void) {
  char command[2048];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  cr_assert_eq(system(command), 0);
}

static const char *at(const char *name) {
  static char path[4][2048];
  static int slot;
  slot = (slot + 1) % 4;
  snprintf(path[slot], sizeof path[slot], "%s/%s", dir, name);
  return path[slot];
}

static void put(const char *name, const char *text) {
  char *parent;
  isc_assert_ok(isc_path_dir(at(name), &parent));
  isc_assert_ok(isc_mkdirs(parent));
  isc_assert_ok(isc_write_file(at(name), text, strlen(text)));
  free(parent);
}

static isc_status load(const char *name, bool outside, isc_config **c) {
  isc_config_source src = {.path = at(name), .allow_outside_includes = outside};
  return isc_config_load(&src, c);
}

TestSuite(include, .init = enter, .fini = leave);

Test(include, files_are_found_beside_the_one_that_names_them_and_keep_their_lines) {
  isc_config *c;
  put("a.cfg", "one = 1;\n@include \"sub/b.cfg\"\nlast = 2;\n");
  put("sub/b.cfg", "\n@include \"c.cfg\" # beside b\nb = 3;");
  put("sub/c.cfg", "c = {\n  x = 4;\n};");
  isc_assert_ok(load("a.cfg", false, &c));
  cr_assert_str_eq(isc_config_where(c, "last") + strlen(dir), "/a.cfg:3");
  cr_assert_str_eq(isc_config_where(c, "b") + strlen(dir), "/sub/b.cfg:3");
  cr_assert_str_eq(isc_config_where(c, "c") + strlen(dir), "/sub/c.cfg:1");
  cr_assert_str_eq(isc_config_where(c, "c.x") + strlen(dir), "/sub/c.cfg:2");
  cr_assert_str_eq(isc_config_where(c, "absent"), at("a.cfg"));
  isc_config_free(c);
}

Test(include, a_group_may_be_included_into) {
  isc_config *c;
  put("a.cfg", "g = {\n@include \"b.cfg\"\ny = 2; };");
  put("b.cfg", "x = 1;");
  isc_assert_ok(load("a.cfg", false, &c));
  cr_assert(isc_config_has(c, "g.x") && isc_config_has(c, "g.y"));
  isc_config_free(c);
}

Test(include, an_error_inside_is_told_with_both_places) {
  isc_config *c;
  put("a.cfg", "\n@include \"b.cfg\"");
  put("b.cfg", "\n\nx = y;");
  isc_assert_fails(load("a.cfg", false, &c), ISC_E_CONFIG, "b.cfg:3: y is not a value");
  cr_assert(strstr(isc_error(), "a.cfg:2: "));
}

Test(include, leaving_the_tree_needs_leave) {
  isc_config *c;
  put("conf/a.cfg", "@include \"../b.cfg\"");
  put("b.cfg", "x = 1;");
  isc_assert_fails(load("conf/a.cfg", false, &c), ISC_E_CONFIG,
                   "outside the config's own directory");
  isc_assert_ok(load("conf/a.cfg", true, &c));
  isc_config_free(c);
  put("conf/abs.cfg", "@include \"/etc/passwd\"");
  isc_assert_fails(load("conf/abs.cfg", false, &c), ISC_E_CONFIG, "outside");
}

Test(include, a_symbolic_link_does_not_lead_out) {
  isc_config *c;
  put("b.cfg", "x = 1;");
  put("conf/a.cfg", "@include \"link.cfg\"");
  cr_assert_eq(symlink("../b.cfg", at("conf/link.cfg")), 0);
  isc_assert_fails(load("conf/a.cfg", false, &c), ISC_E_CONFIG, "outside");
  /* a sibling whose name begins like the tree's is outside as well */
  put("conf2/b.cfg", "x = 1;");
  put("conf/c.cfg", "@include \"../conf2/b.cfg\"");
  isc_assert_fails(load("conf/c.cfg", false, &c), ISC_E_CONFIG, "outside");
}

Test(include, circles_and_depth_end) {
  isc_config *c;
  put("a.cfg", "@include \"b.cfg\"");
  put("b.cfg", "@include \"./a.cfg\"");
  isc_assert_fails(load("a.cfg", false, &c), ISC_E_CONFIG, "includes itself");
  put("self.cfg", "@include \"self.cfg\"");
  isc_assert_fails(load("self.cfg", false, &c), ISC_E_CONFIG, "includes itself");
  for (int i = 0; i < 12; i++) {
    char name[32], text[64];
    snprintf(name, sizeof name, "d%d.cfg", i);
    snprintf(text, sizeof text, "@include \"d%d.cfg\"", i + 1);
    put(name, text);
  }
  isc_assert_fails(load("d0.cfg", false, &c), ISC_E_CONFIG, "files deep");
}

Test(include, the_same_file_twice_is_no_circle_but_counts_twice) {
  isc_config *c;
  isc_sb b = {0};
  char *text;
  put("a.cfg", "g = {\n@include \"b.cfg\"\n}; h = {\n@include \"b.cfg\"\n};");
  put("b.cfg", "x = 1;");
  isc_assert_ok(load("a.cfg", false, &c));
  cr_assert(isc_config_has(c, "g.x") && isc_config_has(c, "h.x"));
  isc_config_free(c);
  isc_sb_add(&b, "x = 1; #");
  for (int i = 0; i < 70000; i++)
    isc_sb_add(&b, "12345678");
  isc_assert_ok(isc_sb_finish(&b, &text));
  put("b.cfg", text);
  free(text);
  isc_assert_fails(load("a.cfg", false, &c), ISC_E_CONFIG, "exceed");
}

Test(include, what_is_missing_or_misplaced_is_told) {
  isc_config *c;
  put("a.cfg", "\n@include \"no.cfg\"");
  isc_assert_fails(load("a.cfg", false, &c), ISC_E_CONFIG,
                   "a.cfg:2: @include \"no.cfg\": there is no file");
  put("a.cfg", "a = @include \"b.cfg\"");
  isc_assert_fails(load("a.cfg", false, &c), ISC_E_CONFIG, "not inside one");
  put("a.cfg", "@include b.cfg");
  isc_assert_fails(load("a.cfg", false, &c), ISC_E_CONFIG, "file name in quotes");
  isc_assert_fails(load("none.cfg", false, &c), ISC_E_MISSING, "none.cfg: cannot open");
  isc_assert_fails(load(".", false, &c), ISC_E_IO, "is a directory");
}
