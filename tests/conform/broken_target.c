/* SPDX-License-Identifier: Apache-2.0
 *
 * A tiny random decoder as a target, and one way each to break what is asked of targets.
 *
 * Most defects sit in a wrapper around the decoder's forward pass or around the taps it is given. What two checks would
 * find is narrowed to what one of them does, by the shape of the batch or by the passes that went before.
 */
#include "broken.h"
#include <ctype.h>
#include <inversescope/target.h>
#include <math.h>
#include <stdlib.h>

enum { LAYERS = 2, HEADS = 2, HEAD = 6, MODEL = 12, CONTEXT = 16, CHARS = 16, KEPT = 64 };
enum { LONGEST = 12 }; /* of the checks' prompts */

typedef struct target {
  isc_decoder *decoder;
  isc_tokenizer *tokenizer;
  int passes, failures; /* so far                           */
  int64_t batch, len;   /* of the first pass, and its ids   */
  int32_t first[KEPT];
} target;

/* ---- opening */

static isc_status make_weights(isc_decoder *d) {
  isc_params *p = isc_decoder_params(d);
  ISC_TRY(isc_decoder_init(d, 5));
  for (int64_t i = 0; i < isc_params_count(p); i++) {
    isc_param *q = isc_params_at(p, i);
    if (!strstr(q->name, "ln_")) ISC_TRY(isc_param_init_normal(p, q, 5, 0.3));
  }
  return ISC_OK;
}

static isc_status make_decoder(isc_device *dev, isc_decoder **out) {
  const isc_decoder_spec spec = {.size = sizeof spec,
                                 .n_layer = LAYERS,
                                 .n_head = HEADS,
                                 .d_model = MODEL,
                                 .d_head = HEAD,
                                 .d_mlp = 24,
                                 .vocab = CHARS + 1,
                                 .n_ctx = CONTEXT,
                                 .act = ISC_ACT_GELU_TANH,
                                 .norm_eps = 1e-5};
  ISC_TRY(isc_decoder_new(dev, &spec, out));
  return make_weights(*out);
}

static isc_status make_tokenizer(isc_tokenizer **out) {
  static const char *const chars[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                                      "j", "k", "l", "m", "n", "o", "p", "q"};
  return isc_tokenizer_from_chars(chars, BROKEN("target.tokenizer") ? CHARS + 1 : CHARS, "|", out);
}

static void close_target(void *self) {
  target *t = self;
  isc_tokenizer_close(t->tokenizer);
  isc_decoder_free(t->decoder);
  free(t);
}

static isc_status open_target(const void *conf, isc_device *dev, void **self) {
  target *t = calloc(1, sizeof *t);
  isc_status st = ISC_OK;
  (void)conf;
  if (!t) return isc_fail(ISC_E_NOMEM, "target broken: no memory");
  ISC_GO(make_decoder(dev, &t->decoder));
  ISC_GO(make_tokenizer(&t->tokenizer));
  *self = t;
  t = NULL;
done:
  if (t) close_target(t);
  return st;
}

static void describe(void *self, isc_target_info *out) {
  const target *t = self;
  *out = (isc_target_info){.size = sizeof *out,
                           .n_layer = LAYERS,
                           .n_head = HEADS,
                           .d_model = MODEL,
                           .d_head = HEAD,
                           .n_ctx = CONTEXT,
                           .vocab = CHARS + 1,
                           .parameters = isc_params_elements(isc_decoder_params(t->decoder))};
  if (BROKEN("target.info")) out->parameters = 0;
  out->packed = BROKEN("target.packed");
}

static const isc_tokenizer *tokenizer(void *self) {
  return ((target *)self)->tokenizer;
}

/* ---- changing tensors */

/* x times `factor`, and element `at` of the result times `spoil`; at < 0 = none. */
static isc_status changed(isc_step *s, isc_tensor *x, float factor, int64_t at, float spoil,
                          isc_tensor **out) {
  int64_t n = isc_tensor_size(x);
  void *memory;
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(float), &memory));
  float *host = memory;
  ISC_TRY(isc_tensor_download(s, x, host));
  for (int64_t i = 0; i < n; i++)
    host[i] *= factor;
  if (at >= 0 && at < n) host[at] *= spoil;
  return isc_tensor_from(s, x->ndim, x->shape, host, out);
}

