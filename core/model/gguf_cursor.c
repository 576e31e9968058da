/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a GGUF header from front to back through a small buffer.
 *
 * Nothing is allocated for a length that the file does not have.
 */
#include "model/gguf_internal.h"
#include <inversescope/text.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void isc_gguf_begin(isc_gguf_cursor *c, const isc_input *file) {
  c->file = file;
  c->at = 0;
  c->end = file->size < ISC_GGUF_MAX_HEADER ? file->size : ISC_GGUF_MAX_HEADER;
  c->filled = c->used = 0;
}

uint64_t isc_gguf_left(const isc_gguf_cursor *c) {
  return c->end - c->at;
}

static isc_status too_long(const isc_gguf_cursor *c, const char *what) {
  if (c->end < c->file->size)
    return isc_fail(ISC_E_FORMAT,
                    "%s: byte %" PRIu64 ": %s goes beyond the %d MB of header allowed",
                    c->file->path, c->at, what, ISC_GGUF_MAX_HEADER >> 20);
  return isc_fail(ISC_E_FORMAT,
                  "%s: byte %" PRIu64 ": %s goes beyond the file's %" PRIu64
                  " bytes; is it truncated?",
                  c->file->path, c->at, what, c->file->size);
}

static isc_status refill(isc_gguf_cursor *c) {
  uint64_t n = isc_gguf_left(c);
  if (n > sizeof c->buffer) n = sizeof c->buffer;
  c->filled = c->used = 0;
  ISC_TRY(isc_input_read(c->file, c->at, c->buffer, (size_t)n));
  c->filled = (size_t)n;
  return ISC_OK;
}

isc_status isc_gguf_take(isc_gguf_cursor *c, const char *what, void *out, size_t n) {
  if (n > isc_gguf_left(c)) return too_long(c, what);
  if (n > sizeof c->buffer) { /* straight to where it goes */
    ISC_TRY(isc_input_read(c->file, c->at, out, n));
    c->at += n;
    c->filled = c->used = 0;
    return ISC_OK;
  }
  for (size_t done = 0; done < n;) {
    if (c->used == c->filled) ISC_TRY(refill(c));
    size_t piece = c->filled - c->used < n - done ? c->filled - c->used : n - done;
    memcpy((char *)out + done, c->buffer + c->used, piece);
    c->used += piece;
    c->at += piece;
    done += piece;
  }
  return ISC_OK;
}

isc_status isc_gguf_skip(isc_gguf_cursor *c, const char *what, uint64_t n) {
  if (n > isc_gguf_left(c)) return too_long(c, what);
  c->at += n;
  if (n > c->filled - c->used)
    c->filled = c->used = 0;
  else
    c->used += (size_t)n;
  return ISC_OK;
}

isc_status isc_gguf_u32(isc_gguf_cursor *c, const char *what, uint32_t *out) {
  return isc_gguf_take(c, what, out, sizeof *out);
}

isc_status isc_gguf_u64(isc_gguf_cursor *c, const char *what, uint64_t *out) {
  return isc_gguf_take(c, what, out, sizeof *out);
}

isc_status isc_gguf_number(isc_gguf_cursor *c, const char *what, uint64_t size, uint64_t *out) {
  ISC_TRY(isc_gguf_u64(c, what, out));
  if (*out <= isc_gguf_left(c) / size) return ISC_OK;
  return isc_fail(ISC_E_FORMAT,
                  "%s: byte %" PRIu64 ": %" PRIu64 " %s cannot be in the %" PRIu64
                  " bytes that are left",
                  c->file->path, c->at - sizeof *out, *out, what, isc_gguf_left(c));
}

isc_status isc_gguf_name(isc_gguf_cursor *c, const char *what, size_t max, char **out) {
  uint64_t len;
  void *s;
  ISC_TRY(isc_gguf_u64(c, what, &len));
  if (len == 0)
    return isc_fail(ISC_E_FORMAT, "%s: byte %" PRIu64 ": %s is empty", c->file->path, c->at, what);
  if (len > max)
    return isc_fail(ISC_E_FORMAT, "%s: byte %" PRIu64 ": %s has %" PRIu64 " bytes, more than %zu",
                    c->file->path, c->at, what, len, max);
  if (len > isc_gguf_left(c)) return too_long(c, what);
  ISC_TRY(isc_malloc((size_t)len + 1, c->file->path, &s));
  isc_status st = isc_gguf_take(c, what, s, (size_t)len);
  ((char *)s)[len] = '\0';
  if (st == ISC_OK && (strlen(s) != len || !isc_text_is_utf8(s, (size_t)len)))
    st = isc_fail(ISC_E_FORMAT, "%s: byte %" PRIu64 ": %s is not UTF-8 text without NUL",
                  c->file->path, c->at - len, what);
  if (st == ISC_OK)
    *out = s;
  else
    free(s);
  return st;
}
