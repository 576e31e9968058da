/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameters of inversionview: the decoder's, and those of what turns an activation into something to attend to.
 *
 * Linear maps outside the decoder begin with the variance of PyTorch's, 1/(3·inputs), and the cross-attention's as GPT-2's.
 */
#include "inversionview.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

isc_status iv_no_memory(const char *what) {
  return isc_fail(ISC_E_NOMEM, "inversionview: no memory for %s", what);
}

/* ---- names and shapes */

static isc_status add(iv_method *m, const char *name, int32_t ndim, int64_t a, int64_t b, int64_t c,
                      isc_param **out) {
  const int64_t shape[] = {a, b, c};
  return isc_params_add(m->params, name, ndim, shape, 0, out);
}

static isc_status add_part(iv_method *m, const char *group, int64_t i, const char *field,
                           int32_t ndim, int64_t a, int64_t b, int64_t c, isc_param **out) {
  char name[96];
  snprintf(name, sizeof name, "%s.%lld.%s", group, (long long)i, field);
  return add(m, name, ndim, a, b, c, out);
}

/* weight [in, out] and bias [out] */
static isc_status add_linear(iv_method *m, const char *group, int64_t i, const char *field,
                             int64_t in, int64_t out, iv_pair *p) {
  char name[64];
  snprintf(name, sizeof name, "%s.weight", field);
  ISC_TRY(add_part(m, group, i, name, 2, in, out, 0, &p->weight));
  snprintf(name, sizeof name, "%s.bias", field);
  return add_part(m, group, i, name, 1, out, 0, 0, &p->bias);
}

static isc_status add_norm(iv_method *m, const char *group, int64_t i, const char *field, int64_t n,
                           iv_pair *p) {
  char name[64];
  snprintf(name, sizeof name, "%s.weight", field);
  ISC_TRY(add_part(m, group, i, name, 1, n, 0, 0, &p->weight));
  snprintf(name, sizeof name, "%s.bias", field);
  return add_part(m, group, i, name, 1, n, 0, 0, &p->bias);
}

static isc_status add_block(iv_method *m, int64_t i, iv_block *b) {
  ISC_TRY(add_norm(m, "condition", i, "norm", m->d_u, &b->norm));
  ISC_TRY(add_linear(m, "condition", i, "in", m->d_u, m->d_z, &b->in));
  return add_linear(m, "condition", i, "out", m->d_z, m->d_u, &b->out);
}

static isc_status find(iv_method *m, int64_t layer, const char *field, isc_param **out) {
  char name[64];
  snprintf(name, sizeof name, "h.%lld.attn.c_attn.%s", (long long)layer, field);
  *out = isc_params_find(m->params, name);
  return *out ? ISC_OK : isc_fail(ISC_E_INTERNAL, "inversionview: the decoder has no %s", name);
}

static isc_status add_cross(iv_method *m, int64_t i, iv_layer *l) {
  const int64_t d = m->conf->width, heads = m->conf->heads, each = d / heads;
  ISC_TRY(add_norm(m, "cross", i, "norm", d, &l->before));
  ISC_TRY(add_part(m, "cross", i, "none", 2, 1, d, 0, &l->none));
  ISC_TRY(add_part(m, "cross", i, "q.weight", 3, heads, each, d, &l->q.weight));
  ISC_TRY(add_part(m, "cross", i, "q.bias", 2, heads, each, 0, &l->q.bias));
  ISC_TRY(add_part(m, "cross", i, "k.weight", 2, d, d, 0, &l->k));
  ISC_TRY(add_linear(m, "cross", i, "v", d, d, &l->v));
  ISC_TRY(add_part(m, "cross", i, "o.weight", 3, heads, each, d, &l->o.weight));
  return add_part(m, "cross", i, "o.bias", 1, d, 0, 0, &l->o.bias);
}

static isc_status add_layer(iv_method *m, int64_t i, iv_layer *l) {
  ISC_TRY(add_linear(m, "layer", i, "slot", m->d_u, m->conf->width, &l->slot));
  ISC_TRY(add_norm(m, "layer", i, "norm", m->conf->width, &l->norm));
  if (m->conf->variant == IV_CROSS_ATTENTION) return add_cross(m, i, l);
  ISC_TRY(find(m, i, "weight", &l->attention.weight));
  return find(m, i, "bias", &l->attention.bias);
}

