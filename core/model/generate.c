/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding with a target, batch by batch of prompts of one length.
 *
 * A prompt is read once for all its samples: the cache's row is then repeated. Finished texts leave when they are enough to
 * pay for the copying.
 */
#include "model/generate.h"
#include "base/base.h"
#include "model/continuation.h"
#include "model/logits.h"
#include "model/sequences.h"
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct sequence {
  const isc_sequence *prompt;
  int64_t sample, slot, n; /* slot: of run.tokens; n: tokens so far */
  double log_q, logp;
  bool done;
} sequence;

typedef struct run {
  const isc_generation *q;
  isc_step *s;
  isc_sequences prompts;
  uint64_t seed;
  int64_t capacity, room; /* sequences at once, and tokens of each                      */
  int64_t n, limit;       /* sequences left, and tokens each may have with its prompt  */
  isc_kv_cache *cache;    /* NULL: the target has none                                  */
  sequence *seq;          /* [capacity]                                                 */
  int32_t *tokens;        /* [capacity, room]                                           */
  int32_t *id;            /* [capacity] the token just drawn                            */
  uint64_t *index;        /* [capacity]                                                 */
  double *log_q;          /* [capacity] of the token just drawn                         */
  int64_t *keep;          /* [capacity]                                                 */
  isc_continuation text;  /* of the sequence looked at                                  */
  int64_t ended, total;   /* tokens of ended batches, and at most of all                */
} run;

/* ---- setting up */

static isc_status check(const isc_generation *q) {
  const int64_t most = (int64_t)1 << 32;
  if (q->n < 0 || q->samples < 0 || q->samples > most || q->max_tokens < 1 || q->batch < 1)
    return isc_fail(
        ISC_E_USAGE, "generating: %lld samples of %lld texts, at most %lld tokens, %lld at once",
        (long long)q->samples, (long long)q->n, (long long)q->max_tokens, (long long)q->batch);
  if (!(q->temperature >= 0) || isinf(q->temperature) || q->top_k < 0 ||
      !(q->top_p > 0 && q->top_p <= 1))
    return isc_fail(ISC_E_USAGE,
                    "generating: temperature %g, top_k %lld, top_p %g; temperature and top_k must "
                    "not be negative, and top_p above 0 and at most 1",
                    q->temperature, (long long)q->top_k, q->top_p);
  for (int64_t i = 0; i < q->n_stop; i++)
    if (!q->stop[i][0]) return isc_fail(ISC_E_USAGE, "generating: a stop string is empty");
  for (int64_t i = 0; i < q->n; i++)
    if ((q->index ? q->index[i] : (uint64_t)i) >= (uint64_t)most)
      return isc_fail(ISC_E_USAGE, "generating: the index of text %lld is 2^32 or more",
                      (long long)i);
  return ISC_OK;
}

static isc_status allocate(run *r) {
  const isc_generation *q = r->q;
  const char *what = "generating";
  const int64_t n_ctx = q->target->info.n_ctx;
  int64_t pairs;
  size_t numbers;
  if (__builtin_mul_overflow(q->n, q->samples, &pairs) ||
      __builtin_mul_overflow(pairs, q->max_tokens, &r->total))
    return isc_fail(ISC_E_SHAPE, "generating: too many texts");
  r->capacity = q->batch < pairs ? q->batch : pairs;
  r->room = q->max_tokens < n_ctx ? q->max_tokens : n_ctx;
  const size_t n = (size_t)r->capacity;
  ISC_TRY(isc_mul_size(n, (size_t)r->room, what, &numbers));
  ISC_TRY(isc_calloc(n, sizeof *r->seq, what, (void **)&r->seq));
  ISC_TRY(isc_calloc(numbers, sizeof *r->tokens, what, (void **)&r->tokens));
  ISC_TRY(isc_calloc(n, sizeof *r->id, what, (void **)&r->id));
  ISC_TRY(isc_calloc(n, sizeof *r->index, what, (void **)&r->index));
  ISC_TRY(isc_calloc(n, sizeof *r->log_q, what, (void **)&r->log_q));
  return isc_calloc(n, sizeof *r->keep, what, (void **)&r->keep);
}

static void release(run *r) {
  isc_kv_cache_free(r->cache);
  isc_sequences_free(&r->prompts);
  free(r->seq);
  free(r->tokens);
  free(r->id);
  free(r->index);
  free(r->log_q);
  free(r->keep);
  isc_continuation_free(&r->text);
}

