/* SPDX-License-Identifier: Apache-2.0
 *
 * A target that is a decoder and a tokenizer: every member of isc_target_ops but `open`.
 *
 * A plugin for a family of models opens its files, maps their settings and names to isc_decoder, and hands the two
 * over; plugins/targets/gpt2.c is an example. One thread at a time, as for all targets.
 */
#ifndef ISC_DECODER_TARGET_H
#define ISC_DECODER_TARGET_H

#include <inversescope/target.h>

#ifdef __cplusplus
extern "C" {
#endif

/* *self for the functions below. Takes the decoder and the tokenizer over, also when it fails; freezes the parameters.
 * ISC_E_SHAPE, the message beginning with `where`, when the tokenizer has more ids than the embedding has rows. */
ISC_API isc_status isc_decoder_target_new(isc_decoder *decoder, isc_tokenizer *tokenizer,
                                          const char *where, void **self);

/* The members of isc_target_ops of these names. */
ISC_API void isc_decoder_target_close(void *self); /* NULL is fine */
ISC_API void isc_decoder_target_info(void *self, isc_target_info *out);
ISC_API const isc_tokenizer *isc_decoder_target_tokenizer(void *self);
ISC_API isc_status isc_decoder_target_forward(void *self, isc_step *s, const isc_decoder_input *in,
                                              const isc_taps *taps, isc_tensor **hidden);
ISC_API isc_status isc_decoder_target_logits(void *self, isc_step *s, isc_tensor *hidden,
                                             isc_tensor **logits);
ISC_API isc_status isc_decoder_target_head_map(void *self, int64_t layer, int64_t head, float *out);
/* Covers the weights, the spec and the tokenizer. */
ISC_API isc_status isc_decoder_target_fingerprint(void *self, char hex[33]);
ISC_API isc_status isc_decoder_target_kv_cache(void *self, int64_t batch, int64_t n_ctx,
                                               isc_kv_cache **out);

/* The ops table of a target whose `open_` ends in isc_decoder_target_new. */
#define ISC_DECODER_TARGET_OPS(open_)                                                              \
  {                                                                                                \
    .size = sizeof(isc_target_ops), .open = (open_), .close = isc_decoder_target_close,            \
    .info = isc_decoder_target_info, .tokenizer = isc_decoder_target_tokenizer,                    \
    .forward = isc_decoder_target_forward, .logits = isc_decoder_target_logits,                    \
    .head_map = isc_decoder_target_head_map, .fingerprint = isc_decoder_target_fingerprint,        \
    .kv_cache = isc_decoder_target_kv_cache                                                        \
  }

#ifdef __cplusplus
}
#endif
#endif
