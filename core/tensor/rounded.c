/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters of f32 as products of bf16 take them: rounded once for all products until they change.
 *
 * A product rounds the operand that it is given, and gives the same bits for one that is rounded already. A weight is
 * read by many products between two updates: by each token's pass in sampling, by a layer and its gradient in training.
 */
#include "tensor/internal.h"
#include "tensor/optional.h"
#include "tensor/params.h"

isc_status isc_param_rounded(isc_device *dev, const isc_tensor *w, const uint16_t **out) {
  isc_param *q = w->param;
  void *memory;
  *out = NULL;
  if (!q || w != &q->value || w->dtype != ISC_F32 || !ISC_DEVICE_HAS(dev, to_bf16)) return ISC_OK;
  const int64_t n = isc_tensor_size(w);
  if (!q->rounded) {
    ISC_TRY(dev->ops->alloc(dev->impl, (size_t)n * sizeof *q->rounded, &memory));
    q->rounded = memory;
  }
  if (!q->rounded_holds) ISC_TRY(dev->ops->to_bf16(dev->impl, n, w->data, q->rounded));
  q->rounded_holds = true;
  *out = q->rounded;
  return ISC_OK;
}
