/* SPDX-License-Identifier: Apache-2.0
 *
 * Vectors of W floats of one SIMD level, chosen by LEVEL: 512 (AVX-512), 256 (AVX2 + FMA) or 128
 * (the compiler's generic vectors, for any processor).
 *
 * Arithmetic uses the compilers' vector operators; only what they lack is spelled here. A multiply
 * followed by an add is fused only where vfma says so (the build turns contraction off), so that a
 * loop and its tail round alike.
 */
#ifndef ISC_CPU_VEC_H
#define ISC_CPU_VEC_H

#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline, unused))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

#if LEVEL == 512
enum { W = 16 };
#elif LEVEL == 256
enum { W = 8 };
#else
enum { W = 4 };
#endif
enum { WD = W / 2 };
typedef float vf __attribute__((vector_size(4 * W)));
typedef int32_t vi __attribute__((vector_size(4 * W)));
typedef double vd __attribute__((vector_size(4 * W)));
typedef int64_t vl __attribute__((vector_size(4 * W)));
typedef float vhalf __attribute__((vector_size(2 * W))); /* WD floats */

INLINE vf vload(const float *p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void vstore(float *p, vf v) {
  memcpy(p, &v, sizeof v);
}
INLINE vf vset1(float x) {
  return x - (vf){0};
}
INLINE vf vzero(void) {
  return (vf){0};
}
INLINE vi vset1i(int32_t x) {
  return x - (vi){0};
}
INLINE vd vset1d(double x) {
  return x - (vd){0};
}

INLINE vf vselect(vi mask, vf yes, vf no) {
  return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}
INLINE vd vselectd(vl mask, vd yes, vd no) {
  return (vd)((mask & (vl)yes) | (~mask & (vl)no));
}
INLINE vi vlane(void) {
#if LEVEL == 512
  return (vi){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif LEVEL == 256
  return (vi){0, 1, 2, 3, 4, 5, 6, 7};
#else
  return (vi){0, 1, 2, 3};
#endif
}

#if LEVEL == 512
INLINE vf vfma(vf a, vf b, vf c) {
  return _mm512_fmadd_ps(a, b, c);
}
INLINE vf vmax(vf a, vf b) {
  return _mm512_max_ps(a, b);
} /* b where either is NaN */
INLINE vf vmin(vf a, vf b) {
  return _mm512_min_ps(a, b);
}
INLINE vf vsqrt(vf a) {
  return _mm512_sqrt_ps(a);
}
INLINE vf vnearest(vf a) { /* the nearest integer */
  return _mm512_roundscale_ps(a, 8);
}
INLINE vd vfmad(vd a, vd b, vd c) {
  return (vd)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
INLINE vf vloadn(const float *p, int64_t n, float fill) {
  return _mm512_mask_loadu_ps(vset1(fill), (__mmask16)((1u << n) - 1), p);
}
INLINE void vstoren(float *p, int64_t n, vf v) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
}
#elif LEVEL == 256
INLINE vf vfma(vf a, vf b, vf c) {
  return _mm256_fmadd_ps(a, b, c);
}
INLINE vf vmax(vf a, vf b) {
  return _mm256_max_ps(a, b);
}
INLINE vf vmin(vf a, vf b) {
  return _mm256_min_ps(a, b);
}
INLINE vf vsqrt(vf a) {
  return _mm256_sqrt_ps(a);
}
INLINE vf vnearest(vf a) {
  return _mm256_round_ps(a, 8);
}
INLINE vi vround(vf a) {
  return (vi)_mm256_cvtps_epi32(a);
}
INLINE vd vfmad(vd a, vd b, vd c) {
  return (vd)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
INLINE vf vloadn(const float *p, int64_t n, float fill) {
  vi m = vlane() < vset1i((int32_t)n);
  return vselect(m, _mm256_maskload_ps(p, (__m256i)m), vset1(fill));
}
INLINE void vstoren(float *p, int64_t n, vf v) {
  _mm256_maskstore_ps(p, (__m256i)(vlane() < vset1i((int32_t)n)), v);
}
#else
INLINE vf vfma(vf a, vf b, vf c) {
  return a * b + c;
}
INLINE vf vmax(vf a, vf b) {
  return vselect(a > b, a, b);
}
INLINE vf vmin(vf a, vf b) {
  return vselect(a < b, a, b);
}
INLINE vf vsqrt(vf a) {
  for (int i = 0; i < W; i++)
    a[i] = __builtin_sqrtf(a[i]);
  return a;
}
INLINE vf vnearest(vf a) { /* |a| < 2^22: at 1.5 · 2^23 floats are the integers */
  return (a + vset1(12582912.0f)) - vset1(12582912.0f);
}
INLINE vi vround(vf a) {
  return (vi)(a + vset1(12582912.0f)) - vset1i(0x4B400000);
}
INLINE vd vfmad(vd a, vd b, vd c) {
  return a * b + c;
}
INLINE vf vloadn(const float *p, int64_t n, float fill) {
  vf v = vset1(fill);
  memcpy(&v, p, (size_t)n * sizeof *p);
  return v;
}
INLINE void vstoren(float *p, int64_t n, vf v) {
  memcpy(p, &v, (size_t)n * sizeof *p);
}
#endif

/* The first min(n, W) floats at p; n ≥ 1. */
INLINE vf vload_part(const float *p, int64_t n, float fill) {
  return n >= W ? vload(p) : vloadn(p, n, fill);
}
INLINE void vstore_part(float *p, int64_t n, vf v) {
  if (n >= W)
    vstore(p, v);
  else
    vstoren(p, n, v);
}

/* bf16: the upper half of an f32 */
typedef uint16_t vh __attribute__((vector_size(2 * W)));
typedef uint32_t vu __attribute__((vector_size(4 * W)));
INLINE vf vwiden16(vh h) {
  return (vf)(__builtin_convertvector(h, vu) << 16);
}
INLINE vf vload16(const uint16_t *p) {
  vh h;
  memcpy(&h, p, sizeof h);
  return vwiden16(h);
}
INLINE vf vload16_part(const uint16_t *p, int64_t n) { /* as vload_part, filled with 0 */
  vh h = {0};
  if (n >= W) return vload16(p);
  memcpy(&h, p, (size_t)n * sizeof *p);
  return vwiden16(h);
}

/* Rounded to bf16, to nearest even; NaN stays NaN. The lower halves are 0. */
INLINE vf vround16(vf x) {
  const vu bits = (vu)x, odd = bits >> 16 & 1;
  const vf rounded = (vf)((bits + 0x7FFF + odd) & 0xFFFF0000),
           quiet = (vf)((bits | 0x400000) & 0xFFFF0000);
  return vselect(x == x, rounded, quiet);
}
/* Pairs of bf16 from two vectors of rounded floats: the first in the lower halves. */
INLINE vf vpair16(vf first, vf second) {
  return (vf)((vu)first >> 16 | ((vu)second & 0xFFFF0000));
}
/* 2 W bf16 as they are; or n of them, then 0. */
INLINE vf vload_pairs(const uint16_t *p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE vf vload_pairs_part(const uint16_t *p, int64_t n) {
  vf v = {0};
  if (n >= 2 * W) return vload_pairs(p);
  memcpy(&v, p, (size_t)n * sizeof *p);
  return v;
}

/* x · 2^n for integral n */
#if LEVEL == 512
INLINE vf vscale2(vf x, vf n) {
  return _mm512_scalef_ps(x, n);
}
#else
INLINE vf vscale2(vf x, vf n) { /* two factors of about 2^(n/2) reach overflow and the subnormals */
  const vi i = vround(n), half = i >> 1;
  return x * (vf)((half + vset1i(127)) << 23) * (vf)((i - half + vset1i(127)) << 23);
}
#endif
INLINE vf vabs(vf a) {
  return (vf)((vi)a & vset1i(0x7FFFFFFF));
}
/* |a| with the sign of s */
INLINE vf vcopysign(vf a, vf s) {
  return (vf)(((vi)a & vset1i(0x7FFFFFFF)) | ((vi)s & vset1i(INT32_MIN)));
}

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif
/* The lanes below `s` and those from s on change places, in groups of 2s. */
#if LEVEL == 512
#define SWAP8(a) SHUFFLE(a, a, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define SWAP4(a) SHUFFLE(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define SWAP2(a) SHUFFLE(a, a, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define SWAP1(a) SHUFFLE(a, a, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#elif LEVEL == 256
#define SWAP4(a) SHUFFLE(a, a, 4, 5, 6, 7, 0, 1, 2, 3)
#define SWAP2(a) SHUFFLE(a, a, 2, 3, 0, 1, 6, 7, 4, 5)
#define SWAP1(a) SHUFFLE(a, a, 1, 0, 3, 2, 5, 4, 7, 6)
#else
#define SWAP2(a) SHUFFLE(a, a, 2, 3, 0, 1)
#define SWAP1(a) SHUFFLE(a, a, 1, 0, 3, 2)
#endif

/* Sums and maxima of the lanes, always in the same tree order. */
INLINE float vsum(vf a) {
#if LEVEL == 512
  a += SWAP8(a);
#endif
#if LEVEL >= 256
  a += SWAP4(a);
#endif
  a += SWAP2(a);
  a += SWAP1(a);
  return a[0];
}
INLINE float vmaxlane(vf a) {
#if LEVEL == 512
  a = vmax(a, SWAP8(a));
#endif
#if LEVEL >= 256
  a = vmax(a, SWAP4(a));
#endif
  a = vmax(a, SWAP2(a));
  a = vmax(a, SWAP1(a));
  return a[0];
}
INLINE double vsumd(vd a) {
  double t[WD];
  memcpy(t, &a, sizeof a);
  for (int s = WD / 2; s > 0; s /= 2)
    for (int i = 0; i < s; i++)
      t[i] += t[i + s];
  return t[0];
}
INLINE vd vwiden(const float *p) { /* [WD] */
  vhalf h;
  memcpy(&h, p, sizeof h);
  return __builtin_convertvector(h, vd);
}

/* Rows r[0 … W-1] become columns. */
#define EXCHANGE(s, LO, HI)                                                                        \
  UNROLL for (int i = 0; i < W; i++) if (!(i & s)) {                                               \
    const vf a_ = r[i], b_ = r[i + s];                                                             \
    r[i] = SHUFFLE(a_, b_, LO);                                                                    \
    r[i + s] = SHUFFLE(a_, b_, HI);                                                                \
  }
INLINE void vtranspose(vf r[W]) {
#if LEVEL == 512
#define LO8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define HI8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LO4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define HI4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LO2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define HI2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LO1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define HI1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
  EXCHANGE(8, LO8, HI8)
  EXCHANGE(4, LO4, HI4)
#elif LEVEL == 256
#define LO4 0, 1, 2, 3, 8, 9, 10, 11
#define HI4 4, 5, 6, 7, 12, 13, 14, 15
#define LO2 0, 1, 8, 9, 4, 5, 12, 13
#define HI2 2, 3, 10, 11, 6, 7, 14, 15
#define LO1 0, 8, 2, 10, 4, 12, 6, 14
#define HI1 1, 9, 3, 11, 5, 13, 7, 15
  EXCHANGE(4, LO4, HI4)
#else
#define LO2 0, 1, 4, 5
#define HI2 2, 3, 6, 7
#define LO1 0, 4, 2, 6
#define HI1 1, 5, 3, 7
#endif
  EXCHANGE(2, LO2, HI2)
  EXCHANGE(1, LO1, HI1)
}

/* dst[c · ld_dst + i] = src[i · ld_src + c] for i < rows, c < W; rows constant; lanes past `rows` are 0. */
INLINE void vtranspose_rows(int rows, const float *src, int64_t ld_src, float *dst,
                            int64_t ld_dst) {
  vf r[W];
  UNROLL for (int i = 0; i < W; i++) r[i] = i < rows ? vload(src + i * ld_src) : vzero();
  vtranspose(r);
  UNROLL for (int i = 0; i < W; i++) vstore(dst + i * ld_dst, r[i]);
}

/* The same for c < cols ≤ W and any number of rows. Writes W floats in each of `cols` rows of dst. */
INLINE void vtranspose_block(const float *src, int64_t ld_src, int64_t rows, int64_t cols,
                             float *dst, int64_t ld_dst) {
  if (rows >= W && cols >= W) {
    vtranspose_rows(W, src, ld_src, dst, ld_dst);
    return;
  }
  vf r[W];
  UNROLL for (int i = 0; i < W; i++) r[i] =
      i < rows ? vload_part(src + i * ld_src, cols, 0.0f) : vzero();
  vtranspose(r);
  for (int i = 0; i < W && i < cols; i++)
    vstore(dst + i * ld_dst, r[i]);
}

#endif
