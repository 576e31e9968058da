/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the random numbers: the published Philox vectors, the documented addressing, and the
 * distributions of the draws.
 *
 * Statistical bounds are set so that a right generator fails with probability below 1e-6; the seeds
 * are fixed, so a test that passes once passes always.
 */
#include <criterion/criterion.h>
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Known-answer vectors "philox4x32 10" distributed with Random123 1.09 (kat_vectors). */
static const struct {
  uint32_t ctr[4], key[2], out[4];
} vectors[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

Test(rng, philox_gives_the_published_vectors) {
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
    uint32_t out[4];
    isc_philox(vectors[i].ctr, vectors[i].key, out);
    cr_assert_arr_eq(out, vectors[i].out, sizeof out, "vector %zu", i);
  }
}

/* The documented key, written a second time. */
static uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

Test(rng, words_lie_at_block_lo_block_hi_index_lo_index_hi) {
  const uint64_t seed = 0x0123456789abcdef, index = 0x1111222233334444;
  const uint64_t key = mix(mix(seed) + 7u * 0x9E3779B97F4A7C15u);
  const uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
  isc_rng r = isc_rng_at(seed, ISC_RNG_SAMPLE, index);
  for (uint32_t block = 0; block < 3; block++) {
    const uint32_t ctr[4] = {block, 0, 0x33334444, 0x11112222};
    uint32_t want[4];
    isc_philox(ctr, k, want);
    for (int w = 0; w < 4; w++)
      cr_assert_eq(isc_rng_u32(&r), want[w]);
  }
  /* Past 2^32 blocks the count runs into the second word. */
  r.block = (uint64_t)1 << 32;
  r.used = 4;
  const uint32_t ctr[4] = {0, 1, 0x33334444, 0x11112222};
  uint32_t want[4];
  isc_philox(ctr, k, want);
  cr_assert_eq(isc_rng_u64(&r), want[0] | (uint64_t)want[1] << 32);
}

Test(rng, seed_purpose_and_index_each_change_the_stream) {
  isc_rng a = isc_rng_at(1, 1, 0), b = isc_rng_at(2, 1, 0), c = isc_rng_at(1, 2, 0);
  isc_rng d = isc_rng_at(1, 1, 1), same = isc_rng_at(1, 1, 0);
  uint64_t x = isc_rng_u64(&a);
  cr_assert_neq(x, isc_rng_u64(&b));
  cr_assert_neq(x, isc_rng_u64(&c));
  cr_assert_neq(x, isc_rng_u64(&d));
  cr_assert_eq(x, isc_rng_u64(&same));
}

Test(rng, uniform_fills_sixteen_cells_evenly_and_stays_inside) {
  enum { N = 1 << 16 };
  int cell[16] = {0};
  isc_rng r = isc_rng_at(3, ISC_RNG_USER, 0);
  for (int i = 0; i < N; i++) {
    double u = isc_rng_uniform(&r);
    cr_assert(u > 0 && u < 1);
    cell[(int)(u * 16)]++;
  }
  double chi2 = 0;
  for (int i = 0; i < 16; i++)
    chi2 += pow(cell[i] - N / 16.0, 2) / (N / 16.0);
  cr_assert_lt(chi2, 60.0); /* chi-square, 15 degrees: P(> 60) = 2e-7 */
}

Test(rng, uniform_never_reaches_its_ends) {
  /* The extreme words, put where the stream would read them. */
  isc_rng r = {.word = {0, 0, 0xffffffff, 0xffffffff}, .used = 0};
  cr_assert_eq(isc_rng_uniform(&r), 0x1p-53);
  cr_assert_eq(isc_rng_uniform(&r), 1 - 0x1p-53);
}

Test(rng, below_is_even_on_a_size_that_does_not_divide_the_words) {
  enum { N = 70000, K = 7 };
  int count[K] = {0};
  isc_rng r = isc_rng_at(4, ISC_RNG_USER, 0);
  for (int i = 0; i < N; i++)
    count[isc_rng_below(&r, K)]++;
  double chi2 = 0;
  for (int i = 0; i < K; i++)
    chi2 += pow(count[i] - N / (double)K, 2) / (N / (double)K);
  cr_assert_lt(chi2, 40.0); /* 6 degrees: P(> 40) = 5e-7 */
  cr_assert_eq(isc_rng_below(&r, 1), 0);
}

