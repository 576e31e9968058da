/* SPDX-License-Identifier: Apache-2.0
 *
 * A decoder's life: its parameters from a spec, their initial values, and what else is asked of them.
 *
 * Only the parameters that the spec has are made: the pass asks for a weight's presence, not for the family.
 */
#include "base/base.h"
#include "model/decoder_internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct builder {
  isc_params *params;
  const isc_decoder_spec *spec;
  char prefix[32]; /* "h.3." or "" */
} builder;

static isc_status add_vector(const builder *b, const char *name, int64_t n, isc_param **out) {
  char full[96];
  snprintf(full, sizeof full, "%s%s", b->prefix, name);
  return isc_params_add(b->params, full, 1, &n, 0, out);
}

static isc_status add_matrix(const builder *b, const char *name, int64_t rows, int64_t cols,
                             isc_param **out) {
  char full[96];
  snprintf(full, sizeof full, "%s%s", b->prefix, name);
  return isc_params_add_typed(b->params, full, 2, (int64_t[]){rows, cols}, 0, b->spec->weights,
                              out);
}

/* NAME.weight and, unless `plain`, NAME.bias. */
static isc_status add_linear(const builder *b, const char *name, int64_t in, int64_t out,
                             bool out_in, bool plain, isc_param **weight, isc_param **bias) {
  char full[48];
  snprintf(full, sizeof full, "%s.weight", name);
  ISC_TRY(add_matrix(b, full, out_in ? out : in, out_in ? in : out, weight));
  if (plain) return ISC_OK;
  snprintf(full, sizeof full, "%s.bias", name);
  return add_vector(b, full, out, bias);
}

static isc_status add_norm(const builder *b, const char *name, isc_param **weight,
                           isc_param **bias) {
  char full[48];
  snprintf(full, sizeof full, "%s.weight", name);
  ISC_TRY(add_vector(b, full, b->spec->d_model, weight));
  if (b->spec->norm == ISC_RMSNORM) return ISC_OK;
  snprintf(full, sizeof full, "%s.bias", name);
  return add_vector(b, full, b->spec->d_model, bias);
}

static isc_status add_attention(const builder *b, isc_decoder_layer *l) {
  const isc_decoder_spec *s = b->spec;
  ISC_TRY(add_norm(b, "ln_1", &l->ln_1_w, &l->ln_1_b));
  ISC_TRY(add_linear(b, "attn.c_attn", s->d_model, isc_spec_qkv(s), s->out_in, s->no_qkv_bias,
                     &l->qkv_w, &l->qkv_b));
  if (s->head_norms) {
    ISC_TRY(add_vector(b, "attn.q_norm.weight", s->d_head, &l->q_norm));
    ISC_TRY(add_vector(b, "attn.k_norm.weight", s->d_head, &l->k_norm));
  }
  return add_linear(b, "attn.c_proj", s->n_head * s->d_head, s->d_model, false, s->no_attn_out_bias,
                    &l->o_w, &l->o_b);
}

static isc_status add_mlp(const builder *b, isc_decoder_layer *l) {
  const isc_decoder_spec *s = b->spec;
  ISC_TRY(add_norm(b, "ln_2", &l->ln_2_w, &l->ln_2_b));
  ISC_TRY(add_linear(b, "mlp.c_fc", s->d_model, isc_spec_fc(s), s->out_in, s->no_mlp_bias, &l->fc_w,
                     &l->fc_b));
  return add_linear(b, "mlp.c_proj", s->d_mlp, s->d_model, s->out_in, s->no_mlp_bias, &l->proj_w,
                    &l->proj_b);
}

static isc_status add_layer(const builder *b, isc_decoder_layer *l) {
  ISC_TRY(add_attention(b, l));
  ISC_TRY(add_mlp(b, l));
  if (!b->spec->post_norms) return ISC_OK;
  ISC_TRY(add_vector(b, "ln_1_post.weight", b->spec->d_model, &l->ln_1_post));
  return add_vector(b, "ln_2_post.weight", b->spec->d_model, &l->ln_2_post);
}

