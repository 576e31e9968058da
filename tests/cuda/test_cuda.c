/* SPDX-License-Identifier: Apache-2.0
 *
 * A fact about the CUDA backend: on the emulation of the device it keeps every rule for backends, in whatever order threads
 * run, and its host's side never touches device memory; with products by the emulated libraries too.
 */
#include "support.h"
#include "support_conform.h"
#include "support_run.h"

#include <stdlib.h>

static void conforms_in(const char *mode, const char *only, const char *cases, const char *name) {
  const char *args[ISC_CONFORM_ARGS] = {"--json", "--timeout-scale", "10", "--cases",
                                        isc_test_source(cases)};
  size_t n = 5;
  if (only) {
    args[n++] = "--only";
    args[n++] = only;
  }
  if (name) {
    args[n++] = "--case";
    args[n++] = name;
  }
  char module[600];
  snprintf(module, sizeof module, "%s", isc_test_build("tests/cuda/.libs/backend_cuda.so"));
  args[n] = module;
  cr_assert_eq(setenv("INVERSESCOPE_EMULATION", mode, 1), 0);
  isc_conformed c = isc_conform_cli(args);
  cr_assert(c.json, "ended with %d: %s", c.status, c.err);
  const json_t *p = isc_report_plugin(c.json, 0);
  cr_assert_str_empty(isc_report_failures(p), "%s", isc_report_failures(p));
  const char *asked = only && !strchr(only, ',') ? only : "backend.gemm";
  cr_assert_str_eq(isc_report_status(p, only ? asked : "backend.rows", NULL, NULL), "passed");
  cr_assert_eq(c.status, 0, "ended with %d: %s", c.status, c.err);
  isc_conformed_free(&c);
}

static void conforms(const char *mode, const char *only) {
  conforms_in(mode, only, "conf/conform", NULL);
}

Test(cuda, keeps_every_rule_for_backends_with_threads_in_a_random_order) {
  conforms("random", NULL);
}

Test(cuda, gives_the_same_bits_with_threads_forward) {
  conforms("forward", "any.same-seed");
}

Test(cuda, gives_the_same_bits_with_threads_backward) {
  conforms("backward", "any.same-seed");
}

/* In this mode a host access to device memory is a crash. */
Test(cuda, its_host_side_never_touches_device_memory) {
  conforms("guard", "any.same-seed");
}

Test(cuda, no_operation_on_rows_touches_device_memory_from_the_host) {
  conforms("guard", "backend.xent");
}

/* ---- products by the libraries, whose emulation lets a row's bits depend on how many there are */

#define SOME                                                                                       \
  "backend.gemm,backend.xent,backend.control,backend.control-grad,backend.zero-size,any.same-seed"

static void products(const char *library, const char *name, const char *only) {
  cr_assert_eq(setenv("INVERSESCOPE_EMULATED_LIBRARY", library, 1), 0);
  conforms_in("random", only, "tests/cuda/products.cfg", name);
}

Test(cuda, keeps_the_rules_with_own_products) {
  products("", "exact", SOME);
}

Test(cuda, keeps_the_rules_with_gradients_by_cublas_lt) {
  products("", "gradients", SOME);
}

Test(cuda, keeps_the_rules_but_that_of_rows_with_products_by_cublas_lt) {
  products("", "cublas", SOME);
}

Test(cuda, keeps_the_rules_but_that_of_rows_with_products_by_cublas) {
  products("old", "cublas", SOME);
}

Test(cuda, keeps_the_rules_where_cublas_lt_has_no_kernel) {
  products("refusing", "cublas", SOME);
}

Test(cuda, its_host_side_never_touches_device_memory_with_products_by_cublas_lt) {
  cr_assert_eq(setenv("INVERSESCOPE_EMULATED_LIBRARY", "", 1), 0);
  conforms_in("guard", "backend.gemm,backend.control-grad", "tests/cuda/products.cfg", "cublas");
}

Test(cuda, keeps_the_rules_without_a_library) {
  cr_assert_eq(setenv("INVERSESCOPE_EMULATED_LIBRARY", "absent", 1), 0);
  conforms("random", SOME);
}
