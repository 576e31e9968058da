/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoder's life: its parameters from a spec, their initial values, and what else is asked of them.
 *
 * A spec may come from a stranger's config.json, so its numbers are bounded before anything is
 * multiplied or allocated.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Generous limits that keep every product of two within int64_t. */
enum { MAX_LAYERS = 1 << 14, MAX_HEADS = 1 << 16, MAX_WIDTH = 1 << 24, MAX_VOCAB = 1 << 28 };

static isc_status check_range(const char *name, int64_t value, int64_t max) {
  if (value >= 1 && value <= max) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "a decoder's %s is %lld; it must be 1 to %lld", name,
                  (long long)value, (long long)max);
}

static isc_status check_spec(const isc_decoder_spec *s) {
  ISC_TRY(check_range("n_layer", s->n_layer, MAX_LAYERS));
  ISC_TRY(check_range("n_head", s->n_head, MAX_HEADS));
  ISC_TRY(check_range("d_model", s->d_model, MAX_WIDTH));
  ISC_TRY(check_range("d_head", s->d_head, MAX_WIDTH));
  ISC_TRY(check_range("n_head * d_head", s->n_head * s->d_head, MAX_WIDTH));
  ISC_TRY(check_range("d_mlp", s->d_mlp, MAX_WIDTH));
  ISC_TRY(check_range("vocab", s->vocab, MAX_VOCAB));
  ISC_TRY(check_range("n_ctx", s->n_ctx, MAX_VOCAB));
  if (!(s->norm_eps >= 0) || !isfinite(s->attn_scale))
    return isc_fail(ISC_E_SHAPE,
                    "a decoder's norm_eps is %g and attn_scale %g; both must be finite",
                    s->norm_eps, s->attn_scale);
  return ISC_OK;
}

typedef struct builder {
  isc_params *params;
  char prefix[32]; /* "h.3." or "" */
} builder;

/* cols 0 = a vector */
static isc_status add(const builder *b, const char *name, int64_t rows, int64_t cols,
                      isc_param **out) {
  char full[64];
  snprintf(full, sizeof full, "%s%s", b->prefix, name);
  return isc_params_add(b->params, full, cols ? 2 : 1, (int64_t[]){rows, cols}, 0, out);
}

static isc_status add_layer(const builder *b, const isc_decoder_spec *s, isc_decoder_layer *l) {
  int64_t d = s->d_model, heads = s->n_head * s->d_head;
  ISC_TRY(add(b, "ln_1.weight", d, 0, &l->ln_1_w));
  ISC_TRY(add(b, "ln_1.bias", d, 0, &l->ln_1_b));
  ISC_TRY(add(b, "attn.c_attn.weight", d, 3 * heads, &l->qkv_w));
  ISC_TRY(add(b, "attn.c_attn.bias", 3 * heads, 0, &l->qkv_b));
  ISC_TRY(add(b, "attn.c_proj.weight", heads, d, &l->o_w));
  ISC_TRY(add(b, "attn.c_proj.bias", d, 0, &l->o_b));
  ISC_TRY(add(b, "ln_2.weight", d, 0, &l->ln_2_w));
  ISC_TRY(add(b, "ln_2.bias", d, 0, &l->ln_2_b));
  ISC_TRY(add(b, "mlp.c_fc.weight", d, s->d_mlp, &l->fc_w));
  ISC_TRY(add(b, "mlp.c_fc.bias", s->d_mlp, 0, &l->fc_b));
  ISC_TRY(add(b, "mlp.c_proj.weight", s->d_mlp, d, &l->proj_w));
  return add(b, "mlp.c_proj.bias", d, 0, &l->proj_b);
}

static isc_status add_all(isc_decoder *d) {
  const isc_decoder_spec *s = &d->spec;
  builder b = {.params = d->params};
  ISC_TRY(add(&b, "wte.weight", s->vocab, s->d_model, &d->wte));
  ISC_TRY(add(&b, "wpe.weight", s->n_ctx, s->d_model, &d->wpe));
  for (int64_t l = 0; l < s->n_layer; l++) {
    snprintf(b.prefix, sizeof b.prefix, "h.%lld.", (long long)l);
    ISC_TRY(add_layer(&b, s, &d->layer[l]));
  }
  b.prefix[0] = '\0';
  ISC_TRY(add(&b, "ln_f.weight", s->d_model, 0, &d->ln_f_w));
  ISC_TRY(add(&b, "ln_f.bias", s->d_model, 0, &d->ln_f_b));
  d->head = d->wte;
  if (s->untied_head) ISC_TRY(add(&b, "lm_head.weight", s->vocab, s->d_model, &d->head));
  return ISC_OK;
}

