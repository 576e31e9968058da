/* SPDX-License-Identifier: Apache-2.0
 *
 * A model's memory from a decoder that is built on paper.
 *
 * The parameters are those that the decoder's own constructor asks for, on a device that has no memory to give: so the plan
 * cannot differ from what will be allocated.
 */
#include "model/memory_plan.h"
#include "model/decoder_internal.h"
#include "base/base.h"
#include "tensor/paper.h"
#include <string.h>

static isc_status no_layer(void *user, isc_decoder *d, isc_params *set, int64_t layer,
                           const isc_param_way *way) {
  (void)user, (void)d, (void)set, (void)layer, (void)way;
  return isc_fail(ISC_E_INTERNAL, "a decoder that was made for planning has no layers");
}

/* ---- */

static void add(isc_memory_plan *p, const isc_param *q) {
  const double n = (double)isc_tensor_size(&q->value);
  double *sum = strncmp(q->name, "h.", 2) == 0 ? p->layer : p->outside;
  sum[ISC_F32] += n * sizeof(float);
  sum[ISC_BF16] += n * (q->value.dtype == ISC_BF16 ? sizeof(uint16_t) : sizeof(float));
}

static isc_status plan(isc_family_files *files, const isc_decoder_spec *spec, bool streamed,
                       const isc_device *dev, isc_memory_plan *out) {
  isc_paper sums = {0};
  isc_device paper = isc_paper_device(&sums);
  isc_decoder_spec own = *spec;
  isc_decoder *d;
  *out = (isc_memory_plan){.spec = *spec, .streamed = streamed, .held = isc_layers_held(spec, dev)};
  own.weights = ISC_BF16;
  ISC_TRY(isc_decoder_new_streamed(&paper, &own, &(isc_layer_source){.load = no_layer}, &d));
  for (int64_t i = 0; i < isc_params_count(d->params); i++)
    add(out, isc_params_at(d->params, i));
  isc_spec_info(spec, &out->info);
  out->info.parameters = isc_decoder_elements(d);
  out->info.by_layer = streamed;
  const isc_status st = files ? isc_family_check(files, d) : ISC_OK;
  isc_decoder_free(d);
  return st;
}

isc_status isc_memory_plan_of(const isc_decoder_spec *spec, bool streamed, const isc_device *dev,
                              isc_memory_plan *out) {
  return plan(NULL, spec, streamed, dev, out);
}

isc_status isc_memory_plan_files(isc_family_files *f, const isc_decoder_spec *spec, bool streamed,
                                 const isc_device *dev, isc_memory_plan *out) {
  return plan(f, spec, streamed, dev, out);
}

double isc_plan_weights(const isc_memory_plan *p, isc_dtype matrices, bool streamed) {
  const double layers = (double)(streamed ? p->held : p->spec.n_layer);
  return p->outside[matrices] + layers * p->layer[matrices];
}

double isc_plan_pass(const isc_memory_plan *p, double tokens) {
  const isc_decoder_spec *s = &p->spec;
  const double d = (double)s->d_model, heads = (double)(s->n_head * s->d_head);
  /* What a block makes, in the order of decoder_forward.c; beside it x, and the final norm behind the last. */
  const double attention = d + (double)isc_spec_qkv(s) + heads + d + d,
               mlp = d + (double)isc_spec_fc(s) + d + d +
                     (s->mlp == ISC_MLP_GATED ? (double)s->d_mlp : 0),
               norms = s->post_norms ? 2 * d : 0;
  /* A step takes memory in pieces of half of what it has: that much may be unused. */
  const double spare = 1.5;
  return spare * tokens * (2 * d + attention + mlp + norms) * sizeof(float);
}

double isc_plan_logits(const isc_memory_plan *p, double rows) {
  /* A cap makes three more: scaled, through tanh, scaled back. */
  return rows * (double)p->spec.vocab * sizeof(float) * (p->spec.logit_soft_cap != 0 ? 4 : 1);
}

double isc_plan_cache(const isc_memory_plan *p, double sequences, double positions) {
  const double width = (double)(isc_spec_kv_heads(&p->spec) * p->spec.d_head);
  /* Keys and values of every layer, and the room where sequences are selected. */
  return sequences * positions * width * sizeof(float) * (2 * (double)p->spec.n_layer + 1);
}

double isc_plan_waiting(const isc_memory_plan *p, double texts, double batch, double len) {
  const double text = len * (double)p->spec.d_model * sizeof(float), all = texts * text;
  const double most = ISC_HARVEST_WAITING > batch * text ? ISC_HARVEST_WAITING : batch * text;
  return all < most ? all : most;
}
