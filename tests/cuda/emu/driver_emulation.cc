/* SPDX-License-Identifier: Apache-2.0
 *
 * The CUDA driver on the host: what the emulated backend is linked with in place of those that find the real ones.
 *
 * What is asked of streams is put off (streams.h), so a host buffer that is used again too early shows. Device memory lies in a
 * region of its own; with INVERSESCOPE_EMULATION=guard in the environment the host cannot touch it at all, and
 * INVERSESCOPE_EMULATION=forward or backward fixes the order of threads.
 */
#include "driver.h"
#include "emulation.h"
#include "kernels.h"
#include "library_emulation.h"
#include "streams.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DECLARE(name, type) extern "C" void isc_emulated_##name(const void *args);
CUDA_KERNELS(DECLARE)
#undef DECLARE

namespace {

enum { PAGE = 4096, MOST_SHARED = 227 << 10 };
const size_t DEVICE_BYTES = (size_t)2 << 30, SPARE = (size_t)64 << 20; /* SPARE: the driver's own */

const emulated_kernel kernels[] = {
#define LIST(name, type) {"isc_" #name, isc_emulated_##name, sizeof(type)},
    CUDA_KERNELS(LIST){EMULATED_PRODUCT, isc_emulated_product, sizeof(emulated_product)}};
#undef LIST

/* ---- device memory: pieces of a region, in order of their addresses */

struct piece {
  piece *next;
  char *p;
  size_t bytes;
};

pthread_mutex_t heap_lock = PTHREAD_MUTEX_INITIALIZER;
char *region;
size_t used;
piece *pieces;
bool guarded;
int order;

size_t whole_pages(size_t bytes) {
  return (bytes + PAGE - 1) / PAGE * PAGE;
}

void open_region() {
  const char *mode = getenv("INVERSESCOPE_EMULATION");
  if (region) return;
  guarded = mode && !strcmp(mode, "guard");
  order = mode && !strcmp(mode, "forward")    ? ISC_EMULATED_FORWARD
          : mode && !strcmp(mode, "backward") ? ISC_EMULATED_BACKWARD
                                              : ISC_EMULATED_RANDOM;
  void *p = mmap(NULL, DEVICE_BYTES, guarded ? PROT_NONE : PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p != MAP_FAILED) region = static_cast<char *>(p);
}

} // namespace

struct CUgraph_st {
  int n, room;
  bool broken; /* something was waited for meanwhile */
  emulated_request *at;
};

namespace {

const char *last_problem = "no error";

cu_result launch_now(const emulated_request *r, uint64_t seed) {
  isc_emulated_launch l = {r->k->call, r->args, r->grid, r->block, r->shared, order, seed};
  const char *problem = isc_emulated_run(&l);
  if (!problem) return CU_OK;
  last_problem = problem;
  return strstr(problem, "memory") ? CU_OUT_OF_MEMORY : CU_LAUNCH_FAILED;
}

/* The failure that a test asks for in the middle of the work. */
bool is_to_fail() {
  const char *mode = getenv("INVERSESCOPE_EMULATION");
  return mode && !strcmp(mode, "fail");
}

} // namespace

/* With a guard nobody else may touch the device's memory. */
void emulated_device_begins() {
  pthread_mutex_lock(&heap_lock);
  if (guarded) mprotect(region, DEVICE_BYTES, PROT_READ | PROT_WRITE);
}
void emulated_device_ends() {
  if (guarded) mprotect(region, DEVICE_BYTES, PROT_NONE);
  pthread_mutex_unlock(&heap_lock);
}

cu_result emulated_device_do(const emulated_request *r, uint64_t seed) {
  if (is_to_fail()) {
    last_problem = "the test asked for it";
    return CU_LAUNCH_FAILED;
  }
  switch (r->kind) {
  case LAUNCH:
    return launch_now(r, seed);
  case UP:
  case DOWN:
  case ACROSS:
    memcpy(r->dst, r->src, r->bytes);
    break;
  case SET:
    memset(r->dst, r->value, r->bytes);
    break;
  case WAIT:
    break;
  }
  return CU_OK;
}

