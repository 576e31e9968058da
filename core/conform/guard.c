/* SPDX-License-Identifier: Apache-2.0
 *
 * Buffers that notice when a plugin writes where it must not.
 *
 * A guarded buffer ends at a page that cannot be touched, so that one byte too many crashes on the spot, and
 * has canaries before its start, so that a byte too early is found afterwards. A sealed input is read-only.
 */
#include "conform/conform.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CANARY = 0xA5, SLACK = 256 };

typedef struct buffer {
  struct buffer *next;
  char *region; /* mapped: [mapped], the last page untouchable; NULL for a plain one */
  size_t mapped, bytes, page;
  char *data;
} buffer;

static _Atomic(buffer *) buffers; /* several threads may add; none removes until all are done */

static isc_status map_guarded(buffer *b, bool guard_end) {
  b->page = (size_t)sysconf(_SC_PAGESIZE);
  b->mapped = (b->bytes + SLACK + 2 * b->page - 1) / b->page * b->page;
  b->region = mmap(NULL, b->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (b->region == MAP_FAILED) {
    b->region = NULL;
    return isc_fail(ISC_E_NOMEM, "a guarded buffer: could not map %zu bytes", b->mapped);
  }
  if (mprotect(b->region + b->mapped - b->page, b->page, PROT_NONE) != 0)
    return isc_fail(ISC_E_NOMEM, "a guarded buffer: its end could not be protected");
  /* Without guarded ends there is room behind, so that each of the two finds only its own. */
  b->data = b->region + b->mapped - b->page - b->bytes - (guard_end ? 0 : SLACK);
  memset(b->region, CANARY, (size_t)(b->data - b->region));
  return ISC_OK;
}

static void release(buffer *b) {
  if (b->region)
    munmap(b->region, b->mapped);
  else
    free(b->data);
  free(b);
}

isc_status isc_guard_new(isc_conform *c, size_t bytes, void **out) {
  void *memory;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof(buffer), "a guarded buffer", &memory));
  buffer *b = memory;
  b->bytes = bytes;
  isc_status st = c->guard_outputs || c->guard_inputs
                      ? map_guarded(b, c->guard_outputs)
                      : isc_calloc(1, bytes + SLACK, "a buffer", (void **)&b->data);
  if (st != ISC_OK) {
    release(b);
    return st;
  }
  b->next = buffers;
  while (!atomic_compare_exchange_weak(&buffers, &b->next, b))
    ;
  *out = b->data;
  return ISC_OK;
}

isc_status isc_guard_seal(isc_conform *c, void *p) {
  buffer *b = buffers;
  if (!c->guard_inputs) return ISC_OK;
  while (b && b->data != p)
    b = b->next;
  if (!b) return isc_fail(ISC_E_INTERNAL, "a buffer to seal was not made by isc_guard_new");
  if (mprotect(b->region, b->mapped - b->page, PROT_READ) == 0) return ISC_OK;
  return isc_fail(ISC_E_NOMEM, "an input could not be made read-only");
}

isc_status isc_guard_intact(isc_conform *c) {
  (void)c;
  for (const buffer *b = buffers; b; b = b->next)
    for (const char *p = b->region; p && p < b->data; p++)
      if ((unsigned char)*p != CANARY)
        return isc_fail(ISC_E_INTERNAL,
                        "%zu bytes before the start of a buffer of %zu bytes were written",
                        (size_t)(b->data - p), b->bytes);
  return ISC_OK;
}

void isc_guard_free_all(void) {
  while (buffers) {
    buffer *b = buffers;
    buffers = b->next;
    release(b);
  }
}
