/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of targets: input that is no input, and the tokenizer.
 *
 * A study's texts come from a prior or a generator, so a text that the target cannot take must end in an error about
 * that text, after which the next one is taken.
 */
#include "conform/target_use.h"
#include "conform/texts.h"
#include <stdlib.h>
#include <string.h>

/* ---- bad input */

/* A pass over these ids must fail, and afterwards a good one gives what it gave before. */
static isc_status refused(isc_subject *s, const int32_t *ids, int64_t batch, int64_t len,
                          const char *what) {
  isc_decoder_input in = {.size = sizeof in, .batch = batch, .len = len, .ids = ids};
  isc_tensor *hidden = NULL;
  isc_status got = s->target.ops->forward(s->target.self, s->step, &in, NULL, &hidden);
  isc_step_reset(s->step);
  if (got != ISC_OK) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "%s: the forward pass succeeded; an error is expected", what);
}

static isc_status still_usable(isc_subject *s, const isc_prompts *p, const isc_pass *before) {
  isc_pass after = {0};
  isc_status st = isc_pass_plain(s, p->ids, p->batch, p->len, &after);
  if (st == ISC_OK) st = isc_pass_same(s, before, &after, 0, "before and after refused input");
  isc_pass_free(&after);
  return st;
}

/* `bad` between two good passes. */
static isc_status between(isc_subject *s, isc_status (*bad)(isc_subject *s, const isc_prompts *p)) {
  isc_prompts p;
  isc_pass before = {0};
  isc_status st = ISC_OK;
  isc_prompts_make(s, &p);
  ISC_GO(isc_pass_plain(s, p.ids, p.batch, p.len, &before));
  ISC_GO(bad(s, &p));
  ISC_GO(still_usable(s, &p, &before));
done:
  isc_pass_free(&before);
  return st;
}

static isc_status too_many(isc_subject *s, const isc_prompts *p) {
  int64_t n = s->target.info.n_ctx + 1;
  void *ids;
  char what[96];
  ISC_TRY(isc_calloc((size_t)n, sizeof(int32_t), "a long text", &ids));
  for (int64_t i = 0; i < n; i++)
    ((int32_t *)ids)[i] = p->ids[i % p->len];
  snprintf(what, sizeof what, "%lld tokens, one more than n_ctx", (long long)n);
  isc_status st = refused(s, ids, 1, n, what);
  free(ids);
  return st;
}

static isc_status run_too_long(isc_subject *s) {
  return between(s, too_many);
}

static isc_status too_long(isc_conform *c) {
  return isc_with_subject(c, run_too_long);
}

static isc_status strange_ids(isc_subject *s, const isc_prompts *p) {
  const int64_t vocab = s->target.info.vocab;
  const int32_t strange[] = {-1, INT32_MIN, vocab < INT32_MAX ? (int32_t)vocab : -1, INT32_MAX};
  for (size_t k = 0; k < sizeof strange / sizeof *strange; k++)
    for (int64_t at = 0; at<p->len; at += p->len> 1 ? p->len - 1 : 1) {
      isc_prompts q = *p;
      char what[96];
      q.ids[at] = strange[k];
      snprintf(what, sizeof what, "id %d at position %lld with a vocabulary of %lld", strange[k],
               (long long)at, (long long)vocab);
      ISC_TRY(refused(s, q.ids, q.batch, q.len, what));
    }
  return ISC_OK;
}

static isc_status run_bad_ids(isc_subject *s) {
  return between(s, strange_ids);
}

static isc_status bad_id(isc_conform *c) {
  return isc_with_subject(c, run_bad_ids);
}

/* Nothing, in three ways: success or an error, and no crash. */
static isc_status nothing(isc_subject *s, const isc_prompts *p) {
  const int64_t shape[][2] = {{0, p->len}, {p->batch, 0}, {0, 0}};
  for (int k = 0; k < 3; k++) {
    isc_pass out = {0};
    isc_status st = isc_pass_plain(s, p->ids, shape[k][0], shape[k][1], &out);
    isc_pass_free(&out);
    if (st != ISC_OK && isc_error()[0] == '\0')
      return isc_fail(ISC_E_INTERNAL, "batch %lld, len %lld: %s without a message",
                      (long long)shape[k][0], (long long)shape[k][1], isc_status_name(st));
    isc_error_clear();
  }
  return ISC_OK;
}

static isc_status run_empty(isc_subject *s) {
  return between(s, nothing);
}

static isc_status empty(isc_conform *c) {
  return isc_with_subject(c, run_empty);
}

/* ---- tokenizer */

enum { MOST_IDS = 4096 };

/* Ids of a text, or an error; every id has a row in the model. *n = -1 when it cannot be encoded. */
static isc_status encode(const isc_subject *s, const char *text, size_t len, int32_t *ids,
                         int64_t *n) {
  const isc_tokenizer *t = s->target.ops->tokenizer(s->target.self);
  if (isc_tokenizer_encode_plain(t, text, len, ids, MOST_IDS, n) != ISC_OK) {
    *n = -1;
    return ISC_OK;
  }
  for (int64_t i = 0; i < *n && i < MOST_IDS; i++)
    if (ids[i] < 0 || ids[i] >= s->target.info.vocab)
      return isc_fail(ISC_E_INTERNAL, "%s has the token %d; the model's vocabulary is %lld",
                      isc_shown(text, len), ids[i], (long long)s->target.info.vocab);
  return ISC_OK;
}

