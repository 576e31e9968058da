/* SPDX-License-Identifier: Apache-2.0
 *
 * Lanes: uploads through a stream of their own, ordered with the backend's by events alone.
 *
 * A lane is used by a thread of its own while the backend's thread asks for computations, so it shares nothing with the
 * backend that changes: it has its own notes of what it does and of what failed.
 */
#include "cuda_backend.h"
#include <stdlib.h>

typedef struct cuda_lane {
  cuda own; /* of a backend: the driver, the context, a stream, what it does, what failed */
  cuda *of;
  cuda_ring ring;
  cu_event arrived, passed; /* what lane_join and lane_follow record */
  size_t at, room;          /* the latest room and its bytes          */
} cuda_lane;

/* The driver has less pinned memory than the host has memory: half as much is asked for until it is had. */
static isc_status open_ring(cuda_lane *l, size_t least, size_t most) {
  size_t half = most > least ? most : least;
  for (;;) {
    const isc_status st = cuda_ring_open(&l->own, half, &l->ring);
    if (st != ISC_E_NOMEM) return st;
    cuda_ring_close(&l->own, &l->ring);
    if (half <= least)
      return isc_fail_in("a lane needs twice %zu bytes of pinned memory, which the system may "
                         "limit (ulimit -l)",
                         least);
    half = half / 2 > least ? half / 2 : least;
  }
}

static isc_status open_all(cuda_lane *l, size_t least, size_t most) {
  CU(&l->own, stream_create(&l->own.stream, CU_STREAM_APART), "a lane's stream");
  CU(&l->own, event_create(&l->arrived, CU_EVENT_UNTIMED), "an event");
  CU(&l->own, event_create(&l->passed, CU_EVENT_UNTIMED), "an event");
  return open_ring(l, least, most);
}

isc_status cuda_lane_open(void *impl, size_t least, size_t most, size_t *piece, void **lane) {
  cuda *c = impl;
  *lane = NULL;
  ISC_TRY(cuda_begin(c, "lane_open"));
  if (least < 1 || least > SIZE_MAX / 4 || most > SIZE_MAX / 4)
    return isc_fail(ISC_E_NOMEM, "CUDA backend: no pinned memory for pieces of %zu to %zu bytes",
                    least, most);
  cuda_lane *l = calloc(1, sizeof *l);
  if (!l) return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *l);
  l->own =
      (cuda){.d = c->d, .context = c->context, .synchronous = c->synchronous, .doing = c->doing};
  l->of = c;
  const isc_status st = open_all(l, least, most);
  if (st != ISC_OK) {
    cuda_lane_close(l);
    return st;
  }
  *piece = l->ring.half_bytes;
  *lane = l;
  return ISC_OK;
}

void cuda_lane_close(void *lane) {
  cuda_lane *l = lane;
  if (!l) return;
  const cuda_driver *d = l->own.d;
  d->context_set(l->own.context);
  if (l->own.stream) d->stream_wait(l->own.stream);
  cuda_ring_close(&l->own, &l->ring);
  if (l->arrived) d->event_destroy(l->arrived);
  if (l->passed) d->event_destroy(l->passed);
  if (l->own.stream) d->stream_destroy(l->own.stream);
  free(l);
}

isc_status cuda_lane_room(void *lane, size_t bytes, void **host) {
  cuda_lane *l = lane;
  ISC_TRY(cuda_begin(&l->own, "lane_room"));
  if (bytes > l->ring.half_bytes)
    return isc_fail(ISC_E_USAGE, "lane_room: %zu bytes, and the lane's pieces have %zu", bytes,
                    l->ring.half_bytes);
  ISC_TRY(cuda_ring_room(&l->own, &l->ring, bytes, &l->at));
  l->room = bytes;
  *host = l->ring.p + l->at;
  return ISC_OK;
}

isc_status cuda_lane_upload(void *lane, void *dst, size_t bytes) {
  cuda_lane *l = lane;
  ISC_TRY(cuda_begin(&l->own, "lane_upload"));
  if (bytes > l->room)
    return isc_fail(ISC_E_USAGE, "lane_upload: %zu bytes of a room for %zu", bytes, l->room);
  l->room = 0;
  if (bytes)
    CU(&l->own, copy_up(cuda_at(dst), l->ring.p + l->at, bytes, l->own.stream),
       "upload of %zu bytes", bytes);
  return cuda_end(&l->own);
}

/* `later` begins after what `first` has been asked for. */
static isc_status after(cuda_lane *l, cu_stream later, cu_event event, cu_stream first) {
  if (l->of->capturing)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "CUDA backend, %s: a lane has no place in work that is put together",
                    l->own.doing);
  CU(&l->own, event_record(event, first), "the order of a lane");
  CU(&l->own, stream_wait_event(later, event, 0), "the order of a lane");
  return ISC_OK;
}

isc_status cuda_lane_join(void *lane) {
  cuda_lane *l = lane;
  ISC_TRY(cuda_begin(l->of, "lane_join"));
  ISC_TRY(cuda_begin(&l->own, "lane_join"));
  return after(l, l->of->stream, l->arrived, l->own.stream);
}

isc_status cuda_lane_follow(void *lane) {
  cuda_lane *l = lane;
  ISC_TRY(cuda_begin(l->of, "lane_follow"));
  ISC_TRY(cuda_begin(&l->own, "lane_follow"));
  return after(l, l->own.stream, l->passed, l->of->stream);
}
