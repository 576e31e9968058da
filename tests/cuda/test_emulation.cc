/* SPDX-License-Identifier: Apache-2.0
 *
 * The instrument itself: the emulation finds what it is there to find, and runs right kernels right.
 *
 * Each defect is a kernel with one thing left out; beside it stands the kernel that has it.
 */
#include "emulation.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const char *run(void (*kernel)(const void *), const void *args, unsigned blocks,
                       unsigned threads, uint64_t seed, int order = ISC_EMULATED_RANDOM,
                       size_t shared = 0) {
  isc_emulated_launch l = {kernel, args, {blocks, 1, 1}, {threads, 1, 1}, shared, order, seed};
  return isc_emulated_run(&l);
}

enum { N = 96 };
struct arrays {
  const float *in;
  float *out;
  int32_t *count;
};

/* ---- barriers */

/* Reverses a block's elements through shared memory. */
template <bool BARRIER> static void reverse(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  SHARED(float, s, [N]);
  s[threadIdx.x] = a.in[threadIdx.x];
  if (BARRIER) __syncthreads();
  a.out[threadIdx.x] = s[N - 1 - threadIdx.x];
}

/* Rotates a block's elements `ROUNDS` times; without the second barrier a round overwrites what another thread still reads. */
template <bool BARRIER> static void rotate(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  SHARED(float, s, [N]);
  float x = a.in[threadIdx.x];
  for (int i = 0; i < 3; i++) {
    s[threadIdx.x] = x;
    __syncthreads();
    x = s[(threadIdx.x + 1) % N];
    if (BARRIER) __syncthreads();
  }
  a.out[threadIdx.x] = x;
}

static bool is_right(void (*kernel)(const void *), uint64_t seed, int order, bool reversed) {
  float in[N], out[N] = {0};
  const arrays a = {in, out, NULL};
  for (int i = 0; i < N; i++)
    in[i] = (float)i;
  const char *problem = run(kernel, &a, 1, N, seed, order);
  cr_assert(!problem, "%s", problem);
  for (int i = 0; i < N; i++)
    if (!(out[i] == in[reversed ? N - 1 - i : (i + 3) % N])) return false;
  return true;
}

Test(emulation, kernels_with_their_barriers_are_right_in_every_order) {
  for (uint64_t seed = 0; seed < 20; seed++) {
    cr_assert(is_right(reverse<true>, seed, ISC_EMULATED_RANDOM, true));
    cr_assert(is_right(rotate<true>, seed, ISC_EMULATED_RANDOM, false));
  }
  for (int order : {ISC_EMULATED_FORWARD, ISC_EMULATED_BACKWARD}) {
    cr_assert(is_right(reverse<true>, 0, order, true));
    cr_assert(is_right(rotate<true>, 0, order, false));
  }
}

Test(emulation, a_missing_barrier_is_found_with_any_seed) {
  for (uint64_t seed = 0; seed < 20; seed++) {
    cr_assert_not(is_right(reverse<false>, seed, ISC_EMULATED_RANDOM, true));
    cr_assert_not(is_right(rotate<false>, seed, ISC_EMULATED_RANDOM, false));
  }
}

/* ---- the vote of a barrier */

static void vote(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  const int one = __syncthreads_or(threadIdx.x == 77), none = __syncthreads_or(0);
  a.out[threadIdx.x] = (float)(one * 10 + none);
}

Test(emulation, a_barriers_vote_reaches_all) {
  float out[N];
  const arrays a = {NULL, out, NULL};
  cr_assert(!run(vote, &a, 1, N, 3));
  for (int i = 0; i < N; i++)
    cr_assert_eq(out[i], 10.0f);
}

/* ---- leaving early */

/* Threads above 40 leave; a barrier and the operations of a warp go on with those who stay. */
static void leave(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  SHARED(float, s, [64]);
  if (threadIdx.x >= 40) return;
  s[threadIdx.x] = 1.0f;
  __syncthreads();
  float sum = 0.0f;
  for (int i = 0; i < 40; i++)
    sum += s[i];
  const unsigned here = __ballot_sync(FULL, 1);
  a.out[threadIdx.x] = sum + (float)__popc(here);
}

Test(emulation, threads_that_leave_are_not_waited_for) {
  float out[64] = {0};
  const arrays a = {NULL, out, NULL};
  for (uint64_t seed = 0; seed < 5; seed++) {
    cr_assert(!run(leave, &a, 1, 64, seed));
    cr_assert_eq(out[3], 40.0f + 32.0f);
    cr_assert_eq(out[35], 40.0f + 8.0f);
    cr_assert_eq(out[50], 0.0f);
  }
}

/* Half of a block waits at a barrier, the other half in a warp for a lane that waits at the barrier. */
static void stuck(const void *) {
  if (threadIdx.x % 2)
    __syncthreads();
  else
    __shfl_sync(FULL, 1, 1);
}

static void fine(const void *p) {
  static_cast<const arrays *>(p)->out[threadIdx.x] = 5.0f;
}

Test(emulation, threads_that_wait_for_each_other_are_reported_and_the_next_launch_is_well) {
  float out[64];
  const arrays a = {NULL, out, NULL};
  cr_assert(run(stuck, &a, 2, 64, 1));
  cr_assert(!run(fine, &a, 1, 64, 1));
  for (int i = 0; i < 64; i++)
    cr_assert_eq(out[i], 5.0f);
}

/* ---- operations of a warp */

