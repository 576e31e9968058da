/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tape records and what it costs: frozen weights, unused branches, sums, kept gradients.
 *
 * Costs are counted by a wrapper around the plain backend; the numbers come from the network's own structure.
 */
#include "support.h"
#include "support_backend.h"
#include "support_network.h"
#include <math.h>
#include <string.h>

/* ---- frozen parameters */

Test(tape, frozen_weights_cost_no_gradient) {
  isc_test_wrapper w;
  isc_test_network n;
  isc_tensor *x, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(isc_test_network_make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_params_train(n.p, false);
  isc_assert_ok(isc_test_network_input(s, &x));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_test_network_run(s, &n, x, &loss));
  w.n = (isc_test_counts){0};
  isc_assert_ok(isc_tape_backward(s, loss));
  cr_assert_eq(w.n.gemm, 3, "one product per linear back to x, %d were made", (int)w.n.gemm);
  cr_assert_eq(w.n.weight_gemm, 0);
  cr_assert_eq(w.n.col_sum, 0);
  for (int64_t i = 0; i < 4; i++) {
    cr_assert_null(isc_params_at(n.p, i)->value.grad);
    cr_assert_not(isc_params_at(n.p, i)->touched);
  }
  cr_assert_not_null(x->grad);
  isc_step_free(s);
  isc_params_free(n.p);
  cr_assert_eq(w.n.alloc, 0, "the backward of a network this small fits the step");
}

Test(tape, inputs_that_need_nothing_cost_nothing) {
  isc_test_wrapper w;
  isc_test_network n;
  isc_tensor *x, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(isc_test_network_make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_params_train(n.p, false);
  n.w2->value.needs_grad = true; /* only the last layer's weight */
  isc_assert_ok(isc_test_network_input(s, &x));
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_test_network_run(s, &n, x, &loss));
  w.n = (isc_test_counts){0};
  isc_assert_ok(isc_tape_backward(s, loss));
  cr_assert_eq(w.n.gemm, 2, "the sum's and w2's product alone, %d were made", (int)w.n.gemm);
  cr_assert_eq(w.n.weight_gemm, 1);
  cr_assert_eq(w.n.zero, 0);
  cr_assert(n.w2->touched && !n.w1->touched && !n.b2->touched);
  cr_assert_null(x->grad);
  isc_step_free(s);
  isc_params_free(n.p);
}

/* A residual stream: each sum hands its gradient on, so nothing is copied, zeroed or added but the branch. */
Test(tape, residual_sums_hand_their_gradient_on) {
  isc_test_wrapper w;
  isc_test_network n;
  isc_tensor *x, *branch, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(isc_test_network_make(&w.device, &n));
  isc_params_train(n.p, false);
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_assert_ok(isc_test_network_input(s, &x));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  for (int layer = 0; layer < 5; layer++) {
    isc_assert_ok(isc_op_linear(s, x, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &branch));
    isc_assert_ok(isc_op_add(s, x, branch, &x));
  }
  isc_assert_ok(isc_test_sum(s, x, &loss));
  w.n = (isc_test_counts){0};
  isc_assert_ok(isc_tape_backward(s, loss));
  cr_assert_eq(w.n.copy, 5, "one copy to each branch, %d were made", (int)w.n.copy);
  cr_assert_eq(w.n.axpy, 0);
  cr_assert_eq(w.n.zero, 0);
  isc_step_free(s);
  isc_params_free(n.p);
}

/* x + constant needs no copy either, whichever side the constant is on. */
Test(tape, a_sum_with_a_constant_costs_nothing) {
  isc_test_wrapper w;
  isc_tensor *x, *constant, *y, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_assert_ok(isc_test_network_input(s, &x));
  isc_assert_ok(isc_test_network_input(s, &constant));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_add(s, x, constant, &y));
  isc_assert_ok(isc_op_add(s, constant, y, &y));
  isc_assert_ok(isc_test_sum(s, y, &loss));
  w.n = (isc_test_counts){0};
  isc_assert_ok(isc_tape_backward(s, loss));
  cr_assert_eq(w.n.calls, 2, "the seed and the sum's product, %d calls were made", (int)w.n.calls);
  isc_step_free(s);
}