/* ---- texts that end */

static isc_status write_text(run *r, const sequence *q, int64_t n) {
  return isc_continuation_write(&r->text, r->prompts.ids + q->prompt->start, q->prompt->len,
                                r->tokens + q->slot * r->room, n);
}

static isc_status deliver(run *r, sequence *q, isc_text_end end) {
  const isc_generated g = {.prompt = q->prompt->text,
                           .sample = q->sample,
                           .text = r->text.text,
                           .len = r->text.len,
                           .ids = r->tokens + q->slot * r->room,
                           .n = q->n,
                           .log_q = q->log_q,
                           .logp = r->q->want_logp ? q->logp : (double)NAN,
                           .end = end};
  q->done = true;
  return r->q->deliver(r->q->user, &g);
}

/* The token just drawn joins its text, which may end with it. */
static isc_status take(run *r, int64_t i, bool last) {
  sequence *q = &r->seq[i];
  bool stopped = false;
  if (q->done) return ISC_OK;
  q->log_q += r->log_q[i];
  r->tokens[q->slot * r->room + q->n++] = r->id[i];
  const bool eos = r->id[i] == isc_tokenizer_eos(r->text.tok);
  if (eos || last || r->q->n_stop > 0) ISC_TRY(write_text(r, q, q->n - eos));
  if (eos) return deliver(r, q, ISC_END_EOS);
  isc_continuation_stop(&r->text, r->q->stop, r->q->n_stop, r->id[i], &stopped);
  if (stopped) return deliver(r, q, ISC_END_STOP);
  if (!last) return ISC_OK;
  return deliver(r, q, q->n == r->q->max_tokens ? ISC_END_LENGTH : ISC_END_CONTEXT);
}

/* ---- drawing */

static uint64_t index_of(const run *r, const sequence *q) {
  const int64_t i = q->prompt->text;
  return (r->q->index ? r->q->index[i] : (uint64_t)i) << 32 | (uint64_t)q->sample;
}

static bool restricted(const isc_generation *q, int64_t vocab) {
  return q->temperature > 0 && ((q->top_k > 0 && q->top_k < vocab) || q->top_p < 1);
}

/* From the whole vocabulary, on the device. */
static isc_status draw_any(run *r, int64_t from, int64_t t, const isc_tensor *logits) {
  isc_device *dev = isc_step_device(r->s);
  const isc_sample a = {.rows = logits->shape[0],
                        .vocab = logits->shape[1],
                        .logits = logits->data,
                        .temperature = r->q->temperature,
                        .seed = r->seed,
                        .index = r->index + from,
                        .draw = (uint32_t)t,
                        .id = r->id + from,
                        .logp = r->log_q + from};
  return dev->ops->sample(dev->impl, &a);
}

static isc_status draw_some(run *r, int64_t from, int64_t t, const isc_tensor *logits,
                            const float *host) {
  const isc_draw_law law = {r->q->temperature, r->q->top_p, r->q->top_k};
  const int64_t vocab = logits->shape[1];
  void *room;
  ISC_TRY(isc_step_host_alloc(r->s, (size_t)vocab * sizeof(int32_t), &room));
  for (int64_t i = 0; i < logits->shape[0]; i++) {
    const double u = isc_sample_uniform(r->seed, r->index[from + i], (uint32_t)t);
    if (isc_logits_draw(host + i * vocab, vocab, &law, u, room, &r->id[from + i],
                        &r->log_q[from + i]) != ISC_OK)
      return isc_fail_in("text %lld", (long long)r->seq[from + i].prompt->text);
  }
  return ISC_OK;
}

/* Token t of the sequences from `from` on, by their logits [rows, vocab]. */
static isc_status draw(run *r, int64_t from, int64_t t, const isc_tensor *logits) {
  const int64_t rows = logits->shape[0], vocab = logits->shape[1];
  const bool some = restricted(r->q, vocab);
  void *host = NULL;
  if (some || r->q->want_logp) {
    ISC_TRY(isc_step_host_alloc(r->s, (size_t)(rows * vocab) * sizeof(float), &host));
    ISC_TRY(isc_tensor_download(r->s, logits, host));
  }
  for (int64_t i = from; i < from + rows; i++) {
    r->index[i] = index_of(r, &r->seq[i]);
    r->log_q[i] = 0;
  }
  ISC_TRY(some ? draw_some(r, from, t, logits, host) : draw_any(r, from, t, logits));
  for (int64_t i = 0; r->q->want_logp && i < rows; i++)
    r->seq[from + i].logp +=
        isc_logits_logp((const float *)host + i * vocab, vocab, r->id[from + i]);
  return ISC_OK;
}

