/* SPDX-License-Identifier: Apache-2.0
 *
 * The backend kind: device memory and the table of operations (operations.h) that it offers.
 *
 * Only core/tensor calls it for training, and evaluation calls `gemm` directly; plugins compute with ops.h. Functions of
 * one device are called from one thread at a time.
 */
#ifndef ISC_BACKEND_H
#define ISC_BACKEND_H

#include <inversescope/operations.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of device memory. */
typedef struct isc_memory_use {
  size_t
      held; /* now, of the driver: what alloc gave, what was freed and is kept, and the backend's own */
  size_t most;  /* the most that was held since it was last asked to begin anew */
  size_t total; /* of the device, 0 = unknown */
} isc_memory_use;

/* The ops table of a backend; every member is required unless it says so. When an op returns, its host outputs are there and its host inputs
 * may be reused; results on the device may be pending until `sync` or `download`. Memory that an op cannot have →
 * ISC_E_NOMEM; a device that fails → ISC_E_DEVICE. */
typedef struct isc_backend_ops {
  size_t size; /* sizeof(isc_backend_ops) */
  /* Can this machine run it? `why` gets one line: the device's name, or the reason it cannot. */
  isc_status (*probe)(char *why, size_t n);
  /* `conf` is the class's filled conf struct and lives only as long as the call. *impl goes to all below; on failure it is
   * left NULL. Several may be open at once. */
  isc_status (*open)(const void *conf, void **impl);
  /* Gives back all but the memory that `alloc` gave and nobody freed. */
  void (*close)(void *impl);
  /* Memory, 64-byte aligned. Failing → ISC_E_NOMEM with bytes asked for; the device stays usable. */
  isc_status (*alloc)(void *impl, size_t bytes, void **out);
  void (*free)(void *impl, void *p); /* what alloc gave; NULL is fine */
  /* Host → device, device → host, device → device (not overlapping), and zeros. */
  isc_status (*upload)(void *impl, void *dst, const void *host, size_t bytes);
  isc_status (*download)(void *impl, void *host, const void *src, size_t bytes);
  isc_status (*copy)(void *impl, void *dst, const void *src, size_t bytes);
  isc_status (*zero)(void *impl, void *dst, size_t bytes);
  isc_status (*sync)(void *impl); /* waits for all that was asked of the device */
  /* isc_gemm. */
  isc_status (*gemm)(void *impl, const isc_gemm *a);
  isc_status (*act)(void *impl, isc_act act, int64_t n, const float *x,
                    float *y); /* y = act(x); may alias */
  isc_status (*act_grad)(void *impl, isc_act act, int64_t n, const float *pre, const float *dy,
                         float *dx); /* dx = dy·act'(pre); dx may alias dy   */
  isc_status (*col_sum)(void *impl, int64_t rows, int64_t n, const float *x,
                        float *out); /* out[n] += Σ rows */
  /* isc_layernorm: y, and mean and rstd unless NULL; the gradient fills dx, dg, db from dy. */
  isc_status (*layernorm)(void *impl, const isc_layernorm *a);
  isc_status (*layernorm_grad)(void *impl, const isc_layernorm *a);
  /* isc_embed: out; the gradient adds to dwte and dwpe from dout. */
  isc_status (*embed)(void *impl, const isc_embed *a);
  isc_status (*embed_grad)(void *impl, const isc_embed *a);
  /* isc_attention: out, and lse unless NULL; the gradient fills dq, dk, dv from dout, out and lse. */
  isc_status (*attention)(void *impl, const isc_attention *a);
  isc_status (*attention_grad)(void *impl, const isc_attention *a);
  /* isc_xent: logp, and dh, dw unless NULL. */
  isc_status (*xent)(void *impl, const isc_xent *a);
  /* isc_control: out and omega; the gradient fills dhn, du, dv, dc from dout and omega. */
  isc_status (*control)(void *impl, const isc_control *a);
  isc_status (*control_grad)(void *impl, const isc_control *a);
  /* isc_adamw on `count` parameters. */
  isc_status (*adamw)(void *impl, const isc_adamw *const *list, int64_t count);
  /* *host_out = Σ x², summed in double. */
  isc_status (*sum_squares)(void *impl, int64_t n, const float *x, double *host_out);
  isc_status (*sample)(void *impl, const isc_sample *a); /* isc_sample */
  isc_status (*noise)(void *impl, const isc_noise *a);   /* isc_noise  */
  /* Elementwise. */
  isc_status (*add)(void *impl, int64_t n, const float *a, const float *b,
                    float *out); /* may alias */
  isc_status (*axpy)(void *impl, int64_t n, float alpha, const float *x,
                     float *y); /* y += alpha x */
  isc_status (*mul)(void *impl, int64_t n, const float *a, const float *b,
                    float *out); /* may alias */
  /* out[i] = x[row[i]]; rows of `width` floats. `row` is host memory. */
  isc_status (*gather)(void *impl, int64_t n, int64_t width, const float *x, const int64_t *row,
                       float *out);
  /* x[row[i]] += in[i], in the order of i. */
  isc_status (*scatter_add)(void *impl, int64_t n, int64_t width, const float *in,
                            const int64_t *row, float *x);
  /* since 1.1 */
  isc_status (*rotary)(void *impl, const isc_rotary *a);  /* isc_rotary */
  isc_status (*gate)(void *impl, const isc_gate *a);      /* isc_gate: y */
  isc_status (*gate_grad)(void *impl, const isc_gate *a); /* and dx from dy */
  /* Since 1.1 and optional, NULL where nothing is gained: for devices that work while the host goes on.
   * The next four come together or not at all. */
  isc_status (*clip)(void *impl, const isc_clip *a); /* isc_clip   */
  isc_status (*sample_there)(void *impl,
                             const isc_sample *a); /* isc_sample, results on the device */
  /* Begins a copy to the host, in its order behind what was asked before; `ticket` is below ISC_READS and names it. One that
   * is begun again forgets what it had. */
  isc_status (*read_begin)(void *impl, int64_t ticket, const void *src, size_t bytes);
  /* Waits for that copy, not for what was asked since; `host` gets its bytes. ISC_E_USAGE when none was begun. */
  isc_status (*read_end)(void *impl, int64_t ticket, void *host);
  /* Both or neither. What is asked between them is put together and begins as one at `play`, which for work of the same shape
   * as the last costs less than its parts; `play` with `drop` forgets it instead. Meanwhile nothing may be asked for that
   * the host waits for; an operation may fail that alone would not, and then all of it must be dropped. */
  isc_status (*record)(void *impl);
  isc_status (*play)(void *impl, bool drop);
  /* Both or neither. What is held of the device; `anew`: `most` is counted from here on. */
  isc_status (*memory)(void *impl, bool anew, isc_memory_use *out);
  /* As `open`, of a device of paper: it takes memory as the real one would, by the same rules, and computes nothing; what is
   * read of it is zeros. It needs no device to be there. */
  isc_status (*plan)(const void *conf, void **impl);
  /* Lanes: uploads beside the device's other work. Optional, all of them or none (NULL). A lane is a queue of copies with host
   * memory of its own that the device reads by itself. Between it and what else is asked of the device there is no order but
   * what lane_join and lane_follow make; neither waits on the host. lane_room and lane_upload may be called by another thread,
   * one at a time, whatever the device's own thread does meanwhile; the others belong to the device's thread, at times when
   * nobody is in the lane's functions. A lane that failed is closed and nothing else.
   *
   * Rationale: the memory that comes next is read and converted by a second thread while the first asks for computations. */
  /* With room for `piece` bytes at a time, twice: `most`, or less where the host has no more such memory, but no less than
   * `least` → else ISC_E_NOMEM. *lane is left NULL on failure. */
  isc_status (*lane_open)(void *impl, size_t least, size_t most, size_t *piece, void **lane);
  void (*lane_close)(
      void *lane); /* waits for its copies; before the device is closed. NULL is fine */
  /* Host memory for `bytes` ≤ piece, to be written: the lane's own, until lane_upload. Waits until the device has read what was
   * in it. */
  isc_status (*lane_room)(void *lane, size_t bytes, void **host);
  /* The first `bytes` of the latest room to device memory, which has to stay until the lane is joined or closed. */
  isc_status (*lane_upload)(void *lane, void *dst, size_t bytes);
  /* What is asked of the device from here on begins after all that was uploaded so far. */
  isc_status (*lane_join)(void *lane);
  /* What is uploaded from here on begins after all that was asked of the device so far, whose memory may be overwritten. */
  isc_status (*lane_follow)(void *lane);
  /* Since 1.1 and required. */
  isc_status (*jumprelu)(void *impl,
                         const isc_jumprelu *a); /* isc_jumprelu: y, and l0 unless NULL */
  isc_status (*jumprelu_grad)(void *impl, const isc_jumprelu *a); /* and dx, dtheta unless NULL */
  isc_status (*distances)(void *impl, const isc_distances *a);    /* isc_distances */
  /* out[i] = x[i] rounded as a product of bf16 rounds its operands: to nearest even, NaN staying NaN. */
  isc_status (*to_bf16)(void *impl, int64_t n, const float *x, uint16_t *out);
} isc_backend_ops;

/* Copies to the host that may be on their way at once: the tickets of read_begin. */
enum { ISC_READS = 8 };

/* An opened backend. */
typedef struct isc_device {
  const isc_backend_ops *ops;
  void *impl;
  const isc_class *cls;
  char description[160]; /* "CPU: AMD EPYC, AVX-512, 2 threads" */
  /* since 1.1 */
  double
      flops; /* floating-point operations of the products so far: operations.h's of matrices, attention, control layers and
                   losses that the core's functions asked for; what works element by element is left out */
  bool paper; /* nothing is behind its memory: what costs time to make up need not be made for it */
} isc_device;

#ifdef __cplusplus
}
#endif
#endif
