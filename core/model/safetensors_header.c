/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing and checking a safetensors header.
 *
 * The header is a small fixed subset of JSON, so it has a parser of its own: no recursion, no tree,
 * memory bounded by the header's length whatever it holds.
 */
#include "model/safetensors_header.h"
#include "model/safetensors_json.h"
#include "base/base.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;
  size_t size;
} dtypes[] = {
    [ISC_ST_BOOL] = {"BOOL", 1}, [ISC_ST_U8] = {"U8", 1},   [ISC_ST_I8] = {"I8", 1},
    [ISC_ST_I16] = {"I16", 2},   [ISC_ST_U16] = {"U16", 2}, [ISC_ST_F16] = {"F16", 2},
    [ISC_ST_BF16] = {"BF16", 2}, [ISC_ST_I32] = {"I32", 4}, [ISC_ST_U32] = {"U32", 4},
    [ISC_ST_F32] = {"F32", 4},   [ISC_ST_F64] = {"F64", 8}, [ISC_ST_I64] = {"I64", 8},
    [ISC_ST_U64] = {"U64", 8},
};

size_t isc_st_dtype_size(isc_st_dtype dtype) {
  return dtypes[dtype].size;
}

const char *isc_st_dtype_name(isc_st_dtype dtype) {
  return dtypes[dtype].name;
}

typedef struct parser {
  isc_st_json json;
  isc_st_header *h;
  uint64_t *end; /* [h->n] where the data of each end */
  int64_t cap, meta_cap;
} parser;

static isc_status find_dtype(const char *path, const char *tensor, const char *name,
                             isc_st_dtype *out) {
  for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
    if (strcmp(dtypes[i].name, name) == 0) {
      *out = (isc_st_dtype)i;
      return ISC_OK;
    }
  return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": unknown dtype \"%s\"", path, tensor, name);
}

/* [u64, u64, …] of at most `max` values. */
static isc_status parse_numbers(parser *p, const char *tensor, const char *field, int max,
                                uint64_t *out, int32_t *n) {
  isc_st_json *j = &p->json;
  *n = 0;
  ISC_TRY(isc_st_json_expect(j, '['));
  if (isc_st_json_accept(j, ']')) return ISC_OK;
  do {
    if (*n == max)
      return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": \"%s\" has more than %d values", j->path,
                      tensor, field, max);
    ISC_TRY(isc_st_json_u64(j, &out[(*n)++]));
  } while (isc_st_json_accept(j, ','));
  return isc_st_json_expect(j, ']');
}

static isc_status parse_shape(parser *p, isc_st_tensor *t) {
  uint64_t v[8];
  ISC_TRY(parse_numbers(p, t->name, "shape", 8, v, &t->ndim));
  for (int32_t i = 0; i < t->ndim; i++) {
    if (v[i] > INT64_MAX)
      return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": a dimension of %" PRIu64 " is too large",
                      p->json.path, t->name, v[i]);
    t->shape[i] = (int64_t)v[i];
  }
  return ISC_OK;
}

static isc_status parse_offsets(parser *p, const char *tensor, uint64_t *begin, uint64_t *end) {
  uint64_t v[2];
  int32_t n;
  ISC_TRY(parse_numbers(p, tensor, "data_offsets", 2, v, &n));
  if (n != 2)
    return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": \"data_offsets\" must be [begin, end]",
                    p->json.path, tensor);
  *begin = v[0];
  *end = v[1];
  return ISC_OK;
}

enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4, HAS_ALL = 7 };

static isc_status parse_field(parser *p, isc_st_tensor *t, uint64_t *end, unsigned *seen) {
  isc_st_json *j = &p->json;
  const char *key, *dtype;
  ISC_TRY(isc_st_json_string(j, &key));
  ISC_TRY(isc_st_json_expect(j, ':'));
  unsigned bit = strcmp(key, "dtype") == 0          ? HAS_DTYPE
                 : strcmp(key, "shape") == 0        ? HAS_SHAPE
                 : strcmp(key, "data_offsets") == 0 ? HAS_OFFSETS
                                                    : 0;
  if (bit == 0)
    return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": unknown field \"%s\"", j->path, t->name, key);
  if (*seen & bit)
    return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": \"%s\" is given twice", j->path, t->name,
                    key);
  *seen |= bit;
  if (bit == HAS_SHAPE) return parse_shape(p, t);
  if (bit == HAS_OFFSETS) return parse_offsets(p, t->name, &t->at, end);
  ISC_TRY(isc_st_json_string(j, &dtype));
  return find_dtype(j->path, t->name, dtype, &t->dtype);
}

static isc_status grow(parser *p) {
  int64_t cap = p->cap ? p->cap * 2 : 64;
  void *tensor = p->h->tensor, *end = p->end;
  isc_status st = isc_realloc(&tensor, (size_t)cap, sizeof(isc_st_tensor), p->json.path);
  p->h->tensor = tensor;
  if (st == ISC_OK) st = isc_realloc(&end, (size_t)cap, sizeof(uint64_t), p->json.path);
  p->end = end;
  if (st == ISC_OK) p->cap = cap;
  return st;
}

