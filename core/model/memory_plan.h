/* SPDX-License-Identifier: Apache-2.0
 *
 * What a model needs of memory, told from its files' headers before anything of it is read.
 *
 * Bytes are doubles: an estimate of any size, without overflow. Weights, caches and what waits between layers are exact; a
 * pass is what its tensors take, and a backend's scratch space comes on top.
 */
#ifndef ISC_CORE_MEMORY_PLAN_H
#define ISC_CORE_MEMORY_PLAN_H

#include "model/family.h"
#include "model/sites.h"

typedef struct isc_memory_plan {
  isc_decoder_spec spec;
  isc_target_info info;
  bool streamed;     /* as the options say                                               */
  int64_t held;      /* layers on the device at a time if it is                          */
  double outside[2]; /* by isc_dtype of the matrices: embeddings, head and final norm     */
  double layer[2];   /* and one layer                                                     */
} isc_memory_plan;

/* Of a spec, on a device, which decides how many layers of a streamed model it holds; NULL = one without lanes. */
ISC_API isc_status isc_memory_plan_of(const isc_decoder_spec *spec, bool streamed,
                                      const isc_device *dev, isc_memory_plan *out);
/* Of the opened files of a model, every tensor of which is looked for and its shape checked. */
ISC_API isc_status isc_memory_plan_files(isc_family_files *f, const isc_decoder_spec *spec,
                                         bool streamed, const isc_device *dev,
                                         isc_memory_plan *out);

/* Weights in memory. */
ISC_API double isc_plan_weights(const isc_memory_plan *p, isc_dtype matrices, bool streamed);
/* A forward pass of so many tokens without taps that keep tensors; its logits of so many rows. */
ISC_API double isc_plan_pass(const isc_memory_plan *p, double tokens);
ISC_API double isc_plan_logits(const isc_memory_plan *p, double rows);
/* Keys and values of so many sequences by positions. */
ISC_API double isc_plan_cache(const isc_memory_plan *p, double sequences, double positions);
/* The residual streams that wait between layers when `texts` of `len` tokens go through a streamed model `batch` at a time. */
ISC_API double isc_plan_waiting(const isc_memory_plan *p, double texts, double batch, double len);

#endif
