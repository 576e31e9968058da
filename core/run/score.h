/* SPDX-License-Identifier: Apache-2.0
 *
 * The score stage's working set: samples, verdicts, distances, and the evaluation made of them.
 */
#ifndef ISC_CORE_SCORE_H
#define ISC_CORE_SCORE_H

#include "eval/eval.h"
#include "run/judge.h"
#include "run/samples.h"
#include "run/stage.h"

/* The smallest distances of a sample's activations to ẑ over its positions: by the kernel, 1 − cos, ‖z − ẑ‖/‖ẑ‖. */
typedef struct isc_nearest {
  double kernel, angular, normalised;
} isc_nearest;

typedef struct isc_score {
  isc_run_state *run;
  isc_study *study;
  isc_judge judge;
  isc_samples samples;
  isc_verdicts condition;        /* of the held-out x̂                                      */
  isc_text *condition_text;      /* [n_conditions]                                         */
  isc_sample_distance *distance; /* [rows] for any kernel                                  */
  double *d;                     /* [rows] by the study's kernel                           */
  isc_nearest *nearest;          /* [rows] over all positions; NULL = not asked for        */
  double *log_p;                 /* [n_texts]                                              */
  int32_t **label;               /* [n_features] → [n_texts]                               */
  int32_t **label_hat;           /* [n_features] → [n_conditions]                          */
  isc_verdicts support;          /* of every input of the prior, or n = 0                  */
  int32_t **support_label;       /* [n_features] → [support.n]                             */
  double *exact;                 /* [n_sites, n_features, n_conditions] or NULL            */
  double *exact_ess;             /* [n_sites, n_conditions] or NULL                        */
  int64_t *ball;                 /* [n_sites, n_conditions] or NULL                        */
  double *chance;                /* [n_features, n_conditions]                             */
  isc_eval *eval;
} isc_score;

/* score_exact.c: enumerate the prior, when it is small enough to, and the chance levels. */
isc_status isc_score_exact(isc_score *s);
/* Rows of the samples ordered by text: those of text t are order[start[t]] … order[start[t + 1] − 1]; both malloc'd. */
isc_status isc_score_rows_by_text(const isc_samples *s, int64_t **start, int64_t **order);
/* score_any.c: s->nearest. */
isc_status isc_score_any(isc_score *s);
/* score_conditions.c: what each condition came to at each site, for comparisons (conditions.h). */
isc_status isc_score_conditions(const isc_score *s, const char *path);
/* score_json.c: the document of docs/report.md. */
isc_status isc_score_write(const isc_score *s, const char *path);

#endif
