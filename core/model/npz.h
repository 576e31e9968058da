/* SPDX-License-Identifier: Apache-2.0
 *
 * NumPy's files: arrays of numbers in an .npz archive, or one in an .npy.
 *
 * Arrays are read by pieces in the order in which they are stored, because an archive may be compressed. Sizes are
 * what the headers say and the archive agrees with; an archive that swells beyond reason is refused when it is opened.
 * A handle is used by one thread at a time.
 */
#ifndef ISC_CORE_NPZ_H
#define ISC_CORE_NPZ_H

#include "model/npy.h"

enum {
  ISC_NPZ_MAX_ARRAYS = 4096,
  ISC_NPZ_MAX_SWELL = 128,        /* times the file, where that is more than … */
  ISC_NPZ_MAX_HARMLESS = 64 << 20 /* … so many bytes                            */
};

typedef struct isc_npz_array {
  const char *name; /* without ".npy"; "" of a single array's file */
  isc_npy header;
} isc_npz_array;

typedef struct isc_npz isc_npz;

ISC_API isc_status isc_npz_open(const char *path, isc_npz **out);
ISC_API void isc_npz_close(isc_npz *z); /* NULL is fine; after every reader */
ISC_API int64_t isc_npz_count(const isc_npz *z);
ISC_API const isc_npz_array *isc_npz_at(const isc_npz *z, int64_t i); /* in the archive's order */
ISC_API const isc_npz_array *isc_npz_find(const isc_npz *z, const char *name); /* NULL if absent */

/* The whole array, row-major [shape] whatever its order in the file, as f32 (from f16, f32, f64) / as i64 (from integers
 * and booleans). Another sort of element → ISC_E_SHAPE. */
ISC_API isc_status isc_npz_read_f32(isc_npz *z, const isc_npz_array *a, float *out);
ISC_API isc_status isc_npz_read_i64(isc_npz *z, const isc_npz_array *a, int64_t *out);

/* The same by pieces: the next n elements as they are stored, f32 only. Taking more than there are → ISC_E_SHAPE. */
typedef struct isc_npz_reader isc_npz_reader;
ISC_API isc_status isc_npz_reader_new(isc_npz *z, const isc_npz_array *a, isc_npz_reader **out);
ISC_API isc_status isc_npz_reader_next(isc_npz_reader *r, int64_t n, float *out);
/* The array was read to its end and its checksum is right. */
ISC_API isc_status isc_npz_reader_end(isc_npz_reader *r);
ISC_API void isc_npz_reader_free(isc_npz_reader *r); /* NULL is fine */

#endif
