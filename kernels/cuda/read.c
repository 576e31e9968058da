/* SPDX-License-Identifier: Apache-2.0
 *
 * Copies to the host that are waited for later, each in pinned memory of its own.
 */
#include "cuda_backend.h"
#include <stdlib.h>
#include <string.h>

typedef struct pending {
  void *pinned;
  size_t room, bytes;
  cu_event done;
  bool begun;
} pending;

struct cuda_reads {
  pending of[ISC_READS];
};

isc_status cuda_reads_open(cuda *c) {
  c->reads = calloc(1, sizeof *c->reads);
  if (!c->reads)
    return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *c->reads);
  for (int i = 0; i < ISC_READS; i++)
    CU(c, event_create(&c->reads->of[i].done, CU_EVENT_UNTIMED), "an event");
  return ISC_OK;
}

void cuda_reads_close(cuda *c) {
  for (int i = 0; c->reads && i < ISC_READS; i++) {
    pending *p = &c->reads->of[i];
    if (p->pinned) c->d->host_free(p->pinned);
    if (p->done) c->d->event_destroy(p->done);
  }
  free(c->reads);
  c->reads = NULL;
}

static isc_status find(cuda *c, int64_t ticket, pending **out) {
  if (ticket < 0 || ticket >= ISC_READS)
    return isc_fail(ISC_E_USAGE, "CUDA backend: a read has ticket %lld; there are %d",
                    (long long)ticket, ISC_READS);
  *out = &c->reads->of[ticket];
  return ISC_OK;
}

/* The device may still be writing what was begun before. */
static isc_status need_room(cuda *c, pending *p, size_t bytes) {
  if (bytes <= p->room) return ISC_OK;
  if (p->begun) CU(c, event_wait(p->done), "a read of %zu bytes", p->bytes);
  p->begun = false;
  if (p->pinned) CU(c, host_free(p->pinned), "%zu bytes of pinned memory", p->room);
  p->pinned = NULL;
  p->room = 0;
  CU(c, host_alloc(&p->pinned, bytes, 0), "%zu bytes of pinned memory", bytes);
  p->room = bytes;
  return ISC_OK;
}

isc_status cuda_read_begin(cuda *c, int64_t ticket, const void *src, size_t bytes) {
  pending *p = NULL;
  ISC_TRY(find(c, ticket, &p));
  ISC_TRY(need_room(c, p, bytes));
  p->begun = false;
  if (bytes)
    CU(c, copy_down(p->pinned, cuda_at(src), bytes, c->stream), "a read of %zu bytes", bytes);
  CU(c, event_record(p->done, c->stream), "a read of %zu bytes", bytes);
  p->bytes = bytes;
  p->begun = true;
  return ISC_OK;
}

isc_status cuda_read_end(cuda *c, int64_t ticket, void *host) {
  pending *p = NULL;
  ISC_TRY(find(c, ticket, &p));
  if (!p->begun)
    return isc_fail(ISC_E_USAGE, "CUDA backend: read %lld was not begun", (long long)ticket);
  CU(c, event_wait(p->done), "a read of %zu bytes", p->bytes);
  if (p->bytes) memcpy(host, p->pinned, p->bytes);
  p->begun = false;
  return ISC_OK;
}
