/* SPDX-License-Identifier: Apache-2.0
 *
 * The one list of the device's kernels: each has a name, and takes one struct by value.
 *
 * The host (C) and the device (C++) both make their declarations from it, so a kernel that lacks a body, or a launch that
 * passes another struct, is an error of the build.
 */
#ifndef ISC_KERNELS_CUDA_KERNELS_H
#define ISC_KERNELS_CUDA_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- each.cu: elements by themselves */
typedef struct each_args {
  int64_t n;
  const float *a, *b; /* [n] */
  float *out;         /* [n] */
  float alpha;
  int32_t act; /* isc_act */
} each_args;

typedef struct gate_args {
  int64_t rows, d;
  const float *x;  /* [rows, 2·d]           */
  const float *dy; /* [rows, d]             */
  float *out;      /* y [rows, d] or dx [rows, 2·d] */
  int32_t act;
} gate_args;

typedef struct rotary_args {
  int64_t rows, width, heads, d_head, d_rot;
  const float *x; /* [rows, width] */
  float *y;
  const int32_t *pos;     /* [rows]               */
  const float *cos, *sin; /* [positions, d_rot/2] */
  float sign;             /* of the sine          */
} rotary_args;

enum { ADAMW_TENSORS = 40, ADAMW_PIECE = 4096, ADAMW_THREADS = 256 };
typedef struct adamw_tensor {
  int64_t n, first; /* elements; number of its first piece in the call */
  float *p, *m, *v;
  const float *g;
  float decay, scale, keep2, take1, take2, eps, root2, rate;
} adamw_tensor;
typedef struct adamw_args {
  int64_t pieces;
  const double *scale; /* in place of the tensors' own; NaN there: nothing is done; or NULL */
  int32_t count;
  adamw_tensor tensor[ADAMW_TENSORS];
} adamw_args;

/* ---- rows.cu: sums along and over rows, and rows looked up */
typedef struct norm_args {
  int64_t rows, d, group, stride; /* as in isc_layernorm, group and stride filled in */
  double eps;
  const float *x, *g, *b;
  float *y, *mean, *rstd;
  bool rms;
} norm_args;

typedef struct norm_grad_args {
  int64_t rows, d;
  const float *x, *g, *mean, *rstd, *dy; /* mean NULL: rms */
  float *dx;
} norm_grad_args;

/* Sums over rows: chunks of rows are summed apart, then their sums in order. */
enum { SUM_COLUMNS = 32, SUM_LANES = 8 };
typedef struct col_sum_args {
  int64_t rows, n, chunk; /* rows of a chunk */
  const float *x;         /* [rows, n]      */
  float *part;            /* [chunks, n]    */
} col_sum_args;
typedef struct norm_sum_args {
  int64_t rows, d, chunk;
  const float *x, *mean, *rstd, *dy;
  float *part; /* [chunks, 2, d]: Σ dy·x̂, Σ dy */
} norm_sum_args;
typedef struct fold_args {
  int64_t chunks, n, stride; /* of part, in floats */
  const float *part;         /* [chunks] rows of n, stride apart */
  float *out;                /* [n] +=                           */
} fold_args;

typedef struct jumprelu_args {
  int64_t rows, d;
  const float *x, *theta;
  float *y, *l0; /* l0 may be NULL */
} jumprelu_args;
typedef struct jumprelu_grad_args {
  int64_t rows, d, chunk;
  const float *x, *theta, *dy, *dl0; /* as in isc_jumprelu  */
  float *dx, *part; /* part [chunks, d]: −Σ K·(θ·dy + dl0)/ε; either may be NULL */
  float width;
} jumprelu_grad_args;
typedef struct distances_args {
  int64_t n, dim, group;
  const float *a, *b;
  double *dot, *aa, *bb, *apart, *chord; /* each may be NULL */
} distances_args;

enum { SQUARES_THREADS = 256, SQUARES_PIECE = 8192 };
typedef struct squares_args {
  int64_t n, pieces;
  const float *x; /* [n]          */
  double *part;   /* [pieces + 1], the last being the sum */
} squares_args;

/* The same of many arrays at once: their pieces, each array's sum, and what clips them all (isc_clip). */
enum { CLIP_TENSORS = 128, CLIP_THREADS = 256 };
typedef struct clip_tensor {
  int64_t n, first; /* elements; number of its first piece */
  const float *x;
} clip_tensor;
typedef struct clip_args {
  int64_t first, pieces; /* of this launch */
  double *part;          /* [pieces of all] */
  int32_t count;
  clip_tensor tensor[CLIP_TENSORS];
} clip_args;
typedef struct clip_end_args {
  int64_t count;
  const int64_t *first; /* [count + 1] */
  const double *part;
  double *out; /* [count + 2] */
  double most;
} clip_end_args;

typedef struct embed_args {
  int64_t rows, d;
  const int32_t *id, *pos;
  const void *wte; /* f32 or, half, bf16 */
  const float *wpe;
  float *out;
  float scale;
  bool half;
} embed_args;