/* ---- forward passes */

/* ids [n, len] through the target; *last [n, d_model] are the hidden states of the last positions. */
static isc_status pass(run *r, const int32_t *ids, int64_t n, int64_t len, isc_tensor **last) {
  const isc_target *t = r->q->target;
  const isc_decoder_input in = {
      .size = sizeof in, .batch = n, .len = len, .ids = ids, .cache = r->cache};
  isc_tensor *hidden;
  void *row;
  ISC_TRY(t->ops->forward(t->self, r->s, &in, NULL, &hidden));
  ISC_TRY(isc_step_host_alloc(r->s, (size_t)n * sizeof(int64_t), &row));
  for (int64_t i = 0; i < n; i++)
    ((int64_t *)row)[i] = i * len + len - 1;
  return isc_op_gather(r->s, hidden, row, n, last);
}

static isc_status logits_of(run *r, isc_tensor *last, isc_tensor **logits) {
  const isc_target *t = r->q->target;
  return t->ops->logits(t->self, r->s, last, logits);
}

/* The prompts of this batch, each once, piece by piece into the cache; *last [prompts, d_model]. */
static isc_status read_prompts(run *r, const isc_sequence *first, int64_t n, isc_tensor **last) {
  const int64_t len = first->len, most = ISC_PASS_TOKENS / n, piece = most > 1 ? most : 1;
  for (int64_t at = 0; at < len; at += piece) {
    const int64_t m = len - at < piece ? len - at : piece;
    void *ids;
    if (isc_cancelled()) return isc_fail(ISC_E_INTERRUPTED, "generating was stopped on request");
    isc_step_reset(r->s);
    ISC_TRY(isc_step_host_alloc(r->s, (size_t)(n * m) * sizeof(int32_t), &ids));
    for (int64_t i = 0; i < n; i++)
      memcpy((int32_t *)ids + i * m, r->prompts.ids + first[i].start + at,
             (size_t)m * sizeof(int32_t));
    ISC_TRY(pass(r, ids, n, m, last));
  }
  return ISC_OK;
}

/* First tokens: a prompt's logits serve all its samples. */
static isc_status begin_cached(run *r) {
  const isc_sequence *first = r->seq[0].prompt;
  const int64_t n = r->seq[r->n - 1].prompt - first + 1;
  isc_tensor *last, *logits;
  ISC_TRY(r->q->target->ops->kv_cache(r->q->target->self, r->n, r->limit - 1, &r->cache));
  for (int64_t i = 0; i < n; i++)
    r->keep[i] = i;
  ISC_TRY(isc_kv_cache_select(r->cache, r->keep, n));
  ISC_TRY(read_prompts(r, first, n, &last));
  ISC_TRY(logits_of(r, last, &logits));
  for (int64_t i = 0; i < r->n; i++)
    r->keep[i] = r->seq[i].prompt - first;
  ISC_TRY(isc_kv_cache_select(r->cache, r->keep, r->n));
  if (n < r->n) ISC_TRY(isc_op_gather(r->s, logits, r->keep, r->n, &logits));
  return draw(r, 0, 0, logits);
}

static isc_status next_cached(run *r, int64_t t) {
  isc_tensor *last, *logits;
  if (t == 0) return begin_cached(r);
  isc_step_reset(r->s);
  ISC_TRY(pass(r, r->id, r->n, 1, &last));
  ISC_TRY(logits_of(r, last, &logits));
  return draw(r, 0, t, logits);
}

/* Every text from its beginning, a few at a time. */
static isc_status next_uncached(run *r, int64_t t) {
  const int64_t len = r->seq[0].prompt->len + t;
  const int64_t most = ISC_PASS_TOKENS / len, group = most > 1 ? most : 1;
  for (int64_t from = 0; from < r->n; from += group) {
    const int64_t n = r->n - from < group ? r->n - from : group;
    isc_tensor *last, *logits;
    void *memory;
    isc_step_reset(r->s);
    ISC_TRY(isc_step_host_alloc(r->s, (size_t)(n * len) * sizeof(int32_t), &memory));
    for (int64_t i = 0; i < n; i++) {
      const sequence *q = &r->seq[from + i];
      int32_t *ids = (int32_t *)memory + i * len;
      memcpy(ids, r->prompts.ids + q->prompt->start, (size_t)q->prompt->len * sizeof *ids);
      memcpy(ids + q->prompt->len, r->tokens + q->slot * r->room, (size_t)t * sizeof *ids);
    }
    ISC_TRY(pass(r, memory, n, len, &last));
    ISC_TRY(logits_of(r, last, &logits));
    ISC_TRY(draw(r, from, t, logits));
  }
  return ISC_OK;
}

