/* SPDX-License-Identifier: Apache-2.0
 *
 * Causal attention and its gradient.
 *
 * Keys go by in tiles of 32 that begin at key 0, and the softmax is kept as a running maximum, sum and output. A score is one
 * sum over d_head in sequence, lanes being keys; an output is one sum over the keys in sequence, lanes being columns. So a
 * query's bits depend neither on the queries beside it nor on whether its keys came from a cache. The gradient makes the
 * probabilities again from the log-sum-exp: one kernel walks the keys of each query, the other the queries of each key.
 */
#include "device.h"

enum {
  TILE = ATTENTION_KEYS, /* keys of a tile, or queries in the kernel that walks queries */
  WARPS = ATTENTION_WARPS,
  EACH = ATTENTION_EACH, /* queries of a warp, or keys there */
  ROWS = WARPS * EACH,
  THREADS = WARPS * WARP
};

/* Rows [first, first + n) of a head's columns into shared memory, rows LD apart, zeros where there is nothing. */
template <int D>
DEVICE void load_rows(float *to, int ld, const float *x, int64_t row, int64_t first, int64_t rows,
                      int n, int d) {
  for (int i = threadIdx.x; i < n * D; i += THREADS) {
    const int r = i / D, c = i % D;
    to[r * ld + c] = first + r < rows && c < d ? x[(first + r) * row + c] : 0.0f;
  }
}

/* cap·tanh(s/cap), and its slope */
DEVICE float capped(const attention_args &a, float s, float *slope) {
  *slope = 1.0f;
  if (a.cap == 0.0f) return s;
  const float t = tanhf(s / a.cap);
  *slope = 1.0f - t * t;
  return a.cap * t;
}

/* Does query t, counted with the past, see key j? */
DEVICE bool sees(const attention_args &a, int64_t t, int64_t j) {
  return j <= t && (a.window == 0 || j > t - a.window);
}

/* Σ_c x[c] y[c] of EACH rows of x with the lane's row of y. */
template <int D> DEVICE void dots(const float *x, const float *y, float (&s)[EACH]) {
  for (int e = 0; e < EACH; e++)
    s[e] = 0.0f;
  for (int c = 0; c < D; c += 4) {
    const float y0 = y[c], y1 = y[c + 1], y2 = y[c + 2], y3 = y[c + 3];
    UNROLL for (int e = 0; e < EACH; e++) {
      const float4 q = *reinterpret_cast<const float4 *>(x + e * D + c);
      s[e] = FMA(q.w, y3, FMA(q.z, y2, FMA(q.y, y1, FMA(q.x, y0, s[e]))));
    }
  }
}

/* sum[e][…] += Σ_j w_j[e] x[j], the weight of lane j for row e; a lane has every 32nd column. `room` is the warp's own. */
template <int D>
DEVICE void add_rows(float (&sum)[EACH][D / WARP], const float (&w)[EACH], const float *x, int ld,
                     float (*room)[EACH]) {
  const int lane = threadIdx.x % WARP;
  *reinterpret_cast<float4 *>(room[lane]) = {w[0], w[1], w[2], w[3]};
  __syncwarp();
  for (int j = 0; j < TILE; j++) {
    const float4 p = *reinterpret_cast<const float4 *>(room[j]);
    UNROLL for (int c = 0; c < D / WARP; c++) {
      const float y = x[j * ld + c * WARP + lane];
      sum[0][c] = FMA(p.x, y, sum[0][c]);
      sum[1][c] = FMA(p.y, y, sum[1][c]);
      sum[2][c] = FMA(p.z, y, sum[2][c]);
      sum[3][c] = FMA(p.w, y, sum[3][c]);
    }
  }
  __syncwarp();
}

/* What a block works on: ROWS rows from `first` of a head of a sequence. */
struct block_place {
  int64_t b, h, first;
};
DEVICE block_place place_of(int64_t heads, int64_t rows) {
  const int64_t tiles = (rows + ROWS - 1) / ROWS, x = blockIdx.x;
  block_place p;
  p.first = x % tiles * ROWS;
  p.h = x / tiles % heads;
  p.b = x / tiles / heads;
  return p;
}

/* The first tile that a query at `t` (past counted) may see. */
DEVICE int64_t first_tile(const attention_args &a, int64_t t) {
  return a.window == 0 || t < a.window ? 0 : (t - a.window + 1) / TILE * TILE;
}

