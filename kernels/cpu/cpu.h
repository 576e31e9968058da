/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the CPU backend share: the opened backend, its parallel loop and scratch memory,
 * and the table of operations of one SIMD level.
 *
 * The operations (simd/) are compiled once per level in one translation unit each; backend.c picks
 * the best table the processor can run.
 */
#ifndef ISC_KERNELS_CPU_H
#define ISC_KERNELS_CPU_H

#include <inversescope/backend.h>

typedef struct cpu_level cpu_level;
typedef struct cpu_pool cpu_pool;
typedef struct cpu_gemm_kernel cpu_gemm_kernel;

/* Scratch of an operation, and of the products it calls while its own is in use. */
typedef enum cpu_slot { CPU_OUTER, CPU_INNER } cpu_slot;

/* An opened backend. One thread at a time, as operations.h says. */
typedef struct cpu {
  int threads;
  cpu_pool *pool; /* NULL with one thread */
  const cpu_level *level;
  const cpu_gemm_kernel *bf16; /* of products of bf16 */
  bool dnnl;                   /* may oneDNN, which picks its own instructions, be used? */
  struct {
    void *p;
    size_t size;
  } scratch[2]; /* by cpu_slot; kept between calls */
} cpu;

/* Work on items [begin, end); `thread` < cpu.threads selects the thread's own scratch. */
typedef void cpu_job(void *ctx, int64_t begin, int64_t end, int thread);

/* Cover [0, n) with ranges that begin at multiples of `grain`, in parallel when n exceeds one grain.
 * The result must not depend on how the ranges fall. */
void cpu_for(const cpu *c, int64_t n, int64_t grain, cpu_job *job, void *ctx);

/* Start and end the threads of `c`. */
isc_status cpu_pool_start(cpu *c);
void cpu_pool_stop(cpu *c);

/* `shared` bytes followed by `own` bytes for each thread, each part 64-byte aligned. Valid until the
 * next call for the same slot; contents are undefined. */
isc_status cpu_scratch(cpu *c, cpu_slot slot, size_t shared, size_t own, void **shared_out,
                       char **own_out);
size_t cpu_round64(size_t bytes);
void *
cpu_memory(size_t bytes); /* a multiple of 64, 64-byte aligned; NULL = not to be had; to be freed */

/* A way to compute the matrix product. Every element is a sum over k in an order that k alone decides. */
struct cpu_gemm_kernel {
  const char *name;
  int64_t rows, cols; /* of a tile: a call is divided at multiples of them */
  double packing;     /* what packing an element costs, in multiply-adds   */
  size_t pack;        /* bytes of scratch of a thread                       */
  /* Rows [m0, m1), columns [n0, n1) of one product. */
  void (*block)(const isc_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *pack);
};

enum { CPU_GEMM_SERIAL = 1 << 17 }; /* multiply-adds too few to divide */
isc_status cpu_gemm_run(cpu *c, const isc_gemm *g, const cpu_gemm_kernel *kernel);

/* Products that oneDNN does better; the answer depends on the shape alone. */
bool cpu_dnnl_serves(const cpu *c, const isc_gemm *g);
isc_status cpu_dnnl_gemm(cpu *c, const isc_gemm *g);

/* The operations of a SIMD level; each does what operations.h says of the operation of its name. */
struct cpu_level {
  const char *name; /* "AVX-512" … */
  int width;        /* floats in a vector */
  const cpu_gemm_kernel *bf16;
  isc_status (*gemm)(cpu *c, const isc_gemm *a);
  isc_status (*act)(cpu *c, isc_act act, int64_t n, const float *x, float *y);
  isc_status (*act_grad)(cpu *c, isc_act act, int64_t n, const float *pre, const float *dy,
                         float *dx);
  isc_status (*col_sum)(cpu *c, int64_t rows, int64_t n, const float *x, float *out);
  isc_status (*layernorm)(cpu *c, const isc_layernorm *a);
  isc_status (*layernorm_grad)(cpu *c, const isc_layernorm *a);
  isc_status (*embed)(cpu *c, const isc_embed *a);
  isc_status (*embed_grad)(cpu *c, const isc_embed *a);
  isc_status (*attention)(cpu *c, const isc_attention *a);
  isc_status (*attention_grad)(cpu *c, const isc_attention *a);
  isc_status (*xent)(cpu *c, const isc_xent *a);
  isc_status (*control)(cpu *c, const isc_control *a);
  isc_status (*control_grad)(cpu *c, const isc_control *a);
  isc_status (*adamw)(cpu *c, const isc_adamw *const *list, int64_t count);
  isc_status (*sum_squares)(cpu *c, int64_t n, const float *x, double *host_out);
  isc_status (*sample)(cpu *c, const isc_sample *a);
  isc_status (*noise)(cpu *c, const isc_noise *a);
  isc_status (*add)(cpu *c, int64_t n, const float *a, const float *b, float *out);
  isc_status (*axpy)(cpu *c, int64_t n, float alpha, const float *x, float *y);
  isc_status (*mul)(cpu *c, int64_t n, const float *a, const float *b, float *out);
  isc_status (*scatter_add)(cpu *c, int64_t n, int64_t width, const float *in, const int64_t *row,
                            float *x);
  isc_status (*rotary)(cpu *c, const isc_rotary *a);
  isc_status (*gate)(cpu *c, const isc_gate *a);
  isc_status (*gate_grad)(cpu *c, const isc_gate *a);
  isc_status (*jumprelu)(cpu *c, const isc_jumprelu *a);
  isc_status (*jumprelu_grad)(cpu *c, const isc_jumprelu *a);
  isc_status (*distances)(cpu *c, const isc_distances *a);
  isc_status (*to_bf16)(cpu *c, int64_t n, const float *x, uint16_t *out);
};

extern const cpu_level cpu_level_generic;
#if defined(__x86_64__)
extern const cpu_level cpu_level_avx2, cpu_level_avx512;
bool cpu_has_avx2(void);
bool cpu_has_avx512(void);
#endif

/* Products of bf16 by instructions of their own, where the compiler knows them. */
#if defined(__x86_64__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define CPU_BF16
extern const cpu_gemm_kernel cpu_gemm_avx512bf16, cpu_gemm_amx;
bool cpu_has_avx512bf16(void);
bool cpu_avx512bf16_pays(void); /* is it faster than f32?                  */
bool cpu_has_amx(void);         /* and the system lets this process use it */
#endif

#endif
