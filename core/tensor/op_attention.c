/* SPDX-License-Identifier: Apache-2.0
 *
 * Causal self-attention on a fused qkv: differentiable over whole sequences, or incremental over a cache.
 *
 * The three parts of a fused row are read, and their gradients written, in place through strides: no
 * splitting and no copies.
 */
#include "tensor/count.h"
#include "tensor/internal.h"

typedef struct attention {
  isc_tensor *qkv, *out; /* [batch, len, width of a fused row], [batch, len, n_head·d_head] */
  int64_t k, v;          /* columns where keys and values begin */
  isc_attention args;
} attention;

static isc_status attention_backward(isc_step *s, void *user) {
  attention *v = user;
  isc_grad_dest g;
  ISC_TRY(isc_grad_open(s, v->qkv, &g));
  if (!g.at) return ISC_OK;
  v->args.dout = v->out->grad;
  v->args.dq = g.at;
  v->args.dk = g.at + v->k;
  v->args.dv = g.at + v->v;
  ISC_TRY(isc_device_attention_grad(s->dev, &v->args));
  return isc_grad_close(s, v->qkv, &g);
}

isc_status isc_heads_fit(const char *op, const isc_tensor *qkv, const isc_heads *given,
                         isc_heads *h) {
  char text[96];
  ISC_TRY(isc_struct_read(given, "heads", ISC_SIZE_TO(isc_heads, window), sizeof *h, h));
  if (h->batch >= 0 && h->len >= 0 && h->n_head > 0 && h->n_kv_head > 0 && h->d_head > 0 &&
      h->n_head % h->n_kv_head == 0 && isc_last_dim(qkv) == isc_heads_width(h) &&
      isc_rows(qkv) == h->batch * h->len)
    return ISC_OK;
  return isc_fail(
      ISC_E_SHAPE,
      "%s: qkv %s is not [%lld, %lld, (%lld + 2 * %lld) * %lld], with the query heads a "
      "multiple of the key heads",
      op, isc_shape_text(qkv, text), (long long)h->batch, (long long)h->len, (long long)h->n_head,
      (long long)h->n_kv_head, (long long)h->d_head);
}

/* All but where keys and values lie. */
static isc_status begin(isc_step *s, const isc_tensor *qkv, const isc_heads *h, isc_tensor **out,
                        isc_attention *a) {
  const int64_t heads = h->n_head * h->d_head, width = isc_heads_width(h);
  const int64_t shape[] = {h->batch, h->len, heads};
  ISC_TRY(isc_tensor_new(s, 3, shape, out));
  *a = (isc_attention){.batch = h->batch,
                       .q_len = h->len,
                       .n_head = h->n_head,
                       .n_kv_head = h->n_kv_head,
                       .d_head = h->d_head,
                       .scale = h->scale,
                       .soft_cap = h->soft_cap,
                       .window = h->window,
                       .product = s->product,
                       .q = qkv->data,
                       .out = (*out)->data,
                       .q_batch = h->len * width,
                       .q_row = width,
                       .out_batch = h->len * heads,
                       .out_row = heads};
  return ISC_OK;
}

static isc_status attend_whole(isc_step *s, isc_tensor *qkv, const isc_heads *h, isc_tensor **out) {
  bool tracked = isc_tracks(s, &qkv, 1);
  const int64_t k = h->n_head * h->d_head, v = k + h->n_kv_head * h->d_head;
  isc_attention a;
  void *p;
  ISC_TRY(begin(s, qkv, h, out, &a));
  a.k = qkv->data + k;
  a.v = qkv->data + v;
  a.kv_batch = a.q_batch;
  a.kv_row = a.q_row;
  if (tracked) {
    ISC_TRY(isc_step_device_alloc(s, (size_t)(h->batch * h->n_head * h->len) * sizeof(float), &p));
    a.lse = p;
  }
  ISC_TRY(isc_device_attention(s->dev, &a));
  if (!tracked) return ISC_OK;
  const attention kept = {qkv, *out, k, v, a};
  ISC_TRY(isc_step_keep(s, &kept, sizeof kept, &p));
  return isc_tape_record(s, &qkv, 1, *out, attention_backward, p);
}

/* ---- over a cache */

/* Row (i, t) of the fused rows' columns from `column` on to (past + t, i) of the cache: one gather for each position. A fused
 * row is a whole number of cache rows, because the query heads are a multiple of the key heads. */