/* Shared memory: queries [ROWS, D], keys [TILE, D + 1], values [TILE, D]. */
template <int D> DEVICE void attention(const attention_args &a) {
  DYNAMIC(float, q);
  SHARED(float, room, [WARPS][TILE][EACH]);
  float *k = q + ROWS * D, *v = k + TILE * (D + 4);
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, d = (int)a.d_head;
  const block_place p = place_of(a.n_head, a.q_len);
  const int64_t kv = p.b * a.kv_batch + p.h * a.n_kv_head / a.n_head * d;
  const int64_t last = a.past + least(p.first + ROWS, a.q_len) - 1; /* key that the block sees */
  load_rows<D>(q, D, a.q + p.b * a.q_batch + p.h * d, a.q_row, p.first, a.q_len, ROWS, d);
  float most[EACH], total[EACH], out[EACH][D / WARP] = {};
  for (int e = 0; e < EACH; e++) {
    most[e] = -INF;
    total[e] = 0.0f;
  }
  for (int64_t j0 = first_tile(a, a.past + p.first); j0 <= last; j0 += TILE) {
    __syncthreads();
    load_rows<D>(k, D + 1, a.k + kv, a.kv_row, j0, last + 1, TILE, d);
    load_rows<D>(v, D, a.v + kv, a.kv_row, j0, last + 1, TILE, d);
    __syncthreads();
    if (p.first + warp * EACH >= a.q_len) continue; /* this warp has no query */
    float s[EACH], unused;
    dots<D>(q + warp * EACH * D, k + lane * (D + 1), s);
    for (int e = 0; e < EACH; e++) {
      const int64_t t = a.past + p.first + warp * EACH + e;
      s[e] = sees(a, t, j0 + lane) ? capped(a, s[e] * a.scale, &unused) : -INF;
      const float before = most[e], now = fmaxf(before, warp_max(s[e]));
      if (now == -INF) { /* none of this tile is seen, nor of those before */
        s[e] = 0.0f;
        continue;
      }
      s[e] = s[e] == -INF ? 0.0f : expf(s[e] - now);
      const float shrink = before == -INF ? 0.0f : expf(before - now);
      total[e] = total[e] * shrink + warp_sum(s[e]);
      most[e] = now;
      for (int c = 0; c < D / WARP; c++)
        out[e][c] *= shrink;
    }
    add_rows<D>(out, s, v, D, room[warp]);
  }
  for (int e = 0; e < EACH; e++) {
    const int64_t t = p.first + warp * EACH + e;
    if (t >= a.q_len) continue;
    float *to = a.out + p.b * a.out_batch + t * a.out_row + p.h * d;
    for (int c = 0; c < D / WARP; c++)
      if (c * WARP + lane < d) to[c * WARP + lane] = out[e][c] / total[e];
    if (a.lse && lane == 0) a.lse[(p.b * a.n_head + p.h) * a.q_len + t] = most[e] + logf(total[e]);
  }
}

/* ---- gradient: P = exp(S − lse), dP = dO Vᵀ, δ = Σ dO·O: dS = P (dP − δ)·scale·cap', dQ = dS K, dK = dSᵀ Q, dV = Pᵀ dO */

KERNEL(attention_delta, 128) {
  const int64_t i = global_thread() / WARP, lane = threadIdx.x % WARP;
  if (i >= a.batch * a.n_head * a.q_len) return;
  const int64_t t = i % a.q_len, h = i / a.q_len % a.n_head, b = i / a.q_len / a.n_head;
  const int64_t at = b * a.out_batch + t * a.out_row + h * a.d_head;
  float s = 0.0f;
  for (int64_t c = lane; c < a.d_head; c += WARP)
    s = FMA(a.dout[at + c], a.out[at + c], s);
  s = warp_sum(s);
  if (lane == 0) a.delta[i] = s;
}

/* A query and a key: score s before the scale and dp become the probability and dS. */
DEVICE void slope_of(const attention_args &a, bool seen, float lse, float delta, float *s,
                     float *dp) {
  float slope;
  const float x = capped(a, *s * a.scale, &slope);
  *s = seen ? expf(x - lse) : 0.0f;
  *dp = seen ? *s * (*dp - delta) * slope * a.scale : 0.0f;
}

