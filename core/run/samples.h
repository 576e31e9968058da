/* SPDX-License-Identifier: Apache-2.0
 *
 * The samples of a run in SQLite: what was drawn, and later how far from ẑ it fell.
 *
 * Tables: text(id, text), sample(site, cond, j, text, log_q), unconditional(j, text); the score stage's file adds
 * distance(site, cond, j, angular, norm_ratio, normalised), from which any kernel and ε can be evaluated again.
 * A file is written in one transaction in a fixed order, so the same samples make the same bytes.
 */
#ifndef ISC_CORE_SAMPLES_H
#define ISC_CORE_SAMPLES_H

#include <inversescope/status.h>
#include <stdbool.h>
#include <stdint.h>

/* All samples in memory, ordered by (site, cond, j). Texts are distinct, numbered by first use. */
typedef struct isc_samples {
  int64_t n_sites, n_conditions, n_samples; /* rows = product */
  int64_t *text;                            /* [rows] text id                              */
  double *log_q;                            /* [rows]                                      */
  int64_t n_texts, cap_texts;
  char **string; /* [n_texts] owned                             */
  size_t *len;   /* [n_texts]                                   */
  int64_t n_unconditional;
  int64_t *unconditional; /* [n_unconditional] text id                */
  int64_t *bucket;        /* hash table of texts: id + 1, 0 = free       */
  int64_t n_buckets;
} isc_samples;

/* Three numbers that give every distance: 1 − cos, ‖z‖/‖ẑ‖, ‖z − ẑ‖/‖ẑ‖. NaN where z could not be had. */
typedef struct isc_sample_distance {
  double angular, norm_ratio, normalised;
} isc_sample_distance;

ISC_API isc_status isc_samples_new(isc_samples *s, int64_t n_sites, int64_t n_conditions,
                                   int64_t n_samples, int64_t n_unconditional);
ISC_API void isc_samples_free(isc_samples *s);
/* Id of a text, added if new. */
ISC_API isc_status isc_samples_intern(isc_samples *s, const char *text, size_t len, int64_t *id);
ISC_API int64_t isc_samples_rows(const isc_samples *s);
/* Ids in the order of first use by row, whatever order the method finished its sequences in: the stored file then depends on
 * the samples alone. */
ISC_API isc_status isc_samples_renumber(isc_samples *s);

ISC_API isc_status isc_samples_write(const isc_samples *s, const char *path);
ISC_API isc_status isc_samples_read(const char *path, isc_samples *s);
ISC_API isc_status isc_distances_write(const isc_samples *s,
                                       const isc_sample_distance *d /* [rows] */, const char *path);

#endif
