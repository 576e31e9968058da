/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules for the texts of a descriptor: what a reader of a listing, a man page or a report may expect.
 */
#ifndef ISC_CORE_CONFORM_WORDS_H
#define ISC_CORE_CONFORM_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* What is wrong with the text, in words that follow its name ("has two spaces in a row"); NULL when it is one clean
 * line: UTF-8, no control or direction characters, no stray spaces. */
const char *isc_words_problem(const char *text);
/* Of clean text: characters, words. */
size_t isc_words_length(const char *text);
size_t isc_words_count(const char *text);

/* Is it a licence expression of SPDX ("MIT", "Apache-2.0 OR (MIT AND 0BSD)", "LicenseRef-ours")? The list of licences is
 * not consulted. */
bool isc_words_is_licence(const char *text);
/* Is it MAJOR.MINOR.PATCH, with or without a suffix such as -rc.1 or +abc? */
bool isc_words_is_version(const char *text);

#endif
