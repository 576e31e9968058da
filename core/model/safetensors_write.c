/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing safetensors: declare every tensor, stream the data, commit atomically.
 *
 * The header is padded with spaces to 8 bytes, so that the data begin aligned and the same tensors
 * always give the same file.
 */
#include "model/safetensors_header.h"
#include "base/base.h"
#include <inversescope/text.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct isc_st_writer {
  isc_atomic_file file;
  isc_sb header; /* entries so far, without the closing brace */
  char **name;   /* [n] of tensors and, in their own list, metadata keys */
  int64_t n, cap;
  isc_sb meta;
  char **key;
  int64_t n_keys, key_cap;
  uint64_t declared, written; /* bytes of data */
  bool streaming;             /* the header is on its way */
  bool broken;                /* an error was reported; the file cannot be finished */
};

isc_status isc_st_writer_new(const char *path, isc_st_writer **out) {
  isc_st_writer *w;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *w, path, (void **)&w));
  isc_status st = isc_atomic_open(path, &w->file);
  if (st == ISC_OK)
    *out = w;
  else
    free(w);
  return st;
}

void isc_st_writer_abandon(isc_st_writer *w) {
  if (!w) return;
  isc_atomic_abandon(&w->file);
  isc_sb_free(&w->header);
  isc_sb_free(&w->meta);
  for (int64_t i = 0; i < w->n; i++)
    free(w->name[i]);
  for (int64_t i = 0; i < w->n_keys; i++)
    free(w->key[i]);
  free(w->name);
  free(w->key);
  free(w);
}

static isc_status remember(const char *path, const char *s, char ***list, int64_t *n,
                           int64_t *cap) {
  if (*n == *cap) {
    void *grown = *list;
    ISC_TRY(isc_realloc(&grown, (size_t)*cap * 2 + 16, sizeof **list, path));
    *list = grown;
    *cap = *cap * 2 + 16;
  }
  ISC_TRY(isc_strdup(s, &(*list)[*n]));
  ++*n;
  return ISC_OK;
}

static isc_status check_open(const isc_st_writer *w, const char *what) {
  if (!w->streaming) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "%s: \"%s\" was declared after the first data", w->file.path, what);
}

isc_status isc_st_writer_metadata(isc_st_writer *w, const char *key, const char *value) {
  ISC_TRY(check_open(w, key));
  if (!isc_text_is_utf8(key, strlen(key)) || !isc_text_is_utf8(value, strlen(value)))
    return isc_fail(ISC_E_USAGE, "%s: metadata \"%s\" is not UTF-8", w->file.path, key);
  ISC_TRY(remember(w->file.path, key, &w->key, &w->n_keys, &w->key_cap));
  isc_sb_add(&w->meta, w->n_keys > 1 ? "," : "");
  isc_sb_add_json(&w->meta, key, strlen(key));
  isc_sb_add(&w->meta, ":");
  isc_sb_add_json(&w->meta, value, strlen(value));
  return ISC_OK;
}

static isc_status tensor_bytes(const isc_st_writer *w, const char *name, isc_st_dtype dtype,
                               int32_t ndim, const int64_t *shape, size_t *bytes) {
  size_t n = 1;
  if (dtype < ISC_ST_BOOL || dtype > ISC_ST_U64)
    return isc_fail(ISC_E_USAGE, "%s: tensor \"%s\": unknown dtype", w->file.path, name);
  if (ndim < 0 || ndim > 8)
    return isc_fail(ISC_E_SHAPE, "%s: tensor \"%s\": %d dimensions are not 0 … 8", w->file.path,
                    name, ndim);
  for (int32_t i = 0; i < ndim; i++) {
    if (shape[i] < 0)
      return isc_fail(ISC_E_SHAPE, "%s: tensor \"%s\": a negative dimension", w->file.path, name);
    ISC_TRY(isc_mul_size(n, (size_t)shape[i], name, &n));
  }
  return isc_mul_size(n, isc_st_dtype_size(dtype), name, bytes);
}

