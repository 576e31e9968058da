/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a GGUF file: its header, the tensors it lists, and where their data are.
 *
 * Dimensions come innermost first and are turned round here, so that everything behind sees the same order whatever
 * the format.
 */
#include "model/gguf_internal.h"
#include "model/weights_internal.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What can be read. */
typedef struct storage {
  uint32_t type; /* as the format numbers it */
  const char *name;
  isc_weight_dtype dtype;
  int64_t integer_bytes;
} storage;

static const storage STORAGE[] = {
    {0, "F32", ISC_WEIGHT_F32, 0},      {1, "F16", ISC_WEIGHT_F16, 0},
    {2, "Q4_0", ISC_WEIGHT_Q4_0, 0},    {3, "Q4_1", ISC_WEIGHT_Q4_1, 0},
    {6, "Q5_0", ISC_WEIGHT_Q5_0, 0},    {7, "Q5_1", ISC_WEIGHT_Q5_1, 0},
    {8, "Q8_0", ISC_WEIGHT_Q8_0, 0},    {12, "Q4_K", ISC_WEIGHT_Q4_K, 0},
    {13, "Q5_K", ISC_WEIGHT_Q5_K, 0},   {14, "Q6_K", ISC_WEIGHT_Q6_K, 0},
    {24, "I8", ISC_WEIGHT_INTEGER, 1},  {25, "I16", ISC_WEIGHT_INTEGER, 2},
    {26, "I32", ISC_WEIGHT_INTEGER, 4}, {27, "I64", ISC_WEIGHT_INTEGER, 8},
    {28, "F64", ISC_WEIGHT_F64, 0},     {30, "BF16", ISC_WEIGHT_BF16, 0},
};

/* The least bytes of a key/value pair (key, type, value) and of a tensor's entry (name, dimensions, type, offset). */
enum { LEAST_PAIR = 8 + 1 + 4 + 1, LEAST_TENSOR = 8 + 1 + 4 + 4 + 8 };
enum { MAX_PAIRS = 1 << 16, MAX_TENSORS = 1 << 16, DEFAULT_ALIGNMENT = 32 };

static const storage *find_storage(uint32_t type) {
  for (size_t i = 0; i < sizeof STORAGE / sizeof *STORAGE; i++)
    if (STORAGE[i].type == type) return &STORAGE[i];
  return NULL;
}

static isc_status take_shape(isc_gguf *g, isc_gguf_cursor *c, isc_weight *t) {
  uint32_t n;
  ISC_TRY(isc_gguf_u32(c, "a tensor's number of dimensions", &n));
  if (n > 4)
    return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\" has %" PRIu32 " dimensions, more than 4",
                    g->in.path, t->name, n);
  t->ndim = (int32_t)n;
  t->elements = 1;
  for (uint32_t i = n; i-- > 0;) {
    uint64_t size;
    ISC_TRY(isc_gguf_u64(c, "a tensor's dimension", &size));
    if (size > INT64_MAX || __builtin_mul_overflow(t->elements, (int64_t)size, &t->elements))
      return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": the shape overflows", g->in.path, t->name);
    t->shape[i] = (int64_t)size;
  }
  return ISC_OK;
}

static isc_status set_storage(isc_gguf *g, isc_weight *t, uint32_t type) {
  const storage *s = find_storage(type);
  const int64_t row = t->ndim ? t->shape[t->ndim - 1] : 1;
  if (!s)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "%s: tensor \"%s\" is stored as GGUF type %" PRIu32 "; F32, F16, BF16, Q8_0, "
                    "Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K are read",
                    g->in.path, t->name, type);
  const int64_t elements = isc_weight_block_elements(s->dtype),
                bytes = s->integer_bytes ? s->integer_bytes : isc_weight_block_bytes(s->dtype);
  if (row % elements)
    return isc_fail(ISC_E_FORMAT,
                    "%s: tensor \"%s\": rows of %" PRId64 " are not whole blocks of the %" PRId64
                    " elements of %s",
                    g->in.path, t->name, row, elements, s->name);
  if (__builtin_mul_overflow((uint64_t)(t->elements / elements), (uint64_t)bytes, &t->bytes))
    return isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\": the shape overflows", g->in.path, t->name);
  t->type = s->name;
  t->dtype = s->dtype;
  return ISC_OK;
}

