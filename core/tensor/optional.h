/* SPDX-License-Identifier: Apache-2.0
 *
 * What a backend may have and need not: asked here, because an older one's table is shorter.
 */
#ifndef ISC_CORE_TENSOR_OPTIONAL_H
#define ISC_CORE_TENSOR_OPTIONAL_H

#include <inversescope/backend.h>

#define ISC_DEVICE_HAS(dev, op)                                                                    \
  ((dev)->ops->size >= offsetof(isc_backend_ops, op) + sizeof(dev)->ops->op && (dev)->ops->op)

/* Tickets of reads, by who has them: sampling and harvests go on within a step of training. */
enum {
  ISC_READ_TRAINING = 0, /* and 3 more */
  ISC_READ_SAMPLING = 4, /* and 1 more */
  ISC_READ_HARVEST = 6   /* and 1 more */
};

/* Can the host go on while results of training and of sampling are on their way? */
static inline bool isc_device_reads_later(const isc_device *dev) {
  return ISC_DEVICE_HAS(dev, clip) && ISC_DEVICE_HAS(dev, sample_there) &&
         ISC_DEVICE_HAS(dev, read_begin) && ISC_DEVICE_HAS(dev, read_end);
}
static inline bool isc_device_records(const isc_device *dev) {
  return ISC_DEVICE_HAS(dev, record) && ISC_DEVICE_HAS(dev, play);
}

#endif
