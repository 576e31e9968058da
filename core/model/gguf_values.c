/* SPDX-License-Identifier: Apache-2.0
 *
 * What a GGUF file's metadata say, with errors that name the file and the key.
 */
#include "model/gguf_internal.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

static const char *const type_name[ISC_GGUF_TYPES] = {
    [ISC_GGUF_U8] = "u8",   [ISC_GGUF_I8] = "i8",        [ISC_GGUF_U16] = "u16",
    [ISC_GGUF_I16] = "i16", [ISC_GGUF_U32] = "u32",      [ISC_GGUF_I32] = "i32",
    [ISC_GGUF_F32] = "f32", [ISC_GGUF_BOOL] = "boolean", [ISC_GGUF_STRING] = "string",
    [ISC_GGUF_U64] = "u64", [ISC_GGUF_ARRAY] = "array",  [ISC_GGUF_I64] = "i64",
    [ISC_GGUF_F64] = "f64",
};

static bool is_int(isc_gguf_type type) {
  return type <= ISC_GGUF_I32 || type == ISC_GGUF_U64 || type == ISC_GGUF_I64;
}

static bool is_float(isc_gguf_type type) {
  return type == ISC_GGUF_F32 || type == ISC_GGUF_F64;
}

static bool is_string(isc_gguf_type type) {
  return type == ISC_GGUF_STRING;
}

static bool is_bool(isc_gguf_type type) {
  return type == ISC_GGUF_BOOL;
}

int64_t isc_gguf_keys(const isc_gguf *g) {
  return g->n_values;
}

const char *isc_gguf_key(const isc_gguf *g, int64_t i) {
  return i >= 0 && i < g->n_values ? g->value[i].key : NULL;
}

bool isc_gguf_has(const isc_gguf *g, const char *key) {
  return isc_gguf_find(g, key) != NULL;
}

static isc_status missing(const isc_gguf *g, const char *key) {
  return isc_fail(ISC_E_MISSING, "%s: there is no metadata \"%s\"", g->in.path, key);
}

/* The value of a key, of the type asked for, or NULL when it is absent. */
static isc_status find_typed(const isc_gguf *g, const char *key, bool (*is)(isc_gguf_type),
                             const char *want, const isc_gguf_value **out) {
  *out = isc_gguf_find(g, key);
  if (!*out || is((*out)->type)) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: \"%s\" must be %s, not %s", g->in.path, key, want,
                  type_name[(*out)->type]);
}

isc_status isc_gguf_string_or(const isc_gguf *g, const char *key, const char *fallback,
                              const char **out) {
  const isc_gguf_value *v;
  *out = fallback;
  ISC_TRY(find_typed(g, key, is_string, "a string", &v));
  if (!v) return ISC_OK;
  if (strlen(v->text.s) != v->text.len)
    return isc_fail(ISC_E_FORMAT, "%s: \"%s\" holds a NUL", g->in.path, key);
  *out = v->text.s;
  return ISC_OK;
}

isc_status isc_gguf_string(const isc_gguf *g, const char *key, const char **out) {
  ISC_TRY(isc_gguf_string_or(g, key, NULL, out));
  return *out ? ISC_OK : missing(g, key);
}

isc_status isc_gguf_int_or(const isc_gguf *g, const char *key, int64_t min, int64_t max,
                           int64_t fallback, int64_t *out) {
  const isc_gguf_value *v;
  *out = fallback;
  ISC_TRY(find_typed(g, key, is_int, "an integer", &v));
  if (!v) return ISC_OK;
  *out = v->i;
  if (v->type == ISC_GGUF_U64 && v->i == INT64_MAX)
    return isc_fail(ISC_E_FORMAT, "%s: \"%s\" is too large", g->in.path, key);
  if (v->i >= min && v->i <= max) return ISC_OK;
  return isc_fail(ISC_E_FORMAT,
                  "%s: \"%s\" is %" PRId64 ", outside the accepted %" PRId64 " … %" PRId64,
                  g->in.path, key, v->i, min, max);
}

