/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout while a decoder trains, where GPT-2 has it: on the embedding sum, on both residual outputs, and on
 * attention.
 *
 * Rationale for attention: a mask on the values, one number for each position and head, stands in for the mask on the
 * attention weights. A dropped key is dropped for every later query alike, the attention kernel stays whole, and a head
 * still may not lean on a single position. Targets trained with it keep one thing in a head instead of a blend of many. One thread. Since 1.1.
 */
#ifndef ISC_DROPOUT_H
#define ISC_DROPOUT_H

#include <inversescope/decoder.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is dropped. Frozen. */
typedef struct isc_dropout {
  double p;         /* share of coordinates zeroed, in [0, 1)          */
  double attention; /* share of a head's positions zeroed, in [0, 1)  */
  int64_t d_head;
  uint64_t seed;
  int64_t step; /* masks are addressed by (seed, step, layer, place) */
} isc_dropout;

/* Taps that drop; `d` must outlive them. */
ISC_API isc_taps isc_dropout_taps(isc_dropout *d);

#ifdef __cplusplus
}
#endif
#endif
