/* SPDX-License-Identifier: Apache-2.0
 *
 * Matrix products of bf16 with sums in f32, on the tensor cores, and the rounding of what comes as f32.
 *
 * Copies that run steps ahead bring tiles of both operands into a ring in shared memory. As in gemm.cu every element of C is
 * a sum over k in one order: in sequence within chunks of GEMM_CHUNK, the chunks' sums added in sequence. So its bits depend
 * on k alone, never on the tile or on what else the call computes.
 */
#include "tensor.h"
#include "tile.h"

/* ---- operands in shared memory */

/* R rows of an operand by STEP of k, in lines as they lie in global memory: a row each where ALONG, for then k runs along
 * memory, else a k each. The pieces of 16 bytes of a line change places by its number, so that the pieces that a warp reads
 * together lie in different banks. */
template <class T, int R, int STEP, bool ALONG> struct stage {
  typedef T element;
  static constexpr bool ALONG_K = ALONG;
  static constexpr int ROWS = R, K = STEP;
  static constexpr int EACH = 16 / sizeof(T); /* elements of a piece */
  static constexpr int LINES = ALONG ? R : STEP, PIECES = (ALONG ? STEP : R) / EACH;
  static constexpr int SIDE = PIECES < 8 ? PIECES : 8; /* pieces that change places */
  static constexpr int BYTES = R * STEP * (int)sizeof(T);
  static DEVICE_MEMBER int at(unsigned line, unsigned piece) {
    const unsigned turn = sizeof(T) == 4 ? line % 4 * 2 : line / (8 / SIDE) % SIDE;
    return (int)((line * PIECES + (piece ^ turn)) * EACH);
  }
};

/* What a thread copies of each stage: pieces of every APART-th line. Of rows that are not there nothing is copied, so what
 * comes of them is undefined. */
template <class S, int THREADS> struct copier {
  typedef typename S::element T;
  static constexpr int APART = THREADS / S::PIECES, COUNT = S::LINES / APART;
  static_assert(APART * S::PIECES == THREADS && COUNT * APART == S::LINES, "an equal share each");
  const T *x; /* its first piece of the next stage */
  int64_t apart, forward;
  int line, piece, rows; /* rows: how many of the tile's are there */
  DEVICE_MEMBER copier(const void *from, int64_t offset, int64_t row, int64_t step, int64_t first,
                       int64_t all)
      : apart(APART * (S::ALONG_K ? row : step)), forward(S::K * step),
        line((int)threadIdx.x / S::PIECES), piece((int)threadIdx.x % S::PIECES),
        rows((int)least(all - first, S::ROWS)) {
    x = (const T *)from + offset + first * row + line * (S::ALONG_K ? row : step) + piece * S::EACH;
  }
  DEVICE_MEMBER void next(void *to) {
    UNROLL for (int i = 0; i < COUNT; i++) {
      const int at = line + i * APART;
      if ((S::ALONG_K ? at : piece * S::EACH) < rows)
        copy_16((T *)to + S::at(at, piece), x + i * apart);
    }
    x += forward;
  }
};

/* ---- fragments, as `multiply` takes them */

/* Of A: rows [row, row + 16), k [k, k + 16). */
template <class S> DEVICE void fragment_a(uint32_t (&x)[4], const void *from, int row, int k) {
  const typename S::element *s = (const typename S::element *)from;
  const int lane = threadIdx.x % WARP, g = lane / 4, t = lane % 4;
  if constexpr (sizeof(*s) == 4) {
    UNROLL for (int q = 0; q < 4; q++) {
      const int at = S::at(row + g + q % 2 * 8, k / 4 + t / 2 + q / 2 * 2) + t % 2 * 2;
      const float2 two = *reinterpret_cast<const float2 *>(s + at);
      x[q] = halves_of(two.x, two.y);
    }
  } else if constexpr (S::ALONG_K) {
    load_matrices(x, s + S::at(row + lane % 16, k / 8 + lane / 16));
  } else {
    load_matrices_transposed(x, s + S::at(k + lane % 8 + lane / 16 * 8, row / 8 + lane / 8 % 2));
  }
}
/* Of B: columns [col, col + 8) in the first two, the next 8 in the others. */
template <class S> DEVICE void fragment_b(uint32_t (&y)[4], const void *from, int col, int k) {
  const uint16_t *s = (const uint16_t *)from;
  const int lane = threadIdx.x % WARP;
  if constexpr (S::ALONG_K)
    load_matrices(y, s + S::at(col + lane % 8 + lane / 16 * 8, k / 8 + lane / 8 % 2));
  else
    load_matrices_transposed(y, s + S::at(k + lane % 16, col / 8 + lane / 16));
}

