/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts that tokenizers get wrong: all planes of Unicode, emoji, white space of every sort, control characters, long words.
 *
 * Text i is the same everywhere and always, so that expected ids can be computed elsewhere and kept as hashes.
 */
#ifndef ISC_TESTS_SUPPORT_TEXTS_H
#define ISC_TESTS_SUPPORT_TEXTS_H

#include <inversescope/text.h>
#include <stdint.h>

/* How many there are in the golden files, and in each of their blocks. */
enum { ISC_TEST_TEXTS = 10000, ISC_TEST_BLOCK = 100 };

/* Text i, valid UTF-8, possibly with NUL and line feeds in it; the old text is replaced. */
isc_status isc_test_text(uint64_t i, isc_text *out);

#endif
