/* SPDX-License-Identifier: Apache-2.0
 *
 * The forward pass: embed, blocks, final norm, with a tap at every named place.
 *
 * It is made of tape-able operations only, so the same pass serves harvesting, training, and input
 * gradients through a frozen model. A stop is honoured right after its place: the rest is not computed. Where only
 * sequences' last positions are asked for, the block that the pass stops in goes on with those alone: no later
 * block has use for the others.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include "tensor/embed.h"
#include "tensor/packed.h"
#include <math.h>

typedef struct pass {
  isc_decoder *d;
  isc_step *s;
  const isc_decoder_input *in;
  const isc_taps *taps;
  int64_t past;                /* positions already in the cache              */
  const isc_kv_prefix *prefix; /* of this pass; NULL = none, or the cache has it */
  int64_t rows;                /* of the residual stream                      */
  int32_t *pos;                /* [rows] each row's position                  */
  isc_span *span;              /* [spans] NULL unless packed or with `last`   */
  int64_t spans;
  bool stopped;
} pass;

static isc_status check_cache(const isc_decoder *d, const isc_decoder_input *in) {
  const isc_kv_cache *c = in->cache;
  if (c->n_layer != d->spec.n_layer || c->width != isc_spec_kv_heads(&d->spec) * d->spec.d_head)
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

static isc_status check_part(const pass *p) {
  const isc_decoder_input *in = p->in;
  const int64_t n = p->d->spec.n_layer, width = p->d->spec.d_model;
  if (in->first_layer == 0 && in->end_layer == 0 && !in->resid) return ISC_OK;
  if (in->cache || isc_tape_on(p->s))
    return isc_fail(ISC_E_USAGE, "a forward pass in parts has neither a cache nor a gradient");
  if (in->first_layer < 0 || in->end_layer < 0 || in->first_layer >= n || in->end_layer > n ||
      (in->end_layer && in->end_layer <= in->first_layer))
    return isc_fail(ISC_E_SHAPE, "blocks [%lld, %lld) of a decoder of %lld",
                    (long long)in->first_layer, (long long)in->end_layer, (long long)n);
  const isc_tensor *x = in->resid;
  if (x && x->ndim == 2 && x->shape[0] == p->rows && x->shape[1] == width) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "a forward pass in parts needs a residual stream [%lld, %lld]",
                  (long long)p->rows, (long long)width);
}

/* The lengths, and that nobody needs what is left out; the rows they come to. */
static isc_status check_packed(pass *p) {
  const isc_decoder_input *in = p->in;
  if ((in->lens || in->last) && (in->cache || isc_tape_on(p->s)))
    return isc_fail(ISC_E_USAGE, "a forward pass over packed sequences or their last positions has "
                                 "neither a cache nor a gradient");
  if (in->last &&
      (!p->taps || p->taps->stop_layer < 0 || p->taps->stop_layer >= p->d->spec.n_layer ||
       p->taps->stop_place >= ISC_PLACE_COUNT || in->len < 1))
    return isc_fail(
        ISC_E_USAGE,
        "a forward pass over the last positions of sequences needs taps that stop it at "
        "a place that is a site, and a position");
  p->rows = in->batch * in->len;
  if (!in->lens) return ISC_OK;
  p->rows = 0;
  for (int64_t i = 0; i < in->batch; i++) {
    if (in->lens[i] < 1 || in->lens[i] > in->len)
      return isc_fail(ISC_E_SHAPE,
                      "sequence %lld of a forward pass has %lld positions, not 1 to %lld",
                      (long long)i, (long long)in->lens[i], (long long)in->len);
    p->rows += in->lens[i];
  }
  return ISC_OK;
}

