/* SPDX-License-Identifier: Apache-2.0
 *
 * The layers of a streamed decoder: which of them are on the device, and the reading ahead of the next.
 *
 * A device with lanes has two layers' parameters: while it computes with one, a thread reads and converts the layer that comes
 * next and the lane carries it up. Other devices have one layer's parameters, filled when a layer is needed.
 */
#ifndef ISC_CORE_LAYER_STREAM_H
#define ISC_CORE_LAYER_STREAM_H

#include "model/params_io.h"
#include <inversescope/decoder.h>
#include <pthread.h>

/* NULL where the spec has none. Shapes of qkv_w, fc_w and proj_w are the other way round with spec.out_in. */
typedef struct isc_decoder_layer {
  isc_param *ln_1_w, *ln_1_b;       /* [d_model]                                  */
  isc_param *qkv_w, *qkv_b;         /* [d_model, qkv], [qkv]                      */
  isc_param *q_norm, *k_norm;       /* [d_head]                                   */
  isc_param *o_w, *o_b;             /* [n_head·d_head, d_model], [d_model]        */
  isc_param *ln_2_w, *ln_2_b;       /* [d_model]                                  */
  isc_param *fc_w, *fc_b;           /* [d_model, fc], [fc]                        */
  isc_param *proj_w, *proj_b;       /* [d_mlp, d_model], [d_model]                */
  isc_param *ln_1_post, *ln_2_post; /* [d_model]                                  */
} isc_decoder_layer;

/* Where a streamed decoder has its layers from. `load` fills the parameters of `set` that are a layer's, which are named as
 * layer 0's, by `way`: in any thread, one at a time. */
typedef struct isc_layer_source {
  void *user;
  isc_status (*load)(void *user, isc_decoder *d, isc_params *set, int64_t layer,
                     const isc_param_way *way);
  void (*free)(void *user);
  size_t piece; /* bytes that it would best upload at a time; 0 = as many as a row has */
} isc_layer_source;

/* A layer on its way, by a thread of its own or by the caller's. */
typedef struct isc_layer_reader {
  isc_decoder *d;
  pthread_t thread;
  bool runs;        /* in that thread */
  int set;          /* that it fills … */
  int64_t layer;    /* … with this     */
  atomic_bool stop; /* nobody wants the layer any more */
  isc_status status;
  char error[512]; /* of the thread */
} isc_layer_reader;

typedef struct isc_layer_stream {
  isc_layer_source source;  /* load NULL: every layer has its own parameters               */
  isc_params *second;       /* the second layer's parameters; NULL where there is one only */
  isc_decoder_layer set[2]; /* in the decoder's parameters and in the second's             */
  int64_t holds[2];         /* the layer that each holds; −1 none                          */
  int now;                  /* the set of the layer that was needed last                   */
  int64_t *next; /* [n_layer] the layer that was needed after it the last time; −1 unknown */
  isc_lane lane;
  isc_layer_reader reader;
} isc_layer_stream;

/* Layers whose parameters a streamed decoder has at a time on the device; NULL = one without lanes. */
int64_t isc_layers_held(const isc_decoder_spec *spec, const isc_device *dev);

/* The rest of a stream whose source and sets are there. */
isc_status isc_layer_stream_open(isc_decoder *d);
void isc_layer_stream_close(isc_decoder *d); /* also of a decoder that is not streamed */
/* Make d->layer[layer]'s parameters hold that layer, in the order of what is asked of the device. */
ISC_API isc_status isc_decoder_need_layer(isc_decoder *d, int64_t layer);
/* Where the layer that was needed last has its parameter `q` of the decoder's; `q` itself outside the layers. */
isc_param *isc_layer_stream_param(isc_decoder *d, isc_param *q);

#endif
