/* SPDX-License-Identifier: Apache-2.0
 *
 * The 16-bit floats of model files.
 *
 * To f32 both are exact: subnormals are scaled, infinities and NaN payloads kept.
 */
#ifndef ISC_CORE_HALF_H
#define ISC_CORE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float isc_f32_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* IEEE binary16. */
static inline float isc_f32_of_f16(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 0x1Fu, mantissa = h & 0x3FFu;
  if (exponent == 0x1Fu) return isc_f32_of_bits(sign | 0x7F800000u | mantissa << 13);
  if (exponent != 0) return isc_f32_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  float x = (float)mantissa * 0x1p-24f;
  return sign ? -x : x;
}

static inline float isc_f32_of_bf16(uint16_t b) {
  return isc_f32_of_bits((uint32_t)b << 16);
}

/* Rounded to nearest even; a NaN stays one. */
static inline uint16_t isc_bf16_of_f32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40u);
  return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

#endif
