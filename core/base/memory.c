/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation with a status, overflow checks, and a hook that makes the k-th allocation fail.
 *
 * The hook counts for the whole process: fault-injection tests run k = 1, 2, … until a run finishes
 * without the failure having struck.
 */
#include "base/base.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int64_t made;     /* allocations since the last isc_alloc_fail_at */
static _Atomic int64_t fatal_at; /* which of them fails; 0 = none                */

int64_t isc_alloc_fail_at(int64_t n) {
  int64_t before = atomic_exchange(&made, 0);
  atomic_store(&fatal_at, n);
  return before;
}

static bool strikes(void) {
  int64_t number = atomic_fetch_add(&made, 1) + 1;
  int64_t at = atomic_load(&fatal_at);
  return at != 0 && number == at;
}

static isc_status no_memory(size_t size, const char *what) {
  return isc_fail(ISC_E_NOMEM, "%s: could not get %zu bytes of memory", what, size);
}

isc_status isc_mul_size(size_t a, size_t b, const char *what, size_t *out) {
  if (__builtin_mul_overflow(a, b, out))
    return isc_fail(ISC_E_SHAPE, "%s: the size %zu * %zu does not fit in memory", what, a, b);
  return ISC_OK;
}

isc_status isc_struct_read(const void *given, const char *what, size_t least, size_t size,
                           void *out) {
  size_t has;
  memcpy(&has, given, sizeof has);
  if (has < least || has > size)
    return isc_fail(ISC_E_USAGE,
                    "%s: its `size` says %zu bytes, this library reads %zu to %zu; set it to the "
                    "struct's sizeof, or rebuild against this library",
                    what, has, least, size);
  memset(out, 0, size);
  memcpy(out, given, has);
  memcpy(out, &size, sizeof size);
  return ISC_OK;
}

isc_status isc_add_size(size_t a, size_t b, const char *what, size_t *out) {
  if (__builtin_add_overflow(a, b, out))
    return isc_fail(ISC_E_SHAPE, "%s: the size %zu + %zu does not fit in memory", what, a, b);
  return ISC_OK;
}

isc_status isc_malloc(size_t size, const char *what, void **out) {
  *out = strikes() ? NULL : malloc(size ? size : 1);
  return *out ? ISC_OK : no_memory(size, what);
}

isc_status isc_calloc(size_t n, size_t size, const char *what, void **out) {
  size_t bytes;
  *out = NULL;
  ISC_TRY(isc_mul_size(n, size, what, &bytes));
  *out = strikes() ? NULL : calloc(bytes ? bytes : 1, 1);
  return *out ? ISC_OK : no_memory(bytes, what);
}

isc_status isc_realloc(void **p, size_t n, size_t size, const char *what) {
  size_t bytes;
  ISC_TRY(isc_mul_size(n, size, what, &bytes));
  void *q = strikes() ? NULL : realloc(*p, bytes ? bytes : 1);
  if (!q) return no_memory(bytes, what);
  *p = q;
  return ISC_OK;
}

isc_status isc_strdup(const char *s, char **out) {
  size_t size = strlen(s) + 1;
  void *p;
  *out = NULL;
  ISC_TRY(isc_malloc(size, "a string", &p));
  *out = memcpy(p, s, size);
  return ISC_OK;
}

isc_status isc_asprintf(char **out, const char *fmt, ...) {
  va_list ap, again;
  void *p = NULL;
  *out = NULL;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  isc_status st = n < 0 ? isc_fail(ISC_E_INTERNAL, "a string: bad format \"%s\"", fmt)
                        : isc_malloc((size_t)n + 1, "a string", &p);
  if (st == ISC_OK) vsnprintf(p, (size_t)n + 1, fmt, again);
  *out = p;
  va_end(again);
  va_end(ap);
  return st;
}
