/* SPDX-License-Identifier: Apache-2.0
 *
 * CUDA's execution model on the host, as far as the CUDA backend's kernels use it: what device/device.h includes where there
 * is no nvcc.
 *
 * The threads of a block are fibers of one thread of the host. They change over only at barriers and at operations of a
 * warp, in an order drawn anew for each launch; shared memory is on the heap and begins as NaN. So a missing barrier, a
 * read of what was never written, or an index too far shows as a wrong result or as a report of the address sanitizer.
 */
#ifndef ISC_TESTS_CUDA_EMULATION_H
#define ISC_TESTS_CUDA_EMULATION_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- what runs: emulation.cc */

typedef struct isc_emulated_index {
  unsigned x, y, z;
} isc_emulated_index;

/* Where the thread at work is. */
typedef struct isc_emulated_place {
  isc_emulated_index thread, block, block_size, grid_size;
} isc_emulated_place;
extern isc_emulated_place *isc_emulated_now;

/* In which order the threads that can go on do. */
enum { ISC_EMULATED_RANDOM, ISC_EMULATED_FORWARD, ISC_EMULATED_BACKWARD };

typedef struct isc_emulated_launch {
  void (*kernel)(const void *args);
  const void *args;
  isc_emulated_index grid, block;
  size_t shared; /* bytes that the launch asks for */
  int order;
  uint64_t seed;
} isc_emulated_launch;
/* NULL, or what went wrong. One launch runs at a time; others wait. */
const char *isc_emulated_run(const isc_emulated_launch *launch);

void *isc_emulated_shared(const void *key, size_t bytes);
void *isc_emulated_dynamic(void);
int isc_emulated_barrier(int vote); /* the votes of all threads, or-ed */
/* The lanes of `mask` meet; each gives `bytes` ≤ 32 and may then read what lane i gave: NULL if it did not come. */
enum { ISC_EMULATED_GIFT = 32 };
typedef struct isc_emulated_meeting {
  uint32_t came;
  unsigned char gift[32][ISC_EMULATED_GIFT];
} isc_emulated_meeting;
const isc_emulated_meeting *isc_emulated_meet(uint32_t mask, const void *gift, size_t bytes);

/* Copies of 16 bytes into shared memory by a thread. What they write is NaN from the beginning of a copy until the thread
 * waits for its group. */
void isc_emulated_copy(void *to, const void *from);
void isc_emulated_commit(void);
void isc_emulated_wait(
    int groups); /* until no more than so many groups, the latest, are under way */
/* The launch ends, and this is what was wrong. */
[[noreturn]] void isc_emulated_wrong(const char *what);
/* Of all launches: rows of matrices that a warp read later than it might, for they lay in one bank with others. */
extern uint64_t isc_emulated_conflicts;

/* ---- CUDA's names */

#define __global__
#define threadIdx (isc_emulated_now->thread)
#define blockIdx  (isc_emulated_now->block)
#define blockDim  (isc_emulated_now->block_size)
#define gridDim   (isc_emulated_now->grid_size)

#define DEVICE        static inline __attribute__((unused))
#define DEVICE_MEMBER inline
#define UNROLL
#define ROLLED
#define FULL    0xffffffffu
#define INF     __builtin_inff()
#define BITS(x) __float_as_uint(x)
/* Rounded twice: within the contract's tolerance, and fast where the processor has no such instruction. */
#define FMA(a, b, c) ((a) * (b) + (c))

/* A kernel, and the function by which the driver's emulation calls it. */
#define KERNEL(name, threads)                                                                      \
  static void emulated_##name(const cuda_args_##name &a);                                          \
  extern "C" void isc_emulated_##name(const void *args) {                                          \
    emulated_##name(*static_cast<const cuda_args_##name *>(args));                                 \
  }                                                                                                \
  static void emulated_##name(const cuda_args_##name &a)
#define KERNEL_TOGETHER(name, threads, blocks) KERNEL(name, threads)

#define SHARED(type, name, size)                                                                   \
  typedef type name##_type size;                                                                   \
  static const char name##_key = 0;                                                                \
  name##_type &name =                                                                              \
      *static_cast<name##_type *>(isc_emulated_shared(&name##_key, sizeof(name##_type)))
#define DYNAMIC(type, name) type *name = static_cast<type *>(isc_emulated_dynamic())

struct uint4 {
  unsigned x, y, z, w;
};
struct float2 {
  float x, y;
};
struct float4 {
  float x, y, z, w;
};

DEVICE uint32_t __float_as_uint(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}
DEVICE float __uint_as_float(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}
DEVICE int __popc(unsigned x) {
  return __builtin_popcount(x);
}

DEVICE void __syncthreads() {
  isc_emulated_barrier(0);
}
DEVICE int __syncthreads_or(int vote) {
  return isc_emulated_barrier(vote);
}
DEVICE void __syncwarp(unsigned mask = FULL) {
  isc_emulated_meet(mask, "", 1);
}

