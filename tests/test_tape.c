/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tape records and what it costs: frozen weights, unused branches, memory, failures.
 *
 * Costs are counted by a wrapper around the plain backend; the numbers come from the network's own structure.
 */
#include "base/base.h"
#include "support.h"
#include "support_backend.h"
#include <inversescope/ops.h>
#include <math.h>
#include <string.h>

enum { ROWS = 3, D = 4 };

/* y = W2 relu(W1 x + b1) + b2 summed into one number. */
typedef struct network {
  isc_params *p;
  isc_param *w1, *b1, *w2, *b2;
} network;

static isc_status make(isc_device *dev, network *n) {
  *n = (network){0};
  ISC_TRY(isc_params_new(dev, &n->p));
  ISC_TRY(isc_params_add(n->p, "w1", 2, (int64_t[]){D, D}, 0, &n->w1));
  ISC_TRY(isc_params_add(n->p, "b1", 1, (int64_t[]){D}, 0, &n->b1));
  ISC_TRY(isc_params_add(n->p, "w2", 2, (int64_t[]){D, D}, 0, &n->w2));
  ISC_TRY(isc_params_add(n->p, "b2", 1, (int64_t[]){D}, 0, &n->b2));
  for (int64_t i = 0; i < 4; i++)
    ISC_TRY(isc_param_init_normal(n->p, isc_params_at(n->p, i), 3, 1));
  isc_params_train(n->p, true);
  return ISC_OK;
}

static isc_status input(isc_step *s, isc_tensor **x) {
  float host[ROWS * D];
  isc_test_normals(4, host, ROWS * D);
  return isc_tensor_from(s, 2, (int64_t[]){ROWS, D}, host, x);
}

static isc_status sum_up(isc_step *s, isc_tensor *y, isc_tensor **loss) {
  float ones[64];
  isc_tensor *flat, *w;
  int64_t n = isc_tensor_size(y);
  for (int64_t i = 0; i < n; i++)
    ones[i] = 1;
  ISC_TRY(isc_tensor_from(s, 2, (int64_t[]){n, 1}, ones, &w));
  ISC_TRY(isc_tensor_reshape(s, y, 2, (int64_t[]){1, n}, &flat));
  return isc_op_linear(s, flat, w, ISC_IN_OUT, NULL, ISC_ACT_NONE, loss);
}

static isc_status forward(isc_step *s, network *n, isc_tensor *x, isc_tensor **loss) {
  isc_tensor *h, *y;
  ISC_TRY(isc_op_linear(s, x, &n->w1->value, ISC_IN_OUT, &n->b1->value, ISC_ACT_GELU, &h));
  ISC_TRY(isc_op_linear(s, h, &n->w2->value, ISC_OUT_IN, &n->b2->value, ISC_ACT_NONE, &y));
  ISC_TRY(isc_op_add(s, y, h, &y));
  return sum_up(s, y, loss);
}

/* ---- frozen parameters */

Test(tape, frozen_weights_cost_no_gradient) {
  isc_test_wrapper w;
  network n;
  isc_tensor *x, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_params_train(n.p, false);
  isc_assert_ok(input(s, &x));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(forward(s, &n, x, &loss));
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
  network n;
  isc_tensor *x, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_params_train(n.p, false);
  n.w2->value.needs_grad = true; /* only the last layer's weight */
  isc_assert_ok(input(s, &x));
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(forward(s, &n, x, &loss));
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
  network n;
  isc_tensor *x, *branch, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(make(&w.device, &n));
  isc_params_train(n.p, false);
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_assert_ok(input(s, &x));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  for (int layer = 0; layer < 5; layer++) {
    isc_assert_ok(isc_op_linear(s, x, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &branch));
    isc_assert_ok(isc_op_add(s, x, branch, &x));
  }
  isc_assert_ok(sum_up(s, x, &loss));
  w.n = (isc_test_counts){0};
  isc_assert_ok(isc_tape_backward(s, loss));
  cr_assert_eq(w.n.copy, 5, "one copy to each branch, %d were made", (int)w.n.copy);
  cr_assert_eq(w.n.axpy, 0);
  cr_assert_eq(w.n.zero, 0);
  isc_step_free(s);
  isc_params_free(n.p);
}

/* ---- what is recorded */

Test(tape, needs_grad_spreads_under_a_tape_only) {
  isc_device dev = isc_test_plain_device();
  network n;
  isc_tensor *x, *y, *z;
  isc_step *s;
  isc_assert_ok(make(&dev, &n));
  isc_assert_ok(isc_step_new(&dev, &s));
  isc_assert_ok(input(s, &x));
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
  network n;
  isc_tensor *x, *y, *loss;
  isc_step *s;
  isc_assert_ok(make(&dev, &n));
  isc_assert_ok(isc_step_new(&dev, &s));
  isc_assert_ok(input(s, &x));
  isc_assert_fails(isc_tape_backward(s, x), ISC_E_USAGE, "no tape");
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_fails(isc_tape_begin(s), ISC_E_USAGE, "already");
  isc_assert_fails(isc_step_rewind(s, isc_step_here(s)), ISC_E_USAGE, "tape");
  isc_assert_ok(isc_op_linear(s, x, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &y));
  isc_assert_fails(isc_tape_backward(s, y), ISC_E_SHAPE, "[3, 4]");
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(sum_up(s, x, &loss));
  isc_assert_fails(isc_tape_backward(s, loss), ISC_E_USAGE, "nothing the loss depends on");
  isc_step_free(s);
  isc_params_free(n.p);
}

