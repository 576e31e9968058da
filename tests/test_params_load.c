/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about filling a parameter from a model's files: the right numbers, on any backend, in bounded memory.
 */
#include "support.h"
#include "support_backend.h"
#include "base/base.h"
#include "model/params_io.h"
#include <inversescope/parameters.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *new_path(void) {
  static char path[1200];
  snprintf(path, sizeof path, "%s/model.safetensors", isc_test_dir("load"));
  return path;
}

/* Element (i, j) of tensor t; not a bf16. */
static float value(int t, int64_t i, int64_t j) {
  return (float)(t * 3000000 + i * 3000 + j) + 0.5f;
}

/* Tensors "0", "1", … [rows, cols] of f32. */
static isc_weights *opened(int n, int64_t rows, int64_t cols) {
  const char *path = new_path();
  isc_st_writer *f;
  isc_weights *w;
  isc_assert_ok(isc_st_writer_new(path, &f));
  for (int t = 0; t < n; t++)
    isc_assert_ok(isc_st_writer_declare(f, (char[]){(char)('0' + t), 0}, ISC_ST_F32, 2,
                                        (int64_t[]){rows, cols}));
  for (int t = 0; t < n; t++)
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < cols; j++) {
        float x = value(t, i, j);
        isc_assert_ok(isc_st_writer_data(f, &x, sizeof x));
      }
  isc_assert_ok(isc_st_writer_commit(f));
  isc_assert_ok(isc_weights_open(path, &w));
  return w;
}

static isc_weight_matrix turned(isc_weights *w, int n, int64_t rows, int64_t cols) {
  isc_weight_matrix m = {
      .name = "p", .rows = cols, .cols = n * rows, .stack = ISC_STACK_COLUMNS, .n_parts = n};
  for (int t = 0; t < n; t++)
    m.part[t] = (isc_weight_part){isc_weights_at(w, t), cols, rows, true, 0, 0};
  return m;
}

/* 2 MB, so that it takes more than one piece. */
ISC_TEST_ON_BOTH(params_load, a_parameter_is_filled_by_pieces) {
  enum { ROWS = 500, COLS = 520 };
  isc_weights *w = opened(2, ROWS, COLS);
  isc_weight_matrix m = turned(w, 2, ROWS, COLS);
  isc_test_wrapper wrapper;
  isc_test_wrap(&wrapper, *dev);
  isc_params *set;
  isc_param *q;
  isc_assert_ok(isc_params_new(&wrapper.device, &set));
  isc_assert_ok(isc_params_add(set, "p", 2, (int64_t[]){COLS, 2 * ROWS}, 0, &q));
  wrapper.n = (isc_test_counts){0};
  isc_assert_ok(isc_param_load(w, &m, set, q));
  cr_assert_gt(wrapper.n.upload, 1);
  float *x = malloc(sizeof *x * COLS * 2 * ROWS);
  isc_assert_ok(isc_param_get(set, q, x));
  for (int64_t i = 0; i < COLS; i++)
    for (int64_t j = 0; j < 2 * ROWS; j++)
      cr_assert_eq(x[i * 2 * ROWS + j], value((int)(j / ROWS), j % ROWS, i));
  wrapper.n = (isc_test_counts){.fail_at = 2};
  isc_assert_fails(isc_param_load(w, &m, set, q), ISC_E_DEVICE, "");
  free(x);
  isc_params_free(set);
  isc_weights_close(w);
}

Test(params_load, a_bf16_parameter_is_filled_rounded) {
  isc_weights *w = opened(1, 3, 5);
  isc_weight_matrix m = turned(w, 1, 3, 5);
  isc_device dev = isc_test_plain_device();
  isc_params *set;
  isc_param *q;
  uint16_t x[15];
  isc_assert_ok(isc_params_new(&dev, &set));
  isc_assert_ok(isc_params_add(set, "p", 2, (int64_t[]){5, 3}, 0, &q));
  q->value.dtype = ISC_BF16;
  isc_assert_ok(isc_param_load(w, &m, set, q));
  isc_assert_ok(dev.ops->download(dev.impl, x, q->value.data, sizeof x));
  for (int i = 0; i < 5; i++)
    for (int j = 0; j < 3; j++) {
      uint32_t bits = (uint32_t)x[i * 3 + j] << 16;
      float got, want = value(0, j, i);
      memcpy(&got, &bits, sizeof got);
      cr_assert(got >= want * (1 - 0x1p-8f) && got <= want * (1 + 0x1p-8f));
    }
  /* what is stored is bf16, and comes back as it was */
  const char *path = new_path();
  uint16_t y[15];
  isc_assert_ok(isc_params_save(path, &set, (const char *[]){""}, 1, NULL, 0));
  isc_assert_ok(dev.ops->zero(dev.impl, q->value.data, sizeof x));
  isc_assert_ok(isc_params_restore(path, &set, (const char *[]){""}, 1, NULL, 0));
  isc_assert_ok(dev.ops->download(dev.impl, y, q->value.data, sizeof y));
  cr_assert_arr_eq(x, y, sizeof x);
  isc_params_free(set);
  isc_weights_close(w);
}

