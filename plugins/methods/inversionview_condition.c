/* SPDX-License-Identifier: Apache-2.0
 *
 * From an activation to what each layer of the decoder attends to.
 *
 * u = [z | site embedding] goes through residual blocks, x + W'·relu(W·norm(x)), and a norm; each layer has its own linear
 * map and norm of it, a vector y as wide as the residual stream. By default the layer's own key and value matrices read y as
 * they read a token's. With cross_attention, attention chooses between y and a learned vector n that stands for nothing:
 * the softmax of two scores is a sigmoid of their difference, σ(s) = (1 + tanh(s/2))/2, so a head adds the mean of the two
 * values and tanh(s/2) times half their difference, which is what the control operation adds.
 */
#include "inversionview.h"
#include <string.h>

static const double EPS = 1e-5;

static isc_status linear(isc_step *s, isc_tensor *x, const iv_pair *p, isc_act act,
                         isc_tensor **out) {
  return isc_op_linear(s, x, &p->weight->value, ISC_IN_OUT, p->bias ? &p->bias->value : NULL, act,
                       out);
}

static isc_status norm(isc_step *s, isc_tensor *x, const iv_pair *p, isc_tensor **out) {
  return isc_op_layernorm(s, x, &p->weight->value, &p->bias->value, EPS, out);
}

/* ---- u */

/* The rows' site embeddings in the last columns of [rows, D]: a product with a matrix of zeros and ones, which is exact. */
static isc_status place_embedding(const iv_method *m, isc_step *s, const int64_t *site,
                                  int64_t rows, isc_tensor **out) {
  const int64_t n = m->env->n_sites, shape[] = {n, m->d_u};
  isc_tensor *e, *columns;
  void *host;
  ISC_TRY(isc_step_host_alloc(s, (size_t)(n * m->d_u) * sizeof(float), &host));
  memset(host, 0, (size_t)(n * m->d_u) * sizeof(float));
  for (int64_t i = 0; i < n; i++)
    ((float *)host)[i * m->d_u + m->d_z + i] = 1;
  ISC_TRY(isc_tensor_from(s, 2, shape, host, &columns));
  ISC_TRY(isc_op_gather(s, &m->embedding->value, site, rows, &e));
  return isc_op_linear(s, e, columns, ISC_IN_OUT, NULL, ISC_ACT_NONE, out);
}

static isc_status place_activations(const iv_method *m, isc_step *s, const float *z, int64_t rows,
                                    isc_tensor **out) {
  const int64_t shape[] = {rows, m->d_u};
  void *host;
  ISC_TRY(isc_step_host_alloc(s, (size_t)(rows * m->d_u) * sizeof(float), &host));
  memset(host, 0, (size_t)(rows * m->d_u) * sizeof(float));
  for (int64_t i = 0; i < rows; i++)
    memcpy((float *)host + i * m->d_u, z + i * m->d_z, (size_t)m->d_z * sizeof(float));
  return isc_tensor_from(s, 2, shape, host, out);
}

static isc_status run_block(isc_step *s, const iv_block *b, isc_tensor **x) {
  isc_tensor *h;
  ISC_TRY(norm(s, *x, &b->norm, &h));
  ISC_TRY(linear(s, h, &b->in, ISC_ACT_RELU, &h));
  ISC_TRY(linear(s, h, &b->out, ISC_ACT_NONE, &h));
  return isc_op_add(s, *x, h, x);
}

static isc_status make_u(const iv_method *m, isc_step *s, const float *z, const int64_t *site,
                         int64_t rows, isc_tensor **out) {
  isc_tensor *x, *e;
  ISC_TRY(place_activations(m, s, z, rows, &x));
  ISC_TRY(place_embedding(m, s, site, rows, &e));
  ISC_TRY(isc_op_add(s, x, e, &x));
  for (int64_t i = 0; i < m->conf->blocks; i++)
    ISC_TRY(run_block(s, &m->block[i], &x));
  return norm(s, x, &m->norm, out);
}

/* ---- a layer's */

