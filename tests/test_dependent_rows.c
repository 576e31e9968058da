/* SPDX-License-Identifier: Apache-2.0
 *
 * A fact about training: its products, forwards and backwards, tell the backend that their rows may depend on each other, and
 * no product made outside of a tape does.
 *
 * A device that notes what each call says stands before the plain one.
 */
#include "support.h"
#include "support_backend.h"
#include <inversescope/ops.h>

enum { BATCH = 2, LEN = 3, HEADS = 2, KEY = 4, WIDE = 5, VOCAB = 7 };

static const isc_backend_ops *plain;
static int64_t calls, dependent;

static void note(bool dependent_rows) {
  calls++;
  dependent += dependent_rows;
}

static isc_status gemm(void *impl, const isc_gemm *a) {
  if (a->m > 1) note(a->dependent_rows); /* the loss is a product of one row with one column */
  return plain->gemm(impl, a);
}
static isc_status xent(void *impl, const isc_xent *a) {
  note(a->dependent_rows);
  return plain->xent(impl, a);
}
static isc_status control(void *impl, const isc_control *a) {
  note(a->dependent_rows);
  return plain->control(impl, a);
}
static isc_status control_grad(void *impl, const isc_control *a) {
  note(a->dependent_rows);
  return plain->control_grad(impl, a);
}

static isc_tensor *leaf(isc_step *s, int32_t ndim, int64_t a, int64_t b, int64_t c) {
  const int64_t shape[] = {a, b, c};
  isc_tensor *t;
  isc_assert_ok(isc_tensor_zeros(s, ndim, shape, &t));
  t->needs_grad = true;
  return t;
}

/* A control layer whose keys are mapped by head, a linear map, and the loss. */
static isc_tensor *model(isc_step *s) {
  const int32_t target[BATCH * LEN] = {0, 1, 2, 3, -1, 4};
  isc_tensor *u, *v, *out, *omega, *y, *loss;
  isc_tensor *k = leaf(s, 3, BATCH, HEADS, KEY), *w = leaf(s, 3, HEADS, KEY, WIDE);
  isc_assert_ok(isc_op_headwise(s, k, w, &u));
  isc_assert_ok(isc_op_headwise(s, k, w, &v));
  isc_assert_ok(isc_op_control(s, leaf(s, 3, BATCH, LEN, WIDE), leaf(s, 3, BATCH, LEN, WIDE), u,
                               leaf(s, 2, BATCH, HEADS, 0), v, 1, &out, &omega));
  isc_assert_ok(
      isc_op_linear(s, out, leaf(s, 2, WIDE, WIDE, 0), ISC_IN_OUT, NULL, ISC_ACT_RELU, &y));
  isc_assert_ok(isc_op_xent(s, y, leaf(s, 2, VOCAB, WIDE, 0), target, NULL, NULL, &loss));
  return loss;
}

Test(dependent_rows, are_told_under_a_tape_alone) {
  isc_device dev = isc_test_plain_device(), noting = dev;
  isc_backend_ops ops = *dev.ops;
  isc_step *s;
  plain = dev.ops;
  ops.gemm = gemm;
  ops.xent = xent;
  ops.control = control;
  ops.control_grad = control_grad;
  noting.ops = &ops;
  isc_assert_ok(isc_step_new(&noting, &s));
  model(s);
  cr_assert_eq(calls, 5);
  cr_assert_eq(dependent, 0);
  isc_step_reset(s);
  calls = 0;
  isc_assert_ok(isc_tape_begin(s));
  isc_tensor *loss = model(s);
  cr_assert_eq(calls, 5);
  cr_assert_eq(dependent, 5);
  isc_assert_ok(isc_tape_backward(s, loss));
  cr_assert_eq(calls, 5 + 1 + 2 + 4, "%lld", (long long)calls); /* layer, map, maps by head */
  cr_assert_eq(dependent, calls);
  isc_step_reset(s);
  calls = dependent = 0;
  model(s);
  cr_assert_eq(dependent, 0, "after training");
  isc_step_free(s);
}
