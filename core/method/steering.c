/* SPDX-License-Identifier: Apache-2.0
 *
 * The control layers and the decoder they steer: the backbone itself, or a copy that is trained with them.
 *
 * The backbone stays what its stage left: texts without a condition are its own, and the copy begins there. The layers'
 * parameters are added to the copy's, so that one optimizer, one checkpoint and one file hold both.
 */
#include "method/inversescope.h"
#include "tensor/params.h"

isc_decoder *isc_steered(const isc_inversescope *m) {
  return m->tuned ? m->tuned : m->backbone;
}

void isc_steering_free(isc_inversescope *m) {
  isc_control_layers_free(m->control);
  isc_decoder_free(m->tuned);
  m->control = NULL;
  m->tuned = NULL;
}

/* Two decoders of one spec have the same parameters in the same order. */
static isc_status copy_backbone(isc_inversescope *m) {
  isc_device *dev = m->env->device;
  isc_params *from = isc_decoder_params(m->backbone), *to;
  ISC_TRY(isc_decoder_new(dev, isc_decoder_get_spec(m->backbone), &m->tuned));
  to = isc_decoder_params(m->tuned);
  for (int64_t i = 0; i < isc_params_count(from); i++) {
    const isc_tensor *x = &isc_params_at(from, i)->value;
    isc_param *q = isc_params_at(to, i);
    isc_param_changed(q);
    ISC_TRY(dev->ops->copy(dev->impl, q->value.data, x->data,
                           (size_t)isc_tensor_size(x) * sizeof *x->data));
  }
  return ISC_OK;
}

isc_status isc_steering_new(isc_inversescope *m) {
  const isc_control_conf *c = &m->conf->control;
  const isc_decoder_spec *d = isc_decoder_get_spec(m->backbone);
  isc_steering_free(m);
  if (c->backbone == ISC_BACKBONE_TUNED) ISC_TRY(copy_backbone(m));
  const isc_control_spec spec = {.n_layer = d->n_layer,
                                 .d_model = d->d_model,
                                 .heads = c->heads,
                                 .head_dim = c->head_dim,
                                 .value = (isc_control_value)c->value,
                                 .normalise = (isc_condition_norm)c->normalise,
                                 .score_scale = c->score_scale,
                                 .blocks = c->blocks,
                                 .with = m->tuned ? isc_decoder_params(m->tuned) : NULL,
                                 .sites = m->env->sites,
                                 .n_sites = m->env->n_sites};
  return isc_control_layers_new(m->env->device, &spec, &m->control);
}
