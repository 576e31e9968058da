/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights that products of bf16 read from a rounded copy: the very bits of rounding them in each product, and rounded no more
 * often than they change.
 *
 * The other side is the same backend without the operation, as one of an earlier minor is.
 */
#include "support.h"
#include "support_backend.h"
#include <inversescope/ops.h>
#include <inversescope/parameters.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, IN = 9, WIDTH = 20, VOCAB = 31, WEIGHTS = 4, STEPS = 3 };
static const int64_t SHAPES[WEIGHTS][2] = {
    {IN, WIDTH}, {WIDTH, WIDTH}, {WIDTH, WIDTH}, {VOCAB, WIDTH}};
static const char *const NAMES[WEIGHTS] = {"first", "left", "right", "head"};

typedef struct side {
  isc_test_wrapper wrapper;
  isc_backend_ops ops; /* the wrapper's, perhaps without to_bf16 */
  isc_device *inner;
  isc_params *params;
  isc_param *w[WEIGHTS];
  isc_step *step;
  float loss[STEPS];
} side;

static void set_up(side *s, bool rounds) {
  memset(s, 0, sizeof *s);
  s->inner = isc_test_cpu_device();
  if (!s->inner) cr_skip_test("SKIPPED: needs the cpu backend in the build tree: %s", isc_error());
  isc_test_wrap(&s->wrapper, *s->inner);
  s->wrapper.n.poison = true;
  s->ops = *s->wrapper.device.ops;
  if (!rounds) s->ops.to_bf16 = NULL;
  s->wrapper.device.ops = &s->ops;
  isc_assert_ok(isc_params_new(&s->wrapper.device, &s->params));
  for (int i = 0; i < WEIGHTS; i++) {
    isc_assert_ok(isc_params_add(s->params, NAMES[i], 2, SHAPES[i], 0, &s->w[i]));
    isc_assert_ok(isc_param_init_normal(s->params, s->w[i], 5, 0.5));
  }
  isc_params_train(s->params, true);
  isc_assert_ok(isc_step_new(&s->wrapper.device, &s->step));
  isc_step_set_product(s->step, ISC_BF16);
}

static void take_down(side *s) {
  isc_step_free(s->step);
  isc_params_free(s->params);
  cr_assert_eq(s->wrapper.n.alloc, s->wrapper.n.free, "device memory was kept");
  isc_device_close(s->inner);
}

/* The loss of x through the first weight, one of two for each half of the rows, and the head. */
static isc_tensor *forward(side *s, uint64_t at) {
  static const int32_t target[ROWS] = {3, 30, 0, -1, 7, 7};
  const int64_t start[] = {0, ROWS / 2, ROWS}, shape[] = {ROWS, IN};
  isc_tensor *const two[] = {&s->w[1]->value, &s->w[2]->value};
  float host[ROWS * IN];
  isc_tensor *x, *loss;
  isc_test_normals(at, host, ROWS * IN);
  isc_assert_ok(isc_tensor_from(s->step, 2, shape, host, &x));
  isc_assert_ok(isc_op_linear(s->step, x, &s->w[0]->value, ISC_IN_OUT, NULL, ISC_ACT_GELU, &x));
  isc_assert_ok(isc_op_grouped_linear(s->step, x, start, 2, two, NULL, &x));
  isc_assert_ok(isc_op_linear(s->step, x, &s->w[1]->value, ISC_OUT_IN, NULL, ISC_ACT_NONE, &x));
  isc_assert_ok(isc_op_xent(s->step, x, &s->w[3]->value, target, NULL, NULL, &loss));
  return loss;
}

static float loss_at(side *s, uint64_t at) {
  float host;
  isc_step_reset(s->step);
  isc_assert_ok(isc_tensor_download(s->step, forward(s, at), &host));
  return host;
}

static void train(side *s) {
  const isc_optimizer opt = {
      .size = sizeof opt, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .lr = {0.05}};
  for (int i = 0; i < STEPS; i++) {
    double norm;
    isc_step_reset(s->step);
    isc_assert_ok(isc_params_zero_grad(s->params));
    isc_assert_ok(isc_tape_begin(s->step));
    isc_tensor *loss = forward(s, 10 + (uint64_t)i);
    isc_assert_ok(isc_tape_backward(s->step, loss));
    isc_assert_ok(isc_tensor_download(s->step, loss, &s->loss[i]));
    isc_assert_ok(isc_adamw_step(s->params, &opt, &norm));
  }
}

