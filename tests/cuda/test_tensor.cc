/* SPDX-License-Identifier: Apache-2.0
 *
 * The instruments around the tensor cores: what the emulation has for device/tensor.h, against the PTX manual's definitions,
 * and that it finds copies which nobody waited for.
 */
#include "emulation.h"

#include <criterion/criterion.h>

static const char *run(void (*kernel)(const void *), const void *args, unsigned threads,
                       uint64_t seed) {
  isc_emulated_launch l = {kernel, args, {1, 1, 1}, {threads, 1, 1}, 0, ISC_EMULATED_RANDOM, seed};
  return isc_emulated_run(&l);
}

struct arrays {
  const float *in;
  float *out;
  int32_t *count;
};

/* ---- copies into shared memory */

enum { PIECES = 32, EACH = 16 / sizeof(float) };

/* Two groups of copies, of which the thread waits for all but the latest `GROUPS`; then a neighbour's piece of the first. */
template <int GROUPS, bool BARRIER> static void copied(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  SHARED(float, s, [2 * PIECES * EACH]);
  const int i = (int)threadIdx.x, other = (i + 1) % PIECES;
  copy_16(&s[i * EACH], a.in + i * EACH);
  commit_copies();
  copy_16(&s[(PIECES + i) * EACH], a.in + i * EACH);
  commit_copies();
  wait_copies<GROUPS>();
  if (BARRIER) __syncthreads();
  for (int e = 0; e < EACH; e++)
    a.out[i * EACH + e] = s[other * EACH + e];
  a.count[i] = isnan(s[(PIECES + i) * EACH]);
  wait_copies<0>();
}

struct copied_right {
  bool first;
  int second_missing;
};
static copied_right run_copies(void (*kernel)(const void *), uint64_t seed) {
  alignas(16) float in[PIECES * EACH];
  float out[PIECES * EACH];
  int32_t missing[PIECES];
  const arrays a = {in, out, missing};
  for (int i = 0; i < PIECES * EACH; i++)
    in[i] = (float)i;
  cr_assert(!run(kernel, &a, PIECES, seed));
  copied_right r = {true, 0};
  for (int i = 0; i < PIECES * EACH; i++)
    r.first = r.first && out[i] == (float)((i + EACH) % (PIECES * EACH));
  for (int32_t x : missing)
    r.second_missing += x;
  return r;
}

Test(tensor, copies_are_there_when_they_were_waited_for_and_not_before) {
  for (uint64_t seed = 0; seed < 20; seed++) {
    const copied_right all = run_copies(copied<0, true>, seed),
                       latest_left = run_copies(copied<1, true>, seed),
                       none = run_copies(copied<2, true>, seed),
                       alone = run_copies(copied<0, false>, seed);
    cr_assert(all.first && all.second_missing == 0);
    cr_assert(latest_left.first && latest_left.second_missing == PIECES);
    cr_assert(!none.first && none.second_missing == PIECES);
    cr_assert(!alone.first, "without a barrier a neighbour's copy is not there yet");
  }
}

/* Copies that were never made a group of are waited for by nobody. */
static void uncommitted(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  SHARED(float, s, [EACH]);
  copy_16(s, a.in);
  wait_copies<0>();
  a.out[0] = s[0];
}

/* A copy into what others still read. */
template <bool BARRIER> static void overwritten(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  SHARED(float, s, [PIECES * EACH]);
  const int i = (int)threadIdx.x;
  s[i * EACH] = 1.0f;
  __syncthreads();
  a.out[i] = s[(i + 1) % PIECES * EACH];
  if (BARRIER) __syncthreads();
  copy_16(&s[i * EACH], a.in);
  commit_copies();
  wait_copies<0>();
}

Test(tensor, copies_that_come_too_late_or_too_early_are_found) {
  alignas(16) const float in[EACH] = {2.0f, 2.0f, 2.0f, 2.0f};
  float out[PIECES] = {0};
  const arrays a = {in, out, NULL};
  cr_assert(!run(uncommitted, &a, 1, 1));
  cr_assert(isnan(out[0]));
  for (uint64_t seed = 0; seed < 20; seed++) {
    bool right = true;
    cr_assert(!run(overwritten<true>, &a, PIECES, seed));
    for (float x : out)
      cr_assert_eq(x, 1.0f);
    cr_assert(!run(overwritten<false>, &a, PIECES, seed));
    for (float x : out)
      right = right && x == 1.0f;
    cr_assert_not(right);
  }
}

template <int TO, int FROM> static void misplaced(const void *p) {
  SHARED(float, s, [2 * EACH]);
  copy_16(s + TO, static_cast<const arrays *>(p)->in + FROM);
}

Test(tensor, copies_off_their_boundaries_are_refused) {
  alignas(16) const float in[2 * EACH] = {0};
  const arrays a = {in, NULL, NULL};
  cr_assert(!run(misplaced<0, EACH>, &a, 1, 1));
  cr_assert(run(misplaced<1, 0>, &a, 1, 1));
  cr_assert(run(misplaced<0, 2>, &a, 1, 1));
}

/* ---- around the tensor cores: layouts as the PTX manual has them (mma.m16n8k16, ldmatrix) */

/* Matrix q's element (row, col) is 64q + 8·row + col. LINE: elements from one row to the next. */
template <bool TRANSPOSED, int LINE> static void matrices(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  const int lane = (int)threadIdx.x;
  uint32_t got[4];
  SHARED(uint16_t, s, [32 * LINE]);
  for (int col = 0; col < 8; col++)
    s[lane * LINE + col] = (uint16_t)(lane * 8 + col);
  __syncwarp();
  if (TRANSPOSED)
    load_matrices_transposed(got, s + lane * LINE);
  else
    load_matrices(got, s + lane * LINE);
  for (int q = 0; q < 4; q++)
    a.count[lane * 4 + q] = (int32_t)got[q];
}