Test(rng, below_rejects_the_words_that_would_bias_it) {
  /* n = 3 * 2^62: products whose low half is below 2^64 mod n = 2^62 are rejected, or some values
   * would come twice as often as others. The word 0 is such a one and must be skipped. */
  isc_rng r = isc_rng_at(5, ISC_RNG_USER, 0);
  r.used = 0;
  memset(r.word, 0, 8);
  r.word[2] = 1;
  r.word[3] = 0x80000000u; /* next 2^63 + 1, whose product 3 * 2^125 + 3 * 2^62 is kept */
  cr_assert_eq(isc_rng_below(&r, (uint64_t)3 << 62), (uint64_t)3 << 61);
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Kolmogorov-Smirnov distance of x from the standard normal. */
static double ks_normal(float *x, int64_t n) {
  double worst = 0;
  qsort(x, (size_t)n, sizeof *x, by_value);
  for (int64_t i = 0; i < n; i++) {
    double cdf = 0.5 * erfc(-x[i] / sqrt(2.0));
    worst = fmax(worst, fmax(cdf - (double)i / (double)n, (double)(i + 1) / (double)n - cdf));
  }
  return worst;
}

Test(rng, normals_follow_the_normal_law) {
  enum { N = 40000 };
  float *many = malloc(N * sizeof *many), *one = malloc(N * sizeof *one);
  isc_rng r = isc_rng_at(6, ISC_RNG_USER, 0), s = isc_rng_at(6, ISC_RNG_USER, 1);
  isc_rng_normals(&r, many, N);
  for (int i = 0; i < N; i++)
    one[i] = (float)isc_rng_normal(&s);
  /* P(sqrt(n) D > 2.7) = 2 exp(-2 * 2.7^2) = 9e-7 */
  cr_assert_lt(ks_normal(many, N) * sqrt(N), 2.7);
  cr_assert_lt(ks_normal(one, N) * sqrt(N), 2.7);
  free(many);
  free(one);
}

Test(rng, normals_are_box_muller_on_single_words_sine_first) {
  float got[5];
  isc_rng r = isc_rng_at(7, 1, 9), raw = isc_rng_at(7, 1, 9);
  isc_rng_normals(&r, got, 5);
  for (int i = 0; i < 5; i += 2) {
    double u = (isc_rng_u32(&raw) + 0.5) / 4294967296.0,
           v = (isc_rng_u32(&raw) + 0.5) / 4294967296.0;
    double radius = sqrt(-2 * log(u)), angle = 2 * 3.14159265358979323846 * v;
    /* half a unit in the last place of a float below 8 */
    cr_assert_float_eq(got[i], radius * sin(angle), 2.4e-7);
    if (i + 1 < 5) cr_assert_float_eq(got[i + 1], radius * cos(angle), 2.4e-7);
  }
  cr_assert_eq(isc_rng_u32(&r), isc_rng_u32(&raw), "an odd count uses a whole pair of words");
}

Test(rng, permute_is_a_bijection_for_every_small_size) {
  for (uint64_t n = 1; n <= 70; n++) {
    bool seen[70] = {false};
    for (uint64_t i = 0; i < n; i++) {
      uint64_t p = isc_rng_permute(8, ISC_RNG_SPLIT, n, i);
      cr_assert(p < n && !seen[p], "n = %lu, i = %lu", (unsigned long)n, (unsigned long)i);
      seen[p] = true;
    }
  }
}

Test(rng, permute_is_a_bijection_of_a_large_odd_size) {
  enum { N = 100003 };
  bool *seen = calloc(N, 1);
  for (uint64_t i = 0; i < N; i++) {
    uint64_t p = isc_rng_permute(9, ISC_RNG_SPLIT, N, i);
    cr_assert(p < N && !seen[p]);
    seen[p] = true;
  }
  free(seen);
}

Test(rng, permute_reaches_every_size) {
  /* 2^64 - 1 is the largest n there is; the result must only be inside, and differ from another. */
  uint64_t a = isc_rng_permute(1, 1, UINT64_MAX, 0), b = isc_rng_permute(1, 1, UINT64_MAX, 1);
  cr_assert_lt(a, UINT64_MAX);
  cr_assert_neq(a, b);
}

Test(rng, permute_sends_a_position_evenly_over_seeds) {
  enum { N = 5, SEEDS = 20000 };
  int count[N][N] = {{0}};
  for (uint64_t seed = 0; seed < SEEDS; seed++)
    for (uint64_t i = 0; i < N; i++)
      count[i][isc_rng_permute(seed, ISC_RNG_SPLIT, N, i)]++;
  for (int i = 0; i < N; i++) {
    double chi2 = 0;
    for (int j = 0; j < N; j++)
      chi2 += pow(count[i][j] - SEEDS / (double)N, 2) / (SEEDS / (double)N);
    cr_assert_lt(chi2, 40.0, "position %d: %g", i, chi2); /* 4 degrees: P(> 40) = 4e-8 */
  }
}