static isc_status check_input(pass *p) {
  const isc_decoder_input *in = p->in;
  if (in->batch < 0 || in->len < 0)
    return isc_fail(ISC_E_SHAPE, "a forward pass over %lld sequences of length %lld",
                    (long long)in->batch, (long long)in->len);
  if (in->cache && isc_tape_on(p->s))
    return isc_fail(ISC_E_USAGE, "a forward pass with a key/value cache has no gradient");
  if (isc_decoder_is_streamed(p->d) && isc_tape_on(p->s))
    return isc_fail(
        ISC_E_UNSUPPORTED,
        "a streamed decoder has no gradient: its layers are gone when the pass goes back; "
        "use resident = \"all\"");
  ISC_TRY(check_packed(p));
  ISC_TRY(check_part(p));
  if (in->cache) ISC_TRY(check_cache(p->d, in));
  if (in->len > p->d->spec.n_ctx - p->past)
    return isc_fail(ISC_E_SHAPE,
                    "a sequence of %lld tokens is longer than the model's %lld positions",
                    (long long)(p->past + in->len), (long long)p->d->spec.n_ctx);
  return ISC_OK;
}

static int64_t length(const isc_decoder_input *in, int64_t i) {
  return in->lens ? in->lens[i] : in->len;
}

/* Runs of sequences of one length. */
static isc_status find_spans(pass *p) {
  const isc_decoder_input *in = p->in;
  void *memory;
  if ((!in->lens && !in->last) || in->len == 0) return ISC_OK;
  ISC_TRY(isc_step_host_alloc(p->s, (size_t)in->batch * sizeof *p->span, &memory));
  p->span = memory;
  for (int64_t i = 0, row = 0; i < in->batch; i++) {
    isc_span *run = p->spans ? &p->span[p->spans - 1] : NULL;
    if (run && run->len == length(in, i))
      run->batch++;
    else
      p->span[p->spans++] = (isc_span){row, 1, length(in, i)};
    row += length(in, i);
  }
  return ISC_OK;
}

static isc_status find_positions(pass *p) {
  void *memory;
  ISC_TRY(isc_step_host_alloc(p->s, (size_t)p->rows * sizeof *p->pos, &memory));
  p->pos = memory;
  for (int64_t i = 0, row = 0; i < p->in->batch; i++)
    for (int64_t t = 0; t < length(p->in, i); t++)
      p->pos[row++] = (int32_t)(p->past + t);
  return ISC_OK;
}

/* Is the layer one of which only the last positions are asked for? */
static bool is_narrow(const pass *p, int64_t layer) {
  return p->in->last && p->taps->stop_layer == layer;
}

static isc_status check_prefix(const pass *p) {
  const isc_kv_cache *c = p->in->cache;
  if (!p->prefix) return ISC_OK;
  if (p->in->lens || p->in->last)
    return isc_fail(ISC_E_USAGE, "a pass with key/value slots has sequences of one length, all of "
                                 "whose positions are asked for");
  if (c && p->past > 0)
    return isc_fail(ISC_E_USAGE,
                    "key/value slots are given to the pass that begins a cache; this "
                    "one has %lld positions already",
                    (long long)p->past);
  if (c && p->prefix->n > c->room)
    return isc_fail(ISC_E_SHAPE, "%lld key/value slots for a cache with room for %lld",
                    (long long)p->prefix->n, (long long)c->room);
  return isc_decoder_check_prefix(p->d, p->prefix, p->in->batch);
}

static isc_status tap(pass *p, isc_place place, int64_t layer, isc_tensor **x) {
  ISC_TRY(isc_tap(p->taps, p->s, place, layer, *x, x));
  p->stopped = isc_tap_stops(p->taps, place, layer);
  return ISC_OK;
}

static isc_tensor *value_of(isc_param *q) {
  return q ? &q->value : NULL;
}

static isc_status embed(pass *p, isc_tensor **out) {
  isc_decoder *d = p->d;
  const double scale = d->spec.embed_scale != 0 ? d->spec.embed_scale : 1;
  if (p->in->device_ids)
    return isc_op_embed_there(p->s, &d->wte->value, value_of(d->wpe), scale, p->in->device_ids,
                              d->wpe ? p->pos : NULL, p->rows, out);
  return isc_op_embed_scaled(p->s, &d->wte->value, value_of(d->wpe), scale, p->in->ids,
                             d->wpe ? p->pos : NULL, p->rows, out);
}

