/* SPDX-License-Identifier: Apache-2.0
 *
 * The arguments of the coarse operations that a backend offers: the one contract of each operation, with its
 * mathematics, shapes and tolerance. Tensor operations (ops.h) check shapes and record gradients on top of it.
 *
 * Conventions. Matrices are dense, row-major f32 unless a leading dimension is given; pointers are
 * device pointers unless marked host; `+=` outputs accumulate, others are overwritten. A size of 0
 * is legal everywhere and does nothing. Outputs never alias inputs unless said. Sums inside an op run in
 * an order fixed by the shapes alone, never by the number of threads: the same call gives the same bits.
 * Tolerance, unless stated: |got − exact| ≤ 4e-6 · Σ|terms| of the sum that makes the element; where operands are rounded to
 * bf16, 2^-7 in place of 4e-6 (gemm: 4e-6 of the sum over the rounded operands).
 * *Row independence* (gemm with trans_a = 0, layernorm, rotary, gate, attention, control, xent logp, sample, jumprelu, distances):
 * a row's result has the same bits whatever other rows are in the call, unless the call's `dependent_rows` is set (gemm, xent
 * and control, since 1.1), which lets a backend choose its kernels by the number of rows too.
 * Rationale: this is what makes a sample independent of batch size and threads. Training, whose rows a gradient adds up
 * anyway, gains by what such a choice saves, and its products set `dependent_rows`; a harvest and a sample never do.
 * Functions of one device are called from one thread at a time.
 *
 * The argument structs are made by the library alone (plugins compute with ops.h) and may grow at the end; a member that
 * a backend does not know is zero wherever it would change what the backend knows.
 */
#ifndef ISC_OPERATIONS_H
#define ISC_OPERATIONS_H

#include <inversescope/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the elements of an array are. Append only. */
typedef enum isc_dtype {
  ISC_F32 = 0,
  ISC_BF16 /* the upper half of an f32, rounded to nearest even; 2 bytes */
} isc_dtype;

/* Activation functions. Append only. */
typedef enum isc_act {
  ISC_ACT_NONE = 0,
  ISC_ACT_RELU,
  ISC_ACT_GELU,      /* exact, erf               */
  ISC_ACT_GELU_TANH, /* GPT-2's gelu_new         */
  ISC_ACT_SILU,
  ISC_ACT_TANH
} isc_act;

/* C[i] = act(alpha · op(A[i]) op(B[i]) + beta · C[i] + bias), i < batch. op(A) is [m, k], op(B) is [k, n]. */
typedef struct isc_gemm {
  int64_t batch, m, n, k;
  const float *a; /* [m, k] or, trans_a, [k, m], rows lda apart */
  const float *b; /* [k, n] or, trans_b, [n, k], rows ldb apart */
  float *c;       /* [m, n], rows ldc apart                     */
  int64_t lda, ldb, ldc;
  int64_t stride_a, stride_b, stride_c; /* floats between batch items (0 = shared, inputs only) */
  bool trans_a, trans_b;
  float alpha, beta;
  const float *bias; /* [n] or NULL                              */
  isc_act act;
  float *pre; /* [m, n] rows ldc: argument of act, for its gradient; or NULL (batch 1 only) */
  /* since 1.1 */
  isc_dtype
      b_dtype; /* of b: ISC_BF16 (then `product` is too), b points to 2-byte elements        */
  isc_dtype
      product; /* ISC_BF16: elements of a and b are rounded to bf16, their products summed in f32 */
  bool dependent_rows; /* a row's bits may depend on the other rows */
} isc_gemm;

/* y = (x − mean)/sqrt(var + eps) · g + b per row; var is the biased variance. Or, rms: y = x/sqrt(mean x² + eps) · g.
 * With `group`, row i of x and of y begins at float (i / group)·stride + (i % group)·d: some heads of a fused row. */
