/* SPDX-License-Identifier: Apache-2.0
 *
 * A reusable text buffer: how plugins hand texts back to the core.
 *
 * The caller zero-initialises it, passes it as often as it likes and frees it once. `data` always
 * ends in a NUL that `len` does not count; bytes are UTF-8 where the source was. One thread at a time uses a text.
 */
#ifndef ISC_TEXT_H
#define ISC_TEXT_H

#include <inversescope/status.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialised it is empty and `data` is NULL. */
typedef struct isc_text {
  char *data;
  size_t len, cap;
} isc_text;

/* The text becomes, or grows by, the `len` bytes at s, which may not lie in it. On ISC_E_NOMEM it is as it was, or empty
 * when it was to be replaced. */
ISC_API isc_status isc_text_set(isc_text *t, const char *s, size_t len);
ISC_API isc_status isc_text_append(isc_text *t, const char *s, size_t len);
/* The text of a printf format; the old text is replaced. */
ISC_API isc_status isc_text_format(isc_text *t, const char *fmt, ...) ISC_PRINTF(2, 3);
ISC_API void isc_text_clear(isc_text *t); /* length 0, memory kept */
ISC_API void isc_text_free(isc_text *t);  /* empty again, memory given back */
/* The whole content of a file of at most `max` bytes, as it is; the text is replaced. Any thread. */
ISC_API isc_status isc_text_read(isc_text *t, const char *path, size_t max);
/* The next line from byte *at on, without its end ("\n" or "\r\n"); false behind the last. *at moves to the line after, and
 * *line points into the text. Any thread. */
ISC_API bool isc_text_line(const isc_text *t, size_t *at, const char **line, size_t *len);
/* Are these bytes well-formed UTF-8? Any thread. */
ISC_API bool isc_text_is_utf8(const char *s, size_t len);
/* 32 hex digits that stand for these bytes (XXH3-128), for a fingerprint. Any thread. */
ISC_API isc_status isc_text_hash(const char *s, size_t len, char hex[33]);

#ifdef __cplusplus
}
#endif
#endif
