/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about reading weights: which element of a parameter comes from which of a file, in which dtype.
 *
 * Elements of a test file tell their own place, so that a parameter read from it can be checked one by one.
 */
#include "support.h"
#include "base/base.h"
#include "model/safetensors.h"
#include "model/weights.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What element (i, j) of tensor `t` holds: exact in f32, and distinct in all tests. */
static float value(int t, int64_t i, int64_t j) {
  return (float)(t * 4000000 + i * 6000 + j);
}

typedef struct shape {
  const char *name;
  int64_t rows, cols; /* cols 0 = a vector */
} shape;

static const char *new_file(void) {
  static char path[1200];
  snprintf(path, sizeof path, "%s/model.safetensors", isc_test_dir("weights"));
  return path;
}

static isc_weights *opened(const shape *list, int n) {
  const char *path = new_file();
  isc_st_writer *w;
  isc_weights *out;
  isc_assert_ok(isc_st_writer_new(path, &w));
  for (int t = 0; t < n; t++)
    isc_assert_ok(isc_st_writer_declare(w, list[t].name, ISC_ST_F32, list[t].cols ? 2 : 1,
                                        (int64_t[]){list[t].rows, list[t].cols}));
  for (int t = 0; t < n; t++)
    for (int64_t i = 0; i < list[t].rows; i++)
      for (int64_t j = 0; j < (list[t].cols ? list[t].cols : 1); j++) {
        float x = value(t, i, j);
        isc_assert_ok(isc_st_writer_data(w, &x, sizeof x));
      }
  isc_assert_ok(isc_st_writer_commit(w));
  isc_assert_ok(isc_weights_open(path, &out));
  return out;
}

/* The whole matrix, read `step` rows at a time into memory whose size is exact. */
static float *read_all(isc_weights *w, const isc_weight_matrix *m, int64_t step) {
  float *out = malloc((size_t)(m->rows * m->cols) * sizeof *out);
  cr_assert_not_null(out);
  isc_assert_ok(isc_weights_check(w, m));
  for (int64_t r = 0; r < m->rows; r += step) {
    int64_t end = r + step < m->rows ? r + step : m->rows;
    isc_assert_ok(isc_weights_read_rows(w, m, r, end, ISC_F32, out + r * m->cols));
  }
  return out;
}

Test(weights, tensors_are_listed_with_what_the_file_says) {
  isc_weights *w = opened((shape[]){{"b", 2, 3}, {"a", 5, 0}}, 2);
  cr_assert_eq(isc_weights_count(w), 2);
  cr_assert_eq(isc_weights_bytes(w), 6 * 4 + 5 * 4);
  const isc_weight *a = isc_weights_find(w, "a"), *b = isc_weights_at(w, 0);
  cr_assert(a && a == isc_weights_at(w, 1) && b && b == isc_weights_find(w, "b"));
  cr_assert_str_eq(b->name, "b");
  cr_assert_str_eq(b->type, "F32");
  cr_assert(b->dtype == ISC_WEIGHT_F32 && b->ndim == 2 && b->shape[0] == 2 && b->shape[1] == 3);
  cr_assert(b->elements == 6 && b->bytes == 24 && a->ndim == 1 && a->elements == 5);
  cr_assert(isc_weights_find(w, "c") == NULL && isc_weights_at(w, 2) == NULL &&
            isc_weights_at(w, -1) == NULL);
  float x[2];
  isc_assert_ok(isc_weights_read(w, a, 3, 2, ISC_F32, x));
  cr_assert(x[0] == value(1, 3, 0) && x[1] == value(1, 4, 0));
  isc_assert_fails(isc_weights_read(w, a, 4, 2, ISC_F32, x), ISC_E_SHAPE, "outside its 5");
  isc_assert_fails(isc_weights_read(w, a, -1, 1, ISC_F32, x), ISC_E_SHAPE, "outside its 5");
  isc_assert_fails(isc_weights_read(w, a, 1, INT64_MAX, ISC_F32, x), ISC_E_SHAPE, "outside its 5");
  isc_weight other = *a;
  isc_assert_fails(isc_weights_read(w, &other, 0, 1, ISC_F32, x), ISC_E_USAGE,
                   "not of these files");
  isc_weights_close(w);
}

