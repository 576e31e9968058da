/* SPDX-License-Identifier: Apache-2.0
 *
 * Batched decoding with a key/value cache.
 *
 * Sequences are (row, sample) pairs in the order of the rows' sites. A condition's keys and values are made once per
 * row and gathered to its samples; finished sequences leave the batch when they have become many enough to
 * pay for the copying.
 */
#include "method/sampler.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

typedef struct sequence {
  int64_t pair; /* position in (sorted row, sample) order */
  int64_t row;  /* of the chunk's conditions              */
  int64_t n;    /* tokens so far                          */
  int64_t slot; /* of run.tokens                          */
  double log_q;
  bool done;
} sequence;

typedef struct run {
  const isc_sampler *sp;
  const isc_invert *req;
  int64_t capacity;            /* sequences at once                                 */
  int64_t *order;              /* [req->n] rows sorted by site                      */
  isc_step *conditions, *step; /* what lives for a chunk, and for a token           */
  isc_step_mark mark;          /* in conditions: behind the rows' keys and values   */
  isc_kv_cache *cache;
  isc_control_condition *of_row, *of_seq; /* [n_layer] of [rows, …], [alive, …]     */
  sequence *seq;                          /* [capacity] the first `alive` are in the batch     */
  int64_t alive, rows;
  int32_t *tokens; /* [capacity, max_tokens]                            */
  int32_t *id;     /* [capacity] the token to feed, then the one drawn  */
  uint64_t *index; /* [capacity]                                        */
  double *logp;    /* [capacity]                                        */
  int64_t *keep;   /* [capacity]                                        */
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
  ISC_TRY(isc_calloc(numbers, sizeof *r->tokens, what, (void **)&r->tokens));
  ISC_TRY(isc_calloc(n, sizeof *r->id, what, (void **)&r->id));
  ISC_TRY(isc_calloc(n, sizeof *r->index, what, (void **)&r->index));
  ISC_TRY(isc_calloc(n, sizeof *r->logp, what, (void **)&r->logp));
  ISC_TRY(isc_calloc(n, sizeof *r->keep, what, (void **)&r->keep));
  ISC_TRY(isc_calloc(layers, sizeof *r->of_row, what, (void **)&r->of_row));
  ISC_TRY(isc_calloc(layers, sizeof *r->of_seq, what, (void **)&r->of_seq));
  ISC_TRY(isc_step_new(r->sp->device, &r->conditions));
  ISC_TRY(isc_step_new(r->sp->device, &r->step));
  return sort_rows(r);
}

static void release(run *r) {
  isc_kv_cache_free(r->cache);
  isc_step_free(r->conditions);
  isc_step_free(r->step);
  free(r->order);
  free(r->of_row);
  free(r->of_seq);
  free(r->seq);
  free(r->tokens);
  free(r->id);
  free(r->index);
  free(r->logp);
  free(r->keep);
  isc_text_free(&r->text);
}

/* ---- conditions */

/* Keys and values of the chunk's rows, whose first is the `first`-th in order. */
static isc_status condition_rows(run *r, int64_t first) {
  isc_control_layers *l = r->sp->control;
  isc_step *s = r->conditions;
  const int64_t shape[] = {r->rows, l->d_z};
  void *host, *count;
  isc_tensor *z;
  ISC_TRY(isc_step_host_alloc(s, (size_t)(r->rows * l->d_z) * sizeof(float), &host));
  ISC_TRY(isc_step_host_alloc(s, (size_t)(l->spec.n_sites + 1) * sizeof(int64_t), &count));
  float *out = memset(host, 0, (size_t)(r->rows * l->d_z) * sizeof(float));
  int64_t *start = memset(count, 0, (size_t)(l->spec.n_sites + 1) * sizeof(int64_t));
  for (int64_t i = 0; i < r->rows; i++, out += l->d_z) {
    int64_t row = r->order[first + i], g = r->req->site[row];
    start[g + 1]++;
    for (int64_t k = 0; k < l->site_dim[g]; k++)
      out[k] = r->req->z[row][k] * l->host_scale[g];
  }
  for (int64_t g = 0; g < l->spec.n_sites; g++)
    start[g + 1] += start[g];
  ISC_TRY(isc_tensor_from(s, 2, shape, host, &z));
  return isc_control_layers_condition(l, s, z, start, r->of_row);
}

static isc_status gather(run *r, isc_tensor *x, const int64_t *row, isc_tensor **out) {
  int64_t width = x->ndim == 3 ? x->shape[1] * x->shape[2] : x->shape[1];
  const int64_t flat[] = {x->shape[0], width}, shape[] = {r->alive, x->shape[1], x->shape[2]};
  ISC_TRY(isc_tensor_reshape(r->conditions, x, 2, flat, out));
  ISC_TRY(isc_op_gather(r->conditions, *out, row, r->alive, out));
  return isc_tensor_reshape(r->conditions, *out, x->ndim, shape, out);
}

