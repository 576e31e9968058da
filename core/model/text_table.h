/* SPDX-License-Identifier: Apache-2.0
 *
 * A read-only hash table from byte strings to their index in a list.
 *
 * Built once from all its keys. Vocabularies are untrusted: a list made to collide is rebuilt under
 * other hash seeds and then refused, so that building is linear and a look-up is bounded.
 */
#ifndef ISC_CORE_TEXT_TABLE_H
#define ISC_CORE_TEXT_TABLE_H

#include <inversescope/status.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct isc_key {
  const void *p; /* NULL: no key at this index */
  size_t len;
} isc_key;

typedef struct isc_table {
  const isc_key *key; /* [n] borrowed            */
  uint32_t *slot;     /* [mask + 1] index + 1; 0 = free */
  size_t mask;
  uint64_t seed;
} isc_table;

/* The keys must outlive the table. Two equal keys: the later one's index goes to *duplicate (else −1) and the table is
 * empty. `what` names the table in messages. */
isc_status isc_table_build(isc_table *t, const isc_key *key, int64_t n, const char *what,
                           int64_t *duplicate);
/* The key's index, or −1. Any thread. */
int64_t isc_table_find(const isc_table *t, const void *p, size_t len);
void isc_table_free(isc_table *t);

#endif
