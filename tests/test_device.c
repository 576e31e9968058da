/* SPDX-License-Identifier: Apache-2.0
 *
 * Choosing and opening a backend: order of preference, why others were passed over, incomplete ones.
 *
 * The backends here are made in the test around the plain one and registered as built-in classes; Criterion runs
 * every test in its own process, so the registry starts empty each time.
 */
#include "plugin/registry.h"
#include "support.h"
#include "support_backend.h"
#include <inversescope/tensor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
  int64_t threads;
  const char *mode;
} settings;

static const isc_option OPTIONS[] = {{.name = "threads",
                                      .type = ISC_OPT_INT,
                                      .offset = offsetof(settings, threads),
                                      .preset = "3",
                                      .min = 1,
                                      .max = 9,
                                      .doc = "Number of threads."},
                                     {.name = "mode",
                                      .type = ISC_OPT_STRING,
                                      .offset = offsetof(settings, mode),
                                      .preset = "fast",
                                      .doc = "How."},
                                     ISC_OPTIONS_END};

static isc_status absent(char *why, size_t n) {
  snprintf(why, n, "there is no such card");
  return ISC_E_UNSUPPORTED;
}

static isc_status open_fails(const void *conf, void **impl) {
  (void)conf;
  *impl = NULL;
  return isc_fail(ISC_E_NOMEM, "the card is full");
}

/* The settings it was opened with, as the device's state. */
static isc_status open_kept(const void *conf, void **impl) {
  settings *kept = malloc(sizeof *kept);
  *kept = *(const settings *)conf;
  kept->mode = strdup(kept->mode);
  *impl = kept;
  return ISC_OK;
}

static void close_kept(void *impl) {
  free((char *)((settings *)impl)->mode);
  free(impl);
}

static isc_class class_of(const char *name, const isc_backend_ops *ops) {
  return (isc_class){ISC_CLASS(ISC_BACKEND),  .name = name,
                     .version = "1.0.0",      .summary = "A test's backend.",
                     .licence = "Apache-2.0", .ops = ops};
}

static void forget_path(void) {
  unsetenv("INVERSESCOPE_PLUGIN_PATH");
}

Test(device, auto_prefers_cuda_then_others_then_cpu) {
  isc_backend_ops missing = isc_test_plain_ops, full = isc_test_plain_ops;
  missing.probe = absent;
  full.open = open_fails;
  isc_class cpu = class_of("cpu", &isc_test_plain_ops), other = class_of("other", &full),
            cuda = class_of("cuda", &missing);
  isc_device *dev;
  char *report, *name;
  forget_path();
  isc_assert_ok(isc_registry_add_builtin(&cpu));
  isc_assert_ok(isc_registry_add_builtin(&other));
  isc_assert_ok(isc_registry_add_builtin(&cuda));
  isc_assert_ok(isc_device_open("auto", NULL, &dev, &report));
  cr_assert_str_eq(dev->cls->name, "cpu");
  cr_assert_str_eq(dev->description, "plain C for tests");
  cr_assert(strstr(report, "\"cuda\": there is no such card\n"), "%s", report);
  cr_assert(strstr(report, "the card is full\n"), "%s", report);
  cr_assert(strstr(report, "cuda") < strstr(report, "full"), "%s", report);
  isc_device_close(dev);
  free(report);
  isc_assert_ok(isc_device_pick(&name, &report)); /* a probe does not open */
  cr_assert_str_eq(name, "other");
  free(name);
  free(report);
}

Test(device, a_backend_without_an_operation_is_refused) {
  isc_backend_ops ops = isc_test_plain_ops;
  isc_class cls = class_of("partial", &ops);
  isc_device *dev = NULL;
  ops.control_grad = NULL;
  isc_assert_ok(isc_registry_add_builtin(&cls));
  isc_assert_fails(isc_device_open("partial", NULL, &dev, NULL), ISC_E_UNSUPPORTED,
                   "\"control_grad\"");
  cr_assert_null(dev);
}

Test(device, settings_default_from_the_option_table) {
  isc_backend_ops ops = isc_test_plain_ops;
  isc_class cls = class_of("tuned", &ops);
  const settings given = {.threads = 7, .mode = "slow"};
  isc_device *dev;
  ops.open = open_kept;
  ops.close = close_kept;
  cls.options = OPTIONS;
  cls.conf_size = sizeof(settings);
  isc_assert_ok(isc_registry_add_builtin(&cls));
  isc_assert_ok(isc_device_open("tuned", NULL, &dev, NULL));
  cr_assert_eq(((settings *)dev->impl)->threads, 3);
  cr_assert_str_eq(((settings *)dev->impl)->mode, "fast");
  isc_device_close(dev);
  isc_assert_ok(isc_device_open("tuned", &given, &dev, NULL));
  cr_assert_eq(((settings *)dev->impl)->threads, 7);
  isc_device_close(dev);
  isc_assert_fails(isc_device_open("auto", &given, &dev, NULL), ISC_E_USAGE, "name it");
}

Test(device, what_cannot_be_opened_says_why) {
  isc_backend_ops missing = isc_test_plain_ops;
  missing.probe = absent;
  isc_class cls = class_of("card", &missing);
  isc_device *dev;
  forget_path();
  isc_assert_ok(isc_registry_add_builtin(&cls));
  isc_assert_fails(isc_device_open("card", NULL, &dev, NULL), ISC_E_UNSUPPORTED,
                   "there is no such card");
  isc_assert_fails(isc_device_open("crad", NULL, &dev, NULL), ISC_E_MISSING, "crad");
  isc_device_close(NULL);
}
