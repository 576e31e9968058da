/* SPDX-License-Identifier: Apache-2.0
 *
 * Default texts of option tables, read into values.
 *
 * A preset is config text with one freedom: strings, paths and choices need no quotes, so that a
 * table says "hard" and not "\"hard\"".
 */
#include "plugin/schema.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void trim(const char **s, size_t *n) {
  while (*n && isspace((unsigned char)**s)) {
    (*s)++;
    (*n)--;
  }
  while (*n && isspace((unsigned char)(*s)[*n - 1]))
    (*n)--;
}

static bool is_text(isc_option_type element) {
  return element == ISC_OPT_STRING || element == ISC_OPT_PATH || element == ISC_OPT_ENUM;
}

static isc_status quoted(const char *s, size_t n, isc_pool *pool, isc_value *v) {
  isc_sb b = {0};
  size_t used;
  char *text = NULL, *kept = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_value_quoted(s, n, &b, &used));
  if (used != n) ISC_GO(isc_fail(ISC_E_CONFIG, "text behind a quoted default"));
  size_t len = b.len;
  ISC_GO(isc_sb_finish(&b, &text));
  ISC_GO(isc_pool_strndup(pool, text, len, &kept));
  *v = (isc_value){.type = ISC_VALUE_STRING, .s = kept};
done:
  free(text);
  isc_sb_free(&b);
  return st;
}

static isc_status scalar(isc_option_type element, const char *s, size_t n, isc_pool *pool,
                         isc_value *v) {
  size_t used = 0;
  if (n && s[0] == '"') return quoted(s, n, pool, v);
  if (is_text(element)) {
    char *kept;
    ISC_TRY(isc_pool_strndup(pool, s, n, &kept));
    *v = (isc_value){.type = ISC_VALUE_STRING, .s = kept};
    return ISC_OK;
  }
  if (element == ISC_OPT_BOOL) {
    bool yes = n == 4 && memcmp(s, "true", 4) == 0, no = n == 5 && memcmp(s, "false", 5) == 0;
    if (!yes && !no) return isc_fail(ISC_E_CONFIG, "\"%.*s\" is neither true nor false", (int)n, s);
    *v = (isc_value){.type = ISC_VALUE_BOOL, .b = yes};
    return ISC_OK;
  }
  ISC_TRY(isc_value_number(s, n, v, &used));
  return used == n ? ISC_OK : isc_fail(ISC_E_CONFIG, "\"%.*s\" is not a number", (int)n, s);
}

/* Length of the element at s: up to the next comma outside quotes. */
static size_t element_length(const char *s, size_t n) {
  bool inside = false;
  size_t i = 0;
  for (; i < n && (inside || s[i] != ','); i++) {
    if (inside && s[i] == '\\')
      i++;
    else if (s[i] == '"')
      inside = !inside;
  }
  return i < n ? i : n;
}

static isc_status list(const isc_option *o, const char *s, size_t n, isc_pool *pool, isc_value **v,
                       int64_t *count) {
  void *p;
  if (n < 2 || s[0] != '[' || s[n - 1] != ']')
    return isc_fail(ISC_E_CONFIG, "the default of a list must stand in [ ]");
  s++;
  n -= 2;
  trim(&s, &n);
  size_t room = 1;
  for (size_t i = 0; i < n; i++)
    room += s[i] == ',';
  ISC_TRY(isc_pool_alloc(pool, room, sizeof **v, "a list of defaults", &p));
  *v = p;
  while (n) {
    size_t len = element_length(s, n);
    const char *item = s;
    size_t item_len = len;
    trim(&item, &item_len);
    ISC_TRY(scalar(isc_option_element(o->type), item, item_len, pool, &(*v)[(*count)++]));
    bool more = len < n;
    s += len + more;
    n -= len + more;
    if (more && n == 0) return isc_fail(ISC_E_CONFIG, "the default ends in a comma");
  }
  return ISC_OK;
}

isc_status isc_option_preset(const isc_option *o, isc_pool *pool, isc_value **v, int64_t *n) {
  void *p;
  *v = NULL;
  *n = 0;
  if (!o->preset) return ISC_OK;
  const char *s = o->preset;
  size_t len = strlen(s);
  trim(&s, &len);
  if (isc_option_is_list(o->type)) return list(o, s, len, pool, v, n);
  ISC_TRY(isc_pool_alloc(pool, 1, sizeof **v, "a default", &p));
  *v = p;
  *n = 1;
  return scalar(o->type, s, len, pool, *v);
}
