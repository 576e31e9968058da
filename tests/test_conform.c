/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the checks: each finds the plugin that breaks its rule, and only that one.
 *
 * For every ID there is a plugin that breaks it and nothing else (tests/conform); `make conform-plugins` builds them into
 * tests/conform/broken. Those without a defect pass everything.
 */
#include "support.h"
#include "support_conform.h"
#include "support_run.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Instrumented code is ten times slower, so a broken plugin gets its own check alone. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool slow = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
static const bool slow = true;
#else
static const bool slow = false;
#endif
#else
static const bool slow = false;
#endif

/* The built plugins whose file name begins so. */
static glob_t built(const char *prefix) {
  glob_t g = {0};
  char pattern[600];
  snprintf(pattern, sizeof pattern, "%s/%s*.so", isc_test_build("tests/conform/broken"), prefix);
  cr_assert_eq(glob(pattern, 0, NULL, &g), 0, "%s: none; run `make conform-plugins`", pattern);
  cr_assert_lt(g.gl_pathc, ISC_CONFORM_ARGS - 20);
  return g;
}

static isc_conformed check(char *const *plugins, size_t n, const char *only) {
  const char *args[ISC_CONFORM_ARGS] = {"--json", "--timeout-scale", "5"};
  size_t k = 3;
  if (only) {
    args[k++] = "--only";
    args[k++] = only;
  }
  for (size_t i = 0; i < n; i++)
    args[k++] = plugins[i];
  isc_conformed c = isc_conform_cli(args);
  cr_assert(c.json && c.status != 3, "ended with %d: %s", c.status, c.err);
  cr_assert_eq(isc_report_plugins(c.json), n);
  return c;
}

/* "a/b/prior.index.so" → "prior.index" */
static const char *id_of(const char *path) {
  static char id[128];
  const char *slash = strrchr(path, '/');
  snprintf(id, sizeof id, "%.*s", (int)(strlen(slash + 1) - 3), slash + 1);
  return id;
}

/* The plugin is not through its own check, and through all others. */
static bool breaks_it_alone(const json_t *plugin, const char *id) {
  size_t i;
  json_t *r;
  bool broken = false, others = false;
  json_array_foreach(json_object_get(plugin, "results"), i, r) {
    const char *status = json_string_value(json_object_get(r, "status"));
    if (!strcmp(status, "passed") || !strcmp(status, "skipped")) continue;
    if (!strcmp(json_string_value(json_object_get(r, "id")), id))
      broken = true;
    else
      others = true;
  }
  return broken && !others;
}

static bool watches_heap(const char *id) {
  return !strcmp(id, "any.leaks") || !strcmp(id, "any.out-of-memory");
}

static int judge(const json_t *plugin, const char *path) {
  const char *id = id_of(path), *message;
  /* Sanitizers have a heap of their own. */
  if (slow && watches_heap(id)) return 0;
  if (breaks_it_alone(plugin, id)) return 0;
  const char *status = isc_report_status(plugin, id, NULL, &message);
  fprintf(stderr, "%s: %s %s%s%s; not passed: %s\n", path, id, status, *message ? ": " : "",
          message, isc_report_failures(plugin));
  return 1;
}

static void broken_plugins(const char *family) {
  char prefix[32];
  int wrong = 0;
  snprintf(prefix, sizeof prefix, "%s.", family);
  glob_t g = built(prefix);
  if (slow) {
    for (size_t i = 0; i < g.gl_pathc; i++) {
      isc_conformed c = check(&g.gl_pathv[i], 1, id_of(g.gl_pathv[i]));
      wrong += judge(isc_report_plugin(c.json, 0), g.gl_pathv[i]);
      isc_conformed_free(&c);
    }
  } else {
    isc_conformed c = check(g.gl_pathv, g.gl_pathc, NULL);
    for (size_t i = 0; i < g.gl_pathc; i++)
      wrong += judge(isc_report_plugin(c.json, i), g.gl_pathv[i]);
    isc_conformed_free(&c);
  }
  globfree(&g);
  cr_assert_eq(wrong, 0, "%d plugins are not found to break exactly their own rule", wrong);
}

