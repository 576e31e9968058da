/* SPDX-License-Identifier: Apache-2.0
 *
 * The same samples under other bandwidths ε (paper E.2): distances are stored, so only weights change.
 *
 * `plain` is not among the estimators, as the generator was trained for one ε; `reject` and `snis` are of samples that were
 * drawn for it, and starve where few of them are near enough.
 */
#ifndef ISC_CORE_ABLATION_H
#define ISC_CORE_ABLATION_H

#include "run/score.h"

enum { ISC_ABLATION_TOP = 5 };

/* At one ε. Arrays [n_sites, n_features, ISC_ESTIMATORS] and [n_sites]; plain stays empty. */
typedef struct isc_ablation_at {
  double epsilon;
  isc_fcr *fcr;
  isc_interval *refusal;
} isc_ablation_at;

typedef struct isc_ablation {
  isc_ablation_at *at;
  int64_t n;
} isc_ablation;

/* Whether the kernel can be opened with each of evaluate.epsilons: ISC_E_CONFIG says why not. */
isc_status isc_ablation_check(const isc_study *s);
/* After the evaluation. */
isc_status isc_ablation_find(isc_score *s, isc_ablation **out);
void isc_ablation_close(isc_ablation *a); /* NULL is fine */
/* ablation_json.c: the part "ablation" of the document. ISC_E_NOMEM. */
isc_status isc_ablation_part(const isc_score *s, const isc_ablation *a, json_t **out);

#endif
