/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope describe: the options of a plugin class or of a group of the core.
 *
 * As text, as a config stanza, or as source of the documentation.
 */
#include "cli/cli.h"
#include "cli/describe.h"
#include "config/config.h"
#include "method/inversescope.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum form { FORM_TEXT, FORM_CONF, FORM_MARKDOWN, FORM_MAN, FORM_LIST } form;

static const struct {
  const char *option;
  form form;
} forms[] = {{"--conf", FORM_CONF},
             {"--markdown", FORM_MARKDOWN},
             {"--man", FORM_MAN},
             {"--list", FORM_LIST}};

static isc_status open_registry(void) {
  ISC_TRY(isc_registry_search_path(NULL, 0));
  return isc_registry_add_builtin(isc_method_inversescope_class());
}

/* ---- forms */

/* "name = { … };" as it stands in a run's config: features are a list of groups. */
static void print_stanza_text(bool in_list, const char *text) {
  const char *group = strchr(text, '{'), *end = strrchr(text, '}');
  if (in_list && group && end)
    printf("features = (\n%.*s\n);\n", (int)(end + 1 - group), group);
  else
    fputs(text, stdout);
}

static isc_status print_stanza(const isc_description *d, const isc_core_group *g) {
  char *text = NULL;
  if (d->cls && d->cls->kind == ISC_BACKEND) {
    printf("# A backend is chosen by its name.\nrun = {\n  device = \"%s\";\n};\n", d->name);
    return ISC_OK;
  }
  if (g)
    ISC_TRY(isc_core_group_stanza(g, d->options, &text));
  else
    ISC_TRY(isc_option_stanza(d->kind, d->name, d->options, &text));
  print_stanza_text(g ? !strcmp(g->name, "features") : d->cls->kind == ISC_FEATURE, text);
  free(text);
  return ISC_OK;
}

static isc_status print(const isc_description *d, form f, const isc_core_group *g) {
  isc_sb b = {0};
  char *text = NULL;
  if (f == FORM_CONF) return print_stanza(d, g);
  if (f == FORM_MARKDOWN)
    isc_describe_markdown(&b, d);
  else if (f == FORM_MAN)
    isc_describe_man(&b, d);
  else
    isc_describe_text(&b, d);
  ISC_TRY(isc_sb_finish(&b, &text));
  fputs(text, stdout);
  free(text);
  return ISC_OK;
}

/* Everything that can be described, one a line. No plugin is loaded for it: completion asks this at every tab. What
 * cannot be used is told by `plugins`. */
static isc_status print_list(void) {
  isc_survey found = {0};
  ISC_TRY(open_registry());
  isc_status st = isc_registry_survey(&found);
  if (st == ISC_OK)
    for (const isc_core_group *g = isc_core_groups; g->name; g++)
      printf(ISC_CORE_PREFIX "/%s\n", g->name);
  for (int64_t i = 0; st == ISC_OK && i < found.n; i++)
    printf("%s/%s\n", isc_kind_name(found.entries[i].cls->kind),
           isc_cli_safe(found.entries[i].cls->name));
  isc_survey_free(&found);
  return st;
}

/* ---- what is described */

static isc_status describe_core(const char *name, form f) {
  const isc_core_group *g = NULL;
  isc_option *options = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_core_group_find(name, &g));
  ISC_TRY(isc_core_group_options(g, &options));
  const isc_description d = {
      .kind = ISC_CORE_PREFIX, .name = g->name, .summary = g->summary, .options = options};
  st = print(&d, f, g);
  free(options);
  return st;
}

static isc_status describe_class(isc_kind kind, const char *name, form f) {
  const isc_registry_entry *e = NULL;
  ISC_TRY(open_registry());
  ISC_TRY(isc_registry_find(kind, name, &e));
  const isc_class *c = e->cls;
  const isc_description d = {.kind = isc_kind_name(c->kind),
                             .name = c->name,
                             .summary = c->summary,
                             .version = c->version,
                             .licence = c->licence,
                             .source = c->source,
                             .file = e->path,
                             .options = c->options,
                             .cls = c};
  return print(&d, f, NULL);
}

/* The kind of "KIND/NAME", ISC_KIND_COUNT + 1 for the core, 0 for neither. */
static int kind_of(const char *text, size_t len, const char **near) {
  const char *names[ISC_KIND_COUNT + 2] = {NULL};
  char word[64];
  for (int k = 1; k <= ISC_KIND_COUNT; k++)
    names[k - 1] = isc_kind_name((isc_kind)k);
  names[ISC_KIND_COUNT] = ISC_CORE_PREFIX;
  for (int k = 0; names[k]; k++)
    if (strlen(names[k]) == len && !memcmp(names[k], text, len)) return k + 1;
  snprintf(word, sizeof word, "%.*s", (int)len, text);
  *near = isc_nearest_name(word, names);
  return 0;
}

static int parse(int argc, char **argv, const char **what, form *f) {
  for (int i = 1; i < argc; i++) {
    size_t k = 0;
    while (k < sizeof forms / sizeof *forms && strcmp(argv[i], forms[k].option))
      k++;
    if (k < sizeof forms / sizeof *forms) {
      if (*f != FORM_TEXT && *f != forms[k].form)
        return isc_cli_usage(&isc_command_describe, "one form at a time, not also %s", argv[i]);
      *f = forms[k].form;
    } else if (argv[i][0] == '-' || *what) {
      return isc_cli_usage(&isc_command_describe, "%s: unknown argument", isc_cli_safe(argv[i]));
    } else {
      *what = argv[i];
    }
  }
  return 0;
}

static int run(int argc, char **argv) {
  const char *what = NULL, *near = NULL;
  form f = FORM_TEXT;
  const int code = parse(argc, argv, &what, &f);
  if (code) return code;
  isc_status st;
  if (f == FORM_LIST) {
    if (what) return isc_cli_usage(&isc_command_describe, "--list takes no name");
    st = print_list();
    return st == ISC_OK ? 0 : isc_cli_fail(st);
  }
  const char *slash = what ? strchr(what, '/') : NULL;
  if (!slash)
    return isc_cli_usage(&isc_command_describe, "which class? KIND/NAME, for example prior/ioi");
  const int kind = kind_of(what, (size_t)(slash - what), &near);
  if (!kind)
    return isc_cli_usage(&isc_command_describe,
                         "%.*s: not a kind; %s%s%s target, prior, kernel, feature, method, "
                         "backend, and core for the program's own groups",
                         (int)(slash - what), isc_cli_safe(what), near ? "did you mean \"" : "",
                         near ? near : "", near ? "\"? They are" : "they are");
  st = kind <= ISC_KIND_COUNT ? describe_class((isc_kind)kind, slash + 1, f)
                              : describe_core(slash + 1, f);
  return st == ISC_OK ? 0 : isc_cli_fail(st);
}

const isc_command isc_command_describe = {
    .name = "describe",
    .synopsis = "describe KIND/NAME [--conf|--markdown|--man] | describe --list",
    .summary = "Tell about a plugin, or a group of the core, and its options",
    .help = "  --conf      print a commented config stanza with every option at its default\n"
            "  --markdown  print a Markdown table of the options\n"
            "  --man       print mdoc source, as inversescope-conf(5) has it\n"
            "  --list      print every KIND/NAME there is\n\n"
            "KIND is target, prior, kernel, feature, method or backend; core/run, core/evaluate … "
            "are the\ngroups of a config that the program itself reads.\n",
    .run = run};
