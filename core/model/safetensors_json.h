/* SPDX-License-Identifier: Apache-2.0
 *
 * The tokens of a safetensors header: strings, unsigned integers and punctuation.
 *
 * Strings are unescaped into memory the caller gives, which must be as large as the text: a string
 * with its terminator never takes more room than it had with its quotes.
 */
#ifndef ISC_CORE_SAFETENSORS_JSON_H
#define ISC_CORE_SAFETENSORS_JSON_H

#include <inversescope/status.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct isc_st_json {
  const char *path; /* for messages */
  const char *text, *p, *end;
  char *strings;
} isc_st_json;

void isc_st_json_begin(isc_st_json *j, const char *path, const char *text, size_t len,
                       char *strings);
/* Skip white space, then the character: an error / false when something else is there. */
isc_status isc_st_json_expect(isc_st_json *j, char c);
bool isc_st_json_accept(isc_st_json *j, char c);
/* A string without NUL, well-formed; it lives as long as `strings`. */
isc_status isc_st_json_string(isc_st_json *j, const char **out);
isc_status isc_st_json_u64(isc_st_json *j, uint64_t *out);
/* Nothing but white space is left. */
isc_status isc_st_json_end(isc_st_json *j);

#endif
