/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing the key/value pairs of a GGUF file.
 *
 * Memory is in proportion to the bytes that were read: strings keep their length, numbers their packing, and arrays of
 * arrays, which no published model has, are checked and passed over.
 */
#include "model/gguf_internal.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const size_t size_of[ISC_GGUF_TYPES] = {
    [ISC_GGUF_U8] = 1,  [ISC_GGUF_I8] = 1,  [ISC_GGUF_U16] = 2, [ISC_GGUF_I16] = 2,
    [ISC_GGUF_U32] = 4, [ISC_GGUF_I32] = 4, [ISC_GGUF_F32] = 4, [ISC_GGUF_BOOL] = 1,
    [ISC_GGUF_U64] = 8, [ISC_GGUF_I64] = 8, [ISC_GGUF_F64] = 8,
};

/* The least that an element takes: a string has a length, an array a type and a length. */
static uint64_t least_size(isc_gguf_type type) {
  return type == ISC_GGUF_STRING ? 8 : type == ISC_GGUF_ARRAY ? 12 : size_of[type];
}

static isc_status take_type(isc_gguf_cursor *c, const char *key, isc_gguf_type *out) {
  uint32_t type;
  ISC_TRY(isc_gguf_u32(c, key, &type));
  *out = (isc_gguf_type)type;
  if (type < ISC_GGUF_TYPES) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: \"%s\": unknown type %" PRIu32, c->file->path, key, type);
}

static isc_status check_booleans(const isc_gguf_cursor *c, const char *key, const uint8_t *b,
                                 uint64_t n) {
  for (uint64_t i = 0; i < n; i++)
    if (b[i] > 1)
      return isc_fail(ISC_E_FORMAT, "%s: \"%s\": a boolean is %d", c->file->path, key, b[i]);
  return ISC_OK;
}

static isc_status take_text(isc_gguf_cursor *c, isc_gguf_value *v) {
  uint64_t len;
  ISC_TRY(isc_gguf_number(c, v->key, 1, &len));
  ISC_TRY(isc_malloc((size_t)len + 1, c->file->path, &v->data));
  ISC_TRY(isc_gguf_take(c, v->key, v->data, (size_t)len));
  ((char *)v->data)[len] = '\0';
  v->text = (isc_gguf_text){v->data, (size_t)len};
  return ISC_OK;
}

/* ---- arrays */

/* `used` characters are there; room for `more` and a NUL behind them. */
static isc_status reserve(isc_gguf_value *v, size_t used, size_t more, size_t *cap) {
  if (more < *cap - used) return ISC_OK;
  size_t wanted = used + more + 1; /* no more than the header and its NULs: no overflow */
  if (wanted < 2 * *cap) wanted = 2 * *cap;
  void *grown = v->chars;
  ISC_TRY(isc_realloc(&grown, wanted, 1, v->key));
  v->chars = grown;
  *cap = wanted;
  return ISC_OK;
}

/* Characters lie in one block that moves while it grows, so the pointers are set at the end. */
static isc_status take_strings(isc_gguf_cursor *c, isc_gguf_value *v, uint64_t n) {
  size_t used = 0, cap = 1;
  isc_gguf_text *text;
  ISC_TRY(isc_calloc((size_t)n, sizeof *text, v->key, &v->data));
  ISC_TRY(isc_malloc(cap, v->key, (void **)&v->chars));
  text = v->data;
  for (uint64_t i = 0; i < n; i++) {
    uint64_t len;
    ISC_TRY(isc_gguf_number(c, v->key, 1, &len));
    ISC_TRY(reserve(v, used, (size_t)len, &cap));
    ISC_TRY(isc_gguf_take(c, v->key, v->chars + used, (size_t)len));
    used += (size_t)len;
    v->chars[used++] = '\0';
    text[i].len = (size_t)len;
  }
  used = 0;
  for (uint64_t i = 0; i < n; i++) {
    text[i].s = v->chars + used;
    used += text[i].len + 1;
  }
  return ISC_OK;
}

