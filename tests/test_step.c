/* SPDX-License-Identifier: Apache-2.0
 *
 * A step's memory: alignment, reuse, rewinding, and values going in and out.
 *
 * Allocations are counted by a wrapper around the plain backend.
 */
#include "support.h"
#include "support_backend.h"
#include <inversescope/ops.h>
#include <string.h>

Test(step, memory_of_a_step_is_aligned_and_apart) {
  isc_device dev = isc_test_plain_device();
  void *last = NULL, *p;
  isc_step *s;
  isc_assert_ok(isc_step_new(&dev, &s));
  for (size_t bytes = 0; bytes < 3000; bytes += 37) {
    isc_assert_ok(isc_step_device_alloc(s, bytes, &p));
    cr_assert_eq((uintptr_t)p % 64, 0);
    cr_assert_neq(p, last);
    memset(p, 1, bytes);
    last = p;
  }
  isc_assert_fails(isc_step_device_alloc(s, SIZE_MAX - 8, &p), ISC_E_SHAPE, "does not fit");
  isc_assert_fails(isc_step_device_alloc(s, (size_t)1 << 40, &p), ISC_E_NOMEM, "1099511627776");
  isc_assert_ok(isc_step_device_alloc(s, 8, &p));
  isc_step_free(s);
}

/* Work between a mark and a rewind takes the same memory however often it is repeated. */
Test(step, a_rewound_step_does_not_grow) {
  isc_test_wrapper w;
  isc_tensor *kept, *t;
  isc_step *s;
  float x[3] = {1, 2, 3}, y[3];
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_assert_ok(isc_tensor_from(s, 1, (int64_t[]){3}, x, &kept));
  isc_step_mark mark = isc_step_here(s);
  for (int i = 0; i < 50; i++) {
    isc_assert_ok(isc_tensor_zeros(s, 1, (int64_t[]){100000}, &t));
    isc_assert_ok(isc_tensor_zeros(s, 1, (int64_t[]){300000}, &t));
    isc_assert_ok(isc_step_rewind(s, mark));
    if (i == 0) w.n = (isc_test_counts){0};
  }
  cr_assert_eq(w.n.alloc, 0);
  isc_assert_ok(isc_tensor_download(s, kept, y));
  cr_assert_arr_eq(x, y, sizeof x);
  isc_step_free(s);
}

ISC_TEST_ON_BOTH(step, values_come_back_as_they_went) {
  const int64_t shape[] = {2, 3, 2};
  float x[12], y[12];
  isc_tensor *t, *z, *empty;
  isc_step *s;
  isc_test_normals(1, x, 12);
  isc_assert_ok(isc_step_new(dev, &s));
  cr_assert_eq(isc_step_device(s), dev);
  isc_assert_ok(isc_tensor_from(s, 3, shape, x, &t));
  isc_assert_ok(isc_tensor_download(s, t, y));
  cr_assert_arr_eq(x, y, sizeof x);
  cr_assert(t->ndim == 3 && t->shape[1] == 3 && isc_tensor_size(t) == 12 && !t->needs_grad &&
            !t->grad);
  isc_assert_ok(isc_tensor_zeros(s, 3, shape, &z));
  isc_assert_ok(isc_tensor_download(s, z, y));
  for (int i = 0; i < 12; i++)
    cr_assert_eq(y[i], 0.0f);
  isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){0, 3}, &empty));
  isc_assert_ok(isc_tensor_download(s, empty, y));
  isc_step_free(s);
}

/* A size of 0 is legal everywhere and does nothing, also under a tape. */
ISC_TEST_ON_BOTH(step, empty_tensors_pass_through_ops) {
  const float one = 1;
  isc_tensor *x, *w, *y, *g, *loss;
  isc_step *s;
  float value;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){0, 3}, &x));
  isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){3, 3}, &w));
  w->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_linear(s, x, w, ISC_IN_OUT, NULL, ISC_ACT_GELU, &y));
  isc_assert_ok(isc_op_layernorm(s, y, NULL, NULL, 1e-5, &y));
  isc_assert_ok(isc_op_attention(s, y, 0, 4, 1, 1, &y));
  isc_assert_ok(isc_op_gather(s, y, NULL, 0, &g));
  isc_assert_ok(isc_tensor_reshape(s, g, 2, (int64_t[]){0, 1}, &g));
  isc_assert_ok(isc_op_embed(s, w, NULL, NULL, NULL, 0, &y));
  isc_assert_ok(isc_op_xent(s, y, w, NULL, &one, NULL, &loss));
  isc_assert_ok(isc_tensor_download(s, loss, &value));
  cr_assert_eq(value, 0.0f);
  isc_step_free(s);
}

ISC_TEST_ON_BOTH(step, tensors_outside_steps_start_as_zeros) {
  const int64_t shape[] = {3, 2};
  float x[6] = {1, 1, 1, 1, 1, 1};
  isc_tensor t;
  isc_assert_ok(isc_tensor_alloc(dev, 2, shape, &t));
  isc_assert_ok(dev->ops->download(dev->impl, x, t.data, sizeof x));
  for (int i = 0; i < 6; i++)
    cr_assert_eq(x[i], 0.0f);
  isc_tensor_release(dev, &t);
  cr_assert_null(t.data);
  isc_tensor_release(dev, &t);
  isc_assert_fails(isc_tensor_alloc(dev, 2, (int64_t[]){1, -1}, &t), ISC_E_SHAPE, "-1");
}
