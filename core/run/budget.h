/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a baseline may train: until it has taken what the study's own method took.
 *
 * The budget becomes a number of steps before the training begins, so that its schedule ends with it and a killed run goes on to
 * the same end. What a step takes is measured on a few steps of a trial; the number is kept in budget.json of the baseline's
 * directory. A baseline with several stages has an equal share for each.
 */
#ifndef ISC_CORE_BUDGET_H
#define ISC_CORE_BUDGET_H

#include "run/stage.h"

/* Steps of training stage `stage` of r->method; 0 = as many as its own options say. The own method's stages must be finished, the
 * baseline's earlier ones loaded. */
isc_status isc_budget_settle(isc_run_state *r, int64_t stage, const char harvest[33],
                             const char previous[33], int64_t *max_steps);
/* The same of a run that settled it. ISC_E_MISSING when it has not. */
isc_status isc_budget_known(isc_study *s, const isc_study_method *m, int64_t stage,
                            int64_t *max_steps);

#endif
