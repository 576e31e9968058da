/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of core/tensor share: the step, gradient slots, and shape checks.
 *
 * A tensor's gradient is allocated when the first backward writes it; that first write may overwrite,
 * so a tensor with one consumer costs neither a zeroing nor an addition.
 */
#ifndef ISC_CORE_TENSOR_INTERNAL_H
#define ISC_CORE_TENSOR_INTERNAL_H

#include "base/base.h"
#include "tensor/arena.h"
#include <inversescope/ops.h>
#include <inversescope/parameters.h>

typedef struct isc_node {
  isc_backward_fn backward;
  void *user;
  isc_tensor *out; /* no gradient here: nothing to send further back */
} isc_node;

/* A gradient buffer that has been read for the last time. */
typedef struct isc_spare {
  float *at;
  size_t bytes;
} isc_spare;

struct isc_step {
  isc_device *dev;
  isc_arena device, host;
  isc_node *node; /* [nodes] the tape, in forward order */
  int64_t nodes, capacity;
  isc_spare *spare; /* [spares] */
  int64_t spares, spare_capacity;
  bool tape;
  isc_dtype product; /* what matrix products round their operands to */
  isc_tensor *loss;  /* what isc_tape_backward is differentiating, else NULL */
};

/* ---- gradients. A view's gradient is its base's. */
static inline isc_tensor *isc_base(isc_tensor *t) {
  return t->base ? t->base : t;
}
static inline bool isc_needs(isc_tensor *t) {
  return t && isc_base(t)->needs_grad;
}
/* Under a tape and in its backward pass: rows of a product may then depend on each other, since no sample comes of them. */
static inline bool isc_training(const isc_step *s) {
  return s->tape || s->loss;
}
/* Will this op be recorded? (so: keep what its backward wants) */
bool isc_tracks(const isc_step *s, isc_tensor *const *inputs, int64_t n);
bool isc_grad_written(isc_tensor *t);

/* The buffer of t's gradient and whether to overwrite all of it (beta 0) or add (beta 1); NULL when t
 * needs none. It counts as written from here on. */
isc_status isc_grad_slot(isc_step *s, isc_tensor *t, float **grad, float *beta);

/* For operations that can only overwrite: write `at`, then close. */
typedef struct isc_grad_dest {
  float *at;   /* NULL = t needs no gradient       */
  float *into; /* `at` is added to this on closing */
} isc_grad_dest;
isc_status isc_grad_open(isc_step *s, isc_tensor *t, isc_grad_dest *d);
isc_status isc_grad_close(isc_step *s, isc_tensor *t, const isc_grad_dest *d);

/* t's gradient += out's. `last`: nobody reads out's afterwards, so its buffer may be handed over. */
typedef enum isc_grad_use { ISC_GRAD_KEEP, ISC_GRAD_LAST } isc_grad_use;
isc_status isc_grad_pass(isc_step *s, isc_tensor *out, isc_tensor *t, isc_grad_use use);
/* out's backward has run: unless kept, its gradient's memory serves the next gradient of that size. */
isc_status isc_grad_recycle(isc_step *s, isc_tensor *out);

/* ---- shapes */
static inline size_t isc_dtype_size(isc_dtype dtype) {
  return dtype == ISC_BF16 ? 2 : sizeof(float);
}
/* "[2, 3]" */
const char *isc_shape_text(const isc_tensor *t, char text[96]);
/* ISC_E_SHAPE: "op: a [2, 3] does not fit b [4]". */
isc_status isc_shape_misfit(const char *op, const char *a_name, const isc_tensor *a,
                            const char *b_name, const isc_tensor *b);
static inline int64_t isc_last_dim(const isc_tensor *t) {
  return t->shape[t->ndim - 1];
}
/* Elements per last dimension; 0 if that is 0. */
static inline int64_t isc_rows(const isc_tensor *t) {
  return isc_last_dim(t) ? isc_tensor_size(t) / isc_last_dim(t) : 0;
}
bool isc_shape_is(const isc_tensor *t, int32_t ndim, int64_t a, int64_t b, int64_t c);
/* Bytes of a tensor of f32, overflow-checked. */
isc_status isc_shape_bytes(int32_t ndim, const int64_t *shape, size_t *bytes);

/* Floats in a fused row. */
static inline int64_t isc_heads_width(const isc_heads *h) {
  return (h->n_head + 2 * h->n_kv_head) * h->d_head;
}
/* *h = what the caller gave, once qkv is [batch·len, width of a fused row] in any grouping. */
isc_status isc_heads_fit(const char *op, const isc_tensor *qkv, const isc_heads *given,
                         isc_heads *h);

/* A new tensor shaped as `like` with its last dimension replaced (`last` < 0: kept). */
isc_status isc_tensor_like(isc_step *s, const isc_tensor *like, int64_t last, isc_tensor **out);
isc_status isc_tensor_alloc_typed(isc_device *dev, int32_t ndim, const int64_t *shape,
                                  isc_dtype dtype, isc_tensor *out);
/* Copy host memory into step memory on the device / on the host. */
isc_status isc_step_upload(isc_step *s, const void *host, size_t bytes, void **out);
isc_status isc_step_keep(isc_step *s, const void *host, size_t bytes, void **out);

#endif