static isc_status add_all(iv_method *m) {
  const int64_t sites = m->env->n_sites;
  ISC_TRY(add(m, "site.embedding", 2, sites, sites, 0, &m->embedding));
  ISC_TRY(add(m, "site.std", 2, sites, m->d_z, 0, &m->std));
  ISC_TRY(add(m, "site.loss", 1, sites, 0, 0, &m->loss));
  for (int64_t i = 0; i < m->conf->blocks; i++)
    ISC_TRY(add_block(m, i, &m->block[i]));
  ISC_TRY(add(m, "condition.norm.weight", 1, m->d_u, 0, 0, &m->norm.weight));
  ISC_TRY(add(m, "condition.norm.bias", 1, m->d_u, 0, 0, &m->norm.bias));
  for (int64_t i = 0; i < m->conf->layers; i++)
    ISC_TRY(add_layer(m, i, &m->layer[i]));
  return ISC_OK;
}

/* ---- all of it */

static isc_decoder_spec spec_of(const iv_method *m) {
  const iv_conf *c = m->conf;
  return (isc_decoder_spec){.size = sizeof(isc_decoder_spec),
                            .n_layer = c->layers,
                            .n_head = c->heads,
                            .d_model = c->width,
                            .d_head = c->width / c->heads,
                            .d_mlp = c->mlp ? c->mlp : 4 * c->width,
                            .vocab = m->vocab,
                            .n_ctx = c->context ? c->context : m->longest + m->longest / 4 + 1,
                            .act = ISC_ACT_GELU_TANH,
                            .norm_eps = 1e-5};
}

isc_status iv_network_new(iv_method *m) {
  const isc_decoder_spec spec = spec_of(m);
  iv_network_free(m);
  m->block = calloc((size_t)m->conf->blocks + 1, sizeof *m->block);
  m->layer = calloc((size_t)m->conf->layers, sizeof *m->layer);
  if (!m->block || !m->layer) return iv_no_memory("the network");
  ISC_TRY(isc_decoder_new(m->env->device, &spec, &m->decoder));
  m->params = isc_decoder_params(m->decoder);
  m->max_tokens = 2 * m->longest < spec.n_ctx ? 2 * m->longest : spec.n_ctx;
  return add_all(m);
}

void iv_network_free(iv_method *m) {
  isc_decoder_free(m->decoder);
  free(m->block);
  free(m->layer);
  m->decoder = NULL;
  m->params = NULL;
  m->block = NULL;
  m->layer = NULL;
}

int64_t iv_network_parameters(const iv_method *m) {
  return m->params ? isc_params_elements(m->params) - isc_tensor_size(&m->std->value) -
                         isc_tensor_size(&m->loss->value)
                   : 0;
}

/* ---- first values */

static isc_status normal(iv_method *m, isc_param *q, double std) {
  return isc_param_init_normal(m->params, q, m->env->seed, std);
}

static isc_status init_linear(iv_method *m, const iv_pair *p) {
  ISC_TRY(isc_param_fill(m->params, p->bias, 0));
  return normal(m, p->weight, 1 / sqrt(3.0 * (double)p->weight->value.shape[0]));
}

static isc_status init_norm(iv_method *m, const iv_pair *p) {
  ISC_TRY(isc_param_fill(m->params, p->bias, 0));
  return isc_param_fill(m->params, p->weight, 1);
}

static isc_status init_cross(iv_method *m, iv_layer *l) {
  const double std = m->conf->init_std;
  ISC_TRY(init_norm(m, &l->before));
  ISC_TRY(normal(m, l->none, std));
  ISC_TRY(normal(m, l->q.weight, std));
  ISC_TRY(isc_param_fill(m->params, l->q.bias, 0));
  ISC_TRY(normal(m, l->k, std));
  ISC_TRY(normal(m, l->v.weight, std));
  ISC_TRY(isc_param_fill(m->params, l->v.bias, 0));
  ISC_TRY(normal(m, l->o.weight, std / sqrt(2.0 * (double)m->conf->layers)));
  return isc_param_fill(m->params, l->o.bias, 0);
}

/* All but the site's embedding, std and loss, which follow from activations. */
isc_status iv_network_init(iv_method *m) {
  ISC_TRY(isc_decoder_init_std(m->decoder, m->env->seed, m->conf->init_std));
  for (int64_t i = 0; i < m->conf->blocks; i++) {
    ISC_TRY(init_norm(m, &m->block[i].norm));
    ISC_TRY(init_linear(m, &m->block[i].in));
    ISC_TRY(init_linear(m, &m->block[i].out));
  }
  ISC_TRY(init_norm(m, &m->norm));
  for (int64_t i = 0; i < m->conf->layers; i++) {
    ISC_TRY(init_linear(m, &m->layer[i].slot));
    ISC_TRY(init_norm(m, &m->layer[i].norm));
    if (m->conf->variant == IV_CROSS_ATTENTION) ISC_TRY(init_cross(m, &m->layer[i]));
  }
  return ISC_OK;
}
