/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward pass: embed, blocks, final norm, with a tap at every named place.
 *
 * It is made of tape-able operations only, so the same pass serves harvesting, training, and input
 * gradients through a frozen model. A stop is honoured right after its place: the rest is not computed.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <math.h>

typedef struct pass {
  isc_decoder *d;
  isc_step *s;
  const isc_decoder_input *in;
  const isc_taps *taps;
  int64_t past; /* positions already in the cache */
  bool stopped;
} pass;

static isc_status check_cache(const isc_decoder *d, const isc_decoder_input *in) {
  const isc_kv_cache *c = in->cache;
  if (c->n_layer != d->spec.n_layer || c->width != d->spec.n_head * d->spec.d_head)
    return isc_fail(ISC_E_SHAPE, "a key/value cache was made for another decoder");
  if (c->batch != in->batch)
    return isc_fail(ISC_E_SHAPE, "a key/value cache holds %lld sequences and the batch %lld",
                    (long long)c->batch, (long long)in->batch);
  if (in->len > c->n_ctx - c->len)
    return isc_fail(ISC_E_SHAPE,
                    "%lld positions do not fit behind the %lld of a key/value cache for %lld",
                    (long long)in->len, (long long)c->len, (long long)c->n_ctx);
  return ISC_OK;
}

static isc_status check_input(const pass *p) {
  const isc_decoder_input *in = p->in;
  if (in->batch < 0 || in->len < 0)
    return isc_fail(ISC_E_SHAPE, "a forward pass over %lld sequences of length %lld",
                    (long long)in->batch, (long long)in->len);
  if (in->cache && isc_tape_on(p->s))
    return isc_fail(ISC_E_USAGE, "a forward pass with a key/value cache has no gradient");
  if (in->cache) ISC_TRY(check_cache(p->d, in));
  if (in->len > p->d->spec.n_ctx - p->past)
    return isc_fail(ISC_E_SHAPE,
                    "a sequence of %lld tokens is longer than the model's %lld positions",
                    (long long)(p->past + in->len), (long long)p->d->spec.n_ctx);
  return ISC_OK;
}

static isc_status tap(pass *p, isc_place place, int64_t layer, isc_tensor **x) {
  ISC_TRY(isc_tap(p->taps, p->s, place, layer, *x, x));
  p->stopped = isc_tap_stops(p->taps, place, layer);
  return ISC_OK;
}

static isc_status embed(pass *p, isc_tensor **out) {
  int64_t rows = p->in->batch * p->in->len;
  void *memory;
  ISC_TRY(isc_step_host_alloc(p->s, (size_t)rows * sizeof(int32_t), &memory));
  int32_t *pos = memory;
  for (int64_t i = 0; i < rows; i++)
    pos[i] = (int32_t)(p->past + i % p->in->len);
  return isc_op_embed(p->s, &p->d->wte->value, &p->d->wpe->value, p->in->ids, pos, rows, out);
}

static float attention_scale(const isc_decoder_spec *s, int64_t layer) {
  double scale = s->attn_scale != 0 ? s->attn_scale : 1.0 / sqrt((double)s->d_head);
  return (float)(s->scale_by_layer ? scale / (double)(layer + 1) : scale);
}

/* qkv [rows, 3·heads] → [rows, heads] */
static isc_status attend(pass *p, int64_t layer, isc_tensor *qkv, isc_tensor **out) {
  const isc_decoder_spec *spec = &p->d->spec;
  const isc_decoder_input *in = p->in;
  int64_t heads = spec->n_head * spec->d_head;
  float scale = attention_scale(spec, layer);
  isc_tensor *mixed;
  ISC_TRY(isc_tensor_reshape(p->s, qkv, 3, (int64_t[]){in->batch, in->len, 3 * heads}, &qkv));
  if (in->cache)
    ISC_TRY(isc_op_attention_cached(p->s, qkv, in->batch, in->len, spec->n_head, scale,
                                    &in->cache->k[layer], &in->cache->v[layer], p->past, &mixed));
  else
    ISC_TRY(isc_op_attention(p->s, qkv, in->batch, in->len, spec->n_head, scale, &mixed));
  return isc_tensor_reshape(p->s, mixed, 2, (int64_t[]){in->batch * in->len, heads}, out);
}

