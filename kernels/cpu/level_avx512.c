/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations for AVX-512 (F, BW, DQ and VL).
 *
 * The pragma gives every function below it these features, so the build needs no flags by file and
 * the rest of the module stays runnable everywhere.
 */
#include "cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>
#include <inversescope/rng.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

#define LEVEL 512
#include "simd/table.h"

const cpu_level cpu_level_avx512 = LEVEL_TABLE("AVX-512");

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
