/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope compare: two runs, or a run and its baseline, in pairs.
 */
#include "cli/cli.h"
#include "report/report.h"
#include "run/compare.h"

#include <inversescope/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
  isc_comparison c;
  const char *output; /* directory of files, or NULL */
  bool json;
} arguments;

static int parse(int argc, char **argv, arguments *a) {
  const isc_command *c = &isc_command_compare;
  for (int i = 1; i < argc; i++) {
    if (isc_cli_option(argc, argv, &i, "--output", &a->output)) {
      if (!a->output) return isc_cli_usage(c, "--output needs a directory");
    } else if (!strcmp(argv[i], "--json")) {
      a->json = true;
    } else if (argv[i][0] == '-' || a->c.b) {
      return isc_cli_usage(c, "%s: unknown argument", isc_cli_safe(argv[i]));
    } else {
      *(a->c.a ? &a->c.b : &a->c.a) = argv[i];
    }
  }
  if (!a->c.b) return isc_cli_usage(c, "which two run directories?");
  return 0;
}

static isc_status show(const arguments *a, const char *text) {
  char *table = NULL;
  if (a->output) ISC_TRY(isc_report_comparison_write(text, a->output));
  if (a->json) {
    puts(text);
    return ISC_OK;
  }
  ISC_TRY(isc_report_comparison_table(text, &table));
  isc_cli_print_text(table, strlen(table));
  if (a->output) printf("\nreport: %s/compare.html\n", isc_cli_safe(a->output));
  free(table);
  return ISC_OK;
}

static int run(int argc, char **argv) {
  arguments a = {.c = {.resamples = 2000, .seed = 1}};
  char *text = NULL;
  const int code = parse(argc, argv, &a);
  if (code) return code;
  isc_status st = isc_compare_run(&a.c, &text);
  if (st == ISC_OK) st = show(&a, text);
  free(text);
  return st == ISC_OK ? 0 : isc_cli_fail(st);
}

const isc_command isc_command_compare = {
    .name = "compare",
    .synopsis = "compare RUN_A RUN_B [--output DIR] [--json]",
    .summary = "Hold two finished runs, or a run and its baseline, against each other in pairs",
    .help =
        "  RUN_A, RUN_B  run directories; a baseline's is the directory of its name in its run's\n"
        "  --output DIR  write compare.html, compare.csv and compare.json there\n"
        "  --json        print the document instead of a table\n\n"
        "Sites and features are matched by name, held-out inputs by their text: the runs need the "
        "same prior\n"
        "and seed. Intervals are over those inputs; * marks those that exclude 0.\n",
    .run = run};
