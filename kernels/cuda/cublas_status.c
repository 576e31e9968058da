/* SPDX-License-Identifier: Apache-2.0
 *
 * What cuBLAS and cuBLASLt say, in words.
 */
#include "library.h"
#include <string.h>

static const char *name_of(cublas_status r) {
  switch (r) {
#define CUBLAS_STATUS_NAME(name, number)                                                           \
  case number:                                                                                     \
    return "CUBLAS_STATUS_" #name;
    CUBLAS_STATUSES(CUBLAS_STATUS_NAME)
  }
  return "an unknown status";
}

/* A library that cannot serve this device or driver is as one that is not here. */
static isc_status status_of(cublas_status r) {
  if (r == CUBLAS_SAYS_ALLOC_FAILED) return ISC_E_NOMEM;
  if (r == CUBLAS_SAYS_NOT_INITIALIZED || r == CUBLAS_SAYS_ARCH_MISMATCH) return ISC_E_UNSUPPORTED;
  return ISC_E_DEVICE;
}

isc_status library_check(const cuda *c, const isc_gemm *g, cublas_status r, const char *symbol,
                         const char *file, int line) {
  if (r == CUBLAS_SAYS_SUCCESS) return ISC_OK;
  const char *slash = strrchr(file, '/');
  return isc_fail(status_of(r),
                  "CUDA backend, %s: %s (%d) in %s at %s:%d, for a product of [%lld, %lld] x "
                  "[%lld, %lld], batch %lld, in %s; %sproducts = \"exact\" does without cuBLAS",
                  c->doing, name_of(r), r, symbol, slash ? slash + 1 : file, line, (long long)g->m,
                  (long long)g->k, (long long)g->k, (long long)g->n, (long long)g->batch,
                  g->product == ISC_BF16 ? "bf16" : "f32",
                  r == CUBLAS_SAYS_ALLOC_FAILED ? "use smaller batches, or " : "");
}
