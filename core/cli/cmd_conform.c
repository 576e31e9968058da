/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope conform: check plugins, each check in a process of its own.
 *
 * Its exit codes are its own, not those of sysexits, so that a test harness can tell a failed check from a
 * failed tool.
 */
#include "cli/cli.h"
#include "conform/places.h"
#include "conform/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CANNOT_WORK = 3, MAX_JOBS = 1024 };

typedef enum form { FORM_TEXT, FORM_TAP, FORM_JSON, FORM_MARKDOWN } form;

typedef struct arguments {
  isc_conform_request request;
  form form;
  bool list;
  const char **plugins, **only; /* room for what the command line can hold */
  char *ids;                    /* the texts of `only`                      */
} arguments;

static int usage(const char *message, const char *what) {
  isc_cli_usage(&isc_command_conform, "%s%s%s", what ? isc_cli_safe(what) : "", what ? ": " : "",
                message);
  return CANNOT_WORK;
}

/* ---- the command line */

static bool parse_form(arguments *a, const char *arg, int *code) {
  static const struct {
    const char *name;
    form form;
  } forms[] = {{"--json", FORM_JSON}, {"--tap", FORM_TAP}, {"--markdown", FORM_MARKDOWN}};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (strcmp(arg, forms[i].name) != 0) continue;
    if (a->form != FORM_TEXT && a->form != forms[i].form) *code = usage("one form at a time", arg);
    a->form = forms[i].form;
    return true;
  }
  return false;
}

/* "a,b,c" → three more IDs. */
static void add_ids(arguments *a, const char *list, char **room) {
  strcpy(*room, list);
  for (char *id = strtok(*room, ","); id; id = strtok(NULL, ","))
    a->only[a->request.n_only++] = id;
  *room += strlen(list) + 1;
}

static bool whole_number(const char *s, uint64_t least, uint64_t most, uint64_t *out) {
  char *end;
  if (*s < '0' || *s > '9') return false;
  errno = 0;
  *out = strtoull(s, &end, 10);
  return !errno && !*end && *out >= least && *out <= most;
}

static int parse_value(arguments *a, int argc, char **argv, int *i, char **room) {
  isc_conform_request *r = &a->request;
  const char *value = NULL;
  uint64_t number = 1;
  if (isc_cli_option(argc, argv, i, "--class", &r->cls))
    return r->cls ? 0 : usage("--class needs KIND/NAME", NULL);
  if (isc_cli_option(argc, argv, i, "--case", &r->cs))
    return r->cs ? 0 : usage("--case needs a name", NULL);
  if (isc_cli_option(argc, argv, i, "--cases", &r->cases))
    return r->cases ? 0 : usage("--cases needs a file or a directory", NULL);
  if (isc_cli_option(argc, argv, i, "--only", &value)) {
    if (!value || !*value || !strcmp(value, ",")) return usage("--only needs IDs", NULL);
    add_ids(a, value, room);
    return 0;
  }
  if (isc_cli_option(argc, argv, i, "--seed", &value))
    return value && whole_number(value, 0, UINT64_MAX, &r->seed)
               ? 0
               : usage("--seed needs a whole number from 0", NULL);
  if (isc_cli_option(argc, argv, i, "--jobs", &value)) {
    if (!value || !whole_number(value, 1, MAX_JOBS, &number))
      return usage("--jobs needs a number from 1 to 1024", NULL);
    r->jobs = (int)number;
    return 0;
  }
  if (isc_cli_option(argc, argv, i, "--timeout-scale", &value))
    return value && isc_text_double(value, &r->timeout_scale) && r->timeout_scale > 0 &&
                   r->timeout_scale <= 1e4
               ? 0
               : usage("--timeout-scale needs a number above 0, to 10000", NULL);
  return usage("unknown option", argv[*i]);
}

static int parse(arguments *a, int argc, char **argv) {
  char *room = a->ids;
  int code = 0;
  for (int i = 1; i < argc && !code; i++) {
    if (!strcmp(argv[i], "--list"))
      a->list = true;
    else if (argv[i][0] != '-')
      a->plugins[a->request.n_plugins++] = argv[i];
    else if (!parse_form(a, argv[i], &code))
      code = parse_value(a, argc, argv, &i, &room);
  }
  a->request.plugins = a->plugins;
  a->request.only = a->only;
  if (code) return code;
  if (a->list && a->request.n_plugins) return usage("--list takes no plugin", NULL);
  if (a->list && a->form == FORM_TAP) return usage("--list is no test: no --tap", NULL);
  if (!a->list && a->form == FORM_MARKDOWN) return usage("--markdown is a form of --list", NULL);
  return a->list || a->request.n_plugins ? 0 : usage("which plugin? x.so or KIND/NAME", NULL);
}

