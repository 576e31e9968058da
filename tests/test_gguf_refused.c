/* SPDX-License-Identifier: Apache-2.0
 *
 * GGUF files that break one rule each, made byte by byte: every one ends in an error that says which.
 *
 * Among them are the ways in which readers of this format have been broken: lengths that wrap, counts that promise more
 * than the file has, types out of range, alignments that are none, data that lie elsewhere.
 */
#include "support.h"
#include "support_gguf.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static isc_status open_bytes(const bytes *b, isc_gguf **out) {
  static char path[1200];
  snprintf(path, sizeof path, "%s/x.gguf", isc_test_dir("gguf"));
  isc_assert_ok(isc_write_file(path, b->at, b->n));
  return isc_gguf_open(path, out);
}

static void refused(const bytes *b, isc_status code, const char *part) {
  isc_gguf *g;
  isc_assert_fails(open_bytes(b, &g), code, part);
  cr_assert_null(g);
}

static void accepted(const bytes *b) {
  isc_gguf *g;
  isc_assert_ok(open_bytes(b, &g));
  isc_gguf_close(g);
}

enum { F32 = 0, Q4_0 = 2, Q4_K = 12 };

/* A good file: one pair, two tensors of 32 and 8 bytes. */
static bytes good(void) {
  bytes b = start(2, 1);
  pair_u32(&b, "k", 7);
  tensor(&b, "a", 2, (uint64_t[]){4, 2}, F32, 0);
  tensor(&b, "b", 1, (uint64_t[]){2}, F32, 32);
  data(&b, 32, 40);
  return b;
}

Test(gguf_refused, a_good_file_is_none) {
  bytes b = good();
  isc_gguf *g;
  isc_assert_ok(open_bytes(&b, &g));
  const isc_weight *t = isc_gguf_at(g, 0);
  cr_assert(t->ndim == 2 && t->shape[0] == 2 && t->shape[1] == 4 && t->bytes == 32);
  cr_assert_eq(isc_gguf_at(g, 1)->at, t->at + 32);
  isc_gguf_close(g);
  b = start(0, 0);
  accepted(&b);
  b = start(1, 0);
  tensor(&b, "scalar", 0, NULL, F32, 0);
  data(&b, 32, 4);
  accepted(&b);
}

Test(gguf_refused, every_truncation_of_a_good_file_is) {
  bytes b = good();
  for (size_t n = b.n; n-- > 0;) {
    bytes cut = b;
    isc_gguf *g;
    cut.n = n;
    cr_assert(open_bytes(&cut, &g) == ISC_E_FORMAT && !g, "cut to %zu of %zu", n, b.n);
  }
}

/* A good file with any one byte changed is read or refused, and nothing else. */
Test(gguf_refused, no_changed_byte_does_harm) {
  const bytes b = good();
  static char path[1200];
  snprintf(path, sizeof path, "%s/x.gguf", isc_test_dir("gguf"));
  for (size_t i = 0; i < b.n - 40; i++)
    for (int k = 0; k < 3; k++) {
      bytes changed = b;
      isc_gguf *g;
      changed.at[i] ^= (uint8_t[]){0x01, 0x80, 0xFF}[k];
      FILE *f = fopen(path, "wb");
      cr_assert(f && fwrite(changed.at, 1, changed.n, f) == changed.n && fclose(f) == 0);
      isc_status st = isc_gguf_open(path, &g);
      cr_assert(st == ISC_OK || st == ISC_E_FORMAT || st == ISC_E_UNSUPPORTED, "byte %zu: %s", i,
                isc_error());
      isc_gguf_close(g);
    }
}

