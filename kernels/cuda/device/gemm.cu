/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products of f32, on the arithmetic units; what a library's product leaves to do.
 *
 * Every element of C is the sum over k in one order: in sequence within chunks of GEMM_CHUNK, the chunks' sums added to C in
 * sequence. So its bits depend on k alone, never on the tile or on what else the call computes, and the host may choose
 * the tile that suits the shape.
 */
#include "tile.h"

/* ---- a tile's place, and its elements in global memory */

/* The rows of an operand that a tile reads: element (r, k) at x[r·row + k·step]. */
struct operand {
  const void *x;
  int64_t row, step, rows; /* rows: how many there are from here on */
  bool aligned;            /* every four neighbours lie on a boundary of their size */
};
template <class T>
DEVICE operand operand_at(const void *x, int64_t offset, int64_t row, int64_t step, int64_t rows) {
  const T *p = (const T *)x + offset;
  return {p, row, step, rows,
          (uintptr_t)p % (4 * sizeof(T)) == 0 && (row == 1 ? step : row) % 4 == 0};
}

/* C[i, j] from the sum of a chunk: the first meets beta, the last the bias. The activation comes after all of them, or the
 * sums would not stay in registers. */
struct chunk_place {
  bool first, last;
};
DEVICE void finish(const gemm_args &a, int64_t item, chunk_place p, int64_t i, int64_t j,
                   float sum) {
  const int64_t at = item * a.stride_c + i * a.ldc + j;
  float x = sum * a.alpha;
  if (!p.first)
    x += a.c[at];
  else if (a.beta != 0.0f)
    x = FMA(a.c[at], a.beta, x);
  if (p.last && a.bias) x += a.bias[item * a.stride_bias + j];
  if (p.last && a.pre) a.pre[at] = x;
  a.c[at] = x;
}
DEVICE void activate(const gemm_args &a, int64_t item, int64_t i, int64_t j) {
  const int64_t at = item * a.stride_c + i * a.ldc + j;
  a.c[at] = act_of(a.act, a.c[at]);
}

/* Four elements at once, where they lie on a boundary of their size. */
DEVICE void load_four(const float *x, float (&out)[4]) {
  const float4 v = *reinterpret_cast<const float4 *>(x);
  out[0] = v.x;
  out[1] = v.y;
  out[2] = v.z;
  out[3] = v.w;
}

/* How the threads of a block share R rows by K columns of an operand: each takes COUNT times four neighbours, along k or
 * along the rows as they lie in memory; the first at (r, k), each next (dr, dk) further. */
template <int R, int K, int THREADS> struct share {
  enum { QUADS = R * K / 4, COUNT = (QUADS + THREADS - 1) / THREADS };
  bool along_k, idle;
  int r, k, dr, dk;
  DEVICE_MEMBER explicit share(bool along) : along_k(along), idle((int)threadIdx.x >= QUADS) {
    const int t = threadIdx.x;
    r = along_k ? t / (K / 4) : t % (R / 4) * 4;
    k = along_k ? t % (K / 4) * 4 : t / (R / 4);
    dr = along_k ? THREADS / (K / 4) : 0;
    dk = along_k ? 0 : THREADS / (R / 4);
  }
  /* Elements of columns [k0, k_end); the others, and those of rows that are not there, are 0. */
  template <class T>
  DEVICE_MEMBER void load(const operand &o, int64_t k0, int64_t k_end, T (&out)[COUNT][4]) const {
    if (idle) return;
    const int64_t rows = o.rows - r, left = k_end - k0 - k, next = along_k ? o.step : o.row;
    const T *x = (const T *)o.x + r * o.row + (k0 + k) * o.step;
    const int64_t move = dr * o.row + dk * o.step;
    const bool whole = o.aligned && o.rows >= R && k_end - k0 >= K;
    UNROLL for (int e = 0; e < COUNT; e++, x += move) {
      if (whole) {
        load_four(x, out[e]);
        continue;
      }
      UNROLL for (int i = 0; i < 4; i++) {
        const int dr_i = e * dr + (along_k ? 0 : i), dk_i = e * dk + (along_k ? i : 0);
        out[e][i] = dr_i < rows && dk_i < left ? x[i * next] : T(0);
      }
    }
  }
};

template <int V> DEVICE void load_vector(float *to, const float *from) {
  if (V == 4)
    *reinterpret_cast<float4 *>(to) = *reinterpret_cast<const float4 *>(from);
  else
    *reinterpret_cast<float2 *>(to) = *reinterpret_cast<const float2 *>(from);
}

