/* SPDX-License-Identifier: Apache-2.0
 *
 * What the control layers steer: a frozen backbone stays as it is, and so does the one that a tuned copy was made of.
 *
 * A copy that is trained at rate 0 is the backbone, so its layers must end in the very bits of a frozen one's; at a
 * rate of its own every part of it must move.
 */
#include "support.h"
#include "support_method.h"
#include "base/base.h"
#include "model/safetensors.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SITES = 3, STEPS = 12 };

static const isc_method_ops *ops(void) {
  return isc_method_inversescope_class()->ops;
}

typedef struct study {
  isc_device *dev;
  isc_toy toy;
  isc_inversescope_conf conf;
  isc_inversescope *method;
  char backbone[1100], control[1100];
} study;

/* A method whose backbone is trained. */
static void study_open(study *s, const char *name, isc_steered_backbone backbone, double rate) {
  const char *dir = isc_test_dir(name);
  void *m;
  s->dev = isc_toy_device(1);
  isc_toy_open(&s->toy, s->dev, SITES);
  s->conf = isc_toy_conf();
  s->conf.backbone.recipe.steps = s->conf.control.recipe.steps = STEPS;
  s->conf.control.noise = ISC_NOISE_MIXED;
  s->conf.control.backbone = (int32_t)backbone;
  s->conf.control.backbone_lr = rate;
  s->conf.control.recipe.clip = 0; /* the norm that clips is of the copy's gradients too */
  snprintf(s->backbone, sizeof s->backbone, "%s/backbone", dir);
  snprintf(s->control, sizeof s->control, "%s/control", dir);
  isc_assert_ok(ops()->open(&s->conf, &s->toy.env, &m));
  s->method = m;
  isc_toy_io io = isc_toy_io_new(s->backbone);
  io.io.core = &io;
  isc_assert_ok(ops()->train(s->method, 0, &io.io));
}

static void reopen(study *s) {
  void *m;
  ops()->close(s->method);
  isc_assert_ok(ops()->open(&s->conf, &s->toy.env, &m));
  s->method = m;
  isc_assert_ok(ops()->load(s->method, 0, s->backbone));
}

static void study_close(study *s) {
  ops()->close(s->method);
  isc_toy_close(&s->toy);
  isc_device_close(s->dev);
}

static isc_status train_control(study *s, int64_t stop_at) {
  isc_toy_io io = isc_toy_io_new(s->control);
  io.io.core = &io;
  io.stop_at = stop_at;
  return ops()->train(s->method, 1, &io.io);
}

/* Are the numbers of parameter `a` of one set those of `b`, by that name, of another? */
static bool same(isc_params *a, const isc_param *p, isc_params *b) {
  const isc_param *q = isc_params_find(b, p->name);
  const size_t n = (size_t)isc_tensor_size(&p->value);
  cr_assert(q, "no parameter %s", p->name);
  cr_assert_eq(isc_tensor_size(&q->value), (int64_t)n);
  float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
  isc_assert_ok(isc_param_get(a, p, x));
  isc_assert_ok(isc_param_get(b, q, y));
  const bool equal = memcmp(x, y, n * sizeof *x) == 0;
  free(x);
  free(y);
  return equal;
}

/* ---- texts, as one string */

static isc_status keep(void *user, int64_t row, int64_t j, const char *text, size_t len,
                       double log_q) {
  fprintf(user, "%d.%d %.*s %.17g\n", (int)row, (int)j, (int)len, text, log_q);
  return ISC_OK;
}

/* 40 texts without a condition; malloc'd. */
static char *unconditional(study *s) {
  char *all;
  size_t len;
  FILE *f = open_memstream(&all, &len);
  cr_assert(f);
  isc_assert_ok(ops()->sample_prior(s->method, 40, 1, 5, 20, f, keep));
  fclose(f);
  return all;
}