/* Where a row but the first was patched, the first changes too. */
static isc_status spill(isc_step *s, isc_tensor *x, isc_tensor **out) {
  int64_t n = isc_tensor_size(x), width = x->shape[x->ndim - 1];
  void *before, *after;
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(float), &before));
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(float), &after));
  ISC_TRY(isc_tensor_download(s, x, before));
  ISC_TRY(isc_tensor_download(s, *out, after));
  if (memcmp((float *)before + width, (float *)after + width,
             (size_t)(n - width) * sizeof(float)) == 0)
    return ISC_OK;
  return changed(s, *out, 1, 0, 1.5f, out);
}

/* ---- taps */

typedef struct wrapper {
  const isc_taps *taps;
  int64_t batch, len;
  bool replaced; /* the tap replaced something */
} wrapper;

static bool wants(void *user, isc_place place, int64_t layer) {
  const isc_taps *t = ((wrapper *)user)->taps;
  return t->wants(t->user, place, layer);
}

/* The tap sees twice the tensor, or a view of it in three dimensions. */
static isc_status disguise(const wrapper *w, isc_step *s, isc_place place, int64_t layer,
                           isc_tensor *x, isc_tensor **seen) {
  *seen = x;
  if (BROKEN("target.shapes") && place == ISC_MLP_OUT)
    return isc_tensor_reshape(s, x, 3, (int64_t[]){w->batch, w->len, MODEL}, seen);
  if (BROKEN("target.residual") && place == ISC_RESID_MID && layer == 1)
    return changed(s, x, 2, -1, 1, seen);
  return ISC_OK;
}

static isc_status undo(isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                       isc_tensor **out) {
  if (BROKEN("target.residual") && place == ISC_RESID_MID && layer == 1)
    return changed(s, *out, 0.5f, -1, 1, out);
  if (BROKEN("target.patch-self")) return changed(s, *out, 1, 0, 1 + 0x1p-22f, out);
  if (BROKEN("target.patch-downstream")) return spill(s, x, out);
  return isc_tensor_reshape(s, *out, x->ndim, x->shape, out);
}

static isc_status at_place(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                           isc_tensor **out) {
  wrapper *w = user;
  isc_tensor *seen;
  ISC_TRY(disguise(w, s, place, layer, x, &seen));
  ISC_TRY(w->taps->at(w->taps->user, s, place, layer, seen, out));
  if (*out == seen) {
    *out = x;
    return ISC_OK;
  }
  w->replaced = true;
  return undo(s, place, layer, x, out);
}

/* ---- the forward pass */

/* Has this pass the first one's shape, and how do its ids compare? */
static bool like_first(const target *t, const isc_decoder_input *in) {
  return !in->cache && t->passes > 0 && in->batch == t->batch && in->len == t->len &&
         in->batch * in->len <= KEPT;
}

static bool reversed(const target *t, const isc_decoder_input *in) {
  const size_t row = (size_t)in->len * sizeof *in->ids;
  const int32_t *last = in->ids + (in->batch - 1) * in->len;
  return like_first(t, in) && in->batch > 1 && memcmp(in->ids, last, row) != 0 &&
         memcmp(in->ids, t->first + (in->batch - 1) * in->len, row) == 0 &&
         memcmp(last, t->first, row) == 0;
}

/* Other ids, but each sequence begins with the token it began with. */
static bool continued(const target *t, const isc_decoder_input *in) {
  if (!like_first(t, in)) return false;
  for (int64_t b = 0; b < in->batch; b++)
    if (in->ids[b * in->len] != t->first[b * in->len]) return false;
  return memcmp(in->ids, t->first, (size_t)(in->batch * in->len) * sizeof *in->ids) != 0;
}

static void remember(target *t, const isc_decoder_input *in) {
  if (t->passes++ > 0 || in->batch * in->len > KEPT) return;
  t->batch = in->batch;
  t->len = in->len;
  if (in->batch * in->len > 0)
    memcpy(t->first, in->ids, (size_t)(in->batch * in->len) * sizeof *in->ids);
}

