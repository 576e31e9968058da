/* SPDX-License-Identifier: Apache-2.0
 *
 * Fresh activations for a method, from the study's target.
 */
#ifndef ISC_CORE_STUDY_HARVEST_H
#define ISC_CORE_STUDY_HARVEST_H

#include <inversescope/method.h>

/* isc_method_env.harvest of an environment whose core is an isc_study. Training inputs only. */
isc_status isc_study_env_harvest(const isc_method_env *env, int64_t site, const int64_t *row,
                                 const int64_t *position, int64_t n, float *out);

#endif
