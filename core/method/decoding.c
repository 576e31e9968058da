/* SPDX-License-Identifier: Apache-2.0
 *
 * Batched decoding with a key/value cache.
 *
 * A batch is a rectangle, rows × samples of a row, in the order of the rows' sites: the samples of a row stand to its
 * condition as the positions of a sequence do, so that what a row conditions on is made and read once. Finished
 * sequences leave, the rectangle shrinking, when they are enough to pay for the copying.
 */
#include <inversescope/decoding.h>
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

typedef struct sequence {
  int64_t sample; /* of its row: j                  */
  int64_t n;      /* tokens so far                  */
  int64_t slot;   /* of run.tokens                  */
  double log_q;
  bool done;
} sequence;

typedef struct run {
  const isc_decoding *sp;
  const isc_invert *req;
  int64_t capacity;            /* sequences at once                                    */
  int64_t *order;              /* [req->n] rows sorted by site                         */
  isc_step *conditions, *step; /* what lives for a batch, and for a token              */
  isc_step_mark mark;          /* in conditions: behind what the rows began with       */
  isc_kv_prefix prefix;        /* of the rows at first                                 */
  isc_kv_cache *cache;
  int64_t rows, width; /* the rectangle                               */
  int64_t *row;        /* [rows] position in `order`, minus first_row */
  int64_t first_row;
  sequence *seq, *spare;  /* [capacity] row by row; and room to rearrange         */
  int32_t *tokens;        /* [capacity, max_tokens]                               */
  int32_t *id, *spare_id; /* [capacity] the token to feed, then the one drawn     */
  uint64_t *index;        /* [capacity]                                           */
  double *logp;           /* [capacity]                                           */
  int64_t *keep;          /* [capacity]                                           */
  isc_text text;
} run;

/* ---- setting up */

typedef struct sited {
  int64_t site, row;
} sited;

