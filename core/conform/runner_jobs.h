/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the runner: many processes, a few at once, each with a time limit.
 *
 * Knows nothing of plugins. A process that hangs, forks, or prints without end costs its time limit and no more.
 */
#ifndef ISC_CORE_CONFORM_RUNNER_JOBS_H
#define ISC_CORE_CONFORM_RUNNER_JOBS_H

#include "base/base.h"

enum { ISC_JOB_ANSWER_FD = 3, ISC_JOB_ANSWER_MAX = 1 << 20, ISC_JOB_OUTPUT_MAX = 4096 };

typedef struct isc_job {
  const char *const *argv; /* NULL-terminated; argv[0] is the program's path                   */
  const char *scratch;     /* made before it starts and removed with all in it; NULL = none    */
  double limit;            /* seconds                                                          */
  /* How it ended. */
  isc_sb answer;   /* what it wrote to ISC_JOB_ANSWER_FD                               */
  isc_sb output;   /* the end of what it printed                                       */
  bool timed_out;  /* it was killed at its limit                                       */
  int signal;      /* that ended it, or 0                                              */
  int exit_status; /* when no signal did                                               */
  double seconds;
} isc_job;

/* Run them all, `at_once` at a time, in order. With `library_dir` it is where the children's dynamic linker looks first.
 * When the program is asked to stop: kills what runs and returns ISC_E_INTERRUPTED. One thread. */
isc_status isc_jobs_run(isc_job *jobs, int64_t n, int at_once, const char *library_dir);
void isc_job_free(isc_job *j);
/* Remove a directory and everything in it, as far as that is possible. */
void isc_remove_tree(const char *path);

#endif