/* One array, its type and number included; a level of arrays in it takes a level here. */
static isc_status pass_array(isc_gguf_cursor *c, const char *key, int depth) {
  isc_gguf_type type;
  uint64_t n, len;
  if (depth > ISC_GGUF_MAX_DEPTH)
    return isc_fail(ISC_E_FORMAT, "%s: \"%s\": arrays nested deeper than %d levels", c->file->path,
                    key, ISC_GGUF_MAX_DEPTH);
  ISC_TRY(take_type(c, key, &type));
  ISC_TRY(isc_gguf_number(c, key, least_size(type), &n));
  for (uint64_t i = 0; type == ISC_GGUF_ARRAY && i < n; i++)
    ISC_TRY(pass_array(c, key, depth + 1));
  for (uint64_t i = 0; type == ISC_GGUF_STRING && i < n; i++) {
    ISC_TRY(isc_gguf_number(c, key, 1, &len));
    ISC_TRY(isc_gguf_skip(c, key, len));
  }
  return isc_gguf_skip(c, key, n * size_of[type]);
}

static isc_status take_array(isc_gguf_cursor *c, isc_gguf_value *v) {
  isc_gguf_type type;
  uint64_t n;
  ISC_TRY(take_type(c, v->key, &type));
  ISC_TRY(isc_gguf_number(c, v->key, least_size(type), &n));
  v->array = (isc_gguf_array){.type = type, .n = (int64_t)n};
  if (type == ISC_GGUF_ARRAY) {
    for (uint64_t i = 0; i < n; i++)
      ISC_TRY(pass_array(c, v->key, 2));
    return ISC_OK;
  }
  if (type == ISC_GGUF_STRING) {
    ISC_TRY(take_strings(c, v, n));
  } else {
    ISC_TRY(isc_calloc((size_t)n, size_of[type], v->key, &v->data));
    ISC_TRY(isc_gguf_take(c, v->key, v->data, (size_t)n * size_of[type]));
    if (type == ISC_GGUF_BOOL) ISC_TRY(check_booleans(c, v->key, v->data, n));
  }
  v->array.data = v->data;
  return ISC_OK;
}

static isc_status take_number(isc_gguf_cursor *c, isc_gguf_value *v) {
  union {
    uint64_t u;
    uint8_t bytes[8];
  } raw = {0};
  const isc_gguf_array one = {.type = v->type, .n = 1, .data = raw.bytes};
  ISC_TRY(isc_gguf_take(c, v->key, raw.bytes, size_of[v->type]));
  if (v->type == ISC_GGUF_BOOL) ISC_TRY(check_booleans(c, v->key, raw.bytes, 1));
  if (v->type == ISC_GGUF_F32 || v->type == ISC_GGUF_F64)
    v->f = isc_gguf_float_at(&one, 0);
  else
    v->i = isc_gguf_int_at(&one, 0);
  return ISC_OK;
}

static isc_status take_value(isc_gguf_cursor *c, isc_gguf_value *v) {
  ISC_TRY(isc_gguf_name(c, "a key", ISC_GGUF_MAX_KEY, &v->key));
  ISC_TRY(take_type(c, v->key, &v->type));
  if (v->type == ISC_GGUF_ARRAY) return take_array(c, v);
  return v->type == ISC_GGUF_STRING ? take_text(c, v) : take_number(c, v);
}

static int by_key(const void *a, const void *b) {
  return strcmp(((const isc_gguf_value *)a)->key, ((const isc_gguf_value *)b)->key);
}

isc_status isc_gguf_read_values(isc_gguf *g, isc_gguf_cursor *c, int64_t n) {
  ISC_TRY(isc_calloc((size_t)n, sizeof *g->value, g->in.path, (void **)&g->value));
  for (int64_t i = 0; i < n; i++) {
    g->n_values = i + 1;
    ISC_TRY(take_value(c, &g->value[i]));
  }
  if (n) qsort(g->value, (size_t)n, sizeof *g->value, by_key);
  for (int64_t i = 1; i < n; i++)
    if (by_key(&g->value[i - 1], &g->value[i]) == 0)
      return isc_fail(ISC_E_FORMAT, "%s: key \"%s\" is there twice", g->in.path, g->value[i].key);
  return ISC_OK;
}

void isc_gguf_free_values(isc_gguf *g) {
  for (int64_t i = 0; i < g->n_values; i++) {
    free(g->value[i].key);
    free(g->value[i].data);
    free(g->value[i].chars);
  }
  free(g->value);
  g->value = NULL;
  g->n_values = 0;
}

const isc_gguf_value *isc_gguf_find(const isc_gguf *g, const char *key) {
  const isc_gguf_value wanted = {.key = (char *)(uintptr_t)key};
  if (g->n_values == 0) return NULL;
  return bsearch(&wanted, g->value, (size_t)g->n_values, sizeof wanted, by_key);
}