static isc_status normalise(pass *p, isc_tensor *x, isc_param *gain, isc_param *bias,
                            isc_tensor **out) {
  const isc_decoder_spec *spec = &p->d->spec;
  return spec->norm == ISC_RMSNORM
             ? isc_op_rmsnorm(p->s, x, &gain->value, spec->norm_eps, out)
             : isc_op_layernorm(p->s, x, &gain->value, &bias->value, spec->norm_eps, out);
}

static isc_status apply(pass *p, isc_tensor *x, isc_param *weight, isc_param *bias, isc_act act,
                        isc_tensor **out) {
  return isc_op_linear(p->s, x, &weight->value, p->d->spec.out_in ? ISC_OUT_IN : ISC_IN_OUT,
                       value_of(bias), act, out);
}

static float attention_scale(const isc_decoder_spec *s, int64_t layer) {
  double scale = s->attn_scale != 0 ? s->attn_scale : 1.0 / sqrt((double)s->d_head);
  return (float)(s->scale_by_layer ? scale / (double)(layer + 1) : scale);
}

/* Of packed sequences every row counts as a sequence of one position. */
static isc_heads heads_of(const pass *p, int64_t layer) {
  const isc_decoder_spec *spec = &p->d->spec;
  return (isc_heads){.size = sizeof(isc_heads),
                     .batch = p->span ? p->rows : p->in->batch,
                     .len = p->span ? 1 : p->in->len,
                     .n_head = spec->n_head,
                     .n_kv_head = isc_spec_kv_heads(spec),
                     .d_head = spec->d_head,
                     .scale = attention_scale(spec, layer),
                     .soft_cap = (float)spec->attn_soft_cap,
                     .window = isc_spec_windowed(spec, layer) ? spec->window : 0};
}

static isc_status rotate(pass *p, int64_t layer, const isc_heads *h, isc_tensor **qkv) {
  isc_rotary_tables *t;
  ISC_TRY(isc_decoder_rotary(p->d, layer, p->past + p->in->len, &t));
  if (p->span) return isc_op_rotary_at(p->s, *qkv, h, p->pos, &t->cos, &t->sin);
  return isc_op_rotary(p->s, *qkv, h, p->past, &t->cos, &t->sin, qkv);
}

/* Over this pass's own rows and, before each sequence's, those of its slots, whose outputs are dropped. */
static isc_status attend_behind(pass *p, int64_t layer, isc_tensor *qkv, isc_heads h,
                                isc_tensor **out) {
  const int64_t n = p->prefix->n, len = h.len;
  void *memory;
  ISC_TRY(isc_op_prepend(p->s, qkv, &h, p->prefix->k[layer], p->prefix->v[layer], &qkv));
  h.len += n;
  ISC_TRY(isc_op_attend(p->s, qkv, &h, NULL, NULL, 0, out));
  ISC_TRY(isc_step_host_alloc(p->s, (size_t)(h.batch * len) * sizeof(int64_t), &memory));
  int64_t *row = memory;
  for (int64_t i = 0; i < h.batch * len; i++)
    row[i] = i / len * h.len + n + i % len;
  return isc_op_gather(p->s, *out, row, h.batch * len, out);
}

static isc_status attend_cached(pass *p, int64_t layer, isc_tensor *qkv, const isc_heads *h,
                                isc_tensor **out) {
  isc_kv_cache *cache = p->in->cache;
  if (p->prefix) ISC_TRY(isc_kv_cache_begin(cache, layer, p->prefix));
  return isc_op_attend(p->s, qkv, h, &cache->k[layer], &cache->v[layer], cache->prefix + p->past,
                       out);
}

/* qkv [rows, queries, keys and values], changed in place where it can be → [rows, n_head·d_head], or of a narrow layer
 * [sequences, n_head·d_head] */
