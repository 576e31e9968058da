/* SPDX-License-Identifier: Apache-2.0
 *
 * A conformance report, and the list of checks, as JSON.
 */
#include "conform/report.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA = 1 };

/* json_string, with what is not UTF-8 replaced. */
static json_t *text(const char *s) {
  json_t *out = json_string(s);
  isc_sb b = {0};
  if (out) return out;
  isc_sb_add_json(&b, s, strlen(s));
  out = b.s && !b.failed ? json_loadb(b.s, b.len, JSON_DECODE_ANY, NULL) : NULL;
  isc_sb_free(&b);
  return out;
}

static json_t *text_or_null(const char *s) {
  return s ? text(s) : json_null();
}

static json_t *result(const isc_conform_result *r) {
  char doc[160];
  return json_pack("{ss so so ss so so sf so ss}", "id", r->check->id, "class",
                   text_or_null(r->cls[0] ? r->cls : NULL), "case",
                   text_or_null(r->cs[0] ? r->cs : NULL), "status", isc_outcome_name(r->outcome),
                   "message", text(r->message), "output", text(r->output), "seconds", r->seconds,
                   "replay", text(r->replay), "doc", isc_check_doc(r->check, doc, sizeof doc));
}

static json_t *plugin(const isc_conform_plugin *p) {
  json_t *classes = json_array(), *results = json_array();
  for (int64_t i = 0; i < p->n_classes; i++)
    json_array_append_new(classes,
                          json_pack("{ss ss so}", "kind", p->classes[i].kind, "name",
                                    p->classes[i].name, "version", text(p->classes[i].version)));
  for (int64_t i = 0; i < p->n_results; i++)
    json_array_append_new(results, result(&p->results[i]));
  return json_pack("{so so so so so}", "path", text(p->path), "cases_file",
                   text_or_null(p->cases_file), "problem", text_or_null(p->problem), "classes",
                   classes, "results", results);
}

static isc_status finish(isc_sb *b, json_t *all) {
  char *s = all ? json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
  json_decref(all);
  if (!s) return isc_fail(ISC_E_NOMEM, "no memory for the report");
  isc_sb_add(b, s);
  isc_sb_add(b, "\n");
  free(s);
  return ISC_OK;
}

isc_status isc_conform_json(isc_sb *b, const isc_conform_report *r) {
  json_t *plugins = json_array(), *totals = json_object();
  char abi[24], name[16], seed[24];
  snprintf(abi, sizeof abi, "%d.%d", ISC_ABI_MAJOR, ISC_ABI_MINOR);
  /* As text: JSON's numbers are doubles to many readers. */
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->seed);
  for (int64_t i = 0; i < r->n_plugins; i++)
    json_array_append_new(plugins, plugin(&r->plugins[i]));
  for (int o = 0; o < ISC_OUTCOMES; o++) {
    snprintf(name, sizeof name, "%s", isc_outcome_name((isc_outcome)o));
    json_object_set_new(totals, name, json_integer(r->totals[o]));
  }
  return finish(b, json_pack("{si ss s{ss ss} si so so}", "schema", SCHEMA, "seed", seed,
                             "versions", "inversescope", PACKAGE_VERSION, "abi", abi, "exit",
                             isc_conform_exit_code(r), "plugins", plugins, "totals", totals));
}

static json_t *kinds_of(const isc_check *c) {
  json_t *out = json_array();
  for (unsigned k = 1; k <= ISC_KIND_COUNT; k++)
    if (c->kinds & ISC_OF(k)) json_array_append_new(out, json_string(isc_kind_name((isc_kind)k)));
  return out;
}

isc_status isc_checks_json(isc_sb *b) {
  static const char *const scopes[] = {
      [ISC_PER_PLUGIN] = "plugin", [ISC_PER_CLASS] = "class", [ISC_PER_CASE] = "case"};
  json_t *list = json_array();
  char doc[160];
  int64_t n;
  const isc_check *const *all = isc_checks_all(&n);
  for (int64_t i = 0; i < n; i++)
    json_array_append_new(list,
                          json_pack("{ss so ss si ss ss ss}", "id", all[i]->id, "kinds",
                                    kinds_of(all[i]), "scope", scopes[all[i]->scope], "seconds",
                                    all[i]->seconds, "rule", all[i]->rule, "advice", all[i]->advice,
                                    "doc", isc_check_doc(all[i], doc, sizeof doc)));
  return finish(b, json_pack("{si so}", "schema", SCHEMA, "checks", list));
}
