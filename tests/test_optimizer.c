/* SPDX-License-Identifier: Apache-2.0
 *
 * AdamW, clipping and schedules against their published formulas in double; parameters and their state.
 *
 * The reference keeps its own moments in double. After a few dozen updates the f32 moments differ from it by a
 * relative 1e-6 or so, hence the bounds beside the comparisons.
 */
#include "support.h"
#include "support_backend.h"
#include <inversescope/ops.h>
#include <inversescope/parameters.h>
#include <inversescope/rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 17, STEPS = 30 };
static const isc_optimizer ADAM = {.size = sizeof ADAM,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .eps = 1e-8,
                                   .lr = {0.02, 0.005},
                                   .weight_decay = {0.01, 0.3}};

/* torch.optim.AdamW, single tensor. */
typedef struct reference {
  double p[N], m[N], v[N];
  int64_t steps;
} reference;

static void reference_step(reference *r, const float *g, double scale, double lr, double decay) {
  r->steps++;
  for (int i = 0; i < N; i++) {
    double gi = g[i] * scale;
    r->p[i] -= lr * decay * r->p[i];
    r->m[i] = 0.9 * r->m[i] + 0.1 * gi;
    r->v[i] = 0.999 * r->v[i] + 0.001 * gi * gi;
    double mh = r->m[i] / (1 - pow(0.9, (double)r->steps)),
           vh = r->v[i] / (1 - pow(0.999, (double)r->steps));
    r->p[i] -= lr * mh / (sqrt(vh) + 1e-8);
  }
}

static void add_param(isc_params *p, const char *name, int32_t group, isc_param **q) {
  isc_assert_ok(isc_params_add(p, name, 1, (int64_t[]){N}, group, q));
  isc_assert_ok(isc_param_init_normal(p, *q, 5, 1));
}

static void start(isc_params *p, isc_param *q, reference *r) {
  float x[N];
  isc_assert_ok(isc_param_get(p, q, x));
  *r = (reference){0};
  for (int i = 0; i < N; i++)
    r->p[i] = x[i];
}

/* Make q's gradient g by a tape: loss = ⟨q, g⟩. */
static void give_gradient(isc_device *dev, isc_param *q, const float *g) {
  isc_tensor *row, *gt, *loss;
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  isc_assert_ok(isc_tape_begin(s));
  isc_assert_ok(isc_tensor_reshape(s, &q->value, 2, (int64_t[]){1, N}, &row));
  isc_assert_ok(isc_tensor_from(s, 2, (int64_t[]){N, 1}, g, &gt));
  isc_assert_ok(isc_op_linear(s, row, gt, ISC_IN_OUT, NULL, ISC_ACT_NONE, &loss));
  isc_assert_ok(isc_tape_backward(s, loss));
  isc_step_free(s);
}

static void compare(isc_params *p, isc_param *q, const reference *r) {
  float x[N];
  isc_assert_ok(isc_param_get(p, q, x));
  cr_assert_eq(q->steps, r->steps, "%s: %d updates against %d", q->name, (int)q->steps,
               (int)r->steps);
  for (int i = 0; i < N;
       i++) /* one f32 rounding of p ≈ 1 per update, plus 1e-6 of each move of 0.02 */
    cr_assert(fabs(x[i] - r->p[i]) <= 1e-7 * (STEPS + 10), "%s[%d]: %.9g against %.9g", q->name, i,
              x[i], r->p[i]);
}

/* Two groups; b has a gradient every third step only, and must keep its own count. */
ISC_TEST_ON_BOTH(optimizer, adamw_counts_updates_per_parameter) {
  isc_params *p;
  isc_param *a, *b;
  reference ra, rb;
  float g[N];
  isc_assert_ok(isc_params_new(dev, &p));
  add_param(p, "a", 0, &a);
  add_param(p, "b", 1, &b);
  isc_params_train(p, true);
  start(p, a, &ra);
  start(p, b, &rb);
  for (int step = 0; step < STEPS; step++) {
    isc_assert_ok(isc_params_zero_grad(p));
    isc_test_normals(100 + (uint64_t)step, g, N);
    give_gradient(dev, a, g);
    reference_step(&ra, g, 1, 0.02, 0.01);
    if (step % 3 == 0) {
      isc_test_normals(500 + (uint64_t)step, g, N);
      give_gradient(dev, b, g);
      reference_step(&rb, g, 1, 0.005, 0.3);
    }
    isc_assert_ok(isc_adamw_step(p, &ADAM, NULL));
  }
  compare(p, a, &ra);
  compare(p, b, &rb);
  cr_assert_eq(b->steps, STEPS / 3);
  isc_params_free(p);
}

