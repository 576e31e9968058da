/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of a NumPy array: what its elements are and how they lie.
 *
 * It is the text of a Python dictionary. Only what NumPy writes for plain little-endian numbers is understood;
 * Python objects, which would have to be run to be read, never are.
 */
#ifndef ISC_CORE_NPY_H
#define ISC_CORE_NPY_H

#include "model/safetensors.h"

enum {
  ISC_NPY_MAX_HEADER = 1 << 16,
  ISC_NPY_START = 12 /* bytes that tell how long the header is */
};

typedef struct isc_npy {
  isc_st_dtype dtype; /* never BF16, which NumPy has not */
  bool fortran;       /* the first dimension is the contiguous one */
  int32_t ndim;
  int64_t shape[8];
  int64_t elements;
  size_t data_at; /* bytes before the first element */
  uint64_t bytes; /* of all elements                */
} isc_npy;

/* From the first bytes of an array, of which `n` are there: the length of its whole header. */
ISC_API isc_status isc_npy_length(const char *where, const uint8_t *start, size_t n,
                                  size_t *length);
/* Parse a whole header, `n` bytes. `where` names the array in messages. */
ISC_API isc_status isc_npy_parse(const char *where, const uint8_t *header, size_t n, isc_npy *out);

#endif
