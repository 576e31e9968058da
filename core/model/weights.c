/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening a model's weights: one table of tensors, whatever the format.
 *
 * The format's own reader has checked its file before anything here looks at it.
 */
#include "model/weights_internal.h"
#include "model/safetensors_header.h"
#include <stdlib.h>
#include <string.h>

void isc_weights_close(isc_weights *w) {
  if (!w) return;
  isc_st_close(w->safetensors);
  isc_gguf_close(w->gguf);
  free(w->tensor);
  free(w->by_name);
  free(w->raw);
  free(w->values);
  free(w->tile);
  free(w->path);
  free(w);
}

static isc_weight_dtype dtype_of(isc_st_dtype dtype) {
  switch (dtype) {
  case ISC_ST_F32:
    return ISC_WEIGHT_F32;
  case ISC_ST_F16:
    return ISC_WEIGHT_F16;
  case ISC_ST_BF16:
    return ISC_WEIGHT_BF16;
  case ISC_ST_F64:
    return ISC_WEIGHT_F64;
  default:
    return ISC_WEIGHT_INTEGER;
  }
}

static isc_status reserve(isc_weights *w, int64_t n) {
  ISC_TRY(isc_calloc((size_t)n, sizeof *w->tensor, w->path, (void **)&w->tensor));
  ISC_TRY(isc_calloc((size_t)n, sizeof *w->by_name, w->path, (void **)&w->by_name));
  w->n = n;
  return ISC_OK;
}

static isc_status take_safetensors(isc_weights *w, const char *path) {
  ISC_TRY(isc_st_open(path, &w->safetensors));
  ISC_TRY(reserve(w, isc_st_count(w->safetensors)));
  for (int64_t i = 0; i < w->n; i++) {
    const isc_st_tensor *t = isc_st_at(w->safetensors, i);
    w->tensor[i] = (isc_weight){.name = t->name,
                                .type = isc_st_dtype_name(t->dtype),
                                .dtype = dtype_of(t->dtype),
                                .ndim = t->ndim,
                                .elements = t->elements,
                                .file = t->file,
                                .at = t->at,
                                .bytes = t->bytes};
    memcpy(w->tensor[i].shape, t->shape, sizeof t->shape);
  }
  return ISC_OK;
}

static isc_status take_gguf(isc_weights *w, const char *path) {
  ISC_TRY(isc_gguf_open(path, &w->gguf));
  ISC_TRY(reserve(w, isc_gguf_count(w->gguf)));
  for (int64_t i = 0; i < w->n; i++)
    w->tensor[i] = *isc_gguf_at(w->gguf, i);
  return ISC_OK;
}

static isc_status has(const char *dir, const char *name, bool *there) {
  char *path;
  ISC_TRY(isc_path_join(dir, name, &path));
  *there = isc_exists(path);
  free(path);
  return ISC_OK;
}

/* Safetensors before GGUF where a directory has both. */
static isc_status take(isc_weights *w) {
  char *gguf;
  bool whole = false, shards = false;
  const bool dir = isc_is_dir(w->path);
  if (dir) ISC_TRY(has(w->path, "model.safetensors", &whole));
  if (dir) ISC_TRY(has(w->path, "model.safetensors.index.json", &shards));
  if (whole || shards) return take_safetensors(w, w->path);
  ISC_TRY(isc_gguf_locate(w->path, &gguf));
  if (!gguf && dir)
    return isc_fail(ISC_E_MISSING,
                    "%s: neither model.safetensors, model.safetensors.index.json nor a .gguf file "
                    "is there; weights of other kinds, such as .bin, are not read",
                    w->path);
  isc_status st = gguf ? take_gguf(w, gguf) : take_safetensors(w, w->path);
  free(gguf);
  return st;
}

static int by_name(const void *a, const void *b) {
  return strcmp((*(const isc_weight *const *)a)->name, (*(const isc_weight *const *)b)->name);
}

static void index_names(isc_weights *w) {
  for (int64_t i = 0; i < w->n; i++)
    w->by_name[i] = &w->tensor[i];
  if (w->n) qsort(w->by_name, (size_t)w->n, sizeof *w->by_name, by_name);
}

isc_status isc_weights_open(const char *path, isc_weights **out) {
  isc_status st = ISC_OK;
  isc_weights *w;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *w, path, (void **)&w));
  ISC_GO(isc_strdup(path, &w->path));
  ISC_GO(take(w));
  index_names(w);
  *out = w;
  w = NULL;
done:
  isc_weights_close(w);
  return st;
}

isc_status isc_weights_stage(isc_weights *w) {
  if (!w->raw) ISC_TRY(isc_malloc(ISC_WEIGHT_RAW, w->path, (void **)&w->raw));
  if (!w->values)
    ISC_TRY(isc_calloc(ISC_WEIGHT_VALUES, sizeof *w->values, w->path, (void **)&w->values));
  if (w->tile) return ISC_OK;
  return isc_calloc(ISC_WEIGHT_TILE, sizeof *w->tile, w->path, (void **)&w->tile);
}

const char *isc_weights_path(const isc_weights *w) {
  return w->path;
}

const isc_gguf *isc_weights_gguf(const isc_weights *w) {
  return w->gguf;
}

uint64_t isc_weights_bytes(const isc_weights *w) {
  uint64_t sum = 0; /* no more than the files: no overflow */
  for (int64_t i = 0; i < w->n; i++)
    sum += w->tensor[i].bytes;
  return sum;
}

int64_t isc_weights_count(const isc_weights *w) {
  return w->n;
}

const isc_weight *isc_weights_at(const isc_weights *w, int64_t i) {
  return i >= 0 && i < w->n ? &w->tensor[i] : NULL;
}

const isc_weight *isc_weights_find(const isc_weights *w, const char *name) {
  isc_weight wanted = {.name = name};
  const isc_weight *key = &wanted;
  const isc_weight **at = bsearch(&key, w->by_name, (size_t)w->n, sizeof key, by_name);
  return at ? *at : NULL;
}
