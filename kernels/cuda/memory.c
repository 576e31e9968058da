/* SPDX-License-Identifier: Apache-2.0
 *
 * The backend's memory: what is freed is kept by size and given out again.
 *
 * Asking the driver takes as long as many an operation, and waits for the device. Sizes are rounded up to one of eight steps
 * in each power of two, so that a step of training finds what the last one freed. Small blocks are cut from slabs. When the
 * driver has no more, what lies free goes back to it and it is asked once more.
 */
#include "cuda_backend.h"
#include <stdlib.h>
#include <string.h>

enum {
  UNIT = 256, /* every block begins and ends at a multiple of it */
  SMALL = 1 << 20,
  SLAB = 8 << 20,
  STEPS = 8, /* sizes in a power of two */
  CLASSES = 64 * STEPS,
  BUCKETS = 1024
};

typedef struct slab {
  struct slab *next;
  char *p;
  size_t used; /* bytes cut from it */
  int64_t out; /* blocks given out  */
} slab;

typedef struct block {
  struct block *next; /* in a bucket while given out, in a class while free */
  char *p;
  size_t bytes;
  slab *of; /* NULL: the driver's own */
} block;

struct cuda_pool {
  block *out[BUCKETS];
  block *free[CLASSES];
  slab *slabs;
};

/* The class of a size, and the size of the class. */
static int class_of(size_t bytes, size_t *rounded) {
  size_t units = (bytes + UNIT - 1) / UNIT;
  if (units < STEPS) {
    *rounded = (units ? units : 1) * UNIT;
    return (int)(units ? units : 1);
  }
  const int top = 63 - __builtin_clzll((unsigned long long)units), shift = top - 3;
  const size_t steps = (units + ((size_t)1 << shift) - 1) >> shift; /* 8 … 16 */
  *rounded = (steps << shift) * UNIT;
  return steps == 16 ? (shift + 2) * STEPS : (shift + 1) * STEPS + (int)steps - 8;
}

static int bucket_of(const void *p) {
  return (int)((uintptr_t)p / UNIT % BUCKETS);
}

isc_status cuda_pool_open(cuda *c) {
  c->pool = calloc(1, sizeof *c->pool);
  if (c->pool) return ISC_OK;
  return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *c->pool);
}

/* ---- giving back */

static void to_driver(cuda *c, char *p, size_t bytes) {
  c->d->memory_free(cuda_at(p));
  c->held -= bytes;
}

static void drop_blocks(cuda *c, block **list, bool (*drop)(const block *)) {
  while (*list) {
    block *b = *list;
    if (!drop(b)) {
      list = &b->next;
      continue;
    }
    *list = b->next;
    if (!b->of) to_driver(c, b->p, b->bytes);
    free(b);
  }
}

static bool is_unused(const block *b) {
  return !b->of || b->of->out == 0;
}

static void drop_slabs(cuda *c) {
  slab **list = &c->pool->slabs;
  while (*list) {
    slab *s = *list;
    if (s->out > 0) {
      list = &s->next;
      continue;
    }
    *list = s->next;
    to_driver(c, s->p, SLAB);
    free(s);
  }
}

/* All that lies free goes back to the driver. */
static void flush(cuda *c) {
  c->d->stream_wait(c->stream);
  for (int k = 0; k < CLASSES; k++)
    drop_blocks(c, &c->pool->free[k], is_unused);
  drop_slabs(c);
}

static bool is_any(const block *b) {
  (void)b;
  return true;
}

/* Blocks that nobody freed stay where they are; only the host's notes of them go. */
void cuda_pool_close(cuda *c) {
  if (!c->pool) return;
  flush(c);
  for (int k = 0; k < CLASSES; k++)
    drop_blocks(c, &c->pool->free[k], is_any);
  for (int k = 0; k < BUCKETS; k++)
    while (c->pool->out[k]) {
      block *b = c->pool->out[k];
      c->pool->out[k] = b->next;
      free(b);
    }
  while (c->pool->slabs) {
    slab *s = c->pool->slabs;
    c->pool->slabs = s->next;
    free(s);
  }
  free(c->pool);
  c->pool = NULL;
}

