/* SPDX-License-Identifier: Apache-2.0
 *
 * A device on which a plan is tried out: the backend's own one of paper where it has one, which knows its scratch memory and what
 * it keeps, or else the core's.
 */
#ifndef ISC_CORE_TENSOR_PLAN_DEVICE_H
#define ISC_CORE_TENSOR_PLAN_DEVICE_H

#include "tensor/paper.h"

typedef struct isc_plan_device {
  isc_device device;
  isc_paper paper; /* of the core's */
} isc_plan_device;

/* As `of`, opened with these settings of its backend; NULL = the defaults. *out must stay where it is until it is closed. */
isc_status isc_plan_device_open(const isc_device *of, const void *conf, isc_plan_device *out);
void isc_plan_device_close(isc_plan_device *p); /* zeros are fine */
/* The `plan` of a backend's class that has one. */
isc_status isc_device_plan(const isc_class *cls, const void *conf, void **impl);
/* The most bytes that were taken at once since the last call that began anew. */
isc_status isc_plan_device_most(isc_plan_device *p, bool anew, double *bytes);

#endif
