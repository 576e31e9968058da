/* SPDX-License-Identifier: Apache-2.0
 *
 * The longest member of a sorted list of byte strings that a text begins with.
 */
#include "model/prefix_set.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

isc_status isc_prefix_set_reserve(isc_prefix_set *s, int64_t n, const char *what) {
  s->n = 0;
  ISC_TRY(isc_calloc((size_t)n, sizeof *s->item, what, (void **)&s->item));
  s->n = n;
  return ISC_OK;
}

static int in_order(const void *x, const void *y) {
  const isc_key *a = &((const isc_prefix *)x)->key, *b = &((const isc_prefix *)y)->key;
  int order = memcmp(a->p, b->p, a->len < b->len ? a->len : b->len);
  return order ? order : (a->len > b->len) - (a->len < b->len);
}

static unsigned byte_at(const isc_prefix *p, size_t i) {
  return ((const unsigned char *)p->key.p)[i];
}

void isc_prefix_set_sort(isc_prefix_set *s, const isc_prefix **twice) {
  int64_t i = 0;
  *twice = NULL;
  qsort(s->item, (size_t)s->n, sizeof *s->item, in_order);
  for (int64_t k = 1; k < s->n; k++)
    if (in_order(&s->item[k - 1], &s->item[k]) == 0) *twice = &s->item[k];
  for (unsigned byte = 0; byte < 257; byte++) {
    while (i < s->n && byte_at(&s->item[i], 0) < byte)
      i++;
    s->from[byte] = i;
  }
}

/* The first of item[low … high-1], equal before byte i, whose byte i is not below `byte`. */
static int64_t lower_bound(const isc_prefix_set *s, int64_t low, int64_t high, size_t i,
                           unsigned byte) {
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (byte_at(&s->item[middle], i) < byte)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const isc_prefix *isc_prefix_set_longest(const isc_prefix_set *set, const char *s, size_t len) {
  const isc_prefix *best = NULL;
  if (set->n == 0 || len == 0) return NULL;
  int64_t low = set->from[(unsigned char)s[0]], high = set->from[(unsigned char)s[0] + 1];
  for (size_t i = 1; low < high; i++) {
    if (set->item[low].key.len == i) best = &set->item[low++];
    if (i == len) break;
    low = lower_bound(set, low, high, i, (unsigned char)s[i]);
    high = lower_bound(set, low, high, i, (unsigned char)s[i] + 1u);
  }
  return best;
}

void isc_prefix_set_free(isc_prefix_set *s) {
  free(s->item);
  *s = (isc_prefix_set){0};
}
