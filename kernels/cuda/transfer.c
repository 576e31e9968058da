/* SPDX-License-Identifier: Apache-2.0
 *
 * Between host and device, through two pinned buffers each way.
 *
 * What goes up is copied into one half of a pinned buffer while the device still reads the other; so the caller's memory is
 * free again when a call returns, and nobody waits for the device until both halves are full. Small arrays of arguments
 * go the same way into a copy of the buffer on the device, at the same place: the stream's order keeps them until they
 * are read.
 */
#include "cuda_backend.h"
#include <stdlib.h>
#include <string.h>

enum { HALF = 2 << 20, ALIGN = 256 };

struct cuda_staging {
  cuda_ring up;
  char *down;   /* pinned, [2][HALF] */
  char *device; /* [2][HALF] */
  cu_event down_done[2];
};

static isc_status pinned(cuda *c, size_t bytes, char **out) {
  void *p = NULL;
  CU(c, host_alloc(&p, bytes, 0), "%zu bytes of pinned memory", bytes);
  *out = p;
  return ISC_OK;
}

/* ---- a pinned buffer for what goes up */

isc_status cuda_ring_open(cuda *c, size_t half_bytes, cuda_ring *r) {
  *r = (cuda_ring){.half_bytes = (half_bytes + ALIGN - 1) / ALIGN * ALIGN};
  for (int i = 0; i < 2; i++)
    CU(c, event_create(&r->read[i], CU_EVENT_UNTIMED), "an event");
  return pinned(c, 2 * r->half_bytes, &r->p);
}

void cuda_ring_close(cuda *c, cuda_ring *r) {
  if (r->p) c->d->host_free(r->p);
  for (int i = 0; i < 2; i++)
    if (r->read[i]) c->d->event_destroy(r->read[i]);
  *r = (cuda_ring){0};
}

static isc_status next_half(cuda *c, cuda_ring *r) {
  CU(c, event_record(r->read[r->half], c->stream), "half %d of the staging", r->half);
  r->half ^= 1;
  r->used = 0;
  CU(c, event_wait(r->read[r->half]), "half %d of the staging", r->half);
  return ISC_OK;
}

isc_status cuda_ring_room(cuda *c, cuda_ring *r, size_t bytes, size_t *offset) {
  const size_t rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
  if (r->used + rounded > r->half_bytes) {
    if (c->capturing)
      return isc_fail(ISC_E_UNSUPPORTED,
                      "CUDA backend, %s: too much is sent along with work that "
                      "is put together",
                      c->doing);
    ISC_TRY(next_half(c, r));
  }
  *offset = (size_t)r->half * r->half_bytes + r->used;
  r->used += rounded;
  return ISC_OK;
}

/* ---- the backend's own */

isc_status cuda_staging_open(cuda *c) {
  cuda_staging *s = c->staging = calloc(1, sizeof *s);
  void *p;
  if (!s) return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *s);
  for (int i = 0; i < 2; i++)
    CU(c, event_create(&s->down_done[i], CU_EVENT_UNTIMED), "an event");
  ISC_TRY(cuda_ring_open(c, HALF, &s->up));
  ISC_TRY(pinned(c, 2 * (size_t)HALF, &s->down));
  ISC_TRY(cuda_alloc(c, 2 * (size_t)HALF, &p));
  s->device = p;
  return ISC_OK;
}

void cuda_staging_close(cuda *c) {
  cuda_staging *s = c->staging;
  if (!s) return;
  cuda_free(c, s->device);
  cuda_ring_close(c, &s->up);
  if (s->down) c->d->host_free(s->down);
  for (int i = 0; i < 2; i++)
    if (s->down_done[i]) c->d->event_destroy(s->down_done[i]);
  free(s);
  c->staging = NULL;
}

isc_status cuda_staging_fresh(cuda *c) {
  return c->staging->up.used > HALF / 2 ? next_half(c, &c->staging->up) : ISC_OK;
}

/* Copies of one size up to this one share a half; longer ones go by whole halves. */
isc_status cuda_upload(cuda *c, void *dst, const void *host, size_t bytes) {
  for (size_t done = 0, n; done < bytes; done += n) {
    size_t at;
    n = bytes - done < HALF ? bytes - done : HALF;
    ISC_TRY(cuda_ring_room(c, &c->staging->up, n, &at));
    memcpy(c->staging->up.p + at, (const char *)host + done, n);
    CU(c, copy_up(cuda_at((char *)dst + done), c->staging->up.p + at, n, c->stream),
       "upload of %zu bytes", bytes);
  }
  return ISC_OK;
}

isc_status cuda_argument(cuda *c, const void *host, size_t bytes, const void **device) {
  if (bytes > HALF) {
    void *p;
    ISC_TRY(cuda_scratch(c, CUDA_ARGUMENTS, bytes, &p));
    *device = p;
    return cuda_upload(c, p, host, bytes);
  }
  size_t at;
  ISC_TRY(cuda_ring_room(c, &c->staging->up, bytes, &at));
  memcpy(c->staging->up.p + at, host, bytes);
  *device = c->staging->device + at;
  CU(c, copy_up(cuda_at(c->staging->device + at), c->staging->up.p + at, bytes, c->stream),
     "arguments of %zu bytes", bytes);
  return ISC_OK;
}

static isc_status fetch(cuda *c, int half, const char *src, size_t n) {
  cuda_staging *s = c->staging;
  CU(c, copy_down(s->down + (size_t)half * HALF, cuda_at(src), n, c->stream),
     "download of %zu bytes", n);
  CU(c, event_record(s->down_done[half], c->stream), "download of %zu bytes", n);
  return ISC_OK;
}

/* While one half is copied out, the other is filled. */
isc_status cuda_download(cuda *c, void *host, const void *src, size_t bytes) {
  if (c->capturing)
    return isc_fail(ISC_E_USAGE, "CUDA backend, %s: nothing can be read while work is put together",
                    c->doing);
  const size_t first = bytes < HALF ? bytes : HALF;
  if (bytes) ISC_TRY(fetch(c, 0, src, first));
  int half = 0;
  for (size_t done = 0, n; done < bytes; done += n, half ^= 1) {
    n = bytes - done < HALF ? bytes - done : HALF;
    const size_t left = bytes - done - n;
    if (left) ISC_TRY(fetch(c, half ^ 1, (const char *)src + done + n, left < HALF ? left : HALF));
    CU(c, event_wait(c->staging->down_done[half]), "download of %zu bytes", bytes);
    memcpy((char *)host + done, c->staging->down + (size_t)half * HALF, n);
  }
  return ISC_OK;
}

isc_status cuda_copy(cuda *c, void *dst, const void *src, size_t bytes) {
  if (bytes)
    CU(c, copy_across(cuda_at(dst), cuda_at(src), bytes, c->stream), "copy of %zu bytes", bytes);
  return ISC_OK;
}

isc_status cuda_zero(cuda *c, void *dst, size_t bytes) {
  if (bytes) CU(c, set_bytes(cuda_at(dst), 0, bytes, c->stream), "zeros, %zu bytes", bytes);
  return ISC_OK;
}
