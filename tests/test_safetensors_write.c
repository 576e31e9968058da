/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the safetensors writer and about sharded directories.
 *
 * What the writer makes is compared with bytes written out by hand from the format's description.
 */
#include "support.h"
#include "model/safetensors.h"
#include "base/base.h"
#include <string.h>

static const char *in_dir(const char *dir, const char *name) {
  static char path[4][1200];
  static int slot;
  slot = (slot + 1) % 4;
  snprintf(path[slot], sizeof path[slot], "%s/%s", dir, name);
  return path[slot];
}

static isc_st_writer *begin(const char *path) {
  isc_st_writer *w;
  isc_assert_ok(isc_st_writer_new(path, &w));
  return w;
}

Test(safetensors_write, the_bytes_are_those_of_the_format) {
  const char *path = in_dir(isc_test_dir("stw"), "x.safetensors");
  static const char want[] = "\x58\0\0\0\0\0\0\0"
                             "{\"__metadata__\":{\"k\":\"a\\\"b\"},\"w\":{\"dtype\":\"I16\","
                             "\"shape\":[2],\"data_offsets\":[0,4]}}      "
                             "\1\0\2\0";
  isc_st_writer *w = begin(path);
  isc_assert_ok(isc_st_writer_metadata(w, "k", "a\"b"));
  isc_assert_ok(isc_st_writer_declare(w, "w", ISC_ST_I16, 1, (int64_t[]){2}));
  isc_assert_ok(isc_st_writer_data(w, "\1\0\2", 3));
  isc_assert_ok(isc_st_writer_data(w, "\0", 1));
  isc_assert_ok(isc_st_writer_commit(w));
  char *data;
  size_t len;
  isc_assert_ok(isc_read_file(path, 1000, &data, &len));
  cr_assert_eq(len, sizeof want - 1);
  cr_assert_arr_eq(data, want, sizeof want - 1);
  free(data);
}

Test(safetensors_write, without_tensors_it_is_still_a_file) {
  const char *path = in_dir(isc_test_dir("stw"), "x.safetensors");
  isc_safetensors *f;
  isc_assert_ok(isc_st_writer_commit(begin(path)));
  isc_assert_ok(isc_st_open(path, &f));
  cr_assert_eq(isc_st_count(f), 0);
  isc_st_close(f);
}

Test(safetensors_write, names_and_values_survive_the_round_trip) {
  static const char *names[] = {"h.0.w#m", "a b", "\xc3\xa9\n\"\\", "</script>"};
  const char *path = in_dir(isc_test_dir("stw"), "x.safetensors");
  float x[6] = {1, 2, 3, 4, 5, 6}, v[6];
  isc_st_writer *w = begin(path);
  isc_safetensors *f;
  for (int i = 0; i < 4; i++)
    isc_assert_ok(isc_st_writer_declare(w, names[i], ISC_ST_F32, 2, (int64_t[]){2, 3}));
  isc_assert_ok(isc_st_writer_metadata(w, "step", "12"));
  for (int i = 0; i < 4; i++) {
    x[0] = (float)i;
    isc_assert_ok(isc_st_writer_data(w, x, sizeof x));
  }
  isc_assert_ok(isc_st_writer_commit(w));
  isc_assert_ok(isc_st_open(path, &f));
  cr_assert_str_eq(isc_st_metadata(f, "step"), "12");
  for (int i = 0; i < 4; i++) {
    const isc_st_tensor *t = isc_st_find(f, names[i]);
    cr_assert_not_null(t, "%s", names[i]);
    isc_assert_ok(isc_st_read_f32(f, t, 0, 6, v));
    x[0] = (float)i;
    cr_assert_arr_eq(v, x, sizeof x);
  }
  isc_st_close(f);
}

Test(safetensors_write, a_wrong_use_leaves_no_file) {
  const char *path = in_dir(isc_test_dir("stw"), "x.safetensors");
  isc_st_writer *w = begin(path);
  isc_assert_ok(isc_st_writer_declare(w, "a", ISC_ST_U8, 1, (int64_t[]){2}));
  isc_assert_ok(isc_st_writer_data(w, "x", 1));
  isc_assert_fails(isc_st_writer_declare(w, "b", ISC_ST_U8, 0, NULL), ISC_E_USAGE,
                   "after the first");
  isc_assert_fails(isc_st_writer_data(w, "xx", 2), ISC_E_SHAPE, "more data");
  isc_assert_fails(isc_st_writer_commit(w), ISC_E_SHAPE, "1 bytes were written of the 2");
  cr_assert_not(isc_exists(path));

  w = begin(path);
  isc_assert_ok(isc_st_writer_declare(w, "a", ISC_ST_U8, 1, (int64_t[]){0}));
  isc_assert_ok(isc_st_writer_declare(w, "a", ISC_ST_U8, 1, (int64_t[]){0}));
  isc_assert_fails(isc_st_writer_data(w, "", 0), ISC_E_USAGE, "\"a\" was declared twice");
  isc_assert_fails(isc_st_writer_commit(w), ISC_E_USAGE, "earlier error");
  cr_assert_not(isc_exists(path));

  w = begin(path);
  isc_assert_fails(isc_st_writer_declare(w, "__metadata__", ISC_ST_U8, 0, NULL), ISC_E_USAGE,
                   "name");
  isc_assert_fails(isc_st_writer_declare(w, "\xff", ISC_ST_U8, 0, NULL), ISC_E_USAGE, "name");
  isc_assert_fails(isc_st_writer_declare(w, "n", ISC_ST_U8, 1, (int64_t[]){-1}), ISC_E_SHAPE,
                   "negative");
  isc_assert_fails(isc_st_writer_declare(w, "n", ISC_ST_F32, 2, (int64_t[]){INT64_MAX, 4}),
                   ISC_E_SHAPE, "does not fit");
  isc_assert_fails(isc_st_writer_metadata(w, "k", "\xff"), ISC_E_USAGE, "UTF-8");
  isc_st_writer_abandon(w);
  cr_assert_not(isc_exists(path));
}

