/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a study: stages with fingerprints, redone when what they depend on changed and left alone otherwise.
 *
 * The run prints nothing: it tells its caller what happens through isc_run_events, and keeps
 * log.jsonl in the run directory.
 */
#ifndef ISC_CORE_RUN_H
#define ISC_CORE_RUN_H

#include "run/study.h"
#include <signal.h>

typedef struct isc_run_events {
  void *user;
  /* A stage begins: `why` is "new", "changed" or "resumed". */
  void (*begin)(void *user, const char *stage, const char *why);
  void (*progress)(void *user, const char *stage, int64_t done, int64_t total, const isc_metric *m,
                   int64_t n, double seconds);
  /* A stage ended (seconds) or was up to date already (seconds < 0). */
  void (*end)(void *user, const char *stage, double seconds);
  /* One line of information. */
  void (*note)(void *user, const char *text);
} isc_run_events;

typedef struct isc_run_request {
  isc_config_source source;
  const char *dir; /* overrides run.dir; or NULL                              */
  isc_run_events events;
  /* Writes the report of score.json into a directory: the report layer lies above this one. NULL = no report stage. */
  isc_status (*report)(const char *score_json, const char *dir, const char *title);
  const volatile sig_atomic_t
      *stop; /* set by a signal handler: checkpoint, then ISC_E_INTERRUPTED */
} isc_run_request;

/* Bring the run directory up to date. On success *report_dir (malloc'd) is where the report lies. */
ISC_API isc_status isc_run(const isc_run_request *request, char **report_dir);

#endif
