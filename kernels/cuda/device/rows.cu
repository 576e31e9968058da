/* SPDX-License-Identifier: Apache-2.0
 *
 * Normalisation, embedding, rows looked up, thresholds, distances, and sums over rows.
 *
 * A row is worked by one warp, or a wide one by one block, whichever its width says, so that its bits do not depend on the
 * other rows. Sums over rows run in chunks whose number follows from the shape, and the chunks' sums are added in order.
 */
#include "device.h"

enum { NORM_THREADS = 256, WIDE_WARPS = NORM_THREADS / WARP };

/* The sum over the WARPS warps that share a row. */
template <int WARPS, class T> DEVICE T row_sum(T x) {
  if (WARPS == 1) return warp_sum(x);
  SHARED(T, room, [WIDE_WARPS]);
  return block_sum<WIDE_WARPS>(x, room);
}

/* ---- layer and RMS normalisation: blocks of (32, 8) threads take 8 rows, or one where WARPS is 8 */

template <int WARPS> DEVICE void norm_rows(const norm_args &a) {
  const int64_t row = WARPS == 1 ? (int64_t)blockIdx.x * blockDim.y + threadIdx.y : blockIdx.x;
  const int lane = WARPS == 1 ? threadIdx.x : threadIdx.y * WARP + threadIdx.x;
  if (row >= a.rows) return;
  const int64_t at = row / a.group * a.stride + row % a.group * a.d;
  const float *x = a.x + at;
  float *y = a.y + at, mean = 0.0f, s = 0.0f;
  if (!a.rms) {
    for (int64_t i = lane; i < a.d; i += WARP * WARPS)
      s += x[i];
    mean = row_sum<WARPS>(s) / (float)a.d;
    s = 0.0f;
  }
  for (int64_t i = lane; i < a.d; i += WARP * WARPS)
    s = FMA(x[i] - mean, x[i] - mean, s);
  const double var = (double)row_sum<WARPS>(s) / (double)a.d;
  const float rstd = (float)(1.0 / sqrt(var + a.eps));
  for (int64_t i = lane; i < a.d; i += WARP * WARPS) {
    float t = (x[i] - mean) * rstd;
    if (a.g) t = t * a.g[i];
    if (a.b) t = t + a.b[i];
    y[i] = t;
  }
  if (lane == 0 && a.mean) a.mean[row] = mean;
  if (lane == 0 && a.rstd) a.rstd[row] = rstd;
}

KERNEL(norm, NORM_THREADS) {
  norm_rows<1>(a);
}
KERNEL(norm_wide, NORM_THREADS) {
  norm_rows<WIDE_WARPS>(a);
}

/* dx += rstd (t − mean(t) − x̂ mean(t x̂)), t = dy·g; without the middle term for RMS. */
template <int WARPS> DEVICE void norm_grad_rows(const norm_grad_args &a) {
  const int64_t row = WARPS == 1 ? (int64_t)blockIdx.x * blockDim.y + threadIdx.y : blockIdx.x;
  const int lane = WARPS == 1 ? threadIdx.x : threadIdx.y * WARP + threadIdx.x;
  if (row >= a.rows) return;
  const float *x = a.x + row * a.d, *dy = a.dy + row * a.d;
  float *dx = a.dx + row * a.d, s0 = 0.0f, s1 = 0.0f;
  const float mean = a.mean ? a.mean[row] : 0.0f, rstd = a.rstd[row];
  for (int64_t i = lane; i < a.d; i += WARP * WARPS) {
    const float t = a.g ? dy[i] * a.g[i] : dy[i];
    s0 += t;
    s1 = FMA(t, (x[i] - mean) * rstd, s1);
  }
  const float m0 = a.mean ? row_sum<WARPS>(s0) / (float)a.d : 0.0f;
  const float m1 = row_sum<WARPS>(s1) / (float)a.d;
  for (int64_t i = lane; i < a.d; i += WARP * WARPS) {
    const float t = a.g ? dy[i] * a.g[i] : dy[i];
    dx[i] += rstd * (t - m0 - (x[i] - mean) * rstd * m1);
  }
}

KERNEL(norm_grad, NORM_THREADS) {
  norm_grad_rows<1>(a);
}
KERNEL(norm_grad_wide, NORM_THREADS) {
  norm_grad_rows<WIDE_WARPS>(a);
}

/* ---- sums over rows: a block of (32, 8) threads takes 32 columns of a chunk, each lane every 8th row */