isc_status isc_st_writer_declare(isc_st_writer *w, const char *name, isc_st_dtype dtype,
                                 int32_t ndim, const int64_t *shape) {
  size_t bytes, end;
  ISC_TRY(check_open(w, name));
  if (strcmp(name, "__metadata__") == 0 || !isc_text_is_utf8(name, strlen(name)))
    return isc_fail(ISC_E_USAGE, "%s: \"%s\" cannot name a tensor", w->file.path, name);
  ISC_TRY(tensor_bytes(w, name, dtype, ndim, shape, &bytes));
  ISC_TRY(isc_add_size(w->declared, bytes, name, &end));
  ISC_TRY(remember(w->file.path, name, &w->name, &w->n, &w->cap));
  isc_sb *b = &w->header;
  isc_sb_add(b, w->n > 1 ? "," : "");
  isc_sb_add_json(b, name, strlen(name));
  isc_sb_addf(b, ":{\"dtype\":\"%s\",\"shape\":[", isc_st_dtype_name(dtype));
  for (int32_t i = 0; i < ndim; i++)
    isc_sb_addf(b, "%s%lld", i ? "," : "", (long long)shape[i]);
  isc_sb_addf(b, "],\"data_offsets\":[%zu,%zu]}", (size_t)w->declared, end);
  w->declared = end;
  return ISC_OK;
}

static int compare_strings(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static isc_status check_unique(const char *path, char **list, int64_t n) {
  if (n) qsort(list, (size_t)n, sizeof *list, compare_strings);
  for (int64_t i = 1; i < n; i++)
    if (strcmp(list[i - 1], list[i]) == 0)
      return isc_fail(ISC_E_USAGE, "%s: \"%s\" was declared twice", path, list[i]);
  return ISC_OK;
}

static isc_status put(isc_st_writer *w, const void *data, size_t bytes) {
  if (bytes == 0 || fwrite(data, 1, bytes, w->file.f) == bytes) return ISC_OK;
  return isc_fail(ISC_E_IO, "%s: cannot write: %s", w->file.path, strerror(errno));
}

static isc_status put_header(isc_st_writer *w, const char *meta, const char *tensors) {
  isc_sb b = {0};
  char *text;
  uint8_t length[8];
  isc_sb_add(&b, "{");
  if (w->n_keys) isc_sb_addf(&b, "\"__metadata__\":{%s}%s", meta, w->n ? "," : "");
  isc_sb_add(&b, tensors);
  isc_sb_add(&b, "}");
  while (b.len % 8 != 0 && !b.failed)
    isc_sb_add(&b, " ");
  size_t len = b.len;
  ISC_TRY(isc_sb_finish(&b, &text));
  isc_status st = ISC_OK;
  if (len > ISC_ST_MAX_HEADER)
    ISC_GO(isc_fail(ISC_E_SHAPE, "%s: the header of %zu bytes exceeds the format's %d",
                    w->file.path, len, ISC_ST_MAX_HEADER));
  for (size_t i = 0; i < 8; i++)
    length[i] = (uint8_t)((uint64_t)len >> 8 * i);
  ISC_GO(put(w, length, sizeof length));
  ISC_GO(put(w, text, len));
done:
  free(text);
  return st;
}

static isc_status start(isc_st_writer *w) {
  isc_status st = ISC_OK;
  char *meta = NULL, *tensors = NULL;
  if (w->broken)
    return isc_fail(ISC_E_USAGE, "%s: an earlier error makes the file unfinishable", w->file.path);
  if (w->streaming) return ISC_OK;
  w->streaming = true;
  ISC_GO(check_unique(w->file.path, w->name, w->n));
  ISC_GO(check_unique(w->file.path, w->key, w->n_keys));
  ISC_GO(isc_sb_finish(&w->meta, &meta));
  ISC_GO(isc_sb_finish(&w->header, &tensors));
  ISC_GO(put_header(w, meta, tensors));
done:
  free(meta);
  free(tensors);
  w->broken = st != ISC_OK;
  return st;
}

isc_status isc_st_writer_data(isc_st_writer *w, const void *data, size_t bytes) {
  ISC_TRY(start(w));
  if (bytes > w->declared - w->written)
    return isc_fail(ISC_E_SHAPE, "%s: more data than the tensors declared", w->file.path);
  isc_status st = put(w, data, bytes);
  w->broken = st != ISC_OK;
  w->written += bytes;
  return st;
}

isc_status isc_st_writer_commit(isc_st_writer *w) {
  isc_status st = ISC_OK;
  ISC_GO(start(w));
  if (w->written != w->declared)
    ISC_GO(isc_fail(ISC_E_SHAPE, "%s: %zu bytes were written of the %zu declared", w->file.path,
                    (size_t)w->written, (size_t)w->declared));
  ISC_GO(isc_atomic_commit(&w->file));
done:
  isc_st_writer_abandon(w);
  return st;
}
