/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout masks from Philox, multiplied in at the decoder's taps.
 */
#include <inversescope/dropout.h>

#include <inversescope/rng.h>

static bool wants(void *user, isc_place place, int64_t layer) {
  const isc_dropout *d = user;
  if (place == ISC_QKV) return d->attention > 0;
  if (d->p <= 0) return false;
  return place == ISC_ATTN_OUT || place == ISC_MLP_OUT || (place == ISC_RESID_PRE && layer == 0);
}

static float draw(isc_rng *r, double p) {
  return isc_rng_u32(r) < (uint32_t)(p * 4294967295.0) ? 0 : (float)(1 / (1 - p));
}

/* Values [rows, last third of 3·heads]: one draw for each row and head; queries and keys stay. */
static void mask_values(const isc_dropout *d, isc_rng *r, int64_t rows, int64_t width,
                        float *mask) {
  const int64_t first = width / 3 * 2;
  for (int64_t i = 0; i < rows; i++, mask += width) {
    for (int64_t j = 0; j < first; j++)
      mask[j] = 1;
    for (int64_t j = first; j < width; j++)
      mask[j] = (j - first) % d->d_head ? mask[j - 1] : draw(r, d->attention);
  }
}

static isc_status drop(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                       isc_tensor **out) {
  const isc_dropout *d = user;
  const int64_t n = isc_tensor_size(x), width = x->shape[x->ndim - 1];
  isc_tensor *mask;
  void *host;
  isc_rng r = isc_rng_at(d->seed, ISC_RNG_DROPOUT,
                         ((uint64_t)d->step << 16) | ((uint64_t)layer << 3) | (uint64_t)place);
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(float), &host));
  if (place == ISC_QKV)
    mask_values(d, &r, n / width, width, host);
  else
    for (int64_t i = 0; i < n; i++)
      ((float *)host)[i] = draw(&r, d->p);
  ISC_TRY(isc_tensor_from(s, x->ndim, x->shape, host, &mask));
  return isc_op_mul(s, x, mask, out);
}

isc_taps isc_dropout_taps(isc_dropout *d) {
  return (isc_taps){
      .size = sizeof(isc_taps), .user = d, .wants = wants, .at = drop, .stop_layer = -1};
}