typedef struct gather_args {
  int64_t n, width;
  const int64_t *row; /* [n]; NULL: rows first, first + step, … */
  int64_t first, step;
  const float *x; /* [?, width] */
  float *out;     /* [n, width] */
} gather_args;
/* out[row[i]] = x[i] */
typedef gather_args scatter_args;

enum { SCATTER_THREADS = 128, SCATTER_COLUMNS = 4 * SCATTER_THREADS };
typedef struct scatter_add_args {
  int64_t n, width;
  const int64_t *row64; /* [n]; or */
  const int32_t *row32;
  const float *in; /* [n, width] */
  float *x;        /* [?, width] += scale·in */
  float scale;
} scatter_add_args;

/* ---- gemm.cu, half.cu */
typedef struct gemm_args {
  int64_t batch, m, n, k;
  const void *a, *b; /* f32; of half.cu's kernels bf16, but f32 for `a` of few rows */
  float *c, *pre;
  const float *bias;
  int64_t a_row, a_k, b_col, b_k, ldc; /* elements from one to the next */
  int64_t stride_a, stride_b, stride_c, stride_bias;
  float alpha, beta;
  int32_t act;
} gemm_args;
enum { GEMM_CHUNK = 1024 /* of k: part of the order of every sum, so fixed */ };

enum { GEMM_HALF_K = 64 /* k of a bf16 product is a multiple of it, which zeros fill up to */ };

/* Tiles of bf16 products: kernel, rows and columns; warps down and across; elements of k in a step, steps in shared memory;
 * blocks that a multiprocessor should have room for. Operands are read in pieces of 16 bytes: they lie on boundaries of
 * them, and a row's last piece is there as a whole. */
#define GEMM_HALF_TILES(X)                                                                         \
  X(gemm_half_256, 128, 256, 2, 4, 32, 4, 1)                                                       \
  X(gemm_half_128, 128, 128, 2, 2, 32, 3, 2)                                                       \
  X(gemm_half_64, 64, 64, 2, 2, 64, 3, 3)                                                          \
  X(gemm_half_32, 64, 32, 2, 2, 64, 6, 3)
/* The same for few rows, which are f32 and along k. */
#define GEMM_FEW_TILES(X)                                                                          \
  X(gemm_few_16, 16, 32, 1, 2, 64, 8, 3)                                                           \
  X(gemm_few_32, 32, 32, 1, 2, 64, 6, 3)

/* c = act(x + bias), pre = x + bias: what a library's product leaves to do. */
typedef struct epilogue_args {
  int64_t m, n, ldc; /* ldc: of all three        */
  const float *x;    /* the product: c or pre    */
  float *c, *pre;    /* pre may be NULL          */
  const float *bias;
  int32_t act;
} epilogue_args;
typedef struct to_half_args {
  int64_t batch, rows, cols, ld, stride; /* of x */
  const void *x;                         /* f32 or, half, bf16 */
  uint16_t *out;                         /* [batch, out_rows, out_ld], zeros beyond x */
  int64_t out_rows, out_ld;              /* out_ld: a multiple of 8 */
  bool half;
} to_half_args;

typedef struct to_bf16_args {
  int64_t n;
  const float *x;
  uint16_t *out;
} to_bf16_args;

/* ---- attention.cu */
enum { ATTENTION_KEYS = 32, ATTENTION_WARPS = 4, ATTENTION_EACH = 4, ATTENTION_WIDEST = 256 };
typedef struct attention_args {
  int64_t batch, q_len, past, n_head, n_kv_head, d_head, window;
  int64_t q_batch, q_row, kv_batch, kv_row, out_batch, out_row;
  float scale, cap;
  const float *q, *k, *v;
  float *out, *lse;
  const float *dout, *delta; /* delta [batch, n_head, q_len]: Σ dout·out */
  float *dq, *dk, *dv;
} attention_args;
typedef struct delta_args {
  int64_t batch, q_len, n_head, d_head, out_batch, out_row;
  const float *out, *dout;
  float *delta;
} delta_args;

/* ---- train.cu */
enum { XENT_THREADS = 256 };
typedef struct xent_args {
  int64_t rows, vocab;
  float *logits;      /* [rows, vocab]; becomes the gradient where `gradient` */
  const int64_t *row; /* [rows] of the call                              */
  const int32_t *target;
  const float *weight;
  float *logp;
  bool gradient;
  uint16_t *half;  /* [rows, half_ld] where the gradient goes instead, in bf16; or NULL */
  int64_t half_ld; /* even, ≥ vocab */
} xent_args;
typedef struct control_args {
  int64_t batch, len, heads;
  float scale;
  const float *omega; /* [batch, len, heads]                        */
  float *ds;          /* same: ds ← ds (1 − ω²) scale               */
  float *dc;          /* [batch, heads]                             */
} control_args;

/* ---- random.cu */
enum { SAMPLE_THREADS = 256, SAMPLE_TILES = 1024 };
typedef struct sample_args {
  int64_t rows, vocab, tile; /* tile: ids summed together */
  const float *logits;
  double temperature;
  uint64_t key;
  uint32_t draw;
  const uint64_t *index; /* [rows] */
  int32_t *id;           /* [rows]; where there is no distribution, `none` */
  double *logp;          /* [rows]; and NaN */
  int32_t none;
} sample_args;
enum { NOISE_THREADS = 128 };
typedef struct noise_args {
  int64_t rows, dim;
  uint64_t key;
  const float *z;
  float *out;
  const uint64_t *index;            /* [rows] */
  const float *radius;              /* [rows]; or NULL and */
  const float *rho, *cosine, *sine; /* [rows]              */
} noise_args;

