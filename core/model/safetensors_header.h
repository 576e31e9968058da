/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of one safetensors file, parsed and checked.
 *
 * Kept apart from the reader because it is the part that meets hostile bytes: its memory is
 * proportional to the header's length and its time to n log n of the tensors in it.
 */
#ifndef ISC_CORE_SAFETENSORS_HEADER_H
#define ISC_CORE_SAFETENSORS_HEADER_H

#include "model/safetensors.h"

enum { ISC_ST_MAX_HEADER = 100000000 }; /* bytes */

typedef struct isc_st_pair {
  const char *key, *value;
} isc_st_pair;

typedef struct isc_st_header {
  isc_st_tensor *tensor;         /* [n] in the order of their data                    */
  const isc_st_tensor **by_name; /* [n] the same, sorted by name                */
  int64_t n;
  isc_st_pair *meta; /* [n_meta] sorted by key                            */
  int64_t n_meta;
  char *strings; /* storage of every name, key and value              */
} isc_st_header;

/* Bytes of one element. */
size_t isc_st_dtype_size(isc_st_dtype dtype);
/* "F32", "BF16", …: as in the file. */
const char *isc_st_dtype_name(isc_st_dtype dtype);

/* Parse and check the header of a file, which the tensors then point to. On failure nothing is left to free. */
isc_status isc_st_header_read(const isc_input *file, isc_st_header *out);
void isc_st_header_free(isc_st_header *h);

/* n elements of a dtype, at any address, converted; false when the dtype is of the other sort. */
bool isc_st_to_f32(isc_st_dtype dtype, const void *data, int64_t n, float *out /* [n] */);
bool isc_st_to_i64(isc_st_dtype dtype, const void *data, int64_t n, int64_t *out /* [n] */,
                   bool *too_large);

#endif
