/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a weights handle, for the files that implement weights.h, and what they know of dtypes.
 *
 * All staging memory belongs to the handle and has one size, so reading needs no more of it for a larger model.
 */
#ifndef ISC_CORE_WEIGHTS_INTERNAL_H
#define ISC_CORE_WEIGHTS_INTERNAL_H

#include "model/gguf.h"
#include "model/safetensors.h"
#include "model/weights.h"

enum {
  ISC_WEIGHT_RAW = 1 << 18,    /* bytes read at a time                 */
  ISC_WEIGHT_VALUES = 1 << 16, /* elements converted at a time         */
  ISC_WEIGHT_TILE = 1 << 17    /* elements of a tile that is transposed */
};

struct isc_weights {
  char *path;
  isc_safetensors *safetensors; /* one of the two */
  isc_gguf *gguf;
  isc_weight *tensor;         /* [n] in the order of the files */
  const isc_weight **by_name; /* [n] sorted                    */
  int64_t n;
  uint8_t *raw;  /* [ISC_WEIGHT_RAW]    */
  float *values; /* [ISC_WEIGHT_VALUES] */
  float *tile;   /* [ISC_WEIGHT_TILE]   */
};

/* Get the staging memory, unless it is there: a handle that only tells what is in the files needs none. */
isc_status isc_weights_stage(isc_weights *w);

/* A block: the elements that are stored together, and their bytes; 1 element for plain dtypes. 0 bytes for integers. */
int64_t isc_weight_block_elements(isc_weight_dtype dtype);
int64_t isc_weight_block_bytes(isc_weight_dtype dtype);
/* `blocks` blocks, at any address, as f32; not for integers. */
void isc_weight_to_f32(isc_weight_dtype dtype, const void *raw, int64_t blocks, float *out);
/* The same of the quantised dtypes. */
void isc_weight_dequantise(isc_weight_dtype dtype, const uint8_t *raw, int64_t blocks, float *out);

#endif