Test(conform, broken_plugins_of_any_kind_fail_their_own_check_alone) {
  broken_plugins("any");
}

Test(conform, broken_targets_fail_their_own_check_alone) {
  broken_plugins("target");
}

Test(conform, broken_priors_fail_their_own_check_alone) {
  broken_plugins("prior");
}

Test(conform, broken_kernels_fail_their_own_check_alone) {
  broken_plugins("kernel");
}

Test(conform, broken_features_fail_their_own_check_alone) {
  broken_plugins("feature");
}

Test(conform, broken_methods_fail_their_own_check_alone) {
  broken_plugins("method");
}

Test(conform, broken_backends_fail_their_own_check_alone) {
  broken_plugins("backend");
}

Test(conform, plugins_without_a_defect_pass_everything) {
  glob_t g = built("good_");
  isc_conformed c = check(g.gl_pathv, g.gl_pathc, NULL);
  for (size_t i = 0; i < g.gl_pathc; i++)
    cr_expect_str_empty(isc_report_failures(isc_report_plugin(c.json, i)), "%s: %s", g.gl_pathv[i],
                        isc_report_failures(isc_report_plugin(c.json, i)));
  cr_assert_eq(c.status, 0);
  isc_conformed_free(&c);
  globfree(&g);
}

Test(conform, a_backend_of_the_first_headers_is_not_asked_for_what_came_later) {
  static const char *const later[] = {
      "backend.rotary",        "backend.gate",      "backend.gate-grad", "backend.jumprelu",
      "backend.jumprelu-grad", "backend.distances", "backend.to-bf16"};
  isc_conformed c = isc_conform_cli(
      ARGS("--json", "--timeout-scale", "5", isc_test_build("tests/conform/.libs/old_backend.so")));
  const json_t *plugin = isc_report_plugin(c.json, 0);
  const char *message;
  cr_assert_eq(c.status, 0, "%s", isc_report_failures(plugin));
  for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
    cr_expect_str_eq(isc_report_status(plugin, later[i], NULL, &message), "skipped");
    cr_expect(strstr(message, "ABI 1.0"), "%s", message);
  }
  cr_expect_str_eq(isc_report_status(plugin, "backend.layernorm", NULL, NULL), "passed");
  isc_conformed_free(&c);
}

Test(conform, a_norm_band_is_asked_of_angular_kernels_alone) {
  static const char cases[] =
      "cases = ( { class = \"kernel/broken-kernel\"; options = { geometry = \"euclidean\"; }; },"
      " { class = \"kernel/broken-kernel\"; options = { delta = 0.3; }; } );";
  const char *dir = isc_scratch("conform");
  isc_test_write(dir, "cases.cfg", cases, sizeof cases - 1);
  isc_conformed c = isc_conform_cli(
      ARGS("--json", "--only", "kernel.epsilon", "--cases", isc_test_path(dir, "cases.cfg"),
           isc_test_build("tests/conform/broken/good_broken_kernel.so")));
  cr_assert_str_empty(isc_report_failures(isc_report_plugin(c.json, 0)));
  cr_assert_eq(c.status, 0);
  isc_conformed_free(&c);
}

Test(conform, every_check_has_a_plugin_that_breaks_it) {
  isc_conformed c = isc_conform_cli(ARGS("--list", "--json"));
  size_t i;
  json_t *check;
  json_array_foreach(json_object_get(c.json, "checks"), i, check) {
    char file[256];
    const char *id = json_string_value(json_object_get(check, "id"));
    snprintf(file, sizeof file, "tests/conform/broken/%s.so", id);
    cr_expect_eq(access(isc_test_build(file), R_OK), 0, "nothing breaks %s", id);
  }
  isc_conformed_free(&c);
}
