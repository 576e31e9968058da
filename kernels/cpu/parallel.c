/* SPDX-License-Identifier: Apache-2.0
 *
 * The backend's threads: one parallel loop over chunks that whoever is awake takes next.
 *
 * Rationale for not using OpenMP here: the end of an OpenMP region waits for every thread of the team,
 * also for one that the system has not let run yet, and its idle threads spin for milliseconds unless
 * the environment said otherwise before the program began. On a machine with other work that made
 * small operations up to a hundred times slower. Here the caller does whatever the others do not take,
 * waits only for chunks already begun, and idle threads sleep after some 30 µs.
 */
#include "cpu.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SPINS = 1200, CHUNKS_PER_THREAD = 4, CHUNKS_MOST = 4096 };

struct cpu_pool {
  /* generation << 32 | chunks << 16 | next chunk. A thread that moves `next` on by compare-and-swap
   * holds a chunk of that very generation, whose loop cannot end before the chunk is done; so the
   * fields of `loop` are stable while anyone reads them. */
  _Atomic uint64_t claim;
  _Atomic uint32_t epoch; /* moves with each loop and at the end: what sleepers watch */
  _Atomic int done;       /* chunks finished in this loop */
  _Atomic int sleepers;
  _Atomic bool stop;
  struct {
    cpu_job *job;
    void *ctx;
    int64_t n, grain, grains;
  } loop;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  int workers; /* threads besides the caller */
  struct worker {
    pthread_t id;
    struct cpu_pool *pool;
    int thread;
  } worker[];
};

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Take and run one chunk; false when none is left. */
static bool run_chunk(cpu_pool *p, int thread) {
  uint64_t c = atomic_load(&p->claim);
  int64_t chunk, chunks;
  do {
    chunk = (int64_t)(c & 0xFFFF);
    chunks = (int64_t)(c >> 16 & 0xFFFF);
    if (chunk >= chunks) return false;
  } while (!atomic_compare_exchange_weak(&p->claim, &c, c + 1));
  const int64_t begin = p->loop.grains * chunk / chunks * p->loop.grain;
  const int64_t end = p->loop.grains * (chunk + 1) / chunks * p->loop.grain;
  p->loop.job(p->loop.ctx, begin, end < p->loop.n ? end : p->loop.n, thread);
  atomic_fetch_add(&p->done, 1);
  return true;
}

static void sleep_until(cpu_pool *p, uint32_t epoch) {
  pthread_mutex_lock(&p->mutex);
  atomic_fetch_add(&p->sleepers, 1);
  while (atomic_load(&p->epoch) == epoch)
    pthread_cond_wait(&p->wake, &p->mutex);
  atomic_fetch_sub(&p->sleepers, 1);
  pthread_mutex_unlock(&p->mutex);
}

/* Announce a change. A thread about to sleep has either raised `sleepers` before it is read here, or
 * sees the new epoch before it waits. */
static void announce(cpu_pool *p) {
  atomic_fetch_add(&p->epoch, 1);
  if (atomic_load(&p->sleepers) == 0) return;
  pthread_mutex_lock(&p->mutex);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->mutex);
}

static void *work(void *arg) {
  struct worker *w = arg;
  cpu_pool *p = w->pool;
  while (!atomic_load(&p->stop)) {
    const uint32_t epoch = atomic_load(&p->epoch);
    while (run_chunk(p, w->thread))
      ;
    for (int i = 0; i < SPINS && atomic_load(&p->epoch) == epoch; i++)
      relax();
    if (atomic_load(&p->epoch) == epoch) sleep_until(p, epoch);
  }
  return NULL;
}

isc_status cpu_pool_start(cpu *c) {
  if (c->threads < 2) return ISC_OK;
  cpu_pool *p = calloc(1, sizeof *p + (size_t)(c->threads - 1) * sizeof *p->worker);
  if (!p) return isc_fail(ISC_E_NOMEM, "CPU backend: no memory for %d threads", c->threads);
  pthread_mutex_init(&p->mutex, NULL);
  pthread_cond_init(&p->wake, NULL);
  c->pool = p;
  sigset_t all, before; /* signals are for the program's own threads */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (; p->workers < c->threads - 1; p->workers++) {
    struct worker *w = p->worker + p->workers;
    *w = (struct worker){.pool = p, .thread = p->workers + 1};
    if (pthread_create(&w->id, NULL, work, w) != 0) break; /* make do with fewer */
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return ISC_OK;
}

void cpu_pool_stop(cpu *c) {
  cpu_pool *p = c->pool;
  if (!p) return;
  atomic_store(&p->stop, true);
  announce(p);
  for (int i = 0; i < p->workers; i++)
    pthread_join(p->worker[i].id, NULL);
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->mutex);
  free(p);
  c->pool = NULL;
}

void cpu_for(const cpu *c, int64_t n, int64_t grain, cpu_job *job, void *ctx) {
  if (n <= 0) return;
  if (grain < 1) grain = 1;
  const int64_t grains = n / grain + (n % grain != 0);
  cpu_pool *p = c->pool;
  if (!p || p->workers == 0 || grains < 2) {
    job(ctx, 0, n, 0);
    return;
  }
  int64_t chunks = (int64_t)(p->workers + 1) * CHUNKS_PER_THREAD;
  if (chunks > CHUNKS_MOST) chunks = CHUNKS_MOST;
  if (chunks > grains) chunks = grains;
  p->loop.job = job;
  p->loop.ctx = ctx;
  p->loop.n = n;
  p->loop.grain = grain;
  p->loop.grains = grains;
  atomic_store(&p->done, 0);
  const uint64_t generation = (atomic_load(&p->claim) >> 32) + 1;
  atomic_store(&p->claim, generation << 32 | (uint64_t)chunks << 16);
  announce(p);
  while (run_chunk(p, 0))
    ;
  for (int i = 0; atomic_load(&p->done) < chunks; i++)
    if (i < SPINS)
      relax();
    else
      sched_yield();
}
