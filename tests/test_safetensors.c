/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about safetensors: what is read, what is written, and every way a file can be refused.
 *
 * Bad files are made by hand from a header's text, so that each breaks one rule.
 */
#include "support.h"
#include "model/safetensors.h"
#include "base/base.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static const char *in_dir(const char *dir, const char *name) {
  static char path[4][1200];
  static int slot;
  slot = (slot + 1) % 4;
  snprintf(path[slot], sizeof path[slot], "%s/%s", dir, name);
  return path[slot];
}

/* A file of `header` and `size` bytes 0, 1, 2 … of data. */
static void write_raw(const char *path, uint64_t claimed, const char *header, size_t header_len,
                      size_t size) {
  FILE *f = fopen(path, "wb");
  cr_assert_not_null(f);
  for (int i = 0; i < 8; i++)
    fputc((int)(claimed >> 8 * i & 0xFF), f);
  fwrite(header, 1, header_len, f);
  for (size_t i = 0; i < size; i++)
    fputc((int)(i & 0xFF), f);
  cr_assert_eq(fclose(f), 0);
}

static const char *made(const char *header, size_t size) {
  const char *path = in_dir(isc_test_dir("safetensors"), "x.safetensors");
  write_raw(path, strlen(header), header, strlen(header), size);
  return path;
}

#define REFUSED(header, size, part)                                                                \
  do {                                                                                             \
    isc_safetensors *f_;                                                                           \
    isc_assert_fails(isc_st_open(made(header, size), &f_), ISC_E_FORMAT, part);                    \
    cr_assert_null(f_);                                                                            \
  } while (0)

#define A "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}"
#define B "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[2,5]}"

Test(safetensors, a_small_file_is_read) {
  isc_safetensors *f;
  isc_assert_ok(
      isc_st_open(made("{\"__metadata__\":{\"k\":\"v\",\"e\":\"\"}," B "," A "}  ", 5), &f));
  cr_assert_eq(isc_st_count(f), 2);
  cr_assert_str_eq(isc_st_at(f, 0)->name, "a", "tensors come in the order of their data");
  const isc_st_tensor *b = isc_st_find(f, "b");
  cr_assert_eq(b, isc_st_at(f, 1));
  cr_assert_eq(b->ndim, 1);
  cr_assert_eq(b->shape[0], 3);
  cr_assert_eq(b->bytes, 3);
  int64_t v[3];
  isc_assert_ok(isc_st_read_i64(f, b, 0, 3, v));
  cr_assert(v[0] == 2 && v[1] == 3 && v[2] == 4);
  isc_assert_ok(isc_st_read_i64(f, b, 2, 1, v));
  cr_assert_eq(v[0], 4);
  cr_assert_str_eq(isc_st_metadata(f, "k"), "v");
  cr_assert_str_eq(isc_st_metadata(f, "e"), "");
  cr_assert_null(isc_st_metadata(f, "x"));
  cr_assert_null(isc_st_find(f, "c"));
  cr_assert_null(isc_st_at(f, 2));
  cr_assert_null(isc_st_at(f, -1));
  isc_st_close(f);
}

Test(safetensors, reads_outside_a_tensor_are_refused) {
  isc_safetensors *f;
  int64_t v[8];
  isc_assert_ok(isc_st_open(made("{" A "," B "}", 5), &f));
  const isc_st_tensor *a = isc_st_find(f, "a");
  isc_assert_fails(isc_st_read_i64(f, a, 1, 2, v), ISC_E_SHAPE, "outside");
  isc_assert_fails(isc_st_read_i64(f, a, -1, 1, v), ISC_E_SHAPE, "outside");
  isc_assert_fails(isc_st_read_i64(f, a, 1, INT64_MAX, v), ISC_E_SHAPE, "outside");
  isc_assert_fails(isc_st_read_i64(f, a, 3, 0, v), ISC_E_SHAPE, "outside");
  isc_assert_ok(isc_st_read_i64(f, a, 2, 0, v));
  float x;
  isc_assert_fails(isc_st_read_f32(f, a, 0, 1, &x), ISC_E_SHAPE, "\"a\" is U8");
  isc_st_close(f);
}

