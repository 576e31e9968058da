/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on each element by itself: sums, products, activations, gates, rotations and AdamW.
 */
#include "device.h"

enum { EACH_THREADS = 256 };

#define EACH for (int64_t i = global_thread(); i < a.n; i += grid_threads())

KERNEL(add, EACH_THREADS) {
  EACH a.out[i] = a.a[i] + a.b[i];
}

KERNEL(mul, EACH_THREADS) {
  EACH a.out[i] = a.a[i] * a.b[i];
}

KERNEL(axpy, EACH_THREADS) {
  EACH a.out[i] = FMA(a.alpha, a.a[i], a.out[i]);
}

KERNEL(act, EACH_THREADS) {
  EACH a.out[i] = act_of(a.act, a.a[i]);
}

KERNEL(act_grad, EACH_THREADS) {
  EACH a.out[i] = a.act == ACT_NONE ? a.b[i] : a.b[i] * act_slope(a.act, a.a[i]);
}

KERNEL(gate, EACH_THREADS) {
  for (int64_t i = global_thread(); i < a.rows * a.d; i += grid_threads()) {
    const float *x = a.x + i / a.d * 2 * a.d + i % a.d;
    a.out[i] = act_of(a.act, x[0]) * x[a.d];
  }
}

KERNEL(gate_grad, EACH_THREADS) {
  for (int64_t i = global_thread(); i < a.rows * a.d; i += grid_threads()) {
    const int64_t at = i / a.d * 2 * a.d + i % a.d;
    const float gate = a.x[at], up = a.x[at + a.d], dy = a.dy[i];
    a.out[at] = dy * up * act_slope(a.act, gate);
    a.out[at + a.d] = dy * act_of(a.act, gate);
  }
}

/* One thread for each pair of columns that turn together, and for each column that does not turn. */
KERNEL(rotary, EACH_THREADS) {
  const int64_t half = a.d_rot / 2, rest = a.d_head - a.d_rot;
  const int64_t pairs = a.heads * half, still = a.heads * rest;
  const int64_t tail = a.width - a.heads * a.d_head, each = pairs + still + tail;
  for (int64_t i = global_thread(); i < a.rows * each; i += grid_threads()) {
    const int64_t r = i / each, k = i % each;
    const float *x = a.x + r * a.width;
    float *y = a.y + r * a.width;
    if (k >= pairs) {
      const int64_t s = k - pairs;
      const int64_t at =
          s < still ? s / rest * a.d_head + a.d_rot + s % rest : a.heads * a.d_head + s - still;
      y[at] = x[at];
      continue;
    }
    const int64_t j = k % half, at = k / half * a.d_head + j, angle = a.pos[r] * half + j;
    const float c = a.cos[angle], s = a.sign * a.sin[angle], low = x[at], high = x[at + half];
    y[at] = FMA(low, c, -(high * s));
    y[at + half] = FMA(high, c, low * s);
  }
}

/* A block takes a piece of one parameter. */
KERNEL(adamw, ADAMW_THREADS) {
  const double given = a.scale ? *a.scale : 0.0;
  if (given != given) return;
  for (int64_t piece = blockIdx.x; piece < a.pieces; piece += gridDim.x) {
    int k = 0;
    while (k + 1 < a.count && piece >= a.tensor[k + 1].first)
      k++;
    const adamw_tensor &t = a.tensor[k];
    const int64_t begin = (piece - t.first) * ADAMW_PIECE, end = least(begin + ADAMW_PIECE, t.n);
    for (int64_t i = begin + threadIdx.x; i < end; i += ADAMW_THREADS) {
      const float g = t.g[i] * (a.scale ? (float)given : t.scale);
      const float m = FMA(t.take1, g - t.m[i], t.m[i]);
      const float v = FMA(t.take2 * g, g, t.keep2 * t.v[i]);
      const float denominator = sqrtf(v) / t.root2 + t.eps;
      t.m[i] = m;
      t.v[i] = v;
      t.p[i] = t.p[i] * t.decay - t.rate * (m / denominator);
    }
  }
}