Test(gguf_refused, other_files_and_other_versions_are) {
  bytes b = good();
  b.at[0] = 'g';
  refused(&b, ISC_E_FORMAT, "does not start with \"GGUF\"");
  for (uint32_t v = 0; v < 6; v++) {
    b = good();
    memcpy(b.at + 4, &v, sizeof v);
    if (v == 2 || v == 3)
      accepted(&b);
    else
      refused(&b, ISC_E_UNSUPPORTED, "versions 2 and 3 are read");
  }
  b = good();
  memcpy(b.at + 4, "\0\0\0\3", 4);
  refused(&b, ISC_E_UNSUPPORTED, "big-endian");
  b = start(0, 2);
  text(&b, "split.no");
  u32(&b, ISC_GGUF_U16);
  raw(&b, "\0", 2);
  text(&b, "split.count");
  u32(&b, ISC_GGUF_U16);
  raw(&b, "\3", 2);
  refused(&b, ISC_E_UNSUPPORTED, "one of the 3 files");
}

/* 2^64 − 1 as a length wraps to 0 when a terminator is added, and beyond the buffer when an offset is. */
Test(gguf_refused, a_length_that_wraps_is) {
  static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63, 65536, 15};
  for (int k = 0; k < 5; k++) {
    bytes b = start(0, 1);
    u64(&b, lengths[k]);
    data(&b, 1, 14);
    refused(&b, ISC_E_FORMAT, k < 4 ? "more than 65535" : "goes beyond the file's 46 bytes");
    b = start(1, 0);
    u64(&b, k == 4 ? 64 : lengths[k]);
    data(&b, 1, 25);
    refused(&b, ISC_E_FORMAT, k < 4 ? "more than 64" : "goes beyond the file's 57 bytes");
  }
}

Test(gguf_refused, a_string_longer_than_the_file_is) {
  static const uint64_t lengths[] = {UINT64_MAX, UINT64_MAX - 8, UINT64_C(1) << 32, 4};
  for (int k = 0; k < 4; k++) {
    bytes b = start(0, 1);
    text(&b, "key");
    u32(&b, ISC_GGUF_STRING);
    u64(&b, lengths[k]);
    raw(&b, "abc", 3);
    refused(&b, ISC_E_FORMAT, "cannot be in the 3 bytes that are left");
    b = start(0, 1);
    text(&b, "key");
    u32(&b, ISC_GGUF_ARRAY);
    u32(&b, ISC_GGUF_STRING);
    u64(&b, 1);
    u64(&b, lengths[k]);
    raw(&b, "abc", 3);
    refused(&b, ISC_E_FORMAT, "cannot be in the 3 bytes that are left");
  }
}

/* Numbers whose product with the element's size wraps to something small, or is merely gigabytes: none is believed. */
Test(gguf_refused, a_count_beyond_the_file_is) {
  static const uint64_t counts[] = {UINT64_MAX,           (UINT64_C(1) << 62) + 1,
                                    UINT64_C(1) << 61,    UINT64_C(0x2492492492492493),
                                    UINT64_C(4000000000), 20};
  static const isc_gguf_type types[] = {ISC_GGUF_U8,   ISC_GGUF_U32,    ISC_GGUF_F64,
                                        ISC_GGUF_BOOL, ISC_GGUF_STRING, ISC_GGUF_ARRAY};
  for (int k = 0; k < 6; k++) {
    for (int t = 0; t < 6; t++) {
      bytes b = start(0, 1);
      text(&b, "key");
      u32(&b, ISC_GGUF_ARRAY);
      u32(&b, types[t]);
      u64(&b, counts[k]);
      raw(&b, "0123456789", 10);
      refused(&b, ISC_E_FORMAT, "cannot be in the 10 bytes that are left");
    }
    bytes b = start(counts[k], 0);
    data(&b, 1, 20);
    refused(&b, ISC_E_FORMAT, "tensors cannot be in the");
    b = start(0, counts[k]);
    data(&b, 1, 20);
    refused(&b, ISC_E_FORMAT, "metadata pairs cannot be in the");
  }
}

