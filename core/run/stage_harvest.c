/* SPDX-License-Identifier: Apache-2.0
 *
 * The harvest: activations of the training and test inputs at every site, chunk by chunk.
 */
#include "run/stage.h"
#include "run/study_open.h"

#include <stdlib.h>
#include <string.h>

typedef struct chunk_buffers {
  isc_text *text;      /* [ISC_STORE_CHUNK] */
  const char **string; /* [ISC_STORE_CHUNK] */
  size_t *len;         /* [ISC_STORE_CHUNK] */
  float **data;        /* [n_sites] host [ISC_STORE_CHUNK, stored] */
  float **piece;       /* [n_sites] where in data a piece goes */
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
  free(b->piece);
}

static isc_status buffers_new(chunk_buffers *b, const isc_site_set *sites) {
  ISC_TRY(isc_calloc(ISC_STORE_CHUNK, sizeof *b->text, "harvest texts", (void **)&b->text));
  ISC_TRY(isc_calloc(ISC_STORE_CHUNK, sizeof *b->string, "harvest texts", (void **)&b->string));
  ISC_TRY(isc_calloc(ISC_STORE_CHUNK, sizeof *b->len, "harvest texts", (void **)&b->len));
  ISC_TRY(isc_calloc((size_t)sites->n, sizeof *b->data, "harvest", (void **)&b->data));
  ISC_TRY(isc_calloc((size_t)sites->n, sizeof *b->piece, "harvest", (void **)&b->piece));
  for (int64_t i = 0; i < sites->n; i++)
    ISC_TRY(isc_calloc((size_t)ISC_STORE_CHUNK * (size_t)sites->site[i].stored, sizeof(float),
                       "harvest", (void **)&b->data[i]));
  return ISC_OK;
}

typedef struct split {
  isc_split which;
  int64_t n; /* inputs                       */
  const char *dir;
  int64_t done, total; /* inputs of the stage so far, and in all */
} split;

static isc_status read_texts(const isc_study *s, const split *p, int64_t first, int64_t n,
                             chunk_buffers *b) {
  for (int64_t i = 0; i < n; i++) {
    isc_text_clear(&b->text[i]);
    ISC_TRY(isc_study_text(s, p->which, first + i, &b->text[i]));
    b->string[i] = b->text[i].data;
    b->len[i] = b->text[i].len;
  }
  return ISC_OK;
}

/* Rows at … at + n − 1 of the chunk. */
static isc_status harvest_piece(isc_study *s, int64_t at, int64_t n, const chunk_buffers *b) {
  for (int64_t i = 0; i < s->sites.n; i++)
    b->piece[i] = b->data[i] + at * s->sites.site[i].stored;
  const isc_harvest h = {.target = &s->target,
                         .sites = &s->sites,
                         .text = b->string + at,
                         .len = b->len + at,
                         .n = n,
                         .position = s->target_settings.position,
                         .batch = s->target_settings.batch,
                         .out = b->piece};
  const isc_status st = isc_harvest_run(&h, s->step);
  if (st != ISC_E_SHAPE && st != ISC_E_FORMAT) return st;
  return isc_study_in(
      s, isc_config_has(s->config, "target.position") ? "target.position" : "target", st);
}

static isc_status harvest_chunk(isc_run_state *r, const split *p, int64_t c, int64_t rows,
                                chunk_buffers *b) {
  isc_study *s = r->study;
  const int64_t piece = isc_study_piece(s);
  ISC_TRY(read_texts(s, p, c * ISC_STORE_CHUNK, rows, b));
  for (int64_t at = 0; at < rows; at += piece) {
    const int64_t n = rows - at < piece ? rows - at : piece;
    ISC_TRY(isc_stage_check(r));
    ISC_TRY(harvest_piece(s, at, n, b));
    ISC_TRY(isc_stage_progress(r, p->done + at + n, p->total, NULL, 0));
  }
  return isc_store_write(p->dir, c, s->sites.site, s->sites.n, rows, b->data);
}

