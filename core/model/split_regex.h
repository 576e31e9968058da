/* SPDX-License-Identifier: Apache-2.0
 *
 * The regular expressions by which pre-tokenisers cut words: Oniguruma's Ruby syntax, as tokenizer.json has them.
 *
 * An engine of their own, because ids must not depend on the Unicode version of a library, because the syntaxes of two
 * libraries differ where it does not show, and because a pattern is untrusted: every step of a match is counted and a
 * text may cost only so many per byte. What could be read in two ways is refused.
 */
#ifndef ISC_CORE_SPLIT_REGEX_H
#define ISC_CORE_SPLIT_REGEX_H

#include <inversescope/status.h>
#include <stdint.h>

typedef struct isc_split_regex isc_split_regex; /* compiled; never changes */

typedef struct isc_regex_trace isc_regex_trace; /* where a match may go back to */

/* What the matches of one text share. Zero-initialise but for `budget`; free when done. */
typedef struct isc_regex_work {
  isc_regex_trace *trace; /* [cap] a stack */
  size_t n, cap;
  int64_t steps, budget; /* taken so far, and how many may be */
} isc_regex_work;

/* ISC_E_UNSUPPORTED or ISC_E_FORMAT with the place and what is there. A pattern that matches the empty text is refused. */
ISC_API isc_status isc_split_regex_open(const char *pattern, isc_split_regex **out);
ISC_API void isc_split_regex_close(isc_split_regex *r); /* NULL is fine */
/* The leftmost match in UTF-8 text at or behind `at`, alternatives in their order; *begin = *end = len when there is none.
 * ISC_E_UNSUPPORTED when the budget is spent. Any thread, each with its own `w`. */
ISC_API isc_status isc_split_regex_find(const isc_split_regex *r, isc_regex_work *w, const char *s,
                                        size_t len, size_t at, size_t *begin, size_t *end);
ISC_API void isc_regex_work_free(isc_regex_work *w);

#endif
