/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the error record, memory, growing strings, hashes and clocks.
 *
 * The hash vectors are published ones: XXH3-128 of "" and ClickHouse's documented example.
 */
#include <criterion/criterion.h>
#include "base/base.h"
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

Test(status, a_failure_is_recorded_and_success_does_not_clear_it) {
  cr_assert_str_eq(isc_error(), "");
  cr_assert_eq(isc_error_code(), ISC_OK);
  cr_assert_eq(isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\"", "f.bin", "w"), ISC_E_FORMAT);
  cr_assert_str_eq(isc_error(), "f.bin: tensor \"w\"");
  cr_assert_eq(isc_error_code(), ISC_E_FORMAT);
  isc_error_clear();
  cr_assert_str_eq(isc_error(), "");
}

Test(status, context_goes_in_front_and_keeps_the_code) {
  isc_fail(ISC_E_SHAPE, "short");
  cr_assert_eq(isc_fail_in("layer %d", 3), ISC_E_SHAPE);
  cr_assert_str_eq(isc_error(), "layer 3: short");
}

Test(status, a_message_may_quote_the_record_itself) {
  isc_fail(ISC_E_IO, "inner");
  isc_fail(ISC_E_CONFIG, "outer (%s)", isc_error());
  cr_assert_str_eq(isc_error(), "outer (inner)");
}

Test(status, a_long_message_is_cut_at_2047_bytes_between_characters) {
  char text[4096];
  for (size_t i = 0; i + 2 <= sizeof text; i += 2)
    memcpy(text + i, "\xC3\xA9", 2); /* é */
  text[sizeof text - 2] = '\0';
  isc_fail(ISC_E_IO, "%s", text);
  cr_assert_eq(strlen(isc_error()), 2046, "2047 bytes would end in half a character");
  isc_fail(ISC_E_IO, "x%s", text);
  cr_assert_eq(strlen(isc_error()), 2047);
}

static void *fail_elsewhere(void *unused) {
  isc_fail(ISC_E_IO, "other thread");
  return unused;
}

Test(status, each_thread_has_its_own_record) {
  pthread_t t;
  isc_fail(ISC_E_USAGE, "mine");
  cr_assert_eq(pthread_create(&t, NULL, fail_elsewhere, NULL), 0);
  pthread_join(t, NULL);
  cr_assert_str_eq(isc_error(), "mine");
}

Test(status, exit_codes_are_those_of_sysexits) {
  static const int want[] = {0, 64, 78, 65, 66, 74, 70, 65, 70, 70, 75, 70, 70};
  for (int s = 0; s < 13; s++)
    cr_assert_eq(isc_exit_code((isc_status)s), want[s], "%s", isc_status_name((isc_status)s));
  cr_assert_str_eq(isc_status_name(ISC_E_INTERRUPTED), "ISC_E_INTERRUPTED");
  cr_assert_eq(isc_exit_code((isc_status)999), 70);
}

Test(memory, size_arithmetic_refuses_overflow) {
  size_t out;
  cr_assert_eq(isc_mul_size(3, 5, "x", &out), ISC_OK);
  cr_assert_eq(out, 15);
  cr_assert_eq(isc_mul_size(SIZE_MAX / 2, 3, "tensor w", &out), ISC_E_SHAPE);
  cr_assert(strstr(isc_error(), "tensor w"));
  cr_assert_eq(isc_add_size(SIZE_MAX, 1, "x", &out), ISC_E_SHAPE);
  void *p;
  cr_assert_eq(isc_calloc(SIZE_MAX / 2, 4, "x", &p), ISC_E_SHAPE);
  cr_assert_null(p);
}

Test(memory, size_zero_gives_memory) {
  void *p, *q;
  cr_assert_eq(isc_malloc(0, "x", &p), ISC_OK);
  cr_assert_eq(isc_calloc(0, 8, "x", &q), ISC_OK);
  cr_assert(p && q);
  free(p);
  free(q);
}

Test(memory, the_hook_fails_exactly_the_chosen_allocation_and_counts) {
  void *p[3] = {NULL, NULL, NULL};
  isc_alloc_fail_at(2);
  cr_assert_eq(isc_malloc(8, "one", &p[0]), ISC_OK);
  cr_assert_eq(isc_malloc(8, "two", &p[1]), ISC_E_NOMEM);
  cr_assert(strstr(isc_error(), "two"));
  cr_assert_eq(isc_malloc(8, "three", &p[2]), ISC_OK);
  cr_assert_eq(isc_alloc_fail_at(0), 3);
  free(p[0]);
  free(p[2]);
}

