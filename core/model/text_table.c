/* SPDX-License-Identifier: Apache-2.0
 *
 * The read-only hash table: open addressing, at most half full, with a bounded probe length.
 *
 * The bound is far above what chance gives at this load; reaching it means the keys were chosen
 * against the hash, and another seed is tried.
 */
#include "model/text_table.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MAX_PROBES = 512, MAX_SEEDS = 8 };

static size_t first_slot(const isc_table *t, const void *p, size_t len) {
  return (size_t)XXH3_64bits_withSeed(p, len, t->seed) & t->mask;
}

static bool same(const isc_key *k, const void *p, size_t len) {
  return k->len == len && memcmp(k->p, p, len) == 0;
}

typedef enum insertion { INSERTED, IS_DUPLICATE, TOO_FAR } insertion;

static insertion insert(isc_table *t, int64_t i) {
  const isc_key *k = &t->key[i];
  size_t at = first_slot(t, k->p, k->len);
  for (int probe = 0; probe < MAX_PROBES; probe++, at = (at + 1) & t->mask) {
    if (t->slot[at] == 0) {
      t->slot[at] = (uint32_t)i + 1;
      return INSERTED;
    }
    if (same(&t->key[t->slot[at] - 1], k->p, k->len)) return IS_DUPLICATE;
  }
  return TOO_FAR;
}

static insertion insert_all(isc_table *t, int64_t n, int64_t *at) {
  memset(t->slot, 0, (t->mask + 1) * sizeof *t->slot);
  for (int64_t i = 0; i < n; i++) {
    if (!t->key[i].p) continue;
    insertion r = insert(t, i);
    *at = i;
    if (r != INSERTED) return r;
  }
  return INSERTED;
}

isc_status isc_table_build(isc_table *t, const isc_key *key, int64_t n, const char *what,
                           int64_t *duplicate) {
  size_t slots = 4;
  int64_t at = -1;
  *duplicate = -1;
  if (n > INT32_MAX / 2) return isc_fail(ISC_E_SHAPE, "%s: too many entries", what);
  while (slots < (size_t)n * 2)
    slots *= 2;
  *t = (isc_table){.key = key, .mask = slots - 1};
  ISC_TRY(isc_calloc(slots, sizeof *t->slot, what, (void **)&t->slot));
  for (; t->seed < MAX_SEEDS; t->seed++) {
    insertion r = insert_all(t, n, &at);
    if (r == INSERTED) return ISC_OK;
    if (r == TOO_FAR) continue;
    *duplicate = at;
    isc_table_free(t);
    return ISC_OK;
  }
  isc_table_free(t);
  return isc_fail(ISC_E_FORMAT, "%s: its entries were made to collide", what);
}

int64_t isc_table_find(const isc_table *t, const void *p, size_t len) {
  if (!t->slot) return -1;
  size_t at = first_slot(t, p, len);
  for (int probe = 0; probe < MAX_PROBES; probe++, at = (at + 1) & t->mask) {
    if (t->slot[at] == 0) return -1;
    if (same(&t->key[t->slot[at] - 1], p, len)) return (int64_t)t->slot[at] - 1;
  }
  return -1;
}

void isc_table_free(isc_table *t) {
  free(t->slot);
  *t = (isc_table){0};
}
