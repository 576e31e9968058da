/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files that speak to cuBLAS and to cuBLASLt share.
 *
 * Both work in the backend's stream and use one workspace of a fixed size, one product after the other, so that what they
 * choose and the order of their sums depend on the shapes alone.
 */
#ifndef ISC_KERNELS_CUDA_LIBRARY_H
#define ISC_KERNELS_CUDA_LIBRARY_H

#include "cublas_lt.h"
#include "cuda_backend.h"

enum { LIBRARY_WORKSPACE = 32 << 20 };

typedef struct library_lt library_lt; /* cublas_lt.c */

struct cuda_library {
  const cublas_functions *f;
  cublas_handle handle;
  void *workspace; /* [LIBRARY_WORKSPACE] */
  library_lt *lt;  /* NULL where cuBLASLt is not here */
};

/* A product without its activation. */
typedef struct library_product {
  const isc_gemm *g;
  int type; /* of the operands' elements: CUBLAS_F32, CUBLAS_BF16 */
  cuda_operand a, b;
  float *out; /* c or, where beta is 0, pre */
} library_product;

/* ISC_OK, or what a library said in `symbol` to a product, or to being started for it. */
isc_status library_check(const cuda *c, const isc_gemm *g, cublas_status r, const char *symbol,
                         const char *file, int line);
#define LIBRARY_TRY(c, g, symbol, call)                                                            \
  ISC_TRY(library_check(c, g, call, symbol, __FILE__, __LINE__))

/* NULL and ISC_OK where cuBLASLt is not here. */
isc_status library_lt_open(cuda *c, const isc_gemm *g, library_lt **out);
void library_lt_close(library_lt *lt);
/* The product and its bias; *made is false where cuBLASLt has no kernel for it. */
isc_status library_lt_product(cuda *c, const library_product *p, bool *made);

#endif
