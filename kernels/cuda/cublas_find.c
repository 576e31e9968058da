/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding cuBLAS when a product first wants it. It stays open for good, as the driver does.
 */
#include "cublas.h"
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static struct {
  pthread_once_t once;
  cublas_functions table;
  isc_status status;
  char why[256];
} library = {.once = PTHREAD_ONCE_INIT};

static const struct {
  size_t offset;
  const char *symbol;
} SYMBOLS[] = {
#define CUBLAS_SYMBOL(member, symbol, parameters) {offsetof(cublas_functions, member), symbol},
    CUBLAS_FUNCTIONS(CUBLAS_SYMBOL)};

static isc_status refuse(const char *fmt, const char *detail) {
  const isc_status st = isc_fail(ISC_E_UNSUPPORTED, fmt, detail);
  library.why[0] = '\0';
  strncat(library.why, isc_error(), sizeof library.why - 1);
  return st;
}

static isc_status find(void) {
  static const char *const names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11"};
  void *found = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++)
    found = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!found) return refuse("cuBLAS 11, 12 or 13 is not here (%s)", dlerror());
  for (size_t i = 0; i < sizeof SYMBOLS / sizeof *SYMBOLS; i++) {
    void *symbol = dlsym(found, SYMBOLS[i].symbol);
    if (!symbol) return refuse("cuBLAS lacks %s", SYMBOLS[i].symbol);
    memcpy((char *)&library.table + SYMBOLS[i].offset, &symbol, sizeof symbol);
  }
  return ISC_OK;
}

static void find_once(void) {
  library.status = find();
}

isc_status cublas_find(const cublas_functions **out) {
  pthread_once(&library.once, find_once);
  *out = &library.table;
  return library.status == ISC_OK ? ISC_OK : isc_fail(library.status, "%s", library.why);
}
