/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors files and sharded directories.
 *
 * Values are always copied out, piece by piece: a tensor need not be aligned in a file, and no file is ever in memory
 * as a whole.
 */
#include "model/safetensors_header.h"
#include "model/json_doc.h"
#include "base/base.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SHARDS = 4096 };

typedef struct st_file {
  isc_input in;
  isc_st_header header;
} st_file;

struct isc_safetensors {
  st_file *file; /* [n_files] */
  int64_t n_files;
  const isc_st_tensor **tensor;  /* [n] as isc_st_at gives them  */
  const isc_st_tensor **by_name; /* [n] sorted by name          */
  int64_t n;
};

static isc_status file_open(const char *path, st_file *f) {
  ISC_TRY(isc_input_open(path, &f->in));
  return isc_st_header_read(&f->in, &f->header);
}

void isc_st_close(isc_safetensors *f) {
  if (!f) return;
  for (int64_t i = 0; i < f->n_files; i++) {
    isc_st_header_free(&f->file[i].header);
    isc_input_close(&f->file[i].in);
  }
  free(f->file);
  free(f->tensor);
  free(f->by_name);
  free(f);
}

/* Room for n files and t tensors, none there yet. */
static isc_status reserve_files(isc_safetensors *f, int64_t n, const char *path) {
  ISC_TRY(isc_calloc((size_t)n, sizeof *f->file, path, (void **)&f->file));
  for (int64_t i = 0; i < n; i++)
    f->file[i].in.fd = -1;
  f->n_files = n;
  return ISC_OK;
}

static isc_status reserve_tensors(isc_safetensors *f, int64_t n, const char *path) {
  ISC_TRY(isc_calloc((size_t)n, sizeof *f->tensor, path, (void **)&f->tensor));
  return isc_calloc((size_t)n, sizeof *f->by_name, path, (void **)&f->by_name);
}

static isc_status open_single(const char *path, isc_safetensors *f) {
  ISC_TRY(reserve_files(f, 1, path));
  ISC_TRY(file_open(path, &f->file[0]));
  const isc_st_header *h = &f->file[0].header;
  ISC_TRY(reserve_tensors(f, h->n, path));
  f->n = h->n;
  for (int64_t i = 0; i < h->n; i++)
    f->tensor[i] = &h->tensor[i];
  if (h->n) memcpy(f->by_name, h->by_name, (size_t)h->n * sizeof *f->by_name);
  return ISC_OK;
}

static int compare_names(const void *a, const void *b) {
  return strcmp((*(const isc_st_tensor *const *)a)->name, (*(const isc_st_tensor *const *)b)->name);
}

