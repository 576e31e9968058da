/* SPDX-License-Identifier: Apache-2.0
 *
 * A read-only set of byte strings that is asked for its longest member at the beginning of a text.
 *
 * Sorted, and narrowed byte by byte, so that a question costs the length of the longest member at most.
 */
#ifndef ISC_CORE_PREFIX_SET_H
#define ISC_CORE_PREFIX_SET_H

#include "model/text_table.h"

typedef struct isc_prefix {
  isc_key key; /* borrowed, not empty */
  int32_t id;
} isc_prefix;

typedef struct isc_prefix_set {
  isc_prefix *item;  /* [n] in the order of their bytes                       */
  int64_t from[257]; /* those that begin with byte b are from[b] … from[b+1]-1 */
  int64_t n;
} isc_prefix_set;

/* Room for n; the caller fills item[0 … n-1] and sorts. */
isc_status isc_prefix_set_reserve(isc_prefix_set *s, int64_t n, const char *what);
/* *twice: one of two equal members, NULL when all differ. */
void isc_prefix_set_sort(isc_prefix_set *s, const isc_prefix **twice);
/* Its longest member that s[0 … len-1] begins with, NULL when there is none. Any thread. */
const isc_prefix *isc_prefix_set_longest(const isc_prefix_set *set, const char *s, size_t len);
void isc_prefix_set_free(isc_prefix_set *s);

#endif