Test(memory, a_failed_realloc_keeps_the_old_block) {
  void *p;
  cr_assert_eq(isc_malloc(4, "x", &p), ISC_OK);
  memcpy(p, "abc", 4);
  isc_alloc_fail_at(1);
  cr_assert_eq(isc_realloc(&p, 100, 4, "x"), ISC_E_NOMEM);
  isc_alloc_fail_at(0);
  cr_assert_str_eq(p, "abc");
  cr_assert_eq(isc_realloc(&p, 100, 4, "x"), ISC_OK);
  cr_assert_str_eq(p, "abc");
  free(p);
}

Test(sb, appends_join) {
  isc_sb b = {0};
  char *s;
  for (int i = 0; i < 100; i++)
    isc_sb_addf(&b, "%d,", i % 10);
  isc_sb_addn(&b, "xyz", 2);
  isc_sb_add(&b, "!");
  cr_assert_eq(isc_sb_finish(&b, &s), ISC_OK);
  cr_assert_eq(strlen(s), 203);
  cr_assert_str_eq(s + 198, "9,xy!");
  free(s);
}

Test(sb, an_untouched_builder_is_the_empty_string) {
  isc_sb b = {0};
  char *s;
  cr_assert_eq(isc_sb_finish(&b, &s), ISC_OK);
  cr_assert_str_eq(s, "");
  free(s);
}

Test(sb, a_failed_append_is_reported_at_the_end) {
  isc_sb b = {0};
  char *s;
  isc_alloc_fail_at(1);
  isc_sb_add(&b, "lost");
  isc_alloc_fail_at(0);
  isc_sb_add(&b, "kept?");
  cr_assert_eq(isc_sb_finish(&b, &s), ISC_E_NOMEM);
  cr_assert_null(s);
}

static void check_escape(void (*escape)(isc_sb *, const char *, size_t), const char *in, size_t n,
                         const char *want) {
  isc_sb b = {0};
  char *s;
  escape(&b, in, n);
  cr_assert_eq(isc_sb_finish(&b, &s), ISC_OK);
  cr_assert_str_eq(s, want);
  free(s);
}

#define CHECK(escape, in, want) check_escape(escape, in, sizeof in - 1, want)

Test(sb, json_strings_are_quoted_and_escaped) {
  CHECK(isc_sb_add_json, "a\"b\\c\n\t\r\x01\0z", "\"a\\\"b\\\\c\\n\\t\\r\\u0001\\u0000z\"");
  CHECK(isc_sb_add_json, "\xC3\xA9\xF0\x9F\x99\x82", "\"\xC3\xA9\xF0\x9F\x99\x82\"");
  CHECK(isc_sb_add_json, "</script><!--<b", "\"\\u003c/script>\\u003c!--<b\"");
}

Test(sb, bad_utf8_becomes_replacement_characters) {
#define R "\xEF\xBF\xBD"
  CHECK(isc_sb_add_json, "a\xFFz", "\"a" R "z\"");
  CHECK(isc_sb_add_json, "\xC0\xAF", "\"" R R "\"");             /* overlong "/"    */
  CHECK(isc_sb_add_json, "\xED\xA0\x80", "\"" R R R "\"");       /* a surrogate     */
  CHECK(isc_sb_add_json, "\xF4\x90\x80\x80", "\"" R R R R "\""); /* past U+10FFFF */
  CHECK(isc_sb_add_json, "\xE2\x82", "\"" R R "\"");             /* cut off         */
  CHECK(isc_sb_add_html, "\xE2\x82<", R R "&lt;");
}

Test(sb, html_text_cannot_leave_its_place) {
  CHECK(isc_sb_add_html, "<a href='x' id=\"y\">&\n",
        "&lt;a href=&#39;x&#39; id=&quot;y&quot;&gt;&amp;\n");
  CHECK(isc_sb_add_html, "\x1B[0m\x7F\xC2\x85", R "[0m" R R);
  CHECK(isc_sb_add_html, "\xE2\x80\xAEgnp", R "gnp"); /* right-to-left override */
}

static void shell_word(const char *text, const char *want) {
  isc_sb b = {0};
  char *out;
  isc_sb_add_shell(&b, text);
  cr_assert_eq(isc_sb_finish(&b, &out), ISC_OK);
  cr_assert_str_eq(out, want);
  free(out);
}

Test(sb, a_shell_reads_one_word) {
  shell_word("/usr/lib/a-b_c.so", "/usr/lib/a-b_c.so");
  shell_word("", "''");
  shell_word("a b", "'a b'");
  shell_word("it's $HOME `x`", "'it'\\''s $HOME `x`'");
}

static void check_hash(const char *data, size_t n, const char *want) {
  isc_hash h;
  char hex[33];
  cr_assert_eq(isc_hash_begin(&h), ISC_OK);
  isc_hash_add(&h, data, n / 2);
  isc_hash_add(&h, data + n / 2, n - n / 2);
  isc_digest_hex(isc_hash_end(&h), hex);
  cr_assert_str_eq(hex, want);
}