static int compare_strings(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const isc_st_tensor *header_find(const isc_st_header *h, const char *name) {
  isc_st_tensor wanted = {.name = name};
  const isc_st_tensor *key = &wanted;
  const isc_st_tensor **at = bsearch(&key, h->by_name, (size_t)h->n, sizeof key, compare_names);
  return at ? *at : NULL;
}

/* A shard lies beside its index: a name that leads elsewhere is an attack. */
static isc_status check_shard_name(const char *index, const char *name) {
  if (name[0] && !strpbrk(name, "/\\") && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
    return ISC_OK;
  return isc_fail(ISC_E_FORMAT, "%s: shard name \"%s\" is not a plain file name", index, name);
}

/* The distinct shard names, sorted; returns their number. */
static int64_t distinct(const char **names, int64_t n) {
  int64_t kept = 0;
  if (n) qsort(names, (size_t)n, sizeof *names, compare_strings);
  for (int64_t i = 0; i < n; i++)
    if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0) names[kept++] = names[i];
  return kept;
}

static isc_status shard_names(const isc_json *index, json_t *map, const char ***out, int64_t *n) {
  const char *tensor;
  json_t *shard;
  int64_t count = 0;
  ISC_TRY(isc_calloc(json_object_size(map), sizeof **out, index->path, (void **)out));
  json_object_foreach(map, tensor, shard) {
    if (!json_is_string(shard))
      return isc_fail(ISC_E_FORMAT, "%s: weight_map: \"%s\" must name a file", index->path, tensor);
    ISC_TRY(check_shard_name(index->path, json_string_value(shard)));
    (*out)[count++] = json_string_value(shard);
  }
  *n = distinct(*out, count);
  if (*n > MAX_SHARDS)
    return isc_fail(ISC_E_FORMAT, "%s: more than %d shards", index->path, MAX_SHARDS);
  return ISC_OK;
}

static isc_status open_shard(const char *index, const char *path, const char *name, st_file *out) {
  if (isc_exists(path)) return file_open(path, out);
  return isc_fail(ISC_E_MISSING,
                  "%s: its file \"%s\" is not there; was the model downloaded completely?", index,
                  name);
}

static isc_status open_shards(isc_safetensors *f, const char *dir, const char *index,
                              const char **names, int64_t n) {
  ISC_TRY(reserve_files(f, n, dir));
  for (int64_t i = 0; i < n; i++) {
    char *path;
    ISC_TRY(isc_asprintf(&path, "%s/%s", dir, names[i]));
    isc_status st = open_shard(index, path, names[i], &f->file[i]);
    free(path);
    ISC_TRY(st);
  }
  return ISC_OK;
}

/* The tensors are those of the weight map, each in the shard the map gives. */
static isc_status collect_mapped(isc_safetensors *f, const isc_json *index, json_t *map,
                                 const char **names) {
  const char *tensor;
  json_t *shard;
  ISC_TRY(reserve_tensors(f, (int64_t)json_object_size(map), index->path));
  json_object_foreach(map, tensor, shard) {
    const char *name = json_string_value(shard);
    const char **at = bsearch(&name, names, (size_t)f->n_files, sizeof name, compare_strings);
    if (!at) return isc_fail(ISC_E_INTERNAL, "%s: shard \"%s\" was lost", index->path, name);
    const isc_st_tensor *t = header_find(&f->file[at - names].header, tensor);
    if (!t)
      return isc_fail(ISC_E_MISSING, "%s: tensor \"%s\" is not in its shard \"%s\"", index->path,
                      tensor, name);
    f->tensor[f->n] = f->by_name[f->n] = t;
    f->n++;
  }
  if (f->n) qsort(f->by_name, (size_t)f->n, sizeof *f->by_name, compare_names);
  return ISC_OK;
}

static isc_status open_sharded(const char *dir, const char *index_path, isc_safetensors *f) {
  isc_status st = ISC_OK;
  isc_json *index = NULL;
  json_t *map;
  const char **names = NULL;
  int64_t n = 0;
  ISC_GO(isc_json_open(index_path, &index));
  ISC_GO(isc_json_child(index, index->root, "", "weight_map", JSON_OBJECT, &map));
  ISC_GO(shard_names(index, map, &names, &n));
  ISC_GO(open_shards(f, dir, index_path, names, n));
  ISC_GO(collect_mapped(f, index, map, names));
done:
  free(names);
  isc_json_close(index);
  return st;
}

static isc_status open_directory(const char *dir, isc_safetensors *f) {
  isc_status st = ISC_OK;
  char *one = NULL, *index = NULL;
  ISC_GO(isc_asprintf(&one, "%s/model.safetensors", dir));
  ISC_GO(isc_asprintf(&index, "%s/model.safetensors.index.json", dir));
  if (isc_exists(one))
    st = open_single(one, f);
  else if (isc_exists(index))
    st = open_sharded(dir, index, f);
  else
    st = isc_fail(ISC_E_MISSING,
                  "%s: neither model.safetensors nor model.safetensors.index.json is there", dir);
done:
  free(one);
  free(index);
  return st;
}

isc_status isc_st_open(const char *path, isc_safetensors **out) {
  isc_safetensors *f;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *f, path, (void **)&f));
  isc_status st = isc_is_dir(path) ? open_directory(path, f) : open_single(path, f);
  if (st == ISC_OK)
    *out = f;
  else
    isc_st_close(f);
  return st;
}

int64_t isc_st_count(const isc_safetensors *f) {
  return f->n;
}

const isc_st_tensor *isc_st_at(const isc_safetensors *f, int64_t i) {
  return i >= 0 && i < f->n ? f->tensor[i] : NULL;
}

const isc_st_tensor *isc_st_find(const isc_safetensors *f, const char *name) {
  isc_st_tensor wanted = {.name = name};
  const isc_st_tensor *key = &wanted;
  const isc_st_tensor **at = bsearch(&key, f->by_name, (size_t)f->n, sizeof key, compare_names);
  return at ? *at : NULL;
}

