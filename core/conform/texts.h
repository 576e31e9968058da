/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists of texts to try a plugin with, and how a text is shown in a message.
 *
 * Texts are bytes: NULs, broken UTF-8 and megabytes included. Each lies in memory of exactly its size with the NUL that
 * isc_text promises behind it.
 */
#ifndef ISC_CORE_CONFORM_TEXTS_H
#define ISC_CORE_CONFORM_TEXTS_H

#include "base/base.h"
#include <inversescope/text.h>

/* Zero-initialise, isc_texts_free when done. */
typedef struct isc_texts {
  isc_text *at; /* [n] */
  int64_t n, room;
} isc_texts;
isc_status isc_texts_add(isc_texts *t, const char *s, size_t len);
void isc_texts_free(isc_texts *t);

/* Texts that are of no prior, because a prior's texts are non-empty UTF-8 without NULs: the empty text, NULs, broken and
 * truncated UTF-8, and `sample` (NULL = none) spoiled in those ways. */
isc_status isc_texts_add_foreign(isc_texts *t, const isc_text *sample);

bool isc_same_text(const isc_text *a, const isc_text *b);
uint64_t isc_bytes_hash(const char *s, size_t len);

/* The text in quotes, odd bytes escaped, a long one cut; in one of a few buffers of the thread. */
const char *isc_shown(const char *s, size_t len);
const char *isc_shown_text(const isc_text *t);

#endif