static void shuffles(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  const int lane = (int)threadIdx.x % 32;
  double sum = (double)lane;
  for (int d = 16; d > 0; d /= 2)
    sum += __shfl_xor_sync(FULL, sum, d);
  const int up = __shfl_up_sync(FULL, lane, 1), down = __shfl_down_sync(FULL, lane, 1);
  const unsigned odd = __ballot_sync(FULL, lane & 1);
  const bool right = sum == 496.0 && up == (lane ? lane - 1 : 0) &&
                     down == (lane < 31 ? lane + 1 : 31) && odd == 0xaaaaaaaau &&
                     __shfl_sync(FULL, lane * 3, 7) == 21 && __any_sync(FULL, lane == 9) &&
                     !__all_sync(FULL, lane == 9) && __all_sync(FULL, 1);
  a.out[threadIdx.x] = right ? 1.0f : 0.0f;
}

Test(emulation, shuffles_and_votes_of_a_warp) {
  for (uint64_t seed = 0; seed < 5; seed++) {
    float out[N] = {0};
    const arrays a = {NULL, out, NULL};
    cr_assert(!run(shuffles, &a, 1, N, seed));
    for (int i = 0; i < N; i++)
      cr_assert_eq(out[i], 1.0f, "thread %d", i);
  }
}

/* The two halves of a warp meet apart, and a lane that is not there gives nothing useful. */
static void halves(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  const int lane = (int)threadIdx.x;
  int got, beyond = 0;
  if (lane < 16) {
    got = __shfl_xor_sync(0x0000ffffu, lane, 1);
    beyond = __shfl_sync(0x0000ffffu, lane, 20);
  } else {
    got = __shfl_xor_sync(0xffff0000u, lane, 2);
  }
  a.out[lane] = (float)got;
  a.count[lane] = beyond;
}

Test(emulation, parts_of_a_warp_meet_apart) {
  float out[32];
  int32_t beyond[32];
  const arrays a = {NULL, out, beyond};
  for (uint64_t seed = 0; seed < 5; seed++) {
    cr_assert(!run(halves, &a, 1, 32, seed));
    for (int i = 0; i < 32; i++) {
      cr_assert_eq(out[i], (float)(i ^ (i < 16 ? 1 : 2)));
      if (i < 16) cr_assert(beyond[i] < 0 || beyond[i] > 31);
    }
  }
}

/* A warp's threads are not in step by themselves: without __syncwarp a neighbour's write is not there yet. */
template <bool SYNC> static void neighbours(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  SHARED(float, s, [32]);
  s[threadIdx.x] = (float)threadIdx.x;
  if (SYNC) __syncwarp();
  a.out[threadIdx.x] = s[(threadIdx.x + 1) % 32];
}

Test(emulation, a_warp_out_of_step_is_found) {
  float out[32];
  const arrays a = {NULL, out, NULL};
  for (uint64_t seed = 0; seed < 20; seed++) {
    bool right = true;
    cr_assert(!run(neighbours<true>, &a, 1, 32, seed));
    for (int i = 0; i < 32; i++)
      cr_assert_eq(out[i], (float)((i + 1) % 32));
    cr_assert(!run(neighbours<false>, &a, 1, 32, seed));
    for (int i = 0; i < 32; i++)
      right = right && out[i] == (float)((i + 1) % 32);
    cr_assert_not(right);
  }
}

/* ---- atomics, grids, memory */

static void count(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(a.count, 1);
  atomicMax(a.count + 1, i);
  atomicCAS(a.count + 2, 0, i + 1);
}

Test(emulation, atomics_see_every_thread_of_the_grid) {
  int32_t counts[3] = {0};
  const arrays a = {NULL, NULL, counts};
  cr_assert(!run(count, &a, 7, 33, 1));
  cr_assert_eq(counts[0], 7 * 33);
  cr_assert_eq(counts[1], 7 * 33 - 1);
  cr_assert(counts[2] >= 1 && counts[2] <= 33, "the first block sets it");
}

static void places(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  const unsigned t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  a.count[b * blockDim.x * blockDim.y * blockDim.z + t]++;
}

Test(emulation, every_thread_of_every_block_runs_once) {
  int32_t counts[2 * 3 * 2 * 4 * 3 * 2] = {0};
  const arrays a = {NULL, NULL, counts};
  isc_emulated_launch l = {places, &a, {2, 3, 2}, {4, 3, 2}, 0, ISC_EMULATED_RANDOM, 9};
  cr_assert(!isc_emulated_run(&l));
  for (int32_t c : counts)
    cr_assert_eq(c, 1);
}

/* Shared memory begins as NaN in every block, also where an earlier block wrote. */
static void unwritten(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  SHARED(float, s, [2]);
  DYNAMIC(float, d);
  a.out[blockIdx.x] = s[0] + d[1];
  s[0] = d[1] = 1.0f;
}

Test(emulation, shared_memory_begins_unwritten) {
  float out[3] = {0};
  const arrays a = {NULL, out, NULL};
  cr_assert(!run(unwritten, &a, 3, 1, 1, ISC_EMULATED_RANDOM, 8));
  for (float x : out)
    cr_assert(isnan(x));
}

Test(emulation, a_block_of_no_or_too_many_threads_is_refused) {
  cr_assert(run(fine, NULL, 1, 0, 1));
  cr_assert(run(fine, NULL, 1, 1025, 1));
}

#if defined(__SANITIZE_ADDRESS__)
static void too_far(const void *p) {
  const arrays &a = *static_cast<const arrays *>(p);
  SHARED(float, s, [8]);
  s[threadIdx.x] = 1.0f;
  a.out[threadIdx.x] = s[0];
}

/* Ends the process with the sanitizer's exit code. */
Test(emulation, an_index_beyond_shared_memory_is_found_by_the_sanitizer, .exit_code = 1) {
  float out[9];
  const arrays a = {NULL, out, NULL};
  run(too_far, &a, 1, 9, 1);
}
#endif
