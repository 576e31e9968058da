/* SPDX-License-Identifier: Apache-2.0
 *
 * Parameters: named tensors that outlive steps, their AdamW updates and the schedule of the learning rate.
 *
 * A set of parameters, and all that touches it, belongs to one thread at a time.
 */
#ifndef ISC_PARAMETERS_H
#define ISC_PARAMETERS_H

#include <inversescope/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Parameters */
/* A named tensor that outlives steps, made by isc_params_add only. */
typedef struct isc_param {
  char *name;
  isc_tensor value; /* value.grad is persistent                                              */
  float *m, *v;     /* AdamW moments, device; NULL until the first step                      */
  int64_t steps;    /* updates this parameter has had                                         */
  int32_t group;    /* index into isc_optimizer's groups                                      */
  bool
      touched; /* a gradient was written since the last zero_grad (else no update, as PyTorch skips None) */
  /* since 1.1: the core's own */
  bool rounded_holds; /* `rounded` is value as it is now                                       */
  uint16_t *rounded;  /* value in bf16 on the device, for products; NULL until one asks        */
} isc_param;

typedef struct isc_params isc_params; /* a set of parameters */

/* An empty set on a device, which must outlive it. One thread at a time. */
ISC_API isc_status isc_params_new(isc_device *dev, isc_params **out);
ISC_API void isc_params_free(isc_params *p); /* with its parameters; NULL is fine */
/* Add a zero-filled parameter, frozen until isc_params_train; the pointer stays valid until isc_params_free. Names are
 * unique; 0 ≤ group < 8. */
ISC_API isc_status isc_params_add(isc_params *p, const char *name, int32_t ndim,
                                  const int64_t *shape, int32_t group, isc_param **out);
/* The same with elements of `dtype`. A bf16 parameter stays frozen: isc_params_train passes it over. */
ISC_API isc_status isc_params_add_typed(isc_params *p, const char *name, int32_t ndim,
                                        const int64_t *shape, int32_t group, isc_dtype dtype,
                                        isc_param **out);
ISC_API isc_param *isc_params_find(isc_params *p, const char *name); /* NULL if absent */
/* How many there are, and the i-th in the order they were added. */
ISC_API int64_t isc_params_count(const isc_params *p);
ISC_API isc_param *isc_params_at(isc_params *p, int64_t i);
ISC_API void isc_params_train(isc_params *p, bool on); /* needs_grad of all; off = frozen */
/* No parameter is touched any more. Gradients are not read until written again, so no memory is. */
ISC_API isc_status isc_params_zero_grad(isc_params *p);
/* Values from and to the host, [shape] floats; to bf16 they are rounded. */
ISC_API isc_status isc_param_set(isc_params *p, isc_param *q, const float *host);
ISC_API isc_status isc_param_get(isc_params *p, const isc_param *q, float *host);
/* Elements [first, first + n) only. */
ISC_API isc_status isc_param_set_some(isc_params *p, isc_param *q, int64_t first, int64_t n,
                                      const float *host);
ISC_API isc_status isc_param_get_some(isc_params *p, const isc_param *q, int64_t first, int64_t n,
                                      float *host);
/* Initialise: N(0, std) or Kaiming-normal (std = sqrt(2/fan_in)), Philox (seed, ISC_RNG_INIT, hash of the name). */
ISC_API isc_status isc_param_init_normal(isc_params *p, isc_param *q, uint64_t seed, double std);
ISC_API isc_status isc_param_fill(isc_params *p, isc_param *q, float x); /* every element = x */
/* AdamW's moments (zeros before the first update); `m`, `v` host. Setting takes the number of updates with them;
 * m and v NULL forget both and set steps to 0. */
ISC_API isc_status isc_param_get_moments(isc_params *p, const isc_param *q, float *m, float *v);
ISC_API isc_status isc_param_set_moments(isc_params *p, isc_param *q, int64_t steps, const float *m,
                                         const float *v);
/* All values to and from the file `name` of a directory (safetensors), written atomically; bit-exact. Reading wants every
 * parameter with its shape, which is checked before anything is changed: ISC_E_FORMAT or ISC_E_SHAPE naming the file.
 * Since 1.1. */
ISC_API isc_status isc_params_write(isc_params *p, const char *dir, const char *name);
ISC_API isc_status isc_params_read(isc_params *p, const char *dir, const char *name);
/* Total elements. */
ISC_API int64_t isc_params_elements(const isc_params *p);

/* ---- AdamW */
/* What an update goes by. PyTorch's defaults are β 0.9 and 0.999, eps 1e-8, weight decay 0.01. */
typedef struct isc_optimizer {
  size_t size; /* sizeof(isc_optimizer) */
  double beta1, beta2, eps;
  double lr[8];           /* by parameter group        */
  double weight_decay[8]; /* by parameter group        */
  double clip;            /* global gradient norm, 0 = off */
} isc_optimizer;
/* One step over the touched parameters; `grad_norm` (may be NULL) gets the norm before clipping. A gradient that is
 * not finite → ISC_E_NUMERIC and nothing is changed. */
ISC_API isc_status isc_adamw_step(isc_params *p, const isc_optimizer *opt, double *grad_norm);

/* What a learning rate does after its warm-up. Append only. */
typedef enum isc_schedule_kind { ISC_CONSTANT, ISC_LINEAR, ISC_COSINE } isc_schedule_kind;
/* Multiplier of the learning rate at update `step` (0-based): linear warm-up over `warmup` updates
 * ((step+1)/warmup), then constant, or linear/cosine decay to `final` at `total`. */
ISC_API double isc_schedule(isc_schedule_kind kind, int64_t step, int64_t warmup, int64_t total,
                            double final);

#ifdef __cplusplus
}
#endif
#endif