Test(weights, queries_keys_and_values_become_one_matrix_the_other_way_round) {
  enum { D = 7, Q = 6, K = 4 };
  isc_weights *w = opened((shape[]){{"q", Q, D}, {"k", K, D}, {"v", K, D}}, 3);
  isc_weight_matrix m = {.name = "qkv",
                         .rows = D,
                         .cols = Q + 2 * K,
                         .stack = ISC_STACK_COLUMNS,
                         .n_parts = 3,
                         .part = {{isc_weights_find(w, "q"), D, Q, true, 0, 0},
                                  {isc_weights_find(w, "k"), D, K, true, 0, 0},
                                  {isc_weights_find(w, "v"), D, K, true, 0, 0}}};
  for (int64_t step = 1; step <= D; step++) {
    float *x = read_all(w, &m, step);
    for (int64_t i = 0; i < D; i++)
      for (int64_t j = 0; j < m.cols; j++) {
        int t = j < Q ? 0 : j < Q + K ? 1 : 2;
        int64_t row = j - (t == 0 ? 0 : t == 1 ? Q : Q + K);
        cr_assert_eq(x[i * m.cols + j], value(t, row, i));
      }
    free(x);
  }
  isc_weights_close(w);
}

Test(weights, gate_and_up_are_stacked_by_rows_or_by_columns_as_they_are) {
  enum { D = 5, M = 3 };
  isc_weights *w = opened((shape[]){{"gate", M, D}, {"up", M, D}}, 2);
  isc_weight_matrix m = {.name = "gate_up",
                         .rows = 2 * M,
                         .cols = D,
                         .stack = ISC_STACK_ROWS,
                         .n_parts = 2,
                         .part = {{isc_weights_at(w, 0), M, D, false, 0, 0},
                                  {isc_weights_at(w, 1), M, D, false, 0, 0}}};
  for (int64_t step = 1; step <= m.rows; step++) {
    float *x = read_all(w, &m, step);
    for (int64_t i = 0; i < m.rows; i++)
      for (int64_t j = 0; j < D; j++)
        cr_assert_eq(x[i * D + j], value(i >= M, i % M, j));
    free(x);
  }
  m.rows = M, m.cols = 2 * D, m.stack = ISC_STACK_COLUMNS;
  for (int64_t step = 1; step <= m.rows; step++) {
    float *x = read_all(w, &m, step);
    for (int64_t i = 0; i < M; i++)
      for (int64_t j = 0; j < m.cols; j++)
        cr_assert_eq(x[i * m.cols + j], value(j >= D, i, j % D));
    free(x);
  }
  isc_weights_close(w);
}

/* Larger than any staging memory: more columns than a strip, more elements than a tile. */
Test(weights, a_large_matrix_is_turned_in_pieces) {
  enum { R = 600, C = 5000 };
  isc_weights *w = opened((shape[]){{"w", R, C}}, 1);
  isc_weight_matrix m = {.name = "w",
                         .rows = C,
                         .cols = R,
                         .n_parts = 1,
                         .part = {{isc_weights_at(w, 0), C, R, true, 0, 0.5f}}};
  const int64_t steps[] = {C, 1999, 4097};
  for (int k = 0; k < 3; k++) {
    float *x = read_all(w, &m, steps[k]);
    for (int64_t i = 0; i < C; i++)
      for (int64_t j = 0; j < R; j++)
        cr_assert_eq(x[i * R + j], value(0, j, i) + 0.5f);
    free(x);
  }
  m = (isc_weight_matrix){.name = "w",
                          .rows = R,
                          .cols = C,
                          .n_parts = 1,
                          .part = {{isc_weights_at(w, 0), R, C, false, 0, 0.5f}}};
  float *x = read_all(w, &m, 100);
  for (int64_t i = 0; i < R; i++)
    for (int64_t j = 0; j < C; j++)
      cr_assert_eq(x[i * C + j], value(0, i, j) + 0.5f);
  free(x);
  isc_weights_close(w);
}

