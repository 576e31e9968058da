/* SPDX-License-Identifier: Apache-2.0
 *
 * Philox-4x32-10 and the draws made from it.
 *
 * The counter words are {block lo, block hi, index lo, index hi}: cuRAND's layout with its seed set
 * to our key, its subsequence to our index and its offset to 4 * block, so that a GPU reads the very
 * same words. Every draw here takes words in order; none looks at anything but the stream.
 */
#include <inversescope/rng.h>
#include <math.h>
#include <string.h>

static const double TWO_PI = 6.283185307179586476925286766559;

void isc_philox(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]) {
  uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0;
    uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
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

/* The finaliser of SplitMix64 (Steele et al. 2014, variant 13): a bijection of 64-bit words. */
static uint64_t mix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/* key = mix64(mix64(seed) + purpose * golden): for one seed, distinct purposes have distinct keys,
 * because an odd multiple and mix64 are injective; nearby seeds end far apart. */
static uint64_t stream_key(uint64_t seed, uint32_t purpose) {
  return mix64(mix64(seed) + (uint64_t)purpose * 0x9E3779B97F4A7C15u);
}

isc_rng isc_rng_at(uint64_t seed, uint32_t purpose, uint64_t index) {
  return (isc_rng){.key = stream_key(seed, purpose), .index = index, .used = 4};
}

static void next_block(isc_rng *r) {
  const uint32_t ctr[4] = {(uint32_t)r->block, (uint32_t)(r->block >> 32), (uint32_t)r->index,
                           (uint32_t)(r->index >> 32)};
  const uint32_t key[2] = {(uint32_t)r->key, (uint32_t)(r->key >> 32)};
  isc_philox(ctr, key, r->word);
  r->block++;
  r->used = 0;
}

uint32_t isc_rng_u32(isc_rng *r) {
  if (r->used >= 4) next_block(r);
  return r->word[r->used++];
}

uint64_t isc_rng_u64(isc_rng *r) {
  uint64_t lo = isc_rng_u32(r);
  return lo | (uint64_t)isc_rng_u32(r) << 32;
}

/* The middle of one of 2^52 equal cells: k + 1/2 is exact below 2^52, so neither end is reached by
 * rounding. */
double isc_rng_uniform(isc_rng *r) {
  return ((double)(isc_rng_u64(r) >> 12) + 0.5) * 0x1p-52;
}

/* Lemire, "Fast random integer generation in an interval" (2019). */
uint64_t isc_rng_below(isc_rng *r, uint64_t n) {
  if (n <= 1) return 0;
  __extension__ typedef unsigned __int128 wide;
  wide m = (wide)isc_rng_u64(r) * n;
  if ((uint64_t)m < n) {
    uint64_t threshold = (0 - n) % n;
    while ((uint64_t)m < threshold)
      m = (wide)isc_rng_u64(r) * n;
  }
  return (uint64_t)(m >> 64);
}

double isc_rng_normal(isc_rng *r) {
  double radius = sqrt(-2.0 * log(isc_rng_uniform(r)));
  return radius * cos(TWO_PI * isc_rng_uniform(r));
}

/* One word for each of the two uniforms and the sine first, as cuRAND's normal4 does. */
void isc_rng_normals(isc_rng *r, float *out /* [n] */, int64_t n) {
  for (int64_t i = 0; i < n; i += 2) {
    double u = ((double)isc_rng_u32(r) + 0.5) * 0x1p-32;
    double angle = TWO_PI * (((double)isc_rng_u32(r) + 0.5) * 0x1p-32);
    double radius = sqrt(-2.0 * log(u));
    out[i] = (float)(radius * sin(angle));
    if (i + 1 < n) out[i + 1] = (float)(radius * cos(angle));
  }
}

/* A balanced Feistel network on 2*half bits; Philox is the round function. */
static uint64_t feistel(uint64_t key, unsigned half, uint64_t x) {
  const uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
  const uint64_t mask = ((uint64_t)1 << half) - 1;
  uint64_t left = x >> half, right = x & mask;
  for (uint32_t round = 0; round < 6; round++) {
    const uint32_t ctr[4] = {(uint32_t)right, round, half, 0x5EED5EEDu};
    uint32_t out[4];
    isc_philox(ctr, k, out);
    uint64_t next = left ^ (out[0] & mask);
    left = right;
    right = next;
  }
  return left << half | right;
}

/* The network permutes 0 … 4^half - 1 ⊇ 0 … n-1; following i's cycle until it is back below n
 * restricts that bijection to 0 … n-1. The domain is at most 4n (16 for tiny n), so the walk is short. */
uint64_t isc_rng_permute(uint64_t seed, uint32_t purpose, uint64_t n, uint64_t i) {
  if (n <= 1 || i >= n) return i;
  unsigned half = 2;
  while (half < 32 && (n - 1) >> (2 * half) != 0)
    half++;
  uint64_t key = stream_key(seed, purpose);
  do
    i = feistel(key, half, i);
  while (i >= n);
  return i;
}
