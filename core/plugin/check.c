/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules a class descriptor must keep before anything else looks at it.
 *
 * A plugin is someone else's data: sizes, names, offsets and defaults are checked once, here, so
 * that the registry, the config layer and the listing may trust them.
 */
#include "plugin/adopt.h"
#include "plugin/registry.h"
#include "plugin/schema.h"
#include <string.h>

static bool spelled(const char *s, char joiner) {
  if (!s || s[0] < 'a' || s[0] > 'z') return false;
  for (; *s; s++)
    if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && *s != joiner) return false;
  return true;
}

/* Words of [a-z][a-z0-9_]* joined by dots: a dotted option lives in a sub-group. */
static bool spelled_option(const char *s) {
  bool first = true;
  if (!s || !*s) return false;
  for (; *s; s++) {
    if (first ? *s < 'a' || *s > 'z'
              : !(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && *s != '_' && *s != '.')
      return false;
    first = *s == '.';
  }
  return !first;
}

static bool one_line(const char *s) {
  return s && *s && !strpbrk(s, "\r\n");
}

static isc_status check_bounds(const isc_option *o) {
  isc_option_type e = isc_option_element(o->type);
  bool numeric = e == ISC_OPT_INT || e == ISC_OPT_FLOAT;
  bool ranged = o->min != 0 || o->max != 0 || o->flags & (ISC_OPT_OPEN_MIN | ISC_OPT_OPEN_MAX);
  if (ranged && !numeric) return isc_fail(ISC_E_FORMAT, "has a range, but is no number");
  /* The negated comparison also catches NaN. */
  if (numeric && !(o->min <= o->max)) return isc_fail(ISC_E_FORMAT, "has an empty range");
  if ((e == ISC_OPT_ENUM) != (o->choices && o->choices[0]))
    return isc_fail(ISC_E_FORMAT, e == ISC_OPT_ENUM ? "is an enum without choices"
                                                    : "has choices, but is no enum");
  return ISC_OK;
}

static isc_status check_preset(const isc_option *o) {
  isc_pool pool = {0};
  isc_value *v;
  int64_t n;
  isc_status st = isc_option_preset(o, &pool, &v, &n);
  for (int64_t i = 0; st == ISC_OK && i < n; i++)
    st = isc_value_check(o, &v[i]);
  isc_pool_free(&pool);
  return st == ISC_OK ? st : isc_fail_in("its default \"%s\"", o->preset);
}

static isc_status check_default(const isc_option *o) {
  bool required = o->flags & ISC_OPT_REQUIRED;
  bool may_lack =
      isc_option_is_list(o->type) || o->type == ISC_OPT_STRING || o->type == ISC_OPT_PATH;
  if (required && o->preset) return isc_fail(ISC_E_FORMAT, "is required, yet has a default");
  if (!required && !o->preset && !may_lack)
    return isc_fail(ISC_E_FORMAT, "has neither a default nor ISC_OPT_REQUIRED");
  return check_preset(o);
}

static isc_status check_field(const isc_option *o, const isc_option *table, size_t conf_size) {
  size_t size = isc_option_field_size(o->type), end;
  if (size == 0) return isc_fail(ISC_E_FORMAT, "has the unknown type %d", (int)o->type);
  if (__builtin_add_overflow(o->offset, size, &end) || end > conf_size)
    return isc_fail(ISC_E_FORMAT, "lies at byte %zu, outside the conf struct of %zu bytes",
                    o->offset, conf_size);
  if (o->offset % isc_option_field_align(o->type) != 0)
    return isc_fail(ISC_E_FORMAT, "lies at byte %zu, which its type may not", o->offset);
  for (const isc_option *p = table; p < o; p++) {
    if (strcmp(p->name, o->name) == 0) return isc_fail(ISC_E_FORMAT, "is declared twice");
    if (p->offset < end && o->offset < p->offset + isc_option_field_size(p->type))
      return isc_fail(ISC_E_FORMAT, "shares bytes of the conf struct with \"%s\"", p->name);
  }
  return ISC_OK;
}

static isc_status check_option(const isc_option *o, const isc_option *table, size_t conf_size) {
  if (!spelled_option(o->name))
    return isc_fail(ISC_E_FORMAT, "its name must be words of [a-z][a-z0-9_]* joined by dots");
  if (strcmp(o->name, "plugin") == 0)
    return isc_fail(ISC_E_FORMAT, "\"plugin\" is the key that names the plugin itself");
  if (!one_line(o->doc)) return isc_fail(ISC_E_FORMAT, "has no one-line doc");
  ISC_TRY(check_field(o, table, conf_size));
  ISC_TRY(check_bounds(o));
  return check_default(o);
}

static isc_status check_options(const isc_class *c) {
  if (!c->options) return ISC_OK;
  for (const isc_option *o = c->options; o->name; o++) {
    if (o - c->options >= ISC_MAX_OPTIONS)
      return isc_fail(ISC_E_FORMAT, "its option table has no ISC_OPTIONS_END");
    if (check_option(o, c->options, c->conf_size) != ISC_OK) {
      /* Whatever went wrong with the default, it is the descriptor that is broken. */
      isc_fail_in("option \"%s\"", o->name);
      return isc_error_code() == ISC_E_NOMEM ? ISC_E_NOMEM
                                             : isc_fail(ISC_E_FORMAT, "%s", isc_error());
    }
  }
  return ISC_OK;
}

static isc_status check_texts(const isc_class *c) {
  if (!c->version || c->version[0] < '0' || c->version[0] > '9' || !one_line(c->version))
    return isc_fail(ISC_E_FORMAT, "its version must look like 1.2.0");
  if (!one_line(c->summary)) return isc_fail(ISC_E_FORMAT, "has no one-line summary");
  if (!one_line(c->licence)) return isc_fail(ISC_E_FORMAT, "names no licence");
  return ISC_OK;
}

static isc_status check_all(const isc_class *c) {
  const char *kind = isc_kind_name(c->kind);
  if (!spelled(c->name, '-'))
    return isc_fail(ISC_E_FORMAT, "a %s class: its name must match [a-z][a-z0-9-]*", kind);
  isc_status st = check_texts(c);
  if (st == ISC_OK) st = check_options(c);
  return st == ISC_OK ? st : isc_fail_in("%s/%s", kind, c->name);
}

isc_status isc_class_check(const isc_class *c) {
  isc_adopted adopted;
  ISC_TRY(isc_class_adopt(c, &adopted));
  isc_status st = check_all(adopted.cls);
  isc_adopted_free(&adopted);
  return st;
}