/* llama.cpp stores row (head, pair, half) where Hugging Face has row (head, half, pair). */
Test(weights, rows_of_rotary_heads_come_in_the_order_of_hugging_face) {
  enum { HEADS = 3, PAIRS = 4, D = 5, ROWS = HEADS * PAIRS * 2 };
  isc_weights *w = opened((shape[]){{"q", ROWS, D}, {"b", ROWS, 0}}, 2);
  isc_weight_matrix m = {.name = "q",
                         .rows = ROWS,
                         .cols = D,
                         .n_parts = 1,
                         .part = {{isc_weights_at(w, 0), ROWS, D, false, HEADS, 0}}};
  isc_weight_matrix turned = {.name = "q",
                              .rows = D,
                              .cols = ROWS,
                              .n_parts = 1,
                              .part = {{isc_weights_at(w, 0), D, ROWS, true, HEADS, 0}}};
  isc_weight_matrix bias = {.name = "b",
                            .rows = ROWS,
                            .cols = 1,
                            .n_parts = 1,
                            .part = {{isc_weights_at(w, 1), ROWS, 1, false, HEADS, 0}}};
  for (int64_t step = 1; step <= ROWS; step += 4) {
    float *x = read_all(w, &m, step), *y = read_all(w, &turned, step),
          *z = read_all(w, &bias, step);
    for (int64_t head = 0; head < HEADS; head++)
      for (int64_t half = 0; half < 2; half++)
        for (int64_t pair = 0; pair < PAIRS; pair++) {
          int64_t wanted = (head * 2 + half) * PAIRS + pair,
                  stored = (head * PAIRS + pair) * 2 + half;
          cr_assert_eq(z[wanted], value(1, stored, 0));
          for (int64_t j = 0; j < D; j++) {
            cr_assert_eq(x[wanted * D + j], value(0, stored, j));
            cr_assert_eq(y[j * ROWS + wanted], value(0, stored, j));
          }
        }
    free(x);
    free(y);
    free(z);
  }
  isc_weights_close(w);
}

static uint32_t bits(float x) {
  uint32_t b;
  memcpy(&b, &x, sizeof b);
  return b;
}

/* Ties go to even, the largest finite f32 rounds to infinity, a NaN stays one although its upper half is infinity's. */
Test(weights, floats_become_bf16_by_rounding_to_nearest_even) {
  static const uint32_t from[] = {0x3F808000, 0x3F818000, 0x3F808001, 0x3F80FFFF, 0x00000001,
                                  0x80008000, 0x7F7FFFFF, 0xFF800000, 0x7F800001};
  static const uint16_t to[] = {0x3F80, 0x3F82, 0x3F81, 0x3F81, 0x0000,
                                0x8000, 0x7F80, 0xFF80, 0x7FC0};
  enum { N = 9 };
  const char *path = new_file();
  isc_st_writer *f;
  isc_weights *w;
  uint16_t got[N];
  isc_assert_ok(isc_st_writer_new(path, &f));
  isc_assert_ok(isc_st_writer_declare(f, "x", ISC_ST_F32, 1, (int64_t[]){N}));
  isc_assert_ok(isc_st_writer_data(f, from, sizeof from));
  isc_assert_ok(isc_st_writer_commit(f));
  isc_assert_ok(isc_weights_open(path, &w));
  isc_assert_ok(isc_weights_read(w, isc_weights_at(w, 0), 0, N, ISC_BF16, got));
  for (int i = 0; i < N; i++)
    cr_assert_eq(got[i], to[i], "%08x became %04x, not %04x", from[i], got[i], to[i]);
  isc_weights_close(w);
}

