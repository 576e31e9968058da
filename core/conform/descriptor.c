/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules for class descriptors: are they complete, and fit to be read by people?
 *
 * What would make the core refuse the class (core/plugin/check.c) is asked again, so that the rule stands in one place
 * for authors; the rest is what listings, man pages and generated documentation rely on.
 */
#include "conform/descriptor.h"
#include "conform/words.h"
#include "plugin/registry.h"
#include "plugin/schema.h"
#include <math.h>
#include <string.h>

enum { MAX_NAME = 63, MAX_SUMMARY = 100, MAX_DOC = 300, MAX_UNIT = 30 };

/* ---- metadata */

static isc_status clean(const char *what, const char *text, size_t longest) {
  const char *problem = isc_words_problem(text);
  if (problem) return isc_fail(ISC_E_FORMAT, "the %s %s", what, problem);
  if (isc_words_length(text) > longest)
    return isc_fail(ISC_E_FORMAT, "the %s has %zu characters, more than %zu", what,
                    isc_words_length(text), longest);
  return ISC_OK;
}

static isc_status check_name(const char *what, const char *name) {
  ISC_TRY(clean(what, name, MAX_NAME));
  const size_t n = strlen(name);
  if (name[0] < 'a' || name[0] > 'z' || name[n - 1] == '-' || strstr(name, "--") ||
      strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
    return isc_fail(ISC_E_FORMAT,
                    "the %s \"%s\" must be words of a-z and 0-9 joined by single dashes, and start "
                    "with a letter",
                    what, name);
  return ISC_OK;
}

static isc_status check_version(const char *what, const char *version) {
  ISC_TRY(clean(what, version, MAX_NAME));
  if (isc_words_is_version(version)) return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "the %s \"%s\" must be MAJOR.MINOR.PATCH, such as 1.2.0", what,
                  version);
}

static isc_status check_summary(const char *s) {
  ISC_TRY(clean("summary", s, MAX_SUMMARY));
  if (isc_words_count(s) < 2)
    return isc_fail(ISC_E_FORMAT, "the summary \"%s\" is one word: say what the class is", s);
  if (s[strlen(s) - 1] == '.')
    return isc_fail(ISC_E_FORMAT, "the summary \"%s\" ends with a full stop; listings add it", s);
  return ISC_OK;
}

isc_status isc_descriptor_metadata(const isc_plugin *plugin, const isc_class *cls) {
  if (plugin) {
    ISC_TRY(check_name("plugin's name", plugin->name));
    ISC_TRY(check_version("plugin's version", plugin->version));
  }
  ISC_TRY(check_name("class's name", cls->name));
  ISC_TRY(check_version("class's version", cls->version));
  ISC_TRY(check_summary(cls->summary));
  ISC_TRY(clean("licence", cls->licence, MAX_DOC));
  if (!isc_words_is_licence(cls->licence))
    return isc_fail(ISC_E_FORMAT,
                    "the licence \"%s\" is no SPDX expression, such as Apache-2.0, MIT OR 0BSD, or "
                    "LicenseRef-ours",
                    cls->licence);
  return cls->source ? clean("source", cls->source, MAX_DOC) : ISC_OK;
}

/* ---- options */

static isc_status check_doc(const char *doc) {
  ISC_TRY(clean("doc", doc, MAX_DOC));
  if (isc_words_count(doc) < 2 || doc[strlen(doc) - 1] != '.')
    return isc_fail(ISC_E_FORMAT,
                    "the doc \"%s\" must be a sentence of several words that ends with a full stop",
                    doc);
  return ISC_OK;
}

static bool is_number(const isc_option *o) {
  const isc_option_type e = isc_option_element(o->type);
  return e == ISC_OPT_INT || e == ISC_OPT_FLOAT;
}

static isc_status check_unit(const isc_option *o) {
  if (!o->unit) return ISC_OK;
  if (!is_number(o)) return isc_fail(ISC_E_FORMAT, "has a unit, but is no number");
  return clean("unit", o->unit, MAX_UNIT);
}

static isc_status check_flags(const isc_option *o) {
  const uint32_t known =
      ISC_OPT_REQUIRED | ISC_OPT_OPEN_MIN | ISC_OPT_OPEN_MAX | ISC_OPT_MUST_EXIST | ISC_OPT_RUNTIME;
  if (o->flags & ~known)
    return isc_fail(ISC_E_FORMAT, "has the unknown flags 0x%x", (unsigned)(o->flags & ~known));
  if (o->flags & ISC_OPT_MUST_EXIST && isc_option_element(o->type) != ISC_OPT_PATH)
    return isc_fail(ISC_E_FORMAT, "has ISC_OPT_MUST_EXIST, but is no path");
  return ISC_OK;
}

/* Bounds that an int64_t can have. 2^63 itself is a double and no int64_t. */
static isc_status check_whole_bounds(const isc_option *o) {
  if (isc_option_element(o->type) != ISC_OPT_INT) return ISC_OK;
  const double bounds[] = {o->min, o->max};
  for (int i = 0; i < 2; i++)
    if (floor(bounds[i]) != bounds[i] || fabs(bounds[i]) > 0x1p63)
      return isc_fail(ISC_E_FORMAT, "is an integer with the bound %g", bounds[i]);
  return ISC_OK;
}

static isc_status check_choices(const isc_option *o) {
  for (int i = 0; o->choices && o->choices[i]; i++) {
    ISC_TRY(clean("choice", o->choices[i], MAX_NAME));
    for (int j = 0; j < i; j++)
      if (strcmp(o->choices[i], o->choices[j]) == 0)
        return isc_fail(ISC_E_FORMAT, "has the choice \"%s\" twice", o->choices[i]);
  }
  return ISC_OK;
}

/* Length of the group's name with its dot: 2 of "a.b", 0 of "b". */
static size_t group_length(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot ? (size_t)(dot - name) + 1 : 0;
}

/* Options of a group stand together, and no option has a group's name. */
static isc_status check_group(const isc_option *o, const isc_option *table) {
  const size_t n = group_length(o->name), whole = strlen(o->name);
  for (const isc_option *p = table; p->name; p++) {
    if (strncmp(p->name, o->name, whole) == 0 && p->name[whole] == '.')
      return isc_fail(ISC_E_FORMAT, "has the name of the group of \"%s\"", p->name);
    if (n == 0 || p + 1 >= o || group_length(p->name) == 0) continue;
    if (strncmp(p->name, o->name, n) == 0 && strncmp(p[1].name, o->name, n) != 0)
      return isc_fail(ISC_E_FORMAT, "stands apart from \"%s\" of the same group", p->name);
  }
  return ISC_OK;
}

static isc_status check_option(const isc_option *o, const isc_option *table) {
  if (strlen(o->name) > MAX_NAME)
    return isc_fail(ISC_E_FORMAT, "has a name of more than %d characters", MAX_NAME);
  ISC_TRY(check_doc(o->doc));
  ISC_TRY(check_unit(o));
  ISC_TRY(check_flags(o));
  ISC_TRY(check_whole_bounds(o));
  ISC_TRY(check_choices(o));
  return check_group(o, table);
}

isc_status isc_descriptor_options(const isc_class *cls) {
  ISC_TRY(isc_class_check(cls));
  for (const isc_option *o = cls->options; o && o->name; o++)
    if (check_option(o, cls->options) != ISC_OK) return isc_fail_in("option \"%s\"", o->name);
  return ISC_OK;
}
