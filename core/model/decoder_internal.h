/* SPDX-License-Identifier: Apache-2.0
 *
 * The decoder's weights by role, and its key/value cache, for the files that implement decoder.h.
 *
 * Pointers into the parameter set, found once: the forward pass, folding and saving read these
 * instead of looking names up.
 */
#ifndef ISC_CORE_DECODER_INTERNAL_H
#define ISC_CORE_DECODER_INTERNAL_H

#include "model/layer_stream.h"
#include <inversescope/target.h>

/* cos and sin of rotary positions, made for as many positions as passes have needed so far. */
typedef struct isc_rotary_tables {
  double theta;
  bool scaled;
  isc_tensor cos, sin; /* [positions, d_rot/2] */
} isc_rotary_tables;

struct isc_decoder {
  isc_device *dev;
  isc_decoder_spec spec;
  isc_layer_stream stream;     /* of its layers, if it is streamed                           */
  isc_params *params;          /* of a streamed decoder with one layer's                     */
  isc_param *wte, *wpe;        /* [vocab, d_model], [n_ctx, d_model]                    */
  isc_decoder_layer *layer;    /* [n_layer]                                             */
  isc_rotary_tables rotary[2]; /* of layers without and with a window                  */
  isc_param *ln_f_w, *ln_f_b;  /* [d_model]                                             */
  isc_param *head;             /* [vocab, d_model]; wte itself when tied                */
};

struct isc_kv_cache {
  isc_device *dev;
  int64_t n_layer, capacity; /* capacity: sequences there is room for                 */
  int64_t batch, n_ctx, width, len;
  int64_t room, prefix; /* slots before the first position: there is room for, and in use */
  isc_tensor *k, *v;    /* [n_layer] of [room + n_ctx, batch, width = n_kv_head·d_head] */
  isc_tensor spare;     /* [room + n_ctx, capacity, width]: where a selection is made   */
};

/* Layer `layer`'s slots of a cache that is about to begin. */
isc_status isc_kv_cache_begin(isc_kv_cache *c, int64_t layer, const isc_kv_prefix *prefix);
/* ISC_E_SHAPE unless the prefix fits `batch` sequences of the decoder. */
isc_status isc_decoder_check_prefix(const isc_decoder *d, const isc_kv_prefix *prefix,
                                    int64_t batch);

/* A decoder whose layers come from `source` when they are needed; it is taken over, also when this fails. */
ISC_API isc_status isc_decoder_new_streamed(isc_device *dev, const isc_decoder_spec *spec,
                                            const isc_layer_source *source, isc_decoder **out);
static inline bool isc_decoder_is_streamed(const isc_decoder *d) {
  return d->stream.source.load != NULL;
}
/* Parameters of the whole model, streamed or not. */
int64_t isc_decoder_elements(const isc_decoder *d);

/* What a spec says of its target; parameters, by_layer and packed are left 0. */
void isc_spec_info(const isc_decoder_spec *s, isc_target_info *out);

/* The activation function that config.json calls `name`; `known` lists the names there are. */
bool isc_decoder_act(const char *name, isc_act *out, const char **known);

static inline int64_t isc_spec_kv_heads(const isc_decoder_spec *s) {
  return s->n_kv_head ? s->n_kv_head : s->n_head;
}
/* Floats of a row of queries, keys and values; of a row that enters the MLP's activation. */
static inline int64_t isc_spec_qkv(const isc_decoder_spec *s) {
  return (s->n_head + 2 * isc_spec_kv_heads(s)) * s->d_head;
}
static inline int64_t isc_spec_fc(const isc_decoder_spec *s) {
  return s->mlp == ISC_MLP_GATED ? 2 * s->d_mlp : s->d_mlp;
}
/* Does the layer see only the last spec->window positions? */
static inline bool isc_spec_windowed(const isc_decoder_spec *s, int64_t layer) {
  return s->window > 0 && !(s->full_every > 0 && (layer + 1) % s->full_every == 0);
}

/* The tables for a layer, grown to `positions`. They live until the decoder is freed or asked for more. */
isc_status isc_decoder_rotary(isc_decoder *d, int64_t layer, int64_t positions,
                              isc_rotary_tables **out);
void isc_rotary_tables_free(isc_device *dev, isc_rotary_tables *t);

/* Out of range, or settings that exclude each other, by name. */
isc_status isc_decoder_spec_check(const isc_decoder_spec *s);
/* Everything in a spec that decides numbers but for its rope_factors, as text. */
void isc_decoder_spec_text(const isc_decoder_spec *s, char *text, size_t n);

/* "config.json" of a directory, and back. */
isc_status isc_decoder_config_write(const isc_decoder_spec *spec, const char *dir, int32_t bos,
                                    int32_t eos);
/* Why Hugging Face's GPT-2 could not hold this spec, as a failure; ISC_OK when it can. */
isc_status isc_decoder_config_fits(const isc_decoder_spec *spec, const char *dir);

#endif
