/* SPDX-License-Identifier: Apache-2.0
 *
 * The noise-kernel kind: k(d/ε), and the exact law of its noise (paper 2, appendix B).
 *
 * One-dimensional mathematics only: the kernel draws a radius, or an angle and a norm ratio; the core draws the direction
 * on the device. An opened kernel is immutable; all functions may be called from any thread.
 */
#ifndef ISC_KERNEL_H
#define ISC_KERNEL_H

#include <inversescope/plugin.h>
#include <inversescope/rng.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum isc_geometry {
  ISC_EUCLIDEAN = 0,  /* d = ‖z − ẑ‖                                             */
  ISC_NORMALISED = 1, /* d = ‖z − ẑ‖/‖ẑ‖                                         */
  ISC_ANGULAR = 2     /* d = 1 − cos(z, ẑ); infinite outside the norm band        */
} isc_geometry;

/* Under which measure p(d) ∝ k(d/ε) is a density. */
typedef enum isc_measure {
  ISC_LEBESGUE = 0, /* on R^n (the paper)                                             */
  ISC_PROFILE = 1,  /* d itself has density ∝ k(d/ε), the norm is uniform in the band */
  ISC_INVARIANT =
      2 /* angular: sphere's area × log-norm, so that p(z'|x) has the same constant for every x;
                        noise_law.h says why                                           */
} isc_measure;

typedef struct isc_noise_draw {
  double d;             /* distance of the noisy activation from the clean one */
  double radius;        /* euclidean: ‖r‖; normalised: ‖r‖/‖ẑ‖                  */
  double rho, cos, sin; /* angular: z' = rho·‖ẑ‖(cos·û + sin·v)           */
} isc_noise_draw;

typedef struct isc_kernel_ops {
  size_t size;
  /* For activations of dimension `dim` ≥ 1. */
  isc_status (*open)(const void *conf, int64_t dim, void **self);
  void (*close)(void *self);
  isc_geometry (*geometry)(void *self);
  double (*epsilon)(
      void *self); /* also the radius of the refusal test: a sample is inside when d < ε */
  double (*band)(void *self);                  /* δ of the norm band; 0 = none                 */
  double (*profile)(void *self, double ratio); /* k(d/ε) at ratio = d/ε; in [0, 1], k(0) = 1   */
  void (*draw)(void *self, isc_rng *rng, isc_noise_draw *out);
  /* Cumulative laws of what draw gives: P(distance ≤ d), and P(norm ratio ≤ rho) (angular only; else 0/1 at 1). */
  double (*distance_cdf)(void *self, double d);
  double (*norm_cdf)(void *self, double rho);
  isc_measure (*measure)(void *self);
} isc_kernel_ops;

typedef struct isc_kernel {
  const isc_kernel_ops *ops;
  void *self;
  const char *name;
} isc_kernel;

#ifdef __cplusplus
}
#endif
#endif
