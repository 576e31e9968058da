/* SPDX-License-Identifier: Apache-2.0
 *
 * Types, ranges and type checks of options.
 *
 * One table says everything about a type; one function says whether a value suits an option.
 */
#include "plugin/schema.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name, *phrase;
  size_t size, align;
  isc_option_type element;
} types[] = {
    [ISC_OPT_BOOL] = {"bool", "true or false", sizeof(bool), _Alignof(bool), ISC_OPT_BOOL},
    [ISC_OPT_INT] = {"int", "an integer", sizeof(int64_t), _Alignof(int64_t), ISC_OPT_INT},
    [ISC_OPT_FLOAT] = {"float", "a number", sizeof(double), _Alignof(double), ISC_OPT_FLOAT},
    [ISC_OPT_STRING] = {"string", "a string", sizeof(char *), _Alignof(char *), ISC_OPT_STRING},
    [ISC_OPT_ENUM] = {"enum", "one of its choices", sizeof(int32_t), _Alignof(int32_t),
                      ISC_OPT_ENUM},
    [ISC_OPT_PATH] = {"path", "a path (a string)", sizeof(char *), _Alignof(char *), ISC_OPT_PATH},
#define LIST(of, name, phrase)                                                                     \
  { name, phrase, sizeof(isc_list), _Alignof(isc_list), of }
    [ISC_OPT_BOOL_LIST] = LIST(ISC_OPT_BOOL, "list of bool", "a list of true or false"),
    [ISC_OPT_INT_LIST] = LIST(ISC_OPT_INT, "list of int", "a list of integers"),
    [ISC_OPT_FLOAT_LIST] = LIST(ISC_OPT_FLOAT, "list of float", "a list of numbers"),
    [ISC_OPT_STRING_LIST] = LIST(ISC_OPT_STRING, "list of string", "a list of strings"),
    [ISC_OPT_ENUM_LIST] = LIST(ISC_OPT_ENUM, "list of enum", "a list of its choices"),
    [ISC_OPT_PATH_LIST] = LIST(ISC_OPT_PATH, "list of path", "a list of paths (strings)"),
#undef LIST
};

static bool known(isc_option_type t) {
  return (size_t)t < sizeof types / sizeof *types && types[t].name != NULL;
}

bool isc_option_is_list(isc_option_type t) {
  return known(t) && types[t].element != t;
}

isc_option_type isc_option_element(isc_option_type t) {
  return known(t) ? types[t].element : t;
}

size_t isc_option_field_size(isc_option_type t) {
  return known(t) ? types[t].size : 0;
}

size_t isc_option_field_align(isc_option_type t) {
  return known(t) ? types[t].align : 0;
}

const char *isc_option_type_name(isc_option_type t) {
  return known(t) ? types[t].name : "unknown";
}

const char *isc_option_type_phrase(isc_option_type t) {
  return known(t) ? types[t].phrase : "a value of unknown type";
}

/* The bounds in force; infinite where a side has none. */
static void bounds(const isc_option *o, double *min, double *max) {
  bool given = o->min != 0 || o->max != 0;
  bool open_min = o->flags & ISC_OPT_OPEN_MIN, open_max = o->flags & ISC_OPT_OPEN_MAX;
  *min = given || open_min ? o->min : -INFINITY;
  *max = given || open_max ? o->max : INFINITY;
  if (*min <= -DBL_MAX) *min = -INFINITY;
  if (*max >= DBL_MAX) *max = INFINITY;
}

void isc_option_add_range(isc_sb *b, const isc_option *o) {
  double min, max;
  bounds(o, &min, &max);
  if (isinf(min) && isinf(max)) return;
  isc_sb_add(b, isinf(min) || o->flags & ISC_OPT_OPEN_MIN ? "(" : "[");
  isc_sb_add_double(b, min);
  isc_sb_add(b, ", ");
  isc_sb_add_double(b, max);
  isc_sb_add(b, isinf(max) || o->flags & ISC_OPT_OPEN_MAX ? ")" : "]");
}

