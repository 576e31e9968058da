/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors files: a strict bounded reader, and an atomic writer.
 *
 * Every rule of the format is enforced before a byte of data is used: header ≤ 100 MB that starts with '{',
 * offsets contiguous from 0 to the end of the file without holes or overlap, no duplicate keys,
 * size = product(shape)·dtype.
 */
#ifndef ISC_CORE_SAFETENSORS_H
#define ISC_CORE_SAFETENSORS_H

#include "base/base.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum isc_st_dtype {
  ISC_ST_BOOL,
  ISC_ST_U8,
  ISC_ST_I8,
  ISC_ST_I16,
  ISC_ST_U16,
  ISC_ST_F16,
  ISC_ST_BF16,
  ISC_ST_I32,
  ISC_ST_U32,
  ISC_ST_F32,
  ISC_ST_F64,
  ISC_ST_I64,
  ISC_ST_U64
} isc_st_dtype;

typedef struct isc_st_tensor {
  const char *name;
  isc_st_dtype dtype;
  int32_t ndim;
  int64_t shape[8];
  int64_t elements;
  const isc_input *file; /* where its data are, little-endian … */
  uint64_t at;           /* … from this byte on                  */
  uint64_t bytes;
} isc_st_tensor;

typedef struct isc_safetensors isc_safetensors;

/* One file, or a directory (model.safetensors, else model.safetensors.index.json with its shards). */
ISC_API isc_status isc_st_open(const char *path, isc_safetensors **out);
ISC_API void isc_st_close(isc_safetensors *f);
ISC_API int64_t isc_st_count(const isc_safetensors *f);
ISC_API const isc_st_tensor *isc_st_at(const isc_safetensors *f, int64_t i);
ISC_API const isc_st_tensor *isc_st_find(const isc_safetensors *f,
                                         const char *name); /* NULL if absent */
ISC_API int64_t isc_st_files(const isc_safetensors *f);     /* 1, or how many shards */
ISC_API const isc_input *isc_st_file(const isc_safetensors *f, int64_t i);
ISC_API const char *isc_st_metadata(const isc_safetensors *f, const char *key); /* NULL if absent */
/* Elements [first, first+n) as f32 (from f32, f16, bf16, f64) / as i64 (from any integer type). A file that
 * was cut short since it was opened → ISC_E_IO. */
ISC_API isc_status isc_st_read_f32(const isc_safetensors *f, const isc_st_tensor *t, int64_t first,
                                   int64_t n, float *out);
ISC_API isc_status isc_st_read_i64(const isc_safetensors *f, const isc_st_tensor *t, int64_t first,
                                   int64_t n, int64_t *out);

/* Writer: declare every tensor, then stream the data in that order. */
typedef struct isc_st_writer isc_st_writer;
ISC_API isc_status isc_st_writer_new(const char *path, isc_st_writer **out);
ISC_API isc_status isc_st_writer_metadata(isc_st_writer *w, const char *key, const char *value);
ISC_API isc_status isc_st_writer_declare(isc_st_writer *w, const char *name, isc_st_dtype dtype,
                                         int32_t ndim, const int64_t *shape);
ISC_API isc_status isc_st_writer_data(isc_st_writer *w, const void *data,
                                      size_t bytes); /* the next bytes, any split */
ISC_API isc_status isc_st_writer_commit(
    isc_st_writer *w); /* checks all was written, fsync, rename; frees w also on error */
ISC_API void isc_st_writer_abandon(isc_st_writer *w);

#endif
