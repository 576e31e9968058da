/* SPDX-License-Identifier: Apache-2.0
 *
 * A network small enough to count every call of: two affine layers with a residual sum, and a summed output.
 *
 * It is what the tape's tests record and differentiate.
 */
#ifndef ISC_TESTS_SUPPORT_NETWORK_H
#define ISC_TESTS_SUPPORT_NETWORK_H

#include <inversescope/ops.h>
#include <inversescope/parameters.h>

enum { ISC_NET_ROWS = 3, ISC_NET_WIDTH = 4 };

/* h = gelu(x w1 + b1), y = h + h w2ᵀ + b2, all trainable. */
typedef struct isc_test_network {
  isc_params *p; /* of the four, in this order */
  isc_param *w1, *b1, *w2, *b2;
} isc_test_network;

isc_status isc_test_network_make(isc_device *dev, isc_test_network *n);
/* Normals [rows, width]. */
isc_status isc_test_network_input(isc_step *s, isc_tensor **x);
/* Σ y of at most 64 elements, as a product: one gemm there and one back. */
isc_status isc_test_sum(isc_step *s, isc_tensor *y, isc_tensor **loss);
isc_status isc_test_network_run(isc_step *s, isc_test_network *n, isc_tensor *x, isc_tensor **loss);

#endif
