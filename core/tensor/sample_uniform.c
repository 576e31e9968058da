/* SPDX-License-Identifier: Apache-2.0
 *
 * The uniform that decides a sampled token.
 *
 * It is addressed directly, one Philox block per draw, so that a backend can draw token t of
 * sequence i without having drawn those before it, and every backend draws the same.
 */
#include <inversescope/backend.h>
#include <inversescope/rng.h>

double isc_sample_uniform(uint64_t seed, uint64_t index, uint32_t draw) {
  isc_rng r = isc_rng_at(seed, ISC_RNG_SAMPLE, index);
  r.block = draw;
  return isc_rng_uniform(&r);
}
