/* SPDX-License-Identifier: Apache-2.0
 *
 * Batched decoding with a key/value cache.
 *
 * Where the device answers later, a token's pass begins before the last one's draws are heard of: the tokens stay on the
 * device, and a sequence is known to have ended one pass too late, whose draw nobody takes.
 *
 * A batch is a rectangle, rows × samples of a row, in the order of the rows' sites: the samples of a row stand to its
 * condition as the positions of a sequence do, so that what a row conditions on is made and read once. Finished
 * sequences leave, the rectangle shrinking, when they are enough to pay for the copying.
 */
#include <inversescope/decoding.h>
#include "base/base.h"
#include "tensor/optional.h"
#include <math.h>
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
  bool later;       /* what a token's pass drew is read while the next one is at work     */
  bool records;     /* … and passes of one shape are put together                         */
  void *drawn;      /* on the device: logp [capacity], id [capacity]; NULL unless `later` */
  char *drawn_host; /* a copy of those                                                    */
  bool on_device;   /* the tokens to feed are there, not in `id`                          */
  int64_t alike;    /* passes of the same shape so far                                    */
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

enum { DRAWN_BYTES = sizeof(double) + sizeof(int32_t) };

static isc_status allocate_drawn(run *r) {
  isc_device *dev = r->sp->device;
  const size_t bytes = (size_t)r->capacity * DRAWN_BYTES;
  r->later = isc_device_reads_later(dev);
  r->records = r->later && isc_device_records(dev);
  if (!r->later) return ISC_OK;
  ISC_TRY(isc_malloc(bytes, "sampling", (void **)&r->drawn_host));
  return dev->ops->alloc(dev->impl, bytes, &r->drawn);
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
  isc_step_set_product(r->conditions, r->sp->product);
  isc_step_set_product(r->step, r->sp->product);
  ISC_TRY(allocate_drawn(r));
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
  free(r->drawn_host);
  if (r->drawn) r->sp->device->ops->free(r->sp->device->impl, r->drawn);
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
  r->on_device = false;
  r->alike = 0;
  isc_kv_cache_free(r->cache);
  r->cache = NULL;
  ISC_TRY(isc_kv_cache_new_prefixed(r->sp->decoder, rows * width, r->sp->max_tokens - 1,
                                    r->sp->n_prefix, &r->cache));
  return condition_rows(r);
}

static double *drawn_logp(const run *r) {
  return r->drawn;
}
static int32_t *drawn_id(const run *r) {
  return (int32_t *)(void *)(drawn_logp(r) + r->rows * r->width);
}

static isc_sample draw_of(run *r, int64_t t, const isc_tensor *logits) {
  const int64_t n = r->rows * r->width;
  for (int64_t i = 0; i < n; i++)
    r->index[i] = r->req->index[row_of(r, i)] + (uint64_t)r->seq[i].sample;
  return (isc_sample){.rows = n,
                      .vocab = logits->shape[1],
                      .logits = logits->data,
                      .temperature = r->req->temperature,
                      .seed = r->req->seed,
                      .index = r->index,
                      .draw = (uint32_t)t};
}

static isc_status draw_here(run *r, isc_sample *a) {
  memset(r->logp, 0, (size_t)a->rows * sizeof *r->logp);
  a->id = r->id;
  a->logp = r->logp;
  return r->sp->device->ops->sample(r->sp->device->impl, a);
}

static isc_status draw_there(run *r, isc_sample *a) {
  a->device_id = drawn_id(r);
  a->device_logp = drawn_logp(r);
  return r->sp->device->ops->sample_there(r->sp->device->impl, a);
}

/* Feed each sequence's token and draw its next one. */
static isc_status pass(run *r, int64_t t) {
  const isc_decoding *sp = r->sp;
  isc_tensor *hidden, *logits;
  const isc_decoder_input in = {.size = sizeof in,
                                .batch = r->rows * r->width,
                                .len = 1,
                                .ids = r->on_device ? NULL : r->id,
                                .device_ids = r->on_device ? drawn_id(r) : NULL,
                                .cache = r->cache,
                                .prefix = t == 0 && sp->n_prefix ? &r->prefix : NULL};
  isc_step_reset(r->step);
  ISC_TRY(isc_decoder_forward(sp->decoder, r->step, &in, sp->taps, &hidden));
  ISC_TRY(isc_decoder_logits(sp->decoder, r->step, hidden, &logits));
  isc_sample a = draw_of(r, t, logits);
  return r->later ? draw_there(r, &a) : draw_here(r, &a);
}

