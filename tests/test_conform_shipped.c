/* SPDX-License-Identifier: Apache-2.0
 *
 * A fact about the shipped plugins: each keeps the contracts of its kind, on the cases of conf/conform.
 */
#include "support.h"
#include "support_conform.h"
#include "support_run.h"

#include <glob.h>
#include <string.h>

static void conforms(const char *where) {
  const char *args[ISC_CONFORM_ARGS] = {"--json", "--timeout-scale", "10", "--cases",
                                        isc_test_source("conf/conform")};
  size_t k = 5;
  glob_t g = {0};
  cr_assert_eq(glob(isc_test_build(where), 0, NULL, &g), 0, "%s: no plugins", where);
  for (size_t i = 0; i < g.gl_pathc; i++)
    args[k++] = g.gl_pathv[i];
  isc_conformed c = isc_conform_cli(args);
  cr_assert(c.json, "ended with %d: %s", c.status, c.err);
  for (size_t i = 0; i < isc_report_plugins(c.json); i++) {
    const json_t *p = isc_report_plugin(c.json, i);
    cr_expect_str_empty(isc_report_failures(p), "%s: %s", g.gl_pathv[i], isc_report_failures(p));
    /* Without a case most of a plugin would go unchecked and nobody would know. */
    size_t r;
    json_t *result;
    json_array_foreach(json_object_get(p, "results"), r, result) {
      const char *message = json_string_value(json_object_get(result, "message"));
      cr_expect_not(strstr(message, "is required"), "%s: %s", g.gl_pathv[i], message);
    }
  }
  cr_assert_eq(c.status, 0, "ended with %d: %s", c.status, c.err);
  isc_conformed_free(&c);
  globfree(&g);
}

Test(conform_shipped, priors_conform) {
  conforms("plugins/.libs/prior_*.so");
}

Test(conform_shipped, kernels_conform) {
  conforms("plugins/.libs/kernel_*.so");
}

Test(conform_shipped, features_conform) {
  conforms("plugins/.libs/feature_*.so");
}

Test(conform_shipped, targets_conform) {
  conforms("plugins/.libs/target_*.so");
}

Test(conform_shipped, methods_conform) {
  conforms("plugins/.libs/method_*.so");
}

Test(conform_shipped, backends_conform) {
  conforms("kernels/.libs/backend_*.so");
}
