/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary positions and attention of packed sequences, through the strides that the backend's attention has anyway.
 *
 * The last position of a sequence is one query behind as many keys as come before it.
 */
#include "tensor/packed.h"
#include "tensor/count.h"
#include "tensor/internal.h"

isc_status isc_op_rotary_at(isc_step *s, isc_tensor *qkv, const isc_heads *heads,
                            const int32_t *pos, isc_tensor *cos, isc_tensor *sin) {
  const int64_t rows = isc_rows(qkv), half = isc_last_dim(cos);
  isc_heads h;
  void *p;
  ISC_TRY(isc_heads_fit("rotary", qkv, heads, &h));
  if (isc_tracks(s, &qkv, 1))
    return isc_fail(ISC_E_USAGE, "rotary: packed sequences have no gradient");
  if (cos->ndim != 2 || !isc_shape_is(sin, 2, cos->shape[0], half, 0) || 2 * half > h.d_head)
    return isc_shape_misfit("rotary", "cos", cos, "sin", sin);
  for (int64_t i = 0; i < rows; i++)
    if (pos[i] < 0 || pos[i] >= cos->shape[0])
      return isc_fail(ISC_E_SHAPE, "rotary: tables for %lld positions do not serve position %d",
                      (long long)cos->shape[0], (int)pos[i]);
  ISC_TRY(isc_step_upload(s, pos, (size_t)rows * sizeof *pos, &p));
  const isc_rotary a = {.rows = rows,
                        .width = isc_heads_width(&h),
                        .heads = h.n_head + h.n_kv_head,
                        .d_head = h.d_head,
                        .d_rot = 2 * half,
                        .x = qkv->data,
                        .y = qkv->data,
                        .pos = p,
                        .cos = cos->data,
                        .sin = sin->data};
  return s->dev->ops->rotary(s->dev->impl, &a);
}

/* ---- attention */

/* Sequences, once the spans cover `rows` rows one after the other; −1 if they do not. */
static int64_t count_sequences(const isc_span *span, int64_t n, int64_t rows) {
  int64_t at = 0, sequences = 0;
  for (int64_t i = 0; i < n; i++) {
    const isc_span *x = &span[i];
    if (x->row != at || x->batch < 0 || x->len < 1 || x->batch > (rows - at) / x->len) return -1;
    at += x->batch * x->len;
    sequences += x->batch;
  }
  return at == rows ? sequences : -1;
}

/* The span's attention; rows from `to` on of out are its sequences' or positions'. */
static isc_attention span_of(const isc_step *s, const isc_tensor *qkv, const isc_heads *h,
                             const isc_span *x, bool last, const isc_tensor *out, int64_t to) {
  const int64_t heads = h->n_head * h->d_head, width = isc_heads_width(h);
  const float *at = qkv->data + x->row * width;
  const int64_t past = last ? x->len - 1 : 0;
  return (isc_attention){.batch = x->batch,
                         .q_len = x->len - past,
                         .past = past,
                         .n_head = h->n_head,
                         .n_kv_head = h->n_kv_head,
                         .d_head = h->d_head,
                         .scale = h->scale,
                         .soft_cap = h->soft_cap,
                         .window = h->window,
                         .product = s->product,
                         .q = at + past * width,
                         .k = at + heads,
                         .v = at + heads + h->n_kv_head * h->d_head,
                         .out = out->data + to * heads,
                         .q_batch = x->len * width,
                         .q_row = width,
                         .kv_batch = x->len * width,
                         .kv_row = width,
                         .out_batch = (x->len - past) * heads,
                         .out_row = heads};
}

isc_status isc_op_attend_spans(isc_step *s, isc_tensor *qkv, const isc_heads *heads,
                               const isc_span *span, int64_t n, bool last, isc_tensor **out) {
  const int64_t rows = isc_rows(qkv), sequences = count_sequences(span, n, rows);
  isc_heads h;
  ISC_TRY(isc_heads_fit("attention", qkv, heads, &h));
  if (isc_tracks(s, &qkv, 1))
    return isc_fail(ISC_E_USAGE, "attention: packed sequences have no gradient");
  if (sequences < 0)
    return isc_fail(ISC_E_SHAPE, "attention: the sequences do not cover %lld rows one by one",
                    (long long)rows);
  const int64_t shape[] = {last ? sequences : rows, h.n_head * h.d_head};
  ISC_TRY(isc_tensor_new(s, 2, shape, out));
  for (int64_t i = 0, to = 0; i < n; i++) {
    const isc_attention a = span_of(s, qkv, &h, &span[i], last, *out, to);
    ISC_TRY(isc_device_attention(s->dev, &a));
    to += a.batch * a.q_len;
  }
  return ISC_OK;
}