/* A streamed decoder has the first layer's parameters, once or twice, and every layer uses them. */
static isc_status add_streamed(isc_decoder *d, builder *b) {
  isc_layer_stream *s = &d->stream;
  snprintf(b->prefix, sizeof b->prefix, "h.0.");
  ISC_TRY(add_layer(b, &s->set[0]));
  for (int64_t l = 0; l < d->spec.n_layer; l++)
    d->layer[l] = s->set[0];
  if (isc_layers_held(&d->spec, d->dev) < 2) return ISC_OK;
  ISC_TRY(isc_params_new(d->dev, &s->second));
  builder second = *b;
  second.params = s->second;
  return add_layer(&second, &s->set[1]);
}

static isc_status add_resident(isc_decoder *d, builder *b) {
  for (int64_t l = 0; l < d->spec.n_layer; l++) {
    snprintf(b->prefix, sizeof b->prefix, "h.%lld.", (long long)l);
    ISC_TRY(add_layer(b, &d->layer[l]));
  }
  return ISC_OK;
}

static isc_status add_all(isc_decoder *d) {
  const isc_decoder_spec *s = &d->spec;
  builder b = {.params = d->params, .spec = s};
  ISC_TRY(add_matrix(&b, "wte.weight", s->vocab, s->d_model, &d->wte));
  if (s->positions == ISC_LEARNED)
    ISC_TRY(
        isc_params_add(d->params, "wpe.weight", 2, (int64_t[]){s->n_ctx, s->d_model}, 0, &d->wpe));
  ISC_TRY(isc_decoder_is_streamed(d) ? add_streamed(d, &b) : add_resident(d, &b));
  b.prefix[0] = '\0';
  ISC_TRY(add_norm(&b, "ln_f", &d->ln_f_w, &d->ln_f_b));
  d->head = d->wte;
  if (s->untied_head) ISC_TRY(add_matrix(&b, "lm_head.weight", s->vocab, s->d_model, &d->head));
  return ISC_OK;
}

/* A backend of an older minor would overlook what it does not know. */
static isc_status check_backend(const isc_decoder *d) {
  const isc_decoder_spec *s = &d->spec;
  if (d->dev->ops->rotary) return ISC_OK;
  if (s->norm == ISC_LAYERNORM && s->positions == ISC_LEARNED && s->mlp == ISC_MLP_PLAIN &&
      s->weights == ISC_F32 && s->window == 0 && s->embed_scale == 0 && s->attn_soft_cap == 0)
    return ISC_OK;
  return isc_fail(ISC_E_UNSUPPORTED,
                  "backend \"%s\" was built for ABI 1.0 and can run GPT-2's kind of model only; "
                  "rebuild it for this version",
                  d->dev->cls ? d->dev->cls->name : "?");
}

isc_status isc_decoder_new_streamed(isc_device *dev, const isc_decoder_spec *spec,
                                    const isc_layer_source *source, isc_decoder **out) {
  isc_status st = ISC_OK;
  isc_decoder *d = NULL;
  *out = NULL;
  ISC_GO(isc_calloc(1, sizeof *d, "a decoder", (void **)&d));
  d->dev = dev;
  d->stream.source = *source;
  ISC_GO(isc_struct_read(spec, "a decoder spec", ISC_SIZE_TO(isc_decoder_spec, untied_head),
                         sizeof d->spec, &d->spec));
  ISC_GO(isc_decoder_spec_check(&d->spec));
  ISC_GO(check_backend(d));
  ISC_GO(isc_calloc((size_t)d->spec.n_layer, sizeof *d->layer, "a decoder", (void **)&d->layer));
  ISC_GO(isc_params_new(dev, &d->params));
  ISC_GO(add_all(d));
  if (isc_decoder_is_streamed(d)) ISC_GO(isc_layer_stream_open(d));
  *out = d;
  return ISC_OK;
done:
  if (d)
    isc_decoder_free(d);
  else if (source->free)
    source->free(source->user);
  return st;
}

isc_status isc_decoder_new(isc_device *dev, const isc_decoder_spec *spec, isc_decoder **out) {
  return isc_decoder_new_streamed(dev, spec, &(isc_layer_source){0}, out);
}

