/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors, the step they live in, and the tape that differentiates them.
 *
 * Everything made inside a step is owned by it and dies at isc_step_reset; parameters live outside.
 * Under isc_tape_begin operations (ops.h) record their backward; without it nothing is recorded
 * or kept. Gradients flow only to tensors with needs_grad, so frozen layers cost input gradients only.
 * A step and what it made belong to one thread at a time.
 */
#ifndef ISC_TENSOR_H
#define ISC_TENSOR_H

#include <inversescope/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Dense, row-major f32 on a device. Rationale for no strides: every op here wants dense rows, and views
 * that matter (a column block of a fused qkv) are strides inside the op's own argument struct. */
typedef struct isc_tensor {
  int32_t ndim; /* 1 … 4                                                   */
  int32_t
      dtype; /* isc_dtype of data: f32, or bf16 in frozen parameters (then 2 bytes an element) */
  int64_t shape[4];
  float *data; /* device memory                                            */
  float *grad; /* device memory of the same shape; NULL until the tape asks */
  bool needs_grad;
  struct isc_param *param; /* the parameter this is the value of, or NULL        */
  bool grad_written;       /* grad holds something (parameters: param->touched instead) */
  bool keep_grad; /* set before backward: grad stays readable afterwards. Without it an op's
                        output gives its gradient's memory back; leaves and parameters keep theirs */
  struct isc_tensor *base; /* of a reshaped view: the tensor whose memory and gradient it shares */
  void *reserved[4];       /* NULL */
} isc_tensor;

ISC_API int64_t isc_tensor_size(const isc_tensor *t); /* number of elements */

/* ---- Devices */
/* Open backend `name` ("cpu", "cuda", or "auto": the best whose probe succeeds; `report`, if not NULL, gets a
 * malloc'd line per backend passed over and why). `conf` NULL = the class's defaults. */
ISC_API isc_status isc_device_open(const char *name, const void *conf, isc_device **out,
                                   char **report);
ISC_API void isc_device_close(isc_device *dev); /* after all that was made on it; NULL is fine */

/* A malloc'd copy of the name that "auto" would open; `report` as above. */
ISC_API isc_status isc_device_pick(char **name, char **report);
/* Tensors outside any step, such as key/value caches: zero-filled; freed by their owner. */
ISC_API isc_status isc_tensor_alloc(isc_device *dev, int32_t ndim, const int64_t *shape,
                                    isc_tensor *out);
/* Its memory goes back and *t becomes zeros. */
ISC_API void isc_tensor_release(isc_device *dev, isc_tensor *t);

/* ---- Steps */
typedef struct isc_step isc_step; /* the memory of one step's tensors, and their tape */

/* An empty step on a device, which must outlive it. */
ISC_API isc_status isc_step_new(isc_device *dev, isc_step **out);
ISC_API void isc_step_free(isc_step *s); /* and every tensor made in it; NULL is fine */
/* What the matrix products of this step's operations round their operands to: ISC_F32 (at first) or ISC_BF16, until it is set
 * again. Products with a bf16 parameter are in bf16 anyway. Gradients' products follow, sums and updates stay f32. */
ISC_API void isc_step_set_product(isc_step *s, isc_dtype product);
/* Every tensor of the step dies; its memory is kept for the next use. The tape is dropped. */
ISC_API void isc_step_reset(isc_step *s);
ISC_API isc_device *isc_step_device(isc_step *s); /* the device it was made on */
/* Forward-only work in a small space: everything made after the mark dies at the rewind. Not under a tape. */
typedef struct isc_step_mark {
  int64_t at[4];
} isc_step_mark;
ISC_API isc_step_mark isc_step_here(const isc_step *s);
ISC_API isc_status isc_step_rewind(isc_step *s, isc_step_mark mark);
/* A new tensor of the step, its elements unset (new) or 0 (zeros). A shape is 1 to 4 sizes ≥ 0, else ISC_E_SHAPE. */
ISC_API isc_status isc_tensor_new(isc_step *s, int32_t ndim, const int64_t *shape,
                                  isc_tensor **out);
ISC_API isc_status isc_tensor_zeros(isc_step *s, int32_t ndim, const int64_t *shape,
                                    isc_tensor **out);
/* Upload [shape] floats from the host. */
ISC_API isc_status isc_tensor_from(isc_step *s, int32_t ndim, const int64_t *shape,
                                   const float *host, isc_tensor **out);
/* Its elements to the host, [shape] floats; waits for them. */
ISC_API isc_status isc_tensor_download(isc_step *s, const isc_tensor *t, float *host);
/* The same memory under another shape of the same size (gradient included). */
ISC_API isc_status isc_tensor_reshape(isc_step *s, isc_tensor *t, int32_t ndim,
                                      const int64_t *shape, isc_tensor **out);
/* Raw step memory: device bytes / host bytes that die with the step. */
ISC_API isc_status isc_step_device_alloc(isc_step *s, size_t bytes, void **out);
ISC_API isc_status isc_step_host_alloc(isc_step *s, size_t bytes, void **out);

/* ---- Tape */
/* Record from here on; ISC_E_USAGE when a tape is being recorded. It ends with isc_tape_backward or a reset. */
ISC_API isc_status isc_tape_begin(isc_step *s);
ISC_API bool isc_tape_on(const isc_step *s); /* is one being recorded? */
/* Fill grad of everything that needs it from the scalar `loss` (seed 1). Parameters' gradients accumulate
 * until isc_params_zero_grad. Ends the tape. */
ISC_API isc_status isc_tape_backward(isc_step *s, isc_tensor *loss);
/* For ops written outside: record `backward(s, user)` if any of `inputs` (NULLs are skipped) needs a gradient; then
 * out->needs_grad is set. One record per out; `user` must be step memory. isc_grad_of gives (allocating zeroed) a tensor's gradient, or NULL
 * when it needs none; a parameter then counts as touched. `backward` is only called when out's gradient was written. */
typedef isc_status (*isc_backward_fn)(isc_step *s, void *user);
ISC_API isc_status isc_tape_record(isc_step *s, isc_tensor *const *inputs, int64_t n,
                                   isc_tensor *out, isc_backward_fn backward, void *user);
ISC_API isc_status isc_grad_of(isc_step *s, isc_tensor *t, float **grad);

#ifdef __cplusplus
}
#endif
#endif
