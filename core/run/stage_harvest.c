/* SPDX-License-Identifier: Apache-2.0
 *
 * The harvest: activations of the training and test inputs at every site, chunk by chunk.
 */
#include "run/stage.h"

#include <stdlib.h>

typedef struct chunk_buffers {
  isc_text *text;      /* [ISC_STORE_CHUNK] */
  const char **string; /* [ISC_STORE_CHUNK] */
  size_t *len;         /* [ISC_STORE_CHUNK] */
  float **data;        /* [n_sites] host [ISC_STORE_CHUNK, stored] */
} chunk_buffers;

static void buffers_free(chunk_buffers *b, int64_t n_sites) {
  for (int64_t i = 0; b->text && i < ISC_STORE_CHUNK; i++)
    isc_text_free(&b->text[i]);
  for (int64_t i = 0; b->data && i < n_sites; i++)
    free(b->data[i]);
  free(b->text);
  free(b->string);
  free(b->len);
  free(b->data);
}

static isc_status buffers_new(chunk_buffers *b, const isc_site_set *sites) {
  ISC_TRY(isc_calloc(ISC_STORE_CHUNK, sizeof *b->text, "harvest texts", (void **)&b->text));
  ISC_TRY(isc_calloc(ISC_STORE_CHUNK, sizeof *b->string, "harvest texts", (void **)&b->string));
  ISC_TRY(isc_calloc(ISC_STORE_CHUNK, sizeof *b->len, "harvest texts", (void **)&b->len));
  ISC_TRY(isc_calloc((size_t)sites->n, sizeof *b->data, "harvest", (void **)&b->data));
  for (int64_t i = 0; i < sites->n; i++)
    ISC_TRY(isc_calloc((size_t)ISC_STORE_CHUNK * (size_t)sites->site[i].stored, sizeof(float),
                       "harvest", (void **)&b->data[i]));
  return ISC_OK;
}

static isc_status harvest_chunk(isc_study *s, isc_split split, const char *dir, int64_t c,
                                int64_t rows, chunk_buffers *b) {
  for (int64_t i = 0; i < rows; i++) {
    isc_text_clear(&b->text[i]);
    ISC_TRY(isc_study_text(s, split, c * ISC_STORE_CHUNK + i, &b->text[i]));
    b->string[i] = b->text[i].data;
    b->len[i] = b->text[i].len;
  }
  const isc_harvest h = {.target = &s->target,
                         .sites = &s->sites,
                         .text = b->string,
                         .len = b->len,
                         .n = rows,
                         .position = s->target_settings.position,
                         .batch = s->target_settings.batch,
                         .out = b->data};
  ISC_TRY(isc_harvest_run(&h, s->step));
  return isc_store_write(dir, c, s->sites.site, s->sites.n, rows, b->data);
}

static isc_status harvest_split(isc_run_state *r, isc_split split, int64_t n, const char *dir,
                                int64_t done, int64_t total, chunk_buffers *b) {
  ISC_TRY(isc_mkdirs(dir));
  for (int64_t c = 0; c * ISC_STORE_CHUNK < n; c++) {
    const int64_t left = n - c * ISC_STORE_CHUNK,
                  rows = left < ISC_STORE_CHUNK ? left : ISC_STORE_CHUNK;
    if (!isc_store_has(dir, c)) ISC_TRY(harvest_chunk(r->study, split, dir, c, rows, b));
    done += rows;
    ISC_TRY(isc_stage_progress(r, done, total, NULL, 0));
    ISC_TRY(isc_stage_check(r));
  }
  return ISC_OK;
}

isc_status isc_stage_harvest(isc_run_state *r, void *arg) {
  isc_study *s = r->study;
  isc_status st = ISC_OK;
  chunk_buffers b = {0};
  char *train = NULL, *test = NULL;
  (void)arg;
  ISC_GO(buffers_new(&b, &s->sites));
  ISC_GO(isc_path_join(r->stage_dir, "train", &train));
  ISC_GO(isc_path_join(r->stage_dir, "test", &test));
  ISC_GO(harvest_split(r, ISC_TRAIN, s->n_train, train, 0, s->n_train + s->n_test, &b));
  ISC_GO(harvest_split(r, ISC_TEST, s->n_test, test, s->n_train, s->n_train + s->n_test, &b));
done:
  buffers_free(&b, s->sites.n);
  free(train);
  free(test);
  return st;
}
