/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys and values of the positions a decoder has already seen.
 *
 * They live outside any step, because decoding takes many. A selection is gathered into a spare
 * buffer that then changes places with the one it was read from: any rows, in any order, repeated or not.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <stdlib.h>

static isc_status new_buffers(isc_kv_cache *c) {
  const int64_t shape[3] = {c->room + c->n_ctx, c->batch, c->width};
  for (int64_t l = 0; l < c->n_layer; l++) {
    ISC_TRY(isc_tensor_alloc(c->dev, 3, shape, &c->k[l]));
    ISC_TRY(isc_tensor_alloc(c->dev, 3, shape, &c->v[l]));
  }
  return isc_tensor_alloc(c->dev, 3, shape, &c->spare);
}

isc_status isc_kv_cache_new_prefixed(isc_decoder *d, int64_t batch, int64_t n_ctx, int64_t n_prefix,
                                     isc_kv_cache **out) {
  isc_status st = ISC_OK;
  isc_kv_cache *c = NULL;
  *out = NULL;
  if (batch < 1 || n_ctx < 1 || n_ctx > d->spec.n_ctx)
    return isc_fail(ISC_E_SHAPE,
                    "a key/value cache of %lld sequences by %lld positions: both must be "
                    "at least 1, and the model has %lld positions",
                    (long long)batch, (long long)n_ctx, (long long)d->spec.n_ctx);
  if (n_prefix < 0 || n_prefix > INT32_MAX)
    return isc_fail(ISC_E_SHAPE, "a key/value cache with %lld slots before its positions",
                    (long long)n_prefix);
  ISC_TRY(isc_calloc(1, sizeof *c, "a key/value cache", (void **)&c));
  *c = (isc_kv_cache){.dev = d->dev,
                      .n_layer = d->spec.n_layer,
                      .capacity = batch,
                      .batch = batch,
                      .n_ctx = n_ctx,
                      .room = n_prefix,
                      .width = isc_spec_kv_heads(&d->spec) * d->spec.d_head};
  ISC_GO(isc_calloc((size_t)c->n_layer, sizeof *c->k, "a key/value cache", (void **)&c->k));
  ISC_GO(isc_calloc((size_t)c->n_layer, sizeof *c->v, "a key/value cache", (void **)&c->v));
  ISC_GO(new_buffers(c));
  *out = c;
  c = NULL;
done:
  isc_kv_cache_free(c);
  return st;
}

isc_status isc_kv_cache_new(isc_decoder *d, int64_t batch, int64_t n_ctx, isc_kv_cache **out) {
  return isc_kv_cache_new_prefixed(d, batch, n_ctx, 0, out);
}

void isc_kv_cache_free(isc_kv_cache *c) {
  if (!c) return;
  for (int64_t l = 0; l < c->n_layer; l++) {
    if (c->k) isc_tensor_release(c->dev, &c->k[l]);
    if (c->v) isc_tensor_release(c->dev, &c->v[l]);
  }
  isc_tensor_release(c->dev, &c->spare);
  free(c->k);
  free(c->v);
  free(c);
}

int64_t isc_kv_cache_len(const isc_kv_cache *c) {
  return c->len;
}

void isc_kv_cache_rewind(isc_kv_cache *c, int64_t len) {
  if (len >= 0 && len < c->len) c->len = len;
}

/* Slot i of every sequence's row of x [rows, n, width]: what a position adds lies together. */
static isc_status fill_slots(isc_kv_cache *c, const isc_kv_prefix *prefix, const isc_tensor *x,
                             isc_tensor *to, int64_t *row) {
  const int64_t each = c->batch / x->shape[0];
  for (int64_t i = 0; i < prefix->n; i++) {
    for (int64_t b = 0; b < c->batch; b++)
      row[b] = b / each * prefix->n + i;
    ISC_TRY(c->dev->ops->gather(c->dev->impl, c->batch, c->width, x->data, row,
                                to->data + i * c->batch * c->width));
  }
  return ISC_OK;
}

isc_status isc_kv_cache_begin(isc_kv_cache *c, int64_t layer, const isc_kv_prefix *prefix) {
  isc_status st = ISC_OK;
  int64_t *row = NULL;
  if (c->batch == 0) return ISC_OK;
  ISC_GO(isc_calloc((size_t)c->batch, sizeof *row, "a key/value cache", (void **)&row));
  ISC_GO(fill_slots(c, prefix, prefix->k[layer], &c->k[layer], row));
  ISC_GO(fill_slots(c, prefix, prefix->v[layer], &c->v[layer], row));
done:
  free(row);
  return st;
}

static isc_status select_rows(isc_kv_cache *c, isc_tensor *t, const int64_t *row, int64_t n) {
  for (int64_t i = 0; i < c->prefix + c->len; i++)
    ISC_TRY(c->dev->ops->gather(c->dev->impl, n, c->width, t->data + i * c->batch * c->width, row,
                                c->spare.data + i * n * c->width));
  float *old = t->data;
  t->data = c->spare.data;
  t->shape[1] = n;
  c->spare.data = old;
  return ISC_OK;
}

isc_status isc_kv_cache_select(isc_kv_cache *c, const int64_t *row, int64_t n) {
  if (n < 0 || n > c->capacity)
    return isc_fail(ISC_E_SHAPE,
                    "a key/value cache with room for %lld sequences was asked for %lld",
                    (long long)c->capacity, (long long)n);
  for (int64_t i = 0; i < n; i++)
    if (row[i] < 0 || row[i] >= c->batch)
      return isc_fail(ISC_E_SHAPE, "a key/value cache of %lld sequences has no row %lld",
                      (long long)c->batch, (long long)row[i]);
  for (int64_t l = 0; l < c->n_layer; l++) {
    ISC_TRY(select_rows(c, &c->k[l], row, n));
    ISC_TRY(select_rows(c, &c->v[l], row, n));
  }
  c->batch = n;
  return ISC_OK;
}
