/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of NumPy's files, and the bytes of one array from an archive or from a file of its own.
 */
#ifndef ISC_CORE_NPZ_INTERNAL_H
#define ISC_CORE_NPZ_INTERNAL_H

#include "model/npz.h"
#include <zip.h>

struct isc_npz {
  isc_input in;
  zip_t *zip;                    /* NULL of a single array's file */
  isc_npz_array *array;          /* [n] */
  const isc_npz_array **by_name; /* [n] */
  char **name;                   /* [n] storage */
  int64_t n;
};

/* The bytes of an array, header first. */
typedef struct isc_npz_bytes {
  isc_npz *z;
  const char *name;
  zip_file_t *file; /* in an archive, or … */
  uint64_t at;      /* … a place in the file */
} isc_npz_bytes;

isc_status isc_npz_bytes_open(isc_npz *z, int64_t index, isc_npz_bytes *b);
void isc_npz_bytes_close(isc_npz_bytes *b);
/* The next n bytes, or fewer at the end / or an error. */
isc_status isc_npz_bytes_read(isc_npz_bytes *b, void *out, size_t n, size_t *got);
isc_status isc_npz_bytes_take(isc_npz_bytes *b, void *out, size_t n);
/* libzip's failure as ours. */
isc_status isc_npz_fail(const isc_npz *z, const char *name, zip_error_t *e);

#endif
