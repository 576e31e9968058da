/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about NumPy's files: what NumPy wrote is what is read, and each way a file can be wrong is refused.
 *
 * tests/golden/npz.py wrote arrays whose elements tell their own place. Bad headers are made here, by hand.
 */
#include "support.h"
#include "base/base.h"
#include "model/npz.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

static isc_npz *opened(const char *rel) {
  isc_npz *z;
  isc_assert_ok(isc_npz_open(isc_test_source(rel), &z));
  return z;
}

static const char *in_dir(const char *name) {
  static char path[4][1200];
  static int slot;
  slot = (slot + 1) % 4;
  snprintf(path[slot], sizeof path[slot], "%s/%s", isc_test_dir("npz"), name);
  return path[slot];
}

/* ---- what NumPy wrote */

static void check_floats(isc_npz *z, const char *name, float add) {
  const isc_npz_array *a = isc_npz_find(z, name);
  float x[15];
  cr_assert(a && a->header.ndim == 2 && a->header.shape[0] == 3 && a->header.shape[1] == 5, "%s",
            name);
  isc_assert_ok(isc_npz_read_f32(z, a, x));
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 5; j++)
      cr_assert_eq(x[i * 5 + j], (float)(100 * i + j) + add, "%s[%d, %d] is %g", name, i, j,
                   x[i * 5 + j]);
}

static void check_ints(isc_npz *z, const char *name) {
  const isc_npz_array *a = isc_npz_find(z, name);
  int64_t x[7];
  cr_assert(a && a->header.ndim == 1 && a->header.shape[0] == 7, "%s", name);
  isc_assert_ok(isc_npz_read_i64(z, a, x));
  for (int i = 0; i < 7; i++)
    cr_assert_eq(x[i], strcmp(name, "i8") == 0 && i == 0 ? INT64_MIN : i, "%s[%d]", name, i);
}

static void check_archive(const char *rel) {
  static const char *const ints[] = {"i1", "u1", "i2", "u2", "i4", "u4", "i8"};
  isc_npz *z = opened(rel);
  cr_assert_eq(isc_npz_count(z), 17);
  cr_assert_str_eq(isc_npz_at(z, 0)->name, "f2");
  cr_assert(isc_npz_at(z, 17) == NULL && isc_npz_at(z, -1) == NULL && isc_npz_find(z, "f") == NULL);
  check_floats(z, "f2", 0.5f);
  check_floats(z, "f4", 0.5f);
  check_floats(z, "f8", 0.5f);
  check_floats(z, "fortran", 0);
  for (int k = 0; k < 7; k++)
    check_ints(z, ints[k]);
  int64_t x[24];
  float *y = malloc(sizeof *y * 65 * 67);
  isc_assert_fails(isc_npz_read_i64(z, isc_npz_find(z, "u8"), x), ISC_E_SHAPE, "exceeds 2^63 - 1");
  isc_assert_ok(isc_npz_read_i64(z, isc_npz_find(z, "bool"), x));
  cr_assert(x[0] == 1 && x[1] == 0);
  cr_assert(isc_npz_find(z, "cube")->header.fortran);
  isc_assert_ok(isc_npz_read_i64(z, isc_npz_find(z, "cube"), x));
  for (int i = 0; i < 24; i++)
    cr_assert_eq(x[i], 10000 * (i / 12) + 100 * (i / 4 % 3) + i % 4);
  isc_assert_ok(isc_npz_read_f32(z, isc_npz_find(z, "long"), y)); /* more than one piece */
  for (int i = 0; i < 65 * 67; i++)
    cr_assert_eq(y[i], (float)(100 * (i / 67) + i % 67));
  isc_assert_ok(isc_npz_read_f32(z, isc_npz_find(z, "scalar"), y));
  cr_assert(y[0] == 2.5f && isc_npz_find(z, "scalar")->header.ndim == 0);
  isc_assert_ok(isc_npz_read_f32(z, isc_npz_find(z, "empty"), y));
  isc_assert_fails(isc_npz_read_f32(z, isc_npz_find(z, "i4"), y), ISC_E_SHAPE,
                   "\"i4\" is I32, not floating point");
  isc_assert_fails(isc_npz_read_i64(z, isc_npz_find(z, "f4"), x), ISC_E_SHAPE,
                   "\"f4\" is F32, not integer");
  free(y);
  isc_npz_close(z);
}

Test(npz, a_plain_archive_is_read) {
  check_archive("tests/data/arrays.npz");
}

Test(npz, a_compressed_archive_is_read) {
  check_archive("tests/data/packed.npz");
}

