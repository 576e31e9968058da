/* SPDX-License-Identifier: Apache-2.0
 *
 * Training and sampling on a device that answers later, on the emulation: the same bits as by the operations that wait, errors
 * at the step that made them, and work put together as often as it can be.
 */
#include "support.h"
#include "../support_harvest.h"
#include "../support_method.h"
#include "base/base.h"
#include "tensor/optional.h"

#include <dlfcn.h>
#include <inversescope/training_loop.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the emulated device, with all it offers or without what it need not have */

static int64_t recorded, played, dropped_parts;
static int64_t fail_at; /* the play that fails, 0 = none */
static const isc_backend_ops *real;

static isc_status count_record(void *impl) {
  recorded++;
  return real->record(impl);
}
static isc_status count_play(void *impl, bool drop) {
  played += !drop;
  dropped_parts += drop;
  const bool fails = !drop && played == fail_at;
  const isc_status st = real->play(impl, drop || fails);
  return fails ? isc_fail(ISC_E_UNSUPPORTED, "the test asked for it") : st;
}

typedef enum offer { WAITING, LATER, TOGETHER } offer;

static isc_device open_device(offer offered) {
  static isc_backend_ops table[3];
  void *so = dlopen(isc_test_build("tests/cuda/.libs/backend_cuda.so"),
                    RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  cr_assert(so, "%s", dlerror());
  const isc_plugin *p = dlsym(so, "isc_plugin_v1");
  const isc_class *cls = p->classes[0];
  real = cls->ops;
  table[offered] = *real;
  if (offered == WAITING) table[offered].size = offsetof(isc_backend_ops, clip);
  if (offered == LATER) table[offered].size = offsetof(isc_backend_ops, record);
  if (offered == TOGETHER) {
    table[offered].record = count_record;
    table[offered].play = count_play;
  }
  isc_device d = {.ops = &table[offered], .cls = cls};
  char *conf = calloc(1, cls->conf_size);
  isc_assert_ok(d.ops->open(conf, &d.impl));
  free(conf);
  cr_assert_eq(isc_device_reads_later(&d), offered != WAITING);
  cr_assert_eq(isc_device_records(&d), offered == TOGETHER);
  return d;
}

/* ---- a method trained and sampled */

enum { STEPS = 5, ROWS = 3, SAMPLES = 8 };

typedef struct outcome {
  double metric[2][STEPS][2]; /* of the stages: loss and norm of the gradient of each step */
  int64_t reported[2];
  char text[ROWS][SAMPLES][64];
  double log_q[ROWS][SAMPLES];
  int64_t samples;
  bool stops; /* after three steps of a stage, to be taken up again */
} outcome;

typedef struct stage_io {
  isc_train_io io;
  outcome *out;
  int64_t stage;
} stage_io;

static isc_status keep_metrics(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                               int64_t n) {
  stage_io *s = io->core;
  outcome *o = s->out;
  cr_assert_eq(total, STEPS);
  cr_assert_eq(done, ++o->reported[s->stage], "steps are reported once each and in order");
  cr_assert(n >= 3 && !strcmp(m[0].name, "loss") && !strcmp(m[2].name, "grad_norm"));
  o->metric[s->stage][done - 1][0] = m[0].value;
  o->metric[s->stage][done - 1][1] = m[2].value;
  return ISC_OK;
}

/* Steps that were begun but not reported are not known here. */
static bool stop_after_three(isc_train_io *io) {
  stage_io *s = io->core;
  return s->out->stops && s->out->reported[s->stage] == 2;
}

static isc_status keep_sample(void *user, int64_t row, int64_t j, const char *text, size_t len,
                              double log_q) {
  outcome *o = user;
  cr_assert(len < sizeof o->text[row][j]);
  memcpy(o->text[row][j], text, len);
  o->log_q[row][j] = log_q;
  o->samples++;
  return ISC_OK;
}

static void train(const isc_method_ops *ops, void *self, int64_t stage, outcome *o,
                  const char *dir) {
  stage_io s = {.out = o, .stage = stage};
  s.io = (isc_train_io){.size = sizeof s.io,
                        .dir = dir,
                        .core = &s,
                        .progress = keep_metrics,
                        .should_stop = stop_after_three};
  if (o->stops) {
    cr_assert_eq(ops->train(self, stage, &s.io), ISC_E_INTERRUPTED);
    cr_assert_geq(o->reported[stage], 2);
    cr_assert_lt(o->reported[stage], STEPS);
    s.io.should_stop = NULL;
  }
  isc_assert_ok(ops->train(self, stage, &s.io));
  cr_assert_eq(o->reported[stage], STEPS);
}

static void invert(const isc_method_ops *ops, void *self, const isc_toy *toy, outcome *o) {
  float z[ROWS][ISC_TOY_DIM];
  const float *at[ROWS];
  int64_t site[ROWS];
  uint64_t index[ROWS];
  for (int64_t r = 0; r < ROWS; r++) {
    site[r] = r % 2;
    at[r] = z[r];
    index[r] = (uint64_t)(100 * r);
    isc_toy_activation(toy, site[r], r, z[r]);
  }
  const isc_invert req = {.size = sizeof req,
                          .n = ROWS,
                          .site = site,
                          .z = at,
                          .samples = SAMPLES,
                          .temperature = 1,
                          .seed = 3,
                          .index = index,
                          .batch = 16,
                          .user = o,
                          .sample = keep_sample};
  isc_assert_ok(ops->invert(self, &req));
  cr_assert_eq(o->samples, ROWS * SAMPLES);
}

static void run(offer offered, const char *name, int64_t looks, outcome *o) {
  isc_device dev = open_device(offered);
  const isc_method_ops *ops = isc_method_inversescope_class()->ops;
  isc_inversescope_conf conf = isc_toy_conf();
  isc_toy toy;
  void *self;
  conf.backbone.recipe.steps = conf.control.recipe.steps = STEPS;
  conf.backbone.recipe.batch = conf.control.recipe.batch = 4;
  conf.backbone.looks = looks;
  conf.control.looks = 0;
  conf.backbone.recipe.clip = 0.7;
  isc_toy_open(&toy, &dev, 2);
  isc_assert_ok(ops->open(&conf, &toy.env, &self));
  const char *dir = isc_test_dir(name);
  char backbone[1100], control[1100];
  snprintf(backbone, sizeof backbone, "%s/backbone", dir);
  snprintf(control, sizeof control, "%s/control", dir);
  isc_assert_ok(isc_mkdirs(backbone));
  isc_assert_ok(isc_mkdirs(control));
  train(ops, self, 0, o, backbone);
  train(ops, self, 1, o, control);
  invert(ops, self, &toy, o);
  ops->close(self);
  isc_toy_close(&toy);
  dev.ops->close(dev.impl);
}

static void same(const outcome *a, const outcome *b) {
  cr_assert_arr_eq(a->metric, b->metric, sizeof a->metric, "losses or norms differ");
  cr_assert_arr_eq(a->text, b->text, sizeof a->text, "samples differ");
  cr_assert_arr_eq(a->log_q, b->log_q, sizeof a->log_q, "log q differs");
}

Test(cuda_later, training_and_samples_have_the_bits_of_operations_that_wait, .timeout = 300) {
  static outcome waiting, later, together;
  run(WAITING, "waiting", 0, &waiting);
  run(LATER, "later", 2, &later); /* samples are looked at while a step is on its way */
  same(&waiting, &later);
  run(TOGETHER, "together", 0, &together);
  same(&waiting, &together);
  cr_assert_gt(played, 0, "no pass was put together");
  cr_assert_eq(dropped_parts, 0);
  cr_assert_eq(recorded, played);
  /* Where it fails passes go on one operation at a time. */
  static outcome failing;
  fail_at = played + 2;
  const int64_t before = played;
  run(TOGETHER, "failing", 0, &failing);
  same(&waiting, &failing);
  cr_assert_geq(played, before + 2);
  for (int i = 0; i < STEPS; i++)
    cr_assert(waiting.metric[0][i][0] > 0 && isfinite(waiting.metric[0][i][1]));
}

Test(cuda_later, a_stopped_training_goes_on_with_the_same_bits, .timeout = 300) {
  static outcome whole, parts;
  run(LATER, "whole", 0, &whole);
  parts.stops = true;
  run(LATER, "parts", 0, &parts);
  same(&whole, &parts);
}

/* ---- how often the host waits */

typedef struct waits {
  isc_train_io io;
  uint64_t now, last, most; /* waits in all; up to the last report; the most between two */
  int64_t steps;
} waits;

static isc_status count_waits(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                              int64_t n) {
  waits *w = io->core;
  (void)done, (void)total, (void)m, (void)n;
  const uint64_t since = w->now - w->last;
  /* The control layers look at their saturation at every tenth step; here at the first. */
  if (w->steps++ > 1 && since > w->most) w->most = since;
  w->last = w->now;
  return ISC_OK;
}

/* For what the step before found, its loss and its norm, and for nothing of its own. */
Test(cuda_later, a_training_step_waits_for_the_one_before_it_alone, .timeout = 300) {
  isc_device dev = open_device(LATER);
  const isc_method_ops *ops = isc_method_inversescope_class()->ops;
  isc_inversescope_conf conf = isc_toy_conf();
  isc_toy toy;
  void *self;
  conf.backbone.recipe.steps = conf.control.recipe.steps = 8;
  conf.backbone.recipe.batch = conf.control.recipe.batch = 4;
  conf.backbone.looks = conf.control.looks = 0;
  isc_toy_open(&toy, &dev, 2);
  isc_assert_ok(ops->open(&conf, &toy.env, &self));
  for (int64_t stage = 0; stage < 2; stage++) {
    const char *dir = isc_test_dir(stage ? "waits-control" : "waits-backbone");
    char at[32];
    waits w = {0};
    snprintf(at, sizeof at, "%p", (void *)&w.now);
    setenv("INVERSESCOPE_EMULATED_WAITS", at, 1);
    w.io = (isc_train_io){.size = sizeof w.io, .dir = dir, .core = &w, .progress = count_waits};
    isc_assert_ok(ops->train(self, stage, &w.io));
    unsetenv("INVERSESCOPE_EMULATED_WAITS");
    cr_assert_eq(w.steps, 8);
    cr_assert_eq(w.most, 2, "stage %d: the host waited %d times in a step", (int)stage,
                 (int)w.most);
  }
  ops->close(self);
  isc_toy_close(&toy);
  dev.ops->close(dev.impl);
}

/* ---- errors */

static isc_status explode(void *user, isc_step *s, int64_t k, isc_tensor **loss, isc_metric *m,
                          int64_t *n) {
  isc_params *p = user;
  const int64_t one[] = {1};
  const float x0 = k == 2 ? INFINITY : 1;
  isc_tensor *x;
  (void)m;
  *n = 0;
  ISC_TRY(isc_tensor_from(s, 1, one, &x0, &x));
  return isc_op_mul(s, &isc_params_at(p, 0)->value, x, loss);
}

/* The device is one step further by then, but nothing that came of the bad gradient is kept. */
Test(cuda_later, a_gradient_that_is_not_finite_is_told_of_its_step) {
  isc_device dev = open_device(LATER);
  isc_params *p;
  isc_param *q;
  const int64_t one[] = {1};
  isc_recipe recipe = isc_toy_conf().backbone.recipe;
  isc_toy_io io = isc_toy_io_new(isc_test_dir("later-nan"));
  float w;
  io.io.core = &io;
  isc_assert_ok(isc_params_new(&dev, &p));
  isc_assert_ok(isc_params_add(p, "w", 1, one, 0, &q));
  const isc_train_loop loop = {.size = sizeof loop,
                               .device = &dev,
                               .params = p,
                               .recipe = &recipe,
                               .io = &io.io,
                               .group_lr = {1},
                               .user = p,
                               .forward = explode};
  isc_assert_fails(isc_train_run(&loop), ISC_E_NUMERIC, "training step 2");
  cr_assert(strstr(isc_error(), "\"w\""), "%s", isc_error());
  isc_assert_ok(isc_param_get(p, q, &w));
  cr_assert(isfinite(w));
  isc_params_free(p);
  dev.ops->close(dev.impl);
}

/* ---- activations */

static int64_t downloads, reads;
static isc_status count_download(void *impl, void *host, const void *src, size_t bytes) {
  downloads++;
  return real->download(impl, host, src, bytes);
}
static isc_status count_read(void *impl, int64_t ticket, const void *src, size_t bytes) {
  reads++;
  return real->read_begin(impl, ticket, src, bytes);
}

static isc_test_harvested harvest(offer offered, const isc_test_harvest_job *job) {
  isc_device d = open_device(offered);
  isc_backend_ops ops = *d.ops;
  ops.download = count_download;
  ops.read_begin = count_read;
  d.ops = &ops;
  downloads = reads = 0;
  const isc_test_harvested h = isc_test_harvest(&d, job);
  d.ops->close(d.impl);
  return h;
}

/* Seven texts in passes of two; a streamed model's passes are of a layer. Choosing the sites reads some weights. */
static void harvest_later(const char *sites, const char *more, int64_t passes) {
  isc_test_harvest_job job = {
      .plugin = "gemma3", .name = "gemma3-regular", .more = more, .sites = sites};
  isc_test_harvested none = harvest(LATER, &job);
  const int64_t weights = downloads;
  job.times = 1;
  isc_test_harvested waited = harvest(WAITING, &job);
  cr_assert_geq(downloads - weights, passes);
  isc_test_harvested later = harvest(LATER, &job);
  cr_assert_eq(downloads, weights, "%s %s: the host waited %d times", sites, more,
               (int)(downloads - weights));
  cr_assert_eq(reads, passes, "%s %s: %d reads", sites, more, (int)reads);
  isc_test_same_harvest(&waited, &later, sites);
  isc_test_harvested_free(&none);
  isc_test_harvested_free(&waited);
  isc_test_harvested_free(&later);
}

Test(cuda_later, activations_come_a_pass_late_and_are_the_same, .timeout = 120) {
  harvest_later("*", "", 4);
  harvest_later("head.2.*", "", 4);
  harvest_later("resid_post.4", "", 4);
  harvest_later("*", "resident = \"stream\";", 4 * 7);
  harvest_later("resid_mid.3", "resident = \"stream\";", 4);
}