static isc_status parse_tensor(parser *p, const char *name) {
  isc_st_json *j = &p->json;
  unsigned seen = 0;
  if (p->h->n == p->cap) ISC_TRY(grow(p));
  isc_st_tensor *t = &p->h->tensor[p->h->n];
  *t = (isc_st_tensor){.name = name};
  ISC_TRY(isc_st_json_expect(j, '{'));
  do
    ISC_TRY(parse_field(p, t, &p->end[p->h->n], &seen));
  while (isc_st_json_accept(j, ','));
  ISC_TRY(isc_st_json_expect(j, '}'));
  if (seen != HAS_ALL)
    return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": \"%s\" is missing", j->path, name,
                    !(seen & HAS_DTYPE)   ? "dtype"
                    : !(seen & HAS_SHAPE) ? "shape"
                                          : "data_offsets");
  p->h->n++;
  return ISC_OK;
}

static isc_status parse_metadata(parser *p) {
  isc_st_json *j = &p->json;
  isc_st_header *h = p->h;
  if (h->meta) return isc_fail(ISC_E_FORMAT, "%s: \"__metadata__\" is given twice", j->path);
  ISC_TRY(isc_st_json_expect(j, '{'));
  ISC_TRY(isc_calloc(1, sizeof *h->meta, j->path, (void **)&h->meta));
  p->meta_cap = 1;
  if (isc_st_json_accept(j, '}')) return ISC_OK;
  do {
    if (h->n_meta == p->meta_cap) {
      void *grown = h->meta;
      ISC_TRY(isc_realloc(&grown, (size_t)p->meta_cap * 2, sizeof *h->meta, j->path));
      h->meta = grown;
      p->meta_cap *= 2;
    }
    isc_st_pair *m = &h->meta[h->n_meta++];
    ISC_TRY(isc_st_json_string(j, &m->key));
    ISC_TRY(isc_st_json_expect(j, ':'));
    ISC_TRY(isc_st_json_string(j, &m->value));
  } while (isc_st_json_accept(j, ','));
  return isc_st_json_expect(j, '}');
}

static isc_status parse_object(parser *p) {
  isc_st_json *j = &p->json;
  const char *name;
  ISC_TRY(isc_st_json_expect(j, '{'));
  if (!isc_st_json_accept(j, '}')) {
    do {
      ISC_TRY(isc_st_json_string(j, &name));
      ISC_TRY(isc_st_json_expect(j, ':'));
      if (strcmp(name, "__metadata__") == 0)
        ISC_TRY(parse_metadata(p));
      else
        ISC_TRY(parse_tensor(p, name));
    } while (isc_st_json_accept(j, ','));
    ISC_TRY(isc_st_json_expect(j, '}'));
  }
  return isc_st_json_end(j);
}

static isc_status check_size(const char *path, isc_st_tensor *t, uint64_t end) {
  uint64_t n = 1, bytes;
  bool over = false;
  for (int32_t i = 0; i < t->ndim; i++)
    over |= __builtin_mul_overflow(n, (uint64_t)t->shape[i], &n);
  over |= __builtin_mul_overflow(n, (uint64_t)isc_st_dtype_size(t->dtype), &bytes) || n > INT64_MAX;
  if (over) return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": the shape overflows", path, t->name);
  if (end < t->at || end - t->at != bytes)
    return isc_fail(ISC_E_FORMAT,
                    "%s: tensor \"%s\": offsets %" PRIu64 " to %" PRIu64 " do not hold the %" PRIu64
                    " bytes of its shape and dtype %s",
                    path, t->name, t->at, end, bytes, isc_st_dtype_name(t->dtype));
  t->elements = (int64_t)n;
  t->bytes = bytes;
  return ISC_OK;
}

typedef struct placed {
  isc_st_tensor t;
  uint64_t end;
} placed;

static int by_place(const void *a, const void *b) {
  const placed *x = a, *y = b;
  if (x->t.at != y->t.at) return x->t.at < y->t.at ? -1 : 1;
  return (x->end > y->end) - (x->end < y->end);
}

/* Bring the tensors into the order of their data. Writers nearly always did so already. */
static isc_status order_by_place(parser *p) {
  isc_st_header *h = p->h;
  placed *all;
  bool sorted = true;
  for (int64_t i = 1; i < h->n; i++)
    sorted &= h->tensor[i - 1].at < h->tensor[i].at ||
              (h->tensor[i - 1].at == h->tensor[i].at && p->end[i - 1] <= p->end[i]);
  if (sorted) return ISC_OK;
  ISC_TRY(isc_calloc((size_t)h->n, sizeof *all, p->json.path, (void **)&all));
  for (int64_t i = 0; i < h->n; i++)
    all[i] = (placed){h->tensor[i], p->end[i]};
  qsort(all, (size_t)h->n, sizeof *all, by_place);
  for (int64_t i = 0; i < h->n; i++) {
    h->tensor[i] = all[i].t;
    p->end[i] = all[i].end;
  }
  free(all);
  return ISC_OK;
}