isc_status isc_gguf_int(const isc_gguf *g, const char *key, int64_t min, int64_t max,
                        int64_t *out) {
  if (!isc_gguf_has(g, key)) return missing(g, key);
  return isc_gguf_int_or(g, key, min, max, 0, out);
}

isc_status isc_gguf_float_or(const isc_gguf *g, const char *key, double fallback, double *out) {
  const isc_gguf_value *v;
  *out = fallback;
  ISC_TRY(find_typed(g, key, is_float, "a float", &v));
  if (!v) return ISC_OK;
  *out = v->f;
  if (isfinite(v->f)) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: \"%s\" is %g, not a finite number", g->in.path, key, v->f);
}

isc_status isc_gguf_float(const isc_gguf *g, const char *key, double *out) {
  if (!isc_gguf_has(g, key)) return missing(g, key);
  return isc_gguf_float_or(g, key, 0, out);
}

isc_status isc_gguf_bool_or(const isc_gguf *g, const char *key, bool fallback, bool *out) {
  const isc_gguf_value *v;
  ISC_TRY(find_typed(g, key, is_bool, "a boolean", &v));
  *out = v ? v->i != 0 : fallback;
  return ISC_OK;
}

/* ---- arrays */

static isc_status find_array(const isc_gguf *g, const char *key, bool (*is)(isc_gguf_type),
                             const char *want, const isc_gguf_array **out) {
  const isc_gguf_value *v = isc_gguf_find(g, key);
  *out = NULL;
  if (!v) return missing(g, key);
  if (v->type != ISC_GGUF_ARRAY)
    return isc_fail(ISC_E_FORMAT, "%s: \"%s\" must be an array of %s, not %s", g->in.path, key,
                    want, type_name[v->type]);
  if (!is(v->array.type))
    return isc_fail(ISC_E_FORMAT, "%s: \"%s\" must be an array of %s; its elements are of type %s",
                    g->in.path, key, want, type_name[v->array.type]);
  *out = &v->array;
  return ISC_OK;
}

isc_status isc_gguf_strings(const isc_gguf *g, const char *key, const isc_gguf_array **out) {
  return find_array(g, key, is_string, "strings", out);
}

isc_status isc_gguf_ints(const isc_gguf *g, const char *key, const isc_gguf_array **out) {
  return find_array(g, key, is_int, "integers", out);
}

isc_status isc_gguf_floats(const isc_gguf *g, const char *key, const isc_gguf_array **out) {
  return find_array(g, key, is_float, "floats", out);
}

isc_gguf_text isc_gguf_string_at(const isc_gguf_array *a, int64_t i) {
  return ((const isc_gguf_text *)a->data)[i];
}

#define ELEMENT(type_)                                                                             \
  type_ v;                                                                                         \
  memcpy(&v, (const char *)a->data + (size_t)i * sizeof v, sizeof v)

int64_t isc_gguf_int_at(const isc_gguf_array *a, int64_t i) {
  switch (a->type) {
  case ISC_GGUF_I8: {
    ELEMENT(int8_t);
    return v;
  }
  case ISC_GGUF_U16: {
    ELEMENT(uint16_t);
    return v;
  }
  case ISC_GGUF_I16: {
    ELEMENT(int16_t);
    return v;
  }
  case ISC_GGUF_U32: {
    ELEMENT(uint32_t);
    return v;
  }
  case ISC_GGUF_I32: {
    ELEMENT(int32_t);
    return v;
  }
  case ISC_GGUF_U64: {
    ELEMENT(uint64_t);
    return v > INT64_MAX ? INT64_MAX : (int64_t)v;
  }
  case ISC_GGUF_I64: {
    ELEMENT(int64_t);
    return v;
  }
  default: { /* u8 and booleans */
    ELEMENT(uint8_t);
    return v;
  }
  }
}

double isc_gguf_float_at(const isc_gguf_array *a, int64_t i) {
  if (a->type == ISC_GGUF_F32) {
    ELEMENT(float);
    return (double)v;
  }
  ELEMENT(double);
  return v;
}