/* Four texts for each of a few held-out inputs and sites; malloc'd. */
static char *inverted(study *s) {
  enum { ROWS = 9 };
  float z[ROWS][ISC_TOY_DIM] = {{0}};
  const float *at[ROWS];
  int64_t site[ROWS];
  uint64_t index[ROWS];
  char *all;
  size_t len;
  FILE *f = open_memstream(&all, &len);
  cr_assert(f);
  for (int64_t r = 0; r < ROWS; r++) {
    site[r] = r % SITES;
    index[r] = (uint64_t)(4 * r);
    at[r] = z[r];
    isc_toy_activation(&s->toy, site[r], ISC_TOY_TRAIN + r, z[r]);
  }
  const isc_invert req = {.size = sizeof req,
                          .n = ROWS,
                          .site = site,
                          .z = at,
                          .samples = 4,
                          .temperature = 1,
                          .seed = 3,
                          .index = index,
                          .batch = 16,
                          .user = f,
                          .sample = keep};
  isc_assert_ok(ops()->invert(s->method, &req));
  fclose(f);
  return all;
}

/* ---- */

Test(steering, a_copy_at_rate_0_is_the_frozen_backbone) {
  study a, b;
  study_open(&a, "frozen", ISC_BACKBONE_FROZEN, 1);
  study_open(&b, "still", ISC_BACKBONE_TUNED, 0);
  isc_assert_ok(train_control(&a, -1));
  isc_assert_ok(train_control(&b, -1));
  isc_params *frozen = a.method->control->params, *tuned = b.method->control->params,
             *backbone = isc_decoder_params(a.method->backbone);
  cr_assert_eq(isc_params_count(tuned), isc_params_count(frozen) + isc_params_count(backbone));
  for (int64_t i = 0; i < isc_params_count(frozen); i++) {
    const isc_param *p = isc_params_at(frozen, i);
    cr_assert(same(frozen, p, tuned), "%s differs", p->name);
  }
  for (int64_t i = 0; i < isc_params_count(backbone); i++) {
    const isc_param *p = isc_params_at(backbone, i);
    cr_assert(same(backbone, p, tuned), "%s differs", p->name);
  }
  char *x = inverted(&a), *y = inverted(&b);
  cr_assert_str_eq(x, y);
  free(x);
  free(y);
  study_close(&a);
  study_close(&b);
}

Test(steering, a_frozen_backbone_adds_nothing_to_the_layers) {
  study s;
  study_open(&s, "alone", ISC_BACKBONE_FROZEN, 1);
  isc_assert_ok(train_control(&s, -1));
  cr_assert_null(isc_params_find(s.method->control->params, "wte.weight"));
  cr_assert_null(s.method->tuned);
  cr_assert_eq(isc_steered(s.method), s.method->backbone);
  cr_assert_eq(ops()->parameters(s.method),
               isc_params_elements(s.method->control->params) +
                   isc_params_elements(isc_decoder_params(s.method->backbone)));
  study_close(&s);
}

Test(steering, a_tuned_copy_moves_and_the_backbone_does_not) {
  study s;
  study_open(&s, "moves", ISC_BACKBONE_TUNED, 1);
  char *before = unconditional(&s), *file, *again, *path;
  size_t len, len_again;
  isc_assert_ok(isc_path_join(s.backbone, "model.safetensors", &path));
  isc_assert_ok(isc_read_file(path, 1 << 28, &file, &len));
  isc_assert_ok(train_control(&s, -1));
  isc_params *backbone = isc_decoder_params(s.method->backbone), *tuned = s.method->control->params;
  for (int64_t i = 0; i < isc_params_count(backbone); i++) {
    const isc_param *p = isc_params_at(backbone, i);
    cr_assert(!same(backbone, p, tuned), "%s got no gradient", p->name);
  }
  isc_assert_ok(isc_read_file(path, 1 << 28, &again, &len_again));
  cr_assert(len == len_again && memcmp(file, again, len) == 0, "the backbone's file changed");
  char *after = unconditional(&s);
  cr_assert_str_eq(before, after);
  cr_assert_eq(ops()->parameters(s.method),
               isc_params_elements(tuned) + isc_params_elements(backbone));
  free(before);
  free(after);
  free(file);
  free(again);
  free(path);
  study_close(&s);
}