/* A hole of 3 GB behind a header that claims as much: the bytes are there, and still nobody needs so many. */
Test(gguf_refused, a_header_of_gigabytes_is) {
  static char path[1200];
  isc_gguf *g;
  snprintf(path, sizeof path, "%s/x.gguf", isc_test_dir("gguf"));
  bytes b = start(0, 1);
  text(&b, "key");
  u32(&b, ISC_GGUF_STRING);
  u64(&b, UINT64_C(2900000000));
  isc_assert_ok(isc_write_file(path, b.at, b.n));
  cr_assert_eq(truncate(path, 3000000000), 0);
  isc_assert_fails(isc_gguf_open(path, &g), ISC_E_FORMAT, "cannot be in the");
  b = start(100000, 0);
  isc_assert_ok(isc_write_file(path, b.at, b.n));
  cr_assert_eq(truncate(path, 3000000000), 0);
  isc_assert_fails(isc_gguf_open(path, &g), ISC_E_FORMAT, "at most 65536 of each");
  b = start(0, 65537);
  isc_assert_ok(isc_write_file(path, b.at, b.n));
  cr_assert_eq(truncate(path, 3000000000), 0);
  isc_assert_fails(isc_gguf_open(path, &g), ISC_E_FORMAT, "at most 65536 of each");
  cr_assert_eq(unlink(path), 0);
}

Test(gguf_refused, a_type_that_is_none_is) {
  static const uint32_t types[] = {13, 255, 0x7FFFFFFF, 0x80000000, UINT32_MAX};
  for (int k = 0; k < 5; k++) {
    bytes b = start(0, 1);
    text(&b, "key");
    u32(&b, types[k]);
    u64(&b, 0);
    refused(&b, ISC_E_FORMAT, "\"key\": unknown type");
    b = start(0, 1);
    text(&b, "key");
    u32(&b, ISC_GGUF_ARRAY);
    u32(&b, types[k]);
    u64(&b, 0);
    refused(&b, ISC_E_FORMAT, "\"key\": unknown type");
  }
  static const uint32_t storage[] = {4, 5, 10, 31, 1000, 0x80000000, UINT32_MAX};
  for (int k = 0; k < 7; k++) {
    bytes b = start(1, 0);
    tensor(&b, "a", 1, (uint64_t[]){256}, storage[k], 0);
    data(&b, 32, 1024);
    refused(&b, ISC_E_UNSUPPORTED, "tensor \"a\" is stored as GGUF type");
  }
}

Test(gguf_refused, a_boolean_that_is_neither_is) {
  bytes b = start(0, 1);
  text(&b, "key");
  u32(&b, ISC_GGUF_BOOL);
  raw(&b, "\2", 1);
  refused(&b, ISC_E_FORMAT, "\"key\": a boolean is 2");
  b = start(0, 1);
  text(&b, "key");
  u32(&b, ISC_GGUF_ARRAY);
  u32(&b, ISC_GGUF_BOOL);
  u64(&b, 3);
  raw(&b, "\1\0\377", 3);
  refused(&b, ISC_E_FORMAT, "\"key\": a boolean is 255");
}

Test(gguf_refused, a_key_that_is_empty_or_twice_or_no_text_is) {
  bytes b = start(0, 1);
  pair_u32(&b, "", 1);
  refused(&b, ISC_E_FORMAT, "a key is empty");
  b = start(0, 3);
  pair_u32(&b, "a", 1);
  pair_u32(&b, "b", 1);
  pair_u32(&b, "a", 1);
  refused(&b, ISC_E_FORMAT, "key \"a\" is there twice");
  b = start(0, 1);
  pair_u32(&b, "a\xff", 1);
  refused(&b, ISC_E_FORMAT, "a key is not UTF-8");
  b = start(0, 1);
  u64(&b, 3);
  raw(&b, "a\0b", 3);
  u32(&b, ISC_GGUF_U32);
  u32(&b, 1);
  refused(&b, ISC_E_FORMAT, "without NUL");
}

Test(gguf_refused, a_tensor_name_that_is_empty_or_twice_or_too_long_is) {
  bytes b = start(1, 0);
  tensor(&b, "", 1, (uint64_t[]){0}, F32, 0);
  data(&b, 32, 0);
  refused(&b, ISC_E_FORMAT, "a tensor's name is empty");
  b = start(3, 0);
  for (int i = 0; i < 3; i++)
    tensor(&b, (const char *[]){"a", "b", "a"}[i], 1, (uint64_t[]){8}, F32, (uint64_t)i * 32);
  data(&b, 32, 96);
  refused(&b, ISC_E_FORMAT, "tensor \"a\" is there twice");
  for (int n = 64; n <= 65; n++) {
    char name[66] = "";
    memset(name, 'x', (size_t)n);
    b = start(1, 0);
    tensor(&b, name, 1, (uint64_t[]){8}, F32, 0);
    data(&b, 32, 32);
    if (n == 64)
      accepted(&b);
    else
      refused(&b, ISC_E_FORMAT, "65 bytes, more than 64");
  }
}

