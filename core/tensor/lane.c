/* SPDX-License-Identifier: Apache-2.0
 *
 * The way to a device's lanes, which a backend need not have.
 */
#include "tensor/lane.h"
#include "base/base.h"
#include "tensor/optional.h"

bool isc_device_has_lanes(const isc_device *dev) {
  return ISC_DEVICE_HAS(dev, lane_open) && ISC_DEVICE_HAS(dev, lane_close) &&
         ISC_DEVICE_HAS(dev, lane_room) && ISC_DEVICE_HAS(dev, lane_upload) &&
         ISC_DEVICE_HAS(dev, lane_join) && ISC_DEVICE_HAS(dev, lane_follow);
}

isc_status isc_lane_open(isc_device *dev, size_t least, size_t most, isc_lane *out) {
  *out = (isc_lane){0};
  if (!isc_device_has_lanes(dev))
    return isc_fail(ISC_E_UNSUPPORTED, "backend \"%s\" uploads nothing beside its other work",
                    dev->cls ? dev->cls->name : "?");
  isc_lane l = {.dev = dev};
  ISC_TRY(dev->ops->lane_open(dev->impl, least, most, &l.piece, &l.impl));
  *out = l;
  return ISC_OK;
}

void isc_lane_close(isc_lane *l) {
  if (l->impl) l->dev->ops->lane_close(l->impl);
  *l = (isc_lane){0};
}

isc_status isc_lane_room(isc_lane *l, size_t bytes, void **host) {
  return l->dev->ops->lane_room(l->impl, bytes, host);
}

isc_status isc_lane_upload(isc_lane *l, void *dst, size_t bytes) {
  return l->dev->ops->lane_upload(l->impl, dst, bytes);
}

isc_status isc_lane_join(isc_lane *l) {
  return l->dev->ops->lane_join(l->impl);
}

isc_status isc_lane_follow(isc_lane *l) {
  return l->dev->ops->lane_follow(l->impl);
}
