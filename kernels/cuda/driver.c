/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the CUDA driver when the program runs.
 *
 * The library stays open for good: the driver has threads and handlers of its own in the process.
 */
#include "driver.h"
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static struct {
  pthread_once_t once;
  cuda_driver table;
  isc_status status;
  char why[256];
} driver = {.once = PTHREAD_ONCE_INIT};

static const struct {
  size_t offset;
  const char *symbol;
} SYMBOLS[] =
    {
#define CUDA_DRIVER_SYMBOL(member, symbol, parameters) {offsetof(cuda_driver, member), symbol},
        CUDA_DRIVER(CUDA_DRIVER_SYMBOL)},
  GRAPHS[] = {CUDA_DRIVER_GRAPHS(CUDA_DRIVER_SYMBOL)};

static isc_status refuse(const char *fmt, const char *detail) {
  const isc_status st = isc_fail(ISC_E_UNSUPPORTED, fmt, detail);
  driver.why[0] = '\0';
  strncat(driver.why, isc_error(), sizeof driver.why - 1);
  return st;
}

/* All or none: the first missing one leaves the backend without them. */
static void find_graphs(void *library) {
  const size_t n = sizeof GRAPHS / sizeof *GRAPHS;
  void *symbol[sizeof GRAPHS / sizeof *GRAPHS];
  for (size_t i = 0; i < n; i++)
    if (!(symbol[i] = dlsym(library, GRAPHS[i].symbol))) return;
  for (size_t i = 0; i < n; i++)
    memcpy((char *)&driver.table + GRAPHS[i].offset, &symbol[i], sizeof symbol[i]);
}

static isc_status start(void) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) return refuse("there is no NVIDIA driver here (%s)", dlerror());
  for (size_t i = 0; i < sizeof SYMBOLS / sizeof *SYMBOLS; i++) {
    void *symbol = dlsym(library, SYMBOLS[i].symbol);
    if (!symbol)
      return refuse("the NVIDIA driver lacks %s; CUDA 11 or newer is needed", SYMBOLS[i].symbol);
    memcpy((char *)&driver.table + SYMBOLS[i].offset, &symbol, sizeof symbol);
  }
  find_graphs(library);
  const cu_result r = driver.table.init(0);
  const char *text = NULL;
  if (r == CU_OK) return ISC_OK;
  driver.table.error_text(r, &text);
  return refuse("the NVIDIA driver does not start: %s", text ? text : "unknown error");
}

static void start_once(void) {
  driver.status = start();
}

isc_status cuda_driver_open(const cuda_driver **out) {
  pthread_once(&driver.once, start_once);
  *out = &driver.table;
  return driver.status == ISC_OK ? ISC_OK : isc_fail(driver.status, "%s", driver.why);
}
