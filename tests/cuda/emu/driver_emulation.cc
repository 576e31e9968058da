/* SPDX-License-Identifier: Apache-2.0
 *
 * The CUDA driver and cuBLAS on the host: what the emulated backend is linked with in place of those that find the real ones.
 *
 * Work is put off, as a device puts it off: what is asked of a stream waits until the host waits for it, or until chance says
 * otherwise. So a host buffer that is used again too early shows. Device memory lies in a region of its own; with
 * INVERSESCOPE_EMULATION=guard in the environment the host cannot touch it at all, and INVERSESCOPE_EMULATION=forward or
 * backward fixes the order of threads.
 */
#include "cublas.h"
#include "driver.h"
#include "emulation.h"
#include "kernels.h"

#include <inversescope/rng.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DECLARE(name, type) extern "C" void isc_emulated_##name(const void *args);
CUDA_KERNELS(DECLARE)
#undef DECLARE

namespace {

enum { PAGE = 4096, WAITING = 64, ARGUMENT_BYTES = 4096, MOST_SHARED = 227 << 10 };
const size_t DEVICE_BYTES = (size_t)2 << 30, SPARE = (size_t)64 << 20; /* SPARE: the driver's own */

struct kernel {
  const char *name;
  void (*call)(const void *);
  size_t args;
};
const kernel kernels[] = {
#define LIST(name, type) {"isc_" #name, isc_emulated_##name, sizeof(type)},
    CUDA_KERNELS(LIST)};
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
uint64_t launches;

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

/* The device may touch its memory between these; with a guard, nobody else. */
void device_begins() {
  if (guarded) mprotect(region, DEVICE_BYTES, PROT_READ | PROT_WRITE);
}
void device_ends() {
  if (guarded) mprotect(region, DEVICE_BYTES, PROT_NONE);
}

/* ---- a stream: what was asked and not done */

enum what { LAUNCH, UP, DOWN, ACROSS, SET, PRODUCT };
struct product {
  int op_a, op_b, m, n, k, batch, type;
  float alpha, beta;
  const void *a, *b;
  float *c;
  long long lda, ldb, ldc, stride_a, stride_b, stride_c;
};
struct request {
  what kind;
  void *dst;
  const void *src;
  size_t bytes;
  unsigned char value;
  const kernel *k;
  isc_emulated_index grid, block;
  size_t shared;
  product gemm;
  alignas(16) unsigned char args[ARGUMENT_BYTES];
};

} // namespace

struct CUgraph_st {
  int n, room;
  bool broken; /* something was waited for meanwhile */
  request *at;
};

struct CUstream_st {
  cu_result failed;
  cu_graph capture; /* takes what is asked, if not NULL */
  int n;
  uint64_t seed;
  request waiting[WAITING];
};