/* Keys and values of the sequences now in the batch. */
static isc_status condition_sequences(run *r) {
  int64_t layers = isc_decoder_get_spec(r->sp->decoder)->n_layer;
  bool same = r->alive == r->rows;
  void *p;
  ISC_TRY(isc_step_rewind(r->conditions, r->mark));
  ISC_TRY(isc_step_host_alloc(r->conditions, (size_t)r->alive * sizeof(int64_t), &p));
  int64_t *row = p;
  for (int64_t i = 0; i < r->alive; i++) {
    row[i] = r->seq[i].row;
    same = same && row[i] == i;
  }
  if (same) {
    memcpy(r->of_seq, r->of_row, (size_t)layers * sizeof *r->of_seq);
    return ISC_OK;
  }
  for (int64_t i = 0; i < layers; i++) {
    ISC_TRY(gather(r, r->of_row[i].u, row, &r->of_seq[i].u));
    ISC_TRY(gather(r, r->of_row[i].v, row, &r->of_seq[i].v));
    ISC_TRY(gather(r, r->of_row[i].c, row, &r->of_seq[i].c));
  }
  return ISC_OK;
}

/* ---- decoding */

static isc_status deliver(run *r, const sequence *q) {
  int64_t row = r->order[q->pair / r->req->samples], j = q->pair % r->req->samples;
  ISC_TRY(isc_tokenizer_decode(r->sp->tokenizer, r->tokens + q->slot * r->sp->max_tokens, q->n,
                               &r->text));
  return r->req->sample(r->req->user, row, j, r->text.data ? r->text.data : "", r->text.len,
                        q->log_q);
}

static isc_status begin(run *r, int64_t first, int64_t n) {
  const isc_invert *q = r->req;
  int32_t bos = isc_tokenizer_eos(r->sp->tokenizer);
  int64_t first_row = first / q->samples;
  r->alive = n;
  r->rows = (first + n - 1) / q->samples - first_row + 1;
  for (int64_t i = 0; i < n; i++) {
    int64_t pair = first + i;
    r->seq[i] = (sequence){.pair = pair, .row = pair / q->samples - first_row, .slot = i};
    r->id[i] = bos;
    r->index[i] = q->index[r->order[pair / q->samples]] + (uint64_t)(pair % q->samples);
  }
  isc_kv_cache_free(r->cache);
  r->cache = NULL;
  ISC_TRY(isc_kv_cache_new(r->sp->decoder, n, r->sp->max_tokens - 1, &r->cache));
  if (!r->sp->control) return ISC_OK;
  isc_step_reset(r->conditions);
  ISC_TRY(condition_rows(r, first_row));
  r->mark = isc_step_here(r->conditions);
  return condition_sequences(r);
}

/* Feed id, draw the next token of every sequence in the batch into id and its log-probability into logp. */
static isc_status draw(run *r, int64_t t) {
  const isc_sampler *sp = r->sp;
  isc_tensor *hidden, *logits;
  isc_control_tap tap = {.layers = sp->control, .cond = r->of_seq};
  const isc_taps taps = isc_control_taps(&tap);
  const isc_decoder_input in = {.batch = r->alive, .len = 1, .ids = r->id, .cache = r->cache};
  isc_step_reset(r->step);
  ISC_TRY(isc_decoder_forward(sp->decoder, r->step, &in, sp->control ? &taps : NULL, &hidden));
  ISC_TRY(isc_decoder_logits(sp->decoder, r->step, hidden, &logits));
  memset(r->logp, 0, (size_t)r->alive * sizeof *r->logp);
  const isc_sample a = {.rows = r->alive,
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
static isc_status advance(run *r, bool last, int64_t *finished) {
  int32_t eos = isc_tokenizer_eos(r->sp->tokenizer);
  *finished = 0;
  for (int64_t i = 0; i < r->alive; i++) {
    sequence *q = &r->seq[i];
    if (!q->done) {
      q->log_q += r->logp[i];
      if (r->id[i] == eos)
        q->done = true;
      else
        r->tokens[q->slot * r->sp->max_tokens + q->n++] = r->id[i];
      q->done = q->done || last;
      if (q->done) ISC_TRY(deliver(r, q));
    }
    *finished += q->done;
  }
  return ISC_OK;
}

static isc_status compact(run *r) {
  int64_t n = 0;
  for (int64_t i = 0; i < r->alive; i++) {
    if (r->seq[i].done) continue;
    r->keep[n] = i;
    r->seq[n] = r->seq[i];
    r->id[n] = r->id[i];
    r->index[n++] = r->index[i];
  }
  r->alive = n;
  if (n == 0) return ISC_OK;
  ISC_TRY(isc_kv_cache_select(r->cache, r->keep, n));
  return r->sp->control ? condition_sequences(r) : ISC_OK;
}

static isc_status decode(run *r) {
  int64_t draws = r->sp->max_tokens - 1, finished;
  for (int64_t t = 0; t < draws && r->alive > 0; t++) {
    ISC_TRY(draw(r, t));
    ISC_TRY(advance(r, t + 1 == draws, &finished));
    if (finished == r->alive || 4 * finished >= r->alive) ISC_TRY(compact(r));
  }
  return ISC_OK;
}

isc_status isc_sampler_run(const isc_sampler *sp, const isc_invert *req) {
  isc_status st = ISC_OK;
  run r = {.sp = sp, .req = req};
  ISC_TRY(check(sp, req));
  if (req->n == 0 || req->samples == 0) return ISC_OK;
  ISC_GO(allocate(&r));
  int64_t pairs = req->n * req->samples;
  for (int64_t first = 0; first < pairs; first += r.capacity) {
    ISC_GO(begin(&r, first, pairs - first < r.capacity ? pairs - first : r.capacity));
    ISC_GO(decode(&r));
  }
done:
  release(&r);
  return st;
}
