/* SPDX-License-Identifier: Apache-2.0
 *
 * The control layers at work: conditions to keys and values, and their effect on the residual stream.
 *
 * Everything that depends on the condition alone is done once per example, not per token.
 */
#include "method/control.h"

/* k̂ = linear(z) as [batch, heads, width]. */
static isc_status per_head(isc_step *s, isc_tensor *z, const isc_param *w, const isc_param *b,
                           int64_t heads, isc_tensor **out) {
  isc_tensor *x;
  ISC_TRY(isc_op_linear(s, z, (isc_tensor *)&w->value, ISC_IN_OUT, (isc_tensor *)&b->value,
                        ISC_ACT_NONE, &x));
  const int64_t shape[] = {x->shape[0], heads, x->shape[1] / heads};
  return isc_tensor_reshape(s, x, 3, shape, out);
}

static isc_status condition_layer(isc_control_layers *l, isc_step *s, isc_control_layer *p,
                                  isc_tensor *z, isc_control_condition *out) {
  isc_tensor *k, *v;
  ISC_TRY(per_head(s, z, p->k, p->k_bias, l->spec.heads, &k));
  ISC_TRY(isc_op_headwise(s, k, &p->q->value, &out->u));
  ISC_TRY(isc_op_headdot(s, k, &p->q_bias->value, &out->c));
  ISC_TRY(per_head(s, z, p->v, p->v_bias, l->spec.heads, &v));
  if (p->o) return isc_op_headwise(s, v, &p->o->value, &out->v);
  out->v = v;
  return ISC_OK;
}

static isc_status run_block(isc_step *s, isc_control_block *b, isc_tensor **z) {
  isc_tensor *x;
  ISC_TRY(isc_op_layernorm(s, *z, &b->ln_weight->value, &b->ln_bias->value, 1e-5, &x));
  ISC_TRY(
      isc_op_linear(s, x, &b->in->value, ISC_IN_OUT, &b->in_bias->value, ISC_ACT_GELU_TANH, &x));
  ISC_TRY(isc_op_linear(s, x, &b->out->value, ISC_IN_OUT, &b->out_bias->value, ISC_ACT_NONE, &x));
  return isc_op_add(s, *z, x, z);
}

isc_status isc_control_layers_condition(isc_control_layers *l, isc_step *s, isc_tensor *z,
                                        const int64_t *start, isc_control_condition *cond) {
  if (z->ndim != 2 || z->shape[1] != l->d_z)
    return isc_fail(ISC_E_SHAPE, "control: conditions have %lld numbers; the generator's have %lld",
                    (long long)z->shape[z->ndim - 1], (long long)l->d_z);
  if (l->spec.normalise == ISC_CONDITION_LAYERNORM)
    ISC_TRY(isc_op_layernorm(s, z, NULL, NULL, 1e-5, &z));
  ISC_TRY(isc_op_grouped_linear(s, z, start, l->spec.n_sites, l->site_w, l->site_b, &z));
  for (int64_t i = 0; i < l->spec.blocks; i++)
    ISC_TRY(run_block(s, &l->block[i], &z));
  for (int64_t i = 0; i < l->spec.n_layer; i++)
    ISC_TRY(condition_layer(l, s, &l->layer[i], z, &cond[i]));
  return ISC_OK;
}

static bool wants(void *user, isc_place place, int64_t layer) {
  (void)user;
  (void)layer;
  return place == ISC_RESID_MID;
}

/* x [batch·len, d_model] → the same with the control added. */
static isc_status add_control(void *user, isc_step *s, isc_place place, int64_t layer,
                              isc_tensor *x, isc_tensor **out) {
  (void)place;
  const isc_control_tap *tap = user;
  const isc_control_layer *p = &tap->layers->layer[layer];
  const isc_control_condition *c = &tap->cond[layer];
  int64_t batch = c->u->shape[0], d = tap->layers->spec.d_model, rows = isc_tensor_size(x) / d;
  isc_tensor *hn, *y;
  if (batch == 0 || rows % batch != 0)
    return isc_fail(ISC_E_SHAPE, "control: %lld conditions for %lld positions", (long long)batch,
                    (long long)rows);
  const int64_t wide[] = {batch, rows / batch, d}, flat[] = {rows, d};
  ISC_TRY(isc_op_layernorm(s, x, &p->ln_weight->value, &p->ln_bias->value, 1e-5, &hn));
  ISC_TRY(isc_tensor_reshape(s, x, 3, wide, &x));
  ISC_TRY(isc_tensor_reshape(s, hn, 3, wide, &hn));
  ISC_TRY(isc_op_control(s, x, hn, c->u, c->c, c->v, (float)tap->layers->spec.score_scale, &y,
                         tap->omega ? &tap->omega[layer] : NULL));
  return isc_tensor_reshape(s, y, 2, flat, out);
}

isc_taps isc_control_taps(isc_control_tap *tap) {
  return (isc_taps){
      .size = sizeof(isc_taps), .user = tap, .wants = wants, .at = add_control, .stop_layer = -1};
}
