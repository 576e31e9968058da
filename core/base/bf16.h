/* SPDX-License-Identifier: Apache-2.0
 *
 * bf16: the upper half of an f32.
 *
 * One rounding for all that stores weights in it, so that a weight read from a file and one converted in memory have the
 * same bits.
 */
#ifndef ISC_CORE_BF16_H
#define ISC_CORE_BF16_H

#include <stdint.h>
#include <string.h>

/* To nearest, ties to even; a NaN stays one. */
static inline uint16_t isc_to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40u);
  return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

static inline float isc_from_bf16(uint16_t half) {
  const uint32_t bits = (uint32_t)half << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

#endif
