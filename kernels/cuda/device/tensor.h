/* SPDX-License-Identifier: Apache-2.0
 *
 * The instructions around the tensor cores: copies that run ahead, matrices from shared memory, and the product itself.
 *
 * The emulation has functions of the same names (emulation.h), which hold to the same layouts.
 */
#ifndef ISC_CUDA_TENSOR_H
#define ISC_CUDA_TENSOR_H

#include "device.h"

#if defined(__CUDACC__)
DEVICE uint32_t shared_address(const void *p) {
  return (uint32_t)__cvta_generic_to_shared(p);
}

/* 16 bytes from global to shared memory while the thread goes on. Both lie on boundaries of 16 bytes. */
DEVICE void copy_16(void *to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
               :
               : "r"(shared_address(to)), "l"(from)
               : "memory");
}
/* The copies since the last call are a group. */
DEVICE void commit_copies() {
  asm volatile("cp.async.commit_group;" : : : "memory");
}
/* Waits until no more than `groups` of the thread's own groups, the latest, are under way. */
template <int GROUPS> DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" : : "n"(GROUPS) : "memory");
}

/* Four 8 × 8 matrices of 2-byte elements, lane 8q + r giving where row r of matrix q lies. Lane 4g + t gets elements 2t and
 * 2t + 1 of row g of each; transposed, of column g. */
DEVICE void load_matrices(uint32_t (&out)[4], const uint16_t *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(shared_address(row))
               : "memory");
}
DEVICE void load_matrices_transposed(uint32_t (&out)[4], const uint16_t *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(shared_address(row))
               : "memory");
}

/* d += a b for a [16, 16] by rows and b [16, 8] by columns, spread over the warp as the instruction wants it. Volatile, for
 * it shall stay behind the loads of the next fragments, whose time it fills. */
DEVICE void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
               "{%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* Two neighbours rounded to bf16, the first in the lower half. */
DEVICE uint32_t halves_of(float first, float second) {
  uint32_t both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
}
#else
DEVICE uint32_t halves_of(float first, float second) {
  return (uint32_t)half_of(second) << 16 | half_of(first);
}
#endif

#endif