/* Column block `part` of three of x [rows, 3 d], as [rows, 1, d]. */
static isc_status third(isc_step *s, isc_tensor *x, int64_t part, isc_tensor **out) {
  const int64_t rows = x->shape[0], d = x->shape[1] / 3, cut[] = {3 * rows, d},
                shape[] = {rows, 1, d};
  void *p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)rows * sizeof(int64_t), &p));
  for (int64_t i = 0; i < rows; i++)
    ((int64_t *)p)[i] = 3 * i + part;
  ISC_TRY(isc_tensor_reshape(s, x, 2, cut, &x));
  ISC_TRY(isc_op_gather(s, x, p, rows, &x));
  return isc_tensor_reshape(s, x, 3, shape, out);
}

static isc_status make_slot(isc_step *s, const iv_layer *l, isc_tensor *y, iv_condition *out) {
  isc_tensor *x;
  ISC_TRY(linear(s, y, &l->attention, ISC_ACT_NONE, &x));
  ISC_TRY(third(s, x, 1, &out->k));
  return third(s, x, 2, &out->v);
}

static isc_status per_head(const iv_method *m, isc_step *s, isc_tensor *x, isc_tensor **out) {
  const int64_t heads = m->conf->heads, shape[] = {x->shape[0], heads, m->conf->width / heads};
  return isc_tensor_reshape(s, x, 3, shape, out);
}

/* (y + n)/2 and (y − n)/2 */
static isc_status mean_and_half(isc_step *s, const iv_layer *l, isc_tensor *y, isc_tensor **mean,
                                isc_tensor **half) {
  const int64_t rows = y->shape[0];
  isc_tensor *n, *minus;
  void *zeros;
  ISC_TRY(isc_step_host_alloc(s, (size_t)rows * sizeof(int64_t), &zeros));
  memset(zeros, 0, (size_t)rows * sizeof(int64_t));
  ISC_TRY(isc_op_gather(s, &l->none->value, zeros, rows, &n));
  ISC_TRY(isc_op_scale(s, y, 0.5, &y));
  ISC_TRY(isc_op_scale(s, n, -0.5, &minus));
  ISC_TRY(isc_op_scale(s, n, 0.5, &n));
  ISC_TRY(isc_op_add(s, y, n, mean));
  return isc_op_add(s, y, minus, half);
}

/* The scores' difference is ⟨q, k(y) − k(n)⟩, twice that with half the difference. */
static isc_status make_cross(const iv_method *m, isc_step *s, const iv_layer *l, isc_tensor *y,
                             iv_condition *out) {
  const iv_pair key = {l->k, NULL}, value = {l->v.weight, NULL};
  const int64_t d = m->conf->width, square[] = {d, d};
  isc_tensor *mean, *half, *k, *v, *o;
  ISC_TRY(mean_and_half(s, l, y, &mean, &half));
  ISC_TRY(linear(s, half, &key, ISC_ACT_NONE, &k));
  ISC_TRY(isc_op_scale(s, k, 2, &k));
  ISC_TRY(per_head(m, s, k, &k));
  ISC_TRY(isc_op_headwise(s, k, &l->q.weight->value, &out->u));
  ISC_TRY(isc_op_headdot(s, k, &l->q.bias->value, &out->c));
  ISC_TRY(linear(s, half, &value, ISC_ACT_NONE, &v));
  ISC_TRY(per_head(m, s, v, &v));
  ISC_TRY(isc_op_headwise(s, v, &l->o.weight->value, &out->half));
  ISC_TRY(linear(s, mean, &l->v, ISC_ACT_NONE, &v));
  ISC_TRY(isc_tensor_reshape(s, &l->o.weight->value, 2, square, &o));
  return isc_op_linear(s, v, o, ISC_IN_OUT, &l->o.bias->value, ISC_ACT_NONE, &out->mean);
}

isc_status iv_condition_rows(const iv_method *m, isc_step *s, const float *z, const int64_t *site,
                             int64_t rows, iv_condition *cond) {
  isc_tensor *u, *y;
  ISC_TRY(make_u(m, s, z, site, rows, &u));
  for (int64_t i = 0; i < m->conf->layers; i++) {
    const iv_layer *l = &m->layer[i];
    cond[i] = (iv_condition){0};
    ISC_TRY(linear(s, u, &l->slot, ISC_ACT_NONE, &y));
    ISC_TRY(norm(s, y, &l->norm, &y));
    ISC_TRY(m->conf->variant == IV_CROSS_ATTENTION ? make_cross(m, s, l, y, &cond[i])
                                                   : make_slot(s, l, y, &cond[i]));
  }
  return ISC_OK;
}

