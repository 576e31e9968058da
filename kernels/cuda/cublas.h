/* SPDX-License-Identifier: Apache-2.0
 *
 * What the backend uses of cuBLAS, as declarations of its own.
 *
 * cuBLAS is looked up when a product first wants it: it is half a gigabyte that a machine may lack, and the backend's own
 * kernels do everything without it.
 */
#ifndef ISC_KERNELS_CUDA_CUBLAS_H
#define ISC_KERNELS_CUDA_CUBLAS_H

#include "driver.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cublasContext *cublas_handle;
typedef int cublas_status; /* 0 is success */

/* What cuBLAS and cuBLASLt return: name, number. */
#define CUBLAS_STATUSES(X)                                                                         \
  X(SUCCESS, 0)                                                                                    \
  X(NOT_INITIALIZED, 1)                                                                            \
  X(ALLOC_FAILED, 3)                                                                               \
  X(INVALID_VALUE, 7)                                                                              \
  X(ARCH_MISMATCH, 8)                                                                              \
  X(MAPPING_ERROR, 11)                                                                             \
  X(EXECUTION_FAILED, 13)                                                                          \
  X(INTERNAL_ERROR, 14)                                                                            \
  X(NOT_SUPPORTED, 15)                                                                             \
  X(LICENSE_ERROR, 16)
#define CUBLAS_STATUS_NUMBER(name, number) CUBLAS_SAYS_##name = (number),
enum { CUBLAS_STATUSES(CUBLAS_STATUS_NUMBER) };

enum { CUBLAS_NO_TRANSPOSE = 0, CUBLAS_TRANSPOSE = 1 };
enum { CUBLAS_F32 = 0, CUBLAS_BF16 = 14 };
enum { CUBLAS_SUMS_F32 = 68, CUBLAS_SUMS_F32_PEDANTIC = 69 };
enum { CUBLAS_PEDANTIC = 2, CUBLAS_NO_REDUCED_SUMS = 16 };
enum { CUBLAS_DEFAULT = -1 };

/* member, symbol, parameters; matrices by columns. */
#define CUBLAS_FUNCTIONS(X)                                                                        \
  X(create, "cublasCreate_v2", (cublas_handle * handle))                                           \
  X(destroy, "cublasDestroy_v2", (cublas_handle handle))                                           \
  X(set_stream, "cublasSetStream_v2", (cublas_handle handle, cu_stream stream))                    \
  X(set_workspace, "cublasSetWorkspace_v2", (cublas_handle handle, void *p, size_t bytes))         \
  X(set_math, "cublasSetMathMode", (cublas_handle handle, int mode))                               \
  X(gemm, "cublasGemmStridedBatchedEx",                                                            \
    (cublas_handle handle, int op_a, int op_b, int m, int n, int k, const void *alpha,             \
     const void *a, int a_type, int lda, long long stride_a, const void *b, int b_type, int ldb,   \
     long long stride_b, const void *beta, void *c, int c_type, int ldc, long long stride_c,       \
     int batch, int compute, int algorithm))

#define CUBLAS_MEMBER(member, symbol, parameters) cublas_status(*member) parameters;
typedef struct cublas_functions {
  CUBLAS_FUNCTIONS(CUBLAS_MEMBER)
} cublas_functions;

/* Finds the library; the table is the process's own. ISC_E_UNSUPPORTED with the reason where there is none. Any thread. */
isc_status cublas_find(const cublas_functions **out);

#ifdef __cplusplus
}
#endif
#endif