static isc_status attend(pass *p, int64_t layer, isc_tensor *qkv, isc_tensor **out) {
  const isc_decoder_spec *spec = &p->d->spec;
  const isc_decoder_layer *l = &p->d->layer[layer];
  const isc_heads h = heads_of(p, layer);
  isc_tensor *mixed;
  if (spec->head_norms)
    ISC_TRY(isc_op_norm_heads(p->s, qkv, &h, &l->q_norm->value, &l->k_norm->value, spec->norm_eps,
                              &qkv));
  if (spec->positions == ISC_ROTARY) ISC_TRY(rotate(p, layer, &h, &qkv));
  if (p->span)
    return isc_op_attend_spans(p->s, qkv, &h, p->span, p->spans, is_narrow(p, layer), out);
  if (p->in->cache)
    ISC_TRY(attend_cached(p, layer, qkv, &h, &mixed));
  else if (p->prefix)
    ISC_TRY(attend_behind(p, layer, qkv, h, &mixed));
  else
    ISC_TRY(isc_op_attend(p->s, qkv, &h, NULL, NULL, 0, &mixed));
  return isc_tensor_reshape(p->s, mixed, 2, (int64_t[]){p->rows, h.n_head * h.d_head}, out);
}

/* What attention makes of the residual stream x [rows, d]: *out [rows, d]. */
static isc_status attention_branch(pass *p, int64_t layer, isc_tensor *x, isc_tensor **out) {
  isc_decoder_layer *l = &p->d->layer[layer];
  isc_tensor *h;
  ISC_TRY(normalise(p, x, l->ln_1_w, l->ln_1_b, &h));
  ISC_TRY(apply(p, h, l->qkv_w, l->qkv_b, ISC_ACT_NONE, &h));
  if (p->taps && p->taps->wants) ISC_TRY(isc_tap(p->taps, p->s, ISC_QKV, layer, h, &h));
  ISC_TRY(attend(p, layer, h, &h));
  ISC_TRY(tap(p, ISC_HEADS, layer, &h));
  if (p->stopped) return ISC_OK;
  ISC_TRY(isc_op_linear(p->s, h, &l->o_w->value, ISC_IN_OUT, value_of(l->o_b), ISC_ACT_NONE, out));
  return tap(p, ISC_ATTN_OUT, layer, out);
}

static isc_status mlp_branch(pass *p, int64_t layer, isc_tensor *x, isc_tensor **out) {
  const isc_decoder_spec *spec = &p->d->spec;
  isc_decoder_layer *l = &p->d->layer[layer];
  const bool gated = spec->mlp == ISC_MLP_GATED;
  isc_tensor *h;
  ISC_TRY(normalise(p, x, l->ln_2_w, l->ln_2_b, &h));
  ISC_TRY(apply(p, h, l->fc_w, l->fc_b, gated ? ISC_ACT_NONE : spec->act, &h));
  if (gated) ISC_TRY(isc_op_gate(p->s, spec->act, h, &h));
  ISC_TRY(apply(p, h, l->proj_w, l->proj_b, ISC_ACT_NONE, out));
  return tap(p, ISC_MLP_OUT, layer, out);
}

/* x + branch, through the branch's post-norm if it has one. */
static isc_status join(pass *p, isc_tensor **x, isc_tensor *branch, isc_param *post) {
  if (post) ISC_TRY(isc_op_rmsnorm(p->s, branch, &post->value, p->d->spec.norm_eps, &branch));
  return isc_op_add(p->s, *x, branch, x);
}

/* The last row of each sequence. */
static isc_status keep_last(pass *p, isc_tensor **x) {
  void *memory;
  ISC_TRY(isc_step_host_alloc(p->s, (size_t)p->in->batch * sizeof(int64_t), &memory));
  int64_t *row = memory;
  for (int64_t i = 0, end = 0; i < p->in->batch; i++) {
    end += length(p->in, i);
    row[i] = end - 1;
  }
  return isc_op_gather(p->s, *x, row, p->in->batch, x);
}

