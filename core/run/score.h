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

#include <jansson.h>

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
  int64_t n_draws;     /* of training inputs, by which chance is judged when there is no support */
  int32_t *draw_label; /* [n_features, n_draws] or NULL                          */
  isc_eval *eval;
  struct isc_insight *insight; /* or NULL */
  struct isc_scatter *scatter;
  struct isc_ablation *ablation; /* or NULL */
} isc_score;

/* score_exact.c: enumerate the prior, when it is small enough to, and the chance levels. */
isc_status isc_score_exact(isc_score *s);
/* Rows of the samples ordered by text: those of text t are order[start[t]] … order[start[t + 1] − 1]; both malloc'd. */
isc_status isc_score_rows_by_text(const isc_samples *s, int64_t **start, int64_t **order);
/* score_any.c: s->nearest. */
isc_status isc_score_any(isc_score *s);
/* score_conditions.c: what each condition came to at each site, for comparisons (conditions.h). */
isc_status isc_score_conditions(const isc_score *s, const char *path);
/* The first of the training inputs, that stand for the prior where it is not enumerated. */
int64_t isc_score_draws(const isc_study *study);
/* score_set.c: the samples of a site as the estimators read them; start [n_conditions + 1] is filled. */
isc_sample_set isc_score_set(const isc_score *s, int64_t site, int64_t *start);
/* score_json.c: the document of docs/report.md. */
isc_status isc_score_write(const isc_score *s, const char *path);

/* score_value.c: values of the document. NaN becomes null, an infinity ±1e308, bytes that are not UTF-8 U+FFFD, and an
 * interval of no condition null. NULL when there is no memory. */
json_t *isc_score_number(double x);
json_t *isc_score_integer(int64_t x);
json_t *isc_score_string(const char *s);
json_t *isc_score_interval(const isc_interval *i);

#endif
