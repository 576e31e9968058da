/* SPDX-License-Identifier: Apache-2.0
 *
 * Dropout while a decoder trains: GPT-2's on the embedding sum and on both residual outputs, and on the heads'
 * outputs in place of its attention weights'.
 *
 * Rationale for the heads: a mask per head and position keeps the attention kernel whole, and serves the same end: no
 * head may lean on a single coordinate. A small target trained with it keeps one thing in a head instead of a blend of many.
 */
#ifndef ISC_CORE_DROPOUT_H
#define ISC_CORE_DROPOUT_H

#include <inversescope/decoder.h>

typedef struct isc_dropout {
  double p; /* share of coordinates zeroed, in [0, 1) */
  uint64_t seed;
  int64_t step; /* masks are addressed by (seed, step, layer, place) */
} isc_dropout;

/* Taps that drop; `d` must outlive them. */
ISC_API isc_taps isc_dropout_taps(isc_dropout *d);

#endif