static void expect_same_values(side *a, side *b) {
  for (int i = 0; i < WEIGHTS; i++) {
    float x[VOCAB * WIDTH], y[VOCAB * WIDTH];
    const size_t n = (size_t)isc_tensor_size(&a->w[i]->value);
    isc_assert_ok(isc_param_get(a->params, a->w[i], x));
    isc_assert_ok(isc_param_get(b->params, b->w[i], y));
    cr_assert_eq(memcmp(x, y, n * sizeof *x), 0, "%s", NAMES[i]);
  }
}

Test(ops_rounded, training_has_the_bits_of_rounding_in_each_product) {
  side with, without;
  set_up(&with, true);
  set_up(&without, false);
  train(&with);
  train(&without);
  for (int i = 0; i < STEPS; i++)
    cr_assert_eq(with.loss[i], without.loss[i]);
  cr_assert_neq(with.loss[0], with.loss[1]);
  expect_same_values(&with, &without);
  cr_assert_eq(with.wrapper.n.to_bf16, STEPS * WEIGHTS);
  cr_assert_eq(without.wrapper.n.to_bf16, 0);
  take_down(&with);
  take_down(&without);
}

Test(ops_rounded, weights_are_rounded_anew_when_they_change_and_only_then) {
  side with, without;
  float value = 3;
  const char *dir = isc_test_dir("rounded");
  set_up(&with, true);
  set_up(&without, false);
  const float before = loss_at(&with, 1);
  cr_assert_eq(before, loss_at(&without, 1));
  cr_assert_eq(with.wrapper.n.to_bf16, WEIGHTS);
  loss_at(&with, 2);
  cr_assert_eq(with.wrapper.n.to_bf16, WEIGHTS);
  isc_assert_ok(isc_params_write(with.params, dir, "before.safetensors"));

  isc_assert_ok(isc_param_set_some(with.params, with.w[0], 4, 1, &value));
  isc_assert_ok(isc_param_set_some(without.params, without.w[0], 4, 1, &value));
  const float changed = loss_at(&with, 1);
  cr_assert_neq(changed, before);
  cr_assert_eq(changed, loss_at(&without, 1));
  cr_assert_eq(with.wrapper.n.to_bf16, WEIGHTS + 1);

  isc_assert_ok(isc_params_read(with.params, dir, "before.safetensors"));
  cr_assert_eq(loss_at(&with, 1), before);
  cr_assert_eq(with.wrapper.n.to_bf16, 2 * WEIGHTS + 1);
  take_down(&with);
  take_down(&without);
}

Test(ops_rounded, products_of_f32_round_nothing) {
  side s;
  set_up(&s, true);
  isc_step_set_product(s.step, ISC_F32);
  train(&s);
  loss_at(&s, 1);
  cr_assert_eq(s.wrapper.n.to_bf16, 0);
  take_down(&s);
}

/* A copy that could not be made is no copy: the next product asks again. */
Test(ops_rounded, a_failure_leaves_no_stale_copy) {
  const int64_t shape[] = {1, WIDTH};
  const float value = 2;
  float ones[WIDTH];
  isc_status st = ISC_E_DEVICE;
  isc_tensor *x, *out;
  side s, other;
  set_up(&s, true);
  set_up(&other, false);
  for (int i = 0; i < WIDTH; i++)
    ones[i] = 1;
  loss_at(&s, 1);
  isc_assert_ok(isc_param_set_some(other.params, other.w[3], 0, 1, &value));
  for (int64_t k = 1; st != ISC_OK; k++) {
    isc_assert_ok(isc_param_set_some(s.params, s.w[3], 0, 1, &value));
    isc_step_reset(s.step);
    s.wrapper.n.calls = 0;
    s.wrapper.n.fail_at = k;
    st = isc_tensor_from(s.step, 2, shape, ones, &x);
    if (st == ISC_OK)
      st = isc_op_linear(s.step, x, &s.w[3]->value, ISC_OUT_IN, NULL, ISC_ACT_NONE, &out);
    s.wrapper.n.fail_at = 0;
    cr_assert(st == ISC_OK || st == ISC_E_DEVICE, "%s", isc_error());
    cr_assert(st != ISC_OK || k > 3, "nothing could fail");
    cr_assert_eq(loss_at(&s, 1), loss_at(&other, 1), "after a failure of call %d", (int)k);
  }
  take_down(&s);
  take_down(&other);
}