DEVICE int emulated_lane() {
  return (int)((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32);
}
/* What a lane gives that does not come is undefined: a pattern that shows. */
template <class T> T emulated_shuffle(unsigned mask, T x, int from) {
  const isc_emulated_meeting *m = isc_emulated_meet(mask, &x, sizeof x);
  memset(&x, 0xEF, sizeof x);
  if (from >= 0 && from < 32 && m->came >> from & 1) memcpy(&x, m->gift[from], sizeof x);
  return x;
}
template <class T> T __shfl_sync(unsigned mask, T x, int lane) {
  return emulated_shuffle(mask, x, lane & 31);
}
template <class T> T __shfl_xor_sync(unsigned mask, T x, int lanes) {
  return emulated_shuffle(mask, x, emulated_lane() ^ lanes);
}
template <class T> T __shfl_down_sync(unsigned mask, T x, int lanes) {
  const int from = emulated_lane() + lanes;
  return emulated_shuffle(mask, x, from < 32 ? from : emulated_lane());
}
template <class T> T __shfl_up_sync(unsigned mask, T x, int lanes) {
  const int from = emulated_lane() - lanes;
  return emulated_shuffle(mask, x, from >= 0 ? from : emulated_lane());
}
DEVICE unsigned __ballot_sync(unsigned mask, int vote) {
  const unsigned char gift = vote != 0;
  const isc_emulated_meeting *m = isc_emulated_meet(mask, &gift, 1);
  unsigned votes = 0;
  for (int i = 0; i < 32; i++)
    if (m->came >> i & 1 && m->gift[i][0]) votes |= 1u << i;
  return votes;
}
DEVICE int __any_sync(unsigned mask, int vote) {
  return __ballot_sync(mask, vote) != 0;
}
DEVICE int __all_sync(unsigned mask, int vote) {
  return __ballot_sync(mask, !vote) == 0;
}

/* Fibers change over nowhere inside. */
template <class T> T atomicAdd(T *at, T x) {
  const T before = *at;
  *at = before + x;
  return before;
}
template <class T> T atomicMax(T *at, T x) {
  const T before = *at;
  if (x > before) *at = x;
  return before;
}
template <class T> T atomicCAS(T *at, T compare, T x) {
  const T before = *at;
  if (before == compare) *at = x;
  return before;
}

/* ---- around the tensor cores: device/tensor.h says what they do */

DEVICE void copy_16(void *to, const void *from) {
  isc_emulated_copy(to, from);
}
DEVICE void commit_copies() {
  isc_emulated_commit();
}
template <int GROUPS> void wait_copies() {
  isc_emulated_wait(GROUPS);
}

/* Where the lanes say that the rows of the four matrices lie. */
struct emulated_rows {
  const uint16_t *at[32];
};
DEVICE emulated_rows emulated_meet_rows(const uint16_t *row) {
  emulated_rows rows;
  if ((uintptr_t)row % 16 != 0) isc_emulated_wrong("a matrix's row is not on 16 bytes");
  const isc_emulated_meeting *m = isc_emulated_meet(FULL, &row, sizeof row);
  if (m->came != FULL) isc_emulated_wrong("matrices are loaded by a part of a warp");
  for (int i = 0; i < 32; i++)
    memcpy(&rows.at[i], m->gift[i], sizeof row);
  for (int q = 0; emulated_lane() == 0 && q < 4; q++) {
    unsigned banks = 0;
    for (int i = 0; i < 8; i++)
      banks |= 1u << (uintptr_t)rows.at[8 * q + i] / 16 % 8;
    isc_emulated_conflicts += (unsigned)(8 - __popc(banks));
  }
  return rows;
}
DEVICE void load_matrices(uint32_t (&out)[4], const uint16_t *row) {
  const emulated_rows rows = emulated_meet_rows(row);
  const int g = emulated_lane() / 4, t = emulated_lane() % 4;
  for (int q = 0; q < 4; q++)
    memcpy(&out[q], rows.at[8 * q + g] + 2 * t, sizeof out[q]);
}
DEVICE void load_matrices_transposed(uint32_t (&out)[4], const uint16_t *row) {
  const emulated_rows rows = emulated_meet_rows(row);
  const int g = emulated_lane() / 4, t = emulated_lane() % 4;
  for (int q = 0; q < 4; q++)
    out[q] = (uint32_t)rows.at[8 * q + 2 * t + 1][g] << 16 | rows.at[8 * q + 2 * t][g];
}

/* m16n8k16, with the elements where the PTX manual says that each lane holds them: lane 4g + t has of A rows g and g + 8,
 * columns 2t, 2t + 1, 2t + 8, 2t + 9; of B the same rows of column g; of D columns 2t, 2t + 1. */
DEVICE void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const uint32_t mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
  const isc_emulated_meeting *m = isc_emulated_meet(FULL, mine, sizeof mine);
  if (m->came != FULL) isc_emulated_wrong("a part of a warp multiplies");
  const int g = emulated_lane() / 4, t = emulated_lane() % 4;
  uint32_t lane_a[4][6], lane_b[2][4][6];
  for (int i = 0; i < 4; i++) {
    memcpy(lane_a[i], m->gift[4 * g + i], sizeof *lane_a);
    for (int col = 0; col < 2; col++)
      memcpy(lane_b[col][i], m->gift[4 * (2 * t + col) + i], sizeof **lane_b);
  }
  for (int q = 0; q < 4; q++)
    for (int k = 0; k < 16; k++) { /* row g + 8·(q / 2), column 2t + q % 2 */
      const uint32_t wa = lane_a[k % 8 / 2][q / 2 + 2 * (k / 8)];
      const uint32_t wb = lane_b[q % 2][k % 8 / 2][4 + k / 8];
      d[q] += __uint_as_float(k % 2 ? wa & 0xffff0000u : wa << 16) *
              __uint_as_float(k % 2 ? wb & 0xffff0000u : wb << 16);
    }
}

#endif