/* What ids decode to, encoded and decoded again, is the same text. */
static isc_status round_trip(const isc_subject *s, const int32_t *ids, int64_t n) {
  const isc_tokenizer *t = s->target.ops->tokenizer(s->target.self);
  isc_text first = {0}, second = {0};
  void *memory = NULL;
  isc_status st = ISC_OK;
  int64_t count;
  ISC_GO(isc_calloc(MOST_IDS, sizeof(int32_t), "ids", &memory));
  ISC_GO(isc_tokenizer_decode(t, ids, n, &first));
  ISC_GO(encode(s, first.data ? first.data : "", first.len, memory, &count));
  /* A piece of a character is no text of its own. */
  if (count < 0 || count > MOST_IDS || !isc_text_is_utf8(first.data ? first.data : "", first.len))
    goto done;
  ISC_GO(isc_tokenizer_decode(t, memory, count, &second));
  if (!isc_same_text(&first, &second))
    st = isc_fail(ISC_E_INTERNAL, "%s becomes %s when it is encoded and decoded",
                  isc_shown_text(&first), isc_shown_text(&second));
done:
  free(memory);
  isc_text_free(&first);
  isc_text_free(&second);
  return st;
}

static isc_status texts_of_case(const isc_subject *s, int32_t *ids) {
  const isc_case *cs = s->c->cs;
  for (int64_t i = 0; i < cs->n_texts; i++) {
    int64_t n;
    ISC_TRY(encode(s, cs->texts[i], strlen(cs->texts[i]), ids, &n));
    if (n < 0) return isc_fail_in("a text of the case");
    ISC_TRY(round_trip(s, ids, n < MOST_IDS ? n : MOST_IDS));
  }
  return ISC_OK;
}

/* Pieces of the vocabulary, alone and in twos, spread over all ids. */
static isc_status pieces(const isc_subject *s) {
  int64_t step = s->valid / 200 + 1;
  for (int64_t id = 0; id < s->valid; id += step) {
    const int32_t pair[] = {(int32_t)id, (int32_t)((id * 7 + 3) % s->valid)};
    ISC_TRY(round_trip(s, pair, 1));
    ISC_TRY(round_trip(s, pair, 2));
  }
  return ISC_OK;
}

/* Empty, long, and broken texts: ids or an error. */
static isc_status foreign(const isc_subject *s, int32_t *ids) {
  enum { LONG = 200000 };
  static const char *const broken[] = {"",         "\xff\xfe",     "abc\x80",
                                       "\xe2\x82", "\xed\xa0\x80", "a\xf8\x88\x80\x80\x80z"};
  int64_t n;
  void *memory;
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
    ISC_TRY(encode(s, broken[i], strlen(broken[i]), ids, &n));
  ISC_TRY(encode(s, "a\0b", 3, ids, &n));
  ISC_TRY(isc_malloc(LONG, "a long text", &memory));
  memset(memory, 'a', LONG);
  isc_status st = encode(s, memory, LONG, ids, &n);
  free(memory);
  return st;
}

static isc_status try_tokenizer(isc_subject *s) {
  const isc_tokenizer *t = s->target.ops->tokenizer(s->target.self);
  void *ids = NULL;
  isc_status st = ISC_OK;
  if (!t) return isc_fail(ISC_E_INTERNAL, "the target has no tokenizer");
  if (t != s->target.ops->tokenizer(s->target.self))
    return isc_fail(ISC_E_INTERNAL, "another tokenizer comes at the second call");
  if (isc_tokenizer_vocab(t) > s->target.info.vocab)
    return isc_fail(ISC_E_INTERNAL,
                    "the tokenizer has ids up to %lld; the model's vocabulary is %lld",
                    (long long)isc_tokenizer_vocab(t) - 1, (long long)s->target.info.vocab);
  ISC_GO(isc_calloc(MOST_IDS, sizeof(int32_t), "ids", &ids));
  ISC_GO(texts_of_case(s, ids));
  ISC_GO(pieces(s));
  ISC_GO(foreign(s, ids));
done:
  free(ids);
  return st;
}

static isc_status tokenizer(isc_conform *c) {
  return isc_with_subject(c, try_tokenizer);
}

#define ENTRY(name, rule, advice, run)                                                             \
  { "target." name, ISC_OF(ISC_TARGET), ISC_PER_CASE, 60, rule, advice, run }
const isc_check isc_checks_target_limits[] = {
    ENTRY("too-long", "More tokens than n_ctx are an error, and the target stays usable.",
          "Compare len (and what a cache holds) with n_ctx before anything is computed.", too_long),
    ENTRY("bad-id",
          "A negative id, or one beyond the vocabulary, is an error, and the target stays usable.",
          "isc_op_embed checks ids; an own lookup must too.", bad_id),
    ENTRY("empty", "No sequences, or sequences without tokens, give success or a clean error.",
          "Do not divide by batch or len.", empty),
    ENTRY(
        "tokenizer",
        "The tokenizer is there, every id of it has a row in the model, and a text stays the same "
        "when it is encoded and decoded; broken and long texts give ids or an error.",
        "Refuse in `open` a tokenizer that is larger than the model's embedding: it belongs to "
        "another model.",
        tokenizer),
    {0}};
