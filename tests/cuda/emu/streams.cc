/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler of the emulated device's streams.
 *
 * Requests of a stream are counted: an event is a count, reached when as many are done. Each run of the scheduler has a
 * manner, drawn from Philox: fair among the streams that can go on, as little as the host waits for, or all others first.
 */
#include "streams.h"

#include <inversescope/rng.h>
#include <pthread.h>
#include <sys/mman.h>

namespace {
enum { WAITING = 64 };
enum manner { FAIR, LAZY, OTHERS_FIRST, MANNERS };
} // namespace

struct CUstream_st {
  CUstream_st *next;
  cu_result failed;
  cu_graph capture;
  uint64_t number, seed;
  uint64_t asked, done; /* so many requests; request i waits at i % WAITING */
  uint64_t patience;    /* requests until chance says otherwise             */
  emulated_request waiting[WAITING];
};

namespace {

pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
cu_stream streams; /* all that are open */
uint64_t draws, numbers;

isc_rng next_rng(const CUstream_st *s) {
  return isc_rng_at(s->seed, ISC_RNG_USER, ++draws);
}

cu_stream find(uint64_t number) {
  cu_stream s = streams;
  while (s && s->number != number)
    s = s->next;
  return s;
}

/* The stream that the mark is not reached in; NULL once it is. */
cu_stream behind(emulated_mark m) {
  cu_stream s = find(m.stream);
  return s && s->done < m.position ? s : NULL;
}

const emulated_request *head(const CUstream_st *s) {
  return &s->waiting[s->done % WAITING];
}

bool can_go_on(const CUstream_st *s) {
  return s->done < s->asked && !(head(s)->kind == WAIT && behind(head(s)->until));
}

/* A stream that failed does nothing more, and who waits for it fails with it. */
void fail(cu_stream s, cu_result r) {
  s->failed = r;
  s->done = s->asked;
}

void step(cu_stream s) {
  const emulated_request *r = head(s);
  cu_result result = CU_OK;
  if (r->kind == WAIT) {
    const CUstream_st *other = find(r->until.stream);
    if (other) result = other->failed;
  } else {
    result = emulated_device_do(r, s->seed + ++draws);
  }
  s->done++;
  if (result != CU_OK) fail(s, result);
}

/* One of those that can go on and are not `except`; NULL if there is none. */
cu_stream any(isc_rng *rng, const CUstream_st *except) {
  uint64_t n = 0;
  cu_stream chosen = NULL;
  for (cu_stream s = streams; s; s = s->next)
    if (s != except && can_go_on(s) && isc_rng_below(rng, ++n) == 0) chosen = s;
  return chosen;
}

/* The stream itself, or the one that it waits for in the end. What is waited for was asked before, so there is one. */
cu_stream needed(cu_stream s) {
  while (s->done < s->asked && !can_go_on(s))
    s = behind(head(s)->until);
  return s;
}

cu_stream choose(cu_stream target, manner how, isc_rng *rng) {
  if (how == LAZY) return needed(target);
  cu_stream s = any(rng, how == OTHERS_FIRST ? target : NULL);
  return s ? s : target;
}

/* Until so many requests of the stream are done. */
void run_until(cu_stream s, uint64_t position) {
  if (s->done >= position) return;
  isc_rng rng = next_rng(s);
  const manner how = static_cast<manner>(isc_rng_below(&rng, MANNERS));
  emulated_device_begins();
  while (s->done < position)
    step(choose(s, how, &rng));
  emulated_device_ends();
}

/* Chance: some steps, by one stream or by whichever. */
void run_some(cu_stream s) {
  isc_rng rng = next_rng(s);
  s->patience = 1 + isc_rng_below(&rng, (uint64_t)2 << isc_rng_below(&rng, 5));
  const bool one = isc_rng_below(&rng, 2) == 0;
  uint64_t steps = 1 + isc_rng_below(&rng, WAITING);
  cu_stream chosen = any(&rng, NULL);
  emulated_device_begins();
  while (chosen && steps-- > 0) {
    step(chosen);
    if (!one)
      chosen = any(&rng, NULL);
    else if (!can_go_on(chosen))
      break;
  }
  emulated_device_ends();
}

/* A launch that had no memory leaves the stream as it was. */
cu_result report(cu_stream s) {
  const cu_result r = s->failed;
  if (r == CU_OUT_OF_MEMORY) s->failed = CU_OK;
  return r;
}

} // namespace

cu_result emulated_stream_open(cu_stream *out) {
  void *p =
      mmap(NULL, sizeof(CUstream_st), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return CU_OUT_OF_MEMORY;
  cu_stream s = static_cast<cu_stream>(p);
  pthread_mutex_lock(&lock);
  s->number = ++numbers;
  s->seed = ++draws;
  s->patience = 1;
  s->next = streams;
  streams = s;
  pthread_mutex_unlock(&lock);
  *out = s;
  return CU_OK;
}

void emulated_stream_close(cu_stream s) {
  pthread_mutex_lock(&lock);
  run_until(s, s->asked);
  cu_stream *at = &streams;
  while (*at != s)
    at = &(*at)->next;
  *at = s->next;
  pthread_mutex_unlock(&lock);
  munmap(s, sizeof *s);
}

cu_result emulated_stream_ask(cu_stream s, const emulated_request *r) {
  pthread_mutex_lock(&lock);
  if (--s->patience == 0) run_some(s);
  if (s->asked - s->done == WAITING) run_until(s, s->done + 1);
  const cu_result result = report(s);
  if (result == CU_OK) s->waiting[s->asked++ % WAITING] = *r;
  pthread_mutex_unlock(&lock);
  return result;
}

cu_result emulated_stream_finish(cu_stream s) {
  pthread_mutex_lock(&lock);
  run_until(s, s->asked);
  const cu_result result = report(s);
  pthread_mutex_unlock(&lock);
  return result;
}

cu_graph *emulated_stream_capture(cu_stream s) {
  return &s->capture;
}

cu_stream emulated_mark_stream(emulated_mark m) {
  pthread_mutex_lock(&lock);
  cu_stream s = find(m.stream);
  pthread_mutex_unlock(&lock);
  return s;
}

emulated_mark emulated_stream_mark(cu_stream s) {
  pthread_mutex_lock(&lock);
  const emulated_mark m = {s->number, s->asked};
  pthread_mutex_unlock(&lock);
  return m;
}

cu_result emulated_mark_reach(emulated_mark m) {
  cu_result result = CU_OK;
  pthread_mutex_lock(&lock);
  cu_stream s = find(m.stream);
  if (s) {
    run_until(s, m.position);
    result = report(s);
  }
  pthread_mutex_unlock(&lock);
  return result;
}