/* ---- C */

/* A tile's sums in shared memory. Columns change places by the row in eights, so that what a warp writes or reads together
 * lies in different banks. */
template <int BN> DEVICE float *total_at(float *total, int row, int col) {
  return total + row * BN + (col ^ row % 4 * 8);
}

/* May four neighbours be read and written at once? */
DEVICE bool whole_fours(const gemm_args &a) {
  const uintptr_t at = (uintptr_t)a.c | (uintptr_t)a.pre | (uintptr_t)a.bias;
  return at % 16 == 0 && (a.ldc | a.stride_c | a.stride_bias) % 4 == 0;
}
/* N neighbours, 1 or 4; the rest of one are 0. */
template <int N> DEVICE float4 load_some(const float *x) {
  if constexpr (N == 4)
    return *reinterpret_cast<const float4 *>(x);
  else
    return {x[0], 0.0f, 0.0f, 0.0f};
}
template <int N> DEVICE void store_some(float *to, float4 x) {
  if constexpr (N == 4)
    *reinterpret_cast<float4 *>(to) = x;
  else
    to[0] = x.x;
}

/* N columns of C from (i, j) on, every EACH-th of `rows` rows; `sums`, over all k, lie as many rows of BN apart. What C held is
 * read for four rows at once, for it is far away. The activation has a turn of its own, or there would be four of it. */
template <int N, int EACH, int BN>
DEVICE void finish(const gemm_args &a, int64_t item, int64_t i, int64_t j, int rows, float *sums) {
  constexpr int FOUR = 4;
  const float4 none = {0.0f, 0.0f, 0.0f, 0.0f};
  const float4 bias = a.bias ? load_some<N>(a.bias + item * a.stride_bias + j) : none;
  const int64_t first = item * a.stride_c + i * a.ldc + j, next = EACH * a.ldc;
  int64_t at = first;
  ROLLED for (int r = 0; r < rows; r += FOUR * EACH, at += FOUR * next) {
    float4 was[FOUR];
    UNROLL for (int e = 0; e < FOUR; e++) was[e] =
        a.beta != 0.0f && r + e * EACH < rows ? load_some<N>(a.c + at + e * next) : none;
    UNROLL for (int e = 0; e < FOUR; e++) {
      if (r + e * EACH >= rows) break;
      float *sum = sums + (r + e * EACH) * BN;
      float4 x = load_some<N>(sum);
      x = {x.x * a.alpha, x.y * a.alpha, x.z * a.alpha, x.w * a.alpha};
      if (a.beta != 0.0f)
        x = {FMA(was[e].x, a.beta, x.x), FMA(was[e].y, a.beta, x.y), FMA(was[e].z, a.beta, x.z),
             FMA(was[e].w, a.beta, x.w)};
      if (a.bias) x = {x.x + bias.x, x.y + bias.y, x.z + bias.z, x.w + bias.w};
      if (a.pre) store_some<N>(a.pre + at + e * next, x);
      if (a.act == ACT_NONE)
        store_some<N>(a.c + at + e * next, x);
      else
        store_some<N>(sum, x);
    }
  }
  if (a.act == ACT_NONE) return;
  at = first;
  ROLLED for (int r = 0; r < rows; r += EACH, at += next) {
    float4 x = load_some<N>(sums + r * BN);
    x = {act_of(a.act, x.x), act_of(a.act, x.y), act_of(a.act, x.z), act_of(a.act, x.w)};
    store_some<N>(a.c + at, x);
  }
}