Test(safetensors, scalars_empty_tensors_and_an_empty_file_are_valid) {
  isc_safetensors *f;
  isc_assert_ok(isc_st_open(made("{}", 0), &f));
  cr_assert_eq(isc_st_count(f), 0);
  isc_st_close(f);
  isc_assert_ok(
      isc_st_open(made("{\"s\":{\"dtype\":\"I16\",\"shape\":[],\"data_offsets\":[0,2]},"
                       "\"z\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[2,2]}}",
                       2),
                  &f));
  int64_t v;
  isc_assert_ok(isc_st_read_i64(f, isc_st_find(f, "s"), 0, 1, &v));
  cr_assert_eq(v, 0x0100);
  cr_assert_eq(isc_st_find(f, "z")->elements, 0);
  isc_assert_ok(isc_st_read_f32(f, isc_st_find(f, "z"), 0, 0, NULL));
  isc_st_close(f);
}

Test(safetensors, the_header_length_is_bounded_by_the_file_and_the_format) {
  isc_safetensors *f;
  const char *path = in_dir(isc_test_dir("safetensors"), "x.safetensors");
  write_raw(path, 100000001, "{}", 2, 0);
  isc_assert_fails(isc_st_open(path, &f), ISC_E_FORMAT, "limit");
  write_raw(path, UINT64_MAX, "{}", 2, 0);
  isc_assert_fails(isc_st_open(path, &f), ISC_E_FORMAT, "limit");
  write_raw(path, 3, "{}", 2, 0);
  isc_assert_fails(isc_st_open(path, &f), ISC_E_FORMAT, "truncated");
  write_raw(path, 0, "", 0, 0);
  isc_assert_fails(isc_st_open(path, &f), ISC_E_FORMAT, "does not start");
  isc_assert_ok(isc_write_file(path, "\2\0\0", 3));
  isc_assert_fails(isc_st_open(path, &f), ISC_E_FORMAT, "too few");
  isc_assert_ok(isc_write_file(path, "", 0));
  isc_assert_fails(isc_st_open(path, &f), ISC_E_FORMAT, "empty");
  isc_assert_fails(isc_st_open("/nonexistent/x.safetensors", &f), ISC_E_MISSING, "x.safetensors");
}

Test(safetensors, the_header_must_start_with_a_brace_and_end_with_one) {
  REFUSED(" {}", 0, "does not start");
  REFUSED("[]", 0, "does not start");
  REFUSED("{}x", 0, "follows");
  REFUSED("{", 0, "expected '\"'");
  REFUSED("{" A, 2, "expected '}'");
  REFUSED("{" A ",}", 2, "expected '\"'");
}

Test(safetensors, offsets_leave_no_hole_and_do_not_overlap) {
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3, "hole");
  REFUSED("{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}", 5, "hole");
  REFUSED("{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3,
          "overlapping");
  REFUSED("{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2,
          "overlapping");
}

Test(safetensors, the_data_end_where_the_file_ends) {
  REFUSED("{" A "," B "}", 4, "truncated");
  REFUSED("{" A "," B "}", 6, "5 bytes of tensors, but 6");
  REFUSED("{}", 1, "0 bytes of tensors, but 1");
}

Test(safetensors, sizes_agree_with_shape_and_dtype) {
  REFUSED("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "8 bytes");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 2, "do not hold");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
          "overflows");
  REFUSED("{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0,
          "overflows");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,0]}}", 0,
          "too large");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[18446744073709551616],\"data_offsets\":[0,0]}}", 0,
          "too large");
}

Test(safetensors, no_key_comes_twice) {
  REFUSED("{" A "," A "}", 2, "overlapping");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
          "\"b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
          "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
          0, "\"a\" is there twice");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
          "\"dtype\" is given twice");
  REFUSED("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "given twice");
  REFUSED("{\"__metadata__\":{\"k\":\"1\",\"l\":\"2\",\"k\":\"3\"}}", 0, "\"k\" is there twice");
}

Test(safetensors, fields_are_complete_and_known) {
  REFUSED("{\"a\":{\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "\"dtype\" is missing");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}", 0, "\"shape\" is missing");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, "\"data_offsets\" is missing");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0]}}", 0, "[begin, end]");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0,0]}}", 0, "more than 2");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
          "more than 8");
  REFUSED("{\"a\":{\"dtype\":\"U9\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
          "unknown dtype \"U9\"");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":1}}", 0,
          "unknown field \"x\"");
  REFUSED("{\"a\":{}}", 0, "expected '\"'");
  REFUSED("{\"a\":1}", 0, "expected '{'");
}

