/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of the driver: their errors as statuses, and the launch of a kernel.
 *
 * The device works on its own, so that an error may come to light in a call that has nothing to do with it. After one that
 * leaves the context beyond use, every later operation says what was said first.
 */
#include "cuda_backend.h"
#include <stdio.h>
#include <string.h>

/* Results that leave the context as it was. */
static bool harmless(cu_result r) {
  return r == CU_INVALID_VALUE || r == CU_OUT_OF_MEMORY || r == CU_NO_BINARY || r == CU_NOT_FOUND ||
         r == CU_OUT_OF_RESOURCES || r == CU_NOT_SUPPORTED || r == CU_GRAPH_UPDATE_FAILED ||
         (r >= CU_CAPTURE_UNSUPPORTED && r <= CU_CAPTURE_WRONG_THREAD);
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

isc_status cuda_check(cuda *c, cu_result r, const char *call, const char *file, int line,
                      const char *fmt, ...) {
  if (r == CU_OK) return ISC_OK;
  const char *name = NULL, *text = NULL;
  char about[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(about, sizeof about, fmt, ap);
  va_end(ap);
  c->d->error_name(r, &name);
  c->d->error_text(r, &text);
  const isc_status st = isc_fail(r == CU_OUT_OF_MEMORY ? ISC_E_NOMEM : ISC_E_DEVICE,
                                 "CUDA backend, %s: %s (%d): %s; in %.*s, %s, at %s:%d",
                                 c->doing ? c->doing : "opening", name ? name : "unknown error", r,
                                 text ? text : "no description", (int)strcspn(call, "("), call,
                                 about, base_name(file), line);
  if (!harmless(r) && c->failed == ISC_OK) {
    c->failed = st;
    snprintf(c->failure, sizeof c->failure, "%s", isc_error());
  }
  return st;
}

isc_status cuda_begin(cuda *c, const char *doing) {
  if (c->failed != ISC_OK)
    return isc_fail(c->failed, "%s: the device failed before and is beyond use: %s", doing,
                    c->failure);
  c->doing = doing;
  CU(c, context_set(c->context), "the calling thread");
  return ISC_OK;
}

isc_status cuda_end(cuda *c) {
  if (c->synchronous && !c->capturing) CU(c, stream_wait(c->stream), "synchronous = true");
  return ISC_OK;
}

static const char *const NAMES[] = {
#define CUDA_KERNEL_NAME(name, type) #name,
    CUDA_KERNELS(CUDA_KERNEL_NAME)};

/* More than 48 KiB a block are had for the asking, once for each kernel. */
static isc_status allow_shared(cuda *c, cuda_kernel kernel, size_t shared) {
  enum { FREE = 48 << 10 };
  if (shared <= FREE || shared <= (size_t)c->shared_allowed[kernel]) return ISC_OK;
  if (shared > (size_t)c->shared_most)
    return isc_fail(
        ISC_E_UNSUPPORTED,
        "CUDA backend, %s: kernel %s needs %zu bytes of shared memory a block; this device has %d",
        c->doing, NAMES[kernel], shared, c->shared_most);
  CU(c, function_set(c->kernel[kernel], CU_FUNCTION_DYNAMIC_SHARED, (int)shared),
     "kernel %s, %zu bytes of shared memory", NAMES[kernel], shared);
  c->shared_allowed[kernel] = (int)shared;
  return ISC_OK;
}

static unsigned at_least_one(int64_t n) {
  return n > 0 ? (unsigned)n : 1;
}

isc_status cuda_launch(cuda *c, cuda_kernel kernel, cuda_size grid, cuda_size block, size_t shared,
                       const void *args) {
  void *parameters[] = {(void *)(uintptr_t)args};
  if (grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "CUDA backend, %s: kernel %s would need a grid of %lld x %lld x %lld blocks; "
                    "use smaller batches",
                    c->doing, NAMES[kernel], (long long)grid.x, (long long)grid.y,
                    (long long)grid.z);
  ISC_TRY(allow_shared(c, kernel, shared));
  CU(c,
     launch(c->kernel[kernel], at_least_one(grid.x), at_least_one(grid.y), at_least_one(grid.z),
            at_least_one(block.x), at_least_one(block.y), at_least_one(block.z), (unsigned)shared,
            c->stream, parameters, NULL),
     "kernel %s, grid %lld x %lld x %lld", NAMES[kernel], (long long)grid.x, (long long)grid.y,
     (long long)grid.z);
  return ISC_OK;
}

cuda_size cuda_blocks(const cuda *c, int64_t n) {
  const int64_t most = (int64_t)c->multiprocessors * 16;
  return (cuda_size){.x = cuda_least(cuda_ceil(n, 256), most)};
}