static void add_value(isc_sb *b, const isc_value *v) {
  switch (v->type) {
  case ISC_VALUE_BOOL:
    isc_sb_add(b, v->b ? "true" : "false");
    return;
  case ISC_VALUE_INT:
    isc_sb_addf(b, "%lld", (long long)v->i);
    return;
  case ISC_VALUE_FLOAT:
    isc_sb_add_double(b, v->f);
    return;
  case ISC_VALUE_STRING:
    isc_sb_add(b, "the string ");
    isc_sb_add_json(b, v->s, strlen(v->s));
    return;
  }
}

/* Fails with the builder's text; the builder is spent. */
static isc_status fail_with(isc_sb *b) {
  char *text = NULL;
  ISC_TRY(isc_sb_finish(b, &text));
  isc_status st = isc_fail(ISC_E_CONFIG, "%s", text);
  free(text);
  return st;
}

static isc_status wrong_type(const isc_option *o, const isc_value *v) {
  isc_sb b = {0};
  isc_sb_addf(&b, "must be %s, not ", isc_option_type_phrase(isc_option_element(o->type)));
  add_value(&b, v);
  bool whole = v->type == ISC_VALUE_FLOAT && v->f == floor(v->f) && fabs(v->f) < 0x1p53;
  if (isc_option_element(o->type) == ISC_OPT_INT && whole)
    isc_sb_addf(&b, ".0; write %lld", (long long)v->f);
  return fail_with(&b);
}

static isc_status check_range(const isc_option *o, const isc_value *v) {
  double min, max;
  bounds(o, &min, &max);
  /* long double holds every int64_t exactly where it is wider than double. */
  long double x = v->type == ISC_VALUE_INT ? (long double)v->i : (long double)v->f;
  bool low = o->flags & ISC_OPT_OPEN_MIN ? x <= min : x < min;
  bool high = o->flags & ISC_OPT_OPEN_MAX ? x >= max : x > max;
  if (!low && !high) return ISC_OK;
  isc_sb b = {0};
  add_value(&b, v);
  isc_sb_add(&b, " is outside the range ");
  isc_option_add_range(&b, o);
  if (o->unit) isc_sb_addf(&b, " %s", o->unit);
  return fail_with(&b);
}

static isc_status check_choice(const isc_option *o, isc_value *v) {
  for (int64_t i = 0; o->choices && o->choices[i]; i++)
    if (strcmp(o->choices[i], v->s) == 0) {
      v->i = i;
      return ISC_OK;
    }
  isc_sb b = {0};
  isc_sb_add_json(&b, v->s, strlen(v->s));
  isc_sb_add(&b, " is none of");
  for (int64_t i = 0; o->choices && o->choices[i]; i++)
    isc_sb_addf(&b, "%s \"%s\"", i ? "," : "", o->choices[i]);
  const char *near = isc_nearest_name(v->s, o->choices);
  if (near) isc_sb_addf(&b, "; did you mean \"%s\"?", near);
  return fail_with(&b);
}

isc_status isc_value_check(const isc_option *o, isc_value *v) {
  static const isc_value_type wanted[] = {
      [ISC_OPT_BOOL] = ISC_VALUE_BOOL,   [ISC_OPT_INT] = ISC_VALUE_INT,
      [ISC_OPT_FLOAT] = ISC_VALUE_FLOAT, [ISC_OPT_STRING] = ISC_VALUE_STRING,
      [ISC_OPT_ENUM] = ISC_VALUE_STRING, [ISC_OPT_PATH] = ISC_VALUE_STRING,
  };
  if (!known(o->type))
    return isc_fail(ISC_E_INTERNAL, "option \"%s\" has the unknown type %d", o->name, (int)o->type);
  isc_option_type element = isc_option_element(o->type);
  if (element == ISC_OPT_FLOAT && v->type == ISC_VALUE_INT) {
    v->type = ISC_VALUE_FLOAT;
    v->f = (double)v->i;
  }
  if (v->type != wanted[element]) return wrong_type(o, v);
  if (element == ISC_OPT_ENUM) return check_choice(o, v);
  if (element == ISC_OPT_PATH && !v->s[0])
    return isc_fail(ISC_E_CONFIG, "must be a path, not an empty string");
  if (element == ISC_OPT_INT || element == ISC_OPT_FLOAT) return check_range(o, v);
  return ISC_OK;
}
