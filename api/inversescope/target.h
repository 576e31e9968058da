/* SPDX-License-Identifier: Apache-2.0
 *
 * The target kind: the language model whose activations are inverted.
 *
 * A target opens a model directory and gives a tokenizer, its shape, and a forward pass with taps. Sites
 * (names, captures, stored factors) are built on this by the core. All of a target's functions are called
 * from one thread at a time.
 */
#ifndef ISC_TARGET_H
#define ISC_TARGET_H

#include <inversescope/decoder.h>
#include <inversescope/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The shape of a model. */
typedef struct isc_target_info {
  size_t size; /* sizeof(isc_target_info) */
  int64_t n_layer, n_head, d_model, d_head, n_ctx, vocab;
  int64_t parameters;
  bool
      by_layer; /* since 1.1: a layer is costly to begin, so many inputs should go through it at once (first_layer of
                    isc_decoder_input is honoured) */
  isc_dtype product; /* since 1.1: what its matrix products round their operands to */
  bool packed;       /* since 1.1: lens and last of isc_decoder_input are honoured */
} isc_target_info;

/* The ops table of a target. */
typedef struct isc_target_ops {
  size_t size; /* sizeof(isc_target_ops) */
  /* `conf` is the class's filled conf struct and outlives the target, and so does the device. *self goes to all below; on
   * failure it is left NULL. */
  isc_status (*open)(const void *conf, isc_device *dev, void **self);
  void (*close)(void *self); /* gives everything back                         */
  void (*info)(void *self, isc_target_info *out); /* fills *out                                   */
  const isc_tokenizer *(*tokenizer)(void *self); /* the target's own; lives as long as the target */
  /* As isc_decoder_forward / _logits / _head_map. */
  isc_status (*forward)(void *self, isc_step *s, const isc_decoder_input *in, const isc_taps *taps,
                        isc_tensor **hidden);
  isc_status (*logits)(void *self, isc_step *s, isc_tensor *hidden, isc_tensor **logits);
  isc_status (*head_map)(void *self, int64_t layer, int64_t head, float *out);
  /* Hash of the weights and everything else that decides its numbers, 32 hex digits. */
  isc_status (*fingerprint)(void *self, char hex[33]);
  isc_status (*kv_cache)(void *self, int64_t batch, int64_t n_ctx,
                         isc_kv_cache **out); /* may be NULL */
  /* since 1.1; may be NULL. The family that the target's models are of (decoder_family.h), and where in a conf their
   * isc_decoder_options are: by these a model's plugin is found, and its shape and memory are told, before it is opened. */
  const struct isc_decoder_family *family;
  size_t family_options;
} isc_target_ops;

#ifdef __cplusplus
}
#endif
#endif
