/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening prior and feature plugins as a run does: from the build's plugin directory, with their
 * options written as config text.
 */
#ifndef ISC_TESTS_SUPPORT_PLUGIN_H
#define ISC_TESTS_SUPPORT_PLUGIN_H

#include <inversescope/feature.h>

/* An opened prior; ends with isc_test_prior_close. The plugin stays loaded. */
isc_status isc_test_prior(const char *name, const char *options, uint64_t seed, isc_prior *out);
void isc_test_prior_close(isc_prior *p);

typedef struct isc_test_feature {
  const isc_feature_ops *ops;
  void *self;
} isc_test_feature;
/* `prior` may be NULL. */
isc_status isc_test_feature_open(const char *name, const char *options, const isc_prior *prior,
                                 isc_test_feature *out);
void isc_test_feature_close(isc_test_feature *f);
/* The label of a text; static, until the next call. Asserts success. */
const char *isc_test_label(const isc_test_feature *f, const char *text, size_t len);

#endif