Test(safetensors_write, a_failed_allocation_is_reported_and_leaves_no_file) {
  const char *path = in_dir(isc_test_dir("stw"), "x.safetensors");
  bool finished = false;
  for (int64_t k = 1; !finished; k++) {
    isc_st_writer *w = NULL;
    isc_safetensors *f = NULL;
    isc_alloc_fail_at(k);
    isc_status st = isc_st_writer_new(path, &w);
    if (st == ISC_OK) {
      st = isc_st_writer_metadata(w, "k", "v");
      if (st == ISC_OK) st = isc_st_writer_declare(w, "a", ISC_ST_U8, 1, (int64_t[]){2});
      if (st == ISC_OK) st = isc_st_writer_data(w, "xy", 2);
      if (st == ISC_OK)
        st = isc_st_writer_commit(w);
      else
        isc_st_writer_abandon(w);
      if (st == ISC_OK) st = isc_st_open(path, &f);
      if (st == ISC_OK) isc_st_close(f);
    }
    finished = isc_alloc_fail_at(0) < k;
    cr_assert_eq(st, finished ? ISC_OK : ISC_E_NOMEM, "allocation %d: %s", (int)k, isc_error());
    cr_assert_lt(k, 200);
  }
}

/* ---- shards */

static void shard(const char *dir, const char *file, const char *tensor, float x) {
  isc_st_writer *w = begin(in_dir(dir, file));
  isc_assert_ok(isc_st_writer_declare(w, tensor, ISC_ST_F32, 0, NULL));
  isc_assert_ok(isc_st_writer_data(w, &x, sizeof x));
  isc_assert_ok(isc_st_writer_commit(w));
}

static const char *sharded(const char *index) {
  const char *dir = isc_test_dir("shards");
  shard(dir, "one.safetensors", "a", 1);
  shard(dir, "two.safetensors", "b", 2);
  isc_assert_ok(isc_write_file(in_dir(dir, "model.safetensors.index.json"), index, strlen(index)));
  return dir;
}

Test(safetensors_shards, tensors_come_from_the_shard_the_map_gives) {
  const char *dir = sharded("{\"metadata\":{\"total_size\":8},\"weight_map\":"
                            "{\"b\":\"two.safetensors\",\"a\":\"one.safetensors\"}}");
  isc_safetensors *f;
  float x;
  isc_assert_ok(isc_st_open(dir, &f));
  cr_assert_eq(isc_st_count(f), 2);
  isc_assert_ok(isc_st_read_f32(f, isc_st_find(f, "a"), 0, 1, &x));
  cr_assert_eq(x, 1.0f);
  isc_assert_ok(isc_st_read_f32(f, isc_st_find(f, "b"), 0, 1, &x));
  cr_assert_eq(x, 2.0f);
  isc_st_close(f);
}

Test(safetensors_shards, a_shard_that_is_absent_is_named) {
  isc_safetensors *f;
  const char *dir =
      sharded("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"three.safetensors\"}}");
  isc_assert_fails(isc_st_open(dir, &f), ISC_E_MISSING,
                   "index.json: its file \"three.safetensors\" is not there");
  cr_assert_null(f);
}

Test(safetensors_shards, a_shard_that_leads_elsewhere_is_refused) {
  static const char *names[] = {"../one.safetensors",
                                "/etc/passwd",
                                "x/one.safetensors",
                                "..\\\\one.safetensors",
                                "..",
                                ".",
                                ""};
  char index[200];
  isc_safetensors *f;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(index, sizeof index, "{\"weight_map\":{\"a\":\"%s\"}}", names[i]);
    isc_assert_fails(isc_st_open(sharded(index), &f), ISC_E_FORMAT, "not a plain file name");
  }
}

Test(safetensors_shards, a_broken_index_is_one_clear_error) {
  isc_safetensors *f;
  isc_assert_fails(isc_st_open(sharded("{\"weight_map\":{\"a\":\"gone.safetensors\"}}"), &f),
                   ISC_E_MISSING, "gone.safetensors");
  isc_assert_fails(isc_st_open(sharded("{\"weight_map\":{\"a\":\"two.safetensors\"}}"), &f),
                   ISC_E_MISSING, "\"a\" is not in its shard");
  isc_assert_fails(isc_st_open(sharded("{\"weight_map\":{\"a\":1}}"), &f), ISC_E_FORMAT,
                   "name a file");
  isc_assert_fails(isc_st_open(sharded("{\"weight_map\":[]}"), &f), ISC_E_FORMAT,
                   "must be an object");
  isc_assert_fails(isc_st_open(sharded("{}"), &f), ISC_E_FORMAT, "\"weight_map\" is missing");
  isc_assert_fails(isc_st_open(sharded("{\"weight_map\":{\"a\":\"one.safetensors\","
                                       "\"a\":\"two.safetensors\"}}"),
                               &f),
                   ISC_E_FORMAT, "duplicate");
  isc_assert_fails(isc_st_open(isc_test_dir("empty"), &f), ISC_E_MISSING, "neither");
}