namespace {

const char *last_problem = "no error";

float element(const void *x, int type, long long at) {
  if (type == CUBLAS_F32) return static_cast<const float *>(x)[at];
  const uint32_t u = (uint32_t) static_cast<const uint16_t *>(x)[at] << 16;
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

/* By columns, as cuBLAS has it. */
void multiply_plainly(const product &g) {
  for (int i = 0; i < g.batch; i++)
    for (int col = 0; col < g.n; col++)
      for (int row = 0; row < g.m; row++) {
        double s = 0;
        for (int k = 0; k < g.k; k++)
          s += (double)element(g.a, g.type,
                               i * g.stride_a + (g.op_a ? k + row * g.lda : row + k * g.lda)) *
               (double)element(g.b, g.type,
                               i * g.stride_b + (g.op_b ? col + k * g.ldb : k + col * g.ldb));
        float *c = g.c + i * g.stride_c + row + col * g.ldc;
        *c = (float)((double)g.alpha * s + (g.beta != 0 ? (double)g.beta * (double)*c : 0.0));
      }
}

cu_result launch_now(cu_stream s, const request *r) {
  isc_emulated_launch l = {r->k->call,          r->args, r->grid, r->block, r->shared, order,
                           s->seed + ++launches};
  const char *problem = isc_emulated_run(&l);
  if (!problem) return CU_OK;
  last_problem = problem;
  return strstr(problem, "memory") ? CU_OUT_OF_MEMORY : CU_LAUNCH_FAILED;
}

cu_result do_now(cu_stream s, const request *r) {
  switch (r->kind) {
  case LAUNCH:
    return launch_now(s, r);
  case UP:
  case DOWN:
  case ACROSS:
    memcpy(r->dst, r->src, r->bytes);
    break;
  case SET:
    memset(r->dst, r->value, r->bytes);
    break;
  case PRODUCT:
    multiply_plainly(r->gemm);
    break;
  }
  return CU_OK;
}

/* The failure that a test asks for in the middle of the work. */
bool is_to_fail() {
  const char *mode = getenv("INVERSESCOPE_EMULATION");
  return mode && !strcmp(mode, "fail");
}

cu_result finish(cu_stream s) {
  if (s->n == 0) return s->failed;
  if (is_to_fail()) {
    last_problem = "the test asked for it";
    s->failed = CU_LAUNCH_FAILED;
  }
  pthread_mutex_lock(&heap_lock);
  device_begins();
  for (int i = 0; i < s->n && s->failed == CU_OK; i++)
    s->failed = do_now(s, &s->waiting[i]);
  device_ends();
  pthread_mutex_unlock(&heap_lock);
  s->n = 0;
  const cu_result r = s->failed;
  if (r == CU_OUT_OF_MEMORY) s->failed = CU_OK;
  return r;
}

cu_result ask_graph(cu_graph g, what kind, request **out) {
  if (g->n == g->room) {
    const int room = g->room ? 2 * g->room : 64;
    void *p = realloc(g->at, (size_t)room * sizeof *g->at);
    if (!p) return CU_OUT_OF_MEMORY;
    g->at = static_cast<request *>(p);
    g->room = room;
  }
  *out = &g->at[g->n++];
  memset(static_cast<void *>(*out), 0, sizeof **out);
  (*out)->kind = kind;
  return CU_OK;
}

/* The next place in the stream; what waits there is done first when there is no more room, and now and then. */
cu_result ask(cu_stream s, what kind, request **out) {
  if (s->capture) return ask_graph(s->capture, kind, out);
  isc_rng rng = isc_rng_at(s->seed, ISC_RNG_USER, ++launches);
  if (s->n == WAITING || isc_rng_below(&rng, 4) == 0) {
    const cu_result r = finish(s);
    if (r != CU_OK) return r;
  }
  *out = &s->waiting[s->n++];
  (*out)->kind = kind;
  return CU_OK;
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
  for (const kernel &k : kernels)
    if (!strcmp(k.name, name)) {
      *function = reinterpret_cast<cu_function>(const_cast<kernel *>(&k));
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
  request *r;
  const kernel *k = reinterpret_cast<const kernel *>(function);
  if (gx == 0 || gy == 0 || gz == 0 || gy > 65535 || gz > 65535 || bx * by * bz == 0 ||
      bx * by * bz > 1024 || shared_bytes > MOST_SHARED || k->args > ARGUMENT_BYTES)
    return CU_INVALID_VALUE;
  const cu_result st = ask(s, LAUNCH, &r);
  if (st != CU_OK) return st;
  r->k = k;
  r->grid = {gx, gy, gz};
  r->block = {bx, by, bz};
  r->shared = shared_bytes;
  memcpy(r->args, parameters[0], k->args);
  return CU_OK;
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

cu_result host_alloc(void **out, size_t bytes, unsigned) {
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

cu_result copy(cu_stream s, what kind, void *dst, const void *src, size_t bytes) {
  request *r;
  const cu_result st = ask(s, kind, &r);
  if (st != CU_OK) return st;
  r->dst = dst;
  r->src = src;
  r->bytes = bytes;
  return CU_OK;
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
  request *r;
  const cu_result st = ask(s, SET, &r);
  if (st != CU_OK) return st;
  r->dst = host_view(dst);
  r->value = value;
  r->bytes = bytes;
  return CU_OK;
}

cu_result stream_create(cu_stream *stream, unsigned) {
  void *p =
      mmap(NULL, sizeof(CUstream_st), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return CU_OUT_OF_MEMORY;
  *stream = static_cast<cu_stream>(p);
  (*stream)->seed = ++launches;
  return CU_OK;
}
/* A stream whose work is captured cannot be waited for, and what was captured is lost. */
cu_result captured(cu_stream s) {
  if (!s || !s->capture) return CU_OK;
  s->capture->broken = true;
  return CU_CAPTURE_UNSUPPORTED;
}
cu_result stream_wait(cu_stream s) {
  const cu_result r = captured(s);
  return r == CU_OK ? finish(s) : r;
}
cu_result stream_destroy(cu_stream s) {
  munmap(s, sizeof *s);
  return CU_OK;
}

/* An event that is waited for has its whole stream done. */
cu_result event_create(cu_event *event, unsigned) {
  cu_stream *s = static_cast<cu_stream *>(calloc(1, sizeof *s));
  *event = reinterpret_cast<cu_event>(s);
  return s ? CU_OK : CU_OUT_OF_MEMORY;
}
cu_result event_destroy(cu_event event) {
  free(event);
  return CU_OK;
}
cu_result event_record(cu_event event, cu_stream s) {
  const cu_result r = captured(s);
  if (r != CU_OK) return r;
  *reinterpret_cast<cu_stream *>(event) = s;
  return CU_OK;
}
cu_result event_wait(cu_event event) {
  cu_stream s = *reinterpret_cast<cu_stream *>(event);
  const cu_result r = captured(s);
  if (r != CU_OK) return r;
  return s ? finish(s) : CU_OK;
}

/* ---- graphs: lists of requests, copied into a stream when they are launched */

cu_result capture_begin(cu_stream s, int) {
  if (s->capture) return CU_CAPTURE_UNSUPPORTED;
  s->capture = static_cast<cu_graph>(calloc(1, sizeof(CUgraph_st)));
  return s->capture ? CU_OK : CU_OUT_OF_MEMORY;
}
cu_result graph_destroy(cu_graph g) {
  free(g->at);
  free(g);
  return CU_OK;
}
cu_result capture_end(cu_stream s, cu_graph *graph) {
  cu_graph g = s->capture;
  *graph = NULL;
  s->capture = NULL;
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
  copy->at = static_cast<request *>(malloc(((size_t)graph->n + 1) * sizeof *copy->at));
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
    request *r;
    const cu_result st = ask(s, e->at[i].kind, &r);
    if (st != CU_OK) return st;
    memcpy(static_cast<void *>(r), &e->at[i], sizeof *r);
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

/* ---- cuBLAS */

cublas_status create(cublas_handle *handle) {
  *handle = static_cast<cublas_handle>(calloc(1, sizeof(cu_stream)));
  return *handle ? 0 : 3;
}
cublas_status destroy(cublas_handle handle) {
  free(handle);
  return 0;
}
cublas_status set_stream(cublas_handle handle, cu_stream stream) {
  *reinterpret_cast<cu_stream *>(handle) = stream;
  return 0;
}
cublas_status set_workspace(cublas_handle, void *, size_t) {
  return 0;
}
cublas_status set_math(cublas_handle, int) {
  return 0;
}
cublas_status gemm(cublas_handle handle, int op_a, int op_b, int m, int n, int k, const void *alpha,
                   const void *a, int a_type, int lda, long long stride_a, const void *b,
                   int b_type, int ldb, long long stride_b, const void *beta, void *c, int c_type,
                   int ldc, long long stride_c, int batch, int, int) {
  request *r;
  if (a_type != b_type || c_type != CUBLAS_F32) return 15;
  if (ask(*reinterpret_cast<cu_stream *>(handle), PRODUCT, &r) != CU_OK) return 13;
  r->gemm = {op_a,
             op_b,
             m,
             n,
             k,
             batch,
             a_type,
             *static_cast<const float *>(alpha),
             *static_cast<const float *>(beta),
             a,
             b,
             static_cast<float *>(c),
             lda,
             ldb,
             ldc,
             stride_a,
             stride_b,
             stride_c};
  return 0;
}

const cublas_functions library = {
#define MEMBER(member, symbol, parameters) member,
    CUBLAS_FUNCTIONS(MEMBER)};

} // namespace

extern "C" isc_status cuda_driver_open(const cuda_driver **out) {
  *out = &driver;
  return init(0) == CU_OK ? ISC_OK
                          : isc_fail(ISC_E_UNSUPPORTED, "the emulation has no room for its device");
}

extern "C" isc_status cublas_find(const cublas_functions **out) {
  *out = &library;
  return ISC_OK;
}

extern "C" {
extern const void *const cuda_images[];
const void *const cuda_images[] = {"", "", "", "", "", ""};
}
