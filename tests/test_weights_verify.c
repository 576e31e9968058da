/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about verifying weights: every value is looked at, every file hashed, and what is wrong is named.
 */
#include "support.h"
#include "base/base.h"
#include "model/safetensors.h"
#include "model/weights.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 200000 }; /* more than one piece */

typedef struct seen {
  int64_t tensors, files;
  isc_weight_finding of[4];
  char path[2][1200], hex[2][33];
  uint64_t bytes[2];
  int64_t stop_at; /* the tensor at which to stop */
} seen;

static isc_status on_tensor(void *user, const isc_weight_finding *f) {
  seen *s = user;
  if (s->tensors == s->stop_at) return isc_fail(ISC_E_USAGE, "enough");
  s->of[s->tensors++] = *f;
  return ISC_OK;
}

static isc_status on_file(void *user, const char *path, uint64_t bytes, const char hex[33]) {
  seen *s = user;
  snprintf(s->path[s->files], sizeof s->path[0], "%s", path);
  memcpy(s->hex[s->files], hex, 33);
  s->bytes[s->files++] = bytes;
  return ISC_OK;
}

static isc_weights *opened(const float *x, const char *path) {
  isc_st_writer *f;
  isc_weights *w;
  isc_assert_ok(isc_st_writer_new(path, &f));
  isc_assert_ok(isc_st_writer_declare(f, "x", ISC_ST_F32, 2, (int64_t[]){2, N / 2}));
  isc_assert_ok(isc_st_writer_declare(f, "mask", ISC_ST_U8, 1, (int64_t[]){2}));
  isc_assert_ok(isc_st_writer_declare(f, "none", ISC_ST_F32, 1, (int64_t[]){0}));
  isc_assert_ok(isc_st_writer_data(f, x, sizeof *x * N));
  isc_assert_ok(isc_st_writer_data(f, "\377\377", 2));
  isc_assert_ok(isc_st_writer_commit(f));
  isc_assert_ok(isc_weights_open(path, &w));
  return w;
}

static const char *new_path(void) {
  static char path[1200];
  snprintf(path, sizeof path, "%s/model.safetensors", isc_test_dir("verify"));
  return path;
}

static float values[N];

static void ramp(void) {
  for (int i = 0; i < N; i++)
    values[i] = (float)(i - 1000) / 8;
}

Test(weights_verify, good_weights_are_measured_and_their_file_is_hashed) {
  const char *path = new_path();
  ramp();
  isc_weights *w = opened(values, path);
  seen s = {.stop_at = -1};
  isc_digest d;
  char hex[33];
  isc_assert_ok(isc_weights_verify(w, &(isc_weights_visitor){&s, on_tensor, on_file}));
  cr_assert(s.tensors == 3 && s.files == 1);
  cr_assert(s.of[0].nan == 0 && s.of[0].infinite == 0 && s.of[0].first == -1);
  cr_assert(s.of[0].least == -125 && s.of[0].greatest == (float)(N - 1001) / 8);
  cr_assert(s.of[1].tensor == isc_weights_find(w, "mask") && s.of[1].first == -1);
  cr_assert(s.of[2].least == 0 && s.of[2].greatest == 0 && s.of[2].first == -1);
  isc_assert_ok(isc_hash_file(path, &d));
  isc_digest_hex(d, hex);
  cr_assert_str_eq(s.hex[0], hex);
  cr_assert_str_eq(s.path[0], path);
  isc_assert_ok(isc_weights_verify(w, NULL));
  isc_weights_close(w);
}

