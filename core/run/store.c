/* SPDX-License-Identifier: Apache-2.0
 *
 * Chunked safetensors behind the activation store.
 */
#include "run/store.h"

#include "base/base.h"
#include "model/safetensors.h"

#include <stdlib.h>

struct isc_store {
  isc_safetensors **chunk;      /* [n_chunks]                        */
  const isc_st_tensor **tensor; /* [n_chunks, n_sites]               */
  int64_t n_chunks, n_sites, n;
  int64_t *stored; /* [n_sites]                         */
};

static isc_status chunk_path(const char *dir, int64_t chunk, char **out) {
  return isc_asprintf(out, "%s/%06lld.safetensors", dir, (long long)chunk);
}

bool isc_store_has(const char *dir, int64_t chunk) {
  char *path = NULL;
  bool there = chunk_path(dir, chunk, &path) == ISC_OK && isc_exists(path);
  free(path);
  return there;
}

isc_status isc_store_write(const char *dir, int64_t chunk, const isc_site *sites, int64_t n_sites,
                           int64_t rows, float *const *data) {
  isc_status st = ISC_OK;
  isc_st_writer *w = NULL;
  char *path = NULL;
  ISC_GO(chunk_path(dir, chunk, &path));
  ISC_GO(isc_st_writer_new(path, &w));
  for (int64_t i = 0; i < n_sites; i++) {
    const int64_t shape[2] = {rows, sites[i].stored};
    ISC_GO(isc_st_writer_declare(w, sites[i].name, ISC_ST_F32, 2, shape));
  }
  for (int64_t i = 0; i < n_sites; i++)
    ISC_GO(isc_st_writer_data(w, data[i], (size_t)(rows * sites[i].stored) * sizeof(float)));
  st = isc_st_writer_commit(w);
  w = NULL;
done:
  if (w) isc_st_writer_abandon(w);
  free(path);
  return st;
}

static isc_status open_chunk(isc_store *s, const char *dir, int64_t c, const isc_site *sites) {
  char *path = NULL;
  isc_status st = ISC_OK;
  const int64_t rows = c + 1 < s->n_chunks ? ISC_STORE_CHUNK : s->n - c * ISC_STORE_CHUNK;
  ISC_GO(chunk_path(dir, c, &path));
  ISC_GO(isc_st_open(path, &s->chunk[c]));
  for (int64_t i = 0; i < s->n_sites; i++) {
    const isc_st_tensor *t = isc_st_find(s->chunk[c], sites[i].name);
    if (!t) {
      st = isc_fail(ISC_E_MISSING, "%s: no activations of site \"%s\"", path, sites[i].name);
      goto done;
    }
    if (t->ndim != 2 || t->shape[0] != rows || t->shape[1] != sites[i].stored) {
      st = isc_fail(ISC_E_SHAPE, "%s: \"%s\" is [%lld, %lld], expected [%lld, %lld]", path,
                    sites[i].name, (long long)t->shape[0],
                    (long long)(t->ndim > 1 ? t->shape[1] : 1), (long long)rows,
                    (long long)sites[i].stored);
      goto done;
    }
    s->tensor[c * s->n_sites + i] = t;
  }
done:
  free(path);
  return st;
}

isc_status isc_store_open(const char *dir, const isc_site *sites, int64_t n_sites, int64_t n,
                          isc_store **out) {
  isc_status st = ISC_OK;
  isc_store *s = NULL;
  *out = NULL;
  ISC_TRY(isc_calloc(1, sizeof *s, "activation store", (void **)&s));
  s->n = n;
  s->n_sites = n_sites;
  const int64_t n_chunks = (n + ISC_STORE_CHUNK - 1) / ISC_STORE_CHUNK;
  ISC_GO(isc_calloc((size_t)n_chunks, sizeof *s->chunk, "activation store", (void **)&s->chunk));
  ISC_GO(isc_calloc((size_t)(n_chunks * n_sites), sizeof *s->tensor, "activation store",
                    (void **)&s->tensor));
  ISC_GO(isc_calloc((size_t)n_sites, sizeof *s->stored, "activation store", (void **)&s->stored));
  s->n_chunks = n_chunks;
  for (int64_t i = 0; i < n_sites; i++)
    s->stored[i] = sites[i].stored;
  for (int64_t c = 0; c < n_chunks; c++)
    ISC_GO(open_chunk(s, dir, c, sites));
  *out = s;
  s = NULL;
done:
  isc_store_close(s);
  return st;
}

void isc_store_close(isc_store *s) {
  if (!s) return;
  for (int64_t c = 0; c < s->n_chunks; c++)
    if (s->chunk[c]) isc_st_close(s->chunk[c]);
  free(s->chunk);
  free(s->tensor);
  free(s->stored);
  free(s);
}

static isc_status read_run(const isc_store *s, int64_t site, int64_t first, int64_t n, float *out) {
  const int64_t w = s->stored[site];
  while (n > 0) {
    const int64_t c = first / ISC_STORE_CHUNK, at = first % ISC_STORE_CHUNK;
    const int64_t room = ISC_STORE_CHUNK - at, take = n < room ? n : room;
    ISC_TRY(isc_st_read_f32(s->chunk[c], s->tensor[c * s->n_sites + site], at * w, take * w, out));
    first += take;
    n -= take;
    out += take * w;
  }
  return ISC_OK;
}

isc_status isc_store_read(const isc_store *s, int64_t site, const int64_t *row, int64_t n,
                          float *out) {
  if (!row) {
    if (n > s->n)
      return isc_fail(ISC_E_INTERNAL, "activation store: %lld rows of %lld asked for", (long long)n,
                      (long long)s->n);
    return read_run(s, site, 0, n, out);
  }
  for (int64_t i = 0; i < n; i++) {
    if (row[i] < 0 || row[i] >= s->n)
      return isc_fail(ISC_E_INTERNAL, "activation store: row %lld of %lld asked for",
                      (long long)row[i], (long long)s->n);
    ISC_TRY(read_run(s, site, row[i], 1, out + i * s->stored[site]));
  }
  return ISC_OK;
}
