/* SPDX-License-Identifier: Apache-2.0
 *
 * Holding an op's gradient against finite differences of its forward.
 *
 * The loss is Σ r·out with fixed random r, summed in double from the op's f32 output, so the differences carry
 * only the op's own rounding.
 */
#ifndef ISC_TESTS_SUPPORT_GRADIENT_H
#define ISC_TESTS_SUPPORT_GRADIENT_H

#include <inversescope/ops.h>

typedef isc_status (*isc_test_op)(isc_step *s, isc_tensor *const *in, void *user, isc_tensor **out);

typedef struct isc_test_input {
  int32_t ndim;
  int64_t shape[4];
} isc_test_input;

/* Every element of every input's gradient, by the five-point difference; then that a second consumer of the
 * same inputs exactly doubles them; then that each input alone gets the same gradient with the rest frozen. */
void isc_test_gradients(isc_device *dev, isc_test_op op, void *user, const isc_test_input *in,
                        int64_t n);

/* Out of an op on given host inputs; malloc'd. */
float *isc_test_forward(isc_device *dev, isc_test_op op, void *user, const isc_test_input *in,
                        const float *const *host, int64_t n, int64_t *count);
/* n normals for input `i`, as isc_test_gradients uses; malloc'd. */
float *isc_test_values(const isc_test_input *in, int64_t i);
int64_t isc_test_count(const isc_test_input *in);

#endif
