/* SPDX-License-Identifier: Apache-2.0
 *
 * A bump arena over device or host memory, made of chunks that outlive a reset.
 *
 * A step allocates the same things over and over: after the first few resets everything fits one
 * chunk, and an allocation is an addition.
 */
#ifndef ISC_CORE_ARENA_H
#define ISC_CORE_ARENA_H

#include <inversescope/backend.h>

typedef struct isc_chunk {
  char *at;
  size_t size, used;
} isc_chunk;

typedef struct isc_arena {
  const isc_device *dev; /* NULL = host memory                              */
  isc_chunk *chunk;      /* [count]; those after `current` are unused       */
  int64_t count, capacity, current;
  size_t peak;   /* most bytes in use since the last reset          */
  size_t wanted; /* size of the next first chunk: what one step took */
} isc_arena;

typedef struct isc_arena_mark {
  int64_t current;
  size_t used;
} isc_arena_mark;

/* 64-byte steps; the content is whatever was there. */
isc_status isc_arena_alloc(isc_arena *a, size_t bytes, void **out);
isc_arena_mark isc_arena_here(const isc_arena *a);
/* Everything allocated after `mark` dies. */
void isc_arena_rewind(isc_arena *a, isc_arena_mark mark);
/* Everything dies. If it took more than one chunk, they are given up for one that holds it all. */
void isc_arena_reset(isc_arena *a);
void isc_arena_free(isc_arena *a);

#endif
