/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about reading GGUF: what the gguf package wrote and decoded is what comes out here.
 *
 * tests/golden/gguf_types.py makes types.gguf, with random blocks of every type and metadata of every type, and
 * types.safetensors, which holds the same tensors as f32.
 */
#include "support.h"
#include "base/base.h"
#include "model/gguf.h"
#include "model/weights.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static isc_weights *opened(const char *rel) {
  isc_weights *w;
  isc_assert_ok(isc_weights_open(isc_test_source(rel), &w));
  return w;
}

/* Bit for bit: the floats are products in one fixed order. */
Test(gguf, every_type_is_decoded_as_the_published_implementation_does) {
  static const char *const types[] = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K",
                                      "Q5_K", "Q6_K", "F32",  "F16",  "F64",  "BF16"};
  isc_weights *w = opened("tests/data/types.gguf"),
              *golden = opened("tests/data/types.safetensors");
  cr_assert_not_null(isc_weights_gguf(w));
  cr_assert_null(isc_weights_gguf(golden));
  for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
    const isc_weight *t = isc_weights_find(w, types[k]), *g = isc_weights_find(golden, types[k]);
    float got[1536], want[1536];
    cr_assert(t && g && t->ndim == 2 && g->ndim == 2 && t->elements == g->elements);
    cr_assert(t->shape[0] == g->shape[0] && t->shape[1] == g->shape[1], "%s: %d x %d", types[k],
              (int)t->shape[0], (int)t->shape[1]);
    cr_assert_str_eq(t->type, types[k]);
    isc_assert_ok(isc_weights_read(w, t, 0, t->elements, ISC_F32, got));
    isc_assert_ok(isc_weights_read(golden, g, 0, g->elements, ISC_F32, want));
    for (int64_t i = 0; i < t->elements; i++)
      cr_assert(memcmp(&got[i], &want[i], sizeof *got) == 0, "%s[%d] is %.9g, not %.9g", types[k],
                (int)i, got[i], want[i]);
  }
  isc_weights_close(w);
  isc_weights_close(golden);
}

/* A read may begin and end within blocks. */
Test(gguf, any_elements_of_a_quantised_tensor_can_be_read) {
  isc_weights *w = opened("tests/data/types.gguf");
  static const char *const types[] = {"Q4_0", "Q6_K"};
  for (int k = 0; k < 2; k++) {
    const isc_weight *t = isc_weights_find(w, types[k]);
    float all[1536], some[1536];
    uint16_t rounded[1536];
    isc_assert_ok(isc_weights_read(w, t, 0, 1536, ISC_F32, all));
    for (int64_t first = 0; first < 1536; first += 31)
      for (int64_t n = 0; n <= 1536 - first; n += 97) {
        isc_assert_ok(isc_weights_read(w, t, first, n, ISC_F32, some));
        cr_assert_eq(memcmp(some, all + first, (size_t)n * sizeof *all), 0);
        isc_assert_ok(isc_weights_read(w, t, first, n, ISC_BF16, rounded));
        for (int64_t i = 0; i < n; i++) {
          uint32_t bits = (uint32_t)rounded[i] << 16;
          float x;
          memcpy(&x, &bits, sizeof x);
          cr_assert_leq(fabsf(x - all[first + i]), fabsf(all[first + i]) * 0x1p-8f);
        }
      }
    float out[1536];
    isc_weight_matrix m = {
        .name = "t", .rows = 512, .cols = 3, .n_parts = 1, .part = {{t, 512, 3, true, 0, 0}}};
    isc_assert_ok(isc_weights_check(w, &m));
    for (int64_t r = 0; r < 512; r += 100)
      isc_assert_ok(
          isc_weights_read_rows(w, &m, r, r + 100 < 512 ? r + 100 : 512, ISC_F32, out + r * 3));
    for (int i = 0; i < 512; i++)
      for (int j = 0; j < 3; j++)
        cr_assert_eq(memcmp(&out[i * 3 + j], &all[j * 512 + i], sizeof *out), 0);
  }
  isc_weights_close(w);
}

