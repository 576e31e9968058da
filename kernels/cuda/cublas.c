/* SPDX-License-Identifier: Apache-2.0
 *
 * Products by the libraries: which go there, and the way through cuBLASLt or, where that has no kernel for one, cuBLAS.
 *
 * Both choose their kernel by the number of rows, so a row's bits may depend on the others. f32 products are pedantic: no
 * TF32, whatever the environment says. One stream and a workspace of its own make their results repeatable.
 */
#include "library.h"
#include <limits.h>
#include <stdlib.h>

/* On paper it takes its workspace and is asked for nothing, whether or not it is here. */
static isc_status open_library(cuda *c, const isc_gemm *g, cuda_library *l) {
  if (c->paper) return cuda_alloc(c, LIBRARY_WORKSPACE, &l->workspace);
  ISC_TRY(cublas_find(&l->f));
  LIBRARY_TRY(c, g, "cublasCreate", l->f->create(&l->handle));
  LIBRARY_TRY(c, g, "cublasSetStream", l->f->set_stream(l->handle, c->stream));
  ISC_TRY(cuda_alloc(c, LIBRARY_WORKSPACE, &l->workspace));
  LIBRARY_TRY(c, g, "cublasSetWorkspace",
              l->f->set_workspace(l->handle, l->workspace, LIBRARY_WORKSPACE));
  return library_lt_open(c, g, &l->lt);
}

/* Opens the library. Where it is not here and nobody asked for it by name, all products are ours from now on. */
static isc_status need_library(cuda *c, const isc_gemm *g) {
  if (c->library) return ISC_OK;
  c->library = calloc(1, sizeof *c->library);
  if (!c->library)
    return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *c->library);
  const isc_status st = open_library(c, g, c->library);
  if (st == ISC_OK) return ISC_OK;
  cuda_library_close(c);
  if (st != ISC_E_UNSUPPORTED || c->products != CUDA_AUTO) return st;
  c->products = CUDA_EXACT;
  return ISC_OK;
}

void cuda_library_close(cuda *c) {
  cuda_library *l = c->library;
  if (!l) return;
  library_lt_close(l->lt);
  if (l->handle) l->f->destroy(l->handle);
  cuda_free(c, l->workspace);
  free(l);
  c->library = NULL;
}

static bool is_wanted(const cuda *c, const isc_gemm *g) {
  switch (c->products) {
  case CUDA_AUTO:
    return g->dependent_rows;
  case CUDA_EXACT:
    return false;
  case CUDA_GRADIENTS:
    return g->trans_a;
  case CUDA_LIBRARY:
    return true;
  }
  return false;
}

/* Leading dimensions and sizes are int there; bias and act are ours, for one item. */
static bool is_served(const isc_gemm *g) {
  const int64_t sizes[] = {g->batch, g->m, g->n, g->k, g->lda, g->ldb, g->ldc};
  if (g->k <= 0 || (g->batch > 1 && (g->bias || g->act != ISC_ACT_NONE || g->pre))) return false;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (sizes[i] > INT_MAX) return false;
  return true;
}

/* Matrices by rows are the transposes of matrices by columns: outᵀ = op(B)ᵀ op(A)ᵀ. */
static isc_status by_cublas(cuda *c, const library_product *p) {
  const isc_gemm *g = p->g;
  const cuda_library *l = c->library;
  const bool half = p->type == CUBLAS_BF16;
  LIBRARY_TRY(c, g, "cublasSetMathMode",
              l->f->set_math(l->handle, half ? CUBLAS_NO_REDUCED_SUMS : CUBLAS_PEDANTIC));
  LIBRARY_TRY(c, g, "cublasGemmStridedBatchedEx",
              l->f->gemm(l->handle, g->trans_b ? CUBLAS_TRANSPOSE : CUBLAS_NO_TRANSPOSE,
                         g->trans_a ? CUBLAS_TRANSPOSE : CUBLAS_NO_TRANSPOSE, (int)g->n, (int)g->m,
                         (int)g->k, &g->alpha, p->b.x, p->type, (int)p->b.ld, p->b.stride, p->a.x,
                         p->type, (int)p->a.ld, p->a.stride, &g->beta, p->out, CUBLAS_F32,
                         (int)g->ldc, g->stride_c, (int)g->batch,
                         half ? CUBLAS_SUMS_F32 : CUBLAS_SUMS_F32_PEDANTIC, CUBLAS_DEFAULT));
  return ISC_OK;
}

/* What is left to do once the product lies in p->out, with its bias or without. */
static isc_status finish(cuda *c, const library_product *p, const float *bias) {
  const isc_gemm *g = p->g;
  const bool keep = g->pre && (bias || p->out != g->pre);
  const epilogue_args e = {.m = g->m,
                           .n = g->n,
                           .ldc = g->ldc,
                           .x = p->out,
                           .c = g->c,
                           .pre = keep ? g->pre : NULL,
                           .bias = bias,
                           .act = g->act};
  if (!bias && !g->pre && g->act == ISC_ACT_NONE) return ISC_OK;
  return CUDA_LAUNCH(c, epilogue, cuda_blocks(c, g->m * g->n), CUDA_THREADS, 0, &e);
}

static isc_status by_library(cuda *c, const isc_gemm *g, isc_dtype a_dtype) {
  library_product p = {.g = g,
                       .type = g->product == ISC_BF16 ? CUBLAS_BF16 : CUBLAS_F32,
                       .a = cuda_operand_a(g, a_dtype),
                       .b = cuda_operand_b(g),
                       .out = g->pre && g->beta == 0.0f ? g->pre : g->c};
  bool made = c->paper;
  if (p.type == CUBLAS_BF16) ISC_TRY(cuda_halve(c, g, false, &p.a, &p.b));
  if (c->library->lt) ISC_TRY(library_lt_product(c, &p, &made)); /* NULL on paper */
  if (!made) ISC_TRY(by_cublas(c, &p));
  return finish(c, &p, made ? NULL : g->bias);
}

isc_status cuda_library_gemm(cuda *c, const isc_gemm *g, isc_dtype a_dtype, bool *made) {
  *made = false;
  if (!is_wanted(c, g) || !is_served(g)) return ISC_OK;
  ISC_TRY(need_library(c, g));
  if (!c->library) return ISC_OK;
  *made = true;
  return by_library(c, g, a_dtype);
}