/* A branch that does not reach the loss is not walked, and its weight not touched. */
Test(tape, unused_branches_are_skipped) {
  isc_test_wrapper w;
  network n;
  isc_tensor *x, *dead, *y, *loss;
  isc_step *s;
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_assert_ok(input(s, &x));
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_linear(s, x, &n.w2->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &dead));
  isc_assert_ok(isc_op_linear(s, x, &n.w1->value, ISC_IN_OUT, NULL, ISC_ACT_NONE, &y));
  isc_assert_ok(sum_up(s, y, &loss));
  w.n = (isc_test_counts){0};
  isc_assert_ok(isc_tape_backward(s, loss));
  cr_assert_eq(w.n.weight_gemm, 1);
  cr_assert(n.w1->touched && !n.w2->touched);
  isc_step_free(s);
  isc_params_free(n.p);
}

/* loss = Σ (x + x)·x = 2 Σ x²: d loss/d(x + x) = x stays readable where asked for, and dx = 4x. */
ISC_TEST_ON_BOTH(tape, kept_gradients_are_whole) {
  float host[ROWS * D], kept[ROWS * D], dx[ROWS * D];
  isc_tensor *x, *twice, *y, *loss;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(input(s, &x));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_op_add(s, x, x, &twice));
  twice->keep_grad = true;
  isc_assert_ok(isc_op_mul(s, twice, x, &y));
  isc_assert_ok(sum_up(s, y, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  isc_assert_ok(isc_tensor_download(s, x, host));
  isc_assert_ok(dev->ops->download(dev->impl, kept, twice->grad, sizeof kept));
  isc_assert_ok(dev->ops->download(dev->impl, dx, x->grad, sizeof dx));
  for (int i = 0; i < ROWS * D; i++) { /* small integers times one f32: two roundings */
    cr_assert_eq(kept[i], host[i]);
    cr_assert(fabs(dx[i] - 4.0 * host[i]) <= 5e-7 * (1 + fabs(host[i])));
  }
  isc_step_free(s);
}

/* The gradient through a view is the tensor's, whichever of the two is used. */
ISC_TEST_ON_BOTH(tape, views_share_the_gradient) {
  float host[ROWS * D], dx[ROWS * D];
  isc_tensor *x, *view, *view2, *flat, *y, *z, *loss;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(input(s, &x));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_tensor_reshape(s, x, 1, (int64_t[]){ROWS * D}, &view));
  isc_assert_ok(isc_tensor_reshape(s, view, 2, (int64_t[]){D, ROWS}, &view2));
  isc_assert_ok(isc_op_mul(s, view2, view2, &y));
  isc_assert_ok(isc_tensor_reshape(s, y, 2, (int64_t[]){ROWS, D}, &flat));
  isc_assert_ok(isc_op_add(s, flat, x, &z));
  isc_assert_ok(sum_up(s, z, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  isc_assert_ok(isc_tensor_download(s, x, host));
  isc_assert_ok(dev->ops->download(dev->impl, dx, x->grad, sizeof dx));
  for (int i = 0; i < ROWS * D; i++) /* d(x² + x) = 2x + 1 */
    cr_assert(fabs(dx[i] - (2.0 * host[i] + 1)) <= 5e-7 * (1 + fabs(host[i])));
  isc_step_free(s);
}

/* ---- memory */

/* After two rounds to learn the size, a training step allocates nothing on either side. */
Test(tape, a_steady_state_allocates_nothing) {
  isc_test_wrapper w;
  network n;
  isc_tensor *x, *loss, *big;
  isc_step *s;
  const isc_optimizer opt = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .lr = {0.1}, .clip = 1};
  isc_test_wrap(&w, isc_test_plain_device());
  isc_assert_ok(make(&w.device, &n));
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
    isc_assert_ok(input(s, &x));
    isc_assert_ok(isc_tape_begin(s));
    isc_assert_ok(forward(s, &n, x, &loss));
    isc_assert_ok(isc_tape_backward(s, loss));
    isc_assert_ok(isc_adamw_step(n.p, &opt, NULL));
  }
  cr_assert_eq(w.n.alloc, 0, "%d device allocations in 4 steps", (int)w.n.alloc);
  cr_assert_eq(w.n.free, 0);
  cr_assert_eq(isc_alloc_fail_at(0), 0, "host allocations in the steady state");
  isc_step_free(s);
  isc_params_free(n.p);
}

/* Device memory is handed out poisoned: nothing reads what was never written. */
Test(tape, nothing_unwritten_is_read) {
  isc_test_wrapper w;
  network n;
  isc_tensor *x, *loss;
  isc_step *s;
  float g[D * D];
  isc_test_wrap(&w, isc_test_plain_device());
  w.n.poison = true;
  isc_assert_ok(make(&w.device, &n));
  isc_assert_ok(isc_step_new(&w.device, &s));
  isc_assert_ok(input(s, &x));
  x->needs_grad = true;
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(forward(s, &n, x, &loss));
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
  const isc_optimizer opt = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .lr = {0.1}, .clip = 1};
  isc_tensor *x, *loss;
  isc_step *s = NULL;
  network n;
  isc_status st;
  ISC_GO(make(dev, &n));
  ISC_GO(isc_step_new(dev, &s));
  ISC_GO(input(s, &x));
  x->needs_grad = true;
  ISC_GO(isc_tape_begin(s));
  ISC_GO(forward(s, &n, x, &loss));
  ISC_GO(isc_tape_backward(s, loss));
  ISC_GO(isc_adamw_step(n.p, &opt, NULL));
done:
  isc_step_free(s);
  isc_params_free(n.p);
  return st;
}

Test(tape, every_device_failure_is_carried_out_and_leaks_nothing) {
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

Test(tape, every_host_allocation_may_fail) {
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
