/* SPDX-License-Identifier: Apache-2.0
 *
 * One stage of a run: its directory, its fingerprint, and the record that it is finished.
 *
 * `stage.key` holds the fingerprint of work in progress, `stage.json` that of finished work with the files it left.
 * A stage whose stage.json agrees is up to date; one whose stage.key agrees, and that never was finished, resumes; any
 * other starts empty.
 */
#ifndef ISC_CORE_STAGE_H
#define ISC_CORE_STAGE_H

#include "run/run.h"
#include "run/spent.h"

typedef struct isc_curve_point {
  int64_t step;
  double value[8];
} isc_curve_point;

/* Metrics of a stage over its steps, thinned; kept in curve.csv beside the checkpoint. */
typedef struct isc_curve {
  char names[8][24];
  int64_t n_names;
  int64_t n_common; /* metrics of the first point: those of every step */
  isc_curve_point *point;
  int64_t n, cap;
} isc_curve;

/* A run in progress. */
typedef struct isc_run_state {
  isc_study *study;
  const isc_run_request *request;
  FILE *log; /* log.jsonl, appended                */
  double started;
  const isc_study_method *method; /* whose stage is in progress        */
  char stage[96];                 /* the one in progress                */
  char *stage_dir;
  isc_meter meter;
  double stage_started, last_checkpoint, last_logged;
  isc_curve curve;
  bool curve_unsaved; /* a checkpoint was due and the curve or the count could not be written */
} isc_run_state;

typedef isc_status (*isc_stage_fn)(isc_run_state *r, void *arg);

/* Bring a stage up to date: skip, resume or start it, by `key` (its fingerprint in hex). */
isc_status isc_stage_run(isc_run_state *r, const char *name, const char key[33], isc_stage_fn fn,
                         void *arg);

/* Remove a directory and all it holds; one that is not there is fine. */
isc_status isc_stage_remove(const char *dir);

/* Is the stage in `dir` finished with this fingerprint, and are its files still there? */
bool isc_stage_is_done(const char *dir, const char key[33]);

/* Report progress of the stage in progress: events, log.jsonl (every few seconds), the curve. */
isc_status isc_stage_progress(isc_run_state *r, int64_t done, int64_t total, const isc_metric *m,
                              int64_t n);
/* A fact worth keeping: `text` for people, and a line of log.jsonl with `members` ("\"name\":value,…"). */
void isc_stage_note(isc_run_state *r, const char *event, const char *members, const char *text);
bool isc_stage_stopping(const isc_run_state *r);
/* ISC_E_INTERRUPTED when asked to stop, else ISC_OK. */
isc_status isc_stage_check(const isc_run_state *r);
/* Write the curve and the count so far; a checkpoint must never be ahead of them. False when they could not be written. */
bool isc_stage_save_curve(isc_run_state *r);
/* Is a checkpoint due? Keeps both on disk in step with it. */
bool isc_stage_checkpoint_due(isc_run_state *r);

/* What a trainer reports to while the stage is in progress (stage_train.c). */
isc_train_io isc_stage_io(isc_run_state *r);

/* ---- curve.c */
ISC_API isc_status isc_curve_add(isc_curve *c, int64_t done, int64_t total, const isc_metric *m,
                                 int64_t n);
ISC_API isc_status isc_curve_write(const isc_curve *c, const char *dir);
ISC_API isc_status isc_curve_read(isc_curve *c, const char *dir); /* empty when there is none */
ISC_API void isc_curve_free(isc_curve *c);

/* ---- fingerprints (fingerprint.c): 32 hex digits each */
isc_status isc_key_harvest(isc_study *s, char key[33]);
/* max_steps: of the stage's budget, 0 = none. */
isc_status isc_key_method(isc_study *s, const isc_study_method *m, int64_t stage, int64_t max_steps,
                          const char harvest[33], const char previous[33], char key[33]);
isc_status isc_key_sample(isc_study *s, const isc_study_method *m, const char harvest[33],
                          const char trained[33], char key[33]);
isc_status isc_key_score(isc_study *s, const char sample[33], char key[33]);
isc_status isc_key_compare(isc_study *s, const isc_study_method *m, const char before[33],
                           const char score[33], char key[33]);
isc_status isc_key_report(isc_study *s, const char scores[33], char key[33]);
isc_status isc_key_pretrain(isc_study *s, char key[33]);

/* ---- the stages */
typedef struct isc_training {
  int64_t stage;     /* of r->method            */
  int64_t max_steps; /* of its budget, 0 = none */
} isc_training;
isc_status isc_stage_harvest(isc_run_state *r, void *arg);
isc_status isc_stage_train(isc_run_state *r, void *arg /* isc_training */);
isc_status isc_stage_sample(isc_run_state *r, void *arg);
isc_status isc_stage_score(isc_run_state *r, void *arg);
isc_status isc_stage_compare(isc_run_state *r, void *arg);
isc_status isc_stage_report(isc_run_state *r, void *arg);

#endif