/* ---- batches */

/* Let ended texts go when a quarter of the batch can be saved. */
static isc_status compact(run *r) {
  int64_t n = 0;
  for (int64_t i = 0; i < r->n; i++)
    if (!r->seq[i].done) r->keep[n++] = i;
  if (n > 0 && 4 * n > 3 * r->n) return ISC_OK;
  for (int64_t i = 0; i < n; i++) {
    r->seq[i] = r->seq[r->keep[i]];
    r->id[i] = r->id[r->keep[i]];
  }
  r->n = n;
  return r->cache && n > 0 ? isc_kv_cache_select(r->cache, r->keep, n) : ISC_OK;
}

static void show(const run *r, int64_t batch, int64_t t) {
  if (r->q->progress)
    r->q->progress(r->q->user, r->ended + (batch - r->n) * r->q->max_tokens + r->n * t, r->total);
}

/* An ended text that is still in the batch is written on like the others, and nobody looks at it. */
static isc_status decode(run *r) {
  const int64_t batch = r->n, draws = r->limit - r->seq[0].prompt->len;
  const bool cached = r->q->target->ops->kv_cache != NULL;
  for (int64_t t = 0; t < draws && r->n > 0; t++) {
    if (isc_cancelled()) return isc_fail(ISC_E_INTERRUPTED, "generating was stopped on request");
    ISC_TRY(cached ? next_cached(r, t) : next_uncached(r, t));
    for (int64_t i = 0; i < r->n; i++)
      ISC_TRY(take(r, i, t + 1 == draws));
    ISC_TRY(compact(r));
    show(r, batch, t + 1);
  }
  r->ended += batch * r->q->max_tokens;
  return ISC_OK;
}

/* Samples [from, from + n) of the prompts at `first`, counted prompt by prompt. */
static isc_status run_batch(run *r, const isc_sequence *first, int64_t from, int64_t n) {
  const int64_t n_ctx = r->q->target->info.n_ctx, len = first->len;
  /* The last position's token needs no position of its own. */
  r->limit = r->q->max_tokens <= n_ctx - len ? len + r->q->max_tokens : n_ctx + 1;
  r->n = n;
  for (int64_t i = 0; i < n; i++)
    r->seq[i] = (sequence){.prompt = first + (from + i) / r->q->samples,
                           .sample = (from + i) % r->q->samples,
                           .slot = i};
  const isc_status st = decode(r);
  isc_kv_cache_free(r->cache);
  r->cache = NULL;
  return st;
}

static isc_status run_all(run *r) {
  for (int64_t i = 0, n; i < r->prompts.n; i += n) {
    n = isc_sequences_alike(&r->prompts, i);
    const int64_t pairs = n * r->q->samples;
    for (int64_t from = 0; from < pairs; from += r->capacity)
      ISC_TRY(run_batch(r, r->prompts.seq + i, from,
                        pairs - from < r->capacity ? pairs - from : r->capacity));
  }
  return ISC_OK;
}

isc_status isc_generate(const isc_generation *q, isc_step *s) {
  isc_status st = ISC_OK;
  isc_rng own = isc_rng_at(q->seed, ISC_RNG_GENERATE, 0);
  run r = {.q = q, .s = s, .text.tok = q->target->ops->tokenizer(q->target->self)};
  ISC_TRY(check(q));
  if (isc_tape_on(s)) return isc_fail(ISC_E_USAGE, "generating has no gradient");
  r.seed = isc_rng_u64(&own); /* no draw is shared with the sampler of a method */
  const isc_sequence_source texts = {.target = q->target,
                                     .text = q->text,
                                     .len = q->len,
                                     .n = q->n,
                                     .position = -1,
                                     .begin = true};
  ISC_GO(isc_sequences_make(&texts, &r.prompts));
  if (q->n == 0 || q->samples == 0) goto done;
  ISC_GO(allocate(&r));
  ISC_GO(run_all(&r));
done:
  isc_step_reset(s);
  release(&r);
  return st;
}
