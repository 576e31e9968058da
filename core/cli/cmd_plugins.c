/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope plugins: what is installed, as a table or as JSON.
 */
#include "base/base.h"
#include "cli/cli.h"
#include "method/inversescope.h"
#include "plugin/registry.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_table(const isc_registry_entry *const *e, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    printf("%-8s %-14s %-8s %s\n", isc_kind_name(e[i]->cls->kind), e[i]->cls->name,
           e[i]->cls->version, e[i]->cls->summary);
}

static int print_json(const isc_registry_entry *const *e, int64_t n, char **problems,
                      int64_t n_problems) {
  json_t *list = json_array(), *bad = json_array();
  for (int64_t i = 0; i < n; i++) {
    const isc_class *c = e[i]->cls;
    json_array_append_new(
        list, json_pack("{ss ss ss ss ss ss* ss ss ss}", "kind", isc_kind_name(c->kind), "name",
                        c->name, "version", c->version, "summary", c->summary, "licence",
                        c->licence, "source", c->source, "plugin", e[i]->plugin, "plugin_version",
                        e[i]->plugin_version, "path", e[i]->path));
  }
  for (int64_t i = 0; i < n_problems; i++)
    json_array_append_new(bad, json_string(problems[i]));
  json_t *all = json_pack("{soso}", "plugins", list, "problems", bad);
  char *text = all ? json_dumps(all, JSON_INDENT(1) | JSON_PRESERVE_ORDER) : NULL;
  json_decref(all);
  if (!text) return isc_cli_fail(isc_fail(ISC_E_NOMEM, "no memory to list the plugins"));
  puts(text);
  free(text);
  return 0;
}

static int run(int argc, char **argv) {
  bool json = false;
  char **problems = NULL;
  int64_t n_problems = 0;
  const isc_registry_entry *const *entries = NULL;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--json"))
      json = true;
    else
      return isc_cli_usage(&isc_command_plugins, "%s: unknown argument", isc_cli_safe(argv[i]));
  }
  isc_status st = isc_registry_search_path(NULL, 0);
  if (st == ISC_OK) st = isc_registry_add_builtin(isc_method_inversescope_class());
  if (st == ISC_OK) st = isc_registry_scan(&problems, &n_problems);
  int code = 0;
  if (st != ISC_OK) {
    code = isc_cli_fail(st);
  } else {
    const int64_t n = isc_registry_list(0, &entries);
    if (json)
      code = print_json(entries, n, problems, n_problems);
    else
      print_table(entries, n);
  }
  for (int64_t i = 0; i < n_problems; i++) {
    if (!json) fprintf(stderr, "inversescope: %s\n", isc_cli_safe(problems[i]));
    free(problems[i]);
  }
  free(problems);
  return code;
}

const isc_command isc_command_plugins = {
    .name = "plugins",
    .synopsis = "plugins [--json]",
    .summary = "List the plugins that can be used here",
    .help = "  --json  as JSON, with each plugin's file and licence\n",
    .run = run};
