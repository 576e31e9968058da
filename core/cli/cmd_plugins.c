/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope plugins: what is installed, as a table or as JSON, and what cannot be used and why.
 *
 * Files that cannot be used are part of the answer, so they go to stdout and the exit code is 0.
 */
#include "base/base.h"
#include "cli/cli.h"
#include "method/inversescope.h"
#include "plugin/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_table(const isc_survey *s) {
  for (int64_t i = 0; i < s->n; i++) {
    const isc_class *c = s->entries[i].cls;
    printf("%-8s %-14s %-8s %s\n", isc_kind_name(c->kind), isc_cli_safe(c->name),
           isc_cli_safe(c->version), isc_cli_safe(c->summary));
  }
  if (s->n_problems) puts("\nnot usable:");
  for (int64_t i = 0; i < s->n_problems; i++)
    printf("  %s\n      %s\n", isc_cli_safe(s->problems[i].path),
           isc_cli_safe(s->problems[i].reason));
}

/* `, "name": "value"`, whatever bytes a plugin's text holds. */
static void add_member(isc_sb *b, const char *before, const char *name, const char *value) {
  isc_sb_addf(b, "%s\"%s\": ", before, name);
  isc_sb_add_json(b, value, strlen(value));
}

static void add_class(isc_sb *b, const isc_registry_entry *e) {
  const isc_class *c = e->cls;
  add_member(b, "{", "kind", isc_kind_name(c->kind));
  add_member(b, ", ", "name", c->name);
  add_member(b, ", ", "version", c->version);
  add_member(b, ", ", "summary", c->summary);
  add_member(b, ", ", "licence", c->licence);
  if (c->source) add_member(b, ", ", "source", c->source);
  add_member(b, ", ", "plugin", e->plugin);
  add_member(b, ", ", "plugin_version", e->plugin_version);
  add_member(b, ", ", "path", e->path);
  isc_sb_add(b, "}");
}

static isc_status print_json(const isc_survey *s) {
  isc_sb b = {0};
  char *text;
  isc_sb_add(&b, "{\n \"plugins\": [");
  for (int64_t i = 0; i < s->n; i++) {
    isc_sb_add(&b, i ? ",\n  " : "\n  ");
    add_class(&b, &s->entries[i]);
  }
  isc_sb_add(&b, s->n ? "\n ],\n \"problems\": [" : "],\n \"problems\": [");
  for (int64_t i = 0; i < s->n_problems; i++) {
    add_member(&b, i ? ",\n  {" : "\n  {", "path", s->problems[i].path);
    add_member(&b, ", ", "reason", s->problems[i].reason);
    isc_sb_add(&b, "}");
  }
  isc_sb_add(&b, s->n_problems ? "\n ]\n}" : "]\n}");
  ISC_TRY(isc_sb_finish(&b, &text));
  puts(text);
  free(text);
  return ISC_OK;
}

static int run(int argc, char **argv) {
  bool json = false;
  isc_survey found = {0};
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--json"))
      json = true;
    else
      return isc_cli_usage(&isc_command_plugins, "%s: unknown argument", isc_cli_safe(argv[i]));
  }
  isc_status st = isc_registry_search_path(NULL, 0);
  if (st == ISC_OK) st = isc_registry_add_builtin(isc_method_inversescope_class());
  if (st == ISC_OK) st = isc_registry_survey(&found);
  if (st == ISC_OK && json) st = print_json(&found);
  if (st == ISC_OK && !json) print_table(&found);
  isc_survey_free(&found);
  return st == ISC_OK ? 0 : isc_cli_fail(st);
}

const isc_command isc_command_plugins = {
    .name = "plugins",
    .synopsis = "plugins [--json]",
    .summary = "List the plugins that can be used here",
    .help = "  --json  as JSON, with each plugin's file and licence\n\n"
            "Files on the plugin path that cannot be used are listed with the reason. No plugin's "
            "code runs\nin this program: each is tried in a process of its own, for at most five "
            "seconds.\n",
    .run = run};
