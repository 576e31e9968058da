/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory under the tape: a steady state without allocations, nothing read unwritten, failures carried out.
 *
 * Every device call and every host allocation of a whole training step is made to fail in turn.
 */
#include "base/base.h"
#include "support.h"
#include "support_backend.h"
#include "support_network.h"
#include <math.h>
#include <string.h>

/* ---- memory */

/* After two rounds to learn the size, a training step allocates nothing on either side. */
Test(tape_memory, a_steady_state_allocates_nothing) {
  isc_test_wrapper w;
  isc_test_network n;
  isc_tensor *x, *loss, *big;
  isc_step *s;
  const isc_optimizer opt = {
      .size = sizeof opt, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .lr = {0.1}, .clip = 1};
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(isc_test_network_make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  for (int round = 0; round < 6; round++) {
    if (round == 2) {
      w.n = (isc_test_counts){0};
      isc_alloc_fail_at(0);
    }
    isc_step_reset(s);
    isc_assert_ok(isc_params_zero_grad(n.p));
    for (int i = 0; i < 5; i++) /* 5 MB: beyond the first chunk */
      isc_assert_ok(isc_tensor_new(s, 1, (int64_t[]){250000}, &big));
    for (int i = 0; i < 1000; i++) { /* and a few hundred KB of small ones on the host */
      isc_assert_ok(isc_tensor_new(s, 1, (int64_t[]){1}, &big));
    }
    isc_assert_ok(isc_test_network_input(s, &x));
    isc_assert_ok(isc_tape_begin(s));
    isc_assert_ok(isc_test_network_run(s, &n, x, &loss));
    isc_assert_ok(isc_tape_backward(s, loss));
    isc_assert_ok(isc_adamw_step(n.p, &opt, NULL));
  }
  cr_assert_eq(w.n.alloc, 0, "%d device allocations in 4 steps", (int)w.n.alloc);
  cr_assert_eq(w.n.free, 0);
  cr_assert_eq(isc_alloc_fail_at(0), 0, "host allocations in the steady state");
  isc_step_free(s);
  isc_params_free(n.p);
}

/* Gradients of a chain come and go: a step of 40 maps of 64 KB with its backward needs the forward's memory and a few
 * buffers, not twice as much. The step's one chunk after two rounds is what it took and an eighth. */
Test(tape_memory, gradients_are_reused) {
  enum { LAYERS = 40, ROWS = 4096, WIDTH = 4, BYTES = ROWS * WIDTH * 4 };
  isc_test_wrapper w;
  isc_test_network n;
  isc_tensor *x, *first, *ones, *flat, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(isc_test_network_make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  for (int round = 0; round < 3; round++) {
    isc_step_reset(s);
    isc_assert_ok(isc_params_zero_grad(n.p));
    isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){ROWS, WIDTH}, &first));
    isc_assert_ok(isc_tensor_zeros(s, 2, (int64_t[]){ROWS * WIDTH, 1}, &ones));
    first->needs_grad = true;
    x = first;
    isc_assert_ok(isc_tape_begin(s));
    for (int i = 0; i < LAYERS; i++)
      isc_assert_ok(isc_op_linear(s, x, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &x));
    isc_assert_ok(isc_tensor_reshape(s, x, 2, (int64_t[]){1, ROWS * WIDTH}, &flat));
    isc_assert_ok(isc_op_linear(s, flat, ones, ISC_IN_OUT, NULL, ISC_ACT_NONE, &loss));
    isc_assert_ok(isc_tape_backward(s, loss));
    cr_assert_not_null(first->grad);
  }
  cr_assert_leq(w.n.last_alloc, (int64_t)BYTES * (LAYERS + 5) * 9 / 8, "%d buffers",
                (int)(w.n.last_alloc / BYTES));
  isc_step_free(s);
  isc_params_free(n.p);
}

/* Device memory is handed out poisoned: nothing reads what was never written. */
Test(tape_memory, nothing_unwritten_is_read) {
  isc_test_wrapper w;
  isc_test_network n;
  isc_tensor *x, *loss;
  isc_step *s;
  float g[ISC_NET_WIDTH * ISC_NET_WIDTH];
  isc_test_wrap(&w, isc_test_plain_device());
  w.n.poison = true;
  isc_assert_ok(isc_test_network_make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_assert_ok(isc_test_network_input(s, &x));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_test_network_run(s, &n, x, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  for (int64_t i = 0; i < 4; i++) {
    isc_tensor *t = &isc_params_at(n.p, i)->value;
    isc_assert_ok(
        w.device.ops->download(w.device.impl, g, t->grad, (size_t)isc_tensor_size(t) * sizeof *g));
    for (int64_t j = 0; j < isc_tensor_size(t); j++)
      cr_assert(isfinite(g[j]), "%s[%d]", isc_params_at(n.p, i)->name, (int)j);
  }
  isc_step_free(s);
  isc_params_free(n.p);
}

/* ---- failures */

static isc_status whole_step(isc_device *dev) {
  const isc_optimizer opt = {
      .size = sizeof opt, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .lr = {0.1}, .clip = 1};
  isc_tensor *x, *loss;
  isc_step *s = NULL;
  isc_test_network n;
  isc_status st;
  ISC_GO(isc_test_network_make(dev, &n));
  ISC_GO(isc_step_new(dev, &s));
  ISC_GO(isc_test_network_input(s, &x));
  x->needs_grad = true;
  ISC_GO(isc_tape_begin(s));
  ISC_GO(isc_test_network_run(s, &n, x, &loss));
  ISC_GO(isc_tape_backward(s, loss));
  ISC_GO(isc_adamw_step(n.p, &opt, NULL));
done:
  isc_step_free(s);
  isc_params_free(n.p);
  return st;
}

Test(tape_memory, every_device_failure_is_carried_out_and_leaks_nothing) {
  isc_test_wrapper w;
  isc_status st = ISC_E_DEVICE;
  int64_t k;
  for (k = 1; st != ISC_OK; k++) {
    isc_test_wrap(&w, isc_test_plain_device());
    w.n.fail_at = k;
    st = whole_step(&w.device);
    cr_assert(st == ISC_OK || st == ISC_E_DEVICE, "call %d: %s", (int)k, isc_error());
    cr_assert_eq(w.n.alloc, w.n.free, "call %d leaks", (int)k);
  }
  cr_assert_gt(k, 40);
}

Test(tape_memory, every_host_allocation_may_fail) {
  isc_test_wrapper w;
  isc_status st = ISC_E_NOMEM;
  int64_t k;
  for (k = 1; st != ISC_OK; k++) {
    isc_test_wrap(&w, isc_test_plain_device());
    isc_alloc_fail_at(k);
    st = whole_step(&w.device);
    isc_alloc_fail_at(0);
    cr_assert(st == ISC_OK || st == ISC_E_NOMEM, "allocation %d: %s", (int)k, isc_error());
    cr_assert_eq(w.n.alloc, w.n.free, "allocation %d leaks", (int)k);
  }
  cr_assert_gt(k, 10);
}