typedef struct isc_layernorm {
  int64_t rows, d;
  double eps;
  const float *x, *g, *b; /* [rows, d], [d], [d]; g and b may both be NULL (plain normalisation) */
  float *y;               /* [rows, d]                                     */
  float *mean, *rstd;     /* [rows]: kept for the gradient; NULL forward-only */
  /* backward: */
  const float *dy; /* [rows, d]                                     */
  float *dx;       /* [rows, d] += ; may be NULL                    */
  float *dg, *db;  /* [d] += ; may be NULL                          */
  /* since 1.1 */
  bool rms;              /* b, mean and db are NULL then; y may alias x */
  int64_t group, stride; /* 0 = rows lie dense; forward only            */
} isc_layernorm;

/* out[i] = scale·wte[id[i]] + wpe[pos[i]]; ids outside the table were refused by the caller. */
typedef struct isc_embed {
  int64_t rows, d;
  const int32_t *id, *pos; /* [rows]; pos NULL = no position table  */
  const float *wte, *wpe;  /* [vocab, d], [n_ctx, d]                */
  float *out;              /* [rows, d]                             */
  int64_t vocab, n_ctx;
  /* backward: */
  const float *dout;  /* [rows, d]                             */
  float *dwte, *dwpe; /* += ; may be NULL                      */
  /* since 1.1 */
  isc_dtype wte_dtype; /* of wte; forward only unless f32       */
  float scale;         /* 0 = 1                                 */
} isc_embed;

/* Causal attention: query t of a sequence sees keys 0 … past + t, or the last `window` of them.
 * out = softmax(cap(scale · q kᵀ)) v per head, cap(s) = soft_cap·tanh(s/soft_cap); head h lies at column h·d_head (GQA:
 * kv head h·n_kv_head/n_head). */
typedef struct isc_attention {
  int64_t batch, q_len, past, n_head, n_kv_head, d_head;
  float scale;
  const float *q;     /* [batch, q_len, n_head, d_head], strides below      */
  const float *k, *v; /* [batch, past + q_len, n_kv_head, d_head]           */
  float *out;         /* [batch, q_len, n_head, d_head]                     */
  int64_t q_batch, q_row, kv_batch, kv_row, out_batch, out_row; /* in floats       */
  float *lse; /* [batch, n_head, q_len] log-sum-exp; NULL forward-only */
  /* backward (past = 0): */
  const float *dout;   /* strides of out                                     */
  float *dq, *dk, *dv; /* strides of q and of k, v; overwritten              */
  /* since 1.1 */
  float soft_cap; /* 0 = none                                           */
  int64_t window; /* 0 = all                                            */
  isc_dtype
      product; /* ISC_BF16: a backend may round q, k, v, probabilities and dout to bf16 where it multiplies them */
} isc_attention;

/* Rotary position embedding of the first `heads` heads of each row, the rest of the row copied (nothing to do when y is x).
 * With c = cos[pos[i], j], s = sin[pos[i], j] (s → −s if inverse, which is the gradient), j < d_rot/2, per head:
 * y[j] = x[j]·c − x[j + d_rot/2]·s, y[j + d_rot/2] = x[j + d_rot/2]·c + x[j]·s; columns from d_rot on stay. Since 1.1. */
typedef struct isc_rotary {
  int64_t rows, width; /* of x and y                                        */
  int64_t heads, d_head, d_rot;
  const float *x;         /* [rows, width]; head h at column h·d_head        */
  float *y;               /* [rows, width]; may alias x                      */
  const int32_t *pos;     /* [rows]                                          */
  const float *cos, *sin; /* [positions, d_rot/2]                            */
  bool inverse;
} isc_rotary;

/* y = act(x_gate) · x_up, x = [x_gate | x_up] by columns (SwiGLU, GEGLU). Since 1.1. */
typedef struct isc_gate {
  int64_t rows, d;
  isc_act act;
  const float *x; /* [rows, 2·d]              */
  float *y;       /* [rows, d]                */
  /* backward: */
  const float *dy; /* [rows, d]                */
  float *dx;       /* [rows, 2·d] overwritten  */
} isc_gate;

