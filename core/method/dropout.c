/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout masks from Philox, multiplied in at the decoder's taps.
 */
#include "method/dropout.h"

#include <inversescope/rng.h>

static bool wants(void *user, isc_place place, int64_t layer) {
  const isc_dropout *d = user;
  if (d->p <= 0) return false;
  return place == ISC_HEADS || place == ISC_ATTN_OUT || place == ISC_MLP_OUT ||
         (place == ISC_RESID_PRE && layer == 0);
}

static isc_status drop(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                       isc_tensor **out) {
  const isc_dropout *d = user;
  const int64_t n = isc_tensor_size(x);
  const uint32_t threshold = (uint32_t)(d->p * 4294967295.0);
  const float keep = (float)(1 / (1 - d->p));
  isc_tensor *mask;
  void *host;
  isc_rng r = isc_rng_at(d->seed, ISC_RNG_DROPOUT,
                         ((uint64_t)d->step << 16) | ((uint64_t)layer << 3) | (uint64_t)place);
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(float), &host));
  for (int64_t i = 0; i < n; i++)
    ((float *)host)[i] = isc_rng_u32(&r) < threshold ? 0 : keep;
  ISC_TRY(isc_tensor_from(s, x->ndim, x->shape, host, &mask));
  return isc_op_mul(s, x, mask, out);
}

isc_taps isc_dropout_taps(isc_dropout *d) {
  return (isc_taps){
      .size = sizeof(isc_taps), .user = d, .wants = wants, .at = drop, .stop_layer = -1};
}
