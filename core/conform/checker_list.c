/* SPDX-License-Identifier: Apache-2.0
 *
 * What the checker process tells of a plugin: its classes, and the cases each can be checked with.
 */
#include "conform/checker.h"
#include <string.h>

static json_t *one_case(isc_checker *k, const isc_class *cls, const char *name) {
  json_t *out = json_pack("{ss}", "name", name);
  const isc_status st = isc_cases_try(k->cases, cls, name);
  /* A missing option is a case to skip, anything else a mistake of the file. */
  if (st == ISC_E_MISSING)
    json_object_set_new(out, "problem", json_string(isc_error()));
  else if (st != ISC_OK && !k->cases_error)
    isc_strdup(isc_error(), &k->cases_error);
  return out;
}

static json_t *one_class(isc_checker *k, const isc_class *cls) {
  json_t *cases = json_array();
  const int64_t n = isc_cases_count(k->cases, cls);
  for (int64_t i = 0; i < n; i++)
    json_array_append_new(cases, one_case(k, cls, isc_cases_name(k->cases, cls, i)));
  return json_pack("{ss ss ss so}", "kind", isc_kind_name(cls->kind), "name", cls->name, "version",
                   cls->version, "cases", cases);
}

/* Cases of classes that this plugin does not have; another one may. */
static json_t *strangers(isc_checker *k, const isc_class *const *classes, int64_t n) {
  json_t *out = json_array();
  char message[512];
  int64_t at = 0;
  const char *name;
  while ((name = isc_cases_stranger(k->cases, classes, n, &at, message, sizeof message)))
    json_array_append_new(out, json_pack("{ss ss}", "class", name, "message", message));
  return out;
}

json_t *isc_checker_list(isc_checker *k) {
  const isc_class *classes[ISC_CHECKER_CLASSES];
  json_t *list = json_array();
  const char *file = isc_cases_file(k->cases);
  if (isc_checker_load(k) != ISC_OK) return json_pack("{ss}", "error", isc_error());
  const int64_t n = isc_checker_classes(k, classes);
  for (int64_t i = 0; i < n; i++)
    json_array_append_new(list, one_class(k, classes[i]));
  return json_pack("{ss* ss* so ss* so ss*}", "plugin", k->plugin ? k->plugin->name : NULL,
                   "version", k->plugin ? k->plugin->version : NULL, "classes", list, "cases_file",
                   file, "strangers", strangers(k, classes, n), "cases_error", k->cases_error);
}
