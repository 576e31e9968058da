/* SPDX-License-Identifier: Apache-2.0
 *
 * Causal self-attention on a fused qkv: differentiable over whole sequences, or incremental over a cache.
 *
 * The three parts of a fused row are read, and their gradients written, in place through strides: no
 * splitting and no copies.
 */
#include "tensor/internal.h"

typedef struct attention {
  isc_tensor *qkv, *out; /* [batch, len, 3 d], [batch, len, d] */
  isc_attention args;
} attention;

static isc_status attention_backward(isc_step *s, void *user) {
  attention *v = user;
  int64_t d = isc_last_dim(v->out);
  isc_grad_dest g;
  ISC_TRY(isc_grad_open(s, v->qkv, &g));
  if (!g.at) return ISC_OK;
  v->args.dout = v->out->grad;
  v->args.dq = g.at;
  v->args.dk = g.at + d;
  v->args.dv = g.at + 2 * d;
  ISC_TRY(s->dev->ops->attention_grad(s->dev->impl, &v->args));
  return isc_grad_close(s, v->qkv, &g);
}

/* Is qkv [batch · len, 3 d] in any grouping, with d a multiple of n_head? */
static isc_status fit(const isc_tensor *qkv, int64_t batch, int64_t len, int64_t n_head,
                      int64_t *d) {
  char text[96];
  *d = isc_last_dim(qkv) / 3;
  if (batch >= 0 && len >= 0 && n_head > 0 && *d > 0 && isc_last_dim(qkv) == 3 * *d &&
      *d % n_head == 0 && isc_rows(qkv) == batch * len)
    return ISC_OK;
  return isc_fail(ISC_E_SHAPE,
                  "attention: qkv %s is not [%lld, %lld, 3 * d] with d a multiple of %lld heads",
                  isc_shape_text(qkv, text), (long long)batch, (long long)len, (long long)n_head);
}

static isc_status make_out(isc_step *s, int64_t batch, int64_t len, int64_t d, isc_tensor **out) {
  const int64_t shape[] = {batch, len, d};
  return isc_tensor_new(s, 3, shape, out);
}

isc_status isc_op_attention(isc_step *s, isc_tensor *qkv, int64_t batch, int64_t len,
                            int64_t n_head, float scale, isc_tensor **out) {
  bool tracked = isc_tracks(s, &qkv, 1);
  int64_t d;
  void *p;
  ISC_TRY(fit(qkv, batch, len, n_head, &d));
  ISC_TRY(make_out(s, batch, len, d, out));
  isc_attention a = {.batch = batch,
                     .q_len = len,
                     .n_head = n_head,
                     .n_kv_head = n_head,
                     .d_head = d / n_head,
                     .scale = scale,
                     .q = qkv->data,
                     .k = qkv->data + d,
                     .v = qkv->data + 2 * d,
                     .out = (*out)->data,
                     .q_batch = len * 3 * d,
                     .q_row = 3 * d,
                     .kv_batch = len * 3 * d,
                     .kv_row = 3 * d,
                     .out_batch = len * d,
                     .out_row = d};
  if (tracked) {
    ISC_TRY(isc_step_device_alloc(s, (size_t)(batch * n_head * len) * sizeof(float), &p));
    a.lse = p;
  }
  ISC_TRY(s->dev->ops->attention(s->dev->impl, &a));
  if (!tracked) return ISC_OK;
  const attention v = {qkv, *out, a};
  ISC_TRY(isc_step_keep(s, &v, sizeof v, &p));
  return isc_tape_record(s, &qkv, 1, *out, attention_backward, p);
}

/* Row (i, t) of k and v to (past + t, i) of the caches: one gather for each position. */
static isc_status append(isc_step *s, const isc_tensor *qkv, int64_t batch, int64_t len, int64_t d,
                         isc_tensor *k_cache, isc_tensor *v_cache, int64_t past) {
  const isc_backend_ops *ops = s->dev->ops;
  int64_t plane = k_cache->shape[1] * d;
  void *p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)batch * sizeof(int64_t), &p));
  int64_t *row = p;
  for (int64_t i = 0; i < batch; i++)
    row[i] = 3 * i * len; /* in rows of d */
  for (int64_t t = 0; t < len; t++) {
    const float *k = qkv->data + (3 * t + 1) * d;
    int64_t at = (past + t) * plane;
    ISC_TRY(ops->gather(s->dev->impl, batch, d, k, row, k_cache->data + at));
    ISC_TRY(ops->gather(s->dev->impl, batch, d, k + d, row, v_cache->data + at));
  }
  return ISC_OK;
}

static isc_status fit_cache(const isc_tensor *c, int64_t batch, int64_t last, int64_t past,
                            int64_t d) {
  char text[96];
  if (past >= 0 && c->ndim == 3 && c->shape[0] >= last && c->shape[1] >= batch && c->shape[2] == d)
    return ISC_OK;
  return isc_fail(ISC_E_SHAPE,
                  "attention: the cache %s has no room for positions %lld to %lld of %lld "
                  "sequences of width %lld",
                  isc_shape_text(c, text), (long long)past, (long long)last - 1, (long long)batch,
                  (long long)d);
}

isc_status isc_op_attention_cached(isc_step *s, isc_tensor *qkv, int64_t batch, int64_t len,
                                   int64_t n_head, float scale, isc_tensor *k_cache,
                                   isc_tensor *v_cache, int64_t past, isc_tensor **out) {
  int64_t d;
  if (isc_tracks(s, &qkv, 1))
    return isc_fail(ISC_E_USAGE,
                    "attention: the cached form has no gradient; use isc_op_attention");
  ISC_TRY(fit(qkv, batch, len, n_head, &d));
  ISC_TRY(fit_cache(k_cache, batch, past + len, past, d));
  ISC_TRY(fit_cache(v_cache, batch, past + len, past, d));
  if (k_cache->shape[1] != v_cache->shape[1])
    return isc_shape_misfit("attention", "the key cache", k_cache, "the value cache", v_cache);
  ISC_TRY(make_out(s, batch, len, d, out));
  ISC_TRY(append(s, qkv, batch, len, d, k_cache, v_cache, past));
  const isc_attention a = {.batch = batch,
                           .q_len = len,
                           .past = past,
                           .n_head = n_head,
                           .n_kv_head = n_head,
                           .d_head = d / n_head,
                           .scale = scale,
                           .q = qkv->data,
                           .k = k_cache->data,
                           .v = v_cache->data,
                           .out = (*out)->data,
                           .q_batch = len * 3 * d,
                           .q_row = 3 * d,
                           .kv_batch = d,
                           .kv_row = k_cache->shape[1] * d,
                           .out_batch = len * d,
                           .out_row = d};
  return s->dev->ops->attention(s->dev->impl, &a);
}
