/* SPDX-License-Identifier: Apache-2.0
 *
 * Exponentials and activation functions on vectors.
 *
 * The polynomials are Chebyshev interpolants made for these ranges, each good to about 1e-8 before
 * rounding; results are within a few units in the last place of f32. NaN goes through.
 */
#ifndef ISC_CPU_VMATH_H
#define ISC_CPU_VMATH_H

#include "vec.h"

/* exp x = 2^n exp r, |r| ≤ ln 2 / 2 */
INLINE vf vexp(vf x) {
  x = vmin(vset1(89.0f), vmax(vset1(-104.5f), x));
  const vf n = vnearest(x * vset1(1.44269504f));
  vf r = vfma(n, vset1(-0.693145752f), x); /* 15 bits of ln 2: n times it is exact */
  r = vfma(n, vset1(-1.42860682e-6f), r);
  vf p = vset1(0.001392617612f);
  p = vfma(p, r, vset1(0.008363173075f));
  p = vfma(p, r, vset1(0.04166655466f));
  p = vfma(p, r, vset1(0.1666657703f));
  p = vfma(p, r, vset1(0.5f));
  p = vfma(p, r * r, r) + vset1(1.0f);
  return vscale2(p, n);
}

/* 1/(1 + exp(-x)) */
INLINE vf vsigmoid(vf x) {
  return vset1(1.0f) / (vset1(1.0f) + vexp(-x));
}

/* x + x³ P(x²) near 0, else 1 − 2/(exp 2|x| + 1). */
INLINE vf vtanh(vf x) {
  const vf a = vabs(x), z = x * x;
  vf p = vset1(0.002292742131f);
  p = vfma(p, z, vset1(-0.008343942622f));
  p = vfma(p, z, vset1(0.02176891752f));
  p = vfma(p, z, vset1(-0.05395925938f));
  p = vfma(p, z, vset1(0.1333330356f));
  p = vfma(p, z, vset1(-0.3333333317f));
  const vf small = vfma(p * z, x, x);
  const vf big = vset1(1.0f) - vset1(2.0f) / (vexp(a + a) + vset1(1.0f));
  return vselect(a < vset1(0.625f), small, vcopysign(big, x));
}

/* The normal law's upper tail for t ≥ 0: Q(t) = exp(−t²/2) · s R(s), s = 1/(1 + 0.3 t). `density` gets
 * exp(−t²/2). Being relative-accurate, it keeps gelu accurate where 1 + erf cancels. */
INLINE vf vnormal_tail(vf t, vf *density) {
  const vf e = vexp(t * t * vset1(-0.5f));
  const vf s = vset1(1.0f) / vfma(vset1(0.3f), t, vset1(1.0f));
  vf p = vset1(-0.02091435973f);
  p = vfma(p, s, vset1(0.1140402721f));
  p = vfma(p, s, vset1(-0.2320384829f));
  p = vfma(p, s, vset1(0.196940677f));
  p = vfma(p, s, vset1(-0.08374254902f));
  p = vfma(p, s, vset1(0.09848074018f));
  p = vfma(p, s, vset1(0.07758906438f));
  p = vfma(p, s, vset1(0.1104051798f));
  p = vfma(p, s, vset1(0.1195517632f));
  p = vfma(p, s, vset1(0.1196876931f));
  *density = e;
  return e * (s * p);
}

INLINE vf vrelu(vf x) {
  return vmax(vzero(), x);
} /* keeps NaN */

/* x Φ(x) = relu(x) − |x| Q(|x|) */
INLINE vf vgelu(vf x) {
  vf e;
  const vf a = vmin(vset1(100.0f), vabs(x)); /* the tail is 0 there, and infinity times 0 is not */
  const vf q = vnormal_tail(a, &e);
  return vselect(x > vzero(), x, vzero()) - a * q;
}
INLINE vf vgelu_grad(vf x) {
  vf e;
  const vf q = vnormal_tail(vabs(x), &e);
  const vf cdf = vselect(x > vzero(), vset1(1.0f) - q, q);
  return vfma(x * vset1(0.398942280f), e, cdf);
}

