/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON documents of models, with errors that name the file and the key.
 *
 * jansson builds a tree many times the size of its text, so what the text could build is counted
 * before it is parsed.
 */
#include "model/json_doc.h"
#include "base/base.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Values and nesting that the text would build at most; strings are skipped over. */
static isc_status check_bounds(const char *path, const char *s, size_t len) {
  size_t values = 1, depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < len; i++) {
    char c = s[i];
    if (in_string) {
      if (c == '\\') i++;
      if (c == '"') in_string = false;
      continue;
    }
    in_string = c == '"';
    if (c == ',' || c == ':' || c == '[' || c == '{') values++;
    if ((c == '[' || c == '{') && ++depth > ISC_JSON_MAX_DEPTH)
      return isc_fail(ISC_E_FORMAT, "%s: JSON nested deeper than %d levels", path,
                      ISC_JSON_MAX_DEPTH);
    if ((c == ']' || c == '}') && depth > 0) depth--;
  }
  if (values > ISC_JSON_MAX_VALUES)
    return isc_fail(ISC_E_FORMAT, "%s: more than %d JSON values", path, ISC_JSON_MAX_VALUES);
  return ISC_OK;
}

/* Bytes of the number at s, and whether it is an integer beyond 64 bits. A NUL stands behind the text. */
static size_t number_at(const char *s, size_t len, bool *large) {
  size_t n = 1; /* with its sign */
  bool integer = true;
  for (; n < len && (isdigit((unsigned char)s[n]) || memchr(".eE+-", s[n], 5)); n++)
    integer = integer && isdigit((unsigned char)s[n]);
  errno = 0;
  *large = integer && (strtoll(s, NULL, 10), errno == ERANGE);
  return n;
}

/* A copy in which integers beyond 64 bits are written as reals. */
static isc_status widen(const char *path, const char *s, size_t len, char **out, size_t *n) {
  isc_sb b = {0};
  bool in_string = false, large;
  for (size_t i = 0, end; i < len; i = end) {
    end = i + 1;
    if (in_string && s[i] == '\\' && end < len) end++;
    if (s[i] == '"') in_string = !in_string;
    const bool number = !in_string && (isdigit((unsigned char)s[i]) || s[i] == '-');
    if (number) end = i + number_at(s + i, len - i, &large);
    isc_sb_addn(&b, s + i, end - i);
    if (number && large) isc_sb_add(&b, ".0");
  }
  *n = b.len;
  if (isc_sb_finish(&b, out) == ISC_OK) return ISC_OK;
  return isc_fail(ISC_E_NOMEM, "%s: not enough memory to parse it", path);
}

/* Integers may be of any size: tokenizers are said to take 10^30 tokens. */
static isc_status parse_widened(const char *path, const char *s, size_t len, json_error_t *e,
                                json_t **out) {
  char *wide;
  size_t n;
  ISC_TRY(widen(path, s, len, &wide, &n));
  *out = json_loadb(wide, n, JSON_REJECT_DUPLICATES, e);
  free(wide);
  return ISC_OK;
}

static isc_status parse(const char *path, const char *s, size_t len, json_t **out) {
  json_error_t e;
  *out = json_loadb(s, len, JSON_REJECT_DUPLICATES, &e);
  if (!*out && json_error_code(&e) == json_error_numeric_overflow)
    ISC_TRY(parse_widened(path, s, len, &e, out));
  if (!*out && json_error_code(&e) == json_error_out_of_memory)
    return isc_fail(ISC_E_NOMEM, "%s: not enough memory to parse it", path);
  if (!*out) return isc_fail(ISC_E_FORMAT, "%s:%d:%d: %s", path, e.line, e.column, e.text);
  if (json_is_object(*out)) return ISC_OK;
  json_decref(*out);
  *out = NULL;
  return isc_fail(ISC_E_FORMAT, "%s: expected a JSON object", path);
}

isc_status isc_json_open(const char *path, isc_json **out) {
  isc_status st = ISC_OK;
  isc_json *j = NULL;
  char *text = NULL;
  size_t len;
  *out = NULL;
  ISC_GO(isc_read_file(path, ISC_JSON_MAX_BYTES, &text, &len));
  ISC_GO(check_bounds(path, text, len));
  ISC_GO(isc_calloc(1, sizeof *j, path, (void **)&j));
  ISC_GO(isc_strdup(path, &j->path));
  ISC_GO(parse(path, text, len, &j->root));
  *out = j;
done:
  free(text);
  if (st != ISC_OK) isc_json_close(j);
  return st;
}

isc_status isc_json_adopt(const char *path, json_t *root, isc_json **out) {
  isc_json *j;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *j, path, (void **)&j));
  isc_status st = isc_strdup(path, &j->path);
  if (st != ISC_OK) {
    free(j);
    return st;
  }
  j->root = root;
  *out = j;
  return ISC_OK;
}

/* A child's tree belongs to the document. */
static void free_children(isc_json *j) {
  while (j->child) {
    isc_json *c = j->child;
    j->child = c->next;
    free_children(c);
    free(c->path);
    free(c->key);
    free(c);
  }
}

void isc_json_close(isc_json *j) {
  if (!j) return;
  free_children(j);
  json_decref(j->root);
  free(j->path);
  free(j);
}

const char *isc_json_path(const isc_json *j) {
  return j->path;
}