/* By how much the first element of hidden is off in this pass. */
static float error_of(const target *t, const isc_decoder_input *in, const isc_taps *taps,
                      bool replaced) {
  bool alone = in->batch == 1 && !in->cache;
  if (BROKEN("target.repeat"))
    return t->passes == 1 && t->failures == 0 && !replaced ? 0x1p-22f : 0;
  if (BROKEN("target.batch")) return alone && in->len == LONGEST && t->passes > 1 ? 0.01f : 0;
  if (BROKEN("target.padding")) return alone && in->len < LONGEST ? 0.01f : 0;
  if (BROKEN("target.order")) return reversed(t, in) ? 0.01f : 0;
  if (BROKEN("target.causal")) return continued(t, in) ? 0.01f : 0;
  if (BROKEN("target.transient")) return taps && taps->transient ? 0.01f : 0;
  if (BROKEN("target.cache")) return in->cache ? 0.01f : 0;
  if (BROKEN("target.packed")) return in->lens ? 0.01f : 0;
  return 0;
}

/* Input that should be refused is made acceptable. */
static isc_status accept_input(isc_step *s, isc_decoder_input *in) {
  void *memory;
  int64_t n = in->batch * in->len;
  if (BROKEN("target.empty") && n == 0) *(volatile int *)8 = 1; /* as a division by it may end */
  if (BROKEN("target.too-long") && in->len > CONTEXT) in->len = CONTEXT;
  if (!BROKEN("target.bad-id")) return ISC_OK;
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof *in->ids, &memory));
  int32_t *ids = memory;
  for (int64_t i = 0; i < n; i++)
    ids[i] = in->ids[i] < 0 || in->ids[i] > CHARS ? 0 : in->ids[i];
  in->ids = ids;
  return ISC_OK;
}

static isc_status forward(void *self, isc_step *s, const isc_decoder_input *in,
                          const isc_taps *taps, isc_tensor **hidden) {
  target *t = self;
  isc_decoder_input input = *in;
  wrapper w = {taps, in->batch, in->len, false};
  isc_taps mine = {0};
  *hidden = NULL;
  if (taps) mine = *taps;
  mine.user = &w;
  mine.at = at_place;
  if (taps && taps->wants) mine.wants = BROKEN("target.wants") ? NULL : wants;
  if (BROKEN("target.stop")) mine.stop_layer = -1;
  ISC_TRY(accept_input(s, &input));
  isc_status st = isc_decoder_forward(t->decoder, s, &input, taps ? &mine : NULL, hidden);
  if (st != ISC_OK) {
    t->failures++;
    return st;
  }
  float error = error_of(t, in, taps, w.replaced);
  remember(t, in);
  if (BROKEN("target.golden") && *hidden) return changed(s, *hidden, 1.01f, -1, 1, hidden);
  return error > 0 && *hidden ? changed(s, *hidden, 1, 0, 1 + error, hidden) : ISC_OK;
}

static isc_status logits(void *self, isc_step *s, isc_tensor *hidden, isc_tensor **out) {
  ISC_TRY(isc_decoder_logits(((target *)self)->decoder, s, hidden, out));
  return BROKEN("target.finite") ? changed(s, *out, NAN, -1, 1, out) : ISC_OK;
}

/* ---- the rest */

static isc_status head_map(void *self, int64_t layer, int64_t head, float *out) {
  bool known = layer >= 0 && layer < LAYERS && head >= 0 && head < HEADS;
  if (BROKEN("target.head-map") && !known) return ISC_OK;
  if (BROKEN("target.heads") && known) head = HEADS - 1 - head;
  return isc_decoder_head_map(((target *)self)->decoder, layer, head, out);
}

static isc_status fingerprint(void *self, char hex[33]) {
  ISC_TRY(isc_decoder_fingerprint(((target *)self)->decoder, "characters", hex));
  for (int i = 0; i < 32 && BROKEN("target.fingerprint"); i++)
    hex[i] = (char)toupper(hex[i]);
  return ISC_OK;
}

static isc_status kv_cache(void *self, int64_t batch, int64_t n_ctx, isc_kv_cache **out) {
  return isc_kv_cache_new(((target *)self)->decoder, batch, n_ctx, out);
}

static const isc_target_ops OPS = {.size = sizeof OPS,
                                   .open = open_target,
                                   .close = close_target,
                                   .info = describe,
                                   .tokenizer = tokenizer,
                                   .forward = forward,
                                   .logits = logits,
                                   .head_map = head_map,
                                   .fingerprint = fingerprint,
                                   .kv_cache = kv_cache};

ISC_PLUGIN_CLASS(ISC_TARGET, "broken-target", "1.0.0", .summary = "A tiny random decoder",
                 .licence = "Apache-2.0", .source = "the conformance tests", .ops = &OPS);
