/* SPDX-License-Identifier: Apache-2.0
 *
 * What was published stays: offsets, sizes, constants, and a plugin of the first headers.
 *
 * tests/abi/1.0 is a frozen copy of the first headers. The plugin in tests/abi/old_plugin.c is compiled against it alone.
 */
#include "abi/layout.h"
#include "config/config.h"
#include "plugin/registry.h"
#include "support.h"
#include <inversescope/feature.h>
#include <inversescope/kernel.h>
#include <inversescope/method.h>
#include <inversescope/prior.h>
#include <math.h>
#include <stdlib.h>

Test(abi, members_and_constants_stay_where_they_were) {
  int64_t n = 0;
  for (; layout_frozen[n].name; n++) {
    const layout *was = &layout_frozen[n], *is = &layout_now[n];
    cr_assert_str_eq(was->name, is->name);
    cr_assert_eq(was->offset, is->offset, "%s moved from byte %zu to %zu", was->name, was->offset,
                 is->offset);
    cr_assert_eq(was->size, is->size, "%s had %zu bytes and has %zu", was->name, was->size,
                 is->size);
    cr_assert_eq(was->value, is->value, "%s was %lld and is %lld", was->name, was->value,
                 is->value);
  }
  cr_assert_gt(n, 400, "the list of members is nearly empty");
}

/* A class of the old plugin, its conf filled from `options`. The config stays, for its strings. */
static const isc_class *old_class(isc_kind kind, const char *options, void **conf) {
  static isc_config *config;
  const isc_class *cls;
  char text[256];
  const char *dir = isc_test_build("tests/abi/.libs");
  int n = snprintf(text, sizeof text, "x = { plugin = \"old\"; %s };", options);
  isc_assert_ok(isc_registry_search_path(&dir, 1));
  isc_assert_ok(isc_registry_load(isc_test_build("tests/abi/.libs/old_plugin.so")));
  isc_assert_ok(isc_config_parse(text, (size_t)n, "test.cfg", ".", &config));
  isc_assert_ok(isc_config_plugin(config, "x", kind, NULL, NULL, &cls, conf));
  return cls;
}

Test(abi, a_prior_of_the_first_headers_works) {
  void *conf, *self;
  const isc_class *cls = old_class(ISC_PRIOR, "count = 3;", &conf);
  const isc_prior_ops *ops = cls->ops;
  isc_text text = {0};
  double log_p;
  isc_assert_ok(ops->open(conf, 1, &self));
  cr_assert_eq(ops->support(self), 6);
  cr_assert_eq(ops->count(self, ISC_TRAIN) + ops->count(self, ISC_TEST), 6);
  isc_assert_ok(ops->draw(self, ISC_TRAIN, 0, &text));
  isc_assert_ok(ops->log_prob(self, text.data, text.len, &log_p));
  cr_assert_float_eq(log_p, -log(6.0), 1e-12);
  cr_assert_null(ops->answer);
  isc_text_free(&text);
  ops->close(self);
  free(conf);
}

Test(abi, a_kernel_of_the_first_headers_works) {
  void *conf, *self;
  const isc_class *cls = old_class(ISC_KERNEL, "epsilon = 0.25;", &conf);
  const isc_kernel_ops *ops = cls->ops;
  isc_rng rng = isc_rng_at(1, ISC_RNG_NOISE_RADIUS, 0);
  isc_noise_draw draw = {0};
  isc_assert_ok(ops->open(conf, 1, &self));
  cr_assert_eq(ops->epsilon(self), 0.25);
  cr_assert_float_eq(ops->profile(self, 2), exp(-2), 1e-15);
  /* In one dimension d is exponential of mean ε: P(d ≤ ε) = 1 − 1/e. */
  cr_assert_float_eq(ops->distance_cdf(self, 0.25), 1 - exp(-1), 1e-9);
  ops->draw(self, &rng, &draw);
  cr_assert(draw.d > 0 && draw.radius == draw.d);
  ops->close(self);
  free(conf);
}

Test(abi, a_feature_of_the_first_headers_works) {
  void *conf, *self;
  const isc_class *cls = old_class(ISC_FEATURE, "", &conf);
  const isc_feature_ops *ops = cls->ops;
  isc_text label = {0};
  isc_assert_ok(ops->open(conf, NULL, &self));
  isc_assert_ok(ops->label(self, "twelve bytes and more", 21, &label));
  cr_assert_str_eq(label.data, "long");
  isc_text_free(&label);
  ops->close(self);
  free(conf);
}

Test(abi, a_method_of_the_first_headers_works) {
  void *conf, *self;
  const isc_class *cls = old_class(ISC_METHOD, "", &conf);
  const isc_method_ops *ops = cls->ops;
  const isc_site sites[] = {{.name = "a", .dim = 3, .stored = 3},
                            {.name = "b", .dim = 5, .stored = 5}};
  const isc_method_env env = {
      .size = sizeof env, .sites = sites, .site_size = sizeof *sites, .n_sites = 2, .n_train = 100};
  isc_assert_ok(ops->open(conf, &env, &self));
  cr_assert_eq(ops->parameters(self), 105);
  cr_assert_null(ops->stages(self)[0]);
  ops->close(self);
  free(conf);
}
