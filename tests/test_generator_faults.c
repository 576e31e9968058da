/* SPDX-License-Identifier: Apache-2.0
 *
 * Every stage of the method with its 1st, 2nd, 3rd … allocation failing, and with device calls failing: each ends in
 * one clear status, nothing crashes, and the next try succeeds.
 *
 * Leaks show under the leak checker, which runs these too.
 */
#include "support.h"
#include "support_backend.h"
#include "support_method.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

typedef struct study {
  isc_device *cpu;
  isc_test_wrapper wrapper; /* around it */
  isc_toy toy;
  isc_inversescope_conf conf;
  const isc_method_ops *ops;
  const char *dir;
} study;

static void study_open(study *s, const char *name) {
  s->cpu = isc_toy_device(1);
  isc_test_wrap(&s->wrapper, *s->cpu);
  isc_toy_open(&s->toy, &s->wrapper.device, 3);
  s->toy.env.n_train = 12;
  s->conf = isc_toy_conf();
  s->conf.backbone.recipe.steps = s->conf.control.recipe.steps = 1;
  s->conf.backbone.recipe.batch = s->conf.control.recipe.batch = 6;
  s->conf.backbone.looks = 0;
  s->conf.control.looks = 1;
  s->conf.control.noise = ISC_NOISE_MIXED;
  s->conf.control.backbone = ISC_BACKBONE_TUNED;
  s->ops = isc_method_inversescope_class()->ops;
  s->dir = isc_test_dir(name);
}

static void study_close(study *s) {
  isc_toy_close(&s->toy);
  isc_device_close(s->cpu);
}

static isc_status drop(void *user, int64_t row, int64_t j, const char *text, size_t len,
                       double log_q) {
  (void)user;
  (void)row;
  (void)j;
  (void)text;
  (void)len;
  (void)log_q;
  return ISC_OK;
}

static isc_status invert(study *s, void *m) {
  const float z[ISC_TOY_DIM] = {1, 2, 3}, *at[] = {z, z};
  const int64_t site[] = {2, 0};
  const uint64_t index[] = {0, 4};
  const isc_invert req = {.size = sizeof req,
                          .n = 2,
                          .site = site,
                          .z = at,
                          .samples = 4,
                          .temperature = 1,
                          .seed = 1,
                          .index = index,
                          .batch = 8,
                          .sample = drop};
  return s->ops->invert(m, &req);
}

/* The whole life of a method; stages in directories of their own. */
static isc_status live(study *s) {
  isc_status st = ISC_OK;
  void *m = NULL;
  char backbone[1100], control[1100];
  snprintf(backbone, sizeof backbone, "%s/backbone", s->dir);
  snprintf(control, sizeof control, "%s/control", s->dir);
  isc_toy_io a = isc_toy_io_new(backbone), b = isc_toy_io_new(control);
  a.io.core = &a;
  b.io.core = &b;
  ISC_GO(s->ops->open(&s->conf, &s->toy.env, &m));
  ISC_GO(s->ops->train(m, 0, &a.io));
  ISC_GO(s->ops->load(m, 0, backbone));
  ISC_GO(s->ops->train(m, 1, &b.io));
  ISC_GO(s->ops->load(m, 1, control));
  ISC_GO(invert(s, m));
done:
  if (m) s->ops->close(m);
  return st;
}

Test(generator_faults, any_allocation_may_fail) {
  study s;
  int64_t failures = 0;
  isc_status st;
  study_open(&s, "no_memory");
  do {
    isc_alloc_fail_at(failures + 1);
    st = live(&s);
    bool happened = st != ISC_OK;
    isc_alloc_fail_at(0);
    if (!happened) break;
    cr_assert_eq(st, ISC_E_NOMEM, "allocation %d: %s: %s", (int)failures + 1, isc_status_name(st),
                 isc_error());
    failures++;
  } while (failures < 100000);
  cr_assert(failures > 150, "only %d allocations", (int)failures);
  study_close(&s);
}

/* Thousands of calls, of which some sixty are tried, spread over all of it. */
Test(generator_faults, any_device_call_may_fail) {
  study s;
  study_open(&s, "no_device");
  isc_assert_ok(live(&s));
  int64_t calls = s.wrapper.n.calls;
  cr_assert(calls > 500);
  for (int64_t k = 1; k <= calls; k += calls / 60 | 1) {
    s.wrapper.n = (isc_test_counts){.fail_at = k};
    isc_status st = live(&s);
    cr_assert_eq(st, ISC_E_DEVICE, "call %d of %d: %s: %s", (int)k, (int)calls, isc_status_name(st),
                 isc_error());
  }
  s.wrapper.n = (isc_test_counts){0};
  isc_assert_ok(live(&s));
  cr_assert_eq(s.wrapper.n.calls, calls, "a failure left something behind");
  study_close(&s);
}
