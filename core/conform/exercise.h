/* SPDX-License-Identifier: Apache-2.0
 *
 * Running a class's exercise: one cycle of open, use, close, and what it gave.
 */
#ifndef ISC_CORE_CONFORM_EXERCISE_H
#define ISC_CORE_CONFORM_EXERCISE_H

#include "conform/conform.h"

/* Open on the case's settings, use `uses` times, close. The bytes it gave are appended to `out`. */
isc_status isc_exercise_cycle(isc_conform *c, uint64_t seed, int threads, int uses, isc_sb *out);
/* Two transcripts: equal, or ISC_E_INTERNAL telling `what`, their lengths and where they part. */
isc_status isc_transcripts_agree(const isc_sb *a, const isc_sb *b, const char *what);
/* A cycle that must succeed, with the reason in front when it does not. */
isc_status isc_exercise_must(isc_conform *c, uint64_t seed, int threads, int uses, isc_sb *out);

#endif
