/* SPDX-License-Identifier: Apache-2.0
 *
 * A study small enough to run many times in a test, and what a test asks of run directories.
 *
 * Its target is made by the pretraining it is shipped with, its prior has 96 prompts, and every size is a handful.
 */
#ifndef ISC_TESTS_SUPPORT_RUN_H
#define ISC_TESTS_SUPPORT_RUN_H

#include "run/run.h"

/* Copy tests/data/micro (study.cfg, pretrain.cfg and prior.inc) into `dir`. */
void isc_micro_write(const char *dir);
/* Make dir/model by dir/pretrain.cfg. */
void isc_micro_pretrain(const char *dir);
/* A fresh scratch directory. The path lasts as long as the test. */
const char *isc_scratch(const char *name);
/* One with those files and the target in model/. */
const char *isc_micro_new(const char *name);

/* Run dir/study.cfg in this process with settings overridden (`set` NULL-terminated, or NULL), into dir/`run`. */
isc_status isc_micro_run(const char *dir, const char *run, const char *const *set,
                         const isc_run_events *events, const volatile sig_atomic_t *stop);
/* The same in a child process. Returns its exit status: the exit code of its isc_status, or −signal. A failure's message
 * lies in dir/child.err. */
int isc_micro_run_child(const char *dir, const char *run, const char *const *set,
                        const isc_run_events *events);
/* The stages that such a run redoes, in order, as "control sample score report"; "" when all are up to date. Asserts
 * success. Static, until the next call. */
const char *isc_micro_redone(const char *dir, const char *run, const char *const *set);

/* Every regular file below a directory. */
typedef struct isc_snapshot_file {
  char *path; /* relative */
  int64_t size, mtime_ns;
  char hash[33];
} isc_snapshot_file;
typedef struct isc_snapshot {
  isc_snapshot_file *file; /* sorted by path */
  int64_t n;
} isc_snapshot;
typedef enum isc_snapshot_what {
  ISC_SAME_BYTES, /* paths and contents                    */
  ISC_UNTOUCHED   /* modification times as well            */
} isc_snapshot_what;

/* Of dir/`sub`, but for what tells of the process and not of the study: run.json, log.jsonl, config.cfg and .lock. */
isc_snapshot isc_snapshot_of(const char *dir, const char *sub);
void isc_snapshot_free(isc_snapshot *s);
/* The first difference in words, or NULL. Static. */
const char *isc_snapshot_difference(const isc_snapshot *a, const isc_snapshot *b,
                                    isc_snapshot_what what);
/* Assert that two run directories below `dir` hold the same bytes. */
void isc_assert_same_runs(const char *dir, const char *a, const char *b, const char *told);

/* The program: `args` NULL-terminated, without its name. out and err are malloc'd. `before` runs in the child (NULL =
 * nothing). */
typedef struct isc_cli {
  int status; /* exit code, or −signal */
  char *out, *err;
} isc_cli;
isc_cli isc_cli_run(const char *cwd, const char *const *args, void (*before)(void));
void isc_cli_free(isc_cli *c);

/* Path dir/name. Static buffer: valid until the eighth next call. */
const char *isc_test_path(const char *dir, const char *name);
/* A whole file, malloc'd, with a NUL behind it; asserts that it is there. */
char *isc_test_read(const char *dir, const char *name, size_t *len);
void isc_test_write(const char *dir, const char *name, const void *data, size_t len);

#endif