/* The tile at (i0, j0), by all threads of the block along its rows: each has four columns of every EACH-th row. */
template <int BM, int BN, int THREADS>
DEVICE void finish_tile(const gemm_args &a, int64_t item, int64_t i0, int64_t j0, float *total) {
  constexpr int EACH = THREADS * 4 / BN;
  static_assert(EACH * BN == THREADS * 4 && EACH % 4 == 0, "columns lie alike in all of its rows");
  const int row = (int)threadIdx.x * 4 / BN, col = (int)threadIdx.x * 4 % BN;
  const int64_t i = i0 + row, j = j0 + col;
  const int rows = (int)least(a.m - i, BM - row);
  float *sums = total_at<BN>(total, row, col);
  if (whole_fours(a) && j + 4 <= a.n)
    finish<4, EACH, BN>(a, item, i, j, rows, sums);
  else
    ROLLED for (int q = 0; q < 4 && j + q < a.n; q++)
        finish<1, EACH, BN>(a, item, i, j + q, rows, sums + q);
}

/* ---- the product */

/* A block of WM × WN warps makes a tile of C, with STEPS steps of k in the ring. */
template <class A, class B, int WM, int WN, int STEPS> struct half_product {
  static constexpr int K = A::K, BM = A::ROWS, BN = B::ROWS, THREADS = WM * WN * WARP;
  static constexpr int MS = BM / WM / 16, NS = BN / WN / 16; /* fragments of a warp's part */
  static constexpr int KS = K / 16;                          /* … and of a step            */
  static constexpr int STAGE = A::BYTES + B::BYTES, RING = STEPS * STAGE;
  static constexpr int CHUNK = GEMM_CHUNK / K; /* steps of a chunk         */
  static_assert(B::K == K && KS % 2 == 0 && GEMM_CHUNK % GEMM_HALF_K == 0 && GEMM_HALF_K % K == 0,
                "steps fill chunks");
  static_assert(BM == WM * MS * 16 && BN == WN * NS * 16 && BN % 32 == 0, "warps fill the tile");

  uint32_t x[2][MS][4], y[2][NS][4]; /* of this 16 of k, and of the next */
  float sum[MS][NS][2][4];
  unsigned char *ring;
  int wi, wj; /* the warp's part of the tile */

  DEVICE_MEMBER explicit half_product(unsigned char *shared) : ring(shared) {
    const int warp = threadIdx.x / WARP;
    wi = warp / WN * (BM / WM);
    wj = warp % WN * (BN / WN);
  }
  DEVICE_MEMBER void load(const unsigned char *from, int s, int now) {
    UNROLL for (int i = 0; i < MS; i++) fragment_a<A>(x[now][i], from, wi + i * 16, s * 16);
    UNROLL for (int j = 0; j < NS; j++)
        fragment_b<B>(y[now][j], from + A::BYTES, wj + j * 16, s * 16);
  }
  DEVICE_MEMBER void add(int now) {
    UNROLL for (int i = 0; i < MS; i++) UNROLL for (int j = 0; j < NS; j++)
        UNROLL for (int h = 0; h < 2; h++)
            multiply(sum[i][j][h], x[now][i], y[now][j][2 * h], y[now][j][2 * h + 1]);
  }
  /* Puts a chunk's sums to those before it. Four eights of columns have a place of their own in each row (total_at); all
   * else is a constant away from them. */
  DEVICE_MEMBER void fold(float *total, bool first) {
    const int g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
    float *at[4];
    UNROLL for (int e = 0; e < 4; e++) at[e] = total_at<BN>(total, wi + g, wj + e * 8) + 2 * t;
    UNROLL for (int i = 0; i < MS; i++) UNROLL for (int j = 0; j < NS; j++)
        UNROLL for (int q = 0; q < 4; q++) {
      float *to = at[j % 2 * 2 + q / 2] + (i * 16 + q % 2 * 8) * BN + j / 2 * 32;
      float *one = &sum[i][j][q / 2][q % 2 * 2];
      float2 two = {one[0], one[1]};
      if (!first) {
        const float2 before = *reinterpret_cast<const float2 *>(to);
        two = {before.x + two.x, before.y + two.y};
      }
      *reinterpret_cast<float2 *>(to) = two;
      one[0] = one[1] = 0.0f;
    }
  }

  /* The tile's sums into `total`. Each step waits for the copies of the next before its last 16 of k, so that there are always
   * fragments to multiply while others are on their way. The last step loads some that are of no use: after its barrier
   * nothing in the ring is wanted any more, and where there is but one chunk `total` may be the ring. */
  DEVICE_MEMBER void run(copier<A, THREADS> ca, copier<B, THREADS> cb, int steps, float *total) {
    unsigned char *from = ring, *to = ring;
    int step = 0;
    UNROLL for (int s = 0; s < STEPS - 1; s++, to += STAGE) {
      if (s < steps) {
        ca.next(to);
        cb.next(to + A::BYTES);
      }
      commit_copies();
    }
    UNROLL for (int i = 0; i < MS; i++) UNROLL for (int j = 0; j < NS; j++)
        UNROLL for (int q = 0; q < 8; q++) sum[i][j][q / 4][q % 4] = 0.0f;
    wait_copies<STEPS - 2>();
    __syncthreads();
    load(from, 0, 0);
    do {
      const bool first = step == 0;
      const int end = steps - step < CHUNK ? steps : step + CHUNK;
      ROLLED for (; step < end; step++) {
        UNROLL for (int s = 0; s < KS; s++) {
          if (s == KS - 1) {
            wait_copies<STEPS - 2>();
            __syncthreads();
            from = from == ring + (RING - STAGE) ? ring : from + STAGE;
          }
          load(from, (s + 1) % KS, (s + 1) % 2);
          if (s == 0) {
            if (step + STEPS - 1 < steps) {
              ca.next(to);
              cb.next(to + A::BYTES);
            }
            commit_copies();
            to = to == ring + (RING - STAGE) ? ring : to + STAGE;
          }
          add(s % 2);
        }
      }
      fold(total, first);
    } while (step < steps);
    __syncthreads();
  }
};