static isc_status take_tensor(isc_gguf *g, isc_gguf_cursor *c, int64_t i) {
  isc_weight *t = &g->tensor[i];
  uint32_t type;
  ISC_TRY(isc_gguf_name(c, "a tensor's name", ISC_GGUF_MAX_NAME, &g->name[i]));
  t->name = g->name[i];
  ISC_TRY(take_shape(g, c, t));
  ISC_TRY(isc_gguf_u32(c, "a tensor's type", &type));
  ISC_TRY(set_storage(g, t, type));
  return isc_gguf_u64(c, "a tensor's offset", &t->at);
}

static isc_status take_tensors(isc_gguf *g, isc_gguf_cursor *c, int64_t n) {
  ISC_TRY(isc_calloc((size_t)n, sizeof *g->tensor, g->in.path, (void **)&g->tensor));
  ISC_TRY(isc_calloc((size_t)n, sizeof *g->name, g->in.path, (void **)&g->name));
  g->n_tensors = n;
  for (int64_t i = 0; i < n; i++)
    ISC_TRY(take_tensor(g, c, i));
  return ISC_OK;
}

/* ---- where the data are */

static isc_status place(isc_gguf *g, isc_weight *t, uint64_t data_at, uint64_t alignment) {
  const uint64_t size = g->in.size - data_at, offset = t->at;
  if (offset % alignment)
    return isc_fail(ISC_E_FORMAT,
                    "%s: tensor \"%s\": offset %" PRIu64 " is not a multiple of %" PRIu64,
                    g->in.path, t->name, offset, alignment);
  if (offset > size || t->bytes > size - offset)
    return isc_fail(ISC_E_FORMAT,
                    "%s: tensor \"%s\": its %" PRIu64 " bytes at %" PRIu64 " go beyond the %" PRIu64
                    " bytes of data; is it truncated?",
                    g->in.path, t->name, t->bytes, offset, size);
  t->at = data_at + offset;
  t->file = &g->in;
  return ISC_OK;
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const isc_weight *const *)a)->name, (*(const isc_weight *const *)b)->name);
}

