/* SPDX-License-Identifier: Apache-2.0
 *
 * The growing string: appends that need no check of their own.
 *
 * The first failure sticks; isc_sb_finish reports it once for the whole run of appends.
 */
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* Room for `more` bytes and the terminator. */
static bool reserve(isc_sb *b, size_t more) {
  if (b->failed) return false;
  size_t need, cap = b->cap ? b->cap : 64;
  bool over = __builtin_add_overflow(b->len, more, &need) ||
              __builtin_add_overflow(need, (size_t)1, &need) || need > SIZE_MAX / 2;
  if (!over && need <= b->cap) return true;
  while (!over && cap < need)
    cap *= 2;
  void *p = b->s;
  if (over || isc_realloc(&p, cap, 1, "a growing string") != ISC_OK) {
    b->failed = true;
    return false;
  }
  b->s = p;
  b->cap = cap;
  return true;
}

void isc_sb_addn(isc_sb *b, const char *s, size_t n) {
  if (!reserve(b, n)) return;
  if (n) memcpy(b->s + b->len, s, n);
  b->len += n;
  b->s[b->len] = '\0';
}

void isc_sb_add(isc_sb *b, const char *s) {
  isc_sb_addn(b, s, strlen(s));
}

void isc_sb_addf(isc_sb *b, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  if (n < 0) b->failed = true;
  if (n >= 0 && reserve(b, (size_t)n)) {
    vsnprintf(b->s + b->len, (size_t)n + 1, fmt, again);
    b->len += (size_t)n;
  }
  va_end(again);
  va_end(ap);
}

isc_status isc_sb_finish(isc_sb *b, char **out) {
  *out = NULL;
  isc_sb_addn(b, "", 0); /* an untouched builder still hands over "" */
  if (b->failed) {
    size_t len = b->len;
    isc_sb_free(b);
    return isc_fail(ISC_E_NOMEM, "a growing string: no memory beyond %zu bytes", len);
  }
  *out = b->s;
  *b = (isc_sb){0};
  return ISC_OK;
}

void isc_sb_free(isc_sb *b) {
  free(b->s);
  *b = (isc_sb){0};
}
