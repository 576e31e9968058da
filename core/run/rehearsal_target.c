/* SPDX-License-Identifier: Apache-2.0 */
#include "run/rehearsal_target.h"

#include "base/base.h"
#include "model/decoder_internal.h"
#include <inversescope/decoder_target.h>
#include "run/model.h"
#include "run/store.h"

#include <stdlib.h>
#include <string.h>

static isc_status no_weights(void *user, isc_decoder *d, isc_params *set, int64_t layer,
                             const isc_param_way *way) {
  (void)user, (void)d, (void)set, (void)layer, (void)way;
  return ISC_OK;
}

/* What the target's class would have opened. */
static isc_status make_target(const isc_study *s, const isc_study_plan *plan, isc_device *dev,
                              isc_target *out) {
  const isc_decoder_spec *spec = &plan->memory.spec;
  const isc_layer_source source = {.load = no_weights};
  const isc_decoder_family *family;
  const isc_decoder_options *options;
  isc_decoder *decoder = NULL;
  isc_tokenizer *tokenizer = NULL;
  isc_target_family(s->target_class, s->target_conf, &family, &options);
  isc_status st = isc_decoder_family_tokenizer(options, &tokenizer);
  if (st == ISC_OK)
    st = plan->memory.streamed ? isc_decoder_new_streamed(dev, spec, &source, &decoder)
                               : isc_decoder_new(dev, spec, &decoder);
  if (st != ISC_OK) {
    isc_tokenizer_close(tokenizer);
    return st;
  }
  *out = (isc_target){
      .cls = s->target_class, .ops = s->target_class->ops, .info = {.size = sizeof out->info}};
  ISC_TRY(isc_decoder_target_new(decoder, tokenizer, options->path, &out->self));
  out->ops->info(out->self, &out->info);
  return ISC_OK;
}

/* Texts, and room for their activations. */
typedef struct piece {
  int64_t n, sites;
  isc_text *text;    /* [n] */
  const char **data; /* [n] */
  size_t *len;       /* [n] */
  float **out;       /* [sites] of [n, stored] */
} piece;

static void piece_free(piece *p) {
  for (int64_t i = 0; p->text && i < p->n; i++)
    isc_text_free(&p->text[i]);
  for (int64_t k = 0; p->out && k < p->sites; k++)
    free(p->out[k]);
  free(p->text);
  free(p->data);
  free(p->len);
  free(p->out);
}

static isc_status piece_new(const isc_study *s, const isc_rehearsed_target *t, piece *p) {
  static const char what[] = "harvest texts";
  const isc_site_set *sites = &t->sites;
  const int64_t most = t->target.info.by_layer ? ISC_STORE_CHUNK : isc_study_piece(s);
  *p = (piece){.n = s->n_train < most ? s->n_train : most, .sites = sites->n};
  const size_t n = (size_t)p->n;
  ISC_TRY(isc_calloc(n, sizeof *p->text, what, (void **)&p->text));
  ISC_TRY(isc_calloc(n, sizeof *p->data, what, (void **)&p->data));
  ISC_TRY(isc_calloc(n, sizeof *p->len, what, (void **)&p->len));
  ISC_TRY(isc_calloc((size_t)p->sites, sizeof *p->out, what, (void **)&p->out));
  for (int64_t k = 0; k < p->sites; k++)
    ISC_TRY(isc_calloc(n * (size_t)sites->site[k].stored, sizeof(float), "activations",
                       (void **)&p->out[k]));
  for (int64_t i = 0; i < p->n; i++) {
    ISC_TRY(isc_study_text(s, ISC_TRAIN, i, &p->text[i]));
    p->data[i] = p->text[i].data;
    p->len[i] = p->text[i].len;
  }
  return ISC_OK;
}

static isc_status harvest(const isc_study *s, isc_rehearsed_target *t, int64_t *texts) {
  isc_status st = ISC_OK;
  piece p;
  ISC_GO(piece_new(s, t, &p));
  const isc_harvest h = {.target = &t->target,
                         .sites = &t->sites,
                         .text = p.data,
                         .len = p.len,
                         .n = p.n,
                         .position = s->target_settings.position,
                         .batch = s->target_settings.batch,
                         .out = p.out};
  *texts = p.n;
  ISC_GO(isc_harvest_run(&h, t->step));
done:
  piece_free(&p);
  return st;
}

isc_status isc_rehearse_target(const isc_study *s, const isc_study_plan *plan, isc_plan_device *dev,
                               isc_rehearsed_target *t, isc_rehearsal *out) {
  const isc_list *sites = &s->target_settings.sites;
  int64_t texts = 1;
  double most;
  *t = (isc_rehearsed_target){0};
  ISC_TRY(isc_plan_device_most(dev, true, &most));
  ISC_TRY(isc_step_new(&dev->device, &t->step));
  ISC_TRY(make_target(s, plan, &dev->device, &t->target));
  ISC_TRY(isc_sites_select(&t->target, sites->at.s, sites->count, &t->sites));
  dev->device.flops = 0;
  ISC_TRY(harvest(s, t, &texts));
  out->harvest_flops = dev->device.flops * (double)plan->harvest.texts / (double)texts;
  return isc_plan_device_most(dev, false, &out->harvest_memory);
}

void isc_rehearsed_target_close(isc_rehearsed_target *t) {
  isc_sites_free(&t->sites);
  isc_target_close(&t->target);
  isc_step_free(t->step);
}
