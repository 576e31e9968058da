/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope new: the project of a plugin, complete and working, for its author to change.
 */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/project.h"
#include "method/inversescope.h"
#include "plugin/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 64 };

typedef struct request {
  const char *kind, *name, *dir;
  bool autotools;
} request;

static int read_arguments(int argc, char **argv, request *r) {
  const isc_command *c = &isc_command_new;
  for (int i = 1; i < argc; i++) {
    const char *value = "";
    if (isc_cli_option(argc, argv, &i, "--dir", &value)) {
      if (!value || !*value) return isc_cli_usage(c, "--dir needs a directory");
      r->dir = value;
    } else if (!strcmp(argv[i], "--autotools"))
      r->autotools = true;
    else if (argv[i][0] == '-')
      return isc_cli_usage(c, "%s: unknown option", isc_cli_safe(argv[i]));
    else if (!r->kind)
      r->kind = argv[i];
    else if (!r->name)
      r->name = argv[i];
    else
      return isc_cli_usage(c, "%s: one kind and one name are enough", isc_cli_safe(argv[i]));
  }
  return r->name ? 0
                 : isc_cli_usage(c, "which KIND and which NAME? For example: new prior my-prior");
}

static int find_kind(const char *text, isc_kind *kind) {
  const char *names[ISC_KIND_COUNT + 1] = {NULL};
  for (int k = 1; k <= ISC_KIND_COUNT; k++) {
    names[k - 1] = isc_kind_name((isc_kind)k);
    if (strcmp(names[k - 1], text)) continue;
    *kind = (isc_kind)k;
    return 0;
  }
  const char *near = isc_nearest_name(text, names);
  return isc_cli_usage(&isc_command_new,
                       "%s: not a kind%s%s%s are target, prior, kernel, feature, method, backend",
                       isc_cli_safe(text), near ? "; did you mean \"" : "; kinds", near ? near : "",
                       near ? "\"? Kinds" : "");
}

/* Dashes join words: the file is KIND_NAME.so with underscores, and two dashes or one at the end would look like none. */
static int check_name(const char *name) {
  const size_t n = strlen(name);
  if (n > 0 && n <= MAX_NAME && name[0] >= 'a' && name[0] <= 'z' && name[n - 1] != '-' &&
      strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && !strstr(name, "--"))
    return 0;
  return isc_cli_usage(
      &isc_command_new,
      "\"%s\": a name is words of a-z and 0-9 joined by single dashes, begins with "
      "a letter and has at most %d characters, for example my-prior",
      isc_cli_safe(name), (int)MAX_NAME);
}

/* A second class of a name would hide the first, and its file replace the first's when it is installed. */
static isc_status check_free(isc_kind kind, const char *name) {
  const isc_registry_entry *e;
  ISC_TRY(isc_registry_search_path(NULL, 0));
  ISC_TRY(isc_registry_add_builtin(isc_method_inversescope_class()));
  if (isc_registry_find(kind, name, &e) == ISC_OK)
    return isc_fail(ISC_E_USAGE, "there is a %s \"%s\" already, %s; take another name",
                    isc_kind_name(kind), name, e->path);
  return isc_error_code() == ISC_E_MISSING ? ISC_OK : isc_error_code();
}

/* What was written, and the command to go on with. */
static isc_status print_next(const char *dir, bool autotools) {
  isc_sb word = {0};
  char *quoted;
  isc_sb_add_shell(&word, isc_cli_safe(dir));
  ISC_TRY(isc_sb_finish(&word, &quoted));
  printf("%s: a plugin that works, for you to change. Next: cd %s && %smake check\n",
         isc_cli_safe(dir), quoted, autotools ? "autoreconf -i && ./configure && " : "");
  free(quoted);
  return ISC_OK;
}

static int run(int argc, char **argv) {
  request r = {0};
  isc_kind kind = ISC_TARGET;
  char *dir = NULL;
  int code = read_arguments(argc, argv, &r);
  if (code == 0) code = find_kind(r.kind, &kind);
  if (code == 0) code = check_name(r.name);
  if (code != 0) return code;
  isc_status st = check_free(kind, r.name);
  if (st == ISC_OK)
    st = r.dir ? isc_strdup(r.dir, &dir) : isc_asprintf(&dir, "%s-%s", r.kind, r.name);
  if (st == ISC_OK)
    st = isc_project_write(
        &(isc_project){.kind = kind, .name = r.name, .dir = dir, .autotools = r.autotools});
  if (st == ISC_OK) st = print_next(dir, r.autotools);
  if (st != ISC_OK) code = isc_cli_fail(st);
  free(dir);
  return code;
}

const isc_command isc_command_new = {
    .name = "new",
    .synopsis = "new KIND NAME [--dir DIR] [--autotools]",
    .summary = "Write the project of a new plugin, with its tests",
    .help =
        "  --dir DIR    the directory to write, instead of ./KIND-NAME; not there yet, or empty\n"
        "  --autotools  write configure.ac and Makefile.am instead of a Makefile\n",
    .run = run};
