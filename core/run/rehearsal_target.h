/* SPDX-License-Identifier: Apache-2.0
 *
 * The target in a rehearsal: it is on the device all along, as in a run, and its harvest comes first.
 */
#ifndef ISC_CORE_REHEARSAL_TARGET_H
#define ISC_CORE_REHEARSAL_TARGET_H

#include "run/rehearsal.h"
#include "tensor/plan_device.h"

typedef struct isc_rehearsed_target {
  isc_target target;
  isc_site_set sites;
  isc_step *step;
} isc_rehearsed_target;

/* Makes the study's target on the device, without its weights' values, and runs the first texts through it. Fills harvest_flops and
 * harvest_memory of *out. Closed by isc_rehearsed_target_close also after a failure. */
isc_status isc_rehearse_target(const isc_study *s, const isc_study_plan *plan, isc_plan_device *dev,
                               isc_rehearsed_target *t, isc_rehearsal *out);
void isc_rehearsed_target_close(isc_rehearsed_target *t); /* zeros are fine */

#endif
