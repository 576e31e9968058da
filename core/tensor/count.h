/* SPDX-License-Identifier: Apache-2.0
 *
 * Products of a backend, and how many floating-point operations they are.
 *
 * The core calls them through these, so that what a piece of work cost can be told afterwards (isc_device.flops).
 */
#ifndef ISC_CORE_TENSOR_COUNT_H
#define ISC_CORE_TENSOR_COUNT_H

#include <inversescope/tensor.h>

isc_status isc_device_gemm(isc_device *dev, const isc_gemm *g);
isc_status isc_device_attention(isc_device *dev, const isc_attention *a);
isc_status isc_device_attention_grad(isc_device *dev, const isc_attention *a);
isc_status isc_device_control(isc_device *dev, const isc_control *c);
isc_status isc_device_control_grad(isc_device *dev, const isc_control *c);
isc_status isc_device_xent(isc_device *dev, const isc_xent *x);

#endif
