/* SPDX-License-Identifier: Apache-2.0
 *
 * The exact law of a noise kernel from nothing but log k(d/ε): what every noise-kernel plugin needs.
 *
 * The noise has density ∝ k(d(z + r, z)/ε) (paper, appendix B), so its direction is uniform and its
 * size follows a one-dimensional law that concentrates like t^dim. The law is integrated once in logs
 * and inverted by Newton's method, to about 1e-15·max(n, 10) in probability.
 */
#ifndef ISC_NOISE_LAW_H
#define ISC_NOISE_LAW_H

#include <inversescope/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The laws, n = dim:
 *   radial, lebesgue     p(d) ∝ d^(n−1) k(d/ε)
 *   radial, profile      p(d) ∝ k(d/ε)
 *   angular, lebesgue    p(θ) ∝ sin^(n−2)θ k((1−cosθ)/ε),  p(ρ) ∝ ρ^(n−1) on (1−δ, 1+δ)
 *   angular, profile     p(d) ∝ k(d/ε), d = 1−cosθ in (0, 2),  ρ uniform on (1−δ, 1+δ)
 *   angular, invariant   θ as under lebesgue,  p(ρ) ∝ 1/ρ on (1/(1+δ), 1/(1−δ))
 * With n = 1 nothing is orthogonal to z: an angular law keeps z's direction (d = 0).
 *
 * Rationale for `invariant`. Under lebesgue the density of z' given x is k/(c‖z(x)‖^n) with c the same for
 * all x, so what a generator learns from (x, z') is P(x)·k·‖z(x)‖^−n: long activations count less, and in
 * high dimension ρ sits at the upper end of its band, never at the 1 of a clean activation. Under the
 * measure that scaling z leaves alone the constant is the same for every x, and the ratios above are
 * those with ‖z(x)‖ in the band around ‖z'‖: the posterior at ẑ is P(x)·k(d(z(x), ẑ)/ε), nothing else. */
typedef struct isc_noise_spec {
  size_t size; /* sizeof(isc_noise_spec)                                                    */
  isc_geometry geometry;
  isc_measure
      measure;    /* ISC_INVARIANT is for the angular geometry                                 */
  int64_t dim;    /* ≥ 1                                                                       */
  double epsilon; /* > 0                                                                       */
  double band;    /* δ in (0, 1), angular; ignored otherwise                                   */
  double (*log_profile)(
      double ratio); /* log k(d/ε) for 0 ≤ ratio < support: 0 at 0, non-increasing   */
  double support;    /* k is 0 from this ratio on; INFINITY when it never is                      */
} isc_noise_spec;

/* The paper's profiles as log_profile members: k = 1 below ε (support 1), and k = exp(−(d/ε)²) (support INFINITY). Any
 * thread. */
ISC_API double isc_log_profile_hard(double ratio);
ISC_API double isc_log_profile_gaussian(double ratio);

/* An opened law is an isc_noise_law; the void pointers below are what isc_kernel_ops passes as `self`.
 * ISC_E_CONFIG for a spec outside its ranges, ISC_E_NUMERIC when the density has no finite mass. The spec is
 * copied. Any thread. */
ISC_API isc_status isc_noise_law_open(const isc_noise_spec *spec, void **law);
ISC_API void isc_noise_law_close(void *law); /* NULL is fine */

/* The members of isc_kernel_ops. A draw reads one uniform number (radial) or two (angular: the angle's,
 * then the norm's). An open law is immutable: any thread. */
ISC_API isc_geometry isc_noise_law_geometry(void *law);
ISC_API isc_measure isc_noise_law_measure(void *law);
ISC_API double isc_noise_law_epsilon(void *law);
ISC_API double isc_noise_law_band(void *law);
ISC_API double isc_noise_law_profile(void *law, double ratio);
ISC_API void isc_noise_law_draw(void *law, isc_rng *rng, isc_noise_draw *out);
ISC_API double isc_noise_law_distance_cdf(void *law, double d);
ISC_API double isc_noise_law_norm_cdf(void *law, double rho);

/* The ops table of a kernel whose `open` ends in isc_noise_law_open. */
#define ISC_NOISE_LAW_OPS(open_function)                                                           \
  {                                                                                                \
    .size = sizeof(isc_kernel_ops), .open = (open_function), .close = isc_noise_law_close,         \
    .geometry = isc_noise_law_geometry, .epsilon = isc_noise_law_epsilon,                          \
    .band = isc_noise_law_band, .profile = isc_noise_law_profile, .draw = isc_noise_law_draw,      \
    .distance_cdf = isc_noise_law_distance_cdf, .norm_cdf = isc_noise_law_norm_cdf,                \
    .measure = isc_noise_law_measure                                                               \
  }

#ifdef __cplusplus
}
#endif
#endif
