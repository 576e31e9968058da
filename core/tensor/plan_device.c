/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/plan_device.h"
#include "base/base.h"
#include "tensor/optional.h"
#include <string.h>

isc_status isc_plan_device_open(const isc_device *of, const void *conf, isc_plan_device *out) {
  *out = (isc_plan_device){0};
  if (!ISC_DEVICE_HAS(of, plan) || !ISC_DEVICE_HAS(of, memory)) {
    out->device = isc_paper_device(&out->paper);
    return ISC_OK;
  }
  out->device = (isc_device){.ops = of->ops, .cls = of->cls, .description = "paper", .paper = true};
  return isc_device_plan(of->cls, conf, &out->device.impl);
}

void isc_plan_device_close(isc_plan_device *p) {
  if (p->device.impl && p->device.impl != &p->paper) p->device.ops->close(p->device.impl);
  *p = (isc_plan_device){0};
}

isc_status isc_plan_device_most(isc_plan_device *p, bool anew, double *bytes) {
  isc_memory_use use;
  if (p->device.impl != &p->paper) {
    ISC_TRY(p->device.ops->memory(p->device.impl, anew, &use));
    *bytes = (double)use.most;
    return ISC_OK;
  }
  if (anew) p->paper.peak = p->paper.bytes;
  *bytes = p->paper.peak;
  return ISC_OK;
}
