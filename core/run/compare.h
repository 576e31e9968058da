/* SPDX-License-Identifier: Apache-2.0
 *
 * Two sets of scores beside each other, in pairs: the same held-out inputs at the same sites, inverted by two methods or under two
 * settings.
 *
 * The document is compare.json of docs/report.md. Nothing but finished files is read, so any two runs can be compared.
 */
#ifndef ISC_CORE_COMPARE_H
#define ISC_CORE_COMPARE_H

#include <inversescope/status.h>
#include <stdint.h>

typedef struct isc_comparison {
  const char *a, *b; /* directories that hold a method's stages: a run's, or a baseline's in it */
  const char *name_a,
      *name_b; /* what to call them; NULL = the method's name, or the directory where both are the same */
  const char *budget; /* what b's training was held to; NULL = not known */
  int64_t resamples;  /* of the bootstrap */
  uint64_t seed;
} isc_comparison;

/* *text (malloc'd) = the document. ISC_E_MISSING when one is not a finished run, ISC_E_USAGE when they have no site, or fewer than two
 * held-out inputs, in common. */
ISC_API isc_status isc_compare_run(const isc_comparison *c, char **text);

#endif
