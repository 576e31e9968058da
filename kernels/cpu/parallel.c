/* SPDX-License-Identifier: Apache-2.0
 *
 * The backend's one parallel loop and its scratch memory.
 *
 * Ranges are dealt statically, so that a thread meets in its cache what it wrote one operation
 * earlier. Idle OpenMP threads wait as the runtime is told to: on a machine shared with other work
 * set OMP_WAIT_POLICY=passive before the program starts, because spinning pools slow each other down.
 */
#include "cpu.h"
#include <omp.h>
#include <stdlib.h>

void cpu_for(const cpu *c, int64_t n, int64_t grain, cpu_job *job, void *ctx) {
  if (n <= 0) return;
  if (grain < 1) grain = 1;
  const int64_t grains = n / grain + (n % grain != 0);
  if (c->threads == 1 || grains < 2) {
    job(ctx, 0, n, 0);
    return;
  }
#pragma omp parallel num_threads(c->threads)
  {
    const int64_t team = omp_get_num_threads(), t = omp_get_thread_num();
    const int64_t begin = grains * t / team * grain, end = grains * (t + 1) / team * grain;
    if (begin < end) job(ctx, begin, end < n ? end : n, (int)t);
  }
}

size_t cpu_round64(size_t bytes) {
  return (bytes + 63) & ~(size_t)63;
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
    c->scratch[slot].p = aligned_alloc(64, need);
    if (!c->scratch[slot].p)
      return isc_fail(ISC_E_NOMEM,
                      "CPU backend: no memory for %zu bytes of scratch; use smaller batches", need);
    c->scratch[slot].size = need;
  }
  if (shared_out) *shared_out = c->scratch[slot].p;
  if (own_out) *own_out = (char *)c->scratch[slot].p + cpu_round64(shared);
  return ISC_OK;
}
