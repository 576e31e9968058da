/* SPDX-License-Identifier: Apache-2.0
 *
 * Batched decoding with a key/value cache.
 *
 * A batch is a rectangle, rows × samples of a row, in the order of the rows' sites: the samples of a row stand to its
 * condition as the positions of a sequence do, so that keys and values are made and read once per row. Finished
 * sequences leave, the rectangle shrinking, when they are enough to pay for the copying.
 */
#include "method/sampler.h"
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
  const isc_sampler *sp;
  const isc_invert *req;
  int64_t capacity;            /* sequences at once                                    */
  int64_t *order;              /* [req->n] rows sorted by site                         */
  isc_step *conditions, *step; /* what lives for a batch, and for a token              */
  isc_step_mark mark;          /* in conditions: behind the first rows' keys and values */
  isc_kv_cache *cache;
  isc_control_condition *first, *now; /* [n_layer]: of the rows at first, and of those left */
  int64_t rows, width;                /* the rectangle                                        */
  int64_t *row;                       /* [rows] position in `order`, minus first_row          */
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

/* Stable counting sort of the rows by site. */
static isc_status sort_rows(run *r) {
  const isc_invert *q = r->req;
  int64_t *start = NULL, sites = r->sp->control ? r->sp->control->spec.n_sites : 1;
  ISC_TRY(isc_calloc((size_t)q->n, sizeof *r->order, "sampling", (void **)&r->order));
  ISC_TRY(isc_calloc((size_t)sites + 1, sizeof *start, "sampling", (void **)&start));
  for (int64_t i = 0; i < q->n; i++)
    start[(r->sp->control ? q->site[i] : 0) + 1]++;
  for (int64_t g = 0; g < sites; g++)
    start[g + 1] += start[g];
  for (int64_t i = 0; i < q->n; i++)
    r->order[start[r->sp->control ? q->site[i] : 0]++] = i;
  free(start);
  return ISC_OK;
}

static isc_status check(const isc_sampler *sp, const isc_invert *q) {
  if (q->n < 0 || q->samples < 0 || q->batch < 1 || !(q->temperature >= 0))
    return isc_fail(ISC_E_USAGE,
                    "sampling: %lld rows of %lld samples in batches of %lld at temperature %g",
                    (long long)q->n, (long long)q->samples, (long long)q->batch, q->temperature);
  if (sp->max_tokens < 2 || sp->max_tokens > isc_decoder_get_spec(sp->decoder)->n_ctx)
    return isc_fail(ISC_E_USAGE, "sampling: %lld tokens of a backbone with %lld positions",
                    (long long)sp->max_tokens, (long long)isc_decoder_get_spec(sp->decoder)->n_ctx);
  for (int64_t i = 0; sp->control && i < q->n; i++)
    if (q->site[i] < 0 || q->site[i] >= sp->control->spec.n_sites)
      return isc_fail(ISC_E_USAGE, "sampling: row %lld asks for site %lld of %lld", (long long)i,
                      (long long)q->site[i], (long long)sp->control->spec.n_sites);
  return ISC_OK;
}

static isc_status allocate(run *r) {
  const char *what = "sampling";
  size_t n, layers = (size_t)isc_decoder_get_spec(r->sp->decoder)->n_layer, numbers;
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
  ISC_TRY(isc_calloc(layers, sizeof *r->first, what, (void **)&r->first));
  ISC_TRY(isc_calloc(layers, sizeof *r->now, what, (void **)&r->now));
  ISC_TRY(isc_step_new(r->sp->device, &r->conditions));
  ISC_TRY(isc_step_new(r->sp->device, &r->step));
  return sort_rows(r);
}