/* ---- */

static isc_status print(isc_sb *b) {
  char *text;
  ISC_TRY(isc_sb_finish(b, &text));
  fputs(text, stdout);
  free(text);
  return ISC_OK;
}

static int fail(void) {
  isc_cli_fail(ISC_E_INTERNAL);
  return CANNOT_WORK;
}

static int list_checks(form f) {
  isc_sb b = {0};
  isc_status st = ISC_OK;
  if (f == FORM_JSON)
    st = isc_checks_json(&b);
  else if (f == FORM_MARKDOWN)
    isc_checks_markdown(&b);
  else
    isc_checks_text(&b);
  if (st == ISC_OK) st = print(&b);
  isc_sb_free(&b);
  return st == ISC_OK ? 0 : fail();
}

static isc_status show(const isc_conform_report *r, form f) {
  isc_sb b = {0};
  isc_status st = ISC_OK;
  if (f == FORM_JSON)
    st = isc_conform_json(&b, r);
  else if (f == FORM_TAP)
    isc_conform_tap(&b, r);
  else
    isc_conform_text(&b, r);
  if (st == ISC_OK) st = print(&b);
  isc_sb_free(&b);
  /* Whoever reads TAP or JSON may not look for it there. */
  for (int64_t i = 0; i < r->n_plugins; i++)
    if (r->plugins[i].problem)
      fprintf(stderr, "inversescope: %s: %s\n", isc_cli_safe(r->plugins[i].path),
              isc_cli_safe(r->plugins[i].problem));
  return st;
}

static int check(arguments *a) {
  isc_conform_report report = {0};
  char *program = NULL;
  isc_status st = isc_conform_program(&program);
  int code = CANNOT_WORK;
  a->request.program = program;
  isc_cli_catch_signals();
  signal(SIGCHLD, SIG_DFL); /* where it is ignored, nobody learns how a child ended */
  if (st == ISC_OK) st = isc_conform_run(&a->request, &report);
  if (st == ISC_OK) {
    code = isc_conform_exit_code(&report);
    st = show(&report, a->form);
  }
  free(program);
  isc_conform_report_free(&report);
  return st == ISC_OK ? code : fail();
}

static int run(int argc, char **argv) {
  arguments a = {.request = {.seed = 1, .timeout_scale = 1}};
  size_t letters = 1;
  int code = CANNOT_WORK;
  isc_status st = ISC_OK;
  for (int i = 0; i < argc; i++)
    letters += strlen(argv[i]) + 1;
  ISC_GO(isc_calloc((size_t)argc, sizeof *a.plugins, "arguments", (void **)&a.plugins));
  ISC_GO(isc_calloc(letters, sizeof *a.only, "arguments", (void **)&a.only));
  ISC_GO(isc_malloc(letters, "arguments", (void **)&a.ids));
  code = parse(&a, argc, argv);
  if (!code) code = a.list ? list_checks(a.form) : check(&a);
done:
  if (st != ISC_OK) code = fail();
  free(a.plugins);
  free(a.only);
  free(a.ids);
  return code;
}

const isc_command isc_command_conform = {
    .name = "conform",
    .synopsis = "conform [--json|--tap] [--seed N] [--only ID,…] [--class KIND/NAME] [--case NAME] "
                "[--cases FILE|DIR] [--jobs N] [--timeout-scale X] PLUGIN… | conform --list "
                "[--json|--markdown]",
    .summary = "Check that plugins keep the contracts of their kinds",
    .help =
        "  --json             one JSON document on standard output\n"
        "  --tap              TAP version 13, for test harnesses\n"
        "  --seed N           seed of everything random, 1 by default\n"
        "  --only ID,…        only these checks\n"
        "  --class KIND/NAME  only this class\n"
        "  --case NAME        only this case\n"
        "  --cases FILE|DIR   the case file, or a directory with x.conform.cfg or x.cfg for x.so\n"
        "  --jobs N           checks at once, one for each CPU by default\n"
        "  --timeout-scale X  multiply the time limits, for a slow or busy machine\n"
        "  --list             print the checks and their rules; with --json, or as --markdown\n\n"
        "PLUGIN is an x.so, or KIND/NAME of a class that `inversescope plugins` lists: then the "
        "checks "
        "of the\nfile as a whole are left out. Every check runs in a process of its own. Settings "
        "to "
        "check a class\nwith come from x.conform.cfg beside x.so.\n\n"
        "Exit codes: 0 all passed (some may be skipped), 1 some failed, 2 some crashed or timed "
        "out,\n3 the tool could not do its work, 77 there was nothing to check or all was skipped; "
        "of "
        "several the\nfirst of 3, 2, 1, 77, 0.\n",
    .run = run};