Test(gguf, numbers_of_every_type_are_read) {
  isc_weights *w = opened("tests/data/types.gguf");
  const isc_gguf *g = isc_weights_gguf(w);
  static const struct {
    const char *key;
    int64_t value;
  } ints[] = {{"n.u8", 200},         {"n.i8", -100},         {"n.u16", 60000},    {"n.i16", -30000},
              {"n.u32", 4000000000}, {"n.i32", -2000000000}, {"n.i64", INT64_MIN}};
  int64_t i;
  double f;
  bool b;
  for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
    isc_assert_ok(isc_gguf_int(g, ints[k].key, INT64_MIN, INT64_MAX, &i));
    cr_assert_eq(i, ints[k].value, "%s", ints[k].key);
  }
  isc_assert_fails(isc_gguf_int(g, "n.u64", 0, INT64_MAX, &i), ISC_E_FORMAT,
                   "\"n.u64\" is too large");
  isc_assert_fails(isc_gguf_int(g, "n.u8", 0, 199, &i), ISC_E_FORMAT,
                   "200, outside the accepted 0 … 199");
  isc_assert_fails(isc_gguf_int(g, "n.u8", 201, 300, &i), ISC_E_FORMAT, "outside");
  isc_assert_fails(isc_gguf_int(g, "n.f32", 0, 9, &i), ISC_E_FORMAT,
                   "\"n.f32\" must be an integer, not f32");
  isc_assert_fails(isc_gguf_int(g, "n.yes", 0, 9, &i), ISC_E_FORMAT,
                   "must be an integer, not boolean");
  isc_assert_fails(isc_gguf_int(g, "absent", 0, 9, &i), ISC_E_MISSING, "no metadata \"absent\"");
  isc_assert_ok(isc_gguf_int_or(g, "absent", 0, 9, 7, &i));
  cr_assert_eq(i, 7);
  isc_assert_ok(isc_gguf_float(g, "n.f32", &f));
  cr_assert_eq(f, (double)0.1f);
  isc_assert_ok(isc_gguf_float(g, "n.f64", &f));
  cr_assert_eq(f, 0.1);
  isc_assert_fails(isc_gguf_float(g, "n.u8", &f), ISC_E_FORMAT, "must be a float, not u8");
  isc_assert_fails(isc_gguf_float(g, "absent", &f), ISC_E_MISSING, "absent");
  isc_assert_ok(isc_gguf_float_or(g, "absent", 2.5, &f));
  cr_assert_eq(f, 2.5);
  isc_assert_ok(isc_gguf_bool_or(g, "n.yes", false, &b));
  cr_assert(b);
  isc_assert_ok(isc_gguf_bool_or(g, "n.no", true, &b));
  cr_assert_not(b);
  isc_assert_ok(isc_gguf_bool_or(g, "absent", true, &b));
  cr_assert(b);
  isc_assert_fails(isc_gguf_bool_or(g, "n.u8", true, &b), ISC_E_FORMAT,
                   "must be a boolean, not u8");
  isc_weights_close(w);
}

Test(gguf, strings_and_arrays_are_read) {
  isc_weights *w = opened("tests/data/types.gguf");
  const isc_gguf *g = isc_weights_gguf(w);
  const char *s;
  const isc_gguf_array *a;
  isc_assert_ok(isc_gguf_string(g, "s.text", &s));
  cr_assert_str_eq(s, "gr\xc3\xbcn");
  isc_assert_fails(isc_gguf_string(g, "s.nul", &s), ISC_E_FORMAT, "\"s.nul\" holds a NUL");
  isc_assert_fails(isc_gguf_string(g, "n.u8", &s), ISC_E_FORMAT, "must be a string, not u8");
  isc_assert_fails(isc_gguf_string(g, "absent", &s), ISC_E_MISSING, "absent");
  isc_assert_ok(isc_gguf_string_or(g, "absent", "x", &s));
  cr_assert_str_eq(s, "x");
  isc_assert_ok(isc_gguf_strings(g, "a.strings", &a));
  cr_assert(a->n == 4 && a->type == ISC_GGUF_STRING);
  static const isc_gguf_text want[] = {{"", 0}, {"\xe2\x96\x81the", 6}, {"<0x0A>", 6}, {"a\0b", 3}};
  for (int i = 0; i < 4; i++) {
    isc_gguf_text t = isc_gguf_string_at(a, i);
    cr_assert(t.len == want[i].len && memcmp(t.s, want[i].s, t.len + 1) == 0, "string %d", i);
  }
  isc_assert_ok(isc_gguf_ints(g, "a.ints", &a));
  cr_assert(a->n == 3 && isc_gguf_int_at(a, 0) == 1 && isc_gguf_int_at(a, 1) == -2 &&
            isc_gguf_int_at(a, 2) == 3);
  isc_assert_ok(isc_gguf_floats(g, "a.floats", &a));
  cr_assert(a->n == 2 && isc_gguf_float_at(a, 0) == 0.5 && isc_gguf_float_at(a, 1) == -1.5);
  isc_assert_fails(isc_gguf_ints(g, "a.floats", &a), ISC_E_FORMAT, "elements are of type f32");
  isc_assert_fails(isc_gguf_ints(g, "a.nested", &a), ISC_E_FORMAT, "elements are of type array");
  isc_assert_fails(isc_gguf_ints(g, "a.bools", &a), ISC_E_FORMAT, "elements are of type boolean");
  isc_assert_fails(isc_gguf_ints(g, "n.u8", &a), ISC_E_FORMAT,
                   "must be an array of integers, not u8");
  isc_assert_fails(isc_gguf_strings(g, "absent", &a), ISC_E_MISSING, "absent");
  isc_weights_close(w);
}

