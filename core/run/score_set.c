/* SPDX-License-Identifier: Apache-2.0
 *
 * The samples of one site, as the estimators read them.
 */
#include "run/score.h"

isc_sample_set isc_score_set(const isc_score *s, int64_t site, int64_t *start) {
  const int64_t n = s->samples.n_samples, n_cond = s->samples.n_conditions, at = site * n_cond * n;
  for (int64_t c = 0; c <= n_cond; c++)
    start[c] = c * n;
  return (isc_sample_set){.n_conditions = n_cond,
                          .n_texts = s->samples.n_texts,
                          .start = start,
                          .d = s->d + at,
                          .log_q = s->samples.log_q + at,
                          .text = s->samples.text + at,
                          .log_p = s->study->prior.ops->log_prob ? s->log_p : NULL};
}
