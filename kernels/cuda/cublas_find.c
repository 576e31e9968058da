/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding cuBLAS and cuBLASLt when a product first wants them. They stay open for good, as the driver does.
 */
#include "cublas.h"
#include "cublas_lt.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

typedef struct symbol {
  size_t offset;
  const char *name;
} symbol;

typedef struct library {
  const char *name, *file;
  const symbol *symbols;
  size_t count;
  void *table;
  isc_status status;
  char why[256];
} library;

static cublas_functions cublas_table;
static const symbol CUBLAS_SYMBOLS[] = {
#define CUBLAS_SYMBOL(member, symbol, parameters) {offsetof(cublas_functions, member), symbol},
    CUBLAS_FUNCTIONS(CUBLAS_SYMBOL)};
static library cublas = {.name = "cuBLAS",
                         .file = "libcublas.so",
                         .symbols = CUBLAS_SYMBOLS,
                         .count = sizeof CUBLAS_SYMBOLS / sizeof *CUBLAS_SYMBOLS,
                         .table = &cublas_table};

static cublas_lt_functions lt_table;
static const symbol LT_SYMBOLS[] = {
#define LT_SYMBOL(member, symbol, parameters) {offsetof(cublas_lt_functions, member), symbol},
    CUBLAS_LT_FUNCTIONS(LT_SYMBOL)};
static library lt = {.name = "cuBLASLt",
                     .file = "libcublasLt.so",
                     .symbols = LT_SYMBOLS,
                     .count = sizeof LT_SYMBOLS / sizeof *LT_SYMBOLS,
                     .table = &lt_table};

static void refuse(library *l, const char *fmt, const char *detail) {
  l->status = isc_fail(ISC_E_UNSUPPORTED, fmt, l->name, detail);
  l->why[0] = '\0';
  strncat(l->why, isc_error(), sizeof l->why - 1);
}

static void find(library *l) {
  void *found = NULL;
  for (int version = 13; version >= 11 && !found; version--) {
    char file[32];
    snprintf(file, sizeof file, "%s.%d", l->file, version);
    found = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  }
  if (!found) {
    refuse(l, "%s 11, 12 or 13 is not here (%s)", dlerror());
    return;
  }
  for (size_t i = 0; i < l->count; i++) {
    void *address = dlsym(found, l->symbols[i].name);
    if (!address) {
      refuse(l, "%s lacks %s", l->symbols[i].name);
      return;
    }
    memcpy((char *)l->table + l->symbols[i].offset, &address, sizeof address);
  }
}

static void find_cublas(void) {
  find(&cublas);
}

static void find_lt(void) {
  find(&lt);
}

isc_status cublas_find(const cublas_functions **out) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, find_cublas);
  *out = &cublas_table;
  return cublas.status == ISC_OK ? ISC_OK : isc_fail(cublas.status, "%s", cublas.why);
}

isc_status cublas_lt_find(const cublas_lt_functions **out) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, find_lt);
  *out = &lt_table;
  return lt.status == ISC_OK ? ISC_OK : isc_fail(lt.status, "%s", lt.why);
}