Test(npz, a_single_array_is_read) {
  isc_npz *z = opened("tests/data/one.npy");
  cr_assert_eq(isc_npz_count(z), 1);
  cr_assert_str_eq(isc_npz_at(z, 0)->name, "");
  check_floats(z, "", 0.5f);
  isc_npz_close(z);
}

Test(npz, an_array_is_read_by_pieces_and_to_its_end) {
  isc_npz *z = opened("tests/data/packed.npz");
  isc_npz_reader *r;
  float x[15];
  isc_assert_ok(isc_npz_reader_new(z, isc_npz_find(z, "f8"), &r));
  isc_assert_ok(isc_npz_reader_next(r, 4, x));
  isc_assert_fails(isc_npz_reader_end(r), ISC_E_USAGE, "11 elements were not read");
  isc_assert_fails(isc_npz_reader_next(r, 12, x), ISC_E_SHAPE, "11 are left");
  isc_assert_fails(isc_npz_reader_next(r, -1, x), ISC_E_SHAPE, "11 are left");
  isc_assert_ok(isc_npz_reader_next(r, 11, x + 4));
  isc_assert_ok(isc_npz_reader_end(r));
  for (int i = 0; i < 15; i++)
    cr_assert_eq(x[i], (float)(100 * (i / 5) + i % 5) + 0.5f);
  isc_npz_reader_free(r);
  const isc_npz_array other = *isc_npz_at(z, 0);
  isc_assert_fails(isc_npz_reader_new(z, &other, &r), ISC_E_USAGE, "not of this file");
  isc_npz_close(z);
}

/* ---- headers */

/* An .npy of version 1 with this dictionary and n bytes of elements. */
static const char *made(const char *dictionary, size_t n) {
  const char *path = in_dir("x.npy");
  const size_t len = strlen(dictionary);
  FILE *f = fopen(path, "wb");
  cr_assert(f && fwrite("\x93NUMPY\1\0", 1, 8, f) == 8);
  fputc((int)(len & 0xFF), f);
  fputc((int)(len >> 8), f);
  cr_assert_eq(fwrite(dictionary, 1, len, f), len);
  for (size_t i = 0; i < n; i++)
    fputc((int)i, f);
  cr_assert_eq(fclose(f), 0);
  return path;
}

static void refused(const char *dictionary, size_t n, isc_status code, const char *part) {
  isc_npz *z;
  isc_assert_fails(isc_npz_open(made(dictionary, n), &z), code, part);
  cr_assert_null(z);
}

static void accepted(const char *dictionary, size_t n) {
  isc_npz *z;
  isc_assert_ok(isc_npz_open(made(dictionary, n), &z));
  isc_npz_close(z);
}

Test(npz, headers_may_be_written_in_any_order_and_quotes) {
  accepted("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }     \n", 8);
  accepted("{\"shape\":(1,2),\"fortran_order\":True,\"descr\":\"<f4\"}", 8);
  accepted("{'shape': (), 'fortran_order': False, 'descr': '|u1'}", 1);
  accepted("{'shape': (2, 0, 3), 'fortran_order': False, 'descr': '<i8'}", 0);
}

Test(npz, headers_that_say_anything_else_are_refused) {
  const isc_status bad = ISC_E_FORMAT;
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 8, bad,
          "12 bytes of elements by its shape");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 8, bad,
          "4 bytes of elements by its shape");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", 8, bad, "ends in a comma");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2 1)}", 8, bad,
          "expected ',' or ')'");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", 8, bad,
          "non-negative integer");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': [2]}", 8, bad, "expected '('");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4, bad,
          "more than 8 dimensions");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", 8, bad,
          "too large");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}", 0, bad,
          "overflows");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 0, bad,
          "overflows");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", 8, bad,
          "4000000000000 bytes of elements");
  refused("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", 8, bad, "True or False");
  refused("{'descr': '<f4', 'fortran_order': False}", 8, bad, "missing");
  refused("{'descr': '<f4', 'fortran_order': False, 'descr': '<f4', 'shape': (2,)}", 8, bad,
          "twice");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", 8, bad, "unknown key");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", 8, bad, "follows");
  refused("{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", 8, bad, "expected ',' or '}'");
  refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", 8, bad, "expected ',' or '}'");
  refused("{'descr", 8, bad, "does not end");
  refused("{'de\\'scr': '<f4'}", 8, bad, "does not end");
  refused("{ ", 8, bad, "expected a string");
  refused("{", 8, bad, "a NumPy header of 11 bytes is too short");
  refused("", 8, bad, "too short");
  refused("[]", 8, bad, "expected '{'");
}