Test(gguf, keys_and_tensors_are_listed) {
  isc_gguf *g;
  isc_assert_ok(isc_gguf_open(isc_test_source("tests/data/types.gguf"), &g));
  cr_assert_eq(isc_gguf_keys(g), 20);
  cr_assert_str_eq(isc_gguf_key(g, 0), "a.bools");
  cr_assert_str_eq(isc_gguf_key(g, 19), "s.text");
  cr_assert(isc_gguf_key(g, 20) == NULL && isc_gguf_key(g, -1) == NULL);
  cr_assert(isc_gguf_has(g, "n.u8") && !isc_gguf_has(g, "n.u"));
  cr_assert_eq(isc_gguf_count(g), 16);
  cr_assert_str_eq(isc_gguf_at(g, 0)->name, "Q4_0");
  cr_assert(isc_gguf_at(g, 16) == NULL && isc_gguf_at(g, -1) == NULL);
  const isc_weight *t = isc_gguf_at(g, 13);
  cr_assert(t->dtype == ISC_WEIGHT_INTEGER && t->ndim == 1 && t->bytes == 6);
  cr_assert_str_eq(t->name, "int16");
  isc_gguf_close(g);
}

Test(gguf, a_file_that_has_only_the_name_is_told_as_such) {
  char path[1200];
  isc_weights *w;
  snprintf(path, sizeof path, "%s/x.gguf", isc_test_dir("gguf"));
  isc_assert_ok(isc_write_file(path, "no such thing", 13));
  isc_assert_fails(isc_weights_open(path, &w), ISC_E_FORMAT, "does not start with \"GGUF\"");
  isc_assert_ok(isc_write_file(path, "", 0));
  isc_assert_fails(isc_weights_open(path, &w), ISC_E_FORMAT, "x.gguf");
}

Test(gguf, a_directory_with_one_gguf_file_is_a_model) {
  const char *dir = isc_test_dir("gguf");
  char path[1200], *data;
  size_t len;
  isc_weights *w;
  isc_assert_fails(isc_weights_open(dir, &w), ISC_E_MISSING, "nor a .gguf file is there");
  isc_assert_ok(isc_read_file(isc_test_source("tests/data/types.gguf"), 1 << 20, &data, &len));
  snprintf(path, sizeof path, "%s/model-q4.gguf", dir);
  isc_assert_ok(isc_write_file(path, data, len));
  snprintf(path, sizeof path, "%s/README.md", dir);
  isc_assert_ok(isc_write_file(path, "x", 1));
  isc_assert_ok(isc_weights_open(dir, &w));
  cr_assert_eq(isc_weights_count(w), 16);
  isc_weights_close(w);
  snprintf(path, sizeof path, "%s/a.gguf", dir);
  isc_assert_ok(isc_write_file(path, data, len));
  isc_assert_fails(isc_weights_open(dir, &w), ISC_E_USAGE,
                   "2 GGUF files are there (a.gguf, model-q4.gguf");
  snprintf(path, sizeof path, "%s/model.safetensors", dir);
  isc_assert_ok(isc_write_file(path, "\2\0\0\0\0\0\0\0{}", 10));
  isc_assert_ok(isc_weights_open(dir, &w));
  cr_assert_eq(isc_weights_count(w), 0);
  isc_weights_close(w);
  free(data);
}

Test(gguf, a_file_cut_short_while_open_is_an_error) {
  const char *dir = isc_test_dir("gguf");
  char path[1200], *data;
  size_t len;
  float x[1536];
  isc_weights *w;
  isc_assert_ok(isc_read_file(isc_test_source("tests/data/types.gguf"), 1 << 20, &data, &len));
  snprintf(path, sizeof path, "%s/model.gguf", dir);
  isc_assert_ok(isc_write_file(path, data, len));
  isc_assert_ok(isc_weights_open(path, &w));
  cr_assert_eq(truncate(path, 4096), 0);
  isc_assert_fails(isc_weights_read(w, isc_weights_find(w, "Q6_K"), 0, 1536, ISC_F32, x), ISC_E_IO,
                   "to 4096 bytes while in use");
  isc_weights_close(w);
  free(data);
}

Test(gguf, survives_every_failing_allocation) {
  for (int64_t at = 1;; at++) {
    isc_weights *w;
    isc_alloc_fail_at(at);
    isc_status st = isc_weights_open(isc_test_source("tests/data/types.gguf"), &w);
    isc_alloc_fail_at(0);
    if (st == ISC_OK) {
      cr_assert_gt(at, 50);
      isc_weights_close(w);
      break;
    }
    cr_assert(st == ISC_E_NOMEM && !w, "allocation %d: %s", (int)at, isc_error());
  }
}
