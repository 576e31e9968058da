/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of the backend: that of arrays, and scratch that is kept between calls and grown on demand.
 */
#include "cpu.h"
#include <stdlib.h>
#include <sys/mman.h>

size_t cpu_round64(size_t bytes) {
  return (bytes + 63) & ~(size_t)63;
}

/* Large arrays ask for large pages: a step of a decoder reads its weights once, and finding 4 KiB pages by the thousand
 * took up to a third of its time. A system that has none to give goes on with small ones. */
void *cpu_memory(size_t bytes) {
  enum { PAGE = 4096, LARGE = 4 << 20 };
  char *p = aligned_alloc(64, bytes);
#if defined(MADV_HUGEPAGE)
  if (p && bytes >= LARGE) {
    const size_t skip = (PAGE - (uintptr_t)p % PAGE) % PAGE;
    madvise(p + skip, (bytes - skip) / PAGE * PAGE, MADV_HUGEPAGE);
  }
#endif
  return p;
}

isc_status cpu_scratch(cpu *c, cpu_slot slot, size_t shared, size_t own, void **shared_out,
                       char **own_out) {
  size_t need;
  if (shared > SIZE_MAX - 63 || own > SIZE_MAX - 63 ||
      __builtin_mul_overflow(cpu_round64(own), (size_t)c->threads, &need) ||
      __builtin_add_overflow(need, cpu_round64(shared), &need))
    return isc_fail(ISC_E_NOMEM,
                    "CPU backend: the scratch memory of an operation exceeds the address space");
  if (need > c->scratch[slot].size) {
    free(c->scratch[slot].p);
    c->scratch[slot].size = 0;
    c->scratch[slot].p = cpu_memory(need);
    if (!c->scratch[slot].p)
      return isc_fail(ISC_E_NOMEM,
                      "CPU backend: no memory for %zu bytes of scratch; use smaller batches", need);
    c->scratch[slot].size = need;
  }
  if (shared_out) *shared_out = c->scratch[slot].p;
  if (own_out) *own_out = (char *)c->scratch[slot].p + cpu_round64(shared);
  return ISC_OK;
}
