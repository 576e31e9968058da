/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope run: bring a study up to date and show its report.
 */
#include "base/base.h"
#include "cli/cli.h"
#include "report/report.h"
#include "run/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_begin(void *user, const char *stage, const char *why) {
  isc_progress_line(user, "%s (%s)", stage, why);
}

static void on_progress(void *user, const char *stage, int64_t done, int64_t total,
                        const isc_metric *m, int64_t n, double seconds) {
  char text[160] = "";
  size_t len = 0;
  for (int64_t i = 0; i < n && i < 4 && len < sizeof text; i++)
    len += (size_t)snprintf(text + len, sizeof text - len, "%s%s %.4g", i ? "  " : "", m[i].name,
                            m[i].value);
  isc_progress_show(user, stage, done, total, text, seconds);
}

static void on_end(void *user, const char *stage, double seconds) {
  if (seconds < 0)
    isc_progress_line(user, "%s (up to date)", stage);
  else
    isc_progress_line(user, "%s done in %.1f s", stage, seconds);
}

static void on_note(void *user, const char *text) {
  isc_progress_line(user, "%s", isc_cli_safe(text));
}

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
  const char *value = NULL;
  char *report = NULL;
  int code = 0;
  if (!set) return isc_cli_fail(isc_fail(ISC_E_NOMEM, "no memory for the command line"));
  for (int i = 1; i < argc && !code; i++) {
    if (isc_cli_option(argc, argv, &i, "--set", &value)) {
      if (!value)
        code = isc_cli_usage(&isc_command_run, "--set needs path=value");
      else
        set[req.source.n_overrides++] = value;
    } else if (isc_cli_option(argc, argv, &i, "--dir", &req.dir)) {
      if (!req.dir) code = isc_cli_usage(&isc_command_run, "--dir needs a directory");
    } else if (!strcmp(argv[i], "--allow-outside-includes")) {
      req.source.allow_outside_includes = true;
    } else if (argv[i][0] == '-') {
      code = isc_cli_usage(&isc_command_run, "%s: unknown option", isc_cli_safe(argv[i]));
    } else if (req.source.path) {
      code = isc_cli_usage(&isc_command_run, "one config at a time, not also %s",
                           isc_cli_safe(argv[i]));
    } else {
      req.source.path = argv[i];
    }
  }
  if (!code && !req.source.path) code = isc_cli_usage(&isc_command_run, "which config?");
  if (!code) {
    req.source.overrides = set;
    isc_progress_init(&progress);
    req.events = (isc_run_events){.user = &progress,
                                  .begin = on_begin,
                                  .progress = on_progress,
                                  .end = on_end,
                                  .note = on_note};
    isc_cli_catch_signals();
    const isc_status st = isc_run(&req, &report);
    if (progress.open) isc_progress_line(&progress, "interrupted");
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
