/* SPDX-License-Identifier: Apache-2.0
 *
 * The matrix product: the library or a kernel, and which tile for f32.
 *
 * All tiles of a kind give the same bits (device/gemm.cu), so the choice is free: the largest of which there are enough to
 * keep the device at work.
 */
#include "cuda_backend.h"

static int64_t tiles(const isc_gemm *g, int64_t side) {
  return cuda_ceil(g->m, side) * cuda_ceil(g->n, side);
}

static gemm_args arguments(const isc_gemm *g, int64_t stride_bias) {
  return (gemm_args){.batch = g->batch,
                     .m = g->m,
                     .n = g->n,
                     .k = g->k,
                     .a = g->a,
                     .b = g->b,
                     .c = g->c,
                     .pre = g->pre,
                     .bias = g->bias,
                     .a_row = g->trans_a ? 1 : g->lda,
                     .a_k = g->trans_a ? g->lda : 1,
                     .b_col = g->trans_b ? g->ldb : 1,
                     .b_k = g->trans_b ? 1 : g->ldb,
                     .ldc = g->ldc,
                     .stride_a = g->stride_a,
                     .stride_b = g->stride_b,
                     .stride_c = g->stride_c,
                     .stride_bias = stride_bias,
                     .alpha = g->alpha,
                     .beta = g->beta,
                     .act = g->act};
}

/* Is the multiprocessor with the most tiles of 64 done before that with the most of 128? They read twice as much, which takes
 * about a sixteenth of the time. */
static bool quarters_are_done_first(const cuda *c, int64_t large, int64_t quarters) {
  return cuda_ceil(quarters, c->multiprocessors) * 17 <
         cuda_ceil(large, c->multiprocessors) * 4 * 16;
}

isc_status cuda_gemm_exact(cuda *c, const isc_gemm *g, int64_t stride_bias) {
  if (g->batch <= 0 || g->m <= 0 || g->n <= 0) return ISC_OK;
  const gemm_args a = arguments(g, stride_bias);
  const int64_t z = cuda_least(g->batch, 65535), enough = c->multiprocessors;
  const cuda_size large = {.x = tiles(g, 128), .z = z}, middle = {.x = tiles(g, 64), .z = z},
                  small = {.x = tiles(g, 32), .z = z}, threads = {.x = 256};
  if (g->product == ISC_BF16) return cuda_gemm_half(c, g, ISC_F32, &a);
  if (g->b_dtype != ISC_F32) return isc_fail(ISC_E_USAGE, "gemm: a bf16 operand in an f32 product");
  if (middle.x * z >= 3 * enough && quarters_are_done_first(c, large.x * z, middle.x * z))
    return CUDA_LAUNCH(c, gemm_64x8, middle, ((cuda_size){.x = 64}), 0, &a);
  if (large.x * z >= enough) return CUDA_LAUNCH(c, gemm_128, large, threads, 0, &a);
  if (middle.x * z >= enough) return CUDA_LAUNCH(c, gemm_64, middle, threads, 0, &a);
  return CUDA_LAUNCH(c, gemm_32, small, threads, 0, &a);
}

isc_status cuda_gemm_typed(cuda *c, const isc_gemm *g, isc_dtype a_dtype) {
  if (g->batch <= 0 || g->m <= 0 || g->n <= 0) return ISC_OK;
  const gemm_args a = arguments(g, 0);
  bool made;
  ISC_TRY(cuda_library_gemm(c, g, a_dtype, &made));
  if (made) return ISC_OK;
  return a_dtype == ISC_F32 ? cuda_gemm_exact(c, g, 0) : cuda_gemm_half(c, g, a_dtype, &a);
}

isc_status cuda_gemm(cuda *c, const isc_gemm *g) {
  return cuda_gemm_typed(c, g, ISC_F32);
}
