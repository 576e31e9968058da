/* SPDX-License-Identifier: Apache-2.0
 *
 * The product that the emulation of cuBLAS and cuBLASLt asks of the emulated device, as a kernel of one thread.
 */
#ifndef ISC_TESTS_CUDA_LIBRARY_EMULATION_H
#define ISC_TESTS_CUDA_LIBRARY_EMULATION_H

#include <stdint.h>

/* By columns: c [m, n] = alpha·op(a) op(b) + beta·c + bias of each row. */
struct emulated_product {
  int op_a, op_b, type;
  int64_t m, n, k, batch;
  float alpha, beta;
  const void *a, *b;
  float *c;
  int64_t lda, ldb, ldc, stride_a, stride_b, stride_c;
  const float *bias; /* [m] or NULL */
  float nudge;       /* what many columns are rounded towards */
};

#define EMULATED_PRODUCT "isc_library_product"
extern "C" void isc_emulated_product(const void *args);

#endif