/* Shared memory: queries and dO [ROWS, D], keys and values [TILE, D + 1]. */
template <int D> DEVICE void attention_dq(const attention_args &a) {
  DYNAMIC(float, q);
  SHARED(float, room, [WARPS][TILE][EACH]);
  float *dout = q + ROWS * D, *k = dout + ROWS * D, *v = k + TILE * (D + 1);
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, d = (int)a.d_head;
  const block_place p = place_of(a.n_head, a.q_len);
  const int64_t kv = p.b * a.kv_batch + p.h * a.n_kv_head / a.n_head * d;
  const int64_t last = least(p.first + ROWS, a.q_len) - 1;
  load_rows<D>(q, D, a.q + p.b * a.q_batch + p.h * d, a.q_row, p.first, a.q_len, ROWS, d);
  load_rows<D>(dout, D, a.dout + p.b * a.out_batch + p.h * d, a.out_row, p.first, a.q_len, ROWS, d);
  float dq[EACH][D / WARP] = {};
  for (int64_t j0 = first_tile(a, p.first); j0 <= last; j0 += TILE) {
    __syncthreads();
    load_rows<D>(k, D + 1, a.k + kv, a.kv_row, j0, last + 1, TILE, d);
    load_rows<D>(v, D + 1, a.v + kv, a.kv_row, j0, last + 1, TILE, d);
    __syncthreads();
    if (p.first + warp * EACH >= a.q_len) continue;
    float s[EACH], dp[EACH];
    dots<D>(q + warp * EACH * D, k + lane * (D + 1), s);
    dots<D>(dout + warp * EACH * D, v + lane * (D + 1), dp);
    for (int e = 0; e < EACH; e++) {
      const int64_t t = p.first + warp * EACH + e;
      const bool seen = t < a.q_len && sees(a, t, j0 + lane);
      const int64_t at = (p.b * a.n_head + p.h) * a.q_len + t;
      slope_of(a, seen, seen ? a.lse[at] : 0.0f, seen ? a.delta[at] : 0.0f, &s[e], &dp[e]);
    }
    add_rows<D>(dq, dp, k, D + 1, room[warp]);
  }
  for (int e = 0; e < EACH; e++) {
    const int64_t t = p.first + warp * EACH + e;
    float *to = a.dq + p.b * a.q_batch + t * a.q_row + p.h * d;
    for (int c = 0; c < D / WARP; c++)
      if (t < a.q_len && c * WARP + lane < d) to[c * WARP + lane] = dq[e][c];
  }
}

/* The same with the parts of queries and keys exchanged; all heads that share the key head, in their order. */
template <int D> DEVICE void attention_dkv(const attention_args &a) {
  DYNAMIC(float, k);
  SHARED(float, room, [WARPS][TILE][EACH]);
  float *v = k + ROWS * D, *q = v + ROWS * D, *dout = q + TILE * (D + 1);
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, d = (int)a.d_head;
  const block_place p = place_of(a.n_kv_head, a.q_len);
  const int64_t kv = p.b * a.kv_batch + p.h * d, share = a.n_head / a.n_kv_head;
  load_rows<D>(k, D, a.k + kv, a.kv_row, p.first, a.q_len, ROWS, d);
  load_rows<D>(v, D, a.v + kv, a.kv_row, p.first, a.q_len, ROWS, d);
  const int64_t last = a.window == 0 ? a.q_len : least(a.q_len, p.first + ROWS - 1 + a.window);
  float dk[EACH][D / WARP] = {}, dv[EACH][D / WARP] = {};
  for (int64_t h = p.h * share; h < (p.h + 1) * share; h++)
    for (int64_t t0 = p.first / TILE * TILE; t0 < last; t0 += TILE) {
      __syncthreads();
      load_rows<D>(q, D + 1, a.q + p.b * a.q_batch + h * d, a.q_row, t0, a.q_len, TILE, d);
      load_rows<D>(dout, D + 1, a.dout + p.b * a.out_batch + h * d, a.out_row, t0, a.q_len, TILE,
                   d);
      __syncthreads();
      if (p.first + warp * EACH >= a.q_len) continue; /* this warp has no key */
      const int64_t t = t0 + lane, at = (p.b * a.n_head + h) * a.q_len + t;
      const float lse = t < a.q_len ? a.lse[at] : 0.0f, delta = t < a.q_len ? a.delta[at] : 0.0f;
      float s[EACH], dp[EACH];
      dots<D>(k + warp * EACH * D, q + lane * (D + 1), s);
      dots<D>(v + warp * EACH * D, dout + lane * (D + 1), dp);
      for (int e = 0; e < EACH; e++) {
        const bool seen = t < a.q_len && sees(a, t, p.first + warp * EACH + e);
        slope_of(a, seen, lse, delta, &s[e], &dp[e]);
      }
      add_rows<D>(dv, s, dout, D + 1, room[warp]);
      add_rows<D>(dk, dp, q, D + 1, room[warp]);
    }
  for (int e = 0; e < EACH; e++) {
    const int64_t j = p.first + warp * EACH + e, to = kv + j * a.kv_row;
    for (int c = 0; c < D / WARP; c++)
      if (j < a.q_len && c * WARP + lane < d) {
        a.dk[to + c * WARP + lane] = dk[e][c];
        a.dv[to + c * WARP + lane] = dv[e][c];
      }
  }
}

#define KERNELS_OF(D)                                                                              \
  KERNEL(attention_##D, THREADS) {                                                                 \
    attention<D>(a);                                                                               \
  }                                                                                                \
  KERNEL(attention_dq_##D, THREADS) {                                                              \
    attention_dq<D>(a);                                                                            \
  }                                                                                                \
  KERNEL(attention_dkv_##D, THREADS) {                                                             \
    attention_dkv<D>(a);                                                                           \
  }
KERNELS_OF(32)
KERNELS_OF(64)
KERNELS_OF(128)
KERNELS_OF(256)