static void release(run *r) {
  isc_kv_cache_free(r->cache);
  isc_step_free(r->conditions);
  isc_step_free(r->step);
  free(r->order);
  free(r->first);
  free(r->now);
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

/* Scaled activations of the rows, zero beyond their site's dim, and where each site's rows start. */
static void fill_conditions(const run *r, float *z /* [rows, d_z] */,
                            int64_t *start /* [n_sites + 1] */) {
  const isc_control_layers *l = r->sp->control;
  for (int64_t i = 0; i < r->rows; i++, z += l->d_z) {
    int64_t row = r->order[r->first_row + i], g = r->req->site[row];
    start[g + 1]++;
    for (int64_t k = 0; k < l->site_dim[g]; k++)
      z[k] = r->req->z[row][k] * l->host_scale[g];
  }
  for (int64_t g = 0; g < l->spec.n_sites; g++)
    start[g + 1] += start[g];
}

static isc_status condition_rows(run *r) {
  isc_control_layers *l = r->sp->control;
  isc_step *s = r->conditions;
  const int64_t shape[] = {r->rows, l->d_z};
  size_t floats = (size_t)(r->rows * l->d_z) * sizeof(float),
         starts = (size_t)(l->spec.n_sites + 1) * sizeof(int64_t);
  void *host, *start;
  isc_tensor *z;
  isc_step_reset(s);
  ISC_TRY(isc_step_host_alloc(s, floats, &host));
  ISC_TRY(isc_step_host_alloc(s, starts, &start));
  memset(host, 0, floats);
  memset(start, 0, starts);
  fill_conditions(r, host, start);
  ISC_TRY(isc_tensor_from(s, 2, shape, host, &z));
  ISC_TRY(isc_control_layers_condition(l, s, z, start, r->first));
  memcpy(r->now, r->first, (size_t)l->spec.n_layer * sizeof *r->now);
  r->mark = isc_step_here(s);
  return ISC_OK;
}

static isc_status gather(run *r, isc_tensor *x, isc_tensor **out) {
  int64_t width = x->ndim == 3 ? x->shape[1] * x->shape[2] : x->shape[1];
  const int64_t flat[] = {x->shape[0], width}, shape[] = {r->rows, x->shape[1], x->shape[2]};
  ISC_TRY(isc_tensor_reshape(r->conditions, x, 2, flat, out));
  ISC_TRY(isc_op_gather(r->conditions, *out, r->row, r->rows, out));
  return isc_tensor_reshape(r->conditions, *out, x->ndim, shape, out);
}

/* Keys and values of the rows that are left. */
static isc_status select_conditions(run *r) {
  ISC_TRY(isc_step_rewind(r->conditions, r->mark));
  for (int64_t i = 0; i < r->sp->control->spec.n_layer; i++) {
    ISC_TRY(gather(r, r->first[i].u, &r->now[i].u));
    ISC_TRY(gather(r, r->first[i].v, &r->now[i].v));
    ISC_TRY(gather(r, r->first[i].c, &r->now[i].c));
  }
  return ISC_OK;
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
  int32_t bos = isc_tokenizer_eos(r->sp->tokenizer);
  r->first_row = first_row;
  r->rows = rows;
  r->width = width;
  for (int64_t i = 0; i < rows; i++)
    r->row[i] = i;
  for (int64_t i = 0; i < rows * width; i++) {
    r->seq[i] = (sequence){.sample = first + i % width, .slot = i};
    r->id[i] = bos;
  }
  isc_kv_cache_free(r->cache);
  r->cache = NULL;
  ISC_TRY(isc_kv_cache_new(r->sp->decoder, rows * width, r->sp->max_tokens - 1, &r->cache));
  return r->sp->control ? condition_rows(r) : ISC_OK;
}

/* Feed id, draw the next token of every sequence in the batch into id and its log-probability into logp. */
static isc_status draw(run *r, int64_t t) {
  const isc_sampler *sp = r->sp;
  int64_t n = r->rows * r->width;
  isc_tensor *hidden, *logits;
  isc_control_tap tap = {.layers = sp->control, .cond = r->now};
  const isc_taps taps = isc_control_taps(&tap);
  const isc_decoder_input in = {
      .size = sizeof in, .batch = n, .len = 1, .ids = r->id, .cache = r->cache};
  isc_step_reset(r->step);
  ISC_TRY(isc_decoder_forward(sp->decoder, r->step, &in, sp->control ? &taps : NULL, &hidden));
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
  int32_t eos = isc_tokenizer_eos(r->sp->tokenizer);
  for (int64_t i = 0; i < r->rows * r->width; i++) {
    sequence *q = &r->seq[i];
    if (q->done) continue;
    q->log_q += r->logp[i];
    if (r->id[i] == eos)
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
  return fewer && r->sp->control ? select_conditions(r) : ISC_OK;
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

isc_status isc_sampler_run(const isc_sampler *sp, const isc_invert *req) {
  isc_status st = ISC_OK;
  run r = {.sp = sp, .req = req};
  ISC_TRY(check(sp, req));
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