/* 0.5 x (1 + tanh u) = x sigmoid(2u), u = sqrt(2/π)(x + 0.044715 x³) */
INLINE vf vgelu_tanh_arg(vf x) {
  return x * vfma(x * x, vset1(2.0f * 0.0356774081f), vset1(2.0f * 0.797884561f));
}
INLINE vf vgelu_tanh(vf x) {
  return x * vsigmoid(vgelu_tanh_arg(x));
}
INLINE vf vgelu_tanh_grad(vf x) {
  const vf s = vsigmoid(vgelu_tanh_arg(x));
  const vf slope = vfma(x * x, vset1(6.0f * 0.0356774081f), vset1(2.0f * 0.797884561f));
  return vfma(x * slope, s * (vset1(1.0f) - s), s);
}

INLINE vf vsilu_grad(vf x) {
  const vf s = vsigmoid(x);
  return vfma(x, s * (vset1(1.0f) - s), s);
}

INLINE vf vact(isc_act act, vf x) {
  switch (act) {
  case ISC_ACT_RELU:
    return vrelu(x);
  case ISC_ACT_GELU:
    return vgelu(x);
  case ISC_ACT_GELU_TANH:
    return vgelu_tanh(x);
  case ISC_ACT_SILU:
    return x * vsigmoid(x);
  case ISC_ACT_TANH:
    return vtanh(x);
  case ISC_ACT_NONE:
    break;
  }
  return x;
}

INLINE vf vact_grad(isc_act act, vf x) {
  switch (act) {
  case ISC_ACT_RELU:
    return vselect(x > vzero(), vset1(1.0f), vzero());
  case ISC_ACT_GELU:
    return vgelu_grad(x);
  case ISC_ACT_GELU_TANH:
    return vgelu_tanh_grad(x);
  case ISC_ACT_SILU:
    return vsilu_grad(x);
  case ISC_ACT_TANH: {
    const vf t = vtanh(x);
    return vset1(1.0f) - t * t;
  }
  case ISC_ACT_NONE:
    break;
  }
  return vset1(1.0f);
}

/* exp in double to about 1e-16 relative, for x ≤ 0; 0 below −708. */
INLINE vd vexpd(vd x) {
  const vd magic =
      vset1d(6755399441055744.0); /* 1.5 · 2^52: the nearest integer lands in the low bits */
  const vl tiny = x < vset1d(-708.0);
  x = vselectd(tiny, vset1d(-708.0), x);
  const vd shifted = x * vset1d(1.4426950408889634) + magic;
  const vd n = shifted - magic;
  vd r = vfmad(n, vset1d(-0.693147180369123816490), x);
  r = vfmad(n, vset1d(-1.90821492927058770002e-10), r);
  vd p = vset1d(2.51003758325612337e-8);
  p = vfmad(p, r, vset1d(2.76200758799833666e-7));
  p = vfmad(p, r, vset1d(2.75572684803100255e-6));
  p = vfmad(p, r, vset1d(2.48015213223686933e-5));
  p = vfmad(p, r, vset1d(1.98412698630405453e-4));
  p = vfmad(p, r, vset1d(1.38888889171967191e-3));
  p = vfmad(p, r, vset1d(8.33333333333006445e-3));
  p = vfmad(p, r, vset1d(4.16666666666241619e-2));
  p = vfmad(p, r, vset1d(0.166666666666666675));
  p = vfmad(p, r, vset1d(0.5));
  p = vfmad(p, r * r, r) + vset1d(1.0);
  const vl bits = ((vl)shifted + 1023) << 52; /* the low bits of `shifted` hold n */
  return vselectd(tiny, vset1d(0.0), p * (vd)bits);
}

#endif
