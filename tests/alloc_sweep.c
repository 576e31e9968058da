/* SPDX-License-Identifier: Apache-2.0
 *
 * A micro study again and again, each time with another of its allocations failing: it must end with ISC_E_NOMEM, or do
 * without what that was for, such as a line of log, and come to the same report.
 *
 * Not a Criterion program, which would hide leaks: leaks.sh runs it under a memory checker, in a directory with study.cfg
 * and model/.
 */
#include "base/base.h"
#include "report/report.h"
#include "run/run.h"

#include <stdlib.h>

static const char *const SETTINGS[] = {"method.backbone.steps=2", "method.control.steps=2",
                                       "evaluate.conditions=2", "evaluate.samples=2",
                                       "evaluate.unconditional=4"};

static isc_status run(const char *dir) {
  const isc_run_request req = {
      .source = {.path = "study.cfg", .overrides = SETTINGS, .n_overrides = 5},
      .dir = dir,
      .report = isc_report_write};
  char *report = NULL;
  const isc_status st = isc_run(&req, &report);
  free(report);
  return st;
}

/* Did the run in `dir` come to the whole run's report? */
static bool same_report(const char *dir) {
  isc_digest a, b;
  char path[96];
  snprintf(path, sizeof path, "%s/report/report.json", dir);
  return isc_hash_file("sweep-whole/report/report.json", &a) == ISC_OK &&
         isc_hash_file(path, &b) == ISC_OK && a.hi == b.hi && a.lo == b.lo;
}

int main(int argc, char **argv) {
  const long points = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
  int bad = 0;
  isc_alloc_fail_at(0);
  if (points < 1 || run("sweep-whole") != ISC_OK) {
    fprintf(stderr, "alloc_sweep: %s\n", points < 1 ? "usage: alloc_sweep POINTS" : isc_error());
    return 64;
  }
  const int64_t all = isc_alloc_fail_at(0);
  for (long k = 0; k < points; k++) {
    char dir[64];
    const int64_t n = 1 + k * (all - 1) / points;
    snprintf(dir, sizeof dir, "sweep-%ld", k);
    isc_alloc_fail_at(n);
    const isc_status st = run(dir);
    isc_alloc_fail_at(0);
    if (st == ISC_E_NOMEM || (st == ISC_OK && same_report(dir))) continue;
    fprintf(stderr, "alloc_sweep: allocation %lld of %lld: %s: %s\n", (long long)n, (long long)all,
            isc_status_name(st), isc_error());
    bad = 1;
  }
  printf("%ld of %lld allocations\n", points, (long long)all);
  return bad;
}
