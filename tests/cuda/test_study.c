/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole study on the emulated device: the processor's losses and samples, the same count of what was taken, and the same
 * bytes after a stop, though the device answers a step late.
 */
#include "support.h"
#include "../support_run.h"
#include "base/base.h"
#include "run/rehearsal.h"
#include "run/spent.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SMALL                                                                                      \
  "method.control.looks=0", "method.backbone.looks=0", "method.backbone.steps=5",                  \
      "method.control.steps=5", "method.backbone.batch=4", "method.control.batch=4",               \
      "evaluate.conditions=2", "evaluate.samples=3", "evaluate.unconditional=4"
#define CUDA "run.device=cuda", SMALL
#define CPU  "run.device=cpu", SMALL

/* A study whose plugins are found as before, but for the emulated backend, which comes first. */
static const char *new_study(const char *name) {
  const char *before = getenv("INVERSESCOPE_PLUGIN_PATH");
  char path[8192];
  snprintf(path, sizeof path, "%s%s%s", isc_test_build("tests/cuda/.libs"), before ? ":" : "",
           before ? before : "");
  setenv("INVERSESCOPE_PLUGIN_PATH", path, 1);
  return isc_micro_new(name);
}

static double column(const char *dir, const char *name, int64_t line, int64_t c) {
  char *text = isc_test_read(dir, name, NULL), *at = text;
  for (int64_t i = 0; i < line && at; i++)
    at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
  for (int64_t i = 0; i < c && at; i++)
    at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL;
  const double x = at && *at ? strtod(at, NULL) : NAN;
  free(text);
  return x;
}

static void same_losses(const char *dir, const char *stage, int64_t steps) {
  char a[128], b[128];
  snprintf(a, sizeof a, "host/%s/curve.csv", stage);
  snprintf(b, sizeof b, "device/%s/curve.csv", stage);
  for (int64_t i = 1; i <= steps; i++) {
    const double x = column(dir, a, i, 1), y = column(dir, b, i, 1);
    cr_assert(column(dir, b, i, 0) == (double)i, "%s: line %d", stage, (int)i);
    cr_assert(fabs(x - y) < 1e-3, "%s, step %d: loss %g and %g", stage, (int)i, x, y);
  }
}

static void same_spent(const char *dir, const char *a, const char *b, const char *stage) {
  isc_spent x, y;
  char path[2][1200];
  snprintf(path[0], sizeof path[0], "%s/%s/%s", dir, a, stage);
  snprintf(path[1], sizeof path[1], "%s/%s/%s", dir, b, stage);
  isc_assert_ok(isc_spent_read(path[0], &x));
  isc_assert_ok(isc_spent_read(path[1], &y));
  cr_assert(x.steps == y.steps && x.examples == y.examples && x.tokens == y.tokens, "%s", stage);
  cr_assert(x.flops == y.flops, "%s: %.17g and %.17g operations", stage, x.flops, y.flops);
}

Test(cuda_study, has_the_processors_losses_and_takes_as_much, .timeout = 600) {
  const char *dir = new_study("study");
  isc_assert_ok(isc_micro_run(dir, "host", SET(CPU), NULL, NULL));
  isc_assert_ok(isc_micro_run(dir, "device", SET(CUDA), NULL, NULL));
  same_losses(dir, "backbone", 5);
  same_losses(dir, "control", 5);
  same_spent(dir, "host", "device", "backbone");
  same_spent(dir, "host", "device", "control");
}

/* ---- memory */

#define LARGE                                                                                      \
  "run.device=cuda", "method.control.looks=0", "method.control.backbone=tuned",                    \
      "method.backbone.looks=0", "method.backbone.layers=6", "method.backbone.width=256",          \
      "method.backbone.mlp=1024", "method.backbone.heads=4", "method.backbone.steps=2",            \
      "method.backbone.batch=2", "method.control.steps=2", "method.control.batch=2",               \
      "evaluate.conditions=2", "evaluate.samples=2", "evaluate.unconditional=2",                   \
      "target.sites=[\"head.0.0\"]"

static void foretold(const char *dir, const char *stage, double bytes) {
  isc_spent s;
  char path[1200];
  snprintf(path, sizeof path, "%s/run/%s", dir, stage);
  isc_assert_ok(isc_spent_read(path, &s));
  cr_assert(s.memory > 0);
  cr_assert(fabs(bytes / s.memory - 1) < 0.1, "%s: %.4g bytes foretold, %.4g taken", stage, bytes,
            s.memory);
}

