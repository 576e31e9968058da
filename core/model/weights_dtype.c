/* SPDX-License-Identifier: Apache-2.0
 *
 * The dtypes of weights as f32.
 *
 * Elements may lie at any address and are fetched with memcpy, which compilers turn into plain unaligned loads.
 */
#include "base/half.h"
#include "model/weights_internal.h"

static const struct {
  int64_t elements, bytes;
} blocks_of[] = {
    [ISC_WEIGHT_INTEGER] = {1, 0},  [ISC_WEIGHT_F32] = {1, 4},      [ISC_WEIGHT_F16] = {1, 2},
    [ISC_WEIGHT_BF16] = {1, 2},     [ISC_WEIGHT_F64] = {1, 8},      [ISC_WEIGHT_Q4_0] = {32, 18},
    [ISC_WEIGHT_Q4_1] = {32, 20},   [ISC_WEIGHT_Q5_0] = {32, 22},   [ISC_WEIGHT_Q5_1] = {32, 24},
    [ISC_WEIGHT_Q8_0] = {32, 34},   [ISC_WEIGHT_Q4_K] = {256, 144}, [ISC_WEIGHT_Q5_K] = {256, 176},
    [ISC_WEIGHT_Q6_K] = {256, 210},
};

int64_t isc_weight_block_elements(isc_weight_dtype dtype) {
  return blocks_of[dtype].elements;
}

int64_t isc_weight_block_bytes(isc_weight_dtype dtype) {
  return blocks_of[dtype].bytes;
}

#define EACH(type, expr)                                                                           \
  for (int64_t i = 0; i < n; i++) {                                                                \
    type v;                                                                                        \
    memcpy(&v, (const char *)raw + (size_t)i * sizeof v, sizeof v);                                \
    out[i] = (expr);                                                                               \
  }                                                                                                \
  return

void isc_weight_to_f32(isc_weight_dtype dtype, const void *raw, int64_t n, float *out) {
  switch (dtype) {
  case ISC_WEIGHT_F32:
    EACH(float, v);
  case ISC_WEIGHT_F16:
    EACH(uint16_t, isc_f32_of_f16(v));
  case ISC_WEIGHT_BF16:
    EACH(uint16_t, isc_f32_of_bf16(v));
  case ISC_WEIGHT_F64:
    EACH(double, (float)v);
  case ISC_WEIGHT_INTEGER:
    return;
  default:
    isc_weight_dequantise(dtype, raw, n, out);
  }
}
