/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking a finished run about a text: what inputs give the activation that this text gives?
 */
#ifndef ISC_CORE_ASK_H
#define ISC_CORE_ASK_H

#include "run/study.h"

typedef struct isc_ask {
  const char *run_dir, *site, *text;
  const char *method; /* name of a baseline; NULL = the study's own */
  int64_t n;
  double temperature; /* < 0 = the run's own */
  int64_t seed;       /* < 0 = the run's own */
} isc_ask;

typedef struct isc_answer_row {
  char *text;
  double d; /* INFINITY outside the norm band, or when the target cannot read the text */
  bool valid, accepted;
  char **label; /* [n_features]; NULL = null label */
  bool *match;  /* [n_features] same label as the text asked about */
} isc_answer_row;

typedef struct isc_answer {
  int64_t n, n_features;
  double epsilon;
  char *site;          /* canonical name   */
  char **feature;      /* [n_features]     */
  char **label;        /* [n_features] of the text asked about; NULL = null */
  isc_answer_row *row; /* [n] sorted by d  */
} isc_answer;

/* Needs the run's trained stages; draws nothing into the run directory. */
ISC_API isc_status isc_ask_run(const isc_ask *ask, isc_answer *out);
ISC_API void isc_answer_free(isc_answer *a);

#endif
