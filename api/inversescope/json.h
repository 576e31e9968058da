/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a model's own JSON files with errors that name the file and the key.
 *
 * A thin layer over jansson: bounded file size and depth, no duplicate keys, typed getters. A value
 * is borrowed from its document and dies with it. An opened document never changes: any thread may read it.
 */
#ifndef ISC_JSON_H
#define ISC_JSON_H

#include <inversescope/status.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct isc_json isc_json; /* an opened document */

/* A file that holds one JSON object. ISC_E_MISSING when it is not there, ISC_E_FORMAT with line and column when it is no
 * JSON, has a key twice, or is larger or deeper than any model's file. */
ISC_API isc_status isc_json_open(const char *path, isc_json **out);
ISC_API void isc_json_close(isc_json *j); /* NULL is fine */

/* Top-level keys. The first form fails when the key is absent; `_or` gives the fallback then (and when null).
 * A value of another type, or an integer outside [min, max], is always an error. */
ISC_API isc_status isc_json_int(const isc_json *j, const char *key, int64_t min, int64_t max,
                                int64_t *out);
ISC_API isc_status isc_json_int_or(const isc_json *j, const char *key, int64_t min, int64_t max,
                                   int64_t fallback, int64_t *out);
ISC_API isc_status isc_json_float_or(const isc_json *j, const char *key, double fallback,
                                     double *out);
ISC_API isc_status isc_json_bool_or(const isc_json *j, const char *key, bool fallback, bool *out);
ISC_API isc_status isc_json_string_or(const isc_json *j, const char *key, const char *fallback,
                                      const char **out);
/* The object at `key`, to be asked like a document of its own; *out NULL when there is none (or null). It is the document's and
 * is never closed. Asking again gives the same one. One thread at a time may ask, unlike for values. Since 1.1. */
ISC_API isc_status isc_json_object(isc_json *j, const char *key, isc_json **out);
/* The number of strings of an array, 0 when there is none (or null), and the i-th. Since 1.1. */
ISC_API isc_status isc_json_strings(const isc_json *j, const char *key, int64_t *n);
ISC_API const char *isc_json_string_at(const isc_json *j, const char *key, int64_t i);
/* The path it was opened by, for messages. */
ISC_API const char *isc_json_path(const isc_json *j);

#ifdef __cplusplus
}
#endif
#endif