/* ---- getting */

static isc_status exhausted(cuda *c, size_t bytes) {
  size_t left = 0, total = 0;
  c->d->memory_info(&left, &total);
  return isc_fail(
      ISC_E_NOMEM,
      "CUDA backend: no memory for %zu bytes; the device has %zu bytes free of %zu. Use "
      "smaller batches",
      bytes, left, total);
}

/* From the driver; at a second try after all that lies free was given back. */
static isc_status from_driver(cuda *c, size_t bytes, size_t asked, char **out) {
  cu_pointer p = 0;
  cu_result r = c->d->memory_alloc(&p, bytes);
  if (r == CU_OUT_OF_MEMORY && !c->capturing) { /* then nothing can be waited for */
    flush(c);
    r = c->d->memory_alloc(&p, bytes);
  }
  if (r == CU_OUT_OF_MEMORY) return exhausted(c, asked);
  ISC_TRY(cuda_check(c, r, "memory_alloc", __FILE__, __LINE__, "%zu bytes", bytes));
  *out = (char *)(uintptr_t)p;
  c->held += bytes;
  if (c->held > c->most) c->most = c->held;
  return ISC_OK;
}

isc_status cuda_memory(cuda *c, bool anew, isc_memory_use *out) {
  size_t left;
  *out = (isc_memory_use){0};
  CU(c, memory_info(&left, &out->total), "the device's memory");
  if (anew) c->most = c->held;
  out->held = c->held;
  out->most = c->most;
  return ISC_OK;
}

static isc_status cut(cuda *c, size_t bytes, block *b) {
  slab *s = c->pool->slabs;
  if (!s || SLAB - s->used < bytes) {
    s = calloc(1, sizeof *s);
    if (!s) return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *s);
    const isc_status st = from_driver(c, SLAB, bytes, &s->p);
    if (st != ISC_OK) {
      free(s);
      return st;
    }
    s->next = c->pool->slabs;
    c->pool->slabs = s;
  }
  b->p = s->p + s->used;
  b->of = s;
  s->used += bytes;
  return ISC_OK;
}

static isc_status fresh(cuda *c, size_t bytes, size_t asked, block **out) {
  block *b = calloc(1, sizeof *b);
  if (!b) return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *b);
  b->bytes = bytes;
  const isc_status st = bytes <= SMALL ? cut(c, bytes, b) : from_driver(c, bytes, asked, &b->p);
  if (st != ISC_OK)
    free(b);
  else
    *out = b;
  return st;
}

isc_status cuda_alloc(cuda *c, size_t bytes, void **out) {
  size_t rounded;
  *out = NULL;
  if (bytes > SIZE_MAX / 4) return exhausted(c, bytes);
  block *b = NULL, **list = &c->pool->free[class_of(bytes, &rounded)];
  if (*list) {
    b = *list;
    *list = b->next;
  } else {
    ISC_TRY(fresh(c, rounded, bytes, &b));
  }
  if (b->of) b->of->out++;
  b->next = c->pool->out[bucket_of(b->p)];
  c->pool->out[bucket_of(b->p)] = b;
  *out = b->p;
  return ISC_OK;
}

void cuda_free(cuda *c, void *p) {
  size_t rounded;
  block **list = &c->pool->out[bucket_of(p)];
  while (*list && (*list)->p != p)
    list = &(*list)->next;
  block *b = *list;
  if (!p || !b) return;
  *list = b->next;
  if (b->of) b->of->out--;
  block **free_list = &c->pool->free[class_of(b->bytes, &rounded)];
  b->next = *free_list;
  *free_list = b;
}

isc_status cuda_scratch(cuda *c, cuda_slot slot, size_t bytes, void **out) {
  if (bytes > c->scratch[slot].size) {
    void *p;
    cuda_free(c, c->scratch[slot].p);
    c->scratch[slot].p = NULL;
    c->scratch[slot].size = 0;
    ISC_TRY(cuda_alloc(c, bytes, &p));
    c->scratch[slot].p = p;
    c->scratch[slot].size = bytes;
  }
  *out = c->scratch[slot].p;
  return ISC_OK;
}
