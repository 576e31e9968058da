/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing texts into token sequences, and cutting batches from them.
 *
 * Every text must survive its tokenizer: the generator's output is compared with the prior as text, so a
 * tokenizer that loses a space would make every sample invalid, long after the cause.
 */
#include <inversescope/corpus.h>
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

static isc_status reserve(isc_corpus *c, int64_t more) {
  int64_t used = c->n ? c->start[c->n] : 0;
  if (used + more > c->cap_ids) {
    void *p = c->ids;
    int64_t cap = 2 * c->cap_ids > used + more ? 2 * c->cap_ids : used + more + 1024;
    ISC_TRY(isc_realloc(&p, (size_t)cap, sizeof *c->ids, "token sequences"));
    c->ids = p;
    c->cap_ids = cap;
  }
  if (c->n < c->cap_n) return ISC_OK;
  int64_t cap = c->cap_n ? 2 * c->cap_n : 1024;
  void *start = c->start, *from = c->from;
  ISC_TRY(isc_realloc(&start, (size_t)cap + 1, sizeof *c->start, "token sequences"));
  c->start = start;
  ISC_TRY(isc_realloc(&from, (size_t)cap, sizeof *c->from, "token sequences"));
  c->from = from;
  c->cap_n = cap;
  c->start[0] = 0;
  return ISC_OK;
}

isc_status isc_corpus_add(isc_corpus *c, const int32_t *ids, int64_t n, int64_t from) {
  if (from < 1 || from >= n)
    return isc_fail(ISC_E_SHAPE,
                    "a training sequence of %lld tokens has nothing to predict from token %lld on",
                    (long long)n, (long long)from);
  ISC_TRY(reserve(c, n));
  memcpy(c->ids + c->start[c->n], ids, (size_t)n * sizeof *ids);
  c->from[c->n] = from;
  c->start[c->n + 1] = c->start[c->n] + n;
  c->n++;
  if (n > c->longest) c->longest = n;
  return ISC_OK;
}

void isc_corpus_free(isc_corpus *c) {
  free(c->ids);
  free(c->start);
  free(c->from);
  *c = (isc_corpus){0};
}

/* ---- texts */

typedef struct reader {
  const isc_tokenizer *tok;
  isc_text text, back;
  int32_t bos, eos;
  int32_t *ids; /* [cap] BOS, tokens, EOS */
  int64_t cap;
} reader;

static isc_status encode(reader *r, int64_t *n) {
  ISC_TRY(isc_tokenizer_encode_plain(r->tok, r->text.data, r->text.len, r->ids + 1, r->cap - 2, n));
  if (*n <= r->cap - 2) return ISC_OK;
  void *p = r->ids;
  ISC_TRY(isc_realloc(&p, (size_t)*n + 2, sizeof *r->ids, "a text's tokens"));
  r->ids = p;
  r->cap = *n + 2;
  return isc_tokenizer_encode_plain(r->tok, r->text.data, r->text.len, r->ids + 1, r->cap - 2, n);
}

static isc_status check_round_trip(reader *r, int64_t i, int64_t n) {
  ISC_TRY(isc_tokenizer_decode(r->tok, r->ids + 1, n, &r->back));
  if (r->back.len == r->text.len && memcmp(r->back.data, r->text.data, r->text.len) == 0)
    return ISC_OK;
  return isc_fail(ISC_E_SHAPE,
                  "training input %lld, \"%.200s\", comes back from the tokenizer as \"%.200s\"; "
                  "choose another tokenizer, or a model whose tokenizer keeps such texts",
                  (long long)i, r->text.data, r->back.data);
}

static isc_status add_text(isc_corpus *c, const isc_method_env *env, reader *r, int64_t i,
                           int64_t max) {
  int64_t n;
  ISC_TRY(env->text(env, i, &r->text));
  ISC_TRY(encode(r, &n));
  ISC_TRY(check_round_trip(r, i, n));
  if (max && n + 2 > max)
    return isc_fail(ISC_E_SHAPE,
                    "training input %lld, \"%.200s\", is %lld tokens with its begin and end; the "
                    "decoder has %lld positions: shorten the texts or raise its context",
                    (long long)i, r->text.data, (long long)(n + 2), (long long)max);
  r->ids[0] = r->bos;
  r->ids[n + 1] = r->eos;
  return isc_corpus_add(c, r->ids, n + 2, 1);
}

isc_status isc_corpus_fill(isc_corpus *c, const isc_method_env *env, const isc_tokenizer *tok,
                           int32_t bos, int32_t eos, int64_t max) {
  isc_status st = ISC_OK;
  void *p = NULL;
  reader r = {.tok = tok, .bos = bos, .eos = eos, .cap = 256};
  if (env->n_train < 1) return isc_fail(ISC_E_USAGE, "there are no training inputs");
  ISC_TRY(isc_calloc((size_t)r.cap, sizeof *r.ids, "a text's tokens", &p));
  r.ids = p;
  for (int64_t i = 0; i < env->n_train; i++)
    ISC_GO(add_text(c, env, &r, i, max));
done:
  free(r.ids);
  isc_text_free(&r.text);
  isc_text_free(&r.back);
  return st;
}

/* ---- batches */

isc_status isc_corpus_take(const isc_corpus *c, isc_step *s, const int64_t *row, int64_t batch,
                           isc_corpus_batch *out) {
  void *ids, *target;
  int64_t len = 0;
  for (int64_t b = 0; b < batch; b++) {
    int64_t n = c->start[row[b] + 1] - c->start[row[b]] - 1;
    if (n > len) len = n;
  }
  size_t bytes = (size_t)(batch * len) * sizeof(int32_t);
  ISC_TRY(isc_step_host_alloc(s, bytes, &ids));
  ISC_TRY(isc_step_host_alloc(s, bytes, &target));
  *out = (isc_corpus_batch){.batch = batch, .len = len, .ids = ids, .target = target};
  for (int64_t b = 0; b < batch; b++) {
    const int32_t *seq = c->ids + c->start[row[b]];
    int64_t n = c->start[row[b] + 1] - c->start[row[b]] - 1, from = c->from[row[b]];
    for (int64_t t = 0; t < len; t++) {
      out->ids[b * len + t] = seq[t < n ? t : 0];
      out->target[b * len + t] = t < n && t + 1 >= from ? seq[t + 1] : -1;
      out->tokens += out->target[b * len + t] >= 0;
    }
  }
  return ISC_OK;
}

int64_t isc_epoch_row(uint64_t seed, int64_t n, int64_t example) {
  isc_rng epoch = isc_rng_at(seed, ISC_RNG_BATCH, (uint64_t)(example / n));
  return (int64_t)isc_rng_permute(isc_rng_u64(&epoch), ISC_RNG_BATCH, (uint64_t)n,
                                  (uint64_t)(example % n));
}