/* What attention adds to the residual stream x [rows, d]: *out [rows, d]. */
static isc_status attention_branch(pass *p, int64_t layer, isc_tensor *x, isc_tensor **out) {
  isc_decoder_layer *l = &p->d->layer[layer];
  isc_tensor *h;
  ISC_TRY(isc_op_layernorm(p->s, x, &l->ln_1_w->value, &l->ln_1_b->value, p->d->spec.norm_eps, &h));
  ISC_TRY(isc_op_linear(p->s, h, &l->qkv_w->value, ISC_IN_OUT, &l->qkv_b->value, ISC_ACT_NONE, &h));
  if (p->taps && p->taps->wants) ISC_TRY(isc_tap(p->taps, p->s, ISC_QKV, layer, h, &h));
  ISC_TRY(attend(p, layer, h, &h));
  ISC_TRY(tap(p, ISC_HEADS, layer, &h));
  if (p->stopped) return ISC_OK;
  ISC_TRY(isc_op_linear(p->s, h, &l->o_w->value, ISC_IN_OUT, &l->o_b->value, ISC_ACT_NONE, out));
  return tap(p, ISC_ATTN_OUT, layer, out);
}

static isc_status mlp_branch(pass *p, int64_t layer, isc_tensor *x, isc_tensor **out) {
  isc_decoder_layer *l = &p->d->layer[layer];
  isc_tensor *h;
  ISC_TRY(isc_op_layernorm(p->s, x, &l->ln_2_w->value, &l->ln_2_b->value, p->d->spec.norm_eps, &h));
  ISC_TRY(isc_op_linear(p->s, h, &l->fc_w->value, ISC_IN_OUT, &l->fc_b->value, p->d->spec.act, &h));
  ISC_TRY(
      isc_op_linear(p->s, h, &l->proj_w->value, ISC_IN_OUT, &l->proj_b->value, ISC_ACT_NONE, out));
  return tap(p, ISC_MLP_OUT, layer, out);
}

static isc_status block(pass *p, int64_t layer, isc_tensor **x) {
  isc_tensor *branch;
  ISC_TRY(tap(p, ISC_RESID_PRE, layer, x));
  if (p->stopped) return ISC_OK;
  ISC_TRY(attention_branch(p, layer, *x, &branch));
  if (p->stopped) return ISC_OK;
  ISC_TRY(isc_op_add(p->s, *x, branch, x));
  ISC_TRY(tap(p, ISC_RESID_MID, layer, x));
  if (p->stopped) return ISC_OK;
  ISC_TRY(mlp_branch(p, layer, *x, &branch));
  if (p->stopped) return ISC_OK;
  ISC_TRY(isc_op_add(p->s, *x, branch, x));
  return tap(p, ISC_RESID_POST, layer, x);
}

/* The same in one layer's memory: x is overwritten with what leaves the block, and the rest dies. */
static isc_status thrifty_block(pass *p, int64_t layer, isc_tensor *x) {
  isc_device *dev = p->d->dev;
  isc_step_mark mark = isc_step_here(p->s);
  isc_tensor *y = x;
  ISC_TRY(block(p, layer, &y));
  if (!p->stopped && y != x)
    ISC_TRY(
        dev->ops->copy(dev->impl, x->data, y->data, (size_t)isc_tensor_size(x) * sizeof(float)));
  return isc_step_rewind(p->s, mark);
}

isc_status isc_decoder_forward(isc_decoder *d, isc_step *s, const isc_decoder_input *in,
                               const isc_taps *taps, isc_tensor **hidden) {
  isc_decoder_input input;
  isc_taps tapped;
  isc_tensor *x;
  *hidden = NULL;
  ISC_TRY(isc_struct_read(in, "a decoder's input", ISC_SIZE_TO(isc_decoder_input, cache),
                          sizeof input, &input));
  if (taps)
    ISC_TRY(
        isc_struct_read(taps, "taps", ISC_SIZE_TO(isc_taps, transient), sizeof tapped, &tapped));
  pass p = {.d = d,
            .s = s,
            .in = &input,
            .taps = taps ? &tapped : NULL,
            .past = input.cache ? input.cache->len : 0};
  bool thrifty = !isc_tape_on(s) && (!taps || tapped.transient);
  ISC_TRY(check_input(&p));
  ISC_TRY(embed(&p, &x));
  for (int64_t l = 0; l < d->spec.n_layer && !p.stopped; l++)
    ISC_TRY(thrifty ? thrifty_block(&p, l, x) : block(&p, l, &x));
  if (!p.stopped)
    ISC_TRY(isc_op_layernorm(s, x, &d->ln_f_w->value, &d->ln_f_b->value, d->spec.norm_eps, hidden));
  if (input.cache) input.cache->len += input.len; /* last, so that a failed pass can be repeated */
  return ISC_OK;
}

isc_status isc_decoder_logits(isc_decoder *d, isc_step *s, isc_tensor *hidden,
                              isc_tensor **logits) {
  return isc_op_linear(s, hidden, &d->head->value, ISC_OUT_IN, NULL, ISC_ACT_NONE, logits);
}
