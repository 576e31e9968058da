/* SPDX-License-Identifier: Apache-2.0
 *
 * The elements of NumPy arrays, by pieces.
 *
 * An array in Fortran's order comes column by column and is put where it belongs in a row-major one.
 */
#include "model/npz_internal.h"
#include "model/safetensors_header.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 12 }; /* elements */

struct isc_npz_reader {
  const isc_npz_array *array;
  isc_npz_bytes bytes;
  int64_t left; /* elements */
  uint8_t raw[PIECE * 8];
};

isc_status isc_npz_reader_new(isc_npz *z, const isc_npz_array *a, isc_npz_reader **out) {
  isc_status st = ISC_OK;
  isc_npz_reader *r;
  *out = NULL;
  if (a < z->array || a >= z->array + z->n)
    return isc_fail(ISC_E_USAGE, "%s: array \"%s\" is not of this file", z->in.path, a->name);
  ISC_TRY(isc_calloc(1, sizeof *r, z->in.path, (void **)&r));
  *r = (isc_npz_reader){.array = a, .left = a->header.elements};
  ISC_GO(isc_npz_bytes_open(z, a - z->array, &r->bytes));
  for (size_t at = 0, n; at < a->header.data_at; at += n) {
    n = a->header.data_at - at < sizeof r->raw ? a->header.data_at - at : sizeof r->raw;
    ISC_GO(isc_npz_bytes_take(&r->bytes, r->raw, n));
  }
  *out = r;
  r = NULL;
done:
  isc_npz_reader_free(r);
  return st;
}

void isc_npz_reader_free(isc_npz_reader *r) {
  if (!r) return;
  isc_npz_bytes_close(&r->bytes);
  free(r);
}

static isc_status wrong_sort(const isc_npz_reader *r, const char *want) {
  return isc_fail(ISC_E_SHAPE, "%s: array \"%s\" is %s, not %s", r->bytes.z->in.path,
                  r->array->name, isc_st_dtype_name(r->array->header.dtype), want);
}

/* The next n ≤ PIECE elements into `raw`. */
static isc_status take(isc_npz_reader *r, int64_t n) {
  ISC_TRY(
      isc_npz_bytes_take(&r->bytes, r->raw, (size_t)n * isc_st_dtype_size(r->array->header.dtype)));
  r->left -= n;
  return ISC_OK;
}

isc_status isc_npz_reader_next(isc_npz_reader *r, int64_t n, float *out) {
  const isc_st_dtype dtype = r->array->header.dtype;
  if (n < 0 || n > r->left)
    return isc_fail(ISC_E_SHAPE,
                    "%s: array \"%s\": %" PRId64 " elements were asked for, %" PRId64 " are left",
                    r->bytes.z->in.path, r->array->name, n, r->left);
  if (!isc_st_to_f32(dtype, r->raw, 0, out)) return wrong_sort(r, "floating point");
  for (int64_t at = 0, piece; at < n; at += piece) {
    piece = n - at < PIECE ? n - at : PIECE;
    ISC_TRY(take(r, piece));
    isc_st_to_f32(dtype, r->raw, piece, out + at);
  }
  return ISC_OK;
}

/* A checksum is compared when the end is met. */
isc_status isc_npz_reader_end(isc_npz_reader *r) {
  uint8_t more;
  size_t got;
  if (r->left)
    return isc_fail(ISC_E_USAGE, "%s: array \"%s\": %" PRId64 " elements were not read",
                    r->bytes.z->in.path, r->array->name, r->left);
  ISC_TRY(isc_npz_bytes_read(&r->bytes, &more, 1, &got));
  if (got == 0) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: array \"%s\": bytes follow its last element",
                  r->bytes.z->in.path, r->array->name);
}

/* ---- whole arrays */

/* Where the elements of a stored array go in a row-major one. */
typedef struct walk {
  const isc_npy *h;
  int64_t index[8]; /* of the next element */
  int64_t stride[8];
  int64_t at; /* its place */
} walk;

static walk walk_new(const isc_npy *h) {
  walk w = {.h = h};
  int64_t stride = 1;
  for (int32_t i = h->ndim; i-- > 0;) {
    w.stride[i] = stride;
    stride *= h->shape[i];
  }
  return w;
}

static void walk_on(walk *w) {
  if (!w->h->fortran) {
    w->at++;
    return;
  }
  for (int32_t i = 0; i < w->h->ndim; i++) {
    w->at += w->stride[i];
    if (++w->index[i] < w->h->shape[i]) return;
    w->at -= w->stride[i] * w->h->shape[i];
    w->index[i] = 0;
  }
}

static isc_status read_floats(isc_npz_reader *r, float *out) {
  float piece[PIECE];
  walk w = walk_new(&r->array->header);
  if (!w.h->fortran) return isc_npz_reader_next(r, r->left, out);
  while (r->left) {
    int64_t n = r->left < PIECE ? r->left : PIECE;
    ISC_TRY(isc_npz_reader_next(r, n, piece));
    for (int64_t i = 0; i < n; i++, walk_on(&w))
      out[w.at] = piece[i];
  }
  return ISC_OK;
}

static isc_status read_ints(isc_npz_reader *r, int64_t *out) {
  int64_t piece[PIECE];
  bool too_large = false;
  walk w = walk_new(&r->array->header);
  if (!isc_st_to_i64(w.h->dtype, r->raw, 0, piece, &too_large)) return wrong_sort(r, "integer");
  while (r->left) {
    int64_t n = r->left < PIECE ? r->left : PIECE;
    ISC_TRY(take(r, n));
    isc_st_to_i64(w.h->dtype, r->raw, n, piece, &too_large);
    for (int64_t i = 0; i < n; i++, walk_on(&w))
      out[w.at] = piece[i];
  }
  if (!too_large) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "%s: array \"%s\": a value exceeds 2^63 - 1", r->bytes.z->in.path,
                  r->array->name);
}

isc_status isc_npz_read_f32(isc_npz *z, const isc_npz_array *a, float *out) {
  isc_npz_reader *r;
  ISC_TRY(isc_npz_reader_new(z, a, &r));
  isc_status st = read_floats(r, out);
  if (st == ISC_OK) st = isc_npz_reader_end(r);
  isc_npz_reader_free(r);
  return st;
}

isc_status isc_npz_read_i64(isc_npz *z, const isc_npz_array *a, int64_t *out) {
  isc_npz_reader *r;
  ISC_TRY(isc_npz_reader_new(z, a, &r));
  isc_status st = read_ints(r, out);
  if (st == ISC_OK) st = isc_npz_reader_end(r);
  isc_npz_reader_free(r);
  return st;
}
