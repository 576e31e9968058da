/* SPDX-License-Identifier: Apache-2.0
 *
 * Products by cuBLAS: for gradients of weights, or for all where speed goes before row independence.
 *
 * cuBLAS chooses its kernel by the number of rows, so a row's bits may depend on the others. f32 products are pedantic: no
 * TF32, whatever the environment says. One stream and a workspace of its own make its results repeatable.
 */
#include "cuda_backend.h"
#include "cublas.h"
#include <limits.h>
#include <stdlib.h>

enum { WORKSPACE = 32 << 20 };

struct cuda_library {
  const cublas_functions *f;
  cublas_handle handle;
  void *workspace;
};

static isc_status failed(const cuda *c, cublas_status r, const char *call, const isc_gemm *g) {
  if (r == 0) return ISC_OK;
  return isc_fail(r == 3 ? ISC_E_NOMEM : ISC_E_DEVICE,
                  "CUDA backend, %s: cuBLAS failed (status %d) in %s, a product of %lld x %lld x "
                  "%lld; products = \"exact\" does without it",
                  c->doing, r, call, (long long)g->m, (long long)g->n, (long long)g->k);
}

static isc_status open_library(cuda *c, const isc_gemm *g, cuda_library *l) {
  ISC_TRY(failed(c, l->f->create(&l->handle), "cublasCreate", g));
  ISC_TRY(failed(c, l->f->set_stream(l->handle, c->stream), "cublasSetStream", g));
  ISC_TRY(cuda_alloc(c, WORKSPACE, &l->workspace));
  return failed(c, l->f->set_workspace(l->handle, l->workspace, WORKSPACE), "cublasSetWorkspace",
                g);
}

static isc_status need_library(cuda *c, const isc_gemm *g) {
  if (c->library) return ISC_OK;
  c->library = calloc(1, sizeof *c->library);
  if (!c->library)
    return isc_fail(ISC_E_NOMEM, "CUDA backend: no host memory for %zu bytes", sizeof *c->library);
  isc_status st = cublas_find(&c->library->f);
  if (st == ISC_OK) st = open_library(c, g, c->library);
  if (st != ISC_OK) cuda_library_close(c);
  return st;
}

void cuda_library_close(cuda *c) {
  cuda_library *l = c->library;
  if (!l) return;
  if (l->handle) l->f->destroy(l->handle);
  cuda_free(c, l->workspace);
  free(l);
  c->library = NULL;
}

/* Leading dimensions and sizes are int there; bias and act are ours, for one item. */
bool cuda_library_serves(cuda *c, const isc_gemm *g) {
  const int64_t sizes[] = {g->batch, g->m, g->n, g->k, g->lda, g->ldb, g->ldc};
  if (c->products == CUDA_EXACT || (c->products == CUDA_GRADIENTS && !g->trans_a)) return false;
  if (g->k <= 0 || (g->batch > 1 && (g->bias || g->act != ISC_ACT_NONE || g->pre))) return false;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (sizes[i] > INT_MAX) return false;
  return true;
}

/* An operand as the library takes it. */
typedef struct operand {
  const void *x;
  int64_t ld, stride;
} operand;

static isc_status to_half(cuda *c, const isc_gemm *g, int64_t rows, int64_t cols, uint16_t *room,
                          operand *o) {
  const int64_t batch = o->stride ? g->batch : 1;
  const to_half_args a = {.batch = batch,
                          .rows = rows,
                          .cols = cols,
                          .ld = o->ld,
                          .stride = o->stride,
                          .x = o->x,
                          .out = room};
  ISC_TRY(CUDA_LAUNCH(c, to_half, cuda_blocks(c, batch * rows * cols), CUDA_THREADS, 0, &a));
  *o = (operand){room, cols, o->stride ? rows * cols : 0};
  return ISC_OK;
}

/* Rounds the operands that are f32 into scratch memory. */
static isc_status halve(cuda *c, const isc_gemm *g, operand *a, operand *b) {
  const int64_t na = (a->stride ? g->batch : 1) * g->m * g->k;
  const int64_t nb = g->b_dtype == ISC_BF16 ? 0 : (b->stride ? g->batch : 1) * g->k * g->n;
  const int64_t room_a = (na + 127) / 128 * 128;
  void *room;
  ISC_TRY(cuda_scratch(c, CUDA_INNER, (size_t)(room_a + nb) * sizeof(uint16_t), &room));
  ISC_TRY(to_half(c, g, g->trans_a ? g->k : g->m, g->trans_a ? g->m : g->k, room, a));
  if (nb == 0) return ISC_OK;
  return to_half(c, g, g->trans_b ? g->n : g->k, g->trans_b ? g->k : g->n,
                 (uint16_t *)room + room_a, b);
}

/* Matrices by rows are the transposes of matrices by columns: Cᵀ = op(B)ᵀ op(A)ᵀ. */
isc_status cuda_library_gemm(cuda *c, const isc_gemm *g) {
  const bool half = g->product == ISC_BF16;
  const int type = half ? CUBLAS_BF16 : CUBLAS_F32;
  operand a = {g->a, g->lda, g->stride_a}, b = {g->b, g->ldb, g->stride_b};
  ISC_TRY(need_library(c, g));
  if (half) ISC_TRY(halve(c, g, &a, &b));
  const cublas_functions *f = c->library->f;
  ISC_TRY(failed(c,
                 f->set_math(c->library->handle, half ? CUBLAS_NO_REDUCED_SUMS : CUBLAS_PEDANTIC),
                 "cublasSetMathMode", g));
  ISC_TRY(
      failed(c,
             f->gemm(c->library->handle, g->trans_b ? CUBLAS_TRANSPOSE : CUBLAS_NO_TRANSPOSE,
                     g->trans_a ? CUBLAS_TRANSPOSE : CUBLAS_NO_TRANSPOSE, (int)g->n, (int)g->m,
                     (int)g->k, &g->alpha, b.x, type, (int)b.ld, b.stride, a.x, type, (int)a.ld,
                     a.stride, &g->beta, g->c, CUBLAS_F32, (int)g->ldc, g->stride_c, (int)g->batch,
                     half ? CUBLAS_SUMS_F32 : CUBLAS_SUMS_F32_PEDANTIC, CUBLAS_DEFAULT),
             "cublasGemmStridedBatchedEx", g));
  if (!g->bias && !g->pre && g->act == ISC_ACT_NONE) return ISC_OK;
  const epilogue_args e = {.m = g->m,
                           .n = g->n,
                           .ldc = g->ldc,
                           .c = g->c,
                           .pre = g->pre,
                           .bias = g->bias,
                           .act = g->act};
  return CUDA_LAUNCH(c, epilogue, cuda_blocks(c, g->m * g->n), CUDA_THREADS, 0, &e);
}
