/* SPDX-License-Identifier: Apache-2.0
 *
 * What the methods of a study will take, told by rehearsing them on a device of paper (tensor/paper.h).
 *
 * Each training stage goes through two steps there, and one condition is sampled, so the numbers are those of the method's own
 * code, a plugin's too. Activations are made up, texts are the study's.
 */
#ifndef ISC_CORE_REHEARSAL_H
#define ISC_CORE_REHEARSAL_H

#include "run/plan.h"

enum { ISC_REHEARSED = 8 }; /* stages of a method, at most */

typedef struct isc_rehearsal {
  double harvest_flops;  /* of all texts, at the length of the first ones */
  double harvest_memory; /* of the device at most, in bytes: the target and a batch */
  int64_t n_stages;
  struct {
    const char *name;
    int64_t steps; /* as its options say                                              */
    double flops;  /* of all its steps                                                */
    double tokens; /* with a loss, of all its steps                                   */
    double
        memory; /* of the device at most, in bytes: the target, parameters, moments, gradients, a step, and what the
                      backend keeps of what came before */
  } stage[ISC_REHEARSED];
  int64_t parameters;     /* trained, −1 = it does not say */
  double sampling_flops;  /* of the whole sample stage, at the longest text a method may write */
  double sampling_memory; /* of the device                                                 */
  double scoring_flops;   /* of the target for the score stage, were every sample another text */
} isc_rehearsal;

/* Method `m` of a study that isc_study_read gave. What a stage leaves goes to a directory below `scratch`, which is removed. */
ISC_API isc_status isc_rehearse(const isc_study *s, const isc_study_plan *plan,
                                const isc_study_method *m, const char *scratch, isc_rehearsal *out);

/* Cut a baseline's stages to what its budget gives it, by the rehearsal of the study's own method. A budget of seconds is cut as
 * one of operations. */
ISC_API void isc_rehearsal_hold(isc_rehearsal *r, isc_budget budget, const isc_rehearsal *own);

/* Floating-point operations a second that the study's device reaches on products of f32, measured in a moment. */
ISC_API isc_status isc_measure_rate(isc_device *dev, double *flops_per_second);

#endif