/* ---- what is recorded */

Test(tape, needs_grad_spreads_under_a_tape_only) {
  isc_device dev = isc_test_plain_device();
  isc_test_network n;
  isc_tensor *x, *y, *z;
  isc_step *s;
  isc_assert_ok(isc_test_network_make(&dev, &n));
  isc_assert_ok(isc_step_new(&dev, &s));
  isc_assert_ok(isc_test_network_input(s, &x));
  isc_assert_ok(isc_op_linear(s, x, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &y));
  cr_assert_not(y->needs_grad, "no tape");
  isc_assert_ok(isc_tape_begin(s));
  cr_assert(isc_tape_on(s));
  isc_assert_ok(isc_op_add(s, x, x, &y));
  cr_assert_not(y->needs_grad, "x needs none");
  isc_assert_ok(isc_op_linear(s, y, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &z));
  cr_assert(z->needs_grad);
  isc_assert_ok(isc_op_act(s, ISC_ACT_TANH, z, &z));
  cr_assert(z->needs_grad);
  isc_params_train(n.p, false);
  isc_assert_ok(isc_op_linear(s, y, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &z));
  cr_assert_not(z->needs_grad, "frozen");
  isc_step_reset(s);
  cr_assert_not(isc_tape_on(s));
  isc_step_free(s);
  isc_params_free(n.p);
}

Test(tape, misuse_is_refused) {
  isc_device dev = isc_test_plain_device();
  isc_test_network n;
  isc_tensor *x, *y, *loss;
  isc_step *s;
  isc_assert_ok(isc_test_network_make(&dev, &n));
  isc_assert_ok(isc_step_new(&dev, &s));
  isc_assert_ok(isc_test_network_input(s, &x));
  isc_assert_fails(isc_tape_backward(s, x), ISC_E_USAGE, "no tape");
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_fails(isc_tape_begin(s), ISC_E_USAGE, "already");
  isc_assert_fails(isc_step_rewind(s, isc_step_here(s)), ISC_E_USAGE, "tape");
  isc_assert_ok(isc_op_linear(s, x, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &y));
  isc_assert_fails(isc_tape_backward(s, y), ISC_E_SHAPE, "[3, 4]");
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_test_sum(s, x, &loss));
  isc_assert_fails(isc_tape_backward(s, loss), ISC_E_USAGE, "nothing the loss depends on");
  isc_step_free(s);
  isc_params_free(n.p);
}

/* A branch that does not reach the loss is not walked, and its weight not touched. */
Test(tape, unused_branches_are_skipped) {
  isc_test_wrapper w;
  isc_test_network n;
  isc_tensor *x, *dead, *y, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(isc_test_network_make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_assert_ok(isc_test_network_input(s, &x));
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_linear(s, x, &n.w2->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &dead));
  isc_assert_ok(isc_op_linear(s, x, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &y));
  isc_assert_ok(isc_test_sum(s, y, &loss));
  w.n = (isc_test_counts){0};
  isc_assert_ok(isc_tape_backward(s, loss));
  cr_assert_eq(w.n.weight_gemm, 1);
  cr_assert(n.w1->touched && !n.w2->touched);
  isc_step_free(s);
  isc_params_free(n.p);
}

/* y = x², t = x + y, loss = Σ t²: d loss/dt = 2t stays whole although x, which t's gradient goes to first, collects
 * more afterwards; and dx = 2t(1 + 2x). */