static const char *type_name(json_type type) {
  switch (type) {
  case JSON_OBJECT:
    return "an object";
  case JSON_ARRAY:
    return "an array";
  case JSON_STRING:
    return "a string";
  case JSON_INTEGER:
    return "an integer";
  case JSON_REAL:
    return "a number";
  case JSON_TRUE:
  case JSON_FALSE:
    return "true or false";
  case JSON_NULL:
    return "null";
  }
  return "something else";
}

static isc_status wrong_type(const isc_json *j, const char *where, const char *key, json_type want,
                             const json_t *got) {
  return isc_fail(ISC_E_FORMAT, "%s: %s%s\"%s\" must be %s, not %s", j->path, where,
                  where[0] ? ": " : "", key, type_name(want), type_name(json_typeof(got)));
}

isc_status isc_json_child_or_null(const isc_json *j, const json_t *object, const char *where,
                                  const char *key, json_type type, json_t **out) {
  json_t *v = json_object_get(object, key);
  *out = NULL;
  if (!v || json_is_null(v)) return ISC_OK;
  bool same = json_typeof(v) == type || (type == JSON_TRUE && json_is_boolean(v)) ||
              (type == JSON_REAL && json_is_number(v));
  if (!same) return wrong_type(j, where, key, type, v);
  *out = v;
  return ISC_OK;
}

isc_status isc_json_child(const isc_json *j, const json_t *object, const char *where,
                          const char *key, json_type type, json_t **out) {
  ISC_TRY(isc_json_child_or_null(j, object, where, key, type, out));
  if (*out) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: %s%s\"%s\" is missing", j->path, where, where[0] ? ": " : "",
                  key);
}

isc_status isc_json_child_string(const isc_json *j, const json_t *object, const char *where,
                                 const char *key, const char **out) {
  json_t *v;
  ISC_TRY(isc_json_child(j, object, where, key, JSON_STRING, &v));
  *out = json_string_value(v);
  return ISC_OK;
}

static isc_status in_range(const isc_json *j, const char *key, int64_t v, int64_t min,
                           int64_t max) {
  if (v >= min && v <= max) return ISC_OK;
  return isc_fail(ISC_E_FORMAT,
                  "%s: \"%s\" is %" PRId64 ", outside the accepted %" PRId64 " … %" PRId64, j->path,
                  key, v, min, max);
}

isc_status isc_json_int(const isc_json *j, const char *key, int64_t min, int64_t max,
                        int64_t *out) {
  json_t *v;
  ISC_TRY(isc_json_child(j, j->root, "", key, JSON_INTEGER, &v));
  *out = json_integer_value(v);
  return in_range(j, key, *out, min, max);
}

isc_status isc_json_int_or(const isc_json *j, const char *key, int64_t min, int64_t max,
                           int64_t fallback, int64_t *out) {
  json_t *v;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", key, JSON_INTEGER, &v));
  *out = v ? json_integer_value(v) : fallback;
  return v ? in_range(j, key, *out, min, max) : ISC_OK;
}

isc_status isc_json_float_or(const isc_json *j, const char *key, double fallback, double *out) {
  json_t *v;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", key, JSON_REAL, &v));
  *out = v ? json_number_value(v) : fallback;
  return ISC_OK;
}

isc_status isc_json_bool_or(const isc_json *j, const char *key, bool fallback, bool *out) {
  json_t *v;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", key, JSON_TRUE, &v));
  *out = v ? json_is_true(v) : fallback;
  return ISC_OK;
}

isc_status isc_json_string_or(const isc_json *j, const char *key, const char *fallback,
                              const char **out) {
  json_t *v;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", key, JSON_STRING, &v));
  *out = v ? json_string_value(v) : fallback;
  return ISC_OK;
}

static isc_status add_child(isc_json *j, const char *key, json_t *root, isc_json **out) {
  isc_status st = ISC_OK;
  isc_json *c = NULL;
  ISC_GO(isc_calloc(1, sizeof *c, j->path, (void **)&c));
  ISC_GO(isc_strdup(key, &c->key));
  ISC_GO(isc_asprintf(&c->path, "%s: \"%s\"", j->path, key));
  c->root = root;
  c->next = j->child;
  *out = j->child = c;
  return ISC_OK;
done:
  if (c) free(c->key);
  free(c);
  return st;
}

isc_status isc_json_object(isc_json *j, const char *key, isc_json **out) {
  json_t *v;
  *out = NULL;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", key, JSON_OBJECT, &v));
  if (!v) return ISC_OK;
  for (*out = j->child; *out && strcmp((*out)->key, key) != 0;)
    *out = (*out)->next;
  return *out ? ISC_OK : add_child(j, key, v, out);
}

isc_status isc_json_strings(const isc_json *j, const char *key, int64_t *n) {
  json_t *v, *s;
  size_t i;
  *n = 0;
  ISC_TRY(isc_json_child_or_null(j, j->root, "", key, JSON_ARRAY, &v));
  json_array_foreach(v, i, s) {
    if (!json_is_string(s))
      return isc_fail(ISC_E_FORMAT, "%s: \"%s\": element %zu must be a string, not %s", j->path,
                      key, i, type_name(json_typeof(s)));
  }
  *n = (int64_t)json_array_size(v);
  return ISC_OK;
}

const char *isc_json_string_at(const isc_json *j, const char *key, int64_t i) {
  return json_string_value(json_array_get(json_object_get(j->root, key), (size_t)i));
}
