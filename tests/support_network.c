/* SPDX-License-Identifier: Apache-2.0
 *
 * The network that the tape's tests count calls on.
 *
 * Nothing here asserts, so that fault injection can run through it.
 */
#include "support_network.h"
#include "support_backend.h"

isc_status isc_test_network_make(isc_device *dev, isc_test_network *n) {
  *n = (isc_test_network){0};
  ISC_TRY(isc_params_new(dev, &n->p));
  ISC_TRY(isc_params_add(n->p, "w1", 2, (int64_t[]){ISC_NET_WIDTH, ISC_NET_WIDTH}, 0, &n->w1));
  ISC_TRY(isc_params_add(n->p, "b1", 1, (int64_t[]){ISC_NET_WIDTH}, 0, &n->b1));
  ISC_TRY(isc_params_add(n->p, "w2", 2, (int64_t[]){ISC_NET_WIDTH, ISC_NET_WIDTH}, 0, &n->w2));
  ISC_TRY(isc_params_add(n->p, "b2", 1, (int64_t[]){ISC_NET_WIDTH}, 0, &n->b2));
  for (int64_t i = 0; i < 4; i++)
    ISC_TRY(isc_param_init_normal(n->p, isc_params_at(n->p, i), 3, 1));
  isc_params_train(n->p, true);
  return ISC_OK;
}

isc_status isc_test_network_input(isc_step *s, isc_tensor **x) {
  float host[ISC_NET_ROWS * ISC_NET_WIDTH];
  isc_test_normals(4, host, ISC_NET_ROWS * ISC_NET_WIDTH);
  return isc_tensor_from(s, 2, (int64_t[]){ISC_NET_ROWS, ISC_NET_WIDTH}, host, x);
}

isc_status isc_test_sum(isc_step *s, isc_tensor *y, isc_tensor **loss) {
  float ones[64];
  isc_tensor *flat, *w;
  int64_t n = isc_tensor_size(y);
  for (int64_t i = 0; i < n; i++)
    ones[i] = 1;
  ISC_TRY(isc_tensor_from(s, 2, (int64_t[]){n, 1}, ones, &w));
  ISC_TRY(isc_tensor_reshape(s, y, 2, (int64_t[]){1, n}, &flat));
  return isc_op_linear(s, flat, w, ISC_IN_OUT, NULL, ISC_ACT_NONE, loss);
}

isc_status isc_test_network_run(isc_step *s, isc_test_network *n, isc_tensor *x,
                                isc_tensor **loss) {
  isc_tensor *h, *y;
  ISC_TRY(isc_op_linear(s, x, &n->w1->value, ISC_IN_OUT, &n->b1->value, ISC_ACT_GELU, &h));
  ISC_TRY(isc_op_linear(s, h, &n->w2->value, ISC_OUT_IN, &n->b2->value, ISC_ACT_NONE, &y));
  ISC_TRY(isc_op_add(s, y, h, &y));
  return isc_test_sum(s, y, loss);
}
