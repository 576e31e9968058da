/* SPDX-License-Identifier: Apache-2.0
 *
 * Attention: the kernels for a width of head, and their shared memory.
 */
#include "cuda_backend.h"

enum { ROWS = ATTENTION_WARPS * ATTENTION_EACH, TILE = ATTENTION_KEYS };

static bool is_empty(const isc_attention *a) {
  return a->batch <= 0 || a->q_len <= 0 || a->n_head <= 0 || a->d_head <= 0;
}

static isc_status check(const isc_attention *a) {
  if (a->n_kv_head <= 0 || a->n_head % a->n_kv_head)
    return isc_fail(ISC_E_SHAPE, "attention: %lld heads cannot share %lld key heads evenly",
                    (long long)a->n_head, (long long)a->n_kv_head);
  if (a->d_head > ATTENTION_WIDEST)
    return isc_fail(ISC_E_UNSUPPORTED,
                    "attention: heads of %lld columns; the CUDA backend has kernels up to %d",
                    (long long)a->d_head, ATTENTION_WIDEST);
  return ISC_OK;
}

static attention_args arguments(const isc_attention *a) {
  return (attention_args){.batch = a->batch,
                          .q_len = a->q_len,
                          .past = a->past,
                          .n_head = a->n_head,
                          .n_kv_head = a->n_kv_head,
                          .d_head = a->d_head,
                          .window = a->window,
                          .q_batch = a->q_batch,
                          .q_row = a->q_row,
                          .kv_batch = a->kv_batch,
                          .kv_row = a->kv_row,
                          .out_batch = a->out_batch,
                          .out_row = a->out_row,
                          .scale = a->scale,
                          .cap = a->soft_cap,
                          .q = a->q,
                          .k = a->k,
                          .v = a->v,
                          .out = a->out,
                          .lse = a->lse,
                          .dout = a->dout,
                          .dq = a->dq,
                          .dk = a->dk,
                          .dv = a->dv};
}

typedef enum attention_pass { FORWARD, TO_QUERIES, TO_KEYS } attention_pass;

static const struct {
  int64_t width;
  cuda_kernel kernel[3]; /* by pass */
} KERNELS[] = {
#define KERNELS_OF(d)                                                                              \
  {d, {CUDA_KERNEL_attention_##d, CUDA_KERNEL_attention_dq_##d, CUDA_KERNEL_attention_dkv_##d}},
    KERNELS_OF(32) KERNELS_OF(64) KERNELS_OF(128) KERNELS_OF(256)};

/* The rows of a tile that lanes walk are one float longer, so that lanes meet different banks. */
static size_t shared_of(attention_pass pass, int64_t width) {
  const int64_t rows = (pass == FORWARD ? 1 : 2) * ROWS * width;
  const int64_t tile = TILE * (2 * width + (pass == FORWARD ? 4 : 2));
  return (size_t)(rows + tile) * sizeof(float);
}

static isc_status run(cuda *c, attention_pass pass, const attention_args *a) {
  int k = 0;
  while (KERNELS[k].width < a->d_head)
    k++;
  const int64_t heads = pass == TO_KEYS ? a->n_kv_head : a->n_head;
  const cuda_size grid = {.x = cuda_ceil(a->q_len, ROWS) * heads * a->batch},
                  threads = {.x = ATTENTION_WARPS * 32};
  return cuda_launch(c, KERNELS[k].kernel[pass], grid, threads, shared_of(pass, KERNELS[k].width),
                     a);
}

isc_status cuda_attention(cuda *c, const isc_attention *a) {
  if (is_empty(a)) return ISC_OK;
  ISC_TRY(check(a));
  const attention_args x = arguments(a);
  return run(c, FORWARD, &x);
}

isc_status cuda_attention_grad(cuda *c, const isc_attention *a) {
  if (is_empty(a)) return ISC_OK;
  ISC_TRY(check(a));
  if (a->past != 0)
    return isc_fail(ISC_E_USAGE,
                    "attention_grad: %lld cached positions; gradients need the whole sequence",
                    (long long)a->past);
  if (!a->lse) return isc_fail(ISC_E_USAGE, "attention_grad: the forward pass kept no log-sum-exp");
  const int64_t n = a->batch * a->n_head * a->q_len;
  void *delta;
  ISC_TRY(cuda_scratch(c, CUDA_OUTER, (size_t)n * sizeof(float), &delta));
  const delta_args d = {.batch = a->batch,
                        .q_len = a->q_len,
                        .n_head = a->n_head,
                        .d_head = a->d_head,
                        .out_batch = a->out_batch,
                        .out_row = a->out_row,
                        .out = a->out,
                        .dout = a->dout,
                        .delta = delta};
  ISC_TRY(CUDA_LAUNCH(c, attention_delta, ((cuda_size){.x = cuda_ceil(n, 4)}),
                      ((cuda_size){.x = 128}), 0, &d));
  attention_args x = arguments(a);
  x.delta = delta;
  ISC_TRY(run(c, TO_QUERIES, &x));
  return run(c, TO_KEYS, &x);
}