Test(hash, streams_give_xxh3_128) {
  check_hash("", 0, "99aa06d3014798d86001c324468d497f");
  check_hash("ClickHouse", 10, "14c27b7bef95d36fecf5520ca2daf030");
}

Test(hash, strings_do_not_run_together) {
  isc_hash a, b;
  isc_hash_begin(&a);
  isc_hash_begin(&b);
  isc_hash_str(&a, "ab");
  isc_hash_str(&a, "c");
  isc_hash_str(&b, "a");
  isc_hash_str(&b, "bc");
  cr_assert_neq(isc_hash_end(&a).lo, isc_hash_end(&b).lo);
}

Test(clock, now_does_not_go_back_and_utc_has_its_form) {
  double t = isc_now();
  char utc[32];
  cr_assert_geq(isc_now(), t);
  isc_utc(utc);
  cr_assert_eq(strlen(utc), 20);
  cr_assert(utc[4] == '-' && utc[10] == 'T' && utc[19] == 'Z');
}

Test(pool, memory_is_zeroed_and_strings_are_copies) {
  isc_pool p = {0};
  void *m;
  char *s;
  cr_assert_eq(isc_pool_alloc(&p, 3, 5, "x", &m), ISC_OK);
  for (int i = 0; i < 15; i++)
    cr_assert_eq(((char *)m)[i], 0);
  cr_assert_eq((uintptr_t)m % _Alignof(max_align_t), 0);
  cr_assert_eq(isc_pool_strndup(&p, "abcdef", 3, &s), ISC_OK);
  cr_assert_str_eq(s, "abc");
  cr_assert_eq(isc_pool_alloc(&p, SIZE_MAX, 2, "x", &m), ISC_E_SHAPE);
  isc_alloc_fail_at(1);
  cr_assert_eq(isc_pool_strndup(&p, "a", 1, &s), ISC_E_NOMEM);
  isc_alloc_fail_at(0);
  isc_pool_free(&p);
}

static void expect_double(double v, const char *want) {
  isc_sb b = {0};
  char *s;
  double back;
  isc_sb_add_double(&b, v);
  cr_assert_eq(isc_sb_finish(&b, &s), ISC_OK);
  cr_assert_str_eq(s, want);
  if (v - v == 0) cr_assert(isc_text_double(s, &back) && back == v);
  free(s);
}

Test(numbers, doubles_are_written_shortest_and_read_back) {
  expect_double(0.1, "0.1");
  expect_double(1.0 / 3, "0.3333333333333333");
  expect_double(0.1 + 0.2, "0.30000000000000004");
  expect_double(-0.0, "-0");
  expect_double(1e300, "1e+300");
  expect_double(5e-324, "5e-324");
  expect_double(20, "20");
  expect_double(1e-5, "0.00001");
  expect_double(1e-6, "1e-06");
  expect_double(9007199254740993.0, "9007199254740992");
  expect_double(1e16, "10000000000000000");
  expect_double(1e17, "1e+17");
  expect_double(0, "0");
  expect_double(-1.0 / 0.0, "-inf");
}

Test(numbers, text_that_is_no_finite_number_is_refused) {
  static const char *const bad[] = {"", " 1", "1 ", "1x", "nan", "inf", "1e999", "abc"};
  double v;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_assert_not(isc_text_double(bad[i], &v), "%s", bad[i]);
}

Test(numbers, a_locale_with_a_decimal_comma_changes_nothing) {
  double v;
  if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
    cr_skip_test("no locale with a decimal comma is installed (wanted de_DE.UTF-8 or fr_FR.UTF-8)");
  expect_double(0.5, "0.5");
  cr_assert(isc_text_double("0.5", &v) && v == 0.5);
}

Test(nearest, slips_are_forgiven_and_other_words_are_not) {
  static const char *const names[] = {"evaluate",      "seed",    "epsilon",
                                      "learning_rate", "samples", NULL};
  static const char *const cases[][2] = {
      {"evaluat", "evaluate"}, {"sede", "seed"},      {"Seed", "seed"},
      {"epsilno", "epsilon"},  {"sample", "samples"}, {"learning-rate", "learning_rate"},
      {"eps", "epsilon"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    cr_assert_str_eq(isc_nearest_name(cases[i][0], names), cases[i][1], "%s", cases[i][0]);
  cr_assert_null(isc_nearest_name("temperature", names));
  cr_assert_null(isc_nearest_name("x", names));
  cr_assert_null(isc_nearest_name("", names));
  cr_assert_null(isc_nearest_name("seed", NULL));
}
