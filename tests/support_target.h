/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets for tests: a random decoder with a tokenizer of the words "w0" to "w15", and the gpt2 plugin.
 */
#ifndef ISC_TESTS_SUPPORT_TARGET_H
#define ISC_TESTS_SUPPORT_TARGET_H

#include "config/config.h"
#include "model/sites.h"

typedef struct isc_test_target {
  isc_target target;
  isc_decoder *decoder;
  isc_tokenizer *tokenizer; /* NULL without a device: names and maps only */
} isc_test_target;

/* 3 layers of 2 heads of width 6 in a model of width 12 with 9 positions; dev NULL = the plain backend, no
 * tokenizer. */
isc_test_target isc_test_target_new(isc_device *dev);
void isc_test_target_free(isc_test_target *t);

/* The gpt2 plugin, opened through the registry and a config as a run opens it; `more`: further settings. */
typedef struct isc_test_gpt2 {
  isc_target target;
  isc_config *config;
  void *conf;
} isc_test_gpt2;
isc_status isc_test_plugin_try(isc_device *dev, const char *plugin, const char *dir,
                               const char *more, isc_test_gpt2 *out); /* any target plugin */
isc_status isc_test_gpt2_try(isc_device *dev, const char *dir, const char *more,
                             isc_test_gpt2 *out);
isc_test_gpt2 isc_test_gpt2_open(isc_device *dev, const char *dir, const char *more); /* asserts */
/* A tiny model of tests/data/families, with the tokenizer below; `name` is its directory or a file there. */
isc_status isc_test_family_try(isc_device *dev, const char *plugin, const char *name,
                               const char *more, isc_test_gpt2 *out);
/* A directory with a tokenizer for them: "t0", "<eos>", "t2" to "t60". */
enum { ISC_TEST_FAMILY_VOCAB = 61 };
const char *isc_test_family_tokenizer(void);
void isc_test_gpt2_close(isc_test_gpt2 *o); /* also after a failure */

#endif
