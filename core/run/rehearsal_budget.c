/* SPDX-License-Identifier: Apache-2.0
 *
 * A rehearsed baseline held to its budget: what it will take is what the study's own method takes, not what its settings say.
 */
#include "run/rehearsal.h"

#include <math.h>

/* Seconds follow operations: both methods run on one device. */
static double measure(const isc_rehearsal *r, int64_t stage, isc_budget b) {
  switch (b) {
  case ISC_BUDGET_STEPS:
    return (double)r->stage[stage].steps;
  case ISC_BUDGET_TOKENS:
    return r->stage[stage].tokens;
  case ISC_BUDGET_SECONDS:
  case ISC_BUDGET_FLOPS:
    return r->stage[stage].flops;
  case ISC_BUDGET_NONE:
    break;
  }
  return 0;
}

/* As isc_budget_settle does it: stages have equal shares, and at least a step. */
void isc_rehearsal_hold(isc_rehearsal *r, isc_budget budget, const isc_rehearsal *own) {
  double share = 0;
  if (budget == ISC_BUDGET_NONE || r->n_stages < 1) return;
  for (int64_t k = 0; k < own->n_stages; k++)
    share += measure(own, k, budget) / (double)r->n_stages;
  for (int64_t k = 0; k < r->n_stages; k++) {
    const double steps = (double)r->stage[k].steps, all = measure(r, k, budget);
    if (!(all > share) || !(share > 0)) continue;
    const double kept = fmax(floor(share / (all / steps)), 1);
    r->stage[k].steps = (int64_t)kept;
    r->stage[k].flops *= kept / steps;
    r->stage[k].tokens *= kept / steps;
  }
}
