/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels for products of bf16, each by itself on the emulation: against sums in double over the rounded operands, for
 * every tile and way that operands lie; that all tiles give the same bits; and that no two rows that a warp reads together
 * lie in one bank.
 */
#include "emulation.h"
#include "kernels.h"

#include <inversescope/rng.h>
#include <criterion/criterion.h>
#include <memory>
#include <vector>

#define DECLARE(name, type) extern "C" void isc_emulated_##name(const void *args);
CUDA_KERNELS_HALF(DECLARE)

struct tile {
  const char *name;
  void (*kernel)(const void *);
  unsigned rows, cols, threads;
  size_t ring;
  bool few; /* takes A as f32, along k */
};
#define TILE(name, m, n, wm, wn, k, steps, bytes, few)                                             \
  {#name, isc_emulated_##name, m, n, wm * wn * 32, (size_t)(steps * k * (m * bytes + n * 2)), few},
#define TILE_HALF(name, m, n, wm, wn, k, steps, blocks) TILE(name, m, n, wm, wn, k, steps, 2, false)
#define TILE_FEW(name, m, n, wm, wn, k, steps, blocks)  TILE(name, m, n, wm, wn, k, steps, 4, true)
static const tile TILES[] = {GEMM_HALF_TILES(TILE_HALF) GEMM_FEW_TILES(TILE_FEW)};

static const char *run(void (*kernel)(const void *), const void *args, isc_emulated_index grid,
                       unsigned threads, size_t shared) {
  static uint64_t seed;
  const isc_emulated_launch l = {kernel, args, grid, {threads, 1, 1}, shared, ISC_EMULATED_RANDOM,
                                 ++seed};
  return isc_emulated_run(&l);
}

static float rounded(float x) {
  uint32_t u = __float_as_uint(x);
  u += 0x7fffu + (u >> 16 & 1u);
  return __uint_as_float(u & 0xffff0000u);
}

static uint16_t narrow(float x) {
  return (uint16_t)(__float_as_uint(rounded(x)) >> 16);
}

/* Memory of 16-byte pieces, no longer than it must be. */
template <class T> struct array {
  std::unique_ptr<void, decltype(&free)> p;
  size_t n;
  explicit array(size_t count)
      : p(aligned_alloc(16, (count * sizeof(T) + 15) / 16 * 16), free), n(count) {
    memset(p.get(), 0xFF, (count * sizeof(T) + 15) / 16 * 16);
  }
  T *at() const { return static_cast<T *>(p.get()); }
  T &operator[](size_t i) const { return at()[i]; }
};

enum { TA = 1, TB = 2, SHARED_B = 4, BIAS = 8, PRE = 16, ODD = 32, SHARED_A = 64 };
struct shape {
  int64_t batch, m, n, k;
  int flags;
  float alpha, beta;
  int act;
};

static int64_t filled(int64_t n, int64_t each) {
  return (n + each - 1) / each * each;
}
static int64_t wide(int64_t n, int64_t each) {
  return filled(n, each) + each;
}

/* Operands of bf16 in memory whose rows are longer than they need be, NaN between them; A also as f32, not yet rounded. */
struct problem {
  shape s;
  gemm_args args;
  array<uint16_t> a, b;
  array<float> a32, bias, c0;
  int64_t lda, ldb, lda32, stride_a32, k; /* k: with the zeros that fill it up */

  explicit problem(const shape &s_)
      : s(s_), args(), a(0), b(0), a32(0), bias(0), c0(0), k(filled(s.k, GEMM_HALF_K)) {
    const bool ta = s.flags & TA, tb = s.flags & TB;
    lda = wide(ta ? s.m : k, 8), ldb = wide(tb ? k : s.n, 8), lda32 = wide(k, 4);
    stride_a32 = s.flags & SHARED_A ? 0 : s.m * lda32;
    args.batch = s.batch, args.m = s.m, args.n = s.n, args.k = k;
    args.a_row = ta ? 1 : lda, args.a_k = ta ? lda : 1;
    args.b_col = tb ? ldb : 1, args.b_k = tb ? 1 : ldb;
    args.ldc = s.flags & ODD ? s.n + 3 : wide(s.n, 4);
    args.stride_a = s.flags & SHARED_A ? 0 : (ta ? k : s.m) * lda;
    args.stride_b = s.flags & SHARED_B ? 0 : (tb ? s.n : k) * ldb;
    args.stride_c = s.m * args.ldc + (s.flags & ODD ? 1 : 4);
    args.stride_bias = s.batch > 1 ? wide(s.n, 4) : 0;
    args.alpha = s.alpha, args.beta = s.beta, args.act = s.act;
    a = array<uint16_t>((size_t)((s.batch - 1) * args.stride_a + (ta ? k : s.m) * lda));
    b = array<uint16_t>((size_t)((s.batch - 1) * args.stride_b + (tb ? s.n : k) * ldb));
    a32 = array<float>((size_t)((s.batch - 1) * stride_a32 + s.m * lda32));
    bias = array<float>((size_t)(args.stride_bias * s.batch + s.n));
    c0 = array<float>((size_t)(s.batch * args.stride_c));
    fill();
  }
  float *a_at(int64_t item, int64_t i, int64_t at) const {
    return &a32[(size_t)(item * stride_a32 + i * lda32 + at)];
  }
  uint16_t *b_at(int64_t item, int64_t at, int64_t j) const {
    return &b[(size_t)(item * args.stride_b + at * args.b_k + j * args.b_col)];
  }
  void set_a(int64_t item, int64_t i, int64_t at, float x) {
    *a_at(item, i, at) = x;
    a[(size_t)(item * args.stride_a + i * args.a_row + at * args.a_k)] = narrow(x);
  }
  void fill() {
    isc_rng rng = isc_rng_at(11, ISC_RNG_USER, (uint64_t)(s.m * 1000 + s.n + s.k));
    for (int64_t item = 0; item < s.batch; item++)
      for (int64_t at = 0; at < k; at++) {
        for (int64_t i = 0; i < s.m; i++)
          set_a(item, i, at, at < s.k ? (float)isc_rng_normal(&rng) : 0.0f);
        for (int64_t j = 0; j < s.n; j++)
          *b_at(item, at, j) = at < s.k ? narrow((float)isc_rng_normal(&rng)) : 0;
      }
    for (size_t i = 0; i < bias.n; i++)
      bias[i] = (float)isc_rng_normal(&rng);
    for (size_t i = 0; i < c0.n; i++)
      c0[i] = (float)isc_rng_normal(&rng);
  }
};

static double act(int kind, double x) {
  return kind == 1 ? (x > 0 ? x : 0) : kind == 2 ? 0.5 * x * erfc(-x / sqrt(2.0)) : x;
}

/* C and the argument of the activation by one tile; elements that are none of C's stay as they were. */
struct made {
  array<float> c, pre;
};
static made make(const problem &p, const tile &t) {
  made r = {array<float>(p.c0.n), array<float>(p.c0.n)};
  gemm_args a = p.args;
  a.a = p.a.at(), a.b = p.b.at(), a.c = r.c.at();
  a.bias = p.s.flags & BIAS ? p.bias.at() : NULL;
  a.pre = p.s.flags & PRE ? r.pre.at() : NULL;
  if (t.few) a.a = p.a32.at(), a.a_row = p.lda32, a.a_k = 1, a.stride_a = p.stride_a32;
  memcpy(r.c.at(), p.c0.at(), p.c0.n * sizeof(float));
  const size_t sums = t.rows * t.cols * sizeof(float);
  const size_t shared = p.k > GEMM_CHUNK ? t.ring + sums : t.ring > sums ? t.ring : sums;
  const unsigned blocks =
      (unsigned)((p.s.m + t.rows - 1) / t.rows * ((p.s.n + t.cols - 1) / t.cols));
  const uint64_t before = isc_emulated_conflicts;
  const char *problem = run(t.kernel, &a, {blocks * (unsigned)p.s.batch, 1, 1}, t.threads, shared);
  cr_assert(!problem, "%s: %s", t.name, problem);
  cr_assert_eq(isc_emulated_conflicts, before, "%s, flags %d: rows in one bank", t.name, p.s.flags);
  return r;
}

static void check(const problem &p, const made &r, const char *name) {
  const gemm_args &a = p.args;
  for (int64_t item = 0; item < p.s.batch; item++)
    for (int64_t i = 0; i < p.s.m; i++) {
      const size_t row = (size_t)(item * a.stride_c + i * a.ldc);
      for (int64_t j = 0; j < p.s.n; j++) {
        double sum = 0, terms = 0;
        for (int64_t k = 0; k < p.s.k; k++) {
          const double x = (double)rounded(*p.a_at(item, i, k)) *
                           (double)__uint_as_float((uint32_t)*p.b_at(item, k, j) << 16);
          sum += x, terms += fabs(x);
        }
        const double c = (double)a.beta * (double)p.c0[row + (size_t)j];
        const double bias =
            p.s.flags & BIAS ? (double)p.bias[(size_t)(item * a.stride_bias + j)] : 0;
        const double want = (double)a.alpha * sum + c + bias;
        /* sums of f32: each addition may be off by half a unit of what it adds to */
        const double slack = (fabs((double)a.alpha) * terms + fabs(c) + fabs(bias)) *
                             (16.0 + sqrt((double)p.s.k)) / 16777216.0;
        cr_assert(fabs((double)r.c[row + (size_t)j] - act(a.act, want)) <= 1.2 * slack,
                  "%s, %lld x %lld x %lld, flags %d: [%lld, %lld, %lld] is %g, not %g", name,
                  (long long)p.s.m, (long long)p.s.n, (long long)p.s.k, p.s.flags, (long long)item,
                  (long long)i, (long long)j, (double)r.c[row + (size_t)j], act(a.act, want));
        if (p.s.flags & PRE) cr_assert(fabs((double)r.pre[row + (size_t)j] - want) <= slack);
      }
      cr_assert_arr_eq(&r.c[row + (size_t)p.s.n], &p.c0[row + (size_t)p.s.n],
                       (size_t)(a.ldc - p.s.n) * sizeof(float), "%s: between rows", name);
    }
}

static void check_shape(shape s) {
  for (int way = 0; way < 4; way++) {
    s.flags = (s.flags & ~3) | way;
    const problem p(s);
    const made first = make(p, TILES[0]);
    check(p, first, TILES[0].name);
    for (const tile &t : TILES) {
      const made r = make(p, t);
      cr_assert_arr_eq(r.c.at(), first.c.at(), r.c.n * sizeof(float),
                       "%s and %s differ, %lld x %lld x %lld, flags %d", t.name, TILES[0].name,
                       (long long)s.m, (long long)s.n, (long long)s.k, s.flags);
      cr_assert_arr_eq(r.pre.at(), first.pre.at(), r.pre.n * sizeof(float));
    }
  }
}

Test(half, tiles_agree_with_double_and_with_each_other) {
  static const shape SHAPES[] = {
      {1, 1, 1, 1, 0, 1, 0, 0},
      {1, 5, 7, 9, BIAS | ODD, 1, 0, 1},
      {1, 37, 50, 33, PRE | BIAS, 0.5f, 0, 2},
      {1, 130, 70, 40, ODD | PRE, -1, 0.5f, 0},
      {1, 64, 64, 64, BIAS, 2, 1, 2},
      {1, 140, 260, 24, BIAS | PRE, 1, 0, 1},
      {3, 20, 24, 72, BIAS, 1, 1, 0},
      {3, 9, 40, 16, SHARED_B | ODD | BIAS, 1, 0, 1},
      {4, 17, 15, 30, SHARED_A, 1, 0, 0},
      {1, 3, 4, 0, BIAS, 1, 0, 0},
      {2, 3, 4, 0, 0, 1, 0.5f, 0},
  };
  for (const shape &s : SHAPES)
    check_shape(s);
}

/* Steps of more than one chunk, its edge, and rings that go round. */
Test(half, tiles_agree_on_long_sums) {
  for (int64_t k : {GEMM_CHUNK + 0, GEMM_CHUNK + 1, 2 * GEMM_CHUNK + 40})
    check_shape({1, 18, 36, k, BIAS, 0.5f, 1, 0});
}

/* The whole order of a sum: chunks of 1024 apart, then one after the other. 2^24 + 1 is 2^24 in f32, so that ones count
 * only where they meet each other first. */
Test(half, chunks_of_a_sum_are_summed_apart) {
  enum { K = GEMM_CHUNK + 32 };
  const shape s = {1, 1, 1, K, 0, 1, 0, 0};
  problem p(s);
  for (int64_t k = 0; k < K; k++) {
    p.set_a(0, 0, k, k == 0 ? 16777216.0f : 1.0f);
    *p.b_at(0, k, 0) = 0x3f80;
  }
  for (const tile &t : TILES)
    cr_assert_eq(make(p, t).c[0], 16777216.0f + 32.0f, "%s", t.name);
}

/* ---- operands of bf16 */

static void check_rounding(bool half, int64_t ld, int64_t cols, int64_t offset) {
  enum { BATCH = 2, ROWS = 5, OUT_ROWS = 7, OUT_LD = 24 };
  const int64_t stride = ROWS * ld;
  array<float> x((size_t)(BATCH * stride + offset));
  array<uint16_t> halves(x.n), out(BATCH * OUT_ROWS * OUT_LD);
  isc_rng rng = isc_rng_at(5, ISC_RNG_USER, 0);
  for (size_t i = 0; i < x.n; i++) {
    x[i] = (float)isc_rng_normal(&rng);
    halves[i] = narrow(x[i]);
  }
  to_half_args a = {BATCH,           ROWS,     cols,     ld,     stride,
                    x.at() + offset, out.at(), OUT_ROWS, OUT_LD, half};
  if (half) a.x = halves.at() + offset;
  cr_assert(!run(isc_emulated_to_half, &a, {2, 1, 1}, 32, 0));
  for (int64_t i = 0; i < BATCH * OUT_ROWS; i++)
    for (int64_t j = 0; j < OUT_LD; j++) {
      const int64_t item = i / OUT_ROWS, row = i % OUT_ROWS;
      const bool there = row < ROWS && j < cols;
      cr_assert_eq(out[(size_t)(i * OUT_LD + j)],
                   there ? halves[(size_t)(offset + item * stride + row * ld + j)] : 0,
                   "half %d, ld %lld, offset %lld: [%lld, %lld]", half, (long long)ld,
                   (long long)offset, (long long)i, (long long)j);
    }
}

Test(half, operands_are_rounded_and_filled_up) {
  for (int half = 0; half < 2; half++)
    for (int64_t ld : {13, 16})
      for (int64_t cols : {3, 13})
        for (int64_t offset = 0; offset < 2; offset++)
          check_rounding(half, ld, cols, offset);
}

/* Ties go to the even neighbour, and what is too large or no number stays so. */
Test(half, rounding_is_to_nearest_even) {
  const uint32_t in[] = {0x3f808000, 0x3f818000, 0x3f808001, 0xbf807fff,
                         0x7f7fffff, 0xff800000, 0x7f800001, 0x00008000};
  const uint16_t want[] = {0x3f80, 0x3f82, 0x3f81, 0xbf80, 0x7f80, 0xff80, 0x7fc0, 0x0000};
  array<uint16_t> out(8);
  const to_half_args a = {1, 1, 8, 8, 8, in, out.at(), 1, 8, false};
  cr_assert(!run(isc_emulated_to_half, &a, {1, 1, 1}, 32, 0));
  for (size_t i = 0; i < 8; i++)
    cr_assert_eq(out[i], want[i], "%08x becomes %04x, not %04x", in[i], out[i], want[i]);
}

/* An array by itself, on 16 bytes or off, at every length around eight: nothing is written beyond it. */
Test(half, an_array_is_rounded_up_to_its_end) {
  enum { MOST = 37 };
  array<float> x(MOST + 1);
  array<uint16_t> want(MOST + 1), out(MOST + 2);
  isc_rng rng = isc_rng_at(6, ISC_RNG_USER, 0);
  for (size_t i = 0; i <= MOST; i++) {
    x[i] = (float)isc_rng_normal(&rng);
    want[i] = narrow(x[i]);
  }
  for (size_t offset = 0; offset < 2; offset++)
    for (size_t n = 1; n <= MOST; n++) {
      for (size_t i = 0; i < out.n; i++)
        out[i] = 0xA5A5;
      const to_bf16_args a = {(int64_t)n, x.at() + offset, out.at() + offset};
      cr_assert(!run(isc_emulated_to_bf16, &a, {2, 1, 1}, 32, 0));
      for (size_t i = 0; i < n; i++)
        cr_assert_eq(out[offset + i], want[offset + i], "offset %zu, [%zu] of %zu", offset, i, n);
      cr_assert_eq(out[offset + n], 0xA5A5, "offset %zu, beyond %zu", offset, n);
    }
}
