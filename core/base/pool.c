/* SPDX-License-Identifier: Apache-2.0
 *
 * Many small allocations that die together.
 *
 * Each is its own block, so that address sanitizers and the allocation hook see every one of them.
 */
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

typedef struct block {
  union {
    struct block *next;
    max_align_t align;
  } head;
  unsigned char bytes[];
} block;

isc_status isc_pool_alloc(isc_pool *p, size_t n, size_t size, const char *what, void **out) {
  size_t bytes, total;
  void *memory;
  *out = NULL;
  ISC_TRY(isc_mul_size(n, size, what, &bytes));
  ISC_TRY(isc_add_size(bytes, sizeof(block), what, &total));
  ISC_TRY(isc_calloc(1, total, what, &memory));
  block *b = memory;
  b->head.next = p->blocks;
  p->blocks = b;
  *out = b->bytes;
  return ISC_OK;
}

isc_status isc_pool_strndup(isc_pool *p, const char *s, size_t n, char **out) {
  void *copy;
  *out = NULL;
  ISC_TRY(isc_pool_alloc(p, n + 1, 1, "a string", &copy));
  if (n) memcpy(copy, s, n);
  *out = copy;
  return ISC_OK;
}

void isc_pool_free(isc_pool *p) {
  block *b = p->blocks;
  while (b) {
    block *next = b->head.next;
    free(b);
    b = next;
  }
  p->blocks = NULL;
}
