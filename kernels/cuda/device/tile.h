/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a block's tile of a product lies.
 *
 * All product kernels walk over C in the same way, whatever the size of their tiles.
 */
#ifndef ISC_CUDA_TILE_H
#define ISC_CUDA_TILE_H

#include "device.h"

/* Tile x of BM × BN. They are counted along groups of 8 tile rows, so that blocks at work together share what they read. */
template <int BM, int BN> DEVICE void tile_at(const gemm_args &a, int64_t x, int *i, int *j) {
  const int64_t down = (a.m + BM - 1) / BM, across = (a.n + BN - 1) / BN, group = 8 * across;
  const int64_t top = x / group * 8, high = least(8, down - top);
  *i = (int)(top + x % group % high);
  *j = (int)(x % group / high);
}

#endif
