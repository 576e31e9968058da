/* SPDX-License-Identifier: Apache-2.0
 *
 * What every tokenizer must do with any text.
 */
#ifndef ISC_TESTS_FUZZ_TOKENIZER_H
#define ISC_TESTS_FUZZ_TOKENIZER_H

#include <inversescope/tokenizer.h>
#include <stdint.h>

/* Texts of its own and the input's last bytes: ids of the vocabulary that decode to UTF-8, or an error. Aborts otherwise. */
void isc_fuzz_tokenizer(isc_tokenizer *t, const uint8_t *data, size_t size);

#endif
