/* SPDX-License-Identifier: Apache-2.0
 *
 * Differentiable tensor operations: the coarse ones of operations.h with shape checks and gradients.
 *
 * `*out` is a new tensor of the step. A shape that does not fit is ISC_E_SHAPE with both shapes in the message.
 * The mathematics and tolerances are stated in operations.h. An operation works on a step, which one thread at a time may use.
 */
#ifndef ISC_OPS_H
#define ISC_OPS_H

#include <inversescope/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a weight matrix lies in memory. */
typedef enum isc_weight_layout {
  ISC_IN_OUT, /* w [in, out]: GPT-2's Conv1D   */
  ISC_OUT_IN  /* w [out, in]: torch.nn.Linear  */
} isc_weight_layout;

/* act(x w + b): x [rows, in], b [out] or NULL → [rows, out]. x of more dims: its last dim is `in`, the
 * result keeps the leading ones. */
ISC_API isc_status isc_op_linear(isc_step *s, isc_tensor *x, isc_tensor *w,
                                 isc_weight_layout layout, isc_tensor *b, isc_act act,
                                 isc_tensor **out);
/* a + b and a · b by elements, same shape. */
ISC_API isc_status isc_op_add(isc_step *s, isc_tensor *a, isc_tensor *b, isc_tensor **out);
ISC_API isc_status isc_op_mul(isc_step *s, isc_tensor *a, isc_tensor *b, isc_tensor **out);
/* act(x) by elements. */
ISC_API isc_status isc_op_act(isc_step *s, isc_act act, isc_tensor *x, isc_tensor **out);
/* Layer norm over the last dim of x, d = shape[ndim − 1]; g, b [d] or both NULL. */
ISC_API isc_status isc_op_layernorm(isc_step *s, isc_tensor *x, isc_tensor *g, isc_tensor *b,
                                    double eps, isc_tensor **out);
/* id, pos: host [rows]; → [rows, d]. Ids outside the table → ISC_E_SHAPE naming the id. pos/wpe may be NULL. */
ISC_API isc_status isc_op_embed(isc_step *s, isc_tensor *wte, isc_tensor *wpe, const int32_t *id,
                                const int32_t *pos, int64_t rows, isc_tensor **out);
/* Causal self-attention on a fused qkv [batch, len, 3, n_head, d_head] given as [batch, len, 3·d];
 * → [batch, len, d]: the heads' outputs before W_O. */
ISC_API isc_status isc_op_attention(isc_step *s, isc_tensor *qkv, int64_t batch, int64_t len,
                                    int64_t n_head, float scale, isc_tensor **out);
/* The same for `len` new positions after `past` cached ones (no gradient): appends k and v to the caches
 * [n_ctx, batch, d] at `past` and attends over them. Rationale for the order: what a position adds lies together. */
ISC_API isc_status isc_op_attention_cached(isc_step *s, isc_tensor *qkv, int64_t batch, int64_t len,
                                           int64_t n_head, float scale, isc_tensor *k_cache,
                                           isc_tensor *v_cache, int64_t past, isc_tensor **out);
/* loss [1] = −Σ weight[i] logp[i]; h [rows, d], w [vocab, d]; target, weight: host [rows] (weight NULL = 1/number of targets);
 * `logp` host [rows] or NULL. Must be the last op before isc_tape_backward (its gradient is made here). */
ISC_API isc_status isc_op_xent(isc_step *s, isc_tensor *h, isc_tensor *w, const int32_t *target,
                               const float *weight, float *logp, isc_tensor **loss);
/* x, hn [batch, len, d]; u, v [batch, heads, d]; c [batch, heads] → [batch, len, d]. `omega` (may be NULL) gets the
 * scores' tensor [batch, len, heads] for diagnostics. */
ISC_API isc_status isc_op_control(isc_step *s, isc_tensor *x, isc_tensor *hn, isc_tensor *u,
                                  isc_tensor *c, isc_tensor *v, float scale, isc_tensor **out,
                                  isc_tensor **omega);
/* Per head m: out[b, m, :] = k[b, m, :] · w[m]; k [batch, heads, dk], w [heads, dk, d] → [batch, heads, d]. */
ISC_API isc_status isc_op_headwise(isc_step *s, isc_tensor *k, isc_tensor *w, isc_tensor **out);
/* c[b, m] = ⟨k[b, m, :], q[m, :]⟩; k [batch, heads, dk], q [heads, dk] → [batch, heads]. */
ISC_API isc_status isc_op_headdot(isc_step *s, isc_tensor *k, isc_tensor *q, isc_tensor **out);
/* Rows [start[g], start[g+1]) of x go through w[g], b[g]: x [rows, in], w[g] [in, out]; → [rows, out].
 * `n` groups; `start` host [n + 1]. Only the groups present are touched. */
