/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations for AVX2 and FMA (Intel since 2013, AMD since 2015).
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
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#define LEVEL 256
#include "simd/table.h"

const cpu_level cpu_level_avx2 = LEVEL_TABLE("AVX2");

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
