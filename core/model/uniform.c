/* SPDX-License-Identifier: Apache-2.0
 *
 * Priors of numbered, equally likely texts.
 *
 * The split is that of the shipped priors (template_split.c), so no list is kept here.
 */
#include <inversescope/uniform.h>
#include <inttypes.h>
#include <math.h>

int64_t isc_uniform_support(void *self) {
  const isc_uniform *u = self;
  return u->support;
}

int64_t isc_uniform_count(void *self, isc_split split) {
  const isc_uniform *u = self;
  return isc_split_count(u->support, u->test_fraction, split);
}

int64_t isc_uniform_max_bytes(void *self) {
  const isc_uniform *u = self;
  return u->max_bytes;
}

isc_status isc_uniform_enumerate(void *self, int64_t i, isc_text *out) {
  const isc_uniform *u = self;
  if (i < 0 || i >= u->support)
    return isc_fail(ISC_E_USAGE, "prior %s: there are %" PRId64 " texts, and no number %" PRId64,
                    u->name, u->support, i);
  return u->text(self, i, out);
}

isc_status isc_uniform_draw(void *self, isc_split split, int64_t i, isc_text *out) {
  const isc_uniform *u = self;
  const int64_t n = isc_uniform_count(self, split);
  if (i < 0 || i >= n)
    return isc_fail(ISC_E_USAGE,
                    "prior %s: the %s split has %" PRId64 " texts, and no number %" PRId64, u->name,
                    split == ISC_TEST ? "test" : "training", n, i);
  return u->text(self, isc_split_index(u->seed, u->support, u->test_fraction, split, i), out);
}

isc_status isc_uniform_log_prob(void *self, const char *text, size_t len, double *out) {
  const isc_uniform *u = self;
  *out = u->index(self, text, len) >= 0 ? -log((double)u->support) : -INFINITY;
  return ISC_OK;
}
