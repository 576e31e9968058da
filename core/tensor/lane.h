/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes of a device (backend.h): uploads beside what it computes, on devices that can.
 *
 * The thread rules are backend.h's: room and upload by one thread, which may be another than the device's; the rest by the
 * device's, while that one rests.
 */
#ifndef ISC_CORE_TENSOR_LANE_H
#define ISC_CORE_TENSOR_LANE_H

#include <inversescope/backend.h>

typedef struct isc_lane {
  isc_device *dev;
  void *impl;
  size_t piece; /* bytes of one upload at most */
} isc_lane;

ISC_API bool isc_device_has_lanes(const isc_device *dev);
/* ISC_E_UNSUPPORTED on a device without lanes. On failure *out is zeros. */
ISC_API isc_status isc_lane_open(isc_device *dev, size_t least, size_t most, isc_lane *out);
ISC_API void isc_lane_close(isc_lane *l); /* zeros are fine, and are what is left */
ISC_API isc_status isc_lane_room(isc_lane *l, size_t bytes, void **host);
ISC_API isc_status isc_lane_upload(isc_lane *l, void *dst, size_t bytes);
ISC_API isc_status isc_lane_join(isc_lane *l);
ISC_API isc_status isc_lane_follow(isc_lane *l);

#endif