/* JumpReLU (Rajamanoharan et al. 2024): y = x·[x > θ], NaN stays NaN; l0 = the number of x > θ in a row. The gradient to θ is
 * their straight-through estimate: with K = [|x − θ| < ε/2], the difference rounded to f32,
 * dx = dy·[x > θ], dθ += −Σ_rows K·(θ·dy + dl0)/ε. Since 1.1. */
typedef struct isc_jumprelu {
  int64_t rows, d;
  const float *x;     /* [rows, d]            */
  const float *theta; /* [d], > 0             */
  float *y;           /* [rows, d]; may alias x */
  float *l0;          /* [rows] or NULL       */
  /* backward: */
  float width;      /* ε > 0                                                 */
  const float *dy;  /* [rows, d], or NULL = 0 (then dx is NULL)              */
  const float *dl0; /* [rows], or NULL = 0                                   */
  float *dx;        /* [rows, d] overwritten; may alias dy; NULL = not asked */
  float *dtheta;    /* [d] += ; NULL = not asked                             */
} isc_jumprelu;

/* The sums that distances of pairs are made of, in double: row a[i] with row b[i / group], as samples of one condition have
 * one activation. With â = a/‖a‖ and b̂ = b/‖b‖, half of chord is 1 − cos, and says it where 1 − dot/(‖a‖·‖b‖) is rounding alone.
 * Tolerance: 1e-12 in place of 4e-6, and of chord 1e-12 · Σ |â − b̂|·(|â| + |b̂|). Since 1.1. */
typedef struct isc_distances {
  int64_t n, dim, group; /* group ≥ 1                            */
  const float *a;        /* [n, dim]                             */
  const float *b;        /* [n / group, rounded up; dim]         */
  /* Each [n], or NULL = not asked: */
  double *dot, *aa, *bb; /* Σ a·b, Σ a², Σ b²                    */
  double *apart;         /* Σ (a − b)²                           */
  double *chord;         /* Σ (â − b̂)²; 0 where ‖a‖ or ‖b‖ is 0  */
} isc_distances;

/* Next-token loss over a vocabulary without keeping the logits: logits = h wᵀ,
 * logp[i] = log softmax(logits[i])[target[i]] (0 where target[i] < 0),
 * and, when dh is given, the gradient of L = −Σ weight[i]·logp[i] in the same pass. */
typedef struct isc_xent {
  int64_t rows, d, vocab;
  const float *h;        /* [rows, d]                        */
  const float *w;        /* [vocab, d]                       */
  const int32_t *target; /* [rows]; < 0 = no loss here       */
  const float *weight;   /* [rows] or NULL = all 1           */
  float *logp;           /* [rows]                           */
  float *dh;             /* [rows, d] overwritten, or NULL   */
  float *dw;             /* [vocab, d] += , or NULL          */
  isc_dtype
      product; /* since 1.1; as in isc_gemm, for all three products; weights and sums stay f32 */
  const int32_t *host_target; /* since 1.1; host: what target holds, or NULL */
  bool dependent_rows;        /* since 1.1; as in isc_gemm, for logp too                        */
  const uint16_t *w_bf16; /* since 1.1; w rounded to bf16, for products of bf16 to read; or NULL */
} isc_xent;

/* Control layer, collapsed scores (paper 3.1; FACTS 2):
 * s[b,t,m] = scale·(⟨hn[b,t], u[b,m]⟩ + c[b,m]); ω = tanh s; out[b,t] = x[b,t] + Σ_m ω[b,t,m] v[b,m]. */