void isc_decoder_free(isc_decoder *d) {
  if (!d) return;
  isc_layer_stream_close(d);
  if (d->params) isc_params_free(d->params);
  for (int i = 0; i < 2; i++)
    isc_rotary_tables_free(d->dev, &d->rotary[i]);
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

static isc_status init_one(isc_decoder *d, isc_param *q, uint64_t seed, double std) {
  if (ends_with(q->name, ".bias")) return isc_param_fill(d->params, q, 0.0f);
  if (q->value.ndim == 1) return isc_param_fill(d->params, q, 1.0f);
  if (ends_with(q->name, "c_proj.weight")) std /= sqrt(2.0 * (double)d->spec.n_layer);
  return isc_param_init_normal(d->params, q, seed, std);
}

isc_status isc_decoder_init_std(isc_decoder *d, uint64_t seed, double std) {
  for (int64_t i = 0; i < isc_params_count(d->params); i++)
    ISC_TRY(init_one(d, isc_params_at(d->params, i), seed, std));
  return ISC_OK;
}

isc_status isc_decoder_init(isc_decoder *d, uint64_t seed) {
  return isc_decoder_init_std(d, seed, 0.02);
}

isc_status isc_decoder_head_map(isc_decoder *d, int64_t layer, int64_t head, float *out) {
  const isc_decoder_spec *s = &d->spec;
  if (layer < 0 || layer >= s->n_layer || head < 0 || head >= s->n_head)
    return isc_fail(ISC_E_MISSING,
                    "head %lld of layer %lld: the model has %lld layers of %lld heads",
                    (long long)head, (long long)layer, (long long)s->n_layer, (long long)s->n_head);
  const int64_t n = s->d_head * s->d_model;
  ISC_TRY(isc_decoder_need_layer(d, layer));
  return isc_param_get_some(d->params, d->layer[layer].o_w, head * n, n, out);
}

static void hash_spec(isc_hash *h, const isc_decoder_spec *s) {
  char text[1024];
  isc_decoder_spec_text(s, text, sizeof text);
  isc_hash_str(h, text);
  if (s->rope_scaling == ISC_ROPE_FACTORS) isc_hash_add(h, s->rope_factors, sizeof s->rope_factors);
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

static bool in_layer(const isc_param *q) {
  return strncmp(q->name, "h.", 2) == 0;
}

int64_t isc_decoder_elements(const isc_decoder *d) {
  int64_t n = 0;
  for (int64_t i = 0; i < isc_params_count(d->params); i++) {
    const isc_param *q = isc_params_at(d->params, i);
    n += isc_tensor_size(&q->value) *
         (isc_decoder_is_streamed(d) && in_layer(q) ? d->spec.n_layer : 1);
  }
  return n;
}

/* The parameter under the name that it has in layer `layer`. */
static isc_status hash_param(isc_hash *h, isc_decoder *d, isc_param *q, int64_t layer,
                             float *buffer) {
  char name[96];
  snprintf(name, sizeof name, "%s", q->name);
  if (in_layer(q))
    snprintf(name, sizeof name, "h.%lld%s", (long long)layer, strchr(q->name + 2, '.'));
  isc_hash_str(h, name);
  ISC_TRY(isc_param_get(d->params, isc_layer_stream_param(d, q), buffer));
  isc_hash_add(h, buffer, (size_t)isc_tensor_size(&q->value) * sizeof *buffer);
  return ISC_OK;
}

/* The layers' parameters [first, end) of a streamed decoder, as often as there are layers: what a resident one has. */
static isc_status hash_streamed(isc_hash *h, isc_decoder *d, int64_t first, int64_t end,
                                float *buffer) {
  for (int64_t l = 0; l < d->spec.n_layer; l++) {
    ISC_TRY(isc_decoder_need_layer(d, l));
    for (int64_t i = first; i < end; i++)
      ISC_TRY(hash_param(h, d, isc_params_at(d->params, i), l, buffer));
  }
  return ISC_OK;
}

static isc_status hash_params(isc_hash *h, isc_decoder *d, float *buffer) {
  const int64_t n = isc_params_count(d->params);
  for (int64_t i = 0; i < n; i++) {
    isc_param *q = isc_params_at(d->params, i);
    if (!isc_decoder_is_streamed(d) || !in_layer(q)) {
      ISC_TRY(hash_param(h, d, q, in_layer(q) ? atoll(q->name + 2) : -1, buffer));
      continue;
    }
    int64_t end = i;
    while (end < n && in_layer(isc_params_at(d->params, end)))
      end++;
    ISC_TRY(hash_streamed(h, d, i, end, buffer));
    i = end - 1;
  }
  return ISC_OK;
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
  ISC_GO(hash_params(&h, d, buffer));
  isc_hash_str(&h, more ? more : "");
done:
  if (begun) isc_digest_hex(isc_hash_end(&h), hex);
  free(buffer);
  return st;
}