/* The data part, `size` bytes from `data_at` on, is covered from its first byte to its last, without holes or overlap. */
static isc_status check_places(parser *p, const isc_input *file, uint64_t data_at, uint64_t size) {
  isc_st_header *h = p->h;
  uint64_t at = 0;
  for (int64_t i = 0; i < h->n; i++) {
    isc_st_tensor *t = &h->tensor[i];
    if (t->at != at)
      return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": its data begin at %" PRIu64 ", %s %" PRIu64,
                      p->json.path, t->name, t->at,
                      t->at > at ? "leaving a hole after" : "overlapping what ends at", at);
    at = p->end[i];
    if (at > size)
      return isc_fail(ISC_E_FORMAT,
                      "%s: tensor \"%s\": its data end at %" PRIu64 " but the file holds %" PRIu64
                      " bytes of data; is it truncated?",
                      p->json.path, t->name, at, size);
    t->at += data_at;
    t->file = file;
  }
  if (at != size)
    return isc_fail(ISC_E_FORMAT,
                    "%s: %" PRIu64 " bytes of tensors, but %" PRIu64 " bytes of data in the file",
                    p->json.path, at, size);
  return ISC_OK;
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const isc_st_tensor *const *)a)->name, (*(const isc_st_tensor *const *)b)->name);
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const isc_st_pair *)a)->key, ((const isc_st_pair *)b)->key);
}

static isc_status index_names(parser *p) {
  isc_st_header *h = p->h;
  ISC_TRY(isc_calloc((size_t)h->n, sizeof *h->by_name, p->json.path, (void **)&h->by_name));
  for (int64_t i = 0; i < h->n; i++)
    h->by_name[i] = &h->tensor[i];
  qsort(h->by_name, (size_t)h->n, sizeof *h->by_name, by_name);
  for (int64_t i = 1; i < h->n; i++)
    if (by_name(&h->by_name[i - 1], &h->by_name[i]) == 0)
      return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\" is there twice", p->json.path,
                      h->by_name[i]->name);
  if (h->n_meta) qsort(h->meta, (size_t)h->n_meta, sizeof *h->meta, by_key);
  for (int64_t i = 1; i < h->n_meta; i++)
    if (by_key(&h->meta[i - 1], &h->meta[i]) == 0)
      return isc_fail(ISC_E_FORMAT, "%s: metadata key \"%s\" is there twice", p->json.path,
                      h->meta[i].key);
  return ISC_OK;
}

static isc_status header_bytes(const isc_input *file, size_t *len) {
  uint8_t start[9] = {0};
  uint64_t n = 0;
  if (file->size < 8)
    return isc_fail(ISC_E_FORMAT, "%s: %" PRIu64 " bytes are too few for a safetensors file",
                    file->path, file->size);
  ISC_TRY(isc_input_read(file, 0, start, file->size < sizeof start ? 8 : sizeof start));
  for (int i = 7; i >= 0; i--)
    n = n << 8 | start[i];
  if (n > ISC_ST_MAX_HEADER)
    return isc_fail(ISC_E_FORMAT,
                    "%s: a header of %" PRIu64
                    " bytes exceeds the limit of %d; not a safetensors file?",
                    file->path, n, ISC_ST_MAX_HEADER);
  if (n > file->size - 8)
    return isc_fail(ISC_E_FORMAT,
                    "%s: the header of %" PRIu64 " bytes ends beyond the file's %" PRIu64
                    "; is it truncated?",
                    file->path, n, file->size);
  if (n == 0 || start[8] != '{')
    return isc_fail(ISC_E_FORMAT, "%s: the header does not start with '{'; not a safetensors file?",
                    file->path);
  *len = (size_t)n;
  return ISC_OK;
}

isc_status isc_st_header_read(const isc_input *file, isc_st_header *out) {
  isc_status st = ISC_OK;
  size_t len = 0;
  void *text = NULL;
  *out = (isc_st_header){0};
  parser p = {.h = out};
  ISC_GO(header_bytes(file, &len));
  ISC_GO(isc_malloc(len, file->path, &text));
  ISC_GO(isc_malloc(len, file->path, (void **)&out->strings));
  ISC_GO(isc_input_read(file, 8, text, len));
  isc_st_json_begin(&p.json, file->path, text, len, out->strings);
  ISC_GO(parse_object(&p));
  for (int64_t i = 0; i < out->n; i++)
    ISC_GO(check_size(file->path, &out->tensor[i], p.end[i]));
  ISC_GO(order_by_place(&p));
  ISC_GO(check_places(&p, file, 8 + len, file->size - 8 - len));
  ISC_GO(index_names(&p));
done:
  free(text);
  free(p.end);
  if (st != ISC_OK) isc_st_header_free(out);
  return st;
}

void isc_st_header_free(isc_st_header *h) {
  free(h->tensor);
  free(h->by_name);
  free(h->meta);
  free(h->strings);
  *h = (isc_st_header){0};
}