static isc_status select_tensor(isc_step *s, isc_tensor *x, const int64_t *left, int64_t n,
                                isc_tensor **out) {
  if (!x) return ISC_OK;
  const int64_t flat[] = {x->shape[0], isc_tensor_size(x) / x->shape[0]},
                shape[] = {n, x->shape[1], x->shape[2]};
  ISC_TRY(isc_tensor_reshape(s, x, 2, flat, out));
  ISC_TRY(isc_op_gather(s, *out, left, n, out));
  return isc_tensor_reshape(s, *out, x->ndim, shape, out);
}

isc_status iv_condition_select(const iv_method *m, isc_step *s, const iv_condition *first,
                               const int64_t *left, int64_t n, iv_condition *cond) {
  for (int64_t i = 0; i < m->conf->layers; i++) {
    ISC_TRY(select_tensor(s, first[i].u, left, n, &cond[i].u));
    ISC_TRY(select_tensor(s, first[i].half, left, n, &cond[i].half));
    ISC_TRY(select_tensor(s, first[i].c, left, n, &cond[i].c));
    ISC_TRY(select_tensor(s, first[i].mean, left, n, &cond[i].mean));
  }
  return ISC_OK;
}

void iv_condition_prefix(const iv_method *m, const iv_condition *cond, isc_tensor **k,
                         isc_tensor **v, isc_kv_prefix *out) {
  for (int64_t i = 0; i < m->conf->layers; i++) {
    k[i] = cond[i].k;
    v[i] = cond[i].v;
  }
  *out = (isc_kv_prefix){.size = sizeof *out, .n = 1, .k = k, .v = v};
}

/* ---- taps */

/* Row i of x as often in a row as makes `rows`. */
static isc_status spread(isc_step *s, isc_tensor *x, int64_t rows, isc_tensor **out) {
  const int64_t each = rows / x->shape[0];
  void *p;
  ISC_TRY(isc_step_host_alloc(s, (size_t)rows * sizeof(int64_t), &p));
  for (int64_t i = 0; i < rows; i++)
    ((int64_t *)p)[i] = i / each;
  return isc_op_gather(s, x, p, rows, out);
}

/* What cross-attention adds to the residual stream x [rows·len, d]. */
static isc_status cross_branch(const iv_taps *t, isc_step *s, int64_t layer, isc_tensor *x,
                               isc_tensor **out) {
  const iv_layer *l = &t->m->layer[layer];
  const iv_condition *c = &t->cond[layer];
  const int64_t rows = c->u->shape[0], d = t->m->conf->width, all = isc_tensor_size(x) / d;
  const int64_t wide[] = {rows, all / rows, d}, flat[] = {all, d};
  isc_tensor *h, *mean;
  ISC_TRY(norm(s, x, &l->before, &h));
  ISC_TRY(isc_tensor_reshape(s, h, 3, wide, &h));
  ISC_TRY(spread(s, c->mean, all, &mean));
  ISC_TRY(isc_tensor_reshape(s, mean, 3, wide, &mean));
  ISC_TRY(isc_op_control(s, mean, h, c->u, c->c, c->half, 0.5f, out, NULL));
  return isc_tensor_reshape(s, *out, 2, flat, out);
}

static bool crosses(const iv_taps *t, isc_place place) {
  return place == ISC_RESID_MID && t->m->conf->variant == IV_CROSS_ATTENTION;
}

static bool wants(void *user, isc_place place, int64_t layer) {
  const iv_taps *t = user;
  return crosses(t, place) || (t->dropout.at && t->dropout.wants(t->dropout.user, place, layer));
}

static isc_status at(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                     isc_tensor **out) {
  const iv_taps *t = user;
  const isc_taps *drop = t->dropout.at && t->m->conf->dropout > 0 ? &t->dropout : NULL;
  isc_tensor *branch;
  if (!crosses(t, place)) return isc_tap(&t->dropout, s, place, layer, x, out);
  ISC_TRY(cross_branch(t, s, layer, x, &branch));
  if (drop) ISC_TRY(drop->at(drop->user, s, place, layer, branch, &branch));
  return isc_op_add(s, x, branch, out);
}

isc_taps iv_taps_of(iv_taps *t) {
  return (isc_taps){
      .size = sizeof(isc_taps), .user = t, .wants = wants, .at = at, .stop_layer = -1};
}
