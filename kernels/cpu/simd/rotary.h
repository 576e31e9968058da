/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary position embedding.
 *
 * A head's two halves are turned against each other, a vector of columns at a time; both are read before either is
 * written, so that it may be done in place.
 */
#ifndef ISC_CPU_ROTARY_H
#define ISC_CPU_ROTARY_H

#include "rows.h"

/* One head: x, y [2 half]; c, s [half]; sign 1, or −1 for the inverse. */
INLINE void rotary_head(int64_t half, float sign, const float *x, const float *c, const float *s,
                        float *y) {
  for (int64_t j = 0; j < half; j += W) {
    const int64_t left = half - j;
    const vf a = vload_part(x + j, left, 0.0f), b = vload_part(x + half + j, left, 0.0f);
    const vf cosine = vload_part(c + j, left, 0.0f);
    const vf sine = vload_part(s + j, left, 0.0f) * vset1(sign);
    vstore_part(y + j, left, a * cosine - b * sine);
    vstore_part(y + half + j, left, b * cosine + a * sine);
  }
}

static void rotary_job(void *ctx, int64_t begin, int64_t end, int thread) {
  const isc_rotary *a = ctx;
  const int64_t half = a->d_rot / 2, turned = a->heads * a->d_head;
  (void)thread;
  for (int64_t r = begin; r < end; r++) {
    const float *x = a->x + r * a->width, *c = a->cos + a->pos[r] * half,
                *s = a->sin + a->pos[r] * half;
    float *y = a->y + r * a->width;
    for (int64_t h = 0; h < turned; h += a->d_head) {
      rotary_head(half, a->inverse ? -1.0f : 1.0f, x + h, c, s, y + h);
      if (x != y)
        memcpy(y + h + 2 * half, x + h + 2 * half, (size_t)(a->d_head - 2 * half) * sizeof *y);
    }
    if (x != y) memcpy(y + turned, x + turned, (size_t)(a->width - turned) * sizeof *y);
  }
}

static isc_status rotary(cpu *c, const isc_rotary *a) {
  if (a->width <= 0) return ISC_OK;
  cpu_for(c, a->rows, row_grain(a->width, 16384), rotary_job, (void *)a);
  return ISC_OK;
}

#endif