Test(safetensors, numbers_are_plain_integers) {
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,0]}}", 0, "non-negative");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]}}", 1, "integer");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[1e0],\"data_offsets\":[0,1]}}", 1, "integer");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[01],\"data_offsets\":[0,1]}}", 1, "leading zeros");
  REFUSED("{\"a\":{\"dtype\":\"U8\",\"shape\":[\"1\"],\"data_offsets\":[0,1]}}", 1, "non-negative");
}

Test(safetensors, strings_are_well_formed) {
  REFUSED("{\"\xff\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "not UTF-8");
  REFUSED("{\"\xed\xa0\x80\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
          "not UTF-8");
  REFUSED("{\"a\nb\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "control");
  REFUSED("{\"\\u0000\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "NUL");
  REFUSED("{\"\\ud800\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "surrogate");
  REFUSED("{\"\\udc00\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "surrogate");
  REFUSED("{\"\\x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "unknown escape");
  REFUSED("{\"\\u12g4\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "bad \\u");
  REFUSED("{\"__metadata__\":{\"k\":1}}", 0, "expected '\"'");
  REFUSED("{\"abc", 0, "inside a string");
  REFUSED("{\"abc\\", 0, "inside a string");
}

Test(safetensors, escapes_are_resolved) {
  isc_safetensors *f;
  isc_assert_ok(isc_st_open(made("{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\":"
                                 "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                                 0),
                            &f));
  cr_assert_str_eq(isc_st_at(f, 0)->name, "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80");
  isc_st_close(f);
}

Test(safetensors, every_truncation_of_a_good_file_is_refused) {
  const char *header = "{\"__metadata__\":{\"k\":\"v\"}," A "," B "}";
  const char *path = made(header, 5);
  isc_safetensors *f;
  for (off_t size = (off_t)(8 + strlen(header) + 5) - 1; size >= 0; size--) {
    cr_assert_eq(truncate(path, size), 0);
    cr_assert_eq(isc_st_open(path, &f), ISC_E_FORMAT, "at %d bytes", (int)size);
  }
}

Test(safetensors, a_file_cut_short_behind_our_back_is_an_error) {
  const char *path = made("{" A "," B "}", 5);
  isc_safetensors *f;
  int64_t v[3];
  isc_assert_ok(isc_st_open(path, &f));
  cr_assert_eq(truncate(path, 10), 0);
  isc_assert_fails(isc_st_read_i64(f, isc_st_find(f, "b"), 0, 3, v), ISC_E_IO, "was cut");
  isc_st_close(f);
}

/* 60,000 tensors whose duplicate is far away: a quadratic check would take minutes. */
Test(safetensors, many_tensors_cost_little) {
  isc_sb b = {0};
  char *header;
  isc_safetensors *f;
  for (int twice = 0; twice < 2; twice++) {
    isc_sb_add(&b, "{");
    for (int i = 0; i < 60000; i++)
      isc_sb_addf(&b, "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                  i ? "," : "", twice && i == 59999 ? 0 : i);
    isc_sb_add(&b, "}");
    isc_assert_ok(isc_sb_finish(&b, &header));
    const char *path = made(header, 0);
    if (twice)
      isc_assert_fails(isc_st_open(path, &f), ISC_E_FORMAT, "\"t0\" is there twice");
    else {
      isc_assert_ok(isc_st_open(path, &f));
      cr_assert_str_eq(isc_st_find(f, "t54321")->name, "t54321");
      isc_st_close(f);
    }
    free(header);
  }
}

/* Values of IEEE 754 binary16 and bfloat16, by their definition. */
Test(safetensors, floats_of_every_width_become_f32_exactly) {
  static const uint16_t half[] = {0x0000, 0x8000, 0x3C00, 0xC000, 0x7BFF,
                                  0x0400, 0x0001, 0x83FF, 0x7C00};
  static const float half_is[] = {0.0f,     -0.0f,    1.0f,          -2.0f,   65504.0f,
                                  0x1p-14f, 0x1p-24f, -0x1.ff8p-15f, INFINITY};
  static const uint16_t brain[] = {0x3F80, 0xC049, 0x7F80};
  static const float brain_is[] = {1.0f, -3.140625f, INFINITY};
  static const double wide[] = {0.1, -1e300};
  const char *path = in_dir(isc_test_dir("safetensors"), "x.safetensors");
  isc_st_writer *w;
  isc_safetensors *f;
  float v[9];
  isc_assert_ok(isc_st_writer_new(path, &w));
  isc_assert_ok(isc_st_writer_declare(w, "odd", ISC_ST_U8, 1, (int64_t[]){1}));
  isc_assert_ok(isc_st_writer_declare(w, "half", ISC_ST_F16, 1, (int64_t[]){9}));
  isc_assert_ok(isc_st_writer_declare(w, "brain", ISC_ST_BF16, 1, (int64_t[]){3}));
  isc_assert_ok(isc_st_writer_declare(w, "wide", ISC_ST_F64, 2, (int64_t[]){1, 2}));
  isc_assert_ok(isc_st_writer_data(w, "x", 1)); /* puts all that follows at odd addresses */
  isc_assert_ok(isc_st_writer_data(w, half, sizeof half));
  isc_assert_ok(isc_st_writer_data(w, brain, sizeof brain));
  isc_assert_ok(isc_st_writer_data(w, wide, sizeof wide));
  isc_assert_ok(isc_st_writer_commit(w));
  isc_assert_ok(isc_st_open(path, &f));
  isc_assert_ok(isc_st_read_f32(f, isc_st_find(f, "half"), 0, 9, v));
  cr_assert_arr_eq(v, half_is, sizeof half_is);
  isc_assert_ok(isc_st_read_f32(f, isc_st_find(f, "brain"), 0, 3, v));
  cr_assert_arr_eq(v, brain_is, sizeof brain_is);
  isc_assert_ok(isc_st_read_f32(f, isc_st_find(f, "wide"), 0, 2, v));
  cr_assert(v[0] == 0.1f && v[1] == -INFINITY);
  isc_st_close(f);
}

Test(safetensors, integers_of_every_width_become_i64) {
  const char *path = in_dir(isc_test_dir("safetensors"), "x.safetensors");
  static const isc_st_dtype type[] = {ISC_ST_BOOL, ISC_ST_U8,  ISC_ST_I8,  ISC_ST_U16, ISC_ST_I16,
                                      ISC_ST_U32,  ISC_ST_I32, ISC_ST_I64, ISC_ST_U64};
  static const size_t size[] = {1, 1, 1, 2, 2, 4, 4, 8, 8};
  static const int64_t ones_is[] = {255, 255, -1, 65535, -1, 4294967295, -1, -1};
  uint8_t ones[8];
  isc_st_writer *w;
  isc_safetensors *f;
  char name[2] = "a";
  memset(ones, 0xFF, sizeof ones);
  isc_assert_ok(isc_st_writer_new(path, &w));
  for (int i = 0; i < 9; i++, name[0]++)
    isc_assert_ok(isc_st_writer_declare(w, name, type[i], 0, NULL));
  for (int i = 0; i < 9; i++)
    isc_assert_ok(isc_st_writer_data(w, ones, size[i]));
  isc_assert_ok(isc_st_writer_commit(w));
  isc_assert_ok(isc_st_open(path, &f));
  int64_t v;
  for (int i = 0; i < 8; i++) {
    isc_assert_ok(isc_st_read_i64(f, isc_st_at(f, i), 0, 1, &v));
    cr_assert_eq(v, ones_is[i], "%d: %" PRId64, i, v);
  }
  isc_assert_fails(isc_st_read_i64(f, isc_st_at(f, 8), 0, 1, &v), ISC_E_SHAPE, "2^63");
  isc_st_close(f);
}

Test(safetensors, the_reference_model_is_read_as_python_reads_it) {
  ISC_NEED_SHARED(dir, "data/models/addition");
  isc_safetensors *f;
  float v[3072];
  isc_assert_ok(isc_st_open(dir, &f));
  cr_assert_eq(isc_st_count(f), 28);
  cr_assert_str_eq(isc_st_metadata(f, "format"), "pt");
  const isc_st_tensor *t = isc_st_find(f, "transformer.h.1.attn.c_attn.weight");
  cr_assert_not_null(t);
  cr_assert(t->ndim == 2 && t->shape[0] == 32 && t->shape[1] == 96);
  isc_assert_ok(isc_st_read_f32(f, t, 0, 3072, v));
  /* first and last element, by python's struct module */
  cr_assert(v[0] == 0x1.41d682p-6f && v[3071] == 0x1.f73378p-4f);
  isc_st_close(f);
}