static int by_site(const void *a, const void *b) {
  const sited *x = a, *y = b;
  if (x->site != y->site) return x->site < y->site ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

static isc_status sort_rows(run *r) {
  const isc_invert *q = r->req;
  sited *of = NULL;
  ISC_TRY(isc_calloc((size_t)q->n, sizeof *r->order, "sampling", (void **)&r->order));
  ISC_TRY(isc_calloc((size_t)q->n, sizeof *of, "sampling", (void **)&of));
  for (int64_t i = 0; i < q->n; i++)
    of[i] = (sited){r->sp->begin ? q->site[i] : 0, i};
  qsort(of, (size_t)q->n, sizeof *of, by_site);
  for (int64_t i = 0; i < q->n; i++)
    r->order[i] = of[i].row;
  free(of);
  return ISC_OK;
}

static isc_status check(const isc_decoding *sp, const isc_invert *q) {
  const isc_decoder_spec *spec = isc_decoder_get_spec(sp->decoder);
  if (q->n < 0 || q->samples < 0 || q->batch < 1 || !(q->temperature >= 0))
    return isc_fail(ISC_E_USAGE,
                    "sampling: %lld rows of %lld samples in batches of %lld at temperature %g",
                    (long long)q->n, (long long)q->samples, (long long)q->batch, q->temperature);
  if (sp->max_tokens < 2 || sp->max_tokens > spec->n_ctx)
    return isc_fail(ISC_E_USAGE, "sampling: %lld tokens of a decoder with %lld positions",
                    (long long)sp->max_tokens, (long long)spec->n_ctx);
  if (sp->bos < 0 || sp->bos >= spec->vocab || sp->eos < 0 || sp->eos >= spec->vocab)
    return isc_fail(ISC_E_USAGE,
                    "sampling: texts begin with token %d and end with %d; the decoder has %lld",
                    (int)sp->bos, (int)sp->eos, (long long)spec->vocab);
  if (sp->n_prefix < 0 || (sp->n_prefix && !sp->begin))
    return isc_fail(ISC_E_USAGE, "sampling: %lld key/value slots, and nothing that makes them",
                    (long long)sp->n_prefix);
  return ISC_OK;
}

static isc_status allocate(run *r) {
  const char *what = "sampling";
  size_t n, numbers;
  int64_t pairs;
  if (__builtin_mul_overflow(r->req->n, r->req->samples, &pairs))
    return isc_fail(ISC_E_SHAPE, "sampling: too many samples");
  r->capacity = r->req->batch < pairs ? r->req->batch : pairs;
  n = (size_t)r->capacity;
  ISC_TRY(isc_mul_size(n, (size_t)r->sp->max_tokens, what, &numbers));
  ISC_TRY(isc_calloc(n, sizeof *r->seq, what, (void **)&r->seq));
  ISC_TRY(isc_calloc(n, sizeof *r->spare, what, (void **)&r->spare));
  ISC_TRY(isc_calloc(n, sizeof *r->row, what, (void **)&r->row));
  ISC_TRY(isc_calloc(numbers, sizeof *r->tokens, what, (void **)&r->tokens));
  ISC_TRY(isc_calloc(n, sizeof *r->id, what, (void **)&r->id));
  ISC_TRY(isc_calloc(n, sizeof *r->spare_id, what, (void **)&r->spare_id));
  ISC_TRY(isc_calloc(n, sizeof *r->index, what, (void **)&r->index));
  ISC_TRY(isc_calloc(n, sizeof *r->logp, what, (void **)&r->logp));
  ISC_TRY(isc_calloc(n, sizeof *r->keep, what, (void **)&r->keep));
  ISC_TRY(isc_step_new(r->sp->device, &r->conditions));
  ISC_TRY(isc_step_new(r->sp->device, &r->step));
  return sort_rows(r);
}

static void release(run *r) {
  isc_kv_cache_free(r->cache);
  isc_step_free(r->conditions);
  isc_step_free(r->step);
  free(r->order);
  free(r->seq);
  free(r->spare);
  free(r->row);
  free(r->tokens);
  free(r->id);
  free(r->spare_id);
  free(r->index);
  free(r->logp);
  free(r->keep);
  isc_text_free(&r->text);
}

/* ---- conditions */

static isc_status condition_rows(run *r) {
  const isc_decoding *sp = r->sp;
  isc_step_reset(r->conditions);
  r->prefix = (isc_kv_prefix){.size = sizeof r->prefix, .n = sp->n_prefix};
  if (!sp->begin) return ISC_OK;
  ISC_TRY(sp->begin(sp->user, r->conditions, r->order + r->first_row, r->rows, &r->prefix));
  r->mark = isc_step_here(r->conditions);
  return ISC_OK;
}

static isc_status select_conditions(run *r) {
  if (!r->sp->begin || !r->sp->select) return ISC_OK;
  ISC_TRY(isc_step_rewind(r->conditions, r->mark));
  return r->sp->select(r->sp->user, r->conditions, r->row, r->rows);
}

/* ---- decoding */

/* The request's row that sequence i of the batch belongs to. */
static int64_t row_of(const run *r, int64_t i) {
  return r->order[r->first_row + r->row[i / r->width]];
}

static isc_status deliver(run *r, int64_t i) {
  const sequence *q = &r->seq[i];
  ISC_TRY(isc_tokenizer_decode(r->sp->tokenizer, r->tokens + q->slot * r->sp->max_tokens, q->n,
                               &r->text));
  return r->req->sample(r->req->user, row_of(r, i), q->sample, r->text.data ? r->text.data : "",
                        r->text.len, q->log_q);
}

/* Rows first_row … first_row + rows − 1 of the order, samples first … first + width − 1 of each. */
static isc_status begin(run *r, int64_t first_row, int64_t rows, int64_t first, int64_t width) {
  r->first_row = first_row;
  r->rows = rows;
  r->width = width;
  for (int64_t i = 0; i < rows; i++)
    r->row[i] = i;
  for (int64_t i = 0; i < rows * width; i++) {
    r->seq[i] = (sequence){.sample = first + i % width, .slot = i};
    r->id[i] = r->sp->bos;
  }
  isc_kv_cache_free(r->cache);
  r->cache = NULL;
  ISC_TRY(isc_kv_cache_new_prefixed(r->sp->decoder, rows * width, r->sp->max_tokens - 1,
                                    r->sp->n_prefix, &r->cache));
  return condition_rows(r);
}

/* Feed id, draw the next token of every sequence in the batch into id and its log-probability into logp. */
static isc_status draw(run *r, int64_t t) {
  const isc_decoding *sp = r->sp;
  int64_t n = r->rows * r->width;
  isc_tensor *hidden, *logits;
  const isc_decoder_input in = {.size = sizeof in,
                                .batch = n,
                                .len = 1,
                                .ids = r->id,
                                .cache = r->cache,
                                .prefix = t == 0 && sp->n_prefix ? &r->prefix : NULL};
  isc_step_reset(r->step);
  ISC_TRY(isc_decoder_forward(sp->decoder, r->step, &in, sp->taps, &hidden));
  ISC_TRY(isc_decoder_logits(sp->decoder, r->step, hidden, &logits));
  memset(r->logp, 0, (size_t)n * sizeof *r->logp);
  for (int64_t i = 0; i < n; i++)
    r->index[i] = r->req->index[row_of(r, i)] + (uint64_t)r->seq[i].sample;
  const isc_sample a = {.rows = n,
                        .vocab = logits->shape[1],
                        .logits = logits->data,
                        .temperature = r->req->temperature,
                        .seed = r->req->seed,
                        .index = r->index,
                        .draw = (uint32_t)t,
                        .id = r->id,
                        .logp = r->logp};
  return sp->device->ops->sample(sp->device->impl, &a);
}

/* Take the drawn tokens in; deliver what has ended. */
static isc_status advance(run *r, bool last) {
  for (int64_t i = 0; i < r->rows * r->width; i++) {
    sequence *q = &r->seq[i];
    if (q->done) continue;
    q->log_q += r->logp[i];
    if (r->id[i] == r->sp->eos)
      q->done = true;
    else
      r->tokens[q->slot * r->sp->max_tokens + q->n++] = r->id[i];
    q->done = q->done || last;
    if (q->done) ISC_TRY(deliver(r, i));
  }
  return ISC_OK;
}

static int64_t unfinished(const run *r, int64_t row) {
  int64_t n = 0;
  for (int64_t i = row * r->width; i < (row + 1) * r->width; i++)
    n += !r->seq[i].done;
  return n;
}

/* Which sequences of `row` stay in a rectangle `width` wide: the unfinished ones, then finished ones to fill up. */
static void keep_row(run *r, int64_t row, int64_t width, int64_t *keep) {
  int64_t n = 0;
  for (int done = 0; done < 2; done++)
    for (int64_t i = row * r->width; i < (row + 1) * r->width && n < width; i++)
      if (r->seq[i].done == (bool)done) keep[n++] = i;
}

static isc_status shrink(run *r, int64_t rows, int64_t width) {
  int64_t to = 0;
  for (int64_t i = 0; i < r->rows; i++) {
    if (unfinished(r, i) == 0) continue;
    keep_row(r, i, width, r->keep + to * width);
    r->row[to++] = r->row[i];
  }
  for (int64_t i = 0; i < rows * width; i++) {
    r->spare[i] = r->seq[r->keep[i]];
    r->spare_id[i] = r->id[r->keep[i]];
  }
  memcpy(r->seq, r->spare, (size_t)(rows * width) * sizeof *r->seq);
  memcpy(r->id, r->spare_id, (size_t)(rows * width) * sizeof *r->id);
  bool fewer = rows < r->rows;
  r->rows = rows;
  r->width = width;
  ISC_TRY(isc_kv_cache_select(r->cache, r->keep, rows * width));
  return fewer ? select_conditions(r) : ISC_OK;
}

/* Let finished sequences go when a quarter of the batch can be saved; *left = are any unfinished? */
static isc_status compact(run *r, bool *left) {
  int64_t rows = 0, width = 0;
  for (int64_t i = 0; i < r->rows; i++) {
    int64_t n = unfinished(r, i);
    rows += n > 0;
    width = n > width ? n : width;
  }
  *left = rows > 0;
  return *left && 4 * rows * width <= 3 * r->rows * r->width ? shrink(r, rows, width) : ISC_OK;
}

static isc_status decode(run *r) {
  int64_t draws = r->sp->max_tokens - 1;
  bool left = true;
  for (int64_t t = 0; t < draws && left; t++) {
    ISC_TRY(draw(r, t));
    ISC_TRY(advance(r, t + 1 == draws));
    ISC_TRY(compact(r, &left));
  }
  return ISC_OK;
}

isc_status isc_decode(const isc_decoding *given, const isc_invert *asked) {
  isc_status st = ISC_OK;
  isc_decoding sp;
  isc_invert q, *const req = &q;
  run r = {.sp = &sp, .req = req};
  ISC_TRY(isc_struct_read(given, "decoding", ISC_SIZE_TO(isc_decoding, taps), sizeof sp, &sp));
  ISC_TRY(isc_struct_read(asked, "a request", ISC_SIZE_TO(isc_invert, sample), sizeof q, &q));
  ISC_TRY(check(&sp, req));
  if (req->n == 0 || req->samples == 0) return ISC_OK;
  ISC_GO(allocate(&r));
  int64_t width = req->samples < r.capacity ? req->samples : r.capacity, rows = r.capacity / width;
  for (int64_t i = 0; i < req->n; i += rows)
    for (int64_t j = 0; j < req->samples; j += width) {
      int64_t n = req->n - i < rows ? req->n - i : rows,
              m = req->samples - j < width ? req->samples - j : width;
      ISC_GO(begin(&r, i, n, j, m));
      ISC_GO(decode(&r));
    }
done:
  release(&r);
  return st;
}
