/* SPDX-License-Identifier: Apache-2.0
 *
 * What the host files of the CUDA backend share: the opened backend, its memory, and how a kernel is launched.
 *
 * All work of one opened backend but that of its lanes goes through one stream, in the order of the calls. Memory that is
 * freed may therefore be given out again at once, and nothing needs to wait but the host for what it reads.
 */
#ifndef ISC_KERNELS_CUDA_H
#define ISC_KERNELS_CUDA_H

#include "driver.h"
#include "kernels.h"
#include <inversescope/backend.h>

typedef enum cuda_kernel {
#define CUDA_KERNEL_NUMBER(name, type) CUDA_KERNEL_##name,
  CUDA_KERNELS(CUDA_KERNEL_NUMBER) CUDA_KERNEL_COUNT
} cuda_kernel;
enum { CUDA_MODULES = 7 };

/* Which products go to the library. */
typedef enum cuda_products {
  CUDA_AUTO,      /* those of dependent rows, if it is here */
  CUDA_EXACT,     /* none                                   */
  CUDA_GRADIENTS, /* of a transposed A                      */
  CUDA_LIBRARY    /* all                                    */
} cuda_products;

/* Scratch memory that operations keep between calls. */
typedef enum cuda_slot {
  CUDA_OUTER,     /* of an operation, and …                         */
  CUDA_INNER,     /* … of the products that it calls                */
  CUDA_ARGUMENTS, /* host arrays too long for the staging buffers   */
  CUDA_SLOTS
} cuda_slot;

typedef struct cuda_pool cuda_pool;       /* memory.c   */
typedef struct cuda_staging cuda_staging; /* transfer.c */
typedef struct cuda_reads cuda_reads;     /* read.c     */
typedef struct cuda_library cuda_library; /* cublas.c   */

/* An opened backend. One thread at a time, as operations.h says. */
typedef struct cuda {
  const cuda_driver *d;
  cu_context context;
  cu_stream stream;
  cu_function kernel[CUDA_KERNEL_COUNT];
  int shared_allowed
      [CUDA_KERNEL_COUNT]; /* bytes of dynamic shared memory, where more than 48 KiB */
  int multiprocessors, shared_most;
  cuda_pool *pool;
  size_t held, most; /* bytes of the driver's memory, now and at most */
  cuda_staging *staging;
  cuda_reads *reads;
  cu_graph_exec graph; /* of the work that was last put together, or NULL */
  bool capturing;
  cuda_library *library; /* NULL until the first product that wants it */
  cuda_products products;
  bool synchronous, paper;
  struct {
    void *p;
    size_t size;
  } scratch[CUDA_SLOTS];
  const char *doing; /* the operation at work                           */
  isc_status failed; /* not ISC_OK once the device is beyond use …      */
  char failure[512]; /* … and what was said then                        */
} cuda;

/* ---- calls of the driver */

/* `r` into a status; the message names the call, the place, and what `fmt` says it was about. */
isc_status cuda_check(cuda *c, cu_result r, const char *call, const char *file, int line,
                      const char *fmt, ...) ISC_PRINTF(6, 7);