/* name, struct */
#define CUDA_KERNELS_EACH(X)                                                                       \
  X(add, each_args)                                                                                \
  X(mul, each_args)                                                                                \
  X(axpy, each_args)                                                                               \
  X(act, each_args)                                                                                \
  X(act_grad, each_args)                                                                           \
  X(gate, gate_args)                                                                               \
  X(gate_grad, gate_args)                                                                          \
  X(rotary, rotary_args)                                                                           \
  X(adamw, adamw_args)
#define CUDA_KERNELS_ROWS(X)                                                                       \
  X(norm, norm_args)                                                                               \
  X(norm_wide, norm_args)                                                                          \
  X(norm_grad, norm_grad_args)                                                                     \
  X(norm_grad_wide, norm_grad_args)                                                                \
  X(norm_sum, norm_sum_args)                                                                       \
  X(col_sum, col_sum_args)                                                                         \
  X(fold, fold_args)                                                                               \
  X(jumprelu, jumprelu_args)                                                                       \
  X(jumprelu_wide, jumprelu_args)                                                                  \
  X(jumprelu_grad, jumprelu_grad_args)                                                             \
  X(distances, distances_args)                                                                     \
  X(distances_wide, distances_args)                                                                \
  X(squares, squares_args)                                                                         \
  X(squares_end, squares_args)                                                                     \
  X(clip_squares, clip_args)                                                                       \
  X(clip_sums, clip_end_args)                                                                      \
  X(clip_end, clip_end_args)                                                                       \
  X(embed, embed_args)                                                                             \
  X(gather, gather_args)                                                                           \
  X(scatter, scatter_args)                                                                         \
  X(scatter_add, scatter_add_args)
#define CUDA_KERNELS_GEMM(X)                                                                       \
  X(gemm_128, gemm_args)                                                                           \
  X(gemm_64x8, gemm_args)                                                                          \
  X(gemm_64, gemm_args)                                                                            \
  X(gemm_32, gemm_args)                                                                            \
  X(epilogue, epilogue_args)
#define CUDA_KERNELS_HALF(X)                                                                       \
  X(gemm_half_256, gemm_args)                                                                      \
  X(gemm_half_128, gemm_args)                                                                      \
  X(gemm_half_64, gemm_args)                                                                       \
  X(gemm_half_32, gemm_args)                                                                       \
  X(gemm_few_16, gemm_args)                                                                        \
  X(gemm_few_32, gemm_args)                                                                        \
  X(to_bf16, to_bf16_args)                                                                         \
  X(to_half, to_half_args)
#define CUDA_KERNELS_ATTENTION(X)                                                                  \
  X(attention_32, attention_args)                                                                  \
  X(attention_64, attention_args)                                                                  \
  X(attention_128, attention_args)                                                                 \
  X(attention_256, attention_args)                                                                 \
  X(attention_dq_32, attention_args)                                                               \
  X(attention_dq_64, attention_args)                                                               \
  X(attention_dq_128, attention_args)                                                              \
  X(attention_dq_256, attention_args)                                                              \
  X(attention_dkv_32, attention_args)                                                              \
  X(attention_dkv_64, attention_args)                                                              \
  X(attention_dkv_128, attention_args)                                                             \
  X(attention_dkv_256, attention_args)                                                             \
  X(attention_delta, delta_args)
#define CUDA_KERNELS_TRAIN(X)                                                                      \
  X(xent, xent_args)                                                                               \
  X(control_slope, control_args)                                                                   \
  X(control_sum, control_args)
#define CUDA_KERNELS_RANDOM(X)                                                                     \
  X(sample, sample_args)                                                                           \
  X(sample_greedy, sample_args)                                                                    \
  X(noise, noise_args)

/* The files of device/, in the order of cuda_images. */
#define CUDA_FILES(X)                                                                              \
  X(EACH)                                                                                          \
  X(ROWS)                                                                                          \
  X(GEMM)                                                                                          \
  X(ATTENTION)                                                                                     \
  X(TRAIN)                                                                                         \
  X(RANDOM)
#define CUDA_KERNELS(X)                                                                            \
  CUDA_KERNELS_EACH(X)                                                                             \
  CUDA_KERNELS_ROWS(X)                                                                             \
  CUDA_KERNELS_GEMM(X)                                                                             \
  CUDA_KERNELS_HALF(X)                                                                             \
  CUDA_KERNELS_ATTENTION(X)                                                                        \
  CUDA_KERNELS_TRAIN(X)                                                                            \
  CUDA_KERNELS_RANDOM(X)

#define CUDA_KERNEL_STRUCT(name, type) typedef type cuda_args_##name;
CUDA_KERNELS(CUDA_KERNEL_STRUCT)

#endif
