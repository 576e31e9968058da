/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to the queries and keys of a fused row before attention: norms of their own, rotary positions.
 *
 * A row that nobody differentiates or reads again is changed in place.
 */
#include "tensor/internal.h"

/* ---- rotary positions */

typedef struct rotation {
  isc_tensor *qkv, *out; /* [batch·len, width] */
  isc_rotary args;
} rotation;

static isc_status rotary_backward(isc_step *s, void *user) {
  rotation *v = user;
  isc_grad_dest g;
  ISC_TRY(isc_grad_open(s, v->qkv, &g));
  if (!g.at) return ISC_OK;
  v->args.x = v->out->grad;
  v->args.y = g.at;
  v->args.inverse = true;
  ISC_TRY(s->dev->ops->rotary(s->dev->impl, &v->args));
  return isc_grad_close(s, v->qkv, &g);
}

static isc_status check_tables(const isc_heads *h, int64_t past, const isc_tensor *cos,
                               const isc_tensor *sin) {
  const int64_t half = isc_last_dim(cos);
  if (cos->ndim != 2 || !isc_shape_is(sin, 2, cos->shape[0], half, 0))
    return isc_shape_misfit("rotary", "cos", cos, "sin", sin);
  if (2 * half <= h->d_head && past >= 0 && past + h->len <= cos->shape[0]) return ISC_OK;
  return isc_fail(ISC_E_SHAPE,
                  "rotary: tables for %lld positions of %lld pairs do not serve positions %lld to "
                  "%lld of heads of width %lld",
                  (long long)cos->shape[0], (long long)half, (long long)past,
                  (long long)(past + h->len - 1), (long long)h->d_head);
}

static isc_status upload_positions(isc_step *s, const isc_heads *h, int64_t past,
                                   const int32_t **out) {
  const int64_t rows = h->batch * h->len;
  void *host, *device;
  ISC_TRY(isc_step_host_alloc(s, (size_t)rows * sizeof(int32_t), &host));
  int32_t *pos = host;
  for (int64_t i = 0; i < rows; i++)
    pos[i] = (int32_t)(past + i % h->len);
  ISC_TRY(isc_step_upload(s, pos, (size_t)rows * sizeof *pos, &device));
  *out = device;
  return ISC_OK;
}

isc_status isc_op_rotary(isc_step *s, isc_tensor *qkv, const isc_heads *heads, int64_t past,
                         isc_tensor *cos, isc_tensor *sin, isc_tensor **out) {
  const bool tracked = isc_tracks(s, &qkv, 1);
  isc_heads h;
  void *p;
  ISC_TRY(isc_heads_fit("rotary", qkv, heads, &h));
  ISC_TRY(check_tables(&h, past, cos, sin));
  *out = qkv;
  if (tracked) ISC_TRY(isc_tensor_like(s, qkv, -1, out));
  isc_rotary a = {.rows = h.batch * h.len,
                  .width = isc_heads_width(&h),
                  .heads = h.n_head + h.n_kv_head,
                  .d_head = h.d_head,
                  .d_rot = 2 * isc_last_dim(cos),
                  .x = qkv->data,
                  .y = (*out)->data,
                  .cos = cos->data,
                  .sin = sin->data};
  ISC_TRY(upload_positions(s, &h, past, &a.pos));
  ISC_TRY(s->dev->ops->rotary(s->dev->impl, &a));
  if (!tracked) return ISC_OK;
  const rotation v = {qkv, *out, a};
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  return isc_tape_record(s, &qkv, 1, *out, rotary_backward, p);
}

/* ---- norms */

static isc_status norm_some(isc_step *s, const isc_heads *h, float *first, int64_t n,
                            const isc_tensor *gain, double eps) {
  const isc_layernorm a = {.rows = h->batch * h->len * n,
                           .d = h->d_head,
                           .eps = eps,
                           .x = first,
                           .g = gain->data,
                           .y = first,
                           .rms = true,
                           .group = n,
                           .stride = isc_heads_width(h)};
  return s->dev->ops->layernorm(s->dev->impl, &a);
}

isc_status isc_op_norm_heads(isc_step *s, isc_tensor *qkv, const isc_heads *heads,
                             isc_tensor *q_gain, isc_tensor *k_gain, double eps, isc_tensor **out) {
  isc_tensor *const inputs[] = {qkv, q_gain, k_gain};
  isc_heads h;
  *out = qkv;
  ISC_TRY(isc_heads_fit("norm of heads", qkv, heads, &h));
  if (isc_tracks(s, inputs, 3)) return isc_fail(ISC_E_USAGE, "norm of heads: it has no gradient");
  if (!isc_shape_is(q_gain, 1, h.d_head, 0, 0))
    return isc_shape_misfit("norm of heads", "qkv", qkv, "the queries' gain", q_gain);
  if (!isc_shape_is(k_gain, 1, h.d_head, 0, 0))
    return isc_shape_misfit("norm of heads", "qkv", qkv, "the keys' gain", k_gain);
  ISC_TRY(norm_some(s, &h, qkv->data, h.n_head, q_gain, eps));
  return norm_some(s, &h, qkv->data + h.n_head * h.d_head, h.n_kv_head, k_gain, eps);
}
