/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of a safetensors tensor as f32 or i64.
 *
 * A tensor may begin at any byte, so elements are fetched with memcpy, which compilers turn into
 * plain unaligned loads.
 */
#include "base/half.h"
#include "model/safetensors_header.h"
#include <string.h>

#define EACH(type, expr)                                                                           \
  for (int64_t i = 0; i < n; i++) {                                                                \
    type v;                                                                                        \
    memcpy(&v, (const char *)data + (size_t)i * sizeof v, sizeof v);                               \
    out[i] = (expr);                                                                               \
  }                                                                                                \
  return true

bool isc_st_to_f32(isc_st_dtype dtype, const void *data, int64_t n, float *out /* [n] */) {
  switch (dtype) {
  case ISC_ST_F32:
    if (n) memcpy(out, data, (size_t)n * sizeof *out);
    return true;
  case ISC_ST_F16:
    EACH(uint16_t, isc_f32_of_f16(v));
  case ISC_ST_BF16:
    EACH(uint16_t, isc_f32_of_bf16(v));
  case ISC_ST_F64:
    EACH(double, (float)v);
  default:
    return false;
  }
}

bool isc_st_to_i64(isc_st_dtype dtype, const void *data, int64_t n, int64_t *out /* [n] */,
                   bool *too_large) {
  switch (dtype) {
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