/* The tiles of an item follow those of the item before. */
template <class A, class B, int WM, int WN, int STEPS>
DEVICE void gemm_half(const gemm_args &a, unsigned char *shared) {
  typedef half_product<A, B, WM, WN, STEPS> product;
  constexpr int BM = product::BM, BN = product::BN, THREADS = product::THREADS;
  float *total = reinterpret_cast<float *>(shared + (a.k > GEMM_CHUNK ? product::RING : 0));
  const int64_t tiles = (a.m + BM - 1) / BM * ((a.n + BN - 1) / BN);
  const int item = (int)(blockIdx.x / tiles);
  int i, j;
  tile_at<BM, BN>(a, blockIdx.x - item * tiles, &i, &j);
  product p(shared);
  p.run(copier<A, THREADS>(a.a, item * a.stride_a, a.a_row, a.a_k, (int64_t)i * BM, a.m),
        copier<B, THREADS>(a.b, item * a.stride_b, a.b_col, a.b_k, (int64_t)j * BN, a.n),
        (int)(a.k / product::K), total);
  finish_tile<BM, BN, THREADS>(a, item, (int64_t)i * BM, (int64_t)j * BN, total);
}

#define HALF(M, N, K, AK, BK) stage<uint16_t, M, K, AK>, stage<uint16_t, N, K, BK>
#define KERNEL_HALF(name, M, N, WM, WN, K, STEPS, blocks)                                          \
  KERNEL_TOGETHER(name, WM *WN *WARP, blocks) {                                                    \
    DYNAMIC(unsigned char, shared);                                                                \
    if (a.a_k == 1 && a.b_k == 1)                                                                  \
      gemm_half<HALF(M, N, K, true, true), WM, WN, STEPS>(a, shared);                              \
    else if (a.a_k == 1)                                                                           \
      gemm_half<HALF(M, N, K, true, false), WM, WN, STEPS>(a, shared);                             \
    else if (a.b_k == 1)                                                                           \
      gemm_half<HALF(M, N, K, false, true), WM, WN, STEPS>(a, shared);                             \
    else                                                                                           \
      gemm_half<HALF(M, N, K, false, false), WM, WN, STEPS>(a, shared);                            \
  }
