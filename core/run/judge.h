/* SPDX-License-Identifier: Apache-2.0
 *
 * What the study says of a batch of texts: their activations, whether they are of the prior, their labels.
 *
 * Every text is judged the same way wherever it came from: a held-out input, a sample, the enumerated prior, or a
 * user's question.
 */
#ifndef ISC_CORE_JUDGE_H
#define ISC_CORE_JUDGE_H

#include "eval/distance.h"
#include "eval/labels.h"
#include "run/study.h"

typedef struct isc_judge {
  isc_study *study;
  isc_isometry *isometry; /* [n_sites]           */
  isc_labels labels;      /* of all features     */
  float **factor;         /* [n_sites] host [room, stored] */
  int64_t room;
} isc_judge;

/* Verdicts on n texts; arrays grow to the largest batch and are reused. */
typedef struct isc_verdicts {
  int64_t n, room;
  bool *unread;   /* [n] the target cannot read it (a word it lacks, too long): no activation */
  double *log_p;  /* [n] −INFINITY outside the prior; NaN when the prior cannot tell         */
  int32_t *label; /* [n, n_features]                                                          */
  float **y;      /* [n_sites] host [n, width]: isometric coordinates                         */
  int64_t n_sites;
} isc_verdicts;

isc_status isc_judge_open(isc_study *s, isc_judge *out);
void isc_judge_close(isc_judge *j);
isc_status isc_judge_texts(isc_judge *j, const char *const *text, const size_t *len, int64_t n,
                           isc_verdicts *v);
void isc_verdicts_free(isc_verdicts *v);

/* d(z(x), ẑ) as the site's kernel measures it. */
double isc_judge_distance(const isc_judge *j, int64_t site, const float *y, const float *y_hat);

#endif
