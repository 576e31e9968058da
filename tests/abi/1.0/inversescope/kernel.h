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

/* What the distance d of an activation z from ẑ is. Append only. */
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

/* One draw of the noise, but for its direction. */
typedef struct isc_noise_draw {
  double d;             /* distance of the noisy activation from the clean one */
  double radius;        /* euclidean: ‖r‖; normalised: ‖r‖/‖ẑ‖                  */
  double rho, cos, sin; /* angular: z' = rho·‖ẑ‖(cos·û + sin·v)           */
} isc_noise_draw;

/* The ops table of a noise kernel; every member is required. noise_law.h has all but `open` for a kernel that can say
 * log k(d/ε). */
typedef struct isc_kernel_ops {
  size_t size; /* sizeof(isc_kernel_ops) */
  /* For activations of dimension `dim` ≥ 1. `conf` is the class's filled conf struct and outlives the kernel.
   * *self goes to all below; on failure it is left NULL. */
  isc_status (*open)(const void *conf, int64_t dim, void **self);
  void (*close)(void *self);            /* gives everything back                        */
  isc_geometry (*geometry)(void *self); /* which distance d is                          */
  /* ε > 0, in units of d; also the radius of the refusal test: a sample is inside when d < ε. */
  double (*epsilon)(void *self);
  double (*band)(void *self);                  /* δ of the norm band; 0 = none                 */
  double (*profile)(void *self, double ratio); /* k(d/ε) at ratio = d/ε; in [0, 1], k(0) = 1   */
  /* The noise's size from its exact law under `measure`, from the numbers of *rng alone; fills the fields of its geometry. */
  void (*draw)(void *self, isc_rng *rng, isc_noise_draw *out);
  /* Cumulative laws of what draw gives: P(distance ≤ d), and P(norm ratio ≤ rho) (angular only; else 0/1 at 1). */
  double (*distance_cdf)(void *self, double d);
  double (*norm_cdf)(void *self, double rho);
  isc_measure (*measure)(void *self); /* under which the draws are distributed */
} isc_kernel_ops;

/* An opened kernel, as methods see it. */
typedef struct isc_kernel {
  const isc_kernel_ops *ops;
  void *self;
  const char *name; /* class name */
} isc_kernel;

#ifdef __cplusplus
}
#endif
#endif
