/* SPDX-License-Identifier: Apache-2.0
 *
 * A target for tests: a random decoder with a tokenizer of the words "w0" to "w15".
 */
#ifndef ISC_TESTS_SUPPORT_TARGET_H
#define ISC_TESTS_SUPPORT_TARGET_H

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

#endif
