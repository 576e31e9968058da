/* SPDX-License-Identifier: Apache-2.0
 *
 * The activation store: stored factors of a split's inputs at every site, as chunked safetensors.
 *
 * Chunks are written whole and atomically, so an interrupted harvest goes on at its last chunk. Tensor names are
 * site names, [chunk rows, stored].
 */
#ifndef ISC_CORE_STORE_H
#define ISC_CORE_STORE_H

#include <inversescope/method.h>

enum { ISC_STORE_CHUNK = 4096 }; /* inputs in a chunk; part of the format */

typedef struct isc_store isc_store;

/* Is chunk `c` already there? */
ISC_API bool isc_store_has(const char *dir, int64_t chunk);
/* Write chunk `c`: rows inputs, data[site] host [rows, stored]. */
ISC_API isc_status isc_store_write(const char *dir, int64_t chunk, const isc_site *sites,
                                   int64_t n_sites, int64_t rows, float *const *data);
/* Open a store of `n` inputs; every chunk must be there with the right shapes. */
ISC_API isc_status isc_store_open(const char *dir, const isc_site *sites, int64_t n_sites,
                                  int64_t n, isc_store **out);
ISC_API void isc_store_close(isc_store *s);
/* Factors of inputs `row` (NULL = 0 … n−1) at a site: host out [n, stored]. */
ISC_API isc_status isc_store_read(const isc_store *s, int64_t site, const int64_t *row, int64_t n,
                                  float *out);

#endif
