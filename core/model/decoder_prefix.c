/* SPDX-License-Identifier: Apache-2.0
 *
 * What makes key/value slots fit a decoder.
 *
 * The slots of a sequence lie before its first position, so a layer that sees a window of positions would lose them along
 * the way; such layers are refused.
 */
#include "base/base.h"
#include "model/decoder_internal.h"

static isc_status check_slots(const isc_decoder *d, const char *what, int64_t layer,
                              const isc_tensor *x, int64_t n, int64_t batch) {
  const int64_t width = isc_spec_kv_heads(&d->spec) * d->spec.d_head;
  if (x && x->dtype == ISC_F32 && x->ndim == 3 && x->shape[0] > 0 && batch % x->shape[0] == 0 &&
      x->shape[1] == n && x->shape[2] == width)
    return ISC_OK;
  return isc_fail(
      ISC_E_SHAPE,
      "the slots' %s of layer %lld are not f32 [rows, %lld, %lld] with rows that divide "
      "%lld sequences",
      what, (long long)layer, (long long)n, (long long)width, (long long)batch);
}

isc_status isc_decoder_check_prefix(const isc_decoder *d, const isc_kv_prefix *prefix,
                                    int64_t batch) {
  if (prefix->n < 1 || prefix->n > INT32_MAX || !prefix->k || !prefix->v)
    return isc_fail(ISC_E_SHAPE, "%lld key/value slots before the first token",
                    (long long)prefix->n);
  for (int64_t l = 0; l < d->spec.n_layer; l++) {
    if (isc_spec_windowed(&d->spec, l))
      return isc_fail(ISC_E_UNSUPPORTED,
                      "layer %lld attends to a window of %lld positions: key/value slots before "
                      "the first token would fall out of it",
                      (long long)l, (long long)d->spec.window);
    ISC_TRY(check_slots(d, "keys", l, prefix->k[l], prefix->n, batch));
    ISC_TRY(check_slots(d, "values", l, prefix->v[l], prefix->n, batch));
    if (prefix->k[l]->shape[0] != prefix->v[l]->shape[0])
      return isc_fail(
          ISC_E_SHAPE, "the slots of layer %lld have %lld rows of keys and %lld of values",
          (long long)l, (long long)prefix->k[l]->shape[0], (long long)prefix->v[l]->shape[0]);
  }
  return ISC_OK;
}
