/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that are a decoder and a tokenizer, which is all that most families of models need.
 */
#include <inversescope/decoder_target.h>
#include "base/base.h"
#include "model/decoder_internal.h"
#include <stdlib.h>

typedef struct decoder_target {
  isc_decoder *decoder;
  isc_tokenizer *tokenizer;
} decoder_target;

static isc_decoder *decoder_of(void *self) {
  return ((decoder_target *)self)->decoder;
}

/* A table may be padded beyond the tokenizer, but every id must have a row. */
static isc_status check_vocabulary(const decoder_target *t, const char *where) {
  long long ids = isc_tokenizer_vocab(t->tokenizer), rows = isc_decoder_get_spec(t->decoder)->vocab;
  if (ids <= rows) return ISC_OK;
  return isc_fail(ISC_E_SHAPE,
                  "%s: the tokenizer has %lld ids and the embedding wte.weight only %lld rows",
                  where, ids, rows);
}

isc_status isc_decoder_target_new(isc_decoder *decoder, isc_tokenizer *tokenizer, const char *where,
                                  void **self) {
  void *memory;
  isc_status st = isc_malloc(sizeof(decoder_target), where, &memory);
  if (st != ISC_OK) {
    isc_tokenizer_close(tokenizer);
    isc_decoder_free(decoder);
    return st;
  }
  decoder_target *t = memory;
  *t = (decoder_target){decoder, tokenizer};
  st = check_vocabulary(t, where);
  if (st != ISC_OK) {
    isc_decoder_target_close(t);
    return st;
  }
  isc_params_train(isc_decoder_params(decoder), false);
  *self = t;
  return ISC_OK;
}

void isc_decoder_target_close(void *self) {
  decoder_target *t = self;
  if (!t) return;
  isc_tokenizer_close(t->tokenizer);
  isc_decoder_free(t->decoder);
  free(t);
}

void isc_spec_info(const isc_decoder_spec *s, isc_target_info *out) {
  *out = (isc_target_info){.size = sizeof *out,
                           .n_layer = s->n_layer,
                           .n_head = s->n_head,
                           .d_model = s->d_model,
                           .d_head = s->d_head,
                           .n_ctx = s->n_ctx,
                           .vocab = s->vocab,
                           .product = s->weights};
}

void isc_decoder_target_info(void *self, isc_target_info *out) {
  const isc_decoder *d = decoder_of(self);
  isc_spec_info(&d->spec, out);
  out->parameters = isc_decoder_elements(d);
  out->by_layer = isc_decoder_is_streamed(d);
  out->packed = true;
}

const isc_tokenizer *isc_decoder_target_tokenizer(void *self) {
  return ((decoder_target *)self)->tokenizer;
}

isc_status isc_decoder_target_forward(void *self, isc_step *s, const isc_decoder_input *in,
                                      const isc_taps *taps, isc_tensor **hidden) {
  return isc_decoder_forward(decoder_of(self), s, in, taps, hidden);
}

isc_status isc_decoder_target_logits(void *self, isc_step *s, isc_tensor *hidden,
                                     isc_tensor **logits) {
  return isc_decoder_logits(decoder_of(self), s, hidden, logits);
}

isc_status isc_decoder_target_head_map(void *self, int64_t layer, int64_t head, float *out) {
  return isc_decoder_head_map(decoder_of(self), layer, head, out);
}

isc_status isc_decoder_target_fingerprint(void *self, char hex[33]) {
  char tokenizer[33];
  isc_tokenizer_fingerprint(isc_decoder_target_tokenizer(self), tokenizer);
  return isc_decoder_fingerprint(decoder_of(self), tokenizer, hex);
}

isc_status isc_decoder_target_kv_cache(void *self, int64_t batch, int64_t n_ctx,
                                       isc_kv_cache **out) {
  return isc_kv_cache_new(decoder_of(self), batch, n_ctx, out);
}
