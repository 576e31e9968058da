/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope run: bring a study up to date and show its report.
 */
#include "cli/events.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

static int show_report(const char *dir) {
  char *table = NULL;
  isc_status st = isc_report_table(dir, &table);
  if (st != ISC_OK) return isc_cli_fail(st);
  fputs(table, stdout);
  printf("\nreport: %s/report.html\n", dir);
  free(table);
  return 0;
}

static int run(int argc, char **argv) {
  const char **set = calloc((size_t)argc + 1, sizeof *set);
  isc_progress progress;
  isc_run_request req = {.report = isc_report_write, .stop = &isc_cli_stop};
  char *report = NULL;
  if (!set) return isc_cli_fail(isc_fail(ISC_E_NOMEM, "no memory for the command line"));
  int code = isc_cli_parse_source(&isc_command_run, argc, argv, set, &req);
  if (!code) {
    req.events = isc_cli_events(&progress);
    isc_cli_catch_signals();
    const isc_status st = isc_run(&req, &report);
    isc_progress_close(&progress);
    code = st == ISC_OK ? show_report(report) : isc_cli_fail(st);
  }
  free(report);
  free(set);
  return code;
}

const isc_command isc_command_run = {
    .name = "run",
    .synopsis = "run CONFIG [--set PATH=VALUE]… [--dir DIR]",
    .summary = "Run a study from its config file, or bring it up to date",
    .help =
        "  --set PATH=VALUE          override a setting: --set evaluate.samples=32\n"
        "  --dir DIR                 the run directory, instead of run.dir\n"
        "  --allow-outside-includes  let @include leave the config's own directory\n\n"
        "What has not changed since the last run is not redone. Ctrl-C checkpoints and exits 75.\n",
    .run = run};
