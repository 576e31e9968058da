/* SPDX-License-Identifier: Apache-2.0
 *
 * Checking plugins: every check in a process of its own, and what came of it.
 *
 * Runs no code of a plugin in this process.
 */
#ifndef ISC_CORE_CONFORM_RUNNER_H
#define ISC_CORE_CONFORM_RUNNER_H

#include "base/base.h"
#include "conform/conform.h"

typedef struct isc_conform_request {
  const char *const
      *plugins; /* [n_plugins] an x.so, or KIND/NAME of any class that is found       */
  int64_t n_plugins;
  const char *const *only; /* [n_only] IDs; none = all                                           */
  int64_t n_only;
  const char *cls, *cs; /* only this KIND/NAME, only this case; NULL = all                    */
  const char *cases;    /* case file or directory of case files; NULL = where they usually lie */
  uint64_t seed;        /* of everything random                                               */
  int jobs;             /* checks at once; 0 = one for each CPU                               */
  double timeout_scale; /* 1 = as the checks say                                              */
  const char *program;  /* for the replay commands                                            */
} isc_conform_request;

typedef enum isc_outcome {
  ISC_PASSED,
  ISC_FAILED,
  ISC_CRASHED,
  ISC_TIMED_OUT,
  ISC_SKIPPED
} isc_outcome;
enum { ISC_OUTCOMES = 5 };

typedef struct isc_conform_result {
  const isc_check *check;
  const char *cls,
      *cs; /* "kernel/hard", "default"; "" where the check is of no class, no case       */
  isc_outcome outcome;
  const char
      *message; /* "" when it passed                                                          */
  const char
      *output; /* the end of what its process printed; "" without                            */
  const char
      *replay; /* a command line that does this again                                        */
  double seconds;
} isc_conform_result;

typedef struct isc_conform_class {
  const char *kind, *name, *version;
} isc_conform_class;

typedef struct isc_conform_plugin {
  const char *path;       /* absolute, or KIND/NAME of a class of the library     */
  const char *cases_file; /* NULL without one                                     */
  const char *problem;    /* why the tool could not do all its work; NULL = it could */
  isc_conform_class *classes;
  int64_t n_classes;
  isc_conform_result *results; /* in an order that does not depend on how they ran     */
  int64_t n_results;
} isc_conform_plugin;

typedef struct isc_conform_report {
  uint64_t seed;
  isc_conform_plugin *plugins;
  int64_t n_plugins;
  int64_t totals[ISC_OUTCOMES];
  isc_pool pool; /* of everything above */
} isc_conform_report;

/* Check the plugins. Fails only when the tool cannot work: no such plugin, check, class or case (the message names the
 * nearest), no checker process, or ISC_E_INTERRUPTED. One thread. */
isc_status isc_conform_run(const isc_conform_request *request, isc_conform_report *out);
void isc_conform_report_free(isc_conform_report *r);

/* 0 all passed, 1 some failed, 2 some crashed or timed out, 3 the tool could not do its work, 77 nothing was checked; of
 * several the first of 3, 2, 1, 77, 0. */
int isc_conform_exit_code(const isc_conform_report *r);
const char *isc_outcome_name(isc_outcome o); /* "timed out" */

/* The part of docs/conformance.md about a check: "docs/conformance.md#any-load", in the caller's buffer. */
const char *isc_check_doc(const isc_check *check, char *room, size_t size);

#endif