/* Adds the lanes' sums in their order and gives the result to lane 0. */
DEVICE float lanes_sum(float s, float (*room)[SUM_COLUMNS]) {
  room[threadIdx.y][threadIdx.x] = s;
  __syncthreads();
  float t = room[0][threadIdx.x];
  for (int y = 1; y < SUM_LANES; y++)
    t += room[y][threadIdx.x];
  __syncthreads();
  return t;
}

KERNEL(col_sum, SUM_COLUMNS *SUM_LANES) {
  SHARED(float, room, [SUM_LANES][SUM_COLUMNS]);
  const int64_t col = (int64_t)blockIdx.x * SUM_COLUMNS + threadIdx.x;
  const int64_t begin = blockIdx.y * a.chunk, end = least(begin + a.chunk, a.rows);
  float s = 0.0f;
  for (int64_t r = begin + threadIdx.y; r < end && col < a.n; r += SUM_LANES)
    s += a.x[r * a.n + col];
  s = lanes_sum(s, room);
  if (threadIdx.y == 0 && col < a.n) a.part[blockIdx.y * a.n + col] = s;
}

KERNEL(norm_sum, SUM_COLUMNS *SUM_LANES) {
  SHARED(float, room, [SUM_LANES][SUM_COLUMNS]);
  const int64_t col = (int64_t)blockIdx.x * SUM_COLUMNS + threadIdx.x;
  const int64_t begin = blockIdx.y * a.chunk, end = least(begin + a.chunk, a.rows);
  float sg = 0.0f, sb = 0.0f;
  for (int64_t r = begin + threadIdx.y; r < end && col < a.d; r += SUM_LANES) {
    const float dy = a.dy[r * a.d + col], mean = a.mean ? a.mean[r] : 0.0f;
    sg = FMA(dy, (a.x[r * a.d + col] - mean) * a.rstd[r], sg);
    sb += dy;
  }
  sg = lanes_sum(sg, room);
  sb = lanes_sum(sb, room);
  if (threadIdx.y != 0 || col >= a.d) return;
  float *part = a.part + blockIdx.y * 2 * a.d + col;
  part[0] = sg;
  part[a.d] = sb;
}

KERNEL(fold, 256) {
  for (int64_t i = global_thread(); i < a.n; i += grid_threads()) {
    float t = a.out[i];
    for (int64_t k = 0; k < a.chunks; k++)
      t += a.part[k * a.stride + i];
    a.out[i] = t;
  }
}

/* ---- JumpReLU: y and the number of active units of rows, as in the norms; then its gradient, as in the sums over rows */

template <int WARPS> DEVICE void jumprelu_rows(const jumprelu_args &a) {
  const int64_t row = WARPS == 1 ? (int64_t)blockIdx.x * blockDim.y + threadIdx.y : blockIdx.x;
  const int lane = WARPS == 1 ? threadIdx.x : threadIdx.y * WARP + threadIdx.x;
  if (row >= a.rows) return;
  const float *x = a.x + row * a.d;
  float *y = a.y + row * a.d;
  int active = 0;
  for (int64_t i = lane; i < a.d; i += WARP * WARPS) {
    const float t = x[i], theta = a.theta[i];
    y[i] = t <= theta ? 0.0f : t;
    active += t > theta;
  }
  if (!a.l0) return;
  active = row_sum<WARPS>(active);
  if (lane == 0) a.l0[row] = (float)active;
}

KERNEL(jumprelu, NORM_THREADS) {
  jumprelu_rows<1>(a);
}
KERNEL(jumprelu_wide, NORM_THREADS) {
  jumprelu_rows<WIDE_WARPS>(a);
}

KERNEL(jumprelu_grad, SUM_COLUMNS *SUM_LANES) {
  SHARED(float, room, [SUM_LANES][SUM_COLUMNS]);
  const int64_t col = (int64_t)blockIdx.x * SUM_COLUMNS + threadIdx.x;
  const int64_t begin = blockIdx.y * a.chunk, end = least(begin + a.chunk, a.rows);
  const float theta = col < a.d ? a.theta[col] : 0.0f, half = 0.5f * a.width;
  float s = 0.0f;
  for (int64_t r = begin + threadIdx.y; r < end && col < a.d; r += SUM_LANES) {
    const int64_t at = r * a.d + col;
    const float x = a.x[at], dy = a.dy ? a.dy[at] : 0.0f, dl0 = a.dl0 ? a.dl0[r] : 0.0f;
    if (fabsf(x - theta) < half) s += FMA(theta, dy, dl0);
    if (a.dx) a.dx[at] = x <= theta ? 0.0f : dy;
  }
  if (!a.part) return;
  s = lanes_sum(s, room);
  if (threadIdx.y == 0 && col < a.d) a.part[blockIdx.y * a.d + col] = s / -a.width;
}

