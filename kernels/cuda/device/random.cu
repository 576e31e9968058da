/* SPDX-License-Identifier: Apache-2.0
 *
 * The operations that draw random numbers: tokens and noise directions, from the streams of inversescope/rng.h.
 */
#include "device.h"

/* Philox-4x32-10 at (key, index, block), as isc_philox. */
DEVICE void philox(uint64_t key, uint64_t index, uint64_t block, uint32_t (&out)[4]) {
  uint32_t c0 = (uint32_t)block, c1 = (uint32_t)(block >> 32);
  uint32_t c2 = (uint32_t)index, c3 = (uint32_t)(index >> 32);
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/* As isc_sample_uniform. */
DEVICE double uniform(uint64_t key, uint64_t index, uint32_t draw) {
  uint32_t w[4];
  philox(key, index, draw, w);
  const uint64_t bits = (uint64_t)w[1] << 32 | w[0];
  return ((double)(bits >> 12) + 0.5) * 0x1p-52;
}

/* Normals 4·block … 4·block + 3, as isc_rng_normals makes them. */
DEVICE void normals(uint64_t key, uint64_t index, uint64_t block, float (&g)[4]) {
  uint32_t w[4];
  philox(key, index, block, w);
  for (int i = 0; i < 4; i += 2) {
    const double u = ((double)w[i] + 0.5) * 0x1p-32;
    const double angle = 6.283185307179586476925286766559 * (((double)w[i + 1] + 0.5) * 0x1p-32);
    const double radius = sqrt(-2.0 * log(u));
    g[i] = (float)(radius * sin(angle));
    g[i + 1] = (float)(radius * cos(angle));
  }
}

/* ---- tokens */

/* The weight of token j beside the likeliest. */
DEVICE double weight(const sample_args &a, float logit, float most) {
  const double x = ((double)logit - (double)most) / a.temperature;
  return x < -708.0 ? 0.0 : exp(x);
}

struct sample_place {
  int tile;
  double sum, goal, reached; /* of the row; where the draw falls; the sum before the tile */
};

DEVICE void no_distribution(const sample_args &a) {
  a.id[blockIdx.x] = a.none;
  a.logp[blockIdx.x] = (double)(INF - INF);
}

/* A block takes a row: sums over tiles of ids, then the tile and the id in it that the uniform falls into. */
KERNEL(sample, SAMPLE_THREADS) {
  SHARED(float, room, [SAMPLE_THREADS / WARP]);
  SHARED(double, wide, [SAMPLE_THREADS / WARP]);
  SHARED(double, tiles, [SAMPLE_TILES]);
  SHARED(double, part, [SAMPLE_THREADS]);
  SHARED(sample_place, place, );
  const float *l = a.logits + blockIdx.x * a.vocab;
  const int t = threadIdx.x;
  float most = -INF;
  int bad = 0;
  for (int64_t j = t; j < a.vocab; j += SAMPLE_THREADS) {
    bad |= !(l[j] < INF);
    most = fmaxf(most, l[j]);
  }
  most = block_max<SAMPLE_THREADS / WARP>(most, room);
  if (__syncthreads_or(bad) || most == -INF) {
    if (t == 0) no_distribution(a);
    return;
  }
  const int n = (int)((a.vocab + a.tile - 1) / a.tile);
  for (int k = 0; k < n; k++) {
    double s = 0.0;
    for (int64_t j = k * a.tile + t; j < least((k + 1) * a.tile, a.vocab); j += SAMPLE_THREADS)
      s += weight(a, l[j], most);
    s = block_sum<SAMPLE_THREADS / WARP>(s, wide);
    if (t == 0) tiles[k] = s;
  }
  if (t == 0) { /* the tile that the uniform falls into */
    double sum = 0.0, reached = 0.0;
    for (int k = 0; k < n; k++)
      sum += tiles[k];
    const double goal = sum * uniform(a.key, a.index[blockIdx.x], a.draw);
    int k = 0;
    while (k + 1 < n && reached + tiles[k] <= goal)
      reached += tiles[k++];
    place = {k, sum, goal, reached};
  }
  __syncthreads();
  int64_t id = -1;
  for (int64_t begin = place.tile * a.tile; begin < a.vocab; begin += SAMPLE_THREADS) {
    part[t] = begin + t < a.vocab ? weight(a, l[begin + t], most) : 0.0;
    __syncthreads();
    for (int i = 0; t == 0 && i < SAMPLE_THREADS && id < 0; i++)
      if ((place.reached += part[i]) > place.goal) id = begin + i;
    if (__syncthreads_or(id >= 0)) break;
  }
  if (t != 0) return;
  if (id < 0) { /* rounding kept the sum short: the last possible id */
    id = a.vocab - 1;
    while (weight(a, l[id], most) == 0.0)
      id--;
  }
  a.id[blockIdx.x] = (int32_t)id;
  a.logp[blockIdx.x] = log(weight(a, l[id], most) / place.sum);
}

/* The lowest id of the largest logit. */
KERNEL(sample_greedy, SAMPLE_THREADS) {
  SHARED(float, best, [SAMPLE_THREADS]);
  SHARED(int64_t, where, [SAMPLE_THREADS]);
  const float *l = a.logits + blockIdx.x * a.vocab;
  const int t = threadIdx.x;
  float most = -INF;
  int64_t at = -1;
  int bad = 0;
  for (int64_t j = t; j < a.vocab; j += SAMPLE_THREADS) {
    bad |= !(l[j] < INF);
    if (l[j] > most) {
      most = l[j];
      at = j;
    }
  }
  best[t] = most;
  where[t] = at;
  bad = __syncthreads_or(bad);
  if (t != 0) return;
  for (int i = 1; i < SAMPLE_THREADS; i++)
    if (where[i] >= 0 && (at < 0 || best[i] > most || (best[i] == most && where[i] < at))) {
      most = best[i];
      at = where[i];
    }
  if (bad || at < 0) {
    no_distribution(a);
    return;
  }
  a.id[blockIdx.x] = (int32_t)at;
  a.logp[blockIdx.x] = 0.0;
}

/* ---- noise */

/* A block takes a row; a thread four columns at a time, which are one block of the stream. */
KERNEL(noise, NOISE_THREADS) {
  SHARED(double, room, [NOISE_THREADS / WARP]);
  const int64_t r = blockIdx.x;
  const float *z = a.z + r * a.dim;
  float *out = a.out + r * a.dim, g[4];
  double gg = 0.0, gz = 0.0, zz = 0.0;
  for (int64_t b = threadIdx.x; 4 * b < a.dim; b += NOISE_THREADS) {
    normals(a.key, a.index[r], (uint64_t)b, g);
    for (int i = 0; i < 4 && 4 * b + i < a.dim; i++) {
      const double x = (double)g[i], y = (double)z[4 * b + i];
      gg += x * x;
      gz += x * y;
      zz += y * y;
    }
  }
  gg = block_sum<NOISE_THREADS / WARP>(gg, room);
  gz = block_sum<NOISE_THREADS / WARP>(gz, room);
  zz = block_sum<NOISE_THREADS / WARP>(zz, room);
  double fz = 1.0, fg = 0.0;
  if (a.radius) {
    fg = gg > 0.0 ? (double)a.radius[r] / sqrt(gg) : 0.0;
  } else {
    const double rho = (double)a.rho[r], norm = sqrt(zz), along = norm > 0.0 ? gz / norm : 0.0;
    const double across = gg - along * along; /* ‖g‖² of the part orthogonal to z */
    fz = rho;
    if (norm > 0.0 && a.dim > 1 && across > 0.0) {
      fg = rho * norm * (double)a.sine[r] / sqrt(across);
      fz = rho * (double)a.cosine[r] - fg * along / norm;
    }
  }
  for (int64_t b = threadIdx.x; 4 * b < a.dim; b += NOISE_THREADS) {
    normals(a.key, a.index[r], (uint64_t)b, g);
    for (int i = 0; i < 4 && 4 * b + i < a.dim; i++)
      out[4 * b + i] = (float)(fz * (double)z[4 * b + i] + fg * (double)g[i]);
  }
}