ISC_TEST_ON_BOTH(tape, kept_gradients_are_whole) {
  float x[ISC_NET_ROWS * ISC_NET_WIDTH], kept[ISC_NET_ROWS * ISC_NET_WIDTH],
      dx[ISC_NET_ROWS * ISC_NET_WIDTH];
  isc_tensor *xt, *y, *t, *z, *loss;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_test_network_input(s, &xt));
  xt->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_mul(s, xt, xt, &y));
  isc_assert_ok(isc_op_add(s, xt, y, &t));
  t->keep_grad = true;
  isc_assert_ok(isc_op_mul(s, t, t, &z));
  isc_assert_ok(isc_test_sum(s, z, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  isc_assert_ok(isc_tensor_download(s, xt, x));
  isc_assert_ok(dev->ops->download(dev->impl, kept, t->grad, sizeof kept));
  isc_assert_ok(dev->ops->download(dev->impl, dx, xt->grad, sizeof dx));
  for (int i = 0; i < ISC_NET_ROWS * ISC_NET_WIDTH; i++) { /* a few roundings of terms below 40 */
    double ti = x[i] + (double)x[i] * x[i];
    cr_assert(fabs(kept[i] - 2 * ti) <= 1e-5, "%g against %g", kept[i], 2 * ti);
    cr_assert(fabs(dx[i] - 2 * ti * (1 + 2.0 * x[i])) <= 2e-5);
  }
  isc_step_free(s);
}

/* y = tanh(x W), loss = Σ y²: the gradient of y is 2y, not yet times the activation's slope. */
ISC_TEST_ON_BOTH(tape, kept_gradients_are_of_the_output) {
  float y[ISC_NET_ROWS * ISC_NET_WIDTH], kept[ISC_NET_ROWS * ISC_NET_WIDTH];
  isc_tensor *x, *t, *z, *loss;
  isc_step *s;
  isc_test_network n;
  isc_assert_ok(isc_test_network_make(dev, &n));
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_test_network_input(s, &x));
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_linear(s, x, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_TANH, &t));
  t->keep_grad = true;
  isc_assert_ok(isc_op_mul(s, t, t, &z));
  isc_assert_ok(isc_test_sum(s, z, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  isc_assert_ok(isc_tensor_download(s, t, y));
  isc_assert_ok(dev->ops->download(dev->impl, kept, t->grad, sizeof kept));
  for (int i = 0; i < ISC_NET_ROWS * ISC_NET_WIDTH; i++)
    cr_assert(fabs(kept[i] - 2.0 * y[i]) <= 1e-6);
  isc_step_free(s);
  isc_params_free(n.p);
}

/* The gradient through a view is the tensor's, whichever of the two is used. */
ISC_TEST_ON_BOTH(tape, views_share_the_gradient) {
  float host[ISC_NET_ROWS * ISC_NET_WIDTH], dx[ISC_NET_ROWS * ISC_NET_WIDTH];
  isc_tensor *x, *view, *view2, *flat, *y, *z, *loss;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_test_network_input(s, &x));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_tensor_reshape(s, x, 1, (int64_t[]){ISC_NET_ROWS * ISC_NET_WIDTH}, &view));
  isc_assert_ok(isc_tensor_reshape(s, view, 2, (int64_t[]){ISC_NET_WIDTH, ISC_NET_ROWS}, &view2));
  isc_assert_ok(isc_op_mul(s, view2, view2, &y));
  isc_assert_ok(isc_tensor_reshape(s, y, 2, (int64_t[]){ISC_NET_ROWS, ISC_NET_WIDTH}, &flat));
  isc_assert_ok(isc_op_add(s, flat, x, &z));
  isc_assert_ok(isc_test_sum(s, z, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  isc_assert_ok(isc_tensor_download(s, x, host));
  isc_assert_ok(dev->ops->download(dev->impl, dx, x->grad, sizeof dx));
  for (int i = 0; i < ISC_NET_ROWS * ISC_NET_WIDTH; i++) /* d(x² + x) = 2x + 1 */
    cr_assert(fabs(dx[i] - (2.0 * host[i] + 1)) <= 5e-7 * (1 + fabs(host[i])));
  isc_step_free(s);
}