GEMM_HALF_TILES(KERNEL_HALF)

/* For few rows, of f32 along k: they are rounded on the way to the tensor cores, which saves a launch. */
#define KERNEL_FEW(name, M, N, WM, WN, K, STEPS, blocks)                                           \
  KERNEL_TOGETHER(name, WM *WN *WARP, blocks) {                                                    \
    typedef stage<float, M, K, true> rows;                                                         \
    DYNAMIC(unsigned char, shared);                                                                \
    if (a.b_k == 1)                                                                                \
      gemm_half<rows, stage<uint16_t, N, K, true>, WM, WN, STEPS>(a, shared);                      \
    else                                                                                           \
      gemm_half<rows, stage<uint16_t, N, K, false>, WM, WN, STEPS>(a, shared);                     \
  }
GEMM_FEW_TILES(KERNEL_FEW)

/* ---- operands of bf16 */

DEVICE uint4 eight_halves(const float *x) {
  const float4 low = *reinterpret_cast<const float4 *>(x);
  const float4 high = *reinterpret_cast<const float4 *>(x + 4);
  return {halves_of(low.x, low.y), halves_of(low.z, low.w), halves_of(high.x, high.y),
          halves_of(high.z, high.w)};
}
DEVICE uint4 eight_halves(const uint16_t *x) {
  return *reinterpret_cast<const uint4 *>(x);
}
DEVICE uint4 halves_of_some(const float *x, int64_t n) {
  float e[8];
  UNROLL for (int i = 0; i < 8; i++) e[i] = i < n ? x[i] : 0.0f;
  return {halves_of(e[0], e[1]), halves_of(e[2], e[3]), halves_of(e[4], e[5]),
          halves_of(e[6], e[7])};
}
DEVICE uint4 halves_of_some(const uint16_t *x, int64_t n) {
  uint32_t e[8];
  UNROLL for (int i = 0; i < 8; i++) e[i] = i < n ? x[i] : 0u;
  return {e[1] << 16 | e[0], e[3] << 16 | e[2], e[5] << 16 | e[4], e[7] << 16 | e[6]};
}

template <class T> DEVICE void to_half(const to_half_args &a) {
  enum { EACH = 16 / sizeof(T) };
  const int64_t pieces = a.out_ld / 8, each = a.out_rows * pieces;
  const bool whole = (uintptr_t)a.x % 16 == 0 && (a.ld | a.stride) % EACH == 0;
  for (int64_t p = global_thread(); p < a.batch * each; p += grid_threads()) {
    const int64_t item = p / each, row = p % each / pieces, col = p % pieces * 8;
    const T *x = (const T *)a.x + item * a.stride + row * a.ld + col;
    uint4 *out = reinterpret_cast<uint4 *>(a.out + p * 8);
    const int64_t there = row < a.rows ? a.cols - col : 0;
    *out = whole && there >= 8 ? eight_halves(x) : halves_of_some(x, there);
  }
}
KERNEL(to_half, 256) {
  if (a.half)
    to_half<uint16_t>(a);
  else
    to_half<float>(a);
}

/* An array by itself: eight at a time where it lies so, the rest one by one. */
KERNEL(to_bf16, 256) {
  const int64_t pieces = ((uintptr_t)a.x | (uintptr_t)a.out) % 16 == 0 ? a.n / 8 : 0;
  for (int64_t p = global_thread(); p < pieces; p += grid_threads())
    reinterpret_cast<uint4 *>(a.out)[p] = eight_halves(a.x + p * 8);
  for (int64_t i = pieces * 8 + global_thread(); i < a.n; i += grid_threads())
    a.out[i] = (uint16_t)halves_of(a.x[i], 0.0f);
}
