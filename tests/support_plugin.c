/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening prior and feature plugins in tests.
 *
 * Plugins copy what they need of their conf, so the config is freed as soon as one is open; a plugin
 * that kept a pointer into it would be caught by the address sanitizer.
 */
#include "support.h"
#include "support_plugin.h"
#include "base/base.h"
#include "config/config.h"
#include "plugin/registry.h"
#include <stdlib.h>

/* The class and its conf from options like "n_names = 5;". */
static isc_status configure(isc_kind kind, const char *name, const char *options,
                            isc_config **config, const isc_class **cls, void **conf) {
  char text[4096];
  const char *dir = isc_test_build("plugins/.libs");
  int n = snprintf(text, sizeof text, "x = { plugin = \"%s\"; %s };", name, options);
  cr_assert_lt(n, (int)sizeof text);
  ISC_TRY(isc_registry_search_path(&dir, 1));
  ISC_TRY(isc_config_parse(text, (size_t)n, "test.cfg", ".", config));
  isc_status st = isc_config_plugin(*config, "x", kind, NULL, NULL, cls, conf);
  if (st != ISC_OK) {
    isc_config_free(*config);
    *config = NULL;
  }
  return st;
}

isc_status isc_test_prior(const char *name, const char *options, uint64_t seed, isc_prior *out) {
  isc_config *config;
  const isc_class *cls;
  void *conf;
  *out = (isc_prior){0};
  ISC_TRY(configure(ISC_PRIOR, name, options, &config, &cls, &conf));
  const isc_prior_ops *ops = cls->ops;
  void *self = NULL;
  isc_status st = ops->open(conf, seed, &self);
  if (st == ISC_OK) *out = (isc_prior){ops, self, cls->name};
  free(conf);
  isc_config_free(config);
  return st;
}

void isc_test_prior_close(isc_prior *p) {
  if (p->ops) p->ops->close(p->self);
  *p = (isc_prior){0};
}

isc_status isc_test_feature_open(const char *name, const char *options, const isc_prior *prior,
                                 isc_test_feature *out) {
  isc_config *config;
  const isc_class *cls;
  void *conf;
  *out = (isc_test_feature){0};
  ISC_TRY(configure(ISC_FEATURE, name, options, &config, &cls, &conf));
  const isc_feature_ops *ops = cls->ops;
  void *self = NULL;
  isc_status st = ops->open(conf, prior, &self);
  if (st == ISC_OK) *out = (isc_test_feature){ops, self};
  free(conf);
  isc_config_free(config);
  return st;
}

void isc_test_feature_close(isc_test_feature *f) {
  if (f->ops) f->ops->close(f->self);
  *f = (isc_test_feature){0};
}

const char *isc_test_label(const isc_test_feature *f, const char *text, size_t len) {
  static isc_text out;
  isc_assert_ok(f->ops->label(f->self, text, len, &out));
  return out.data;
}
