/* SPDX-License-Identifier: Apache-2.0
 *
 * The embedding of tokens that the device drew itself and the host has not seen.
 */
#ifndef ISC_CORE_TENSOR_EMBED_H
#define ISC_CORE_TENSOR_EMBED_H

#include <inversescope/ops.h>

/* As isc_op_embed_scaled, ids [rows] on the device and unchecked: they must be in the table, and stay until the tape is done. */
isc_status isc_op_embed_there(isc_step *s, isc_tensor *wte, isc_tensor *wpe, double scale,
                              const int32_t *device_id, const int32_t *pos, int64_t rows,
                              isc_tensor **out);

#endif
