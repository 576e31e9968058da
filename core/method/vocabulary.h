/* SPDX-License-Identifier: Apache-2.0
 *
 * Collecting the words or characters of a prior's texts, to build a tokenizer for a model trained from scratch.
 *
 * One thread.
 */
#ifndef ISC_CORE_VOCABULARY_H
#define ISC_CORE_VOCABULARY_H

#include <inversescope/tokenizer.h>

typedef enum isc_vocabulary_unit { ISC_UNIT_WORDS, ISC_UNIT_CHARS } isc_vocabulary_unit;

typedef struct isc_vocabulary isc_vocabulary;

ISC_API isc_status isc_vocabulary_new(isc_vocabulary_unit unit, isc_vocabulary **out);
ISC_API void isc_vocabulary_free(isc_vocabulary *v);
ISC_API isc_status isc_vocabulary_add(isc_vocabulary *v, const char *text, size_t len);
/* "<|endoftext|>" (id 0) and the units in byte order. */
ISC_API isc_status isc_vocabulary_tokenizer(const isc_vocabulary *v, isc_tokenizer **out);

#endif