static int by_place(const void *a, const void *b) {
  const isc_weight *x = *(const isc_weight *const *)a, *y = *(const isc_weight *const *)b;
  return x->at != y->at ? (x->at < y->at ? -1 : 1) : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* No name twice, and no byte in two tensors. */
static isc_status check_tensors(isc_gguf *g) {
  isc_status st = ISC_OK;
  const isc_weight **order;
  const size_t n = (size_t)g->n_tensors;
  ISC_TRY(isc_calloc(n, sizeof *order, g->in.path, (void **)&order));
  for (size_t i = 0; i < n; i++)
    order[i] = &g->tensor[i];
  qsort(order, n, sizeof *order, by_name);
  for (size_t i = 1; i < n; i++)
    if (by_name(&order[i - 1], &order[i]) == 0)
      ISC_GO(
          isc_fail(ISC_E_FORMAT, "%s: tensor \"%s\" is there twice", g->in.path, order[i]->name));
  qsort(order, n, sizeof *order, by_place);
  for (size_t i = 1; i < n; i++)
    if (order[i]->at < order[i - 1]->at + order[i - 1]->bytes)
      ISC_GO(isc_fail(ISC_E_FORMAT, "%s: the data of tensors \"%s\" and \"%s\" overlap", g->in.path,
                      order[i - 1]->name, order[i]->name));
done:
  free(order);
  return st;
}

static isc_status place_tensors(isc_gguf *g, uint64_t header) {
  int64_t alignment;
  ISC_TRY(
      isc_gguf_int_or(g, "general.alignment", 1, INT64_C(1) << 30, DEFAULT_ALIGNMENT, &alignment));
  if (alignment & (alignment - 1))
    return isc_fail(ISC_E_FORMAT, "%s: general.alignment is %" PRId64 ", not a power of two",
                    g->in.path, alignment);
  if (g->n_tensors == 0) return ISC_OK;
  /* The header is at most 128 MB: no overflow. */
  const uint64_t a = (uint64_t)alignment, data_at = (header + a - 1) / a * a;
  if (data_at > g->in.size)
    return isc_fail(ISC_E_FORMAT, "%s: ends after its header; is it truncated?", g->in.path);
  for (int64_t i = 0; i < g->n_tensors; i++)
    ISC_TRY(place(g, &g->tensor[i], data_at, a));
  return check_tensors(g);
}

/* ---- the file */

static isc_status take_version(isc_gguf *g, isc_gguf_cursor *c) {
  char magic[4];
  uint32_t version;
  ISC_TRY(isc_gguf_take(c, "the magic", magic, sizeof magic));
  if (memcmp(magic, "GGUF", 4) != 0)
    return isc_fail(ISC_E_FORMAT, "%s: does not start with \"GGUF\"; not a GGUF file?", g->in.path);
  ISC_TRY(isc_gguf_u32(c, "the version", &version));
  if (version == 2 || version == 3) return ISC_OK;
  if (version != 0 && (version & 0xFFFFu) == 0)
    return isc_fail(ISC_E_UNSUPPORTED, "%s: is a big-endian GGUF file, which is not read",
                    g->in.path);
  return isc_fail(ISC_E_UNSUPPORTED, "%s: GGUF version %" PRIu32 "; versions 2 and 3 are read",
                  g->in.path, version);
}

/* A model in several files has a number of its own in each. */
static isc_status check_whole(const isc_gguf *g) {
  int64_t parts;
  ISC_TRY(isc_gguf_int_or(g, "split.count", 0, INT64_MAX, 0, &parts));
  if (parts <= 1) return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED,
                  "%s: is one of the %" PRId64 " files of a model; merge them into one first",
                  g->in.path, parts);
}

static isc_status read_header(isc_gguf *g, isc_gguf_cursor *c) {
  uint64_t n_tensors, n_values;
  ISC_TRY(take_version(g, c));
  ISC_TRY(isc_gguf_number(c, "tensors", LEAST_TENSOR, &n_tensors));
  ISC_TRY(isc_gguf_number(c, "metadata pairs", LEAST_PAIR, &n_values));
  if (n_tensors > MAX_TENSORS || n_values > MAX_PAIRS)
    return isc_fail(ISC_E_FORMAT,
                    "%s: %" PRIu64 " tensors and %" PRIu64
                    " metadata pairs; at most %d of each are read",
                    g->in.path, n_tensors, n_values, MAX_TENSORS);
  ISC_TRY(isc_gguf_read_values(g, c, (int64_t)n_values));
  ISC_TRY(check_whole(g));
  ISC_TRY(take_tensors(g, c, (int64_t)n_tensors));
  return place_tensors(g, c->at);
}

isc_status isc_gguf_open(const char *path, isc_gguf **out) {
  isc_status st = ISC_OK;
  isc_gguf *g;
  isc_gguf_cursor c;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *g, path, (void **)&g));
  g->in.fd = -1;
  ISC_GO(isc_input_open(path, &g->in));
  isc_gguf_begin(&c, &g->in);
  ISC_GO(read_header(g, &c));
  *out = g;
  g = NULL;
done:
  isc_gguf_close(g);
  return st;
}

void isc_gguf_close(isc_gguf *g) {
  if (!g) return;
  isc_gguf_free_values(g);
  for (int64_t i = 0; i < g->n_tensors; i++)
    free(g->name[i]);
  free(g->name);
  free(g->tensor);
  isc_input_close(&g->in);
  free(g);
}

const char *isc_gguf_path(const isc_gguf *g) {
  return g->in.path;
}

const isc_input *isc_gguf_file(const isc_gguf *g) {
  return &g->in;
}

int64_t isc_gguf_count(const isc_gguf *g) {
  return g->n_tensors;
}

const isc_weight *isc_gguf_at(const isc_gguf *g, int64_t i) {
  return i >= 0 && i < g->n_tensors ? &g->tensor[i] : NULL;
}
