/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of threads as fibers: the scheduler, barriers, meetings of warps, and shared memory.
 *
 * Fibers are made once for the process and used again: each runs kernels in a loop and hands over when its thread is done.
 */
#include "emulation.h"

#include <inversescope/rng.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace {

enum { MOST_THREADS = 1024, PAGE = 4096, MOST_SHARED = 64, MEETINGS = 8 };
enum { STACK = 256 << 10, MOST_COPIES = 64 };
enum state { READY, AT_BARRIER, AT_MEETING, DONE };

/* A copy into shared memory that has begun; its group counts up from the thread's beginning. */
struct under_way {
  void *to;
  const void *from;
  unsigned group;
};
/* The copies of a thread, in a circle: they end in the order in which they began. */
struct copies {
  under_way what[MOST_COPIES];
  unsigned first, n, group;
};

struct fiber {
  isc_emulated_place place;
  state is;
  int vote;
  char *stack;
  copies c;
#if defined(__x86_64__)
  void *sp;
#else
  ucontext_t context;
#endif
};

/* Lanes of a warp that wait for each other: two meetings of one mask may overlap by their last readers. */
struct meeting {
  uint32_t mask;
  isc_emulated_meeting what[2];
  int turn;
  uint32_t waiting;
};
struct warp {
  uint32_t alive;
  meeting m[MEETINGS];
};
struct shared {
  const void *key;
  void *p;
};

pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
fiber *fibers; /* [MOST_THREADS] */
warp *warps;   /* [MOST_THREADS / 32] */
fiber *now;
const isc_emulated_launch *work;
const char *problem;
shared pieces[MOST_SHARED];
int n_pieces;
void *dynamic;
int threads, alive, at_barrier, votes;
int ready[MOST_THREADS], n_ready;
uint64_t draw_state;

/* ---- changing over */

#if defined(__x86_64__)
void *scheduler_sp;
extern "C" void isc_emulated_switch(void **save, void *load);
__asm__(".text\n.hidden isc_emulated_switch\n.globl isc_emulated_switch\n"
        ".type isc_emulated_switch, @function\nisc_emulated_switch:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size isc_emulated_switch, . - isc_emulated_switch\n");
#else
ucontext_t scheduler_context;
#endif
#ifdef WITH_ASAN
void *scheduler_fake;
const void *scheduler_bottom;
size_t scheduler_size;
#endif

void to_fiber(fiber *f) {
  now = f;
  isc_emulated_now = &f->place;
#ifdef WITH_ASAN
  __sanitizer_start_switch_fiber(&scheduler_fake, f->stack, STACK);
#endif
#if defined(__x86_64__)
  isc_emulated_switch(&scheduler_sp, f->sp);
#else
  swapcontext(&scheduler_context, &f->context);
#endif
#ifdef WITH_ASAN
  __sanitizer_finish_switch_fiber(scheduler_fake, NULL, NULL);
#endif
}

void to_scheduler() {
  fiber *f = now;
#ifdef WITH_ASAN
  void *fake;
  __sanitizer_start_switch_fiber(&fake, scheduler_bottom, scheduler_size);
#endif
#if defined(__x86_64__)
  isc_emulated_switch(&f->sp, scheduler_sp);
#else
  swapcontext(&f->context, &scheduler_context);
#endif
#ifdef WITH_ASAN
  __sanitizer_finish_switch_fiber(fake, &scheduler_bottom, &scheduler_size);
#endif
}

void thread_ends();

void fiber_main() {
#ifdef WITH_ASAN
  __sanitizer_finish_switch_fiber(NULL, &scheduler_bottom, &scheduler_size);
#endif
  for (;;) {
    work->kernel(work->args);
    thread_ends();
    to_scheduler();
  }
}

void fiber_begin(fiber *f) {
#ifdef WITH_ASAN
  ASAN_UNPOISON_MEMORY_REGION(f->stack, STACK);
#endif
#if defined(__x86_64__)
  void **sp = reinterpret_cast<void **>(f->stack + STACK);
  *--sp = NULL; /* where fiber_main would return to: keeps the stack's alignment */
  *--sp = reinterpret_cast<void *>(fiber_main);
  for (int i = 0; i < 6; i++)
    *--sp = NULL;
  f->sp = sp;
#else
  getcontext(&f->context);
  f->context.uc_stack.ss_sp = f->stack;
  f->context.uc_stack.ss_size = STACK;
  f->context.uc_link = NULL;
  makecontext(&f->context, fiber_main, 0);
#endif
}

