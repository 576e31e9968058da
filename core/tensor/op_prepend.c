/* SPDX-License-Identifier: Apache-2.0
 *
 * Key/value slots as fused rows before each sequence's own, so that causal attention sees them first.
 *
 * Made of a backend's row selection alone: a fused row is a whole number of rows as wide as all key heads, because the
 * query heads are a multiple of the key heads.
 */
#include "tensor/internal.h"

typedef struct prepending {
  isc_tensor *qkv, *k, *v, *out;
  int64_t tokens, slots; /* rows of qkv; slots of all sequences                            */
  int64_t width, narrow; /* of a fused row; of a slot's keys                               */
  int64_t *token;        /* [tokens] rows of out                                            */
  int64_t *key, *value;  /* [slots] rows of out, cut into rows as wide as `narrow`         */
  int64_t *from;         /* [slots] rows of k and v, cut likewise                          */
} prepending;

static isc_status slots_fit(const isc_heads *h, const isc_tensor *k, const isc_tensor *v) {
  const int64_t d = h->n_kv_head * h->d_head;
  if (k->ndim == 3 && isc_shape_is(v, 3, k->shape[0], k->shape[1], d) && k->shape[2] == d &&
      k->shape[0] > 0 && h->batch % k->shape[0] == 0)
    return ISC_OK;
  return isc_shape_misfit("prepend", "the slots' keys", k, "values", v);
}

static isc_status new_rows(isc_step *s, int64_t n, int64_t **out) {
  void *p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof **out, &p));
  *out = p;
  return ISC_OK;
}

static isc_status place_rows(isc_step *s, const isc_heads *h, int64_t n, int64_t each,
                             prepending *p) {
  const int64_t parts = p->width / p->narrow, heads = h->n_head / h->n_kv_head, all = n + h->len;
  ISC_TRY(new_rows(s, p->tokens, &p->token));
  ISC_TRY(new_rows(s, p->slots, &p->key));
  ISC_TRY(new_rows(s, p->slots, &p->value));
  ISC_TRY(new_rows(s, p->slots, &p->from));
  for (int64_t i = 0; i < p->tokens; i++)
    p->token[i] = i / h->len * all + n + i % h->len;
  for (int64_t i = 0; i < p->slots; i++) {
    p->key[i] = (i / n * all + i % n) * parts + heads;
    p->value[i] = p->key[i] + 1;
    p->from[i] = i / n / each * n + i % n;
  }
  return ISC_OK;
}

/* Slots of k or v, one row for each sequence's, into their columns of the joined rows. */
static isc_status put(isc_step *s, const prepending *p, const isc_tensor *x, const int64_t *row,
                      float *spread) {
  const isc_backend_ops *o = s->dev->ops;
  ISC_TRY(o->gather(s->dev->impl, p->slots, p->narrow, x->data, p->from, spread));
  return o->scatter_add(s->dev->impl, p->slots, p->narrow, spread, row, p->out->data);
}

/* And their gradient back: what several sequences share is summed in their order. */
static isc_status take(isc_step *s, const prepending *p, isc_tensor *x, const int64_t *row,
                       float *spread) {
  const isc_backend_ops *o = s->dev->ops;
  float *dx;
  ISC_TRY(isc_grad_of(s, x, &dx));
  if (!dx) return ISC_OK;
  ISC_TRY(o->gather(s->dev->impl, p->slots, p->narrow, p->out->grad, row, spread));
  return o->scatter_add(s->dev->impl, p->slots, p->narrow, spread, p->from, dx);
}

static isc_status new_spread(isc_step *s, const prepending *p, float **out) {
  void *memory;
  ISC_TRY(isc_step_device_alloc(s, (size_t)(p->slots * p->narrow) * sizeof(float), &memory));
  *out = memory;
  return ISC_OK;
}

static isc_status prepend_backward(isc_step *s, void *user) {
  const prepending *p = user;
  isc_grad_dest g;
  float *spread;
  ISC_TRY(isc_grad_open(s, p->qkv, &g));
  if (g.at)
    ISC_TRY(s->dev->ops->gather(s->dev->impl, p->tokens, p->width, p->out->grad, p->token, g.at));
  if (g.at) ISC_TRY(isc_grad_close(s, p->qkv, &g));
  ISC_TRY(new_spread(s, p, &spread));
  ISC_TRY(take(s, p, p->k, p->key, spread));
  return take(s, p, p->v, p->value, spread);
}

isc_status isc_op_prepend(isc_step *s, isc_tensor *qkv, const isc_heads *heads, isc_tensor *k,
                          isc_tensor *v, isc_tensor **out) {
  isc_tensor *const inputs[] = {qkv, k, v};
  isc_heads h;
  float *spread;
  void *kept;
  ISC_TRY(isc_heads_fit("prepend", qkv, heads, &h));
  ISC_TRY(slots_fit(&h, k, v));
  const int64_t n = k->shape[1], shape[] = {h.batch, n + h.len, isc_heads_width(&h)};
  ISC_TRY(isc_tensor_zeros(s, 3, shape, out));
  prepending p = {.qkv = qkv,
                  .k = k,
                  .v = v,
                  .out = *out,
                  .tokens = h.batch * h.len,
                  .slots = h.batch * n,
                  .width = shape[2],
                  .narrow = k->shape[2]};
  ISC_TRY(place_rows(s, &h, n, h.batch / k->shape[0], &p));
  ISC_TRY(new_spread(s, &p, &spread));
  ISC_TRY(
      s->dev->ops->scatter_add(s->dev->impl, p.tokens, p.width, qkv->data, p.token, (*out)->data));
  ISC_TRY(put(s, &p, k, p.key, spread));
  ISC_TRY(put(s, &p, v, p.value, spread));
  if (!isc_tracks(s, inputs, 3)) return ISC_OK;
  ISC_TRY(isc_step_keep(s, &p, sizeof p, &kept));
  return isc_tape_record(s, inputs, 3, *out, prepend_backward, kept);
}