static isc_status block(pass *p, int64_t layer, isc_tensor **x) {
  isc_tensor *branch;
  ISC_TRY(isc_decoder_need_layer(p->d, layer));
  ISC_TRY(tap(p, ISC_RESID_PRE, layer, x));
  if (p->stopped) return ISC_OK;
  ISC_TRY(attention_branch(p, layer, *x, &branch));
  if (p->stopped) return ISC_OK;
  if (is_narrow(p, layer)) ISC_TRY(keep_last(p, x));
  ISC_TRY(join(p, x, branch, p->d->layer[layer].ln_1_post));
  ISC_TRY(tap(p, ISC_RESID_MID, layer, x));
  if (p->stopped) return ISC_OK;
  ISC_TRY(mlp_branch(p, layer, *x, &branch));
  if (p->stopped) return ISC_OK;
  ISC_TRY(join(p, x, branch, p->d->layer[layer].ln_2_post));
  return tap(p, ISC_RESID_POST, layer, x);
}

static isc_status copy(const pass *p, isc_tensor *to, const isc_tensor *from) {
  isc_device *dev = p->d->dev;
  if (to == from) return ISC_OK;
  return dev->ops->copy(dev->impl, to->data, from->data,
                        (size_t)isc_tensor_size(to) * sizeof(float));
}

/* The same in one layer's memory: x is overwritten with what leaves the block, and the rest dies. */
static isc_status thrifty_block(pass *p, int64_t layer, isc_tensor *x) {
  isc_step_mark mark = isc_step_here(p->s);
  isc_tensor *y = x;
  ISC_TRY(block(p, layer, &y));
  if (!p->stopped) ISC_TRY(copy(p, x, y));
  return isc_step_rewind(p->s, mark);
}

isc_status isc_decoder_forward(isc_decoder *d, isc_step *s, const isc_decoder_input *in,
                               const isc_taps *taps, isc_tensor **hidden) {
  isc_decoder_input input;
  isc_kv_prefix prefix;
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
  if (input.prefix) {
    ISC_TRY(isc_struct_read(input.prefix, "key/value slots", ISC_SIZE_TO(isc_kv_prefix, v),
                            sizeof prefix, &prefix));
    p.prefix = &prefix;
  }
  bool thrifty = !isc_tape_on(s) && (!taps || tapped.transient);
  ISC_TRY(check_input(&p));
  ISC_TRY(check_prefix(&p));
  if (input.cache && p.past == 0) input.cache->prefix = p.prefix ? prefix.n : 0;
  ISC_TRY(find_spans(&p));
  if (d->wpe || p.span) ISC_TRY(find_positions(&p));
  const int64_t end = input.end_layer ? input.end_layer : d->spec.n_layer;
  x = input.resid;
  if (input.first_layer == 0) ISC_TRY(embed(&p, &x));
  for (int64_t l = input.first_layer; l < end && !p.stopped; l++)
    ISC_TRY(thrifty ? thrifty_block(&p, l, x) : block(&p, l, &x));
  if (!p.stopped && input.resid) ISC_TRY(copy(&p, input.resid, x));
  if (!p.stopped && end == d->spec.n_layer) ISC_TRY(normalise(&p, x, d->ln_f_w, d->ln_f_b, hidden));
  if (input.cache) input.cache->len += input.len; /* last, so that a failed pass can be repeated */
  return ISC_OK;
}

isc_status isc_decoder_logits(isc_decoder *d, isc_step *s, isc_tensor *hidden,
                              isc_tensor **logits) {
  const double cap = d->spec.logit_soft_cap;
  ISC_TRY(isc_op_linear(s, hidden, &d->head->value, ISC_OUT_IN, NULL, ISC_ACT_NONE, logits));
  if (cap == 0) return ISC_OK;
  ISC_TRY(isc_op_scale(s, *logits, 1 / cap, logits));
  ISC_TRY(isc_op_act(s, ISC_ACT_TANH, *logits, logits));
  return isc_op_scale(s, *logits, cap, logits);
}