namespace {

cu_result ask_graph(cu_graph g, const emulated_request *r) {
  if (g->n == g->room) {
    const int room = g->room ? 2 * g->room : 64;
    void *p = realloc(g->at, (size_t)room * sizeof *g->at);
    if (!p) return CU_OUT_OF_MEMORY;
    g->at = static_cast<emulated_request *>(p);
    g->room = room;
  }
  g->at[g->n++] = *r;
  return CU_OK;
}

cu_result ask(cu_stream s, const emulated_request *r) {
  cu_graph g = *emulated_stream_capture(s);
  return g ? ask_graph(g, r) : emulated_stream_ask(s, r);
}

/* ---- the driver's functions */

cu_result init(unsigned) {
  pthread_mutex_lock(&heap_lock);
  open_region();
  pthread_mutex_unlock(&heap_lock);
  return region ? CU_OK : CU_OUT_OF_MEMORY;
}
cu_result device_count(int *count) {
  *count = 1;
  return CU_OK;
}
cu_result device_get(cu_device *device, int ordinal) {
  *device = ordinal;
  return CU_OK;
}
cu_result device_name(char *name, int n, cu_device) {
  strncpy(name, "emulation", (size_t)n);
  return CU_OK;
}
cu_result device_memory(size_t *bytes, cu_device) {
  *bytes = DEVICE_BYTES;
  return CU_OK;
}
cu_result device_attribute(int *value, int attribute, cu_device) {
  *value = attribute == CU_ATTRIBUTE_MULTIPROCESSORS ? 4
           : attribute == CU_ATTRIBUTE_SHARED_OPTIN  ? MOST_SHARED
           : attribute == CU_ATTRIBUTE_MAJOR         ? 9
                                                     : 0;
  return CU_OK;
}
cu_result context_retain(cu_context *context, cu_device) {
  *context = reinterpret_cast<cu_context>(&region);
  return CU_OK;
}
cu_result context_set(cu_context) {
  return CU_OK;
}
cu_result context_get(cu_context *context) {
  return context_retain(context, 0);
}
cu_result module_load(cu_module *module, const void *) {
  *module = reinterpret_cast<cu_module>(&region);
  return CU_OK;
}
cu_result module_function(cu_function *function, cu_module, const char *name) {
  for (const emulated_kernel &k : kernels)
    if (!strcmp(k.name, name)) {
      *function = reinterpret_cast<cu_function>(const_cast<emulated_kernel *>(&k));
      return CU_OK;
    }
  return CU_NOT_FOUND;
}
cu_result function_set(cu_function, int attribute, int value) {
  return attribute == CU_FUNCTION_DYNAMIC_SHARED && value <= MOST_SHARED ? CU_OK : CU_INVALID_VALUE;
}

cu_result launch(cu_function function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                 unsigned by, unsigned bz, unsigned shared_bytes, cu_stream s, void **parameters,
                 void **) {
  emulated_request r = {};
  r.kind = LAUNCH;
  r.k = reinterpret_cast<const emulated_kernel *>(function);
  r.grid = {gx, gy, gz};
  r.block = {bx, by, bz};
  r.shared = shared_bytes;
  if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bx * by * bz == 0 ||
      bx * by * bz > 1024 || shared_bytes > MOST_SHARED || r.k->args > sizeof r.args)
    return CU_INVALID_VALUE;
  memcpy(r.args, parameters[0], r.k->args);
  return ask(s, &r);
}

cu_result memory_info(size_t *free_bytes, size_t *total) {
  pthread_mutex_lock(&heap_lock);
  *free_bytes = DEVICE_BYTES - SPARE - used;
  pthread_mutex_unlock(&heap_lock);
  *total = DEVICE_BYTES;
  return CU_OK;
}

/* First fit. */
cu_result memory_alloc(cu_pointer *out, size_t bytes) {
  piece *fresh = static_cast<piece *>(malloc(sizeof *fresh)), **at = &pieces;
  if (!fresh || bytes > DEVICE_BYTES) {
    free(fresh);
    return CU_OUT_OF_MEMORY;
  }
  pthread_mutex_lock(&heap_lock);
  char *from = region;
  while (*at && (size_t)((*at)->p - from) < whole_pages(bytes)) {
    from = (*at)->p + (*at)->bytes;
    at = &(*at)->next;
  }
  const bool fits = (size_t)(region + DEVICE_BYTES - SPARE - from) >= whole_pages(bytes);
  if (fits) {
    *fresh = {*at, from, whole_pages(bytes)};
    *at = fresh;
    used += fresh->bytes;
    *out = (cu_pointer)(uintptr_t)from;
  }
  pthread_mutex_unlock(&heap_lock);
  if (!fits) free(fresh);
  return fits ? CU_OK : CU_OUT_OF_MEMORY;
}