typedef struct isc_control {
  int64_t batch, len, heads, d;
  float scale;
  const float *x, *hn; /* [batch, len, d]                                   */
  const float *u, *v;  /* [batch, heads, d]                                 */
  const float *c;      /* [batch, heads]                                    */
  float *out;          /* [batch, len, d]; may alias x                      */
  float *omega;        /* [batch, len, heads]: kept for the gradient; never NULL */
  /* backward (the gradient to x is dout itself and is the caller's): */
  const float *dout;   /* [batch, len, d]                                   */
  float *dhn;          /* [batch, len, d] += ; may be NULL                  */
  float *du, *dv, *dc; /* [batch, heads, d], same, [batch, heads]; overwritten */
  /* since 1.1 */
  bool dependent_rows; /* as in isc_gemm                                   */
} isc_control;

/* One AdamW step (decoupled decay, PyTorch's order of operations) on one parameter:
 * g ← g·grad_scale; p ← p(1 − lr·wd); m, v updated; p ← p − lr·m̂/(sqrt(v̂) + eps), m̂ = m/(1 − β1^step). */
typedef struct isc_adamw {
  int64_t n;
  float *p, *m, *v; /* [n] */
  const float *g;   /* [n] */
  double lr, beta1, beta2, eps, weight_decay, grad_scale;
  int64_t step; /* 1 at the first update of this parameter */
  /* since 1.1; only where the backend has `clip`: */
  const double
      *scale; /* on the device, in place of grad_scale; NaN there: nothing changes; or NULL */
} isc_adamw;

/* The norm over the gradients of `count` parameters, and the factor that clips it, without the host's knowing either:
 * out[i] = Σ x[i]²; out[count] = norm = sqrt(Σ out[i]), in the order of i; out[count + 1] = NaN if the norm is not finite, else
 * min(1, most/(norm + 1e-6)), or 1 where `most` or the norm is 0. Since 1.1. */
typedef struct isc_clip {
  int64_t count;
  const float *const *x; /* [count], host, of [n[i]]  */
  const int64_t *n;      /* [count], host             */
  double most;           /* ≥ 0; 0 = no clipping      */
  double *out;           /* [count + 2]               */
} isc_clip;

/* Draw token id[i] ~ softmax(logits[i]/temperature) by inversion of its cumulative sum (f64, in id order) at the
 * uniform of Philox (seed, ISC_RNG_SAMPLE, index[i]) number `draw` (0, 1, …, see isc_sample_uniform);
 * temperature 0 = arg max (lowest id among ties). logp[i] += log of the drawn token's probability. */
typedef struct isc_sample {
  int64_t rows, vocab;
  const float *logits; /* [rows, vocab]      */
  double temperature;
  uint64_t seed;
  const uint64_t *index; /* [rows], host       */
  uint32_t draw;
  int32_t *id;  /* [rows], host       */
  double *logp; /* [rows], host, +=   */
  /* since 1.1; of sample_there, which leaves id and logp alone and overwrites: */
  int32_t *device_id;  /* [rows] a token; 0 where the logits hold NaN or infinity */
  double *device_logp; /* [rows] NaN there, and 0 at temperature 0                */
} isc_sample;
/* The uniform in (0, 1) that `isc_sample` uses; every backend gives the same. */
ISC_API double isc_sample_uniform(uint64_t seed, uint64_t index, uint32_t draw);

/* Noisy activations. Direction: g ~ N(0, I) from Philox (seed, ISC_RNG_NOISE_DIRECTION, index[i]), made a unit vector
 * (radial) or the unit vector of its part orthogonal to z (angular).
 *   radial:  out = z + radius·g/‖g‖        angular: out = rho·‖z‖·(cos·û + sin·v), û = z/‖z‖
 * ‖z‖ = 0 in the angular case, and dim = 1, leave out = z·rho. */
typedef struct isc_noise {
  int64_t rows, dim;
  bool angular;
  const float *z;               /* [rows, dim]                      */
  float *out;                   /* [rows, dim]; may alias z         */
  const float *radius;          /* [rows], host; radial             */
  const float *rho, *cos, *sin; /* [rows], host; angular      */
  uint64_t seed;
  const uint64_t *index; /* [rows], host                     */
} isc_noise;

#ifdef __cplusplus
}
#endif
#endif