/* The fibers' memory comes from the system, so that it is no allocation of the program under test. */
bool make_fibers() {
  if (fibers) return true;
  const size_t heads = (sizeof(fiber) * MOST_THREADS + PAGE - 1) / PAGE * PAGE;
  const size_t middle = (sizeof(warp) * (MOST_THREADS / 32) + PAGE - 1) / PAGE * PAGE;
  const size_t each = STACK + PAGE, all = heads + middle + each * MOST_THREADS;
  void *p =
      mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  char *base = static_cast<char *>(p);
  fibers = static_cast<fiber *>(p);
  warps = reinterpret_cast<warp *>(base + heads);
  for (int i = 0; i < MOST_THREADS; i++) {
    char *stack = base + heads + middle + each * (size_t)i;
    mprotect(stack, PAGE, PROT_NONE); /* below it a stack overflows into nothing */
    fibers[i].stack = stack + PAGE;
    fiber_begin(&fibers[i]);
  }
  return true;
}

/* ---- who can go on */

int index_of(const fiber *f) {
  return (int)(f - fibers);
}

void release(fiber *f) {
  f->is = READY;
  ready[n_ready++] = index_of(f);
}

void open_barrier() {
  if (at_barrier == 0 || at_barrier < alive) return;
  at_barrier = 0;
  for (int i = 0; i < threads; i++)
    if (fibers[i].is == AT_BARRIER) {
      fibers[i].vote = votes;
      release(&fibers[i]);
    }
  votes = 0;
}

/* A meeting ends when all lanes of its mask that still run are there. */
void end_meeting(int w, meeting *m) {
  if (m->waiting == 0 || m->waiting != (m->mask & warps[w].alive)) return;
  m->what[m->turn].came = m->waiting;
  for (int i = 0; i < 32; i++)
    if (m->waiting >> i & 1) release(&fibers[w * 32 + i]);
  m->waiting = 0;
}

void thread_ends() {
  const int w = index_of(now) / 32;
  now->is = DONE;
  alive--;
  warps[w].alive &= ~(1u << index_of(now) % 32);
  for (int k = 0; k < MEETINGS; k++)
    end_meeting(w, &warps[w].m[k]);
  open_barrier();
}

/* A few steps of xorshift between draws of the seed's stream are random enough for an order. */
uint32_t draw(uint32_t below) {
  draw_state ^= draw_state << 13;
  draw_state ^= draw_state >> 7;
  draw_state ^= draw_state << 17;
  return (uint32_t)((draw_state >> 32) * below >> 32);
}

int compare_forward(const void *a, const void *b) {
  return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}
int compare_backward(const void *a, const void *b) {
  return -compare_forward(a, b);
}

/* All that can go on do, once, in the order wanted. */
void wave() {
  int order[MOST_THREADS];
  const int n = n_ready;
  memcpy(order, ready, sizeof *ready * (size_t)n);
  n_ready = 0;
  if (work->order != ISC_EMULATED_RANDOM)
    qsort(order, (size_t)n, sizeof *order,
          work->order == ISC_EMULATED_FORWARD ? compare_forward : compare_backward);
  for (int i = 0; i < n && !problem; i++) {
    if (work->order == ISC_EMULATED_RANDOM) {
      const int k = i + (int)draw((uint32_t)(n - i)), chosen = order[k];
      order[k] = order[i];
      order[i] = chosen;
    }
    to_fiber(&fibers[order[i]]);
  }
}

void run_block(unsigned x, unsigned y, unsigned z) {
  const isc_emulated_index b = work->block;
  alive = threads;
  at_barrier = votes = n_ready = 0;
  memset(warps, 0, sizeof *warps * (size_t)((threads + 31) / 32));
  for (int i = 0; i < threads; i++) {
    const unsigned u = (unsigned)i;
    fibers[i].place.thread = {u % b.x, u / b.x % b.y, u / b.x / b.y};
    fibers[i].place.block = {x, y, z};
    fibers[i].place.block_size = b;
    fibers[i].place.grid_size = work->grid;
    fibers[i].c.n = fibers[i].c.group = 0;
    warps[i / 32].alive |= 1u << i % 32;
    release(&fibers[i]);
  }
  while (n_ready > 0 && !problem)
    wave();
  if (alive > 0 && !problem)
    problem = "threads wait for others that never come: a barrier or a warp's operation is not "
              "reached by all";
  for (int i = 0; i < n_pieces; i++)
    free(pieces[i].p);
  n_pieces = 0;
  free(dynamic);
  dynamic = NULL;
}

