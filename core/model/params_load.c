/* SPDX-License-Identifier: Apache-2.0
 *
 * One parameter between a file and the device, by pieces.
 *
 * A model is as large as its machine allows, so nothing here needs host memory in proportion to a parameter beyond a
 * small share of it.
 */
#include "base/half.h"
#include "model/params_io.h"
#include "tensor/params.h"
#include <inttypes.h>
#include <stdlib.h>

enum { PIECE = 1 << 18 }; /* elements of a piece */

/* Bytes of the rows that are read at a time: a transposed part wants many, since every read gets that many of a row of the
 * file; memory wants few, a small share of the model. */
enum { LEAST_BYTES = 1 << 20, MOST_BYTES = 1 << 26, SHARE = 20 };

static size_t size_of(isc_dtype dtype) {
  return dtype == ISC_BF16 ? sizeof(uint16_t) : sizeof(float);
}

static int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static isc_status upload(isc_params *set, void *to, int64_t at, const void *host, int64_t n,
                         isc_dtype dtype) {
  if (n == 0) return ISC_OK;
  return set->dev->ops->upload(set->dev->impl, (char *)to + (size_t)at * size_of(dtype), host,
                               (size_t)n * size_of(dtype));
}

isc_status isc_param_upload(const isc_safetensors *f, const isc_st_tensor *t, isc_params *set,
                            void *to, isc_dtype dtype) {
  isc_status st = ISC_OK;
  float *piece = NULL;
  uint16_t *rounded = NULL;
  const size_t most = (size_t)least(t->elements, PIECE);
  ISC_GO(isc_calloc(most, sizeof *piece, t->name, (void **)&piece));
  if (dtype == ISC_BF16) ISC_GO(isc_calloc(most, sizeof *rounded, t->name, (void **)&rounded));
  for (int64_t at = 0; at < t->elements; at += PIECE) {
    int64_t n = least(t->elements - at, PIECE);
    ISC_GO(isc_st_read_f32(f, t, at, n, piece));
    for (int64_t i = 0; rounded && i < n; i++)
      rounded[i] = isc_bf16_of_f32(piece[i]);
    ISC_GO(upload(set, to, at, rounded ? (void *)rounded : piece, n, dtype));
  }
done:
  free(piece);
  free(rounded);
  return st;
}

isc_status isc_param_read(const isc_safetensors *f, const isc_st_tensor *t, isc_params *set,
                          isc_param *q) {
  isc_param_changed(q);
  return isc_param_upload(f, t, set, q->value.data, (isc_dtype)q->value.dtype);
}

isc_status isc_param_download(isc_st_writer *w, isc_params *set, const void *from, int64_t n,
                              isc_dtype dtype) {
  isc_status st = ISC_OK;
  const size_t size = size_of(dtype);
  void *piece;
  ISC_TRY(isc_calloc((size_t)least(n, PIECE), size, "a piece of a parameter", &piece));
  for (int64_t at = 0; at < n; at += PIECE) {
    size_t bytes = (size_t)least(n - at, PIECE) * size;
    ISC_GO(set->dev->ops->download(set->dev->impl, piece, (const char *)from + (size_t)at * size,
                                   bytes));
    ISC_GO(isc_st_writer_data(w, piece, bytes));
  }
done:
  free(piece);
  return st;
}

isc_status isc_param_write(isc_st_writer *w, isc_params *set, const isc_param *q) {
  return isc_param_download(w, set, q->value.data, isc_tensor_size(&q->value),
                            (isc_dtype)q->value.dtype);
}

/* ---- from a model's files, whatever their format */

static isc_status check_matrix(const isc_weights *w, const isc_weight_matrix *m,
                               const isc_param *q) {
  const isc_tensor *v = &q->value;
  if (v->shape[0] != m->rows || (v->ndim == 1 ? 1 : v->shape[1]) != m->cols || v->ndim > 2)
    return isc_fail(ISC_E_USAGE,
                    "%s: parameter \"%s\" is asked for as [%" PRId64 ", %" PRId64
                    "], which it is not",
                    isc_weights_path(w), q->name, m->rows, m->cols);
  return isc_weights_check(w, m);
}

size_t isc_param_piece(const isc_weights *w) {
  const uint64_t share = isc_weights_bytes(w) / SHARE;
  return share < LEAST_BYTES ? LEAST_BYTES : share < MOST_BYTES ? (size_t)share : MOST_BYTES;
}

/* Rows on their way: in memory of the caller's, or of a lane's. */
typedef struct rows {
  const isc_param_way *way;
  size_t row;   /* bytes of one          */
  int64_t most; /* rows at a time        */
  void *own;    /* NULL with a lane      */
} rows;

static isc_status begin_rows(const isc_weights *w, const isc_weight_matrix *m, isc_dtype dtype,
                             const isc_param_way *way, rows *r) {
  size_t piece = isc_param_piece(w);
  *r = (rows){.way = way, .row = (size_t)m->cols * size_of(dtype)};
  if (way->lane && way->lane->piece < piece) piece = way->lane->piece;
  r->most = least(r->row > piece ? 1 : (int64_t)(piece / r->row), m->rows);
  return way->lane ? ISC_OK
                   : isc_calloc((size_t)(r->most * m->cols), size_of(dtype), m->name, &r->own);
}

static isc_status check_wanted(const isc_weights *w, const isc_param_way *way) {
  if (!isc_cancelled() && !(way->stop && atomic_load(way->stop))) return ISC_OK;
  return isc_fail(ISC_E_INTERRUPTED, "%s: loading was stopped on request", isc_weights_path(w));
}

/* Rows [first, first + n) from the files to the device. */
static isc_status send_rows(isc_weights *w, const isc_weight_matrix *m, const rows *r,
                            isc_params *set, isc_param *q, int64_t first, int64_t n) {
  const isc_dtype dtype = (isc_dtype)q->value.dtype;
  const size_t bytes = (size_t)n * r->row;
  void *at = r->own;
  isc_lane *lane = r->way->lane;
  ISC_TRY(check_wanted(w, r->way));
  if (lane) ISC_TRY(isc_lane_room(lane, bytes, &at));
  ISC_TRY(isc_weights_read_rows(w, m, first, first + n, dtype, at));
  if (!lane) return upload(set, q->value.data, first * m->cols, at, n * m->cols, dtype);
  return isc_lane_upload(lane, (char *)q->value.data + (size_t)first * r->row, bytes);
}

isc_status isc_param_load_by(isc_weights *w, const isc_weight_matrix *m, isc_params *set,
                             isc_param *q, const isc_param_way *way) {
  isc_status st = ISC_OK;
  rows r = {0};
  ISC_TRY(check_matrix(w, m, q));
  isc_param_changed(q);
  ISC_GO(begin_rows(w, m, (isc_dtype)q->value.dtype, way, &r));
  for (int64_t first = 0; first < m->rows; first += r.most)
    ISC_GO(send_rows(w, m, &r, set, q, first, least(m->rows - first, r.most)));
done:
  free(r.own);
  return st;
}

isc_status isc_param_load(isc_weights *w, const isc_weight_matrix *m, isc_params *set,
                          isc_param *q) {
  return isc_param_load_by(w, m, set, q, &(isc_param_way){0});
}