static isc_status harvest_split(isc_run_state *r, split *p, chunk_buffers *b) {
  ISC_TRY(isc_mkdirs(p->dir));
  for (int64_t c = 0; c * ISC_STORE_CHUNK < p->n; c++) {
    const int64_t left = p->n - c * ISC_STORE_CHUNK,
                  rows = left < ISC_STORE_CHUNK ? left : ISC_STORE_CHUNK;
    ISC_TRY(isc_stage_check(r));
    if (!isc_store_has(p->dir, c)) ISC_TRY(harvest_chunk(r, p, c, rows, b));
    p->done += rows;
  }
  return ISC_OK;
}

/* ---- the first text, as the target reads it */

enum { TOKENS_SHOWN = 24 };

static void add_token(isc_sb *log, isc_sb *shown, const isc_tokenizer *tok, int64_t i, int32_t id) {
  const char *token = isc_tokenizer_token(tok, id);
  if (!token) token = "";
  isc_sb_addf(log, "%s{\"id\":%d,\"token\":", i ? "," : "", (int)id);
  isc_sb_add_json(log, token, strlen(token));
  isc_sb_add(log, "}");
  if (i < TOKENS_SHOWN) isc_sb_addf(shown, "%s%d \"%s\"", i ? ", " : "", (int)id, token);
}

/* A missing or a doubled BOS, or a tokenizer of another model, is seen at once in ids and tokens. */
static isc_status tell_tokens(isc_run_state *r, const isc_tokenizer *tok, const int32_t *ids,
                              int64_t n) {
  isc_sb log = {0}, shown = {0};
  char *members = NULL, *line = NULL;
  isc_status st = ISC_OK;
  isc_sb_add(&log, "\"tokens\":[");
  isc_sb_addf(&shown, "first text: %lld tokens: ", (long long)n);
  for (int64_t i = 0; i < n; i++)
    add_token(&log, &shown, tok, i, ids[i]);
  isc_sb_add(&log, "]");
  if (n > TOKENS_SHOWN) isc_sb_add(&shown, ", …");
  ISC_GO(isc_sb_finish(&log, &members));
  ISC_GO(isc_sb_finish(&shown, &line));
  isc_stage_note(r, "tokens", members, line);
done:
  isc_sb_free(&log);
  isc_sb_free(&shown);
  free(members);
  free(line);
  return st;
}

/* A text that cannot be read is the harvest's to report. */
static isc_status tell_first_text(isc_run_state *r) {
  const isc_study *s = r->study;
  const isc_tokenizer *tok = s->target.ops->tokenizer(s->target.self);
  isc_text text = {0};
  int32_t *ids = NULL;
  int64_t n = 0;
  isc_status st = ISC_OK;
  ISC_GO(isc_study_text(s, ISC_TRAIN, 0, &text));
  const char *string = text.data ? text.data : "";
  if (isc_tokenizer_encode(tok, string, text.len, NULL, 0, &n) != ISC_OK) goto done;
  ISC_GO(isc_calloc((size_t)n, sizeof *ids, "tokens", (void **)&ids));
  ISC_GO(isc_tokenizer_encode(tok, string, text.len, ids, n, &n));
  ISC_GO(tell_tokens(r, tok, ids, n));
done:
  isc_text_free(&text);
  free(ids);
  return st;
}

isc_status isc_stage_harvest(isc_run_state *r, void *arg) {
  isc_study *s = r->study;
  isc_status st = ISC_OK;
  chunk_buffers b = {0};
  char *train = NULL, *test = NULL;
  const int64_t total = s->n_train + s->n_test;
  (void)arg;
  ISC_GO(tell_first_text(r));
  ISC_GO(buffers_new(&b, &s->sites));
  ISC_GO(isc_path_join(r->stage_dir, "train", &train));
  ISC_GO(isc_path_join(r->stage_dir, "test", &test));
  split first = {.which = ISC_TRAIN, .n = s->n_train, .dir = train, .total = total};
  split second = {
      .which = ISC_TEST, .n = s->n_test, .dir = test, .done = s->n_train, .total = total};
  ISC_GO(harvest_split(r, &first, &b));
  ISC_GO(harvest_split(r, &second, &b));
done:
  buffers_free(&b, s->sites.n);
  free(train);
  free(test);
  return st;
}