Test(npz, elements_that_are_no_plain_numbers_are_refused) {
  static const char *const types[] = {"|O",   "<U4",     "|S3", "<c8", ">f4",
                                      "<f16", "<M8[ns]", "f4",  ""};
  char text[128];
  for (int k = 0; k < 9; k++) {
    snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (2,)}", types[k]);
    refused(text, 8, ISC_E_UNSUPPORTED, "are not read");
  }
  refused("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", 8, ISC_E_UNSUPPORTED,
          "arrays of records");
}

Test(npz, a_header_that_is_cut_or_endless_is_refused) {
  const char *path = made("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8);
  char *data;
  size_t len;
  isc_npz *z;
  isc_assert_ok(isc_read_file(path, 1 << 20, &data, &len));
  for (size_t n = len; n-- > 0;) {
    cr_assert_eq(truncate(path, (off_t)n), 0);
    cr_assert_eq(isc_npz_open(path, &z), ISC_E_FORMAT, "cut to %zu bytes: %s", n, isc_error());
  }
  for (int version = 0; version < 6; version++) {
    data[6] = (char)version;
    isc_assert_ok(isc_write_file(path, data, len));
    if (version == 1) continue;
    /* versions 2 and 3 have a longer length, so that it says something else here */
    cr_assert_eq(isc_npz_open(path, &z), ISC_E_FORMAT, "version %d", version);
  }
  data[6] = 2;
  memcpy(data + 8, "\xff\xff\xff\xff", 4);
  isc_assert_ok(isc_write_file(path, data, len));
  isc_assert_fails(isc_npz_open(path, &z), ISC_E_FORMAT, "exceeds the limit");
  free(data);
}

/* ---- archives */

typedef struct entry {
  const char *name, *dictionary;
  size_t bytes; /* zeros behind the header */
} entry;

static const char *zipped(const entry *list, int n, int method) {
  const char *path = in_dir("x.npz");
  int code;
  zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
  cr_assert_not_null(zip);
  for (int i = 0; i < n; i++) {
    const size_t len = strlen(list[i].dictionary), size = 10 + len + list[i].bytes;
    char *data = calloc(size, 1);
    memcpy(data, "\x93NUMPY\1\0", 8);
    data[8] = (char)(len & 0xFF);
    data[9] = (char)(len >> 8);
    memcpy(data + 10, list[i].dictionary, len);
    zip_int64_t at = zip_file_add(zip, list[i].name, zip_source_buffer(zip, data, size, 1), 0);
    cr_assert_geq(at, 0);
    cr_assert_eq(zip_set_file_compression(zip, (zip_uint64_t)at, method, 0), 0);
  }
  cr_assert_eq(zip_close(zip), 0);
  return path;
}

#define F4(shape) "{'descr': '<f4', 'fortran_order': False, 'shape': (" shape ")}"

static void archive_refused(const entry *list, int n, isc_status code, const char *part) {
  isc_npz *z;
  isc_assert_fails(isc_npz_open(zipped(list, n, ZIP_CM_STORE), &z), code, part);
  cr_assert_null(z);
}

Test(npz, entries_that_are_no_arrays_are_refused) {
  archive_refused((entry[]){{"a", F4("2,"), 8}}, 1, ISC_E_FORMAT, "must end in .npy");
  archive_refused((entry[]){{".npy", F4("2,"), 8}}, 1, ISC_E_FORMAT, "must end in .npy");
  archive_refused((entry[]){{"a.npy", F4("2,"), 9}}, 1, ISC_E_FORMAT, "8 bytes of elements");
  archive_refused((entry[]){{"a.npy", F4("2,"), 7}}, 1, ISC_E_FORMAT, "8 bytes of elements");
  archive_refused((entry[]){{"b.npy", F4("2,"), 8}, {"a.npy", "{ ", 8}}, 2, ISC_E_FORMAT,
                  "x.npz: a: NumPy header byte");
}

Test(npz, what_is_no_archive_is_refused) {
  const char *path = in_dir("x.npz");
  isc_npz *z;
  isc_assert_ok(isc_write_file(path, "x", 1));
  isc_assert_fails(isc_npz_open(path, &z), ISC_E_FORMAT, path);
  isc_assert_ok(isc_write_file(path, "", 0));
  isc_assert_fails(isc_npz_open(path, &z), ISC_E_FORMAT, "is empty");
  isc_assert_fails(isc_npz_open("/nonexistent/x.npz", &z), ISC_E_MISSING, "x.npz");
  char *data;
  size_t len;
  isc_assert_ok(isc_read_file(isc_test_source("tests/data/arrays.npz"), 1 << 20, &data, &len));
  isc_assert_ok(isc_write_file(path, data, len / 2));
  isc_assert_fails(isc_npz_open(path, &z), ISC_E_FORMAT, path);
  free(data);
}

/* The first "PK\1\2", the archive's record of its first entry: what it claims of sizes is at 20 (packed) and 24. */
static size_t record_of(const char *data, size_t len) {
  for (size_t i = 0; i + 4 <= len; i++)
    if (memcmp(data + i, "PK\1\2", 4) == 0) return i;
  cr_assert_fail("no record");
  return 0;
}

Test(npz, a_small_archive_that_claims_gigabytes_is_refused) {
  const char *path = zipped((entry[]){{"a.npy", F4("1000000000,"), 8}}, 1, ZIP_CM_STORE);
  char *data;
  size_t len;
  isc_npz *z;
  isc_assert_fails(isc_npz_open(path, &z), ISC_E_FORMAT,
                   "4000000000 bytes of elements by its shape");
  isc_assert_ok(isc_read_file(path, 1 << 20, &data, &len));
  const uint32_t claimed = 4000000000u + 10 + (uint32_t)strlen(F4("1000000000,"));
  memcpy(data + record_of(data, len) + 24, &claimed, sizeof claimed);
  isc_assert_ok(isc_write_file(path, data, len));
  isc_assert_fails(isc_npz_open(path, &z), ISC_E_FORMAT, "would unpack to more than 128 times");
  free(data);
}

Test(npz, an_archive_that_swells_is_refused_and_a_small_one_is_read) {
  isc_npz *z;
  const char *path = zipped((entry[]){{"a.npy", F4("20000000,"), 80000000}}, 1, ZIP_CM_DEFLATE);
  isc_assert_fails(isc_npz_open(path, &z), ISC_E_FORMAT, "would unpack to more than 128 times");
  path = zipped((entry[]){{"a.npy", F4("2000000,"), 8000000}}, 1, ZIP_CM_DEFLATE);
  isc_assert_ok(isc_npz_open(path, &z));
  isc_npz_close(z);
}

/* A changed element is noticed by the archive's checksum when its array was read to the end. */
Test(npz, a_changed_byte_is_noticed) {
  const char *path = in_dir("x.npz");
  char *data;
  size_t len;
  isc_npz *z;
  float x[15];
  isc_assert_ok(isc_read_file(isc_test_source("tests/data/arrays.npz"), 1 << 20, &data, &len));
  isc_assert_ok(isc_write_file(path, data, len));
  isc_assert_ok(isc_npz_open(path, &z));
  isc_assert_ok(isc_npz_read_f32(z, isc_npz_find(z, "f2"), x));
  isc_npz_close(z);
  data[200]++; /* the first array's elements follow a header of 128 bytes */
  isc_assert_ok(isc_write_file(path, data, len));
  isc_assert_ok(isc_npz_open(path, &z));
  isc_assert_fails(isc_npz_read_f32(z, isc_npz_find(z, "f2"), x), ISC_E_FORMAT, "f2: CRC error");
  isc_npz_close(z);
  free(data);
}

Test(npz, a_file_cut_short_while_open_is_an_error) {
  const char *rel[] = {"tests/data/arrays.npz", "tests/data/one.npy"};
  for (int k = 0; k < 2; k++) {
    const char *path = in_dir("x");
    char *data;
    size_t len;
    isc_npz *z;
    float x[15];
    isc_assert_ok(isc_read_file(isc_test_source(rel[k]), 1 << 20, &data, &len));
    isc_assert_ok(isc_write_file(path, data, len));
    isc_assert_ok(isc_npz_open(path, &z));
    cr_assert_eq(truncate(path, 140), 0);
    isc_status st = isc_npz_read_f32(z, isc_npz_at(z, 0), x);
    cr_assert(st == ISC_E_IO || st == ISC_E_FORMAT, "%s", isc_error());
    isc_npz_close(z);
    free(data);
  }
}

Test(npz, survives_every_failing_allocation) {
  for (int64_t at = 1;; at++) {
    isc_npz *z;
    float x[15];
    isc_alloc_fail_at(at);
    isc_status st = isc_npz_open(isc_test_source("tests/data/packed.npz"), &z);
    if (st == ISC_OK) st = isc_npz_read_f32(z, isc_npz_find(z, "fortran"), x);
    isc_alloc_fail_at(0);
    isc_npz_close(z);
    if (st == ISC_OK) {
      cr_assert_gt(at, 20);
      break;
    }
    cr_assert_eq(st, ISC_E_NOMEM, "allocation %d: %s", (int)at, isc_error());
  }
}