int64_t isc_st_files(const isc_safetensors *f) {
  return f->n_files;
}

const isc_input *isc_st_file(const isc_safetensors *f, int64_t i) {
  return i >= 0 && i < f->n_files ? &f->file[i].in : NULL;
}

static int compare_keys(const void *a, const void *b) {
  return strcmp(((const isc_st_pair *)a)->key, ((const isc_st_pair *)b)->key);
}

const char *isc_st_metadata(const isc_safetensors *f, const char *key) {
  const isc_st_pair wanted = {.key = key};
  for (int64_t i = 0; i < f->n_files; i++) {
    const isc_st_header *h = &f->file[i].header;
    if (h->n_meta == 0) continue;
    const isc_st_pair *at =
        bsearch(&wanted, h->meta, (size_t)h->n_meta, sizeof wanted, compare_keys);
    if (at) return at->value;
  }
  return NULL;
}

/* May elements [first, first+n) of t be read? */
static isc_status check_read(const isc_safetensors *f, const isc_st_tensor *t, int64_t first,
                             int64_t n) {
  bool ours = false;
  for (int64_t i = 0; i < f->n_files; i++)
    ours |= t->file == &f->file[i].in;
  if (!ours) return isc_fail(ISC_E_USAGE, "tensor \"%s\" is not of this file", t->name);
  if (first < 0 || n < 0 || first > t->elements || n > t->elements - first)
    return isc_fail(ISC_E_SHAPE,
                    "%s: tensor \"%s\": elements %" PRId64 " + %" PRId64
                    " are outside its %" PRId64,
                    t->file->path, t->name, first, n, t->elements);
  return ISC_OK;
}

enum { PIECE = 1 << 14 }; /* bytes read at a time */

/* The next elements of [first, first+n), as many as fit into a piece. */
static isc_status read_piece(const isc_st_tensor *t, int64_t first, int64_t n, void *piece,
                             int64_t *got) {
  size_t size = isc_st_dtype_size(t->dtype);
  *got = n < (int64_t)(PIECE / size) ? n : (int64_t)(PIECE / size);
  return isc_input_read(t->file, t->at + (uint64_t)first * size, piece, (size_t)*got * size);
}

isc_status isc_st_read_f32(const isc_safetensors *f, const isc_st_tensor *t, int64_t first,
                           int64_t n, float *out /* [n] */) {
  char piece[PIECE];
  int64_t got;
  ISC_TRY(check_read(f, t, first, n));
  if (t->dtype == ISC_ST_F32)
    return isc_input_read(t->file, t->at + (uint64_t)first * sizeof *out, out,
                          (size_t)n * sizeof *out);
  if (!isc_st_to_f32(t->dtype, piece, 0, out))
    return isc_fail(ISC_E_SHAPE, "%s: tensor \"%s\" is %s, not floating point", t->file->path,
                    t->name, isc_st_dtype_name(t->dtype));
  for (int64_t i = 0; i < n; i += got) {
    ISC_TRY(read_piece(t, first + i, n - i, piece, &got));
    isc_st_to_f32(t->dtype, piece, got, out + i);
  }
  return ISC_OK;
}

isc_status isc_st_read_i64(const isc_safetensors *f, const isc_st_tensor *t, int64_t first,
                           int64_t n, int64_t *out /* [n] */) {
  char piece[PIECE];
  int64_t got;
  bool too_large = false;
  ISC_TRY(check_read(f, t, first, n));
  if (!isc_st_to_i64(t->dtype, piece, 0, out, &too_large))
    return isc_fail(ISC_E_SHAPE, "%s: tensor \"%s\" is %s, not integer", t->file->path, t->name,
                    isc_st_dtype_name(t->dtype));
  for (int64_t i = 0; i < n && !too_large; i += got) {
    ISC_TRY(read_piece(t, first + i, n - i, piece, &got));
    isc_st_to_i64(t->dtype, piece, got, out + i, &too_large);
  }
  if (!too_large) return ISC_OK;
  return isc_fail(ISC_E_SHAPE, "%s: tensor \"%s\": a value exceeds 2^63 - 1", t->file->path,
                  t->name);
}
