/* SPDX-License-Identifier: Apache-2.0
 *
 * A driver of paper: it gives out addresses and does nothing, so that the backend's own rules say how much memory a study will
 * take of a device, whether or not one is there.
 */
#include "cuda_backend.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Of an H100; they bear on the choice of kernels, hardly on memory. */
enum { MULTIPROCESSORS = 132, SHARED_MOST = 227 << 10 };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define NOTHING(member, symbol, parameters)                                                        \
  static cu_result no_##member parameters {                                                        \
    return CU_OK;                                                                                  \
  }
CUDA_DRIVER(NOTHING)
CUDA_DRIVER_GRAPHS(NOTHING)
#pragma GCC diagnostic pop

static cu_result paper_device_count(int *count) {
  *count = INT32_MAX;
  return CU_OK;
}

static cu_result paper_device_get(cu_device *device, int ordinal) {
  *device = ordinal;
  return CU_OK;
}

static cu_result paper_device_name(char *name, int n, cu_device device) {
  (void)device;
  name[0] = '\0';
  strncat(name, "paper", (size_t)n - 1);
  return CU_OK;
}

static cu_result paper_device_memory(size_t *bytes, cu_device device) {
  (void)device;
  *bytes = 0;
  return CU_OK;
}

static cu_result paper_device_attribute(int *value, int attribute, cu_device device) {
  (void)device;
  *value = attribute == CU_ATTRIBUTE_MULTIPROCESSORS ? MULTIPROCESSORS
           : attribute == CU_ATTRIBUTE_SHARED_OPTIN  ? SHARED_MOST
                                                     : 0;
  return CU_OK;
}

static cu_result paper_memory_info(size_t *left, size_t *total) {
  *left = *total = 0;
  return CU_OK;
}

/* Nobody reads or writes there. */
static cu_result paper_memory_alloc(cu_pointer *out, size_t bytes) {
  static cu_pointer next = 1 << 20;
  const cu_pointer rounded = (bytes + 4095) / 4096 * 4096 + 4096;
  *out = __atomic_fetch_add(&next, rounded, __ATOMIC_RELAXED);
  return CU_OK;
}

/* Pinned memory is the host's, and is used. */
static cu_result paper_host_alloc(void **out, size_t bytes, unsigned flags) {
  (void)flags;
  *out = calloc(1, bytes ? bytes : 1);
  return *out ? CU_OK : CU_OUT_OF_MEMORY;
}

static cu_result paper_host_free(void *p) {
  free(p);
  return CU_OK;
}

static cuda_driver table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void) {
  table = (cuda_driver){
#define NOTHING_OF(member, symbol, parameters) .member = no_##member,
      CUDA_DRIVER(NOTHING_OF) CUDA_DRIVER_GRAPHS(NOTHING_OF)};
  table.device_count = paper_device_count;
  table.device_get = paper_device_get;
  table.device_name = paper_device_name;
  table.device_memory = paper_device_memory;
  table.device_attribute = paper_device_attribute;
  table.memory_info = paper_memory_info;
  table.memory_alloc = paper_memory_alloc;
  table.host_alloc = paper_host_alloc;
  table.host_free = paper_host_free;
}

const cuda_driver *cuda_paper_driver(void) {
  pthread_once(&once, fill);
  return &table;
}