Test(gguf_refused, a_shape_of_more_than_4_dimensions_or_that_overflows_is) {
  static const uint32_t ndims[] = {5, 255, 0x80000000, UINT32_MAX};
  for (int k = 0; k < 4; k++) {
    bytes b = start(1, 0);
    text(&b, "a");
    u32(&b, ndims[k]);
    for (int i = 0; i < 8; i++)
      u64(&b, 1);
    data(&b, 32, 32);
    refused(&b, ISC_E_FORMAT, "dimensions, more than 4");
  }
  static const uint64_t dims[][4] = {
      {UINT64_C(1) << 32, UINT64_C(1) << 32, 1, 1},             /* 2^64 elements, wraps to 0    */
      {UINT64_C(1) << 31, UINT64_C(1) << 31, 2, 1},             /* 2^63                         */
      {UINT64_C(1) << 62, 1, 1, 1},                             /* 2^64 bytes                   */
      {UINT64_C(1) << 63, 1, 1, 1},                             /* negative as a signed number  */
      {UINT64_MAX, UINT64_MAX, 1, 1},                           /* 1 in wrapping arithmetic     */
      {UINT64_C(0x100000001), UINT64_C(0x100000001), 1, 1},     /* 2^33 + 1 when wrapped        */
      {UINT64_C(1) << 20, UINT64_C(1) << 20, 1 << 20, 1 << 20}, /* each harmless                */
  };
  for (int k = 0; k < 7; k++) {
    bytes b = start(1, 0);
    tensor(&b, "a", 4, dims[k], F32, 0);
    data(&b, 32, 64);
    refused(&b, ISC_E_FORMAT, "tensor \"a\": the shape overflows");
  }
}

Test(gguf_refused, rows_of_broken_blocks_are) {
  bytes b = start(1, 0);
  tensor(&b, "a", 2, (uint64_t[]){16, 2}, Q4_0,
         0); /* 32 elements, and not one whole row of a block */
  data(&b, 32, 64);
  refused(&b, ISC_E_FORMAT, "rows of 16 are not whole blocks of the 32 elements of Q4_0");
  b = start(1, 0);
  tensor(&b, "a", 1, (uint64_t[]){255}, Q4_K, 0);
  data(&b, 32, 256);
  refused(&b, ISC_E_FORMAT, "rows of 255");
  b = start(1, 0);
  tensor(&b, "a", 0, NULL, Q4_0, 0);
  data(&b, 32, 256);
  refused(&b, ISC_E_FORMAT, "rows of 1 ");
}

Test(gguf_refused, an_alignment_that_is_none_is) {
  static const uint32_t bad[] = {0, 3, 24, 33, 0x80000001, UINT32_MAX, 0x80000000};
  for (int k = 0; k < 7; k++) {
    bytes b = start(1, 1);
    pair_u32(&b, "general.alignment", bad[k]);
    tensor(&b, "a", 1, (uint64_t[]){1}, F32, 0);
    data(&b, 64, 64);
    refused(&b, ISC_E_FORMAT, "general.alignment");
  }
  bytes b = start(1, 1);
  text(&b, "general.alignment");
  u32(&b, ISC_GGUF_I32);
  u32(&b, (uint32_t)-32);
  tensor(&b, "a", 1, (uint64_t[]){1}, F32, 0);
  data(&b, 64, 64);
  refused(&b, ISC_E_FORMAT, "general.alignment\" is -32");
  b = start(1, 1);
  text(&b, "general.alignment");
  u32(&b, ISC_GGUF_F32);
  u32(&b, 0x42000000);
  tensor(&b, "a", 1, (uint64_t[]){1}, F32, 0);
  data(&b, 64, 64);
  refused(&b, ISC_E_FORMAT, "must be an integer");
  b = start(1, 1); /* the data would begin at 2^30 */
  pair_u32(&b, "general.alignment", 1 << 30);
  tensor(&b, "a", 1, (uint64_t[]){1}, F32, 0);
  data(&b, 64, 64);
  refused(&b, ISC_E_FORMAT, "ends after its header");
  b = start(1, 1);
  pair_u32(&b, "general.alignment", 256);
  tensor(&b, "a", 1, (uint64_t[]){1}, F32, 0);
  data(&b, 256, 4);
  accepted(&b);
}