/* Puts what a thread loaded into shared memory, a row of it for each k. */
template <class S, int LD>
DEVICE void keep(const S &s, const float (&x)[S::COUNT][4], float (*to)[LD]) {
  if (s.idle) return;
  UNROLL for (int e = 0; e < S::COUNT; e++) {
    const int r = s.r + e * s.dr, k = s.k + e * s.dk;
    if (!s.along_k)
      *reinterpret_cast<float4 *>(&to[k][r]) = {x[e][0], x[e][1], x[e][2], x[e][3]};
    else
      UNROLL for (int i = 0; i < 4; i++) to[k + i][r] = x[e][i];
  }
}

/* A block makes B × B elements, each thread T × T of them in runs of up to 4. */
template <int B, int T, int K> DEVICE void gemm(const gemm_args &a) {
  enum { SIDE = B / T, THREADS = SIDE * SIDE, V = T < 4 ? T : 4, RUNS = T / V, LD = B + 4 };
  SHARED(float, as, [2][K][LD]);
  SHARED(float, bs, [2][K][LD]);
  int tile_i, tile_j;
  tile_at<B, B>(a, blockIdx.x, &tile_i, &tile_j);
  const int64_t i0 = (int64_t)tile_i * B, j0 = (int64_t)tile_j * B;
  const int ti = threadIdx.x / SIDE * V, tj = threadIdx.x % SIDE * V;
  typedef share<B, K, THREADS> sharing;
  const sharing sa(a.a_k == 1), sb(a.b_k == 1);
  for (int64_t item = blockIdx.z; item < a.batch; item += gridDim.z) {
    const operand oa =
        operand_at<float>(a.a, item * a.stride_a + i0 * a.a_row, a.a_row, a.a_k, a.m - i0);
    const operand ob =
        operand_at<float>(a.b, item * a.stride_b + j0 * a.b_col, a.b_col, a.b_k, a.n - j0);
    float na[sharing::COUNT][4], nb[sharing::COUNT][4];
    int64_t chunk = 0;
    do {
      const int64_t end = least(chunk + GEMM_CHUNK, a.k);
      float sum[T][T] = {};
      int now = 0;
      sa.load(oa, chunk, end, na);
      sb.load(ob, chunk, end, nb);
      for (int64_t k0 = chunk; k0 < end; k0 += K, now ^= 1) {
        keep(sa, na, as[now]);
        keep(sb, nb, bs[now]);
        __syncthreads();
        if (k0 + K < end) {
          sa.load(oa, k0 + K, end, na);
          sb.load(ob, k0 + K, end, nb);
        }
        UNROLL for (int k = 0; k < K; k++) {
          float x[T], y[T];
          UNROLL for (int r = 0; r < RUNS; r++) {
            load_vector<V>(x + r * V, &as[now][k][r * (B / RUNS) + ti]);
            load_vector<V>(y + r * V, &bs[now][k][r * (B / RUNS) + tj]);
          }
          UNROLL for (int i = 0; i < T; i++) UNROLL for (int j = 0; j < T; j++) sum[i][j] =
              FMA(x[i], y[j], sum[i][j]);
        }
      }
      const chunk_place place = {chunk == 0, end >= a.k};
      UNROLL for (int i = 0; i < T; i++) UNROLL for (int j = 0; j < T; j++) {
        const int64_t row = i0 + i / V * (B / RUNS) + ti + i % V;
        const int64_t col = j0 + j / V * (B / RUNS) + tj + j % V;
        if (row < a.m && col < a.n) finish(a, item, place, row, col, sum[i][j]);
      }
      __syncthreads(); /* the next chunk writes what others may still read */
      chunk = end;
    } while (chunk < a.k);
    ROLLED for (int e = 0; e < (a.act == ACT_NONE ? 0 : T * T); e++) {
      const int64_t row = i0 + e / T / V * (B / RUNS) + ti + e / T % V;
      const int64_t col = j0 + e % T / V * (B / RUNS) + tj + e % T % V;
      if (row < a.m && col < a.n) activate(a, item, row, col);
    }
  }
}

KERNEL_TOGETHER(gemm_128, 256, 2) {
  gemm<128, 8, 16>(a);
}
KERNEL_TOGETHER(gemm_64x8, 64, 8) {
  gemm<64, 8, 8>(a);
}
KERNEL_TOGETHER(gemm_64, 256, 3) {
  gemm<64, 4, 16>(a);
}
KERNEL(gemm_32, 256) {
  gemm<32, 2, 16>(a);
}

/* ---- what a library's product leaves to do */

KERNEL(epilogue, 256) {
  for (int64_t i = global_thread(); i < a.m * a.n; i += grid_threads()) {
    const int64_t j = i % a.n, at = i / a.n * a.ldc + j;
    float x = a.x[at];
    if (a.bias) x += a.bias[j];
    if (a.pre) a.pre[at] = x;
    a.c[at] = act_of(a.act, x);
  }
}
