/* SPDX-License-Identifier: Apache-2.0
 *
 * What is made of a row of logits on the host: a token's log-probability, and draws from a part of the vocabulary.
 */
#ifndef ISC_CORE_LOGITS_H
#define ISC_CORE_LOGITS_H

#include <inversescope/status.h>
#include <stdint.h>

/* log softmax(logits)[id], summed in double. NaN where a logit is NaN or +infinity. */
ISC_API double isc_logits_logp(const float *logits /* [vocab] */, int64_t vocab, int32_t id);

/* Which tokens may be drawn: the top_k likeliest (0 = all; of equals the lower id first), and of these the fewest that
 * have top_p of their probability (1 = all), at this temperature > 0. */
typedef struct isc_draw_law {
  double temperature, top_p;
  int64_t top_k;
} isc_draw_law;

/* The token whose interval holds `u` in (0, 1), the likeliest token's interval first; *log_q is the log-probability that it had
 * among those that may be drawn. `room` is scratch. NaN or +infinity among the logits → ISC_E_NUMERIC. */
ISC_API isc_status isc_logits_draw(const float *logits /* [vocab] */, int64_t vocab,
                                   const isc_draw_law *law, double u, int32_t *room /* [vocab] */,
                                   int32_t *id, double *log_q);

#endif