/* Each kind of text is the work of one decoder: spoiling the other leaves it as it is. */
Test(steering, the_copy_writes_what_has_a_condition_and_nothing_else) {
  study s;
  study_open(&s, "writers", ISC_BACKBONE_TUNED, 1);
  isc_assert_ok(train_control(&s, -1));
  char *prior[3] = {unconditional(&s)}, *texts[3] = {inverted(&s)};
  isc_params *of[] = {isc_decoder_params(s.method->tuned), isc_decoder_params(s.method->backbone)};
  for (int k = 0; k < 2; k++) {
    isc_assert_ok(isc_param_fill(of[k], isc_params_find(of[k], "ln_f.weight"), 0));
    prior[k + 1] = unconditional(&s);
    texts[k + 1] = inverted(&s);
  }
  cr_assert_str_eq(prior[0], prior[1], "the copy writes without a condition");
  cr_assert_str_neq(texts[0], texts[1]);
  cr_assert_str_neq(prior[1], prior[2]);
  cr_assert_str_eq(texts[1], texts[2], "the backbone writes under a condition");
  for (int k = 0; k < 3; k++) {
    free(prior[k]);
    free(texts[k]);
  }
  study_close(&s);
}

/* A rate for the copy alone: what it multiplies is the step, and AdamW's first step is the rate times the gradient's sign. */
Test(steering, the_copys_rate_is_a_multiple_of_the_layers) {
  double moved[2];
  for (int k = 0; k < 2; k++) {
    study s;
    study_open(&s, k ? "tenth" : "whole", ISC_BACKBONE_TUNED, k ? 0.1 : 1);
    s.conf.control.recipe.steps = 1;
    s.conf.control.recipe.warmup = 0;
    s.conf.control.recipe.schedule = ISC_CONSTANT;
    s.conf.control.recipe.weight_decay = 0;
    isc_assert_ok(train_control(&s, -1));
    isc_params *from = isc_decoder_params(s.method->backbone), *to = s.method->control->params;
    const isc_param *p = isc_params_find(from, "ln_f.bias"), *q = isc_params_find(to, "ln_f.bias");
    float x[48], y[48];
    cr_assert_eq(isc_tensor_size(&p->value), 48);
    isc_assert_ok(isc_param_get(from, p, x));
    isc_assert_ok(isc_param_get(to, q, y));
    moved[k] = 0;
    for (int i = 0; i < 48; i++)
      moved[k] = fmax(moved[k], fabs((double)y[i] - x[i]));
    study_close(&s);
  }
  cr_assert_float_eq(moved[0], 5e-3, 5e-6, "%g", moved[0]);
  cr_assert_float_eq(moved[1], 5e-4, 5e-6, "%g", moved[1]);
}

Test(steering, a_resumed_training_of_both_ends_in_the_same_bytes) {
  study a, b;
  study_open(&a, "unbroken", ISC_BACKBONE_TUNED, 0.5);
  study_open(&b, "resumed", ISC_BACKBONE_TUNED, 0.5);
  isc_assert_ok(train_control(&a, -1));
  isc_assert_fails(train_control(&b, 7), ISC_E_INTERRUPTED, "stopped after training step");
  reopen(&b);
  isc_assert_ok(train_control(&b, -1));
  cr_assert(isc_toy_same_file(a.control, b.control, "model.safetensors"));
  study_close(&a);
  study_close(&b);
}

Test(steering, what_was_trained_is_what_is_loaded) {
  study s;
  study_open(&s, "loaded", ISC_BACKBONE_TUNED, 1);
  isc_assert_ok(train_control(&s, -1));
  char *trained = inverted(&s), *prior = unconditional(&s);
  reopen(&s);
  isc_assert_ok(ops()->load(s.method, 1, s.control));
  char *loaded = inverted(&s), *prior_loaded = unconditional(&s);
  cr_assert_str_eq(trained, loaded);
  cr_assert_str_eq(prior, prior_loaded);
  free(trained);
  free(loaded);
  free(prior);
  free(prior_loaded);
  study_close(&s);
}

/* A directory that a frozen training left holds no copy to load. */
Test(steering, a_copy_that_is_not_there_is_named) {
  study s;
  study_open(&s, "absent", ISC_BACKBONE_FROZEN, 1);
  isc_assert_ok(train_control(&s, -1));
  s.conf.control.backbone = ISC_BACKBONE_TUNED;
  reopen(&s);
  isc_assert_fails(ops()->load(s.method, 1, s.control), ISC_E_MISSING, "wte.weight");
  study_close(&s);
}
