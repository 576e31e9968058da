/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the JSON documents of models: typed getters, bounds, and messages that name file and key;
 * and about the text buffer they and everything else hand texts over in.
 */
#include "support.h"
#include "base/base.h"
#include <inversescope/json.h>
#include <inversescope/text.h>
#include <stdlib.h>
#include <string.h>

static const char *with_file(const char *content, size_t len) {
  static char path[1200];
  snprintf(path, sizeof path, "%s/config.json", isc_test_dir("json"));
  isc_assert_ok(isc_write_file(path, content, len));
  return path;
}

static isc_json *opened(const char *content) {
  isc_json *j;
  isc_assert_ok(isc_json_open(with_file(content, strlen(content)), &j));
  return j;
}

static void refused(const char *content, const char *part) {
  isc_json *j;
  isc_assert_fails(isc_json_open(with_file(content, strlen(content)), &j), ISC_E_FORMAT, part);
  cr_assert(strstr(isc_error(), "config.json"), "%s", isc_error());
  cr_assert_null(j);
}

Test(json, getters_return_values_and_fallbacks) {
  isc_json *j = opened("{\"n\":12,\"x\":1e-5,\"i\":3,\"b\":true,\"s\":\"a\\u00e9\",\"z\":null}");
  int64_t n;
  double x;
  bool b;
  const char *s;
  isc_assert_ok(isc_json_int(j, "n", 1, 12, &n));
  cr_assert_eq(n, 12);
  isc_assert_ok(isc_json_int_or(j, "m", 1, 2, 48, &n));
  cr_assert_eq(n, 48);
  isc_assert_ok(isc_json_int_or(j, "z", 1, 2, 49, &n));
  cr_assert_eq(n, 49);
  isc_assert_ok(isc_json_float_or(j, "x", 0, &x));
  cr_assert_eq(x, 1e-5);
  isc_assert_ok(isc_json_float_or(j, "i", 0, &x));
  cr_assert_eq(x, 3.0, "an integer is a number");
  isc_assert_ok(isc_json_float_or(j, "y", 0.5, &x));
  cr_assert_eq(x, 0.5);
  isc_assert_ok(isc_json_bool_or(j, "b", false, &b));
  cr_assert(b);
  isc_assert_ok(isc_json_bool_or(j, "c", true, &b));
  cr_assert(b);
  isc_assert_ok(isc_json_string_or(j, "s", "", &s));
  cr_assert_str_eq(s, "a\xc3\xa9");
  isc_assert_ok(isc_json_string_or(j, "z", "none", &s));
  cr_assert_str_eq(s, "none");
  isc_json_close(j);
}

Test(json, a_wrong_type_or_range_names_file_and_key) {
  isc_json *j = opened("{\"n\":12,\"s\":\"a\",\"z\":null,\"r\":1.0}");
  int64_t n;
  double x;
  bool b;
  const char *s;
  isc_assert_fails(isc_json_int(j, "n", 0, 11, &n), ISC_E_FORMAT, "config.json: \"n\" is 12");
  isc_assert_fails(isc_json_int(j, "n", 13, 20, &n), ISC_E_FORMAT, "13");
  isc_assert_fails(isc_json_int_or(j, "n", 0, 11, 5, &n), ISC_E_FORMAT, "\"n\" is 12");
  isc_assert_fails(isc_json_int(j, "m", 0, 1, &n), ISC_E_FORMAT, "\"m\" is missing");
  isc_assert_fails(isc_json_int(j, "z", 0, 1, &n), ISC_E_FORMAT, "\"z\" is missing");
  isc_assert_fails(isc_json_int(j, "r", 0, 1, &n), ISC_E_FORMAT, "\"r\" must be an integer");
  isc_assert_fails(isc_json_int_or(j, "s", 0, 1, 0, &n), ISC_E_FORMAT, "not a string");
  isc_assert_fails(isc_json_float_or(j, "s", 0, &x), ISC_E_FORMAT, "must be a number");
  isc_assert_fails(isc_json_bool_or(j, "n", true, &b), ISC_E_FORMAT, "must be true or false");
  isc_assert_fails(isc_json_string_or(j, "n", "", &s), ISC_E_FORMAT, "must be a string");
  isc_json_close(j);
}