ISC_TEST_ON_BOTH(optimizer, untouched_parameters_do_not_move) {
  isc_params *p;
  isc_param *a, *b;
  float g[N], before[N], after[N];
  isc_assert_ok(isc_params_new(dev, &p));
  add_param(p, "a", 0, &a);
  add_param(p, "b", 1, &b);
  isc_params_train(p, true);
  isc_assert_ok(isc_param_get(p, b, before));
  isc_test_normals(1, g, N);
  give_gradient(dev, a, g);
  cr_assert(a->touched && !b->touched);
  isc_assert_ok(isc_adamw_step(p, &ADAM, NULL));
  isc_assert_ok(isc_param_get(p, b, after));
  cr_assert_arr_eq(before, after, sizeof before);
  cr_assert(b->steps == 0 && !b->m && !b->v && !b->value.grad, "b costs memory or counts a step");
  isc_assert_ok(isc_params_zero_grad(p));
  isc_assert_ok(isc_param_get(p, a, before));
  isc_assert_ok(isc_adamw_step(p, &ADAM, NULL));
  isc_assert_ok(isc_param_get(p, a, after));
  cr_assert_arr_eq(before, after, sizeof before, "a step without gradients decays or moves");
  isc_params_free(p);
}

/* Gradients of two backwards add up; after zero_grad the old ones are gone. */
ISC_TEST_ON_BOTH(optimizer, gradients_accumulate_until_zeroed) {
  isc_params *p;
  isc_param *a;
  float g[N], h[N], got[N];
  isc_assert_ok(isc_params_new(dev, &p));
  add_param(p, "a", 0, &a);
  isc_params_train(p, true);
  isc_test_normals(1, g, N);
  isc_test_normals(2, h, N);
  give_gradient(dev, a, g);
  give_gradient(dev, a, h);
  isc_assert_ok(dev->ops->download(dev->impl, got, a->value.grad, sizeof got));
  for (int i = 0; i < N; i++) /* one f32 addition */
    cr_assert(fabs(got[i] - ((double)g[i] + h[i])) <= 1e-6);
  isc_assert_ok(isc_params_zero_grad(p));
  cr_assert_not(a->touched);
  give_gradient(dev, a, h);
  isc_assert_ok(dev->ops->download(dev->impl, got, a->value.grad, sizeof got));
  for (int i = 0; i < N; i++)
    cr_assert(fabs(got[i] - h[i]) <= 1e-7 * fabs(h[i]));
  isc_params_free(p);
}

/* The norm is over both parameters; the scale is min(1, clip/(norm + 1e-6)) as in PyTorch. */
ISC_TEST_ON_BOTH(optimizer, clipping_scales_by_the_global_norm) {
  const double clips[] = {0.5, 1000};
  for (int k = 0; k < 2; k++) {
    isc_params *p;
    isc_param *a, *b;
    reference ra, rb;
    isc_optimizer opt = ADAM;
    float g[N], h[N];
    double sum = 0, norm;
    opt.clip = clips[k];
    isc_assert_ok(isc_params_new(dev, &p));
    add_param(p, "a", 0, &a);
    add_param(p, "b", 1, &b);
    isc_params_train(p, true);
    start(p, a, &ra);
    start(p, b, &rb);
    isc_test_normals(1, g, N);
    isc_test_normals(2, h, N);
    for (int i = 0; i < N; i++)
      sum += (double)g[i] * g[i] + (double)h[i] * h[i];
    double scale = fmin(1, opt.clip / (sqrt(sum) + 1e-6));
    for (int step = 0; step < 3; step++) {
      isc_assert_ok(isc_params_zero_grad(p));
      give_gradient(dev, a, g);
      give_gradient(dev, b, h);
      isc_assert_ok(isc_adamw_step(p, &opt, &norm));
      cr_assert(fabs(norm - sqrt(sum)) <=
                1e-6 * sqrt(sum)); /* squares of f32 gradients, 4e-6 of their sum */
      reference_step(&ra, g, scale, 0.02, 0.01);
      reference_step(&rb, h, scale, 0.005, 0.3);
    }
    compare(p, a, &ra);
    compare(p, b, &rb);
    isc_params_free(p);
  }
}

/* Below 1e-6 the summand in the denominator shows: the first moment is 0.1 g clip/(norm + 1e-6). */
ISC_TEST_ON_BOTH(optimizer, clipping_of_tiny_gradients) {
  isc_params *p;
  isc_param *a;
  isc_optimizer opt = ADAM;
  float g[N], m[N], v[N];
  double norm = 0;
  opt.clip = 1e-7;
  isc_assert_ok(isc_params_new(dev, &p));
  add_param(p, "a", 0, &a);
  isc_params_train(p, true);
  isc_test_normals(1, g, N);
  for (int i = 0; i < N; i++) {
    g[i] *= 1e-7f;
    norm += (double)g[i] * g[i];
  }
  norm = sqrt(norm);
  give_gradient(dev, a, g);
  isc_assert_ok(isc_adamw_step(p, &opt, NULL));
  isc_assert_ok(isc_param_get_moments(p, a, m, v));
  for (int i = 0; i < N; i++) { /* three f32 products */
    double want = 0.1 * g[i] * 1e-7 / (norm + 1e-6);
    cr_assert(fabs(m[i] - want) <= 1e-6 * fabs(want), "%g against %g", m[i], want);
  }
  isc_params_free(p);
}

