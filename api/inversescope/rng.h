/* SPDX-License-Identifier: Apache-2.0
 *
 * Counter-based randomness: Philox-4x32-10 addressed by (seed, purpose, index).
 *
 * A draw depends on nothing but its address, so the same sample comes out whatever the batch size,
 * the thread count or the number of ranks, and the same numbers come from cuRAND's Philox on a GPU.
 * Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
 */
#ifndef ISC_RNG_H
#define ISC_RNG_H

#include <inversescope/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a stream of numbers is for. Two purposes never share numbers. Append only. */
typedef enum isc_purpose {
  ISC_RNG_PRIOR_TRAIN = 1,
  ISC_RNG_PRIOR_TEST = 2,
  ISC_RNG_INIT = 3,         /* parameter initialisation                  */
  ISC_RNG_BATCH = 4,        /* which examples form a training batch      */
  ISC_RNG_NOISE_RADIUS = 5, /* a kernel's 1-D draws                      */
  ISC_RNG_NOISE_DIRECTION = 6,
  ISC_RNG_SAMPLE = 7, /* token draws of the generator              */
  ISC_RNG_BOOTSTRAP = 8,
  ISC_RNG_SPLIT = 9,
  ISC_RNG_NEIGHBOUR = 10,
  ISC_RNG_DROPOUT = 11,
  ISC_RNG_GENERATE = 12, /* what a target writes on               */
  ISC_RNG_SCATTER = 13,  /* noise on ẑ that makes samples diverse  */
  ISC_RNG_USER = 1000    /* plugins take ISC_RNG_USER + n             */
} isc_purpose;

/* A stream: the numbers at one (seed, purpose, index), read in order. By value; 32 bytes of state;
 * one thread at a time. */
typedef struct isc_rng {
  uint64_t key;     /* Philox key, from seed and purpose */
  uint64_t index;   /* high 64 bits of the counter       */
  uint64_t block;   /* low 64 bits of the counter        */
  uint32_t word[4]; /* the current block                 */
  uint32_t used;    /* words of it already read          */
} isc_rng;

/* The stream at an address, at its beginning. Any thread. */
ISC_API isc_rng isc_rng_at(uint64_t seed, uint32_t purpose, uint64_t index);

/* One Philox-4x32-10 block: the raw bijection, for tests and backends. */
ISC_API void isc_philox(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]);

/* The next 32 or 64 bits. */
ISC_API uint32_t isc_rng_u32(isc_rng *r);
ISC_API uint64_t isc_rng_u64(isc_rng *r);
/* Uniform on the open interval (0, 1), 53 bits: never 0 and never 1. */
ISC_API double isc_rng_uniform(isc_rng *r);
/* Uniform on 0 … n-1 without bias (Lemire); n ≥ 1. */
ISC_API uint64_t isc_rng_below(isc_rng *r, uint64_t n);
/* Standard normal (Box–Muller, both values used in turn by isc_rng_normals). */
ISC_API double isc_rng_normal(isc_rng *r);
ISC_API void isc_rng_normals(isc_rng *r, float *out /* [n] */, int64_t n);

/* A pseudo-random bijection of 0 … n-1 at position i (Feistel with cycle walking): shuffles a
 * data set without storing the permutation. */
ISC_API uint64_t isc_rng_permute(uint64_t seed, uint32_t purpose, uint64_t n, uint64_t i);

#ifdef __cplusplus
}
#endif
#endif
