/* SPDX-License-Identifier: Apache-2.0
 *
 * The set of parameters of a model, as the files of core/tensor see it.
 *
 * Each parameter is allocated on its own so that pointers to it stay valid while the set grows.
 */
#ifndef ISC_CORE_PARAMS_H
#define ISC_CORE_PARAMS_H

#include <inversescope/parameters.h>

enum { ISC_PARAM_GROUPS = 8 }; /* of isc_optimizer */

struct isc_params {
  isc_device *dev;
  isc_param **at; /* [count] */
  uint64_t *hash; /* [count] of the names */
  int64_t count, capacity;
  isc_adamw *update;      /* [capacity] the list of one optimizer step */
  const isc_adamw **list; /* [capacity] pointers to it */
};

/* FNV-1a: which stream of random numbers a parameter is initialised from. */
uint64_t isc_param_hash(const char *name);
/* Zero-filled AdamW moments, if there are none yet. */
isc_status isc_param_need_moments(isc_params *p, isc_param *q);

#endif
