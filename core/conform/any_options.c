/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of options: wrong values are refused by name, and the ends of every range are safe.
 */
#include "conform/exercise.h"
#include "plugin/schema.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_VALUES = 8, VALUE_SIZE = 64 };

typedef struct values {
  char text[MAX_VALUES][VALUE_SIZE]; /* config text of each */
  int n;
} values;

static void add(values *v, const char *fmt, double x) {
  if (v->n < MAX_VALUES && isfinite(x)) snprintf(v->text[v->n++], VALUE_SIZE, fmt, x);
}

static void add_text(values *v, const char *text) {
  if (v->n < MAX_VALUES) snprintf(v->text[v->n++], VALUE_SIZE, "%s", text);
}

static bool bounded(const isc_option *o) {
  return o->min != 0 || o->max != 0;
}

/* Values the table forbids. */
static void bad_values(const isc_option *o, values *v) {
  const isc_option_type e = isc_option_element(o->type);
  const bool number = e == ISC_OPT_INT || e == ISC_OPT_FLOAT;
  add_text(v, number || e == ISC_OPT_BOOL ? "\"text\"" : "17");
  add_text(v, "{ a = 1; }");
  if (e == ISC_OPT_INT) add_text(v, "0.5");
  if (e == ISC_OPT_ENUM) add_text(v, "\"no-such-choice\"");
  if (e == ISC_OPT_PATH) add_text(v, "\"\"");
  if (e == ISC_OPT_PATH && o->flags & ISC_OPT_MUST_EXIST) add_text(v, "\"/nonexistent/file\"");
  if (number && bounded(o) && fabs(o->max) < 1e15)
    add(v, e == ISC_OPT_INT ? "%.0f" : "%.17g", o->max + 1 + fabs(o->max));
  if (number && bounded(o) && fabs(o->min) < 1e15)
    add(v, e == ISC_OPT_INT ? "%.0f" : "%.17g", o->min - 1 - fabs(o->min));
}

/* "name=value", or of a list "name=[value]". Lists of groups are no values. */
static isc_status change(const isc_option *o, const char *value, char **out) {
  bool list = isc_option_is_list(o->type) && value[0] != '{';
  return isc_asprintf(out, list ? "%s=[%s]" : "%s=%s", o->name, value);
}

static isc_status refused(isc_conform *c, const isc_option *o, const char *value) {
  char *text;
  void *conf = NULL;
  ISC_TRY(change(o, value, &text));
  const char *const changes[] = {text};
  isc_error_clear();
  isc_status st = c->cs->fill(c->cs, changes, 1, &conf);
  free(conf);
  if (st == ISC_OK)
    st = isc_fail(ISC_E_INTERNAL, "%s is accepted", text);
  else if (!strstr(isc_error(), o->name))
    st = isc_fail(ISC_E_INTERNAL, "the error about %s does not name the option: %s", text,
                  isc_error());
  else
    st = ISC_OK;
  free(text);
  return st;
}

/* Text that a table cannot forbid but a plugin may: then its message must name the option or show the value. */
static isc_status odd_text(isc_conform *c, const isc_option *o) {
  static const char odd[] = "no such thing ((";
  const isc_exercise *e = isc_exercise_of(c->cls->kind);
  char *text;
  void *conf = NULL, *instance = NULL;
  if (isc_option_element(o->type) != ISC_OPT_STRING) return ISC_OK;
  ISC_TRY(
      isc_asprintf(&text, isc_option_is_list(o->type) ? "%s=[\"%s\"]" : "%s=\"%s\"", o->name, odd));
  const char *const changes[] = {text};
  isc_error_clear();
  isc_status st = c->cs->fill(c->cs, changes, 1, &conf);
  if (st == ISC_OK) st = e->open(c, conf, c->seed, 1, &instance);
  if (instance) e->close(c, instance);
  free(conf);
  free(text);
  if (st == ISC_OK || strstr(isc_error(), o->name) || strstr(isc_error(), odd)) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "option \"%s\" set to \"%s\": the error names neither: %s",
                  o->name, odd, isc_error()[0] ? isc_error() : isc_status_name(st));
}