Test(weights, every_float_of_a_file_is_read_and_no_integer_is) {
  static const uint16_t half[] = {0x3C00, 0x0001, 0xFC00, 0x7BFF}, brain[] = {0x3F80, 0xC049};
  static const double wide[] = {0.1, 1.0 + 0x1p-8 + 0x1p-40};
  const char *path = new_file();
  isc_st_writer *f;
  isc_weights *w;
  float x[4];
  uint16_t b[4];
  isc_assert_ok(isc_st_writer_new(path, &f));
  isc_assert_ok(isc_st_writer_declare(f, "mask", ISC_ST_BOOL, 1, (int64_t[]){1}));
  isc_assert_ok(isc_st_writer_declare(f, "half", ISC_ST_F16, 1, (int64_t[]){4}));
  isc_assert_ok(isc_st_writer_declare(f, "brain", ISC_ST_BF16, 1, (int64_t[]){2}));
  isc_assert_ok(isc_st_writer_declare(f, "wide", ISC_ST_F64, 1, (int64_t[]){2}));
  isc_assert_ok(isc_st_writer_data(f, "\1", 1)); /* puts all that follows at odd places */
  isc_assert_ok(isc_st_writer_data(f, half, sizeof half));
  isc_assert_ok(isc_st_writer_data(f, brain, sizeof brain));
  isc_assert_ok(isc_st_writer_data(f, wide, sizeof wide));
  isc_assert_ok(isc_st_writer_commit(f));
  isc_assert_ok(isc_weights_open(path, &w));
  isc_assert_ok(isc_weights_read(w, isc_weights_find(w, "half"), 0, 4, ISC_F32, x));
  cr_assert(x[0] == 1 && x[1] == 0x1p-24f && x[2] == -INFINITY && x[3] == 65504);
  isc_assert_ok(isc_weights_read(w, isc_weights_find(w, "half"), 1, 3, ISC_BF16, b));
  cr_assert(b[0] == 0x3380 && b[1] == 0xFF80 && b[2] == 0x4780);
  isc_assert_ok(isc_weights_read(w, isc_weights_find(w, "brain"), 0, 2, ISC_F32, x));
  cr_assert(x[0] == 1 && x[1] == -3.140625f);
  isc_assert_ok(isc_weights_read(w, isc_weights_find(w, "brain"), 1, 1, ISC_BF16, b));
  cr_assert_eq(b[0], 0xC049);
  isc_assert_ok(isc_weights_read(w, isc_weights_find(w, "wide"), 0, 2, ISC_F32, x));
  cr_assert(bits(x[0]) == bits(0.1f) && x[1] == 1.0f + 0x1p-8f);
  const isc_weight *mask = isc_weights_find(w, "mask");
  isc_assert_fails(isc_weights_read(w, mask, 0, 1, ISC_F32, x), ISC_E_UNSUPPORTED,
                   "\"mask\" is BOOL, not floating point");
  isc_weight_matrix m = {
      .name = "m", .rows = 1, .cols = 1, .n_parts = 1, .part = {{mask, 1, 1, false, 0, 0}}};
  isc_assert_fails(isc_weights_check(w, &m), ISC_E_UNSUPPORTED, "\"mask\" is BOOL");
  isc_weights_close(w);
}

