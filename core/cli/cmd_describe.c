/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope describe: a plugin's options, as text or as a config stanza.
 */
#include "base/base.h"
#include "cli/cli.h"
#include "method/inversescope.h"
#include "plugin/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(isc_option_type t) {
  static const char *const names[] = {"?",
                                      "bool",
                                      "int",
                                      "float",
                                      "string",
                                      "enum",
                                      "path",
                                      "list of bool",
                                      "list of int",
                                      "list of float",
                                      "list of string",
                                      "list of enum",
                                      "list of path"};
  return (unsigned)t < sizeof names / sizeof *names ? names[t] : names[0];
}

static void print_range(const isc_option *o) {
  if (o->choices && (o->type == ISC_OPT_ENUM || o->type == ISC_OPT_ENUM_LIST)) {
    fputs(", one of", stdout);
    for (int i = 0; o->choices[i]; i++)
      printf(" %s", o->choices[i]);
  } else if (o->min != 0 || o->max != 0) {
    printf(", %s%.15g … %.15g%s", o->flags & ISC_OPT_OPEN_MIN ? "> " : "", o->min, o->max,
           o->flags & ISC_OPT_OPEN_MAX ? " (excluded)" : "");
  }
}

static void print_option(const isc_option *o) {
  printf("  %s\n      %s", o->name, type_name(o->type));
  print_range(o);
  if (o->unit) printf(", in %s", o->unit);
  if (o->flags & ISC_OPT_REQUIRED)
    fputs(", required", stdout);
  else if (o->preset)
    printf(", default %s", *o->preset ? o->preset : "\"\"");
  if (o->flags & ISC_OPT_RUNTIME) fputs(", changes no result", stdout);
  printf("\n      %s\n", o->doc);
}

static void print_class(const isc_registry_entry *e) {
  const isc_class *c = e->cls;
  printf("%s/%s %s\n%s\n\nlicence  %s\n", isc_kind_name(c->kind), c->name, c->version, c->summary,
         c->licence);
  if (c->source) printf("source   %s\n", c->source);
  printf("file     %s\n", e->path);
  if (!c->options || !c->options->name) {
    puts("\nNo options.");
    return;
  }
  puts("\nOptions:");
  for (const isc_option *o = c->options; o->name; o++)
    print_option(o);
}

static int kind_of(const char *text, size_t len) {
  for (int k = 1; k <= ISC_KIND_COUNT; k++) {
    const char *name = isc_kind_name((isc_kind)k);
    if (strlen(name) == len && !memcmp(name, text, len)) return k;
  }
  return 0;
}

/* "name = { … };" as it stands in a run's config: features are a list of groups. */
static void print_stanza_text(isc_kind kind, const char *text) {
  const char *group = strchr(text, '{'), *end = strrchr(text, '}');
  if (kind == ISC_FEATURE && group && end)
    printf("features = (\n%.*s\n);\n", (int)(end + 1 - group), group);
  else
    fputs(text, stdout);
}

static int print_stanza(const isc_class *c) {
  char *text = NULL;
  if (c->kind == ISC_BACKEND) {
    printf("# A backend is chosen by its name.\nrun = {\n  device = \"%s\";\n};\n", c->name);
    return 0;
  }
  isc_status st = isc_option_stanza(isc_kind_name(c->kind), c->name, c->options, &text);
  if (st != ISC_OK) return isc_cli_fail(st);
  print_stanza_text(c->kind, text);
  free(text);
  return 0;
}

static int run(int argc, char **argv) {
  const char *what = NULL;
  bool conf = false;
  const isc_registry_entry *e = NULL;
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--conf"))
      conf = true;
    else if (argv[i][0] == '-' || what)
      return isc_cli_usage(&isc_command_describe, "%s: unknown argument", isc_cli_safe(argv[i]));
    else
      what = argv[i];
  }
  const char *slash = what ? strchr(what, '/') : NULL;
  if (!slash)
    return isc_cli_usage(&isc_command_describe, "which class? KIND/NAME, for example prior/ioi");
  const int kind = kind_of(what, (size_t)(slash - what));
  if (!kind)
    return isc_cli_usage(
        &isc_command_describe,
        "%.*s: not a kind; kinds are target, prior, kernel, feature, method, backend",
        (int)(slash - what), isc_cli_safe(what));
  isc_status st = isc_registry_search_path(NULL, 0);
  if (st == ISC_OK) st = isc_registry_add_builtin(isc_method_inversescope_class());
  if (st == ISC_OK) st = isc_registry_find((isc_kind)kind, slash + 1, &e);
  if (st != ISC_OK) return isc_cli_fail(st);
  if (conf) return print_stanza(e->cls);
  print_class(e);
  return 0;
}

const isc_command isc_command_describe = {
    .name = "describe",
    .synopsis = "describe KIND/NAME [--conf]",
    .summary = "Tell about a plugin and its options",
    .help = "  --conf  print a commented config stanza with every option at its default\n",
    .run = run};
