/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoder's weights by role, and its key/value cache, for the files that implement decoder.h.
 *
 * Pointers into the parameter set, found once: the forward pass, folding and saving read these
 * instead of looking names up.
 */
#ifndef ISC_CORE_DECODER_INTERNAL_H
#define ISC_CORE_DECODER_INTERNAL_H

#include <inversescope/decoder.h>

typedef struct isc_decoder_layer {
  isc_param *ln_1_w, *ln_1_b; /* [d_model]                                             */
  isc_param *qkv_w, *qkv_b;   /* [d_model, 3·n_head·d_head], [3·n_head·d_head]         */
  isc_param *o_w, *o_b;       /* [n_head·d_head, d_model], [d_model]                   */
  isc_param *ln_2_w, *ln_2_b; /* [d_model]                                             */
  isc_param *fc_w, *fc_b;     /* [d_model, d_mlp], [d_mlp]                             */
  isc_param *proj_w, *proj_b; /* [d_mlp, d_model], [d_model]                           */
} isc_decoder_layer;

struct isc_decoder {
  isc_device *dev;
  isc_decoder_spec spec;
  isc_params *params;
  isc_param *wte, *wpe;       /* [vocab, d_model], [n_ctx, d_model]                    */
  isc_decoder_layer *layer;   /* [n_layer]                                             */
  isc_param *ln_f_w, *ln_f_b; /* [d_model]                                             */
  isc_param *head;            /* [vocab, d_model]; wte itself when tied                */
};

struct isc_kv_cache {
  isc_device *dev;
  int64_t n_layer, capacity; /* capacity: sequences there is room for                 */
  int64_t batch, n_ctx, width, len;
  isc_tensor *k, *v; /* [n_layer] of [n_ctx, batch, width = n_head·d_head]    */
  isc_tensor spare;  /* [n_ctx, capacity, width]: where a selection is made   */
};

/* "config.json" of a directory, and back. */
isc_status isc_decoder_config_write(const isc_decoder_spec *spec, const char *dir, int32_t bos,
                                    int32_t eos);
/* Why Hugging Face's GPT-2 could not hold this spec, as a failure; ISC_OK when it can. */
isc_status isc_decoder_config_fits(const isc_decoder_spec *spec, const char *dir);

#endif
