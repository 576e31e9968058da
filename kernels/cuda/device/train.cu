/* SPDX-License-Identifier: Apache-2.0
 *
 * What is between the products of the vocabulary loss and of the control layers' gradient.
 */
#include "tensor.h"

/* The gradient to a row of logits of which p = f·exp(l − most), in pairs of bf16. */
DEVICE void gradient_in_halves(const float *l, float most, float f, int64_t target, float weight,
                               int64_t vocab, uint16_t *out) {
  for (int64_t j = 2 * threadIdx.x; j < vocab; j += 2 * XENT_THREADS) {
    const float p = expf(l[j] - most) * f, q = j + 1 < vocab ? expf(l[j + 1] - most) * f : 0.0f;
    *reinterpret_cast<uint32_t *>(out + j) =
        halves_of(j == target ? p - weight : p, j + 1 == target ? q - weight : q);
  }
}

/* A block takes a row of logits: its log probability, and in place of the logits, or beside them, their gradient. */
KERNEL(xent, XENT_THREADS) {
  SHARED(float, room, [XENT_THREADS / WARP]);
  SHARED(double, wide, [XENT_THREADS / WARP]);
  const int64_t r = a.row ? a.row[blockIdx.x] : (int64_t)blockIdx.x, target = a.target[r];
  float *l = a.logits + blockIdx.x * a.vocab, most = -INF;
  for (int64_t j = threadIdx.x; j < a.vocab; j += XENT_THREADS)
    most = fmaxf(most, l[j]);
  most = block_max<XENT_THREADS / WARP>(most, room);
  const float at = l[target] - most;
  double sum = 0.0;
  for (int64_t j = threadIdx.x; j < a.vocab; j += XENT_THREADS)
    sum += (double)expf(l[j] - most);
  sum = block_sum<XENT_THREADS / WARP>(sum, wide);
  if (threadIdx.x == 0) a.logp[r] = (float)((double)at - log(sum));
  if (!a.gradient) return;
  const float weight = a.weight ? a.weight[r] : 1.0f, f = (float)((double)weight / sum);
  if (a.half) {
    gradient_in_halves(l, most, f, target, weight, a.vocab, a.half + blockIdx.x * a.half_ld);
    return;
  }
  for (int64_t j = threadIdx.x; j < a.vocab; j += XENT_THREADS) {
    const float p = expf(l[j] - most) * f;
    l[j] = j == target ? p - weight : p;
  }
}

KERNEL(control_slope, 256) {
  const int64_t n = a.batch * a.len * a.heads;
  for (int64_t i = global_thread(); i < n; i += grid_threads())
    a.ds[i] = a.ds[i] * (1.0f - a.omega[i] * a.omega[i]) * a.scale;
}

/* dc[b, m] = Σ_t ds[b, t, m] */
KERNEL(control_sum, 256) {
  for (int64_t i = global_thread(); i < a.batch * a.heads; i += grid_threads()) {
    const float *ds = a.ds + i / a.heads * a.len * a.heads + i % a.heads;
    float s = 0.0f;
    for (int64_t t = 0; t < a.len; t++)
      s += ds[t * a.heads];
    a.dc[i] = s;
  }
}
