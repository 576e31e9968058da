/* SPDX-License-Identifier: Apache-2.0
 *
 * The log-probability of given texts, token by token.
 *
 * The logits of all positions of a batch may be far more than the model itself, so they are made and read a few rows at a
 * time.
 */
#include "base/base.h"
#include "model/generate.h"
#include "model/logits.h"
#include "model/sequences.h"
#include <stdlib.h>
#include <string.h>

/* Bytes of logits at a time. */
enum { LOGITS = 1 << 26 };

typedef struct run {
  const isc_scoring *q;
  isc_step *s;
  isc_sequences prompts;
  double *logp; /* [batch, len]                                          */
  int64_t cap;
} run;

static isc_status make_room(run *r, int64_t n) {
  void *logp = r->logp;
  if (n <= r->cap) return ISC_OK;
  ISC_TRY(isc_realloc(&logp, (size_t)n, sizeof *r->logp, "log-probabilities"));
  r->logp = logp;
  r->cap = n;
  return ISC_OK;
}

/* Positions [from, from + n) of all the sequences' that have a next token, `len` − 1 of each. */
static isc_status read_logits(run *r, const isc_sequence *first, isc_tensor *hidden, int64_t from,
                              int64_t n) {
  const isc_target *t = r->q->target;
  const int64_t len = first->len;
  isc_tensor *rows, *logits;
  void *row, *host;
  ISC_TRY(isc_step_host_alloc(r->s, (size_t)n * sizeof(int64_t), &row));
  for (int64_t i = 0; i < n; i++)
    ((int64_t *)row)[i] = (from + i) / (len - 1) * len + (from + i) % (len - 1);
  ISC_TRY(isc_op_gather(r->s, hidden, row, n, &rows));
  ISC_TRY(t->ops->logits(t->self, r->s, rows, &logits));
  const int64_t vocab = logits->shape[1];
  ISC_TRY(isc_step_host_alloc(r->s, (size_t)(n * vocab) * sizeof(float), &host));
  ISC_TRY(isc_tensor_download(r->s, logits, host));
  for (int64_t i = 0; i < n; i++) {
    const int64_t k = ((int64_t *)row)[i];
    const int32_t next = r->prompts.ids[first[k / len].start + k % len + 1];
    r->logp[k + 1] = isc_logits_logp((float *)host + i * vocab, vocab, next);
  }
  return ISC_OK;
}

static isc_status deliver(const run *r, const isc_sequence *p, double *logp) {
  isc_scored g = {.text = p->text, .ids = r->prompts.ids + p->start, .n = p->len, .logp = logp};
  logp[0] = 0;
  for (int64_t i = 1; i < p->len; i++)
    g.total += logp[i];
  return r->q->deliver(r->q->user, &g);
}

static isc_status run_batch(run *r, const isc_sequence *first, int64_t n) {
  const isc_target *t = r->q->target;
  const int64_t len = first->len, vocab = t->info.vocab > 0 ? t->info.vocab : 1;
  const int64_t most = LOGITS / (int64_t)sizeof(float) / vocab, piece = most > 1 ? most : 1;
  isc_tensor *hidden = NULL;
  void *ids;
  if (isc_cancelled()) return isc_fail(ISC_E_INTERRUPTED, "scoring was stopped on request");
  isc_step_reset(r->s);
  ISC_TRY(make_room(r, n * len));
  ISC_TRY(isc_step_host_alloc(r->s, (size_t)(n * len) * sizeof(int32_t), &ids));
  for (int64_t i = 0; i < n; i++)
    memcpy((int32_t *)ids + i * len, r->prompts.ids + first[i].start,
           (size_t)len * sizeof(int32_t));
  const isc_decoder_input in = {.size = sizeof in, .batch = n, .len = len, .ids = ids};
  if (len > 1) ISC_TRY(t->ops->forward(t->self, r->s, &in, NULL, &hidden));
  const isc_step_mark mark = isc_step_here(r->s);
  for (int64_t at = 0, all = n * (len - 1); at < all; at += piece) {
    ISC_TRY(read_logits(r, first, hidden, at, all - at < piece ? all - at : piece));
    ISC_TRY(isc_step_rewind(r->s, mark));
  }
  for (int64_t i = 0; i < n; i++)
    ISC_TRY(deliver(r, &first[i], r->logp + i * len));
  return ISC_OK;
}

/* Texts in a pass: as many as asked for, and no more than its tokens allow. */
static int64_t batch_of(const run *r, int64_t len) {
  const int64_t fit = ISC_PASS_TOKENS / len, n = fit > 1 ? fit : 1;
  return n < r->q->batch ? n : r->q->batch;
}

isc_status isc_score_texts(const isc_scoring *q, isc_step *s) {
  isc_status st = ISC_OK;
  run r = {.q = q, .s = s};
  if (q->n < 0 || q->batch < 1)
    return isc_fail(ISC_E_USAGE, "scoring: %lld texts, %lld at once", (long long)q->n,
                    (long long)q->batch);
  if (isc_tape_on(s)) return isc_fail(ISC_E_USAGE, "scoring has no gradient");
  const isc_sequence_source texts = {.target = q->target,
                                     .text = q->text,
                                     .len = q->len,
                                     .n = q->n,
                                     .position = -1,
                                     .begin = true};
  ISC_GO(isc_sequences_make(&texts, &r.prompts));
  for (int64_t i = 0, n; i < r.prompts.n; i += n) {
    const int64_t group = isc_sequences_alike(&r.prompts, i),
                  most = batch_of(&r, r.prompts.seq[i].len);
    n = group < most ? group : most;
    ISC_GO(run_batch(&r, &r.prompts.seq[i], n));
  }
done:
  isc_step_reset(s);
  isc_sequences_free(&r.prompts);
  free(r.logp);
  return st;
}