/* The pass as one piece of work; *done = false when the device would not have it so. The first passes of a shape go by
 * themselves: they get the memory that the others find. */
static isc_status recorded_pass(run *r, int64_t t, bool *done) {
  isc_device *dev = r->sp->device;
  *done = false;
  if (!r->records || r->alike < 2) return ISC_OK;
  isc_status st = dev->ops->record(dev->impl);
  if (st == ISC_OK) {
    const isc_status asked = pass(r, t);
    st = dev->ops->play(dev->impl, asked != ISC_OK);
    *done = asked == ISC_OK && st == ISC_OK;
  }
  if (*done) return ISC_OK;
  r->records = false; /* none of it was done: it is asked for anew, and says then what is wrong */
  isc_kv_cache_rewind(r->cache, t);
  return ISC_OK;
}

static isc_status draw(run *r, int64_t t) {
  isc_device *dev = r->sp->device;
  bool done;
  ISC_TRY(recorded_pass(r, t, &done));
  if (!done) ISC_TRY(pass(r, t));
  r->alike++;
  if (!r->later) return ISC_OK;
  r->on_device = true;
  return dev->ops->read_begin(dev->impl, ISC_READ_SAMPLING + t % 2, r->drawn,
                              (size_t)(r->rows * r->width) * DRAWN_BYTES);
}

/* What pass t drew into id and logp, if the host does not have it yet. */
static isc_status hear(run *r, int64_t t) {
  const size_t n = (size_t)(r->rows * r->width);
  isc_device *dev = r->sp->device;
  if (!r->later) return ISC_OK;
  ISC_TRY(dev->ops->read_end(dev->impl, ISC_READ_SAMPLING + t % 2, r->drawn_host));
  memcpy(r->logp, r->drawn_host, n * sizeof *r->logp);
  memcpy(r->id, r->drawn_host + n * sizeof *r->logp, n * sizeof *r->id);
  if (dev->paper) /* zeros might be the end of a text, and a plan is of the longest */
    for (size_t i = 0; i < n; i++)
      r->id[i] = (int32_t)(isc_decoder_get_spec(r->sp->decoder)->vocab / 2);
  for (size_t i = 0; i < n; i++)
    if (isnan(r->logp[i]))
      return isc_fail(ISC_E_NUMERIC, "sampling: the logits of token %lld hold NaN or infinity",
                      (long long)t + 1);
  return ISC_OK;
}

/* Take the tokens in that pass t drew; deliver what has ended. */
static isc_status advance(run *r, int64_t t) {
  const bool last = t + 2 == r->sp->max_tokens;
  ISC_TRY(hear(r, t));
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

/* The rectangle that the unfinished sequences need; is it worth while to go over to it? */
static bool can_shrink(const run *r, int64_t *rows, int64_t *width) {
  *rows = *width = 0;
  for (int64_t i = 0; i < r->rows; i++) {
    int64_t n = unfinished(r, i);
    *rows += n > 0;
    *width = n > *width ? n : *width;
  }
  return 4 * *rows * *width <= 3 * r->rows * r->width;
}

/* Let finished sequences go when a quarter of the batch can be saved; *left = are any unfinished? Pass t was begun: what it drew
 * belongs to the rectangle as it is, so it is heard first. */
static isc_status compact(run *r, int64_t t, bool *left) {
  int64_t rows, width;
  bool shrinks = can_shrink(r, &rows, &width);
  if (shrinks && rows > 0 && r->later) {
    ISC_TRY(advance(r, t));
    can_shrink(r, &rows, &width);
    r->on_device = false;
    r->alike = 0;
  }
  *left = rows > 0;
  return *left && shrinks ? shrink(r, rows, width) : ISC_OK;
}

/* With draws that are heard later, pass t is at work while those of pass t − 1 are taken in. */
static isc_status decode(run *r) {
  const int64_t draws = r->sp->max_tokens - 1;
  bool left = true;
  for (int64_t t = 0; t < draws && left; t++) {
    const bool waiting = r->later && r->on_device; /* pass t − 1 is not taken in */
    ISC_TRY(draw(r, t));
    if (waiting) ISC_TRY(advance(r, t - 1));
    if (!r->later || t + 1 == draws) ISC_TRY(advance(r, t));
    if (waiting || !r->later) ISC_TRY(compact(r, t, &left));
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