Test(weights_verify, what_is_not_finite_is_counted_and_named) {
  const char *path = new_path();
  ramp();
  values[N - 1] = NAN;
  values[150000] = -INFINITY;
  values[150001] = INFINITY;
  isc_weights *w = opened(values, path);
  seen s = {.stop_at = -1};
  isc_assert_fails(isc_weights_verify(w, &(isc_weights_visitor){&s, on_tensor, on_file}),
                   ISC_E_NUMERIC,
                   "\"x\" has 1 NaN and 2 infinite values, the first at element 150000; 1 tensors");
  cr_assert(s.tensors == 3 && s.files == 1, "it goes on to the end");
  cr_assert(s.of[0].nan == 1 && s.of[0].infinite == 2 && s.of[0].first == 150000);
  cr_assert(s.of[0].least == -125 && s.of[0].greatest == (float)(N - 1002) / 8);
  isc_weights_close(w);
}

Test(weights_verify, shards_are_hashed_one_by_one) {
  const char *dir = isc_test_dir("verify");
  char a[1200], b[1200], index[1200];
  snprintf(a, sizeof a, "%s/a.safetensors", dir);
  snprintf(b, sizeof b, "%s/b.safetensors", dir);
  snprintf(index, sizeof index, "%s/model.safetensors.index.json", dir);
  ramp();
  isc_weights_close(opened(values, a));
  values[0] = 0;
  isc_weights_close(opened(values, b));
  static const char text[] =
      "{\"weight_map\":{\"x\":\"a.safetensors\",\"mask\":\"b.safetensors\"}}";
  isc_assert_ok(isc_write_file(index, text, strlen(text)));
  isc_weights *w;
  isc_assert_ok(isc_weights_open(dir, &w));
  seen s = {.stop_at = -1};
  isc_assert_ok(isc_weights_verify(w, &(isc_weights_visitor){&s, on_tensor, on_file}));
  cr_assert(s.tensors == 2 && s.files == 2);
  cr_assert_str_eq(s.path[0], a);
  cr_assert_str_eq(s.path[1], b);
  cr_assert_str_neq(s.hex[0], s.hex[1]);
  cr_assert(s.bytes[0] == s.bytes[1] && s.bytes[0] > N * sizeof *values);
  isc_weights_close(w);
}

Test(weights_verify, it_can_be_stopped_and_notices_a_cut) {
  const char *path = new_path();
  ramp();
  isc_weights *w = opened(values, path);
  seen s = {.stop_at = 1};
  isc_assert_fails(isc_weights_verify(w, &(isc_weights_visitor){&s, on_tensor, on_file}),
                   ISC_E_USAGE, "enough");
  cr_assert(s.tensors == 1 && s.files == 0);
  isc_cancel(true);
  isc_assert_fails(isc_weights_verify(w, NULL), ISC_E_INTERRUPTED, "stopped");
  isc_cancel(false);
  cr_assert_eq(truncate(path, 400), 0);
  isc_assert_fails(isc_weights_verify(w, NULL), ISC_E_IO, "was cut");
  isc_weights_close(w);
}

/* Quantised values are looked at too: a block whose scale is NaN has none that is finite. */
Test(weights_verify, a_quantised_block_with_a_bad_scale_is_found) {
  char path[1200], *data;
  size_t len;
  isc_weights *w;
  isc_assert_ok(isc_weights_open(isc_test_source("tests/data/types.gguf"), &w));
  isc_assert_ok(isc_weights_verify(w, NULL));
  const uint64_t at = isc_weights_find(w, "Q8_0")->at;
  isc_weights_close(w);
  isc_assert_ok(isc_read_file(isc_test_source("tests/data/types.gguf"), 1 << 20, &data, &len));
  snprintf(path, sizeof path, "%s/x.gguf", isc_test_dir("verify"));
  memcpy(data + at + 34, "\0\176", 2); /* the scale of its second block: 0x7E00 */
  isc_assert_ok(isc_write_file(path, data, len));
  free(data);
  isc_assert_ok(isc_weights_open(path, &w));
  isc_assert_fails(isc_weights_verify(w, NULL), ISC_E_NUMERIC,
                   "\"Q8_0\" has 32 NaN and 0 infinite values, the first at element 32");
  isc_weights_close(w);
}