static isc_status bad_options(isc_conform *c) {
  if (!c->cls->options || !c->cls->options->name) return isc_conform_skip(c, "it has no options");
  for (const isc_option *o = c->cls->options; o->name; o++) {
    values v = {.n = 0};
    bad_values(o, &v);
    for (int i = 0; i < v.n; i++)
      ISC_TRY(refused(c, o, v.text[i]));
    ISC_TRY(odd_text(c, o));
  }
  return ISC_OK;
}

/* ---- the ends of the ranges */

static void end_values(const isc_option *o, values *v) {
  const isc_option_type e = isc_option_element(o->type);
  if (e == ISC_OPT_BOOL) {
    add_text(v, "true");
    add_text(v, "false");
  }
  for (int i = 0; e == ISC_OPT_ENUM && o->choices[i] && i < MAX_VALUES; i++) {
    snprintf(v->text[v->n++], VALUE_SIZE, "\"%s\"", o->choices[i]);
  }
  if (e == ISC_OPT_STRING) add_text(v, "\"\"");
  if ((e != ISC_OPT_INT && e != ISC_OPT_FLOAT) || !bounded(o)) return;
  const bool whole = e == ISC_OPT_INT, low_open = o->flags & ISC_OPT_OPEN_MIN,
             high_open = o->flags & ISC_OPT_OPEN_MAX;
  const double low = !low_open ? o->min : whole ? o->min + 1 : nextafter(o->min, INFINITY);
  const double high = !high_open ? o->max : whole ? o->max - 1 : nextafter(o->max, -INFINITY);
  /* 2^63 is a double and no int64_t. */
  add(v, whole ? "%.0f" : "%.17e", low);
  if (!whole || high < 0x1p63) add(v, whole ? "%.0f" : "%.17e", high);
}

/* It must open, or refuse with a message. */
static isc_status survives(isc_conform *c, const isc_option *o, const char *value) {
  const isc_exercise *e = isc_exercise_of(c->cls->kind);
  char *text;
  void *conf = NULL, *instance = NULL;
  ISC_TRY(change(o, value, &text));
  const char *const changes[] = {text};
  isc_error_clear();
  isc_status st = c->cs->fill(c->cs, changes, 1, &conf);
  if (st == ISC_OK) st = e->open(c, conf, c->seed, 1, &instance);
  if (instance) e->close(c, instance);
  free(conf);
  if (st != ISC_OK && !isc_error()[0])
    st = isc_fail(ISC_E_INTERNAL, "%s: %s comes without a message", text, isc_status_name(st));
  else
    st = ISC_OK;
  free(text);
  return st;
}

static isc_status option_bounds(isc_conform *c) {
  /* A huge size must end in "no memory", not in the machine's swap. */
  const struct rlimit cap = {(rlim_t)8 << 30, (rlim_t)8 << 30};
  if (!c->cls->options || !c->cls->options->name) return isc_conform_skip(c, "it has no options");
  if (c->memory) setrlimit(RLIMIT_AS, &cap);
  for (const isc_option *o = c->cls->options; o->name; o++) {
    values v = {.n = 0};
    end_values(o, &v);
    for (int i = 0; i < v.n; i++)
      ISC_TRY(survives(c, o, v.text[i]));
  }
  return ISC_OK;
}

const isc_check isc_checks_any_options[] = {
    {"any.bad-option", ISC_ALL_KINDS, ISC_PER_CASE, 20,
     "A value of a wrong type, out of range or not among the choices is an error that names the "
     "option.",
     "The core refuses what the option table forbids. What only the plugin can judge, such as a "
     "pattern or a name, it "
     "must refuse with the option's name or the value in the message.",
     bad_options},
    {"any.option-bounds", ISC_ALL_KINDS, ISC_PER_CASE, 60,
     "With any option at either end of its range, at any choice, or empty, it opens or refuses "
     "with a message.",
     "Check sizes before you multiply or allocate them, and narrow the range in the table to what "
     "works.",
     option_bounds},
    {0}};