/* CU(c, stream_wait(c->stream), "upload of %zu bytes", bytes); in a function that returns a status */
#define CU(c, call, ...)                                                                           \
  ISC_TRY(cuda_check(c, (c)->d->call, #call, __FILE__, __LINE__, __VA_ARGS__))

static inline cu_pointer cuda_at(const void *p) {
  return (cu_pointer)(uintptr_t)p;
}

/* At the beginning of each operation: the thread gets the device's context, and a device beyond use says so. */
isc_status cuda_begin(cuda *c, const char *doing);
/* And at its end. */
isc_status cuda_end(cuda *c);

typedef struct cuda_size {
  int64_t x, y, z; /* 0 counts as 1 */
} cuda_size;
isc_status cuda_launch(cuda *c, cuda_kernel kernel, cuda_size grid, cuda_size block, size_t shared,
                       const void *args);
/* CUDA_LAUNCH(c, add, grid, block, shared bytes, &args), with the struct that the kernel takes. */
#define CUDA_LAUNCH(c, name, grid, block, shared, args)                                            \
  cuda_launch(c, CUDA_KERNEL_##name, grid, block, shared, (const cuda_args_##name *){args})
/* Blocks of 256 threads for n elements, no more than the device can use. */
cuda_size cuda_blocks(const cuda *c, int64_t n);
#define CUDA_THREADS ((cuda_size){.x = 256})

/* ---- memory */
isc_status cuda_pool_open(cuda *c);
void cuda_pool_close(cuda *c);
isc_status cuda_alloc(cuda *c, size_t bytes, void **out);
void cuda_free(cuda *c, void *p);
/* Valid until the next call for the same slot; contents are undefined. */
isc_status cuda_scratch(cuda *c, cuda_slot slot, size_t bytes, void **out);

isc_status cuda_memory(cuda *c, bool anew, isc_memory_use *out);
/* Pinned memory in two halves, one of which is filled while the device reads the other. */
typedef struct cuda_ring {
  char *p; /* [2][half_bytes]              */
  size_t half_bytes;
  cu_event read[2]; /* by the device                */
  int half;         /* that is being filled         */
  size_t used;      /* of it                        */
} cuda_ring;
/* Zeros before; to be closed also after a failure. */
isc_status cuda_ring_open(cuda *c, size_t half_bytes, cuda_ring *r);
void cuda_ring_close(cuda *c, cuda_ring *r);
/* Room for `bytes` ≤ half_bytes that c->stream is asked to read before the next room; *offset is its place. */
isc_status cuda_ring_room(cuda *c, cuda_ring *r, size_t bytes, size_t *offset);

isc_status cuda_staging_open(cuda *c);
void cuda_staging_close(cuda *c);
isc_status cuda_upload(cuda *c, void *dst, const void *host, size_t bytes);
isc_status cuda_download(cuda *c, void *host, const void *src, size_t bytes);
isc_status cuda_copy(cuda *c, void *dst, const void *src, size_t bytes);
isc_status cuda_zero(cuda *c, void *dst, size_t bytes);
/* Empties a half of it, so that a half's worth of copies goes by without a wait. */
isc_status cuda_staging_fresh(cuda *c);
/* A host array for the kernels of the operation at work; `host` may be reused. */
isc_status cuda_argument(cuda *c, const void *host, size_t bytes, const void **device);

isc_status cuda_reads_open(cuda *c);
void cuda_reads_close(cuda *c);
isc_status cuda_read_begin(cuda *c, int64_t ticket, const void *src, size_t bytes);
isc_status cuda_read_end(cuda *c, int64_t ticket, void *host);

/* ---- plan.c: the functions of a driver whose devices have any size and do nothing */
const cuda_driver *cuda_paper_driver(void);

/* ---- work put together */
isc_status cuda_record(cuda *c);
isc_status cuda_play(cuda *c, bool drop);
void cuda_graph_close(cuda *c);

/* ---- lanes, as backend.h has them: lane.c */
isc_status cuda_lane_open(void *impl, size_t least, size_t most, size_t *piece, void **lane);
void cuda_lane_close(void *lane);
isc_status cuda_lane_room(void *lane, size_t bytes, void **host);
isc_status cuda_lane_upload(void *lane, void *dst, size_t bytes);
isc_status cuda_lane_join(void *lane);
isc_status cuda_lane_follow(void *lane);

/* ---- the library */
/* The product, with a of f32 or bf16, if it is one for the library; else *made is false and nothing was done. */
isc_status cuda_library_gemm(cuda *c, const isc_gemm *g, isc_dtype a_dtype, bool *made);
void cuda_library_close(cuda *c);

/* ---- products of bf16: half.c */
/* An operand as a product takes it. */
typedef struct cuda_operand {
  const void *x;
  int64_t ld, stride; /* elements */
  isc_dtype dtype;
} cuda_operand;
static inline cuda_operand cuda_operand_a(const isc_gemm *g, isc_dtype a_dtype) {
  return (cuda_operand){g->a, g->lda, g->batch > 1 ? g->stride_a : 0, a_dtype};
}
static inline cuda_operand cuda_operand_b(const isc_gemm *g) {
  return (cuda_operand){g->b, g->ldb, g->batch > 1 ? g->stride_b : 0, g->b_dtype};
}
/* The operands as bf16, each row on 16 bytes. `whole`: and whole pieces of them long, zeros where k is no multiple of
 * GEMM_HALF_K. Those that are not so yet are written to scratch memory, which stays theirs until the next product. A NULL one
 * is left out. */
isc_status cuda_halve(cuda *c, const isc_gemm *g, bool whole, cuda_operand *a, cuda_operand *b);
/* The launch of cuda_gemm_exact for a product of bf16, whose a may be so already: `args` as for f32. */
isc_status cuda_gemm_half(cuda *c, const isc_gemm *g, isc_dtype a_dtype, const gemm_args *args);

/* ---- operations, between begin and end */
isc_status cuda_gemm(cuda *c, const isc_gemm *g);
/* The same; where it is a product of bf16, a may be of 2-byte elements too, lda of them apart. */
isc_status cuda_gemm_typed(cuda *c, const isc_gemm *g, isc_dtype a_dtype);
/* The same with a bias of its own for each item, `stride_bias` apart, and never by the library. */
isc_status cuda_gemm_exact(cuda *c, const isc_gemm *g, int64_t stride_bias);
isc_status cuda_act(cuda *c, isc_act act, int64_t n, const float *x, float *y);
isc_status cuda_act_grad(cuda *c, isc_act act, int64_t n, const float *pre, const float *dy,
                         float *dx);
isc_status cuda_add(cuda *c, int64_t n, const float *a, const float *b, float *out);
isc_status cuda_axpy(cuda *c, int64_t n, float alpha, const float *x, float *y);
isc_status cuda_mul(cuda *c, int64_t n, const float *a, const float *b, float *out);
isc_status cuda_gate(cuda *c, const isc_gate *a);
isc_status cuda_gate_grad(cuda *c, const isc_gate *a);
isc_status cuda_rotary(cuda *c, const isc_rotary *a);
isc_status cuda_adamw(cuda *c, const isc_adamw *const *list, int64_t count);
isc_status cuda_col_sum(cuda *c, int64_t rows, int64_t n, const float *x, float *out);
isc_status cuda_layernorm(cuda *c, const isc_layernorm *a);
isc_status cuda_layernorm_grad(cuda *c, const isc_layernorm *a);
isc_status cuda_jumprelu(cuda *c, const isc_jumprelu *a);
isc_status cuda_jumprelu_grad(cuda *c, const isc_jumprelu *a);
isc_status cuda_distances(cuda *c, const isc_distances *a);
isc_status cuda_to_bf16(cuda *c, int64_t n, const float *x, uint16_t *out);
isc_status cuda_sum_squares(cuda *c, int64_t n, const float *x, double *host_out);
isc_status cuda_embed(cuda *c, const isc_embed *a);
isc_status cuda_embed_grad(cuda *c, const isc_embed *a);
isc_status cuda_gather(cuda *c, int64_t n, int64_t width, const float *x, const int64_t *row,
                       float *out);
isc_status cuda_scatter_add(cuda *c, int64_t n, int64_t width, const float *in, const int64_t *row,
                            float *x);
isc_status cuda_attention(cuda *c, const isc_attention *a);
isc_status cuda_attention_grad(cuda *c, const isc_attention *a);
isc_status cuda_xent(cuda *c, const isc_xent *a);
isc_status cuda_control(cuda *c, const isc_control *a);
isc_status cuda_control_grad(cuda *c, const isc_control *a);
isc_status cuda_clip(cuda *c, const isc_clip *clip);
isc_status cuda_sample(cuda *c, const isc_sample *a);
isc_status cuda_sample_there(cuda *c, const isc_sample *a);
isc_status cuda_noise(cuda *c, const isc_noise *a);

static inline int64_t cuda_ceil(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
static inline int64_t cuda_least(int64_t a, int64_t b) {
  return a < b ? a : b;
}

#endif