static isc_status append(isc_step *s, const isc_tensor *qkv, const isc_heads *h, int64_t column,
                         isc_tensor *cache, int64_t past) {
  const int64_t d = h->n_kv_head * h->d_head, width = isc_heads_width(h);
  void *p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)h->batch * sizeof(int64_t), &p));
  int64_t *row = p;
  for (int64_t i = 0; i < h->batch; i++)
    row[i] = i * h->len * (width / d);
  for (int64_t t = 0; t < h->len; t++)
    ISC_TRY(s->dev->ops->gather(s->dev->impl, h->batch, d, qkv->data + t * width + column, row,
                                cache->data + (past + t) * cache->shape[1] * d));
  return ISC_OK;
}

static isc_status fit_cache(const isc_tensor *c, const isc_heads *h, int64_t past) {
  char text[96];
  const int64_t last = past + h->len, d = h->n_kv_head * h->d_head;
  if (past >= 0 && c->ndim == 3 && c->shape[0] >= last && c->shape[1] >= h->batch &&
      c->shape[2] == d)
    return ISC_OK;
  return isc_fail(ISC_E_SHAPE,
                  "attention: the cache %s has no room for positions %lld to %lld of %lld "
                  "sequences of width %lld",
                  isc_shape_text(c, text), (long long)past, (long long)last - 1,
                  (long long)h->batch, (long long)d);
}

static isc_status attend_cached(isc_step *s, isc_tensor *qkv, const isc_heads *h,
                                isc_tensor *k_cache, isc_tensor *v_cache, int64_t past,
                                isc_tensor **out) {
  const int64_t d = h->n_kv_head * h->d_head, k = h->n_head * h->d_head;
  isc_attention a;
  if (isc_tracks(s, &qkv, 1))
    return isc_fail(ISC_E_USAGE,
                    "attention: the cached form has no gradient; use isc_op_attention");
  ISC_TRY(fit_cache(k_cache, h, past));
  ISC_TRY(fit_cache(v_cache, h, past));
  if (k_cache->shape[1] != v_cache->shape[1])
    return isc_shape_misfit("attention", "the key cache", k_cache, "the value cache", v_cache);
  ISC_TRY(begin(s, qkv, h, out, &a));
  ISC_TRY(append(s, qkv, h, k, k_cache, past));
  ISC_TRY(append(s, qkv, h, k + d, v_cache, past));
  a.past = past;
  a.k = k_cache->data;
  a.v = v_cache->data;
  a.kv_batch = d;
  a.kv_row = k_cache->shape[1] * d;
  return isc_device_attention(s->dev, &a);
}

isc_status isc_op_attend(isc_step *s, isc_tensor *qkv, const isc_heads *heads, isc_tensor *k_cache,
                         isc_tensor *v_cache, int64_t past, isc_tensor **out) {
  isc_heads h;
  ISC_TRY(isc_heads_fit("attention", qkv, heads, &h));
  if (!k_cache != !v_cache)
    return isc_fail(ISC_E_USAGE, "attention: key and value caches come together");
  return k_cache ? attend_cached(s, qkv, &h, k_cache, v_cache, past, out)
                 : attend_whole(s, qkv, &h, out);
}

/* ---- as many key heads as query heads */

/* The heads of qkv [batch · len, 3 d] in any grouping, with d a multiple of n_head. */
static isc_status even_heads(const isc_tensor *qkv, int64_t batch, int64_t len, int64_t n_head,
                             float scale, isc_heads *h) {
  char text[96];
  const int64_t d = isc_last_dim(qkv) / 3;
  *h = (isc_heads){.size = sizeof *h,
                   .batch = batch,
                   .len = len,
                   .n_head = n_head,
                   .n_kv_head = n_head,
                   .d_head = n_head > 0 ? d / n_head : 0,
                   .scale = scale};
  if (batch >= 0 && len >= 0 && n_head > 0 && d > 0 && isc_last_dim(qkv) == 3 * d &&
      d % n_head == 0 && isc_rows(qkv) == batch * len)
    return ISC_OK;
  return isc_fail(ISC_E_SHAPE,
                  "attention: qkv %s is not [%lld, %lld, 3 * d] with d a multiple of %lld heads",
                  isc_shape_text(qkv, text), (long long)batch, (long long)len, (long long)n_head);
}

isc_status isc_op_attention(isc_step *s, isc_tensor *qkv, int64_t batch, int64_t len,
                            int64_t n_head, float scale, isc_tensor **out) {
  isc_heads h;
  ISC_TRY(even_heads(qkv, batch, len, n_head, scale, &h));
  return attend_whole(s, qkv, &h, out);
}

isc_status isc_op_attention_cached(isc_step *s, isc_tensor *qkv, int64_t batch, int64_t len,
                                   int64_t n_head, float scale, isc_tensor *k_cache,
                                   isc_tensor *v_cache, int64_t past, isc_tensor **out) {
  isc_heads h;
  ISC_TRY(even_heads(qkv, batch, len, n_head, scale, &h));
  return attend_cached(s, qkv, &h, k_cache, v_cache, past, out);
}