isc_status isc_decoder_new(isc_device *dev, const isc_decoder_spec *spec, isc_decoder **out) {
  isc_status st = ISC_OK;
  isc_decoder *d = NULL;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *d, "a decoder", (void **)&d));
  d->dev = dev;
  ISC_GO(isc_struct_read(spec, "a decoder spec", ISC_SIZE_TO(isc_decoder_spec, untied_head),
                         sizeof d->spec, &d->spec));
  ISC_GO(check_spec(&d->spec));
  ISC_GO(isc_calloc((size_t)d->spec.n_layer, sizeof *d->layer, "a decoder", (void **)&d->layer));
  ISC_GO(isc_params_new(dev, &d->params));
  ISC_GO(add_all(d));
  *out = d;
  d = NULL;
done:
  isc_decoder_free(d);
  return st;
}

void isc_decoder_free(isc_decoder *d) {
  if (!d) return;
  if (d->params) isc_params_free(d->params);
  free(d->layer);
  free(d);
}

const isc_decoder_spec *isc_decoder_get_spec(const isc_decoder *d) {
  return &d->spec;
}

isc_params *isc_decoder_params(isc_decoder *d) {
  return d->params;
}

isc_tensor *isc_decoder_head(isc_decoder *d) {
  return &d->head->value;
}

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

static isc_status init_one(isc_decoder *d, isc_param *q, uint64_t seed) {
  if (ends_with(q->name, ".bias")) return isc_param_fill(d->params, q, 0.0f);
  if (strstr(q->name, "ln_")) return isc_param_fill(d->params, q, 1.0f);
  double std = 0.02;
  if (ends_with(q->name, "c_proj.weight")) std /= sqrt(2.0 * (double)d->spec.n_layer);
  return isc_param_init_normal(d->params, q, seed, std);
}

isc_status isc_decoder_init(isc_decoder *d, uint64_t seed) {
  for (int64_t i = 0; i < isc_params_count(d->params); i++)
    ISC_TRY(init_one(d, isc_params_at(d->params, i), seed));
  return ISC_OK;
}

isc_status isc_decoder_head_map(isc_decoder *d, int64_t layer, int64_t head, float *out) {
  const isc_decoder_spec *s = &d->spec;
  if (layer < 0 || layer >= s->n_layer || head < 0 || head >= s->n_head)
    return isc_fail(ISC_E_MISSING,
                    "head %lld of layer %lld: the model has %lld layers of %lld heads",
                    (long long)head, (long long)layer, (long long)s->n_layer, (long long)s->n_head);
  size_t floats = (size_t)(s->d_head * s->d_model);
  const float *w = d->layer[layer].o_w->value.data + (size_t)head * floats;
  return d->dev->ops->download(d->dev->impl, out, w, floats * sizeof *out);
}

static void hash_spec(isc_hash *h, const isc_decoder_spec *s) {
  char text[512];
  snprintf(text, sizeof text,
           "%lld %lld %lld %lld %lld %lld %lld act %d eps %.17g scale %.17g %d %d",
           (long long)s->n_layer, (long long)s->n_head, (long long)s->d_model, (long long)s->d_head,
           (long long)s->d_mlp, (long long)s->vocab, (long long)s->n_ctx, (int)s->act, s->norm_eps,
           s->attn_scale, s->scale_by_layer, s->untied_head);
  isc_hash_str(h, text);
}

/* The largest parameter, in floats: the host buffer that serves all. */
static int64_t largest(isc_params *p) {
  int64_t most = 0;
  for (int64_t i = 0; i < isc_params_count(p); i++) {
    int64_t n = isc_tensor_size(&isc_params_at(p, i)->value);
    if (n > most) most = n;
  }
  return most;
}

isc_status isc_decoder_fingerprint(isc_decoder *d, const char *more, char hex[33]) {
  isc_status st = ISC_OK;
  isc_hash h = {0};
  void *buffer = NULL;
  bool begun = false;
  ISC_GO(isc_calloc((size_t)largest(d->params), sizeof(float), "a parameter", &buffer));
  ISC_GO(isc_hash_begin(&h));
  begun = true;
  hash_spec(&h, &d->spec);
  for (int64_t i = 0; i < isc_params_count(d->params); i++) {
    const isc_param *q = isc_params_at(d->params, i);
    isc_hash_str(&h, q->name);
    ISC_GO(isc_param_get(d->params, q, buffer));
    isc_hash_add(&h, buffer, (size_t)isc_tensor_size(&q->value) * sizeof(float));
  }
  isc_hash_str(&h, more ? more : "");
done:
  if (begun) isc_digest_hex(isc_hash_end(&h), hex);
  free(buffer);
  return st;
}
