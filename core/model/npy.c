/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing the header of a NumPy array.
 *
 * A small fixed subset of Python's literals: no recursion, and no memory of its own.
 */
#include "model/npy.h"
#include "model/safetensors_header.h"
#include <inttypes.h>
#include <string.h>

isc_status isc_npy_length(const char *where, const uint8_t *start, size_t n, size_t *length) {
  size_t text;
  if (n < 10 || memcmp(start, "\x93NUMPY", 6) != 0)
    return isc_fail(ISC_E_FORMAT, "%s: does not start as a NumPy array does", where);
  const int major = start[6];
  if (major < 1 || major > 3 || (major > 1 && n < 12))
    return isc_fail(ISC_E_FORMAT, "%s: version %d of the NumPy format, or cut; 1 to 3 are read",
                    where, major);
  text = (size_t)start[8] | (size_t)start[9] << 8;
  if (major > 1) text |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
  *length = (major > 1 ? 12 : 10) + text;
  if (*length < ISC_NPY_START)
    return isc_fail(ISC_E_FORMAT, "%s: a NumPy header of %zu bytes is too short", where, *length);
  if (*length <= ISC_NPY_MAX_HEADER) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: a NumPy header of %zu bytes exceeds the limit of %d", where,
                  *length, ISC_NPY_MAX_HEADER);
}

/* ---- the dictionary's text */

typedef struct text {
  const char *where, *start, *p, *end;
} text;

static isc_status bad(const text *t, const char *what) {
  return isc_fail(ISC_E_FORMAT, "%s: NumPy header byte %zu: %s", t->where,
                  (size_t)(t->p - t->start), what);
}

static void skip_space(text *t) {
  while (t->p < t->end && (*t->p == ' ' || *t->p == '\n'))
    t->p++;
}

static bool accept(text *t, char c) {
  skip_space(t);
  if (t->p == t->end || *t->p != c) return false;
  t->p++;
  return true;
}

static isc_status expect(text *t, char c) {
  if (accept(t, c)) return ISC_OK;
  char what[] = "expected '?'";
  what[10] = c;
  return bad(t, what);
}

/* A string without escapes; it is given as it lies in the header. */
static isc_status take_string(text *t, const char **s, size_t *n) {
  skip_space(t);
  if (t->p == t->end || (*t->p != '\'' && *t->p != '"')) return bad(t, "expected a string");
  const char quote = *t->p++;
  *s = t->p;
  while (t->p < t->end && *t->p != quote && *t->p != '\\' && *t->p >= ' ')
    t->p++;
  if (t->p == t->end || *t->p != quote) return bad(t, "the string does not end");
  *n = (size_t)(t->p++ - *s);
  return ISC_OK;
}

static bool same(const char *s, size_t n, const char *want) {
  return strlen(want) == n && memcmp(s, want, n) == 0;
}

static bool accept_word(text *t, const char *word) {
  skip_space(t);
  if ((size_t)(t->end - t->p) < strlen(word) || memcmp(t->p, word, strlen(word)) != 0) return false;
  t->p += strlen(word);
  return true;
}

static isc_status take_int(text *t, int64_t *out) {
  int64_t v = 0;
  skip_space(t);
  const char *start = t->p;
  for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++)
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *t->p - '0', &v))
      return bad(t, "the number is too large");
  if (t->p == start) return bad(t, "expected a non-negative integer");
  *out = v;
  return ISC_OK;
}

/* (), (n,), (n, m) … */
static isc_status take_shape(text *t, isc_npy *out) {
  bool comma = true;
  out->ndim = 0;
  ISC_TRY(expect(t, '('));
  while (!accept(t, ')')) {
    if (!comma) return bad(t, "expected ',' or ')'");
    if (out->ndim == 8) return bad(t, "more than 8 dimensions");
    ISC_TRY(take_int(t, &out->shape[out->ndim++]));
    comma = accept(t, ',');
  }
  if (out->ndim == 1 && !comma) return bad(t, "a shape of one dimension ends in a comma");
  return ISC_OK;
}