Test(weights, a_part_of_another_shape_is_refused_with_both) {
  isc_weights *w = opened((shape[]){{"w", 4, 6}, {"b", 4, 0}}, 2);
  isc_weight_matrix m = {.name = "h.0.attn.c_attn.weight",
                         .rows = 4,
                         .cols = 6,
                         .n_parts = 1,
                         .part = {{isc_weights_at(w, 0), 4, 6, false, 0, 0}}};
  float x;
  isc_assert_ok(isc_weights_check(w, &m));
  isc_assert_fails(isc_weights_read_rows(w, &m, 3, 5, ISC_F32, &x), ISC_E_SHAPE, "rows 3 to 5");
  isc_assert_fails(isc_weights_read_rows(w, &m, 3, 2, ISC_F32, &x), ISC_E_SHAPE, "rows 3 to 2");
  isc_assert_fails(isc_weights_read_rows(w, &m, -1, 2, ISC_F32, &x), ISC_E_SHAPE, "rows -1 to 2");
  m.part[0].transposed = true;
  isc_assert_fails(isc_weights_check(w, &m), ISC_E_SHAPE,
                   "\"w\" has shape [4, 6], and h.0.attn.c_attn.weight needs [6, 4]");
  m.part[0].transposed = false;
  m.part[0].rotary_heads = 4;
  isc_assert_fails(isc_weights_check(w, &m), ISC_E_SHAPE, "4 rows, not pairs of 4 heads");
  m.part[0].rotary_heads = 2;
  isc_assert_ok(isc_weights_check(w, &m));
  m.part[0].rows = 5;
  isc_assert_fails(isc_weights_check(w, &m), ISC_E_SHAPE, "needs [5, 6]");
  m.part[0].rows = 4;
  m.rows = 5;
  isc_assert_fails(isc_weights_check(w, &m), ISC_E_USAGE, "do not fill it");
  m.cols = 5;
  isc_assert_fails(isc_weights_check(w, &m), ISC_E_USAGE, "part 0 of h.0.attn.c_attn.weight");
  m.n_parts = 5;
  isc_assert_fails(isc_weights_check(w, &m), ISC_E_USAGE, "5 tensors");
  m = (isc_weight_matrix){.name = "bias",
                          .rows = 3,
                          .cols = 1,
                          .n_parts = 1,
                          .part = {{isc_weights_at(w, 1), 3, 1, false, 0, 0}}};
  isc_assert_fails(isc_weights_check(w, &m), ISC_E_SHAPE, "shape [4], and bias needs [3]");
  isc_weights_close(w);
}

Test(weights, a_file_cut_short_while_open_is_an_error) {
  isc_weights *w = opened((shape[]){{"w", 600, 700}, {"v", 600, 700}}, 2);
  isc_weight_matrix m = {.name = "w",
                         .rows = 700,
                         .cols = 1200,
                         .stack = ISC_STACK_COLUMNS,
                         .n_parts = 2,
                         .part = {{isc_weights_at(w, 0), 700, 600, true, 0, 0},
                                  {isc_weights_at(w, 1), 700, 600, true, 0, 0}}};
  float *x = malloc(sizeof(float) * 700 * 1200);
  isc_assert_ok(isc_weights_check(w, &m));
  cr_assert_eq(truncate(isc_weights_path(w), 2000000), 0);
  isc_assert_fails(isc_weights_read_rows(w, &m, 0, 700, ISC_F32, x), ISC_E_IO, "was cut from");
  isc_assert_fails(isc_weights_read(w, m.part[1].tensor, 0, 600 * 700, ISC_F32, x), ISC_E_IO,
                   "to 2000000 bytes while in use");
  isc_assert_fails(isc_weights_read(w, m.part[1].tensor, 0, 600 * 700, ISC_BF16, x), ISC_E_IO,
                   "was cut from");
  free(x);
  isc_weights_close(w);
}

Test(weights, survives_every_failing_allocation) {
  isc_weights *w = opened((shape[]){{"w", 4, 6}, {"b", 4, 0}}, 2);
  for (int64_t at = 1;; at++) {
    isc_weights *again;
    float x[24];
    isc_alloc_fail_at(at);
    isc_status st = isc_weights_open(isc_weights_path(w), &again);
    if (st == ISC_OK) {
      isc_weight_matrix m = {.name = "w",
                             .rows = 6,
                             .cols = 4,
                             .n_parts = 1,
                             .part = {{isc_weights_at(again, 0), 6, 4, true, 0, 0}}};
      st = isc_weights_read_rows(again, &m, 0, 6, ISC_F32, x);
    }
    isc_alloc_fail_at(0);
    isc_weights_close(again);
    if (st == ISC_OK) {
      cr_assert_gt(at, 8);
      cr_assert_eq(x[1], value(0, 1, 0));
      break;
    }
    cr_assert_eq(st, ISC_E_NOMEM, "allocation %d: %s", (int)at, isc_error());
  }
  isc_weights_close(w);
}
