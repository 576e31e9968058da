/* SPDX-License-Identifier: Apache-2.0
 *
 * What canonical normal forms of Unicode are made by, and the composed one (NFC).
 */
#ifndef ISC_CORE_UNICODE_CANONICAL_H
#define ISC_CORE_UNICODE_CANONICAL_H

#include <inversescope/text.h>
#include <stddef.h>
#include <stdint.h>

/* One step; a second of 0 = a single character. Hangul syllables are not in the table. */
typedef struct isc_canonical_parts {
  uint32_t whole, first, second;
} isc_canonical_parts;

/* [isc_n_combining_runs] ascending: first code point << 8 | class; a run ends where the next begins; before the first: 0. */
extern const uint32_t isc_combining_runs[];
extern const isc_canonical_parts isc_canonical[]; /* [isc_n_canonical] by whole */
/* [isc_n_canonical_pairs] places in isc_canonical of those that a pair is put together to, by first and second. */
extern const uint16_t isc_canonical_pairs[];
extern const size_t isc_n_combining_runs, isc_n_canonical, isc_n_canonical_pairs;

/* *out becomes NFC of well-formed UTF-8, at most three times as long. Linear in len. */
ISC_API isc_status isc_text_compose(const char *s, size_t len, isc_text *out);

#endif
