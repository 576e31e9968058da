/* SPDX-License-Identifier: Apache-2.0
 *
 * What a harvest and a study need of memory and disk, before a weight is read.
 */
#ifndef ISC_CORE_PLAN_H
#define ISC_CORE_PLAN_H

#include "model/memory_plan.h"
#include "run/study.h"

/* Bytes. */
typedef struct isc_harvest_plan {
  isc_site_sum sites;
  int64_t texts, batch, len; /* len: tokens of the longest text          */
  double weights;            /* as the options say                       */
  double pass;               /* a batch's tensors in one forward pass    */
  double waiting;            /* of a streamed model, between layers      */
  double maps;               /* of head sites                            */
  double chunk;              /* activations until they are written       */
  double peak;               /* all of these                             */
  double disk;               /* activations of all texts                 */
} isc_harvest_plan;

ISC_API void isc_harvest_plan_make(const isc_memory_plan *p, const isc_site_sum *sites,
                                   int64_t texts, int64_t batch, int64_t len,
                                   isc_harvest_plan *out);

/* The shape and memory of the model that a target's conf names, from its files' headers, on a device; NULL = one without lanes.
 * ISC_E_UNSUPPORTED for a class that tells no family. */
ISC_API isc_status isc_target_plan(const isc_class *cls, const void *conf, const isc_device *dev,
                                   isc_memory_plan *out);

typedef struct isc_study_plan {
  isc_memory_plan memory;
  isc_harvest_plan harvest;
  int64_t looked_at;         /* training texts that were counted */
  int64_t shortest, longest; /* tokens of these */
} isc_study_plan;

/* Of a study that isc_study_read gave. */
ISC_API isc_status isc_study_plan_make(const isc_study *s, isc_study_plan *out);

/* Memory that this machine has free, in bytes; 0 when it does not say. */
ISC_API double isc_memory_available(void);

#endif