template <bool TRANSPOSED, int LINE> static void check_matrices() {
  int32_t got[32 * 4];
  const arrays a = {NULL, NULL, got};
  for (uint64_t seed = 0; seed < 5; seed++) {
    cr_assert(!run(matrices<TRANSPOSED, LINE>, &a, 32, seed));
    for (int lane = 0; lane < 32; lane++)
      for (int q = 0; q < 4; q++) {
        const int row = lane / 4, col = lane % 4 * 2;
        const int low = TRANSPOSED ? 8 * col + row : 8 * row + col;
        const int high = TRANSPOSED ? 8 * (col + 1) + row : 8 * row + col + 1;
        cr_assert_eq(got[lane * 4 + q], (64 * q + high) << 16 | (64 * q + low), "lane %d, %d", lane,
                     q);
      }
  }
}

Test(tensor, matrices_come_to_the_lanes_that_the_manual_names) {
  check_matrices<false, 8>();
  check_matrices<true, 8>();
  check_matrices<false, 72>();
}

/* Eight rows of 16 bytes fill all banks where they lie together, and one place of them where they lie 128 bytes apart. */
Test(tensor, rows_in_one_bank_are_counted) {
  int32_t got[32 * 4];
  const arrays a = {NULL, NULL, got};
  const uint64_t before = isc_emulated_conflicts;
  cr_assert(!run(matrices<false, 8>, &a, 32, 1));
  cr_assert(!run(matrices<false, 72>, &a, 32, 1));
  cr_assert_eq(isc_emulated_conflicts, before);
  cr_assert(!run(matrices<true, 64>, &a, 32, 1));
  cr_assert_eq(isc_emulated_conflicts, before + 4 * 7);
}

static void misplaced_matrix(const void *) {
  uint32_t got[4];
  SHARED(uint16_t, s, [512]);
  load_matrices(got, s + (int)threadIdx.x * 8 + (threadIdx.x == 9));
}
static void part_of_a_warp(const void *) {
  uint32_t got[4];
  SHARED(uint16_t, s, [512]);
  if (threadIdx.x < 8) return;
  load_matrices(got, s + (int)threadIdx.x * 8);
}

Test(tensor, matrices_off_their_boundaries_or_for_a_part_of_a_warp_are_refused) {
  cr_assert(run(misplaced_matrix, NULL, 32, 1));
  cr_assert(run(part_of_a_warp, NULL, 32, 1));
}

struct product {
  float a[16][16], b[16][8], c[16][8]; /* numbers of bf16 */
  float d[16][8];
};

static uint32_t two_halves(float low, float high) {
  return __float_as_uint(high) | __float_as_uint(low) >> 16;
}

/* The manual's: groupID = lane / 4, threadID_in_group = lane % 4; a_i in row groupID, + 8 for i in 2, 3, 6, 7, column
 * 2·threadID + i % 2, + 8 from i = 4 on; b_i in row 2·threadID + i % 2, + 8 from i = 2 on, column groupID; c_i in row
 * groupID, + 8 from i = 2 on, column 2·threadID + i % 2. */
static void product_of_a_warp(const void *args) {
  product &p = **static_cast<product *const *>(args);
  const int lane = (int)threadIdx.x, group = lane / 4, in_group = lane % 4;
  float a[8], b[4], d[4];
  for (int i = 0; i < 8; i++)
    a[i] = p.a[group + (i % 4 >= 2 ? 8 : 0)][in_group * 2 + i % 2 + (i >= 4 ? 8 : 0)];
  for (int i = 0; i < 4; i++)
    b[i] = p.b[in_group * 2 + i % 2 + (i >= 2 ? 8 : 0)][group];
  for (int i = 0; i < 4; i++)
    d[i] = p.c[group + (i >= 2 ? 8 : 0)][in_group * 2 + i % 2];
  const uint32_t fa[4] = {two_halves(a[0], a[1]), two_halves(a[2], a[3]), two_halves(a[4], a[5]),
                          two_halves(a[6], a[7])};
  multiply(d, fa, two_halves(b[0], b[1]), two_halves(b[2], b[3]));
  for (int i = 0; i < 4; i++)
    p.d[group + (i >= 2 ? 8 : 0)][in_group * 2 + i % 2] = d[i];
}

/* Whole numbers, whose sums f32 has exactly. */
Test(tensor, a_product_of_a_warp_is_the_product_of_its_matrices) {
  product p = {}, *at = &p;
  for (int i = 0; i < 16; i++)
    for (int k = 0; k < 16; k++)
      p.a[i][k] = (float)((i * 37 + k * 11) % 101 - 50);
  for (int k = 0; k < 16; k++)
    for (int j = 0; j < 8; j++)
      p.b[k][j] = (float)((k * 29 + j * 53) % 97 - 48);
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 8; j++)
      p.c[i][j] = (float)(i * 8 + j);
  for (uint64_t seed = 0; seed < 5; seed++) {
    memset(p.d, 0xFF, sizeof p.d);
    cr_assert(!run(product_of_a_warp, &at, 32, seed));
    for (int i = 0; i < 16; i++)
      for (int j = 0; j < 8; j++) {
        float want = p.c[i][j];
        for (int k = 0; k < 16; k++)
          want += p.a[i][k] * p.b[k][j];
        cr_assert_eq(p.d[i][j], want, "[%d, %d] is %g, not %g", i, j, (double)p.d[i][j],
                     (double)want);
      }
  }
}
