/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product of bf16 operands by the dot products of AVX-512 (AMD since Zen 4; Intel has them, but slower than its f32).
 *
 * The tiles of the f32 product, with pairs of bf16 in place of floats.
 */
#include "cpu.h"

#if defined(CPU_BF16)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))),             \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")
#endif

#define LEVEL 512
#define BF16_PAIRS
#include "simd/vec.h"

/* sum + a·b of each pair */
INLINE vf vdot16(vf a, vf b, vf sum) {
  return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}
/* The pair at p in all lanes: as integers, for a pair may look like a NaN. */
INLINE vf vall16(const float *p) {
  int32_t x;
  memcpy(&x, p, sizeof x);
  return (vf)vset1i(x);
}
#define TILE_STEP(a, b, sum) vdot16(a, b, sum)
#define TILE_ALL(p)          vall16(p)
#include "simd/gemm_bf16.h"

const cpu_gemm_kernel cpu_gemm_avx512bf16 = GEMM16_KERNEL("AVX-512 BF16");

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
