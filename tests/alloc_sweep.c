/* SPDX-License-Identifier: Apache-2.0
 *
 * A micro study again and again, each time with another of its allocations failing: it must end with ISC_E_NOMEM, or do
 * without what that was for, such as a line of log, and come to the same report.
 *
 * Not a Criterion program, which would hide leaks: leaks.sh runs it under a memory checker, in a directory with the study's
 * config and model/.
 */
#include "base/base.h"
#include "report/report.h"
#include "run/run.h"

#include <stdlib.h>
#include <string.h>

static const char *const SETTINGS[] = {"method.backbone.steps=2", "method.control.steps=2",
                                       "evaluate.conditions=2", "evaluate.samples=2",
                                       "evaluate.unconditional=4"};

static isc_status run(const char *config, const char *dir) {
  const isc_run_request req = {.source = {.path = config, .overrides = SETTINGS, .n_overrides = 5},
                               .dir = dir,
                               .report = isc_report_write};
  char *report = NULL;
  const isc_status st = isc_run(&req, &report);
  free(report);
  return st;
}

/* The run's report without the lines that say how long something took. */
static isc_status untimed_report(const char *dir, char **out) {
  char path[160], *text = NULL;
  size_t len;
  isc_sb kept = {0};
  *out = NULL;
  snprintf(path, sizeof path, "%s/report/report.json", dir);
  ISC_TRY(isc_read_file(path, (size_t)1 << 24, &text, &len));
  for (const char *line = text, *end; *line; line = end) {
    const size_t n = strcspn(line, "\n");
    end = line + n + (line[n] == '\n');
    if (strncmp(line + strspn(line, " "), "\"seconds\":", strlen("\"seconds\":")) != 0)
      isc_sb_addn(&kept, line, (size_t)(end - line));
  }
  free(text);
  return isc_sb_finish(&kept, out);
}

/* Did the run in `dir` come to the whole run's report? */
static bool same_report(const char *whole, const char *dir) {
  char *a = NULL, *b = NULL;
  const bool same =
      untimed_report(whole, &a) == ISC_OK && untimed_report(dir, &b) == ISC_OK && strcmp(a, b) == 0;
  free(a);
  free(b);
  return same;
}

int main(int argc, char **argv) {
  const long points = argc == 3 ? strtol(argv[1], NULL, 10) : 0;
  const char *config = argc == 3 ? argv[2] : "";
  char whole[128], dir[128];
  int bad = 0;
  isc_alloc_fail_at(0);
  snprintf(whole, sizeof whole, "%.90s-whole", config);
  if (points < 1 || run(config, whole) != ISC_OK) {
    fprintf(stderr, "alloc_sweep: %s\n",
            points < 1 ? "usage: alloc_sweep POINTS CONFIG" : isc_error());
    return 64;
  }
  const int64_t all = isc_alloc_fail_at(0);
  for (long k = 0; k < points; k++) {
    const int64_t n = 1 + k * (all - 1) / points;
    snprintf(dir, sizeof dir, "%.90s-%ld", config, k);
    isc_alloc_fail_at(n);
    const isc_status st = run(config, dir);
    isc_alloc_fail_at(0);
    if (st == ISC_E_NOMEM || (st == ISC_OK && same_report(whole, dir))) continue;
    fprintf(stderr, "alloc_sweep: allocation %lld of %lld: %s: %s\n", (long long)n, (long long)all,
            isc_status_name(st), isc_error());
    bad = 1;
  }
  printf("%ld of %lld allocations\n", points, (long long)all);
  return bad;
}
