/* SPDX-License-Identifier: Apache-2.0
 *
 * GGUF files, versions 2 and 3: metadata of every type, and tensors, plain or quantised.
 *
 * The file is a stranger's: every count and length is compared with the bytes that are left before memory is asked for,
 * the metadata are at most 128 MB, and names come once. Names are the file's own; what they mean is the reader's to know.
 */
#ifndef ISC_CORE_GGUF_H
#define ISC_CORE_GGUF_H

#include "model/weights.h"

/* As the format numbers them. */
typedef enum isc_gguf_type {
  ISC_GGUF_U8,
  ISC_GGUF_I8,
  ISC_GGUF_U16,
  ISC_GGUF_I16,
  ISC_GGUF_U32,
  ISC_GGUF_I32,
  ISC_GGUF_F32,
  ISC_GGUF_BOOL,
  ISC_GGUF_STRING,
  ISC_GGUF_ARRAY,
  ISC_GGUF_U64,
  ISC_GGUF_I64,
  ISC_GGUF_F64,
  ISC_GGUF_TYPES /* how many there are */
} isc_gguf_type;

/* Any bytes, NUL included; a NUL stands behind them. */
typedef struct isc_gguf_text {
  const char *s;
  size_t len;
} isc_gguf_text;

/* An array of one type; its elements are read with the functions below. */
typedef struct isc_gguf_array {
  isc_gguf_type type;
  int64_t n;
  const void *data; /* NULL of an array of arrays, which is checked and not kept */
} isc_gguf_array;

typedef struct isc_gguf isc_gguf;

/* Is `path` a GGUF file, by its first bytes or its name, or a directory with one? *file is its path (malloc'd), or NULL when
 * it is something else; several in a directory → ISC_E_USAGE. */
ISC_API isc_status isc_gguf_locate(const char *path, char **file);
ISC_API isc_status isc_gguf_open(const char *path, isc_gguf **out);
ISC_API void isc_gguf_close(isc_gguf *g); /* NULL is fine */
ISC_API const char *isc_gguf_path(const isc_gguf *g);
ISC_API const isc_input *isc_gguf_file(const isc_gguf *g);
ISC_API int64_t isc_gguf_count(const isc_gguf *g); /* tensors, in the file's order */
ISC_API const isc_weight *isc_gguf_at(const isc_gguf *g, int64_t i);

/* ---- Metadata. Everything given out lives as long as the file. A key that is absent → ISC_E_MISSING, or the fallback;
 * another type or a number outside the range → ISC_E_FORMAT naming the key. Integers of any width are one type here,
 * and so are floats. */
ISC_API int64_t isc_gguf_keys(const isc_gguf *g);
ISC_API const char *isc_gguf_key(const isc_gguf *g, int64_t i); /* in alphabetical order */
ISC_API bool isc_gguf_has(const isc_gguf *g, const char *key);
/* A string without NUL. */
ISC_API isc_status isc_gguf_string(const isc_gguf *g, const char *key, const char **out);
ISC_API isc_status isc_gguf_string_or(const isc_gguf *g, const char *key, const char *fallback,
                                      const char **out);
ISC_API isc_status isc_gguf_int(const isc_gguf *g, const char *key, int64_t min, int64_t max,
                                int64_t *out);
ISC_API isc_status isc_gguf_int_or(const isc_gguf *g, const char *key, int64_t min, int64_t max,
                                   int64_t fallback, int64_t *out);
ISC_API isc_status isc_gguf_float(const isc_gguf *g, const char *key, double *out); /* finite */
ISC_API isc_status isc_gguf_float_or(const isc_gguf *g, const char *key, double fallback,
                                     double *out);
ISC_API isc_status isc_gguf_bool_or(const isc_gguf *g, const char *key, bool fallback, bool *out);
/* An array of strings, of integers, of floats. */
ISC_API isc_status isc_gguf_strings(const isc_gguf *g, const char *key, const isc_gguf_array **out);
ISC_API isc_status isc_gguf_ints(const isc_gguf *g, const char *key, const isc_gguf_array **out);
ISC_API isc_status isc_gguf_floats(const isc_gguf *g, const char *key, const isc_gguf_array **out);
/* Element i of an array of that sort, 0 ≤ i < n. Of an unsigned number beyond INT64_MAX: INT64_MAX. */
ISC_API isc_gguf_text isc_gguf_string_at(const isc_gguf_array *a, int64_t i);
ISC_API int64_t isc_gguf_int_at(const isc_gguf_array *a, int64_t i);
ISC_API double isc_gguf_float_at(const isc_gguf_array *a, int64_t i);

#endif