static const struct {
  const char *descr;
  isc_st_dtype dtype;
} DTYPES[] = {
    {"<f4", ISC_ST_F32}, {"<f8", ISC_ST_F64}, {"<f2", ISC_ST_F16}, {"|i1", ISC_ST_I8},
    {"|u1", ISC_ST_U8},  {"<i2", ISC_ST_I16}, {"<u2", ISC_ST_U16}, {"<i4", ISC_ST_I32},
    {"<u4", ISC_ST_U32}, {"<i8", ISC_ST_I64}, {"<u8", ISC_ST_U64}, {"|b1", ISC_ST_BOOL},
};

static isc_status take_dtype(text *t, isc_st_dtype *out) {
  const char *s;
  size_t n;
  skip_space(t);
  if (t->p < t->end && *t->p == '[')
    return isc_fail(ISC_E_UNSUPPORTED, "%s: arrays of records are not read", t->where);
  ISC_TRY(take_string(t, &s, &n));
  for (size_t i = 0; i < sizeof DTYPES / sizeof *DTYPES; i++)
    if (same(s, n, DTYPES[i].descr)) {
      *out = DTYPES[i].dtype;
      return ISC_OK;
    }
  return isc_fail(ISC_E_UNSUPPORTED,
                  "%s: elements of type '%.*s' are not read; little-endian floats, integers and "
                  "booleans are",
                  t->where, n > 40 ? 40 : (int)n, s);
}

enum { HAS_DESCR = 1, HAS_ORDER = 2, HAS_SHAPE = 4, HAS_ALL = 7 };

static isc_status take_field(text *t, isc_npy *out, unsigned *seen) {
  const char *key;
  size_t n;
  ISC_TRY(take_string(t, &key, &n));
  ISC_TRY(expect(t, ':'));
  const unsigned bit = same(key, n, "descr")           ? HAS_DESCR
                       : same(key, n, "fortran_order") ? HAS_ORDER
                       : same(key, n, "shape")         ? HAS_SHAPE
                                                       : 0;
  if (bit == 0) return bad(t, "unknown key");
  if (*seen & bit) return bad(t, "a key is given twice");
  *seen |= bit;
  if (bit == HAS_DESCR) return take_dtype(t, &out->dtype);
  if (bit == HAS_SHAPE) return take_shape(t, out);
  out->fortran = accept_word(t, "True");
  if (!out->fortran && !accept_word(t, "False")) return bad(t, "expected True or False");
  return ISC_OK;
}

static isc_status take_dictionary(text *t, isc_npy *out) {
  unsigned seen = 0;
  bool comma = true;
  ISC_TRY(expect(t, '{'));
  while (!accept(t, '}')) {
    if (!comma) return bad(t, "expected ',' or '}'");
    ISC_TRY(take_field(t, out, &seen));
    comma = accept(t, ',');
  }
  skip_space(t);
  if (t->p != t->end) return bad(t, "something follows the closing '}'");
  if (seen == HAS_ALL) return ISC_OK;
  return bad(t, "descr, fortran_order or shape is missing");
}

isc_status isc_npy_parse(const char *where, const uint8_t *header, size_t n, isc_npy *out) {
  size_t length;
  *out = (isc_npy){.elements = 1};
  ISC_TRY(isc_npy_length(where, header, n, &length));
  if (length != n)
    return isc_fail(ISC_E_FORMAT, "%s: a NumPy header of %zu bytes, of which %zu are there", where,
                    length, n);
  const char *start = (const char *)header + (header[6] > 1 ? 12 : 10);
  text t = {
      .where = where, .start = (const char *)header, .p = start, .end = (const char *)header + n};
  ISC_TRY(take_dictionary(&t, out));
  bool over = false;
  for (int32_t i = 0; i < out->ndim; i++)
    over |= __builtin_mul_overflow(out->elements, out->shape[i], &out->elements);
  over |=
      __builtin_mul_overflow((uint64_t)out->elements, isc_st_dtype_size(out->dtype), &out->bytes);
  if (over) return isc_fail(ISC_E_FORMAT, "%s: the shape overflows", where);
  out->data_at = n;
  return ISC_OK;
}