ISC_TEST_ON_BOTH(optimizer, a_gradient_that_is_not_finite_changes_nothing) {
  const float bad[] = {NAN, INFINITY};
  for (int k = 0; k < 2; k++) {
    isc_params *p;
    isc_param *a, *b;
    float g[N], before[N], after[N];
    isc_assert_ok(isc_params_new(dev, &p));
    add_param(p, "a", 0, &a);
    add_param(p, "b.weight", 1, &b);
    isc_params_train(p, true);
    isc_assert_ok(isc_param_get(p, a, before));
    isc_test_normals(1, g, N);
    give_gradient(dev, a, g);
    g[3] = bad[k];
    give_gradient(dev, b, g);
    isc_assert_fails(isc_adamw_step(p, &ADAM, NULL), ISC_E_NUMERIC, "b.weight");
    isc_assert_ok(isc_param_get(p, a, after));
    cr_assert_arr_eq(before, after, sizeof before);
    cr_assert(a->steps == 0 && b->steps == 0);
    isc_params_free(p);
  }
}

/* Saving values, moments and counts and loading them elsewhere continues to the same bits. */
ISC_TEST_ON_BOTH(optimizer, state_moves_to_another_set) {
  isc_params *p[2];
  isc_param *q[2];
  float x[N], m[N], v[N], g[N], y[2][N];
  for (int k = 0; k < 2; k++) {
    isc_assert_ok(isc_params_new(dev, &p[k]));
    add_param(p[k], "a", 0, &q[k]);
    isc_params_train(p[k], true);
  }
  isc_assert_ok(isc_param_get_moments(p[0], q[0], m, v));
  for (int i = 0; i < N; i++)
    cr_assert(m[i] == 0 && v[i] == 0, "moments before any update");
  for (int step = 0; step < 6; step++) {
    if (step == 3) {
      isc_assert_ok(isc_param_get(p[0], q[0], x));
      isc_assert_ok(isc_param_get_moments(p[0], q[0], m, v));
      isc_assert_ok(isc_param_set(p[1], q[1], x));
      isc_assert_ok(isc_param_set_moments(p[1], q[1], q[0]->steps, m, v));
    }
    isc_test_normals(10 + (uint64_t)step, g, N);
    for (int k = 0; k < (step < 3 ? 1 : 2); k++) {
      isc_assert_ok(isc_params_zero_grad(p[k]));
      give_gradient(dev, q[k], g);
      isc_assert_ok(isc_adamw_step(p[k], &ADAM, NULL));
    }
  }
  for (int k = 0; k < 2; k++)
    isc_assert_ok(isc_param_get(p[k], q[k], y[k]));
  cr_assert_arr_eq(y[0], y[1], sizeof y[0]);
  cr_assert_eq(q[1]->steps, 6);
  isc_assert_ok(isc_param_set_moments(p[1], q[1], 0, NULL, NULL));
  cr_assert(q[1]->steps == 0 && !q[1]->m && !q[1]->v);
  isc_assert_fails(isc_param_set_moments(p[1], q[1], 2, m, NULL), ISC_E_USAGE, "pairs");
  for (int k = 0; k < 2; k++)
    isc_params_free(p[k]);
}

Test(optimizer, parameters_are_found_by_name) {
  isc_device dev = isc_test_plain_device();
  isc_params *p;
  isc_param *q[200], *again;
  char name[32];
  isc_assert_ok(isc_params_new(&dev, &p));
  for (int i = 0; i < 200; i++) {
    snprintf(name, sizeof name, "h.%d.weight", i);
    isc_assert_ok(isc_params_add(p, name, 2, (int64_t[]){2, i}, i % 8, &q[i]));
  }
  for (int i = 0; i < 200; i++) {
    snprintf(name, sizeof name, "h.%d.weight", i);
    cr_assert_eq(isc_params_find(p, name), q[i]);
    cr_assert_eq(isc_params_at(p, i), q[i]);
  }
  cr_assert_null(isc_params_find(p, "h.200.weight"));
  cr_assert_eq(isc_params_count(p), 200);
  cr_assert_eq(isc_params_elements(p), 199 * 200);
  isc_assert_fails(isc_params_add(p, "h.3.weight", 1, (int64_t[]){1}, 0, &again), ISC_E_USAGE,
                   "h.3.weight");
  isc_assert_fails(isc_params_add(p, "x", 1, (int64_t[]){1}, 8, &again), ISC_E_USAGE, "group 8");
  isc_assert_fails(isc_params_add(p, "x", 1, (int64_t[]){-1}, 0, &again), ISC_E_SHAPE, "\"x\"");
  cr_assert_eq(isc_params_count(p), 200);
  isc_params_free(p);
}

