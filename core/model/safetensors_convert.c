/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of a safetensors tensor as f32 or i64.
 *
 * A tensor may begin at any byte, so elements are fetched with memcpy, which compilers turn into
 * plain unaligned loads.
 */
#include "model/safetensors_header.h"
#include <string.h>

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* IEEE binary16 → binary32, exact: subnormals are scaled, infinities and NaN payloads kept. */
static float half_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 0x1Fu, mantissa = h & 0x3FFu;
  if (exponent == 0x1Fu) return from_bits(sign | 0x7F800000u | mantissa << 13);
  if (exponent != 0) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  float x = (float)mantissa * 0x1p-24f;
  return sign ? -x : x;
}

#define EACH(type, expr)                                                                           \
  for (int64_t i = 0; i < n; i++) {                                                                \
    type v;                                                                                        \
    memcpy(&v, (const char *)t->data + (size_t)(first + i) * sizeof v, sizeof v);                  \
    out[i] = (expr);                                                                               \
  }                                                                                                \
  return true

bool isc_st_to_f32(const isc_st_tensor *t, int64_t first, int64_t n, float *out /* [n] */) {
  switch (t->dtype) {
  case ISC_ST_F32:
    if (n)
      memcpy(out, (const char *)t->data + (size_t)first * sizeof *out, (size_t)n * sizeof *out);
    return true;
  case ISC_ST_F16:
    EACH(uint16_t, half_to_float(v));
  case ISC_ST_BF16:
    EACH(uint16_t, from_bits((uint32_t)v << 16));
  case ISC_ST_F64:
    EACH(double, (float)v);
  default:
    return false;
  }
}

bool isc_st_to_i64(const isc_st_tensor *t, int64_t first, int64_t n, int64_t *out /* [n] */,
                   bool *too_large) {
  switch (t->dtype) {
  case ISC_ST_BOOL:
  case ISC_ST_U8:
    EACH(uint8_t, v);
  case ISC_ST_I8:
    EACH(int8_t, v);
  case ISC_ST_U16:
    EACH(uint16_t, v);
  case ISC_ST_I16:
    EACH(int16_t, v);
  case ISC_ST_U32:
    EACH(uint32_t, v);
  case ISC_ST_I32:
    EACH(int32_t, v);
  case ISC_ST_I64:
    EACH(int64_t, v);
  case ISC_ST_U64:
    EACH(uint64_t, (*too_large |= v > INT64_MAX, (int64_t)v));
  default:
    return false;
  }
}