/* Published files say that a tokenizer takes 10^30 tokens. */
Test(json, integers_beyond_64_bits_are_numbers) {
  isc_json *j = opened("{\"a\":1000000000000000019884624838656,\"b\":-99999999999999999999,"
                       "\"c\":9223372036854775807,\"d\":9223372036854775808,\"e\":1.5e3,"
                       "\"s\":\"99999999999999999999\\\" 99999999999999999999\",\"n\":7}");
  const char *s;
  double x;
  int64_t n;
  isc_assert_ok(isc_json_float_or(j, "a", 0, &x));
  cr_assert_eq(x, 1e30);
  isc_assert_ok(isc_json_float_or(j, "b", 0, &x));
  cr_assert_eq(x, -1e20);
  isc_assert_ok(isc_json_int(j, "c", 0, INT64_MAX, &n));
  cr_assert_eq(n, INT64_MAX);
  isc_assert_fails(isc_json_int(j, "d", 0, INT64_MAX, &n), ISC_E_FORMAT,
                   "\"d\" must be an integer");
  isc_assert_ok(isc_json_float_or(j, "e", 0, &x));
  cr_assert_eq(x, 1500);
  isc_assert_ok(isc_json_string_or(j, "s", "", &s));
  cr_assert_str_eq(s, "99999999999999999999\" 99999999999999999999");
  isc_assert_ok(isc_json_int(j, "n", 0, 9, &n));
  cr_assert_eq(n, 7);
  isc_json_close(j);
  refused("{\"a\":99999999999999999999,\"b\":}", "unexpected");
  refused("{\"a\":99999999999999999999-}", "");
}

Test(json, broken_documents_are_refused) {
  refused("", "expected");
  refused("[1]", "expected a JSON object");
  refused("{\"a\":1,\"b\":2,\"a\":3}", "duplicate");
  refused("{\"a\":1}x", "end of file");
  refused("{\"a\":\"\xff\"}", "0xff");
  refused("{\"a\":1e400}", "overflow");
  isc_json *j;
  isc_assert_fails(isc_json_open("/nonexistent/config.json", &j), ISC_E_MISSING, "config.json");
}

/* 60 MB of "[" would make the parser build gigabytes or overflow its stack. */
Test(json, what_a_text_would_build_is_bounded) {
  const size_t len = 9000000;
  char *text = malloc(len);
  isc_json *j;
  memset(text, '[', len);
  isc_assert_fails(isc_json_open(with_file(text, len), &j), ISC_E_FORMAT, "deeper");
  memset(text, ',', len);
  text[0] = '{';
  isc_assert_fails(isc_json_open(with_file(text, len), &j), ISC_E_FORMAT, "more than");
  /* brackets inside a string build nothing */
  memset(text, '[', len);
  memcpy(text, "{\"a\":\"", 6);
  memcpy(text + len - 5, "\\\"{\"}", 5);
  isc_assert_ok(isc_json_open(with_file(text, len), &j));
  isc_json_close(j);
  free(text);
}

Test(text, appends_keep_length_and_terminator) {
  isc_text t = {0};
  isc_assert_ok(isc_text_append(&t, "", 0));
  cr_assert(t.len == 0 && t.data[0] == '\0');
  for (int i = 0; i < 1000; i++)
    isc_assert_ok(isc_text_append(&t, "ab", 2));
  cr_assert(t.len == 2000 && strlen(t.data) == 2000 && t.cap > 2000);
  isc_assert_ok(isc_text_set(&t, "x\0y", 3));
  cr_assert(t.len == 3 && t.data[1] == '\0' && t.data[2] == 'y' && t.data[3] == '\0');
  isc_text_clear(&t);
  cr_assert(t.len == 0 && t.data[0] == '\0' && t.cap > 2000, "memory is kept");
  isc_assert_fails(isc_text_append(&t, "x", SIZE_MAX), ISC_E_SHAPE, "does not fit");
  isc_text_free(&t);
  cr_assert(t.data == NULL && t.cap == 0);
}

Test(text, files_are_read_as_they_are_and_bounded) {
  isc_text t = {0};
  const char *path = with_file("a\r\nb\0c", 6);
  isc_assert_ok(isc_text_read(&t, path, 6));
  cr_assert(t.len == 6 && memcmp(t.data, "a\r\nb\0c", 7) == 0);
  isc_assert_fails(isc_text_read(&t, path, 5), ISC_E_FORMAT, "larger");
  isc_text_free(&t);
}