/* ---- distances: a warp or a block a pair, as in the norms */

template <int WARPS> DEVICE void distances_rows(const distances_args &a) {
  const int64_t row = WARPS == 1 ? (int64_t)blockIdx.x * blockDim.y + threadIdx.y : blockIdx.x;
  const int lane = WARPS == 1 ? threadIdx.x : threadIdx.y * WARP + threadIdx.x;
  if (row >= a.n) return;
  const float *x = a.a + row * a.dim, *y = a.b + row / a.group * a.dim;
  double dot = 0.0, aa = 0.0, bb = 0.0, apart = 0.0;
  for (int64_t i = lane; i < a.dim; i += WARP * WARPS) {
    const double p = x[i], q = y[i];
    dot += p * q;
    aa += p * p;
    bb += q * q;
    apart += (p - q) * (p - q);
  }
  dot = row_sum<WARPS>(dot);
  aa = row_sum<WARPS>(aa);
  bb = row_sum<WARPS>(bb);
  apart = row_sum<WARPS>(apart);
  if (lane == 0) {
    if (a.dot) a.dot[row] = dot;
    if (a.aa) a.aa[row] = aa;
    if (a.bb) a.bb[row] = bb;
    if (a.apart) a.apart[row] = apart;
  }
  if (!a.chord) return;
  const double norm_a = sqrt(aa), norm_b = sqrt(bb);
  double chord = 0.0;
  for (int64_t i = lane; i < a.dim && norm_a != 0.0 && norm_b != 0.0; i += WARP * WARPS) {
    const double u = x[i] / norm_a - y[i] / norm_b;
    chord += u * u;
  }
  chord = row_sum<WARPS>(chord);
  if (lane == 0) a.chord[row] = chord;
}

KERNEL(distances, NORM_THREADS) {
  distances_rows<1>(a);
}
KERNEL(distances_wide, NORM_THREADS) {
  distances_rows<WIDE_WARPS>(a);
}

/* ---- Σ x² in double, a piece a block: the same bits whether of one array or of many at once */

DEVICE double squares_of(const float *x, int64_t n, int64_t piece, double *room) {
  const int64_t begin = piece * SQUARES_PIECE, end = least(begin + SQUARES_PIECE, n);
  double s = 0.0;
  for (int64_t i = begin + threadIdx.x; i < end; i += SQUARES_THREADS)
    s += (double)x[i] * (double)x[i];
  return block_sum<SQUARES_THREADS / WARP>(s, room);
}
DEVICE double sum_of(const double *part, int64_t n, double *room) {
  double s = 0.0;
  for (int64_t i = threadIdx.x; i < n; i += SQUARES_THREADS)
    s += part[i];
  return block_sum<SQUARES_THREADS / WARP>(s, room);
}

KERNEL(squares, SQUARES_THREADS) {
  SHARED(double, room, [SQUARES_THREADS / WARP]);
  const double s = squares_of(a.x, a.n, blockIdx.x, room);
  if (threadIdx.x == 0) a.part[blockIdx.x] = s;
}

KERNEL(squares_end, SQUARES_THREADS) {
  SHARED(double, room, [SQUARES_THREADS / WARP]);
  const double s = sum_of(a.part, a.pieces, room);
  if (threadIdx.x == 0) a.part[a.pieces] = s;
}

KERNEL(clip_squares, SQUARES_THREADS) {
  SHARED(double, room, [SQUARES_THREADS / WARP]);
  const int64_t piece = a.first + blockIdx.x;
  int k = 0;
  while (k + 1 < a.count && piece >= a.tensor[k + 1].first)
    k++;
  const clip_tensor &t = a.tensor[k];
  const double s = squares_of(t.x, t.n, piece - t.first, room);
  if (threadIdx.x == 0) a.part[piece] = s;
}

KERNEL(clip_sums, SQUARES_THREADS) {
  SHARED(double, room, [SQUARES_THREADS / WARP]);
  const int64_t first = a.first[blockIdx.x];
  const double s = sum_of(a.part + first, a.first[blockIdx.x + 1] - first, room);
  if (threadIdx.x == 0) a.out[blockIdx.x] = s;
}

