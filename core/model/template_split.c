/* SPDX-License-Identifier: Apache-2.0
 *
 * The train/test split of a support that is addressed by index.
 *
 * A Feistel shuffle of the whole support, cut once: no list is kept, and the sides cannot overlap
 * because a bijection has no repeats.
 */
#include <inversescope/prior.h>
#include <inversescope/rng.h>
#include <inttypes.h>
#include <math.h>

static int64_t test_count(int64_t support, double test_fraction) {
  double n = ceil(test_fraction * (double)support);
  return n < (double)support ? (int64_t)n : support;
}

isc_status isc_split_check(int64_t support, double test_fraction) {
  int64_t test = test_fraction > 0 ? test_count(support, test_fraction) : 0;
  if (test > 0 && test < support) return ISC_OK;
  return isc_fail(ISC_E_CONFIG,
                  "a test_fraction of %g of %" PRId64 " inputs leaves %s; change it, or make the "
                  "prior larger",
                  test_fraction, support, test > 0 ? "nothing to train on" : "nothing to test on");
}

int64_t isc_split_count(int64_t support, double test_fraction, isc_split split) {
  int64_t test = test_count(support, test_fraction);
  return split == ISC_TEST ? test : support - test;
}

int64_t isc_split_index(uint64_t seed, int64_t support, double test_fraction, isc_split split,
                        int64_t i) {
  int64_t at = split == ISC_TEST ? i : test_count(support, test_fraction) + i;
  return (int64_t)isc_rng_permute(seed, ISC_RNG_SPLIT, (uint64_t)support, (uint64_t)at);
}
