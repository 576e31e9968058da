/* SPDX-License-Identifier: Apache-2.0
 *
 * Priors of numbered texts that are all equally likely: two functions, number → text and back, are enough.
 *
 * The library counts, splits and shuffles them, checks numbers and gives log P. For texts made of templates and
 * word lists, template_prior.h asks for less.
 */
#ifndef ISC_UNIFORM_H
#define ISC_UNIFORM_H

#include <inversescope/prior.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first member of what the plugin's `open` gives as *self; filled there, and unchanged until `close`. */
typedef struct isc_uniform {
  size_t size;          /* sizeof(isc_uniform)                                               */
  const char *name;     /* of the class, begins messages                                     */
  int64_t support;      /* number of distinct texts; see isc_split_check for its least       */
  double test_fraction; /* of the support, in (0, 1)                                         */
  uint64_t seed;
  /* Text i, 0 ≤ i < support; no two are the same. Any thread. */
  isc_status (*text)(const void *self, int64_t i, isc_text *out);
  /* The number of a text; −1 when it is not of the prior. Any thread. */
  int64_t (*index)(const void *self, const char *text, size_t len);
  int64_t max_bytes; /* of the longest text; 0 = unknown */
} isc_uniform;

/* The members of isc_prior_ops of the same names, with what `open` gave as `self`. Any thread. */
ISC_API int64_t isc_uniform_count(void *self, isc_split split);
ISC_API isc_status isc_uniform_draw(void *self, isc_split split, int64_t i, isc_text *out);
ISC_API isc_status isc_uniform_log_prob(void *self, const char *text, size_t len, double *out);
ISC_API int64_t isc_uniform_support(void *self);
ISC_API isc_status isc_uniform_enumerate(void *self, int64_t i, isc_text *out);
ISC_API int64_t isc_uniform_max_bytes(void *self);

/* Those members of an isc_prior_ops; .open, .close, .fingerprint and what else there is may follow. */
#define ISC_UNIFORM_PRIOR                                                                          \
  .size = sizeof(isc_prior_ops), .count = isc_uniform_count, .draw = isc_uniform_draw,             \
  .log_prob = isc_uniform_log_prob, .support = isc_uniform_support,                                \
  .enumerate = isc_uniform_enumerate, .max_bytes = isc_uniform_max_bytes

#ifdef __cplusplus
}
#endif
#endif
