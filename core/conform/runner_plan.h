/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the runner: what is to be checked, and what the checker process told of it.
 *
 * First every plugin is listed, then the results are laid out in their order, then those to be had are run for.
 */
#ifndef ISC_CORE_CONFORM_RUNNER_PLAN_H
#define ISC_CORE_CONFORM_RUNNER_PLAN_H

#include "conform/runner.h"
#include "conform/runner_jobs.h"
#include <jansson.h>

/* What one process said and how it ended. */
typedef struct isc_verdict {
  isc_outcome outcome;
  const char *message; /* the pool's */
  const char *output;
  json_t *answer; /* NULL when it gave none that can be read */
  bool broken;    /* the checker itself could not work       */
} isc_verdict;

typedef struct isc_target {
  const char *path;    /* as in isc_conform_plugin                                     */
  const char *cls;     /* only this class; NULL = all                                  */
  isc_verdict listing; /* passed: answer is what checker_list.c tells                  */
} isc_target;

typedef struct isc_run_plan {
  const isc_conform_request *request;
  isc_conform_report *report;
  isc_pool *pool; /* the report's */
  char *checker, *library_dir, *scratch, *cases;
  isc_target *targets; /* [report->n_plugins] */
} isc_run_plan;

/* Find out what each argument means: a file, or a class. */
isc_status isc_plan_targets(isc_run_plan *p);
/* Does everything that was asked for by name exist in what was listed? */
isc_status isc_plan_check_names(isc_run_plan *p);
isc_status isc_plan_check_ids(const isc_conform_request *r);
/* The results of plugin `i`: those to run have no message yet, the others say why they are skipped. */
isc_status isc_plan_results(isc_run_plan *p, int64_t i);

/* The checker process's arguments: NULL-terminated, the pool's. With `r` it does that check, else it lists. */
isc_status isc_plan_argv(isc_run_plan *p, const isc_target *t, const isc_conform_result *r,
                         const char *scratch, const char *const **out);
/* The same as a user would type it. */
isc_status isc_plan_replay(isc_run_plan *p, const isc_target *t, const isc_conform_result *r,
                           const char **out);

/* What a finished job means; `doing` is "the check" or "its loading". */
isc_status isc_verdict_of(isc_pool *pool, const isc_job *j, const char *doing, isc_verdict *out);

#endif