/* One block; the sums are added in their order, as the host would. */
KERNEL(clip_end, CLIP_THREADS) {
  SHARED(double, some, [CLIP_THREADS]);
  double s = 0.0;
  for (int64_t begin = 0; begin < a.count; begin += CLIP_THREADS) {
    if (begin + threadIdx.x < a.count) some[threadIdx.x] = a.out[begin + threadIdx.x];
    __syncthreads();
    for (int i = 0; threadIdx.x == 0 && i < CLIP_THREADS && begin + i < a.count; i++)
      s += some[i];
    __syncthreads();
  }
  if (threadIdx.x != 0) return;
  const double norm = sqrt(s), least_scale = a.most / (norm + 1e-6);
  double scale = a.most > 0.0 && norm > 0.0 && least_scale < 1.0 ? least_scale : 1.0;
  if (!(norm < (double)INF)) scale = norm - norm; /* NaN */
  a.out[a.count] = norm;
  a.out[a.count + 1] = scale;
}

/* ---- rows looked up */

KERNEL(embed, 256) {
  for (int64_t i = global_thread(); i < a.rows * a.d; i += grid_threads()) {
    const int64_t r = i / a.d, j = i % a.d, at = a.id[r] * a.d + j;
    float t = a.half ? of_half(((const uint16_t *)a.wte)[at]) : ((const float *)a.wte)[at];
    t *= a.scale;
    if (a.pos && a.wpe) t += a.wpe[a.pos[r] * a.d + j];
    a.out[i] = t;
  }
}

KERNEL(gather, 256) {
  for (int64_t i = global_thread(); i < a.n * a.width; i += grid_threads())
    a.out[i] =
        a.x[(a.row ? a.row[i / a.width] : a.first + i / a.width * a.step) * a.width + i % a.width];
}

KERNEL(scatter, 256) {
  for (int64_t i = global_thread(); i < a.n * a.width; i += grid_threads())
    a.out[a.row[i / a.width] * a.width + i % a.width] = a.x[i];
}

/* The block of the first i that names a row adds all that name it, in order; the others have nothing to do. */
KERNEL(scatter_add, SCATTER_THREADS) {
  SHARED(int64_t, found, [SCATTER_THREADS]);
  SHARED(int32_t, before, [SCATTER_THREADS / WARP]);
  const int64_t first = blockIdx.x, column = (int64_t)blockIdx.y * SCATTER_COLUMNS;
  const int t = threadIdx.x;
  const int64_t to = a.row64 ? a.row64[first] : a.row32[first];
  int seen = 0;
  for (int64_t i = t; i < first && !seen; i += SCATTER_THREADS)
    seen = (a.row64 ? a.row64[i] : a.row32[i]) == to;
  if (__syncthreads_or(seen)) return;
  float s[SCATTER_COLUMNS / SCATTER_THREADS];
  for (int c = 0; c < SCATTER_COLUMNS / SCATTER_THREADS; c++) {
    const int64_t col = column + c * SCATTER_THREADS + t;
    s[c] = col < a.width ? a.x[to * a.width + col] : 0.0f;
  }
  for (int64_t base = first; base < a.n; base += SCATTER_THREADS) {
    const int64_t i = base + t;
    const bool mine = i < a.n && (a.row64 ? a.row64[i] : a.row32[i]) == to;
    const unsigned votes = __ballot_sync(FULL, mine);
    if (t % WARP == 0) before[t / WARP] = __popc(votes);
    __syncthreads();
    int place = __popc(votes & ((1u << t % WARP) - 1)), count = 0;
    for (int w = 0; w < SCATTER_THREADS / WARP; w++) {
      if (w < t / WARP) place += before[w];
      count += before[w];
    }
    if (mine) found[place] = i;
    __syncthreads();
    for (int k = 0; k < count; k++)
      for (int c = 0; c < SCATTER_COLUMNS / SCATTER_THREADS; c++) {
        const int64_t col = column + c * SCATTER_THREADS + t;
        if (col < a.width) s[c] = FMA(a.scale, a.in[found[k] * a.width + col], s[c]);
      }
    __syncthreads();
  }
  for (int c = 0; c < SCATTER_COLUMNS / SCATTER_THREADS; c++) {
    const int64_t col = column + c * SCATTER_THREADS + t;
    if (col < a.width) a.x[to * a.width + col] = s[c];
  }
}