/* The parameters and moments of the backbone alone are 76 MB, so that no fixed part hides a mistake. */
Test(cuda_study, takes_the_memory_that_its_rehearsal_foretold, .timeout = 600) {
  const char *dir = new_study("memory"), *const *set = SET(LARGE);
  isc_config_source source = {.path = isc_test_path(dir, "study.cfg"), .overrides = set};
  while (set[source.n_overrides])
    source.n_overrides++;
  isc_study *s;
  isc_study_plan plan;
  isc_rehearsal r;
  isc_assert_ok(isc_study_read(&source, isc_test_path(dir, "plan"), &s));
  isc_assert_ok(isc_study_plan_make(s, &plan));
  isc_assert_ok(isc_rehearse(s, &plan, &s->method[0], isc_test_path(dir, "scratch"), &r));
  isc_study_close(s);
  isc_assert_ok(isc_micro_run(dir, "run", set, NULL, NULL));
  foretold(dir, "harvest", r.harvest_memory);
  cr_assert_gt(r.stage[0].memory, 76e6);
  foretold(dir, "backbone", r.stage[0].memory);
  foretold(dir, "control", r.stage[1].memory);
  foretold(dir, "sample", r.sampling_memory);
}

/* ---- stops */

static volatile sig_atomic_t stop;
static int64_t stop_at;

static void stop_there(void *user, const char *stage, int64_t done, int64_t total,
                       const isc_metric *m, int64_t n, double seconds) {
  (void)total, (void)m, (void)n, (void)seconds;
  if (!strcmp(stage, user) && done == stop_at) stop = 1;
}

Test(cuda_study, is_the_same_after_a_stop_in_each_training, .timeout = 600) {
  const char *dir = new_study("stop");
  isc_assert_ok(isc_micro_run(dir, "whole", SET(CUDA), NULL, NULL));
  const char *const stages[] = {"backbone", "control"};
  for (int i = 0; i < 2; i++) {
    const isc_run_events events = {.user = (void *)(uintptr_t)stages[i], .progress = stop_there};
    stop = 0;
    stop_at = 3;
    cr_assert_eq(isc_micro_run(dir, "parts", SET(CUDA), &events, &stop), ISC_E_INTERRUPTED);
  }
  isc_assert_ok(isc_micro_run(dir, "parts", SET(CUDA), NULL, NULL));
  isc_assert_same_runs(dir, "whole", "parts", "a run that was stopped twice");
  same_spent(dir, "whole", "parts", "backbone");
  same_spent(dir, "whole", "parts", "control");
}

Test(cuda_study, a_dry_run_tells_of_the_two_layers_of_a_streamed_target, .timeout = 120) {
  const char *dir = new_study("streamed");
  isc_cli c = isc_cli_run(dir,
                          SET("run", "study.cfg", "--dry-run", "--set", "run.device=cuda", "--set",
                              "target.resident=stream"),
                          NULL);
  cr_assert_eq(c.status, 0, "%s", c.err);
  cr_assert(strstr(c.out, "f32, streamed by two layers"), "%s", c.out);
  cr_assert(strstr(c.out, "of which two are held"), "%s", c.out);
  isc_cli_free(&c);
}

/* ---- a device that fails */

static void fail_there(void *user, const char *stage, int64_t done, int64_t total,
                       const isc_metric *m, int64_t n, double seconds) {
  (void)user, (void)total, (void)m, (void)n, (void)seconds;
  if (!strcmp(stage, "control") && done == 3) setenv("INVERSESCOPE_EMULATION", "fail", 1);
}

Test(cuda_study, goes_on_from_the_last_checkpoint_after_a_device_failed, .timeout = 600) {
  const char *dir = new_study("failed"), *const *set = SET(CUDA, "run.checkpoint_seconds=0");
  const isc_run_events events = {.progress = fail_there};
  isc_assert_ok(isc_micro_run(dir, "whole", set, NULL, NULL));
  isc_assert_fails(isc_micro_run(dir, "parts", set, &events, NULL), ISC_E_DEVICE, "CUDA backend");
  unsetenv("INVERSESCOPE_EMULATION");
  cr_assert(isc_exists(isc_test_path(dir, "parts/control/checkpoint.safetensors")),
            "there is no checkpoint");
  cr_assert_str_eq(isc_micro_redone(dir, "parts", set), "control sample score report");
  isc_assert_same_runs(dir, "whole", "parts", "a run whose device failed");
}
