/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel that a check looks at, and the law its noise should have.
 *
 * The law is integrated from the kernel's profile, measure and geometry alone, apart from the library's own integration, so
 * that a plugin that leans on the library is checked against something else.
 */
#ifndef ISC_CORE_CONFORM_KERNEL_USE_H
#define ISC_CORE_CONFORM_KERNEL_USE_H

#include "conform/conform.h"
#include <inversescope/kernel.h>

/* Dimensions that laws are checked in: none, one and two directions beside z, a few, and GPT-2's. */
enum { ISC_CONFORM_DIMS = 5 };
extern const int64_t isc_conform_dims[ISC_CONFORM_DIMS];

/* The class under check, for activations of `dim`. */
isc_status isc_conform_kernel_open(isc_conform *c, const void *conf, int64_t dim, isc_kernel *out);
void isc_conform_kernel_close(isc_kernel *k); /* also of a zeroed one */

/* Draw `i` of the stream of the seed. */
isc_noise_draw isc_conform_noise(const isc_kernel *k, uint64_t seed, uint64_t i);

/* P(distance ≤ d), tabulated over the logarithm of d/ε or of the angle. */
typedef struct isc_expected_law {
  bool angular, fixed; /* fixed: angular in one dimension, d = 0 */
  bool hidden;         /* the bulk lies where profile() underflows: nothing is tabulated */
  double epsilon, low, high, peak;
  double *below; /* [CELLS + 1] */
} isc_expected_law;

isc_status isc_expected_law_new(const isc_kernel *k, int64_t dim, isc_expected_law *out);
void isc_expected_law_free(isc_expected_law *l);
double isc_expected_cdf(const isc_expected_law *l, double d);

/* The norm ratio's band and law under the kernel's measure, in closed form. */
void isc_expected_band(const isc_kernel *k, double *low, double *high);
double isc_expected_norm_cdf(const isc_kernel *k, int64_t dim, double rho);

#endif
