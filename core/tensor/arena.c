/* SPDX-License-Identifier: Apache-2.0
 *
 * The bump arena behind a step.
 *
 * Chunks grow by half of what is held, so a step that turns out large costs a few allocations once;
 * the reset then trades them for one chunk of the step's size and an eighth.
 */
#include "tensor/arena.h"
#include "base/base.h"
#include <stdlib.h>

enum { ALIGN = 64 };
static const size_t SMALLEST_ON_DEVICE = (size_t)1 << 20;
static const size_t SMALLEST_ON_HOST = (size_t)1 << 15;

static isc_status chunk_get(const isc_arena *a, size_t bytes, void **out) {
  if (a->dev) return a->dev->ops->alloc(a->dev->impl, bytes, out);
  return isc_malloc(bytes, "a step's bookkeeping", out);
}

static void chunk_give(const isc_arena *a, isc_chunk *c) {
  if (a->dev)
    a->dev->ops->free(a->dev->impl, c->at);
  else
    free(c->at);
}

static void give_all(isc_arena *a) {
  for (int64_t i = 0; i < a->count; i++)
    chunk_give(a, &a->chunk[i]);
  a->count = a->current = 0;
}

static size_t in_use(const isc_arena *a) {
  size_t sum = 0;
  for (int64_t i = 0; i < a->count; i++)
    sum += a->chunk[i].used;
  return sum;
}

static size_t next_size(const isc_arena *a, size_t need) {
  size_t held = 0, size = a->dev ? SMALLEST_ON_DEVICE : SMALLEST_ON_HOST;
  for (int64_t i = 0; i < a->count; i++)
    held += a->chunk[i].size;
  if (held / 2 > size) size = held / 2;
  if (a->count == 0 && a->wanted > size) size = a->wanted;
  size = size / ALIGN * ALIGN;
  return need > size ? need : size;
}

static isc_status grow(isc_arena *a, size_t need) {
  if (a->count == a->capacity) {
    void *p = a->chunk;
    ISC_TRY(isc_realloc(&p, (size_t)a->capacity + 8, sizeof *a->chunk, "a step's list of chunks"));
    a->chunk = p;
    a->capacity += 8;
  }
  size_t size = next_size(a, need);
  void *at;
  isc_status st = chunk_get(a, size, &at);
  if (st == ISC_E_NOMEM && size > need) { /* the reserve may be what does not fit */
    size = need;
    st = chunk_get(a, size, &at);
  }
  if (st != ISC_OK) return st;
  a->chunk[a->count++] = (isc_chunk){.at = at, .size = size};
  return ISC_OK;
}

isc_status isc_arena_alloc(isc_arena *a, size_t bytes, void **out) {
  size_t padded;
  *out = NULL;
  ISC_TRY(isc_add_size(bytes, ALIGN - 1, "a step's memory", &padded));
  padded = padded < ALIGN ? ALIGN : padded / ALIGN * ALIGN;
  while (a->current < a->count && a->chunk[a->current].size - a->chunk[a->current].used < padded)
    a->current++;
  if (a->current == a->count) ISC_TRY(grow(a, padded));
  isc_chunk *c = &a->chunk[a->current];
  *out = c->at + c->used;
  c->used += padded;
  return ISC_OK;
}

isc_arena_mark isc_arena_here(const isc_arena *a) {
  if (a->current >= a->count) return (isc_arena_mark){.current = a->current};
  return (isc_arena_mark){.current = a->current, .used = a->chunk[a->current].used};
}

void isc_arena_rewind(isc_arena *a, isc_arena_mark mark) {
  size_t used = in_use(a);
  if (used > a->peak) a->peak = used;
  for (int64_t i = mark.current; i < a->count; i++)
    a->chunk[i].used = i == mark.current ? mark.used : 0;
  a->current = mark.current;
}

void isc_arena_reset(isc_arena *a) {
  isc_arena_rewind(a, (isc_arena_mark){0});
  if (a->count > 1) {
    give_all(a);
    a->wanted = a->peak + a->peak / 8;
  }
  a->peak = 0;
}

void isc_arena_free(isc_arena *a) {
  give_all(a);
  free(a->chunk);
  *a = (isc_arena){.dev = a->dev};
}
