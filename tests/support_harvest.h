/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations of a few texts at every site of a tiny model of tests/data/families, to be compared bit by bit.
 */
#ifndef ISC_TESTS_SUPPORT_HARVEST_H
#define ISC_TESTS_SUPPORT_HARVEST_H

#include "model/sites.h"

enum { ISC_TEST_HARVEST_TEXTS = 7 };

typedef struct isc_test_harvested {
  isc_site_set sites;
  float **at; /* [sites] of [texts, stored] */
  char fingerprint[33];
} isc_test_harvested;

typedef struct isc_test_harvest_job {
  const char *plugin, *name; /* the family's class, and the model's directory */
  const char *more;          /* further settings of the target                */
  const char *sites;         /* a pattern                                     */
  bool padded;               /* sequences are padded, not packed              */
  int times;                 /* it is done, with one opened model; the last counts */
} isc_test_harvest_job;

/* Asserts that all goes well. */
isc_test_harvested isc_test_harvest(isc_device *dev, const isc_test_harvest_job *job);
void isc_test_harvested_free(isc_test_harvested *h);
/* Asserts equal bits, of head maps and fingerprints too; `what` is for messages. */
void isc_test_same_harvest(const isc_test_harvested *a, const isc_test_harvested *b,
                           const char *what);

#endif