Test(gguf_refused, data_that_lie_elsewhere_are) {
  static const uint64_t offsets[] = {64, UINT64_MAX - 31, UINT64_C(1) << 63, UINT64_MAX - 63};
  for (int k = 0; k < 4; k++) {
    bytes b = start(1, 0);
    tensor(&b, "a", 1, (uint64_t[]){8}, F32, offsets[k]);
    data(&b, 32, 64);
    refused(&b, ISC_E_FORMAT, "go beyond the 64 bytes of data");
  }
  bytes b = start(1, 0);
  tensor(&b, "a", 1, (uint64_t[]){17}, F32, 0);
  data(&b, 32, 64);
  refused(&b, ISC_E_FORMAT, "its 68 bytes at 0 go beyond");
  b = start(1, 0);
  tensor(&b, "a", 1, (uint64_t[]){4}, F32, 8);
  data(&b, 32, 64);
  refused(&b, ISC_E_FORMAT, "offset 8 is not a multiple of 32");
  b = start(2, 0);
  tensor(&b, "a", 1, (uint64_t[]){16}, F32, 0);
  tensor(&b, "b", 1, (uint64_t[]){8}, F32, 32);
  data(&b, 32, 64);
  refused(&b, ISC_E_FORMAT, "tensors \"a\" and \"b\" overlap");
  b = start(2, 0);
  tensor(&b, "b", 1, (uint64_t[]){8}, F32, 0);
  tensor(&b, "a", 1, (uint64_t[]){8}, F32, 0);
  data(&b, 32, 64);
  refused(&b, ISC_E_FORMAT, "overlap");
  b = start(3, 0); /* in any order, with room between, and an empty one anywhere */
  tensor(&b, "b", 1, (uint64_t[]){8}, F32, 64);
  tensor(&b, "none", 1, (uint64_t[]){0}, F32, 0);
  tensor(&b, "a", 1, (uint64_t[]){8}, F32, 0);
  data(&b, 32, 96);
  accepted(&b);
}

Test(gguf_refused, arrays_nested_deep_are) {
  for (int depth = 1; depth <= 200; depth += depth < 8 ? 1 : 64) {
    bytes b = start(0, 2);
    text(&b, "deep");
    u32(&b, ISC_GGUF_ARRAY);
    for (int i = 1; i < depth; i++) {
      u32(&b, ISC_GGUF_ARRAY);
      u64(&b, 1);
    }
    u32(&b, ISC_GGUF_STRING);
    u64(&b, 1);
    text(&b, "x");
    pair_u32(&b, "after", 5);
    if (depth > 4) {
      refused(&b, ISC_E_FORMAT, "\"deep\": arrays nested deeper than 4 levels");
      continue;
    }
    isc_gguf *g;
    int64_t v;
    isc_assert_ok(open_bytes(&b, &g));
    isc_assert_ok(isc_gguf_int(g, "after", 0, 9, &v));
    cr_assert_eq(v, 5);
    isc_gguf_close(g);
  }
  bytes b = start(0, 1);
  text(&b, "deep");
  u32(&b, ISC_GGUF_ARRAY);
  u32(&b, ISC_GGUF_ARRAY);
  u64(&b, 1);
  u32(&b, ISC_GGUF_U64);
  u64(&b, UINT64_C(1) << 61);
  refused(&b, ISC_E_FORMAT, "cannot be in the 0 bytes that are left");
}
