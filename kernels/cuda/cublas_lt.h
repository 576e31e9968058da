/* SPDX-License-Identifier: Apache-2.0
 *
 * What the backend uses of cuBLASLt, as declarations of its own.
 *
 * cuBLASLt is cuBLAS's own way to its kernels, and comes with it: one asks which kernel it would take for a shape, and calls
 * that kernel, with a bias added on the way. Without it cuBLAS does all products.
 */
#ifndef ISC_KERNELS_CUDA_CUBLAS_LT_H
#define ISC_KERNELS_CUDA_CUBLAS_LT_H

#include "cublas.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cublasLtContext *cublas_lt_handle;
/* What a product is, how a matrix lies, and what a kernel may be. */
typedef struct cublas_lt_product_st *cublas_lt_product;
typedef struct cublas_lt_layout_st *cublas_lt_layout;
typedef struct cublas_lt_preference_st *cublas_lt_preference;

typedef struct cublas_lt_algorithm {
  uint64_t data[8];
} cublas_lt_algorithm;

typedef struct cublas_lt_choice {
  cublas_lt_algorithm algorithm;
  size_t workspace; /* bytes that it needs */
  cublas_status state;
  float waves;
  int reserved[4];
} cublas_lt_choice;

/* Attributes, with what they are set to. */
enum { CUBLAS_LT_BATCH = 5 /* int32_t */, CUBLAS_LT_STRIDE = 6 /* int64_t */ }; /* of layouts */
enum {
  CUBLAS_LT_OP_A = 3,     /* int32_t           */
  CUBLAS_LT_OP_B = 4,     /* int32_t           */
  CUBLAS_LT_EPILOGUE = 7, /* uint32_t          */
  CUBLAS_LT_BIAS = 8      /* the pointer to it */
};                        /* of products       */
enum {
  CUBLAS_LT_WORKSPACE = 1,  /* uint64_t          */
  CUBLAS_LT_REDUCTIONS = 3, /* uint32_t          */
  CUBLAS_LT_ALIGNED_A = 5,  /* uint32_t          */
  CUBLAS_LT_ALIGNED_B = 6,
  CUBLAS_LT_ALIGNED_C = 7,
  CUBLAS_LT_ALIGNED_D = 8
};                                                     /* of preferences    */
enum { CUBLAS_LT_PLAIN = 1, CUBLAS_LT_PLUS_BIAS = 4 }; /* epilogues */
/* How parts of one sum come together: none, or as f32 in the workspace, by a kernel of its own. */
enum { CUBLAS_LT_REDUCE_F32 = 2 };

/* member, symbol, parameters; matrices by columns. */
#define CUBLAS_LT_FUNCTIONS(X)                                                                     \
  X(create, "cublasLtCreate", (cublas_lt_handle * handle))                                         \
  X(destroy, "cublasLtDestroy", (cublas_lt_handle handle))                                         \
  X(layout_create, "cublasLtMatrixLayoutCreate",                                                   \
    (cublas_lt_layout * layout, int type, uint64_t rows, uint64_t columns, int64_t ld))            \
  X(layout_set, "cublasLtMatrixLayoutSetAttribute",                                                \
    (cublas_lt_layout layout, int attribute, const void *value, size_t bytes))                     \
  X(layout_destroy, "cublasLtMatrixLayoutDestroy", (cublas_lt_layout layout))                      \
  X(product_create, "cublasLtMatmulDescCreate",                                                    \
    (cublas_lt_product * product, int compute, int scale_type))                                    \
  X(product_set, "cublasLtMatmulDescSetAttribute",                                                 \
    (cublas_lt_product product, int attribute, const void *value, size_t bytes))                   \
  X(product_destroy, "cublasLtMatmulDescDestroy", (cublas_lt_product product))                     \
  X(preference_create, "cublasLtMatmulPreferenceCreate", (cublas_lt_preference * preference))      \
  X(preference_set, "cublasLtMatmulPreferenceSetAttribute",                                        \
    (cublas_lt_preference preference, int attribute, const void *value, size_t bytes))             \
  X(preference_destroy, "cublasLtMatmulPreferenceDestroy", (cublas_lt_preference preference))      \
  X(choose, "cublasLtMatmulAlgoGetHeuristic",                                                      \
    (cublas_lt_handle handle, cublas_lt_product product, cublas_lt_layout a, cublas_lt_layout b,   \
     cublas_lt_layout c, cublas_lt_layout d, cublas_lt_preference preference, int most,            \
     cublas_lt_choice *choices, int *count))                                                       \
  X(matmul, "cublasLtMatmul",                                                                      \
    (cublas_lt_handle handle, cublas_lt_product product, const void *alpha, const void *a,         \
     cublas_lt_layout a_layout, const void *b, cublas_lt_layout b_layout, const void *beta,        \
     const void *c, cublas_lt_layout c_layout, void *d, cublas_lt_layout d_layout,                 \
     const cublas_lt_algorithm *algorithm, void *workspace, size_t bytes, cu_stream stream))

typedef struct cublas_lt_functions {
  CUBLAS_LT_FUNCTIONS(CUBLAS_MEMBER)
} cublas_lt_functions;

/* As cublas_find. */
isc_status cublas_lt_find(const cublas_lt_functions **out);

#ifdef __cplusplus
}
#endif
#endif