Test(params_load, what_does_not_fit_is_refused_before_anything_is_read) {
  isc_weights *w = opened(1, 3, 5);
  isc_weight_matrix m = turned(w, 1, 3, 5);
  isc_test_wrapper wrapper;
  isc_test_wrap(&wrapper, isc_test_plain_device());
  isc_params *set;
  isc_param *q, *v;
  isc_assert_ok(isc_params_new(&wrapper.device, &set));
  isc_assert_ok(isc_params_add(set, "p", 2, (int64_t[]){5, 3}, 0, &q));
  isc_assert_ok(isc_params_add(set, "v", 1, (int64_t[]){15}, 0, &v));
  wrapper.n = (isc_test_counts){0};
  isc_assert_fails(isc_param_load(w, &m, set, v), ISC_E_USAGE, "\"v\" is asked for as [5, 3]");
  m.part[0].transposed = false;
  isc_assert_fails(isc_param_load(w, &m, set, q), ISC_E_SHAPE, "has shape [3, 5]");
  m.part[0].transposed = true;
  isc_cancel(true);
  isc_assert_fails(isc_param_load(w, &m, set, q), ISC_E_INTERRUPTED, "stopped");
  isc_cancel(false);
  cr_assert_eq(wrapper.n.upload, 0);
  isc_assert_ok(isc_param_load(w, &m, set, q));
  isc_params_free(set);
  isc_weights_close(w);
}

Test(params_load, survives_every_failing_allocation) {
  isc_weights *w = opened(1, 3, 5);
  isc_weight_matrix m = turned(w, 1, 3, 5);
  isc_device dev = isc_test_plain_device();
  isc_params *set;
  isc_param *q;
  isc_assert_ok(isc_params_new(&dev, &set));
  isc_assert_ok(isc_params_add(set, "p", 2, (int64_t[]){5, 3}, 0, &q));
  for (int64_t at = 1;; at++) {
    isc_alloc_fail_at(at);
    isc_status st = isc_param_load(w, &m, set, q);
    isc_alloc_fail_at(0);
    if (st == ISC_OK) {
      cr_assert_gt(at, 1);
      break;
    }
    cr_assert_eq(st, ISC_E_NOMEM, "allocation %d: %s", (int)at, isc_error());
  }
  isc_params_free(set);
  isc_weights_close(w);
}

/* The most memory that this process has had, in bytes; 0 where the system does not say. */
static int64_t high_water(void) {
  char line[256];
  long long kb = 0;
  FILE *f = fopen("/proc/self/status", "r");
  if (!f) return 0;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "VmHWM: %lld", &kb) == 1) break;
  fclose(f);
  return kb * 1024;
}

/* A file of 64 MB becomes 128 MB of f32, turned: memory grows by a tenth of that at most. */
Test(params_load, loading_needs_little_more_memory_than_the_weights) {
  enum { ROWS = 8192, COLS = 4096 };
  const char *path = new_path();
  char header[128];
  const int n = snprintf(header, sizeof header,
                         "{\"w\":{\"dtype\":\"BF16\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]}}",
                         ROWS, COLS, ROWS * COLS * 2);
  const uint64_t len = (uint64_t)n;
  FILE *f = fopen(path, "wb");
  cr_assert(f && fwrite(&len, sizeof len, 1, f) == 1 && fwrite(header, len, 1, f) == 1);
  cr_assert_eq(fclose(f), 0);
  cr_assert_eq(truncate(path, 8 + n + (off_t)ROWS * COLS * 2), 0); /* the data are a hole */
  isc_weights *w;
  isc_device dev = isc_test_plain_device();
  isc_params *set;
  isc_param *q;
  isc_assert_ok(isc_params_new(&dev, &set));
  isc_assert_ok(isc_params_add(set, "p", 2, (int64_t[]){COLS, ROWS}, 0, &q));
  isc_assert_ok(isc_param_fill(set, q, 1)); /* its pages are there */
  const int64_t before = high_water(), weights = (int64_t)ROWS * COLS * 4;
  if (before < weights) cr_skip_test("SKIPPED: needs VmHWM of /proc/self/status");
  isc_assert_ok(isc_weights_open(path, &w));
  isc_weight_matrix m = turned(w, 1, ROWS, COLS);
  isc_assert_ok(isc_param_load(w, &m, set, q));
  const int64_t grown = high_water() - before;
  cr_assert_leq(grown, weights / 10, "loading took %lld MB more than the weights",
                (long long)(grown >> 20));
  float x = 1;
  isc_assert_ok(dev.ops->download(dev.impl, &x, q->value.data + (size_t)ROWS * COLS - 1, sizeof x));
  cr_assert_eq(x, 0);
  isc_params_free(set);
  isc_weights_close(w);
}