/* A parameter's values depend on the seed and its name alone, whatever was added before it or how large; and have the
 * asked-for deviation. 200,000 draws: the mean's standard error is std/447, the deviation's std/632; 5 of each. */
ISC_TEST_ON_BOTH(optimizer, initial_values) {
  enum { MANY = 200000 };
  isc_params *p[2];
  isc_param *a, *b, *other;
  float *x = malloc(MANY * sizeof *x), *y = malloc(MANY * sizeof *y);
  double sum = 0, squares = 0;
  for (int k = 0; k < 2; k++)
    isc_assert_ok(isc_params_new(dev, &p[k]));
  isc_assert_ok(isc_params_add(p[1], "v", 1, (int64_t[]){3}, 0, &other));
  isc_assert_ok(isc_param_init_normal(p[1], other, 9, 0.25));
  isc_assert_ok(isc_params_add(p[0], "w", 1, (int64_t[]){MANY}, 0, &a));
  isc_assert_ok(isc_params_add(p[1], "w", 1, (int64_t[]){MANY}, 0, &b));
  isc_assert_ok(isc_param_init_normal(p[0], a, 9, 0.25));
  isc_assert_ok(isc_param_init_normal(p[1], b, 9, 0.25));
  isc_assert_ok(isc_param_get(p[0], a, x));
  isc_assert_ok(isc_param_get(p[1], b, y));
  cr_assert_arr_eq(x, y, MANY * sizeof *x);
  isc_assert_ok(isc_param_get(p[1], other, y));
  cr_assert(x[0] != y[0] && x[1] != y[1], "two names share a stream");
  for (int i = 0; i < MANY; i++) {
    sum += x[i];
    squares += (double)x[i] * x[i];
  }
  cr_assert(fabs(sum / MANY) < 5 * 0.25 / 447);
  cr_assert(fabs(sqrt(squares / MANY) - 0.25) < 5 * 0.25 / 632);
  isc_assert_ok(isc_param_init_normal(p[0], a, 10, 0.25));
  isc_assert_ok(isc_param_get(p[0], a, y));
  cr_assert_neq(x[0], y[0]);
  isc_assert_ok(isc_param_fill(p[0], a, 1.5f));
  isc_assert_ok(isc_param_get(p[0], a, y));
  for (int i = 0; i < MANY; i++)
    cr_assert_eq(y[i], 1.5f);
  free(x);
  free(y);
  for (int k = 0; k < 2; k++)
    isc_params_free(p[k]);
}

/* Closed forms at chosen steps: warm-up 4, total 12, final 0.1. */
Test(optimizer, schedules) {
  for (int64_t i = 0; i < 4; i++) {
    cr_assert_eq(isc_schedule(ISC_CONSTANT, i, 4, 12, 0.1), (double)(i + 1) / 4);
    cr_assert_eq(isc_schedule(ISC_COSINE, i, 4, 12, 0.1), (double)(i + 1) / 4);
  }
  cr_assert_eq(isc_schedule(ISC_CONSTANT, 4, 4, 0, 0), 1);
  cr_assert_eq(isc_schedule(ISC_CONSTANT, 1000000, 4, 12, 0.1), 1);
  cr_assert_eq(isc_schedule(ISC_LINEAR, 4, 4, 12, 0.1), 1);
  cr_assert_float_eq(isc_schedule(ISC_LINEAR, 8, 4, 12, 0.1), 0.55, 1e-12);
  cr_assert_float_eq(isc_schedule(ISC_LINEAR, 12, 4, 12, 0.1), 0.1, 1e-12);
  cr_assert_float_eq(isc_schedule(ISC_LINEAR, 99, 4, 12, 0.1), 0.1, 1e-12);
  cr_assert_float_eq(isc_schedule(ISC_COSINE, 4, 4, 12, 0.1), 1, 1e-12);
  cr_assert_float_eq(isc_schedule(ISC_COSINE, 6, 4, 12, 0.1), 0.1 + 0.45 * (1 + sqrt(0.5)), 1e-12);
  cr_assert_float_eq(isc_schedule(ISC_COSINE, 8, 4, 12, 0.1), 0.55, 1e-12);
  cr_assert_float_eq(isc_schedule(ISC_COSINE, 50, 4, 12, 0.1), 0.1, 1e-12);
  cr_assert_eq(isc_schedule(ISC_LINEAR, 0, 0, 0, 0.5), 0.5, "a decay of no length has ended");
}
