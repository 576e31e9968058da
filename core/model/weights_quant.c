/* SPDX-License-Identifier: Apache-2.0
 *
 * GGUF's quantised blocks as f32.
 *
 * A block of 32 has one scale, and one of 256 has two of its own that multiply 6-bit (or 8-bit) scales of its groups. The
 * order of the products is that of the published implementation, so that the floats are the same.
 */
#include "base/half.h"
#include "model/weights_internal.h"

static float half_at(const uint8_t *p) {
  uint16_t h;
  memcpy(&h, p, sizeof h);
  return isc_f32_of_f16(h);
}

/* ---- blocks of 32: element i < 16 is a low nibble, element i + 16 the high one of the same byte */

/* {scale, nibbles[16]}: scale·(q − 8) */
static void q4_0(const uint8_t *b, float *out /* [32] */) {
  const float d = half_at(b);
  for (int i = 0; i < 16; i++) {
    out[i] = d * (float)((b[2 + i] & 15) - 8);
    out[i + 16] = d * (float)((b[2 + i] >> 4) - 8);
  }
}

/* {scale, least, nibbles[16]}: scale·q + least */
static void q4_1(const uint8_t *b, float *out /* [32] */) {
  const float d = half_at(b), m = half_at(b + 2);
  for (int i = 0; i < 16; i++) {
    out[i] = d * (float)(b[4 + i] & 15) + m;
    out[i + 16] = d * (float)(b[4 + i] >> 4) + m;
  }
}

/* The fifth bit of element i. */
static int fifth(const uint8_t *bits /* [4] */, int i) {
  return (bits[i / 8] >> i % 8 & 1) << 4;
}

/* {scale, fifth bits[4], nibbles[16]}: scale·(q − 16) */
static void q5_0(const uint8_t *b, float *out /* [32] */) {
  const float d = half_at(b);
  for (int i = 0; i < 16; i++) {
    out[i] = d * (float)(((b[6 + i] & 15) | fifth(b + 2, i)) - 16);
    out[i + 16] = d * (float)((b[6 + i] >> 4 | fifth(b + 2, i + 16)) - 16);
  }
}

/* {scale, least, fifth bits[4], nibbles[16]}: scale·q + least */
static void q5_1(const uint8_t *b, float *out /* [32] */) {
  const float d = half_at(b), m = half_at(b + 2);
  for (int i = 0; i < 16; i++) {
    out[i] = d * (float)((b[8 + i] & 15) | fifth(b + 4, i)) + m;
    out[i + 16] = d * (float)(b[8 + i] >> 4 | fifth(b + 4, i + 16)) + m;
  }
}

/* {scale, i8[32]}: scale·q */
static void q8_0(const uint8_t *b, float *out /* [32] */) {
  const float d = half_at(b);
  for (int i = 0; i < 32; i++)
    out[i] = d * (float)(int8_t)b[2 + i];
}

/* ---- blocks of 256 */

/* Group g of 8 has a 6-bit scale and a 6-bit least in 12 bytes: those of groups 0 … 3 in the low bits of bytes 0 … 3 and
 * 4 … 7; of 4 … 7 the low four bits are nibbles of bytes 8 … 11, and the high two fill up the first eight bytes. */
static void scale_and_least(const uint8_t *s /* [12] */, int g, int *scale, int *least) {
  if (g < 4) {
    *scale = s[g] & 63;
    *least = s[g + 4] & 63;
  } else {
    *scale = (s[g + 4] & 15) | s[g - 4] >> 6 << 4;
    *least = s[g + 4] >> 4 | s[g] >> 6 << 4;
  }
}

/* {scale, scale of leasts, scales[12], nibbles[128]}: groups of 32; two groups share 32 bytes, the second has the high
 * nibbles. scale·s·q − least·m */
static void q4_k(const uint8_t *b, float *out /* [256] */) {
  const float d = half_at(b), dm = half_at(b + 2);
  for (int g = 0; g < 8; g++) {
    int scale, least;
    scale_and_least(b + 4, g, &scale, &least);
    const float s = d * (float)scale, m = dm * (float)least;
    const uint8_t *q = b + 16 + g / 2 * 32;
    for (int i = 0; i < 32; i++)
      out[g * 32 + i] = s * (float)(g % 2 ? q[i] >> 4 : q[i] & 15) - m;
  }
}

/* {scale, scale of leasts, scales[12], fifth bits[32], nibbles[128]}: as q4_k; bit g of byte i is of element i of group g */
static void q5_k(const uint8_t *b, float *out /* [256] */) {
  const float d = half_at(b), dm = half_at(b + 2);
  for (int g = 0; g < 8; g++) {
    int scale, least;
    scale_and_least(b + 4, g, &scale, &least);
    const float s = d * (float)scale, m = dm * (float)least;
    const uint8_t *high = b + 16, *q = b + 48 + g / 2 * 32;
    for (int i = 0; i < 32; i++)
      out[g * 32 + i] = s * (float)((g % 2 ? q[i] >> 4 : q[i] & 15) | (high[i] >> g & 1) << 4) - m;
  }
}

/* {nibbles[128], upper pairs of bits[64], i8 scales[16], scale}: groups of 16. Each half of 128 elements has 64 bytes of
 * nibbles (elements 0 … 63 low, 64 … 127 high) and 32 bytes of upper bits, a pair for each quarter. scale·s·(q − 32) */
static void q6_k(const uint8_t *b, float *out /* [256] */) {
  const float d = half_at(b + 208);
  for (int e = 0; e < 256; e++) {
    const int half = e / 128, in_half = e % 128, quarter = in_half / 32;
    const uint8_t low = b[half * 64 + in_half % 64], high = b[128 + half * 32 + e % 32];
    const int q = (in_half < 64 ? low & 15 : low >> 4) | (high >> 2 * quarter & 3) << 4;
    out[e] = d * (float)(int8_t)b[192 + e / 16] * (float)(q - 32);
  }
}

void isc_weight_dequantise(isc_weight_dtype dtype, const uint8_t *raw, int64_t blocks, float *out) {
  static void (*const block[])(const uint8_t *, float *) = {
      [ISC_WEIGHT_Q4_0] = q4_0, [ISC_WEIGHT_Q4_1] = q4_1, [ISC_WEIGHT_Q5_0] = q5_0,
      [ISC_WEIGHT_Q5_1] = q5_1, [ISC_WEIGHT_Q8_0] = q8_0, [ISC_WEIGHT_Q4_K] = q4_k,
      [ISC_WEIGHT_Q5_K] = q5_k, [ISC_WEIGHT_Q6_K] = q6_k,
  };
  const int64_t elements = isc_weight_block_elements(dtype), bytes = isc_weight_block_bytes(dtype);
  for (int64_t i = 0; i < blocks; i++)
    block[dtype](raw + i * bytes, out + i * elements);
}