ISC_API isc_status isc_op_grouped_linear(isc_step *s, isc_tensor *x, const int64_t *start,
                                         int64_t n, isc_tensor *const *w, isc_tensor *const *b,
                                         isc_tensor **out);
/* alpha · x. */
ISC_API isc_status isc_op_scale(isc_step *s, isc_tensor *x, double alpha, isc_tensor **out);
/* RMS norm over the last dim of x; g [d]. */
ISC_API isc_status isc_op_rmsnorm(isc_step *s, isc_tensor *x, isc_tensor *g, double eps,
                                  isc_tensor **out);
/* As isc_op_embed, with scale · wte[id]; wte may be bf16 (no gradient). */
ISC_API isc_status isc_op_embed_scaled(isc_step *s, isc_tensor *wte, isc_tensor *wpe, double scale,
                                       const int32_t *id, const int32_t *pos, int64_t rows,
                                       isc_tensor **out);
/* act(x_gate) · x_up; x [rows, 2·d] = [x_gate | x_up] → [rows, d]. */
ISC_API isc_status isc_op_gate(isc_step *s, isc_act act, isc_tensor *x, isc_tensor **out);
/* x·[x > θ] for x [.., d] and thresholds theta [d] → the shape of x; `l0` (may be NULL) gets the number of x > θ of each row,
 * a tensor of x's leading dims ([1] where x has one dim). Gradients to x, and to theta by the straight-through estimate of
 * width > 0, of both results (isc_jumprelu in operations.h). ISC_E_UNSUPPORTED on a backend that lacks it. Since 1.1. */
ISC_API isc_status isc_op_jumprelu(isc_step *s, isc_tensor *x, isc_tensor *theta, double width,
                                   isc_tensor **out, isc_tensor **l0);

/* Which columns of a fused row are what: [queries n_head | keys n_kv_head | values n_kv_head] heads of width d_head; and how
 * attention goes over them. Zero means none for soft_cap and window (isc_attention in operations.h). */
typedef struct isc_heads {
  size_t size; /* sizeof(isc_heads) */
  int64_t batch, len, n_head, n_kv_head, d_head;
  float scale, soft_cap;
  int64_t window;
} isc_heads;
/* RMS norm of each query head by q_gain and each key head by k_gain ([d_head] both). No gradient: ISC_E_USAGE under a tape
 * that wants one. */
ISC_API isc_status isc_op_norm_heads(isc_step *s, isc_tensor *qkv, const isc_heads *h,
                                     isc_tensor *q_gain, isc_tensor *k_gain, double eps,
                                     isc_tensor **out);
/* Rotary positions past + t of queries and keys, by tables cos and sin [positions, d_rot/2]. */
ISC_API isc_status isc_op_rotary(isc_step *s, isc_tensor *qkv, const isc_heads *h, int64_t past,
                                 isc_tensor *cos, isc_tensor *sin, isc_tensor **out);
/* Causal self-attention on qkv [batch, len, (n_head + 2·n_kv_head)·d_head] → [batch, len, n_head·d_head]. With caches
 * [n_ctx, batch, n_kv_head·d_head] (both or neither): as isc_op_attention_cached. */
ISC_API isc_status isc_op_attend(isc_step *s, isc_tensor *qkv, const isc_heads *h,
                                 isc_tensor *k_cache, isc_tensor *v_cache, int64_t past,
                                 isc_tensor **out);
/* The fused rows of qkv with those of `n` slots before each sequence's: k and v [rows, n, n_kv_head·d_head] are their keys and
 * values, their queries are 0. The h->batch sequences are cut evenly among `rows`, in order. → [batch, n + len, width of a
 * fused row]. Since 1.1. */
ISC_API isc_status isc_op_prepend(isc_step *s, isc_tensor *qkv, const isc_heads *h, isc_tensor *k,
                                  isc_tensor *v, isc_tensor **out);
/* out[i] = x[row[i]]; x [rows, d]; row host [n]. */
ISC_API isc_status isc_op_gather(isc_step *s, isc_tensor *x, const int64_t *row, int64_t n,
                                 isc_tensor **out);

#ifdef __cplusplus
}
#endif
#endif