/* The pages go back, so that what is given out again is not what was there. */
cu_result memory_free(cu_pointer p) {
  pthread_mutex_lock(&heap_lock);
  piece **at = &pieces;
  while (*at && (cu_pointer)(uintptr_t)(*at)->p != p)
    at = &(*at)->next;
  piece *found = *at;
  if (found) {
    *at = found->next;
    used -= found->bytes;
    madvise(found->p, found->bytes, MADV_DONTNEED);
  }
  pthread_mutex_unlock(&heap_lock);
  free(found);
  return found ? CU_OK : CU_INVALID_VALUE;
}

/* INVERSESCOPE_EMULATION_PINNED in the environment: the most bytes that the system lets be pinned at a time. */
cu_result host_alloc(void **out, size_t bytes, unsigned) {
  const char *most = getenv("INVERSESCOPE_EMULATION_PINNED");
  if (most && bytes > strtoull(most, NULL, 10)) return CU_OUT_OF_MEMORY;
  void *p = mmap(NULL, bytes + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return CU_OUT_OF_MEMORY;
  memcpy(p, &bytes, sizeof bytes);
  *out = static_cast<char *>(p) + PAGE;
  return CU_OK;
}
cu_result host_free(void *p) {
  size_t bytes;
  char *begin = static_cast<char *>(p) - PAGE;
  memcpy(&bytes, begin, sizeof bytes);
  munmap(begin, bytes + PAGE);
  return CU_OK;
}

cu_result copy(cu_stream s, emulated_what kind, void *dst, const void *src, size_t bytes) {
  emulated_request r = {};
  r.kind = kind;
  r.dst = dst;
  r.src = src;
  r.bytes = bytes;
  return ask(s, &r);
}
void *host_view(cu_pointer p) {
  return reinterpret_cast<void *>((uintptr_t)p);
}
cu_result copy_up(cu_pointer dst, const void *src, size_t bytes, cu_stream s) {
  return copy(s, UP, host_view(dst), src, bytes);
}
cu_result copy_down(void *dst, cu_pointer src, size_t bytes, cu_stream s) {
  return copy(s, DOWN, dst, host_view(src), bytes);
}
cu_result copy_across(cu_pointer dst, cu_pointer src, size_t bytes, cu_stream s) {
  return copy(s, ACROSS, host_view(dst), host_view(src), bytes);
}
cu_result set_bytes(cu_pointer dst, unsigned char value, size_t bytes, cu_stream s) {
  emulated_request r = {};
  r.kind = SET;
  r.dst = host_view(dst);
  r.value = value;
  r.bytes = bytes;
  return ask(s, &r);
}

cu_result stream_create(cu_stream *stream, unsigned) {
  return emulated_stream_open(stream);
}
/* A test in this process that counts how often the host waits says where: a plugin has no symbol to offer for it. */
void count_wait() {
  const char *at = getenv("INVERSESCOPE_EMULATED_WAITS");
  if (at)
    __atomic_fetch_add(reinterpret_cast<uint64_t *>(strtoull(at, NULL, 16)), 1, __ATOMIC_RELAXED);
}

/* A stream whose work is captured cannot be waited for, and what was captured is lost. */
cu_result captured(cu_stream s) {
  if (!s || !*emulated_stream_capture(s)) return CU_OK;
  (*emulated_stream_capture(s))->broken = true;
  return CU_CAPTURE_UNSUPPORTED;
}
cu_result stream_wait(cu_stream s) {
  count_wait();
  const cu_result r = captured(s);
  return r == CU_OK ? emulated_stream_finish(s) : r;
}
cu_result stream_destroy(cu_stream s) {
  emulated_stream_close(s);
  return CU_OK;
}

/* An event is what it recorded last; one that recorded nothing keeps nobody waiting. */
emulated_mark *mark_of(cu_event event) {
  return reinterpret_cast<emulated_mark *>(event);
}
cu_result event_create(cu_event *event, unsigned) {
  *event = static_cast<cu_event>(calloc(1, sizeof(emulated_mark)));
  return *event ? CU_OK : CU_OUT_OF_MEMORY;
}
cu_result event_destroy(cu_event event) {
  free(event);
  return CU_OK;
}
cu_result event_record(cu_event event, cu_stream s) {
  const cu_result r = captured(s);
  if (r == CU_OK) *mark_of(event) = emulated_stream_mark(s);
  return r;
}
cu_result event_wait(cu_event event) {
  count_wait();
  const cu_result r = captured(emulated_mark_stream(*mark_of(event)));
  return r == CU_OK ? emulated_mark_reach(*mark_of(event)) : r;
}
cu_result stream_wait_event(cu_stream s, cu_event event, unsigned flags) {
  emulated_request r = {};
  if (flags != 0) return CU_INVALID_VALUE;
  const cu_result st = captured(s);
  r.kind = WAIT;
  r.until = *mark_of(event);
  return st == CU_OK ? emulated_stream_ask(s, &r) : st;
}

/* ---- graphs: lists of requests, copied into a stream when they are launched */

cu_result capture_begin(cu_stream s, int) {
  cu_graph *capture = emulated_stream_capture(s);
  if (*capture) return CU_CAPTURE_UNSUPPORTED;
  *capture = static_cast<cu_graph>(calloc(1, sizeof(CUgraph_st)));
  return *capture ? CU_OK : CU_OUT_OF_MEMORY;
}
cu_result graph_destroy(cu_graph g) {
  free(g->at);
  free(g);
  return CU_OK;
}
cu_result capture_end(cu_stream s, cu_graph *graph) {
  cu_graph g = *emulated_stream_capture(s);
  *graph = NULL;
  *emulated_stream_capture(s) = NULL;
  if (!g) return CU_INVALID_VALUE;
  if (g->broken) {
    graph_destroy(g);
    return CU_CAPTURE_UNSUPPORTED;
  }
  *graph = g;
  return CU_OK;
}
cu_result graph_instantiate(cu_graph_exec *exec, cu_graph graph, unsigned long long) {
  cu_graph copy = static_cast<cu_graph>(calloc(1, sizeof *copy));
  if (!copy) return CU_OUT_OF_MEMORY;
  copy->at = static_cast<emulated_request *>(malloc(((size_t)graph->n + 1) * sizeof *copy->at));
  if (!copy->at) {
    free(copy);
    return CU_OUT_OF_MEMORY;
  }
  memcpy(static_cast<void *>(copy->at), graph->at, (size_t)graph->n * sizeof *copy->at);
  copy->n = graph->n;
  *exec = reinterpret_cast<cu_graph_exec>(copy);
  return CU_OK;
}
/* Only the same kernels, copies and products in the same order. */
cu_result graph_exec_update(cu_graph_exec exec, cu_graph graph, cu_graph_update_info *info) {
  cu_graph e = reinterpret_cast<cu_graph>(exec);
  info->result = 1;
  if (e->n != graph->n) return CU_GRAPH_UPDATE_FAILED;
  for (int i = 0; i < e->n; i++)
    if (e->at[i].kind != graph->at[i].kind || e->at[i].k != graph->at[i].k)
      return CU_GRAPH_UPDATE_FAILED;
  memcpy(static_cast<void *>(e->at), graph->at, (size_t)graph->n * sizeof *e->at);
  info->result = 0;
  return CU_OK;
}
cu_result graph_launch(cu_graph_exec exec, cu_stream s) {
  cu_graph e = reinterpret_cast<cu_graph>(exec);
  for (int i = 0; i < e->n; i++) {
    const cu_result st = ask(s, &e->at[i]);
    if (st != CU_OK) return st;
  }
  return CU_OK;
}
cu_result graph_exec_destroy(cu_graph_exec exec) {
  return graph_destroy(reinterpret_cast<cu_graph>(exec));
}

cu_result error_name(cu_result result, const char **text) {
  *text = result == CU_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR";
  return CU_OK;
}
cu_result error_text(cu_result, const char **text) {
  *text = last_problem;
  return CU_OK;
}

const cuda_driver driver = {
#define MEMBER(member, symbol, parameters) member,
    CUDA_DRIVER(MEMBER) CUDA_DRIVER_GRAPHS(MEMBER)};
#undef MEMBER

} // namespace

extern "C" isc_status cuda_driver_open(const cuda_driver **out) {
  *out = &driver;
  return init(0) == CU_OK ? ISC_OK
                          : isc_fail(ISC_E_UNSUPPORTED, "the emulation has no room for its device");
}

extern "C" {
extern const void *const cuda_images[];
const void *const cuda_images[] = {"", "", "", "", "", "", ""};
}
