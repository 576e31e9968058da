/* SPDX-License-Identifier: Apache-2.0
 *
 * What kernels are written in: CUDA, or its emulation on the host, by the same names.
 *
 * KERNEL(name, threads) { … } is the body of a kernel of kernels.h with `threads` threads a block; its argument is `a`.
 * KERNEL_TOGETHER also says how many blocks a multiprocessor should have room for.
 * SHARED declares shared memory of a block, DYNAMIC what the launch asked for. Multiplications and additions are fused
 * where FMA says so and nowhere else, so that a sum rounds alike wherever it is made.
 */
#ifndef ISC_CUDA_DEVICE_H
#define ISC_CUDA_DEVICE_H

#include "../kernels.h"

#if defined(__CUDACC__)
#define DEVICE        static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define UNROLL        _Pragma("unroll")
#define ROLLED        _Pragma("unroll 1")
#define FULL          0xffffffffu
#define FMA           fmaf
#define INF           __int_as_float(0x7f800000)
#define BITS(x)       __float_as_uint(x)
#define KERNEL(name, threads)                                                                      \
  extern "C" __global__ void __launch_bounds__(threads)                                            \
      isc_##name(const __grid_constant__ cuda_args_##name a)
#define KERNEL_TOGETHER(name, threads, blocks)                                                     \
  extern "C" __global__ void __launch_bounds__(threads, blocks)                                    \
      isc_##name(const __grid_constant__ cuda_args_##name a)
#define SHARED(type, name, size) __shared__ __align__(16) type name size
#define DYNAMIC(type, name)                                                                        \
  extern __shared__ __align__(16) unsigned char dynamic_bytes[];                                   \
  type *name = reinterpret_cast<type *>(dynamic_bytes)
#else
#include "emulation.h"
#endif

/* As isc_act. */
enum { ACT_NONE, ACT_RELU, ACT_GELU, ACT_GELU_TANH, ACT_SILU, ACT_TANH };
enum { WARP = 32 };

DEVICE int64_t global_thread() {
  return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}
DEVICE int64_t grid_threads() {
  return (int64_t)gridDim.x * blockDim.x;
}
DEVICE int64_t least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* ---- reductions over a warp: every lane gets the result, always by the same tree */
template <class T> DEVICE T warp_sum(T x) {
  for (int d = WARP / 2; d > 0; d /= 2)
    x += __shfl_xor_sync(FULL, x, d);
  return x;
}
DEVICE float warp_max(float x) {
  for (int d = WARP / 2; d > 0; d /= 2)
    x = fmaxf(x, __shfl_xor_sync(FULL, x, d));
  return x;
}

/* The sum over a block of WARPS warps; `room` [WARPS] is shared memory, free again when it returns. */
template <int WARPS, class T> DEVICE T block_sum(T x, T *room) {
  const int t = threadIdx.y * blockDim.x + threadIdx.x;
  x = warp_sum(x);
  if (t % WARP == 0) room[t / WARP] = x;
  __syncthreads();
  T sum = room[0];
  for (int w = 1; w < WARPS; w++)
    sum += room[w];
  __syncthreads();
  return sum;
}
template <int WARPS> DEVICE float block_max(float x, float *room) {
  const int t = threadIdx.y * blockDim.x + threadIdx.x;
  x = warp_max(x);
  if (t % WARP == 0) room[t / WARP] = x;
  __syncthreads();
  float most = room[0];
  for (int w = 1; w < WARPS; w++)
    most = fmaxf(most, room[w]);
  __syncthreads();
  return most;
}

/* ---- activations */
DEVICE float sigmoid(float x) {
  return 1.0f / (1.0f + expf(-x));
}
/* x Φ(x), Φ(x) = erfc(−x/√2)/2: accurate where 1 + erf cancels */
DEVICE float normal_cdf(float x) {
  return 0.5f * erfcf(x * -0.707106781f);
}
/* 2u of 0.5 x (1 + tanh u) = x sigmoid(2u), u = √(2/π)(x + 0.044715 x³) */
DEVICE float gelu_tanh_arg(float x) {
  return x * FMA(x * x, 2.0f * 0.0356774081f, 2.0f * 0.797884561f);
}

DEVICE float act_of(int act, float x) {
  switch (act) {
  case ACT_RELU:
    return x > 0.0f || x != x ? x : 0.0f;
  case ACT_GELU:
    return x <= -30.0f ? 0.0f : x * normal_cdf(x);
  case ACT_GELU_TANH:
    return x <= -30.0f ? 0.0f : x * sigmoid(gelu_tanh_arg(x));
  case ACT_SILU:
    return x <= -105.0f ? 0.0f : x * sigmoid(x);
  case ACT_TANH:
    return tanhf(x);
  }
  return x;
}

DEVICE float act_slope(int act, float x) {
  switch (act) {
  case ACT_RELU:
    return x > 0.0f ? 1.0f : 0.0f;
  case ACT_GELU:
    return FMA(x * 0.398942280f, expf(-0.5f * x * x), normal_cdf(x));
  case ACT_GELU_TANH: {
    const float s = sigmoid(gelu_tanh_arg(x));
    const float slope = FMA(x * x, 6.0f * 0.0356774081f, 2.0f * 0.797884561f);
    return FMA(x * slope, s * (1.0f - s), s);
  }
  case ACT_SILU: {
    const float s = sigmoid(x);
    return FMA(x, s * (1.0f - s), s);
  }
  case ACT_TANH: {
    const float t = tanhf(x);
    return 1.0f - t * t;
  }
  }
  return 1.0f;
}

/* ---- bf16: the upper half of an f32, rounded to nearest even */
DEVICE uint16_t half_of(float x) {
  const uint32_t u = BITS(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u); /* NaN stays one */
  return (uint16_t)((u + 0x7fffu + (u >> 16 & 1u)) >> 16);
}
DEVICE float of_half(uint16_t h) {
  return __uint_as_float((uint32_t)h << 16);
}

#endif