/* Fibers that were left in the middle of a kernel begin afresh. */
void run_grid() {
  problem = NULL;
  for (unsigned z = 0; z < work->grid.z && !problem; z++)
    for (unsigned y = 0; y < work->grid.y && !problem; y++)
      for (unsigned x = 0; x < work->grid.x && !problem; x++)
        run_block(x, y, z);
  for (int i = 0; problem && i < threads; i++)
    fiber_begin(&fibers[i]);
}

void *fresh(size_t bytes) {
  void *p = malloc(bytes ? bytes : 1);
  if (p)
    memset(p, 0xFF, bytes);
  else
    problem = "no memory for a block's shared memory";
  return p;
}

/* The thread cannot go on: the scheduler gives the launch up. */
[[noreturn]] void give_up() {
  for (;;)
    to_scheduler();
}

} // namespace

isc_emulated_place *isc_emulated_now;
uint64_t isc_emulated_conflicts;

const char *isc_emulated_run(const isc_emulated_launch *launch) {
  const uint64_t n = (uint64_t)launch->block.x * launch->block.y * launch->block.z;
  if (n == 0 || n > MOST_THREADS) return "a block has 1 to 1024 threads";
  pthread_mutex_lock(&one_at_a_time);
  const char *said = "no memory for fibers";
  if (make_fibers()) {
    isc_rng rng = isc_rng_at(launch->seed, ISC_RNG_USER, 0);
    draw_state = isc_rng_u64(&rng) | 1;
    work = launch;
    threads = (int)n;
    run_grid();
    said = problem;
  }
  pthread_mutex_unlock(&one_at_a_time);
  return said;
}

void *isc_emulated_shared(const void *key, size_t bytes) {
  for (int i = 0; i < n_pieces; i++)
    if (pieces[i].key == key) return pieces[i].p;
  if (n_pieces == MOST_SHARED) problem = "a kernel has too many shared arrays";
  void *p = problem ? NULL : fresh(bytes);
  if (!p) give_up();
  pieces[n_pieces].key = key;
  pieces[n_pieces++].p = p;
  return p;
}

void *isc_emulated_dynamic(void) {
  if (!dynamic) dynamic = fresh(work->shared);
  if (!dynamic) give_up();
  return dynamic;
}

int isc_emulated_barrier(int vote) {
  fiber *f = now;
  votes |= vote != 0;
  f->is = AT_BARRIER;
  at_barrier++;
  open_barrier();
  to_scheduler();
  return f->vote;
}

const isc_emulated_meeting *isc_emulated_meet(uint32_t mask, const void *gift, size_t bytes) {
  const int w = index_of(now) / 32, lane = index_of(now) % 32;
  meeting *m = warps[w].m, *end = m + MEETINGS;
  while (m < end && m->mask && m->mask != mask)
    m++;
  if (m == end || !(mask >> lane & 1)) {
    problem = m == end ? "a warp meets under too many masks" : "a lane is not in its own mask";
    give_up();
  }
  m->mask = mask;
  if (m->waiting == 0) m->turn ^= 1;
  memcpy(m->what[m->turn].gift[lane], gift, bytes);
  const isc_emulated_meeting *what = &m->what[m->turn];
  m->waiting |= 1u << lane;
  now->is = AT_MEETING;
  end_meeting(w, m);
  to_scheduler();
  return what;
}

void isc_emulated_wrong(const char *what) {
  problem = what;
  give_up();
}

void isc_emulated_copy(void *to, const void *from) {
  copies *c = &now->c;
  if ((uintptr_t)to % 16 != 0 || (uintptr_t)from % 16 != 0)
    isc_emulated_wrong("a copy into shared memory is not on 16 bytes");
  if (c->n == MOST_COPIES) isc_emulated_wrong("a thread has too many copies under way");
  memset(to, 0xFF, 16);
  c->what[(c->first + c->n++) % MOST_COPIES] = {to, from, c->group};
}

void isc_emulated_commit(void) {
  now->c.group++;
}

void isc_emulated_wait(int groups) {
  copies *c = &now->c;
  for (; c->n > 0; c->n--, c->first = (c->first + 1) % MOST_COPIES) {
    const under_way *w = &c->what[c->first];
    if (w->group + (unsigned)groups >= c->group) break;
    memcpy(w->to, w->from, 16);
  }
}
