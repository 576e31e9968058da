/* SPDX-License-Identifier: Apache-2.0
 *
 * The words that come back: the target's tokens of x̂, of the sampled texts and of training inputs, as sets.
 */
#include "run/insight.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LEAST_Z = 3; /* standard deviations */

/* Sets of words in the making. */
typedef struct sets {
  int64_t n, cap;
  int64_t *start; /* [texts + 1] */
  int32_t *word;  /* [cap]       */
} sets;

/* One text's tokens; arrays grow to the longest. */
typedef struct reader {
  const isc_tokenizer *tokenizer;
  isc_labels *words;
  int32_t *id, *distinct; /* [cap] */
  int64_t cap, n;
  isc_text piece;
} reader;

static void reader_free(reader *r) {
  free(r->id);
  free(r->distinct);
  isc_text_free(&r->piece);
}

static bool is_white(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/* " Mary" and "Mary" are one word; tokens that are white space or special are none. */
static isc_status intern_token(reader *r, int32_t id, int32_t *word) {
  isc_text_clear(&r->piece);
  ISC_TRY(isc_tokenizer_decode(r->tokenizer, &id, 1, &r->piece));
  const char *s = r->piece.data ? r->piece.data : "";
  size_t from = 0, to = r->piece.len;
  while (from < to && is_white(s[from]))
    from++;
  while (to > from && is_white(s[to - 1]))
    to--;
  return isc_labels_intern(r->words, s + from, to - from, word);
}

static isc_status make_room(reader *r, int64_t n) {
  if (n <= r->cap) return ISC_OK;
  ISC_TRY(isc_realloc((void **)&r->id, (size_t)n, sizeof *r->id, "tokens"));
  ISC_TRY(isc_realloc((void **)&r->distinct, (size_t)n, sizeof *r->distinct, "tokens"));
  r->cap = n;
  return ISC_OK;
}

static int ascending(const void *a, const void *b) {
  const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

/* The distinct words of a text: r->distinct [r->n]. A text that the target cannot read has none, and no activation. */
static isc_status read_words(reader *r, const char *text, size_t len) {
  int64_t n = 0, kept = 0;
  r->n = 0;
  isc_status st = isc_tokenizer_encode_plain(r->tokenizer, text, len, r->id, r->cap, &n);
  if (st == ISC_OK && n > r->cap) {
    ISC_TRY(make_room(r, n));
    st = isc_tokenizer_encode_plain(r->tokenizer, text, len, r->id, r->cap, &n);
  }
  if (st == ISC_E_SHAPE || st == ISC_E_FORMAT || st == ISC_E_UNSUPPORTED) return ISC_OK;
  ISC_TRY(st);
  for (int64_t i = 0; i < n; i++) {
    ISC_TRY(intern_token(r, r->id[i], &r->distinct[r->n]));
    if (r->distinct[r->n] != ISC_LABEL_NULL) r->n++;
  }
  if (r->n > 1) qsort(r->distinct, (size_t)r->n, sizeof *r->distinct, ascending);
  for (int64_t i = 0; i < r->n; i++)
    if (kept == 0 || r->distinct[kept - 1] != r->distinct[i]) r->distinct[kept++] = r->distinct[i];
  r->n = kept;
  return ISC_OK;
}

static isc_status add_set(sets *s, const reader *r) {
  const int64_t at = s->start[s->n], want = at + r->n;
  if (want > s->cap) {
    const int64_t cap = want > 2 * s->cap ? want + 1024 : 2 * s->cap;
    ISC_TRY(isc_realloc((void **)&s->word, (size_t)cap, sizeof *s->word, "words"));
    s->cap = cap;
  }
  if (r->n) memcpy(s->word + at, r->distinct, (size_t)r->n * sizeof *s->word);
  s->start[++s->n] = want;
  return ISC_OK;
}

static void sets_free(sets *s) {
  free(s->start);
  free(s->word);
}

static isc_status sample_sets(const isc_score *s, reader *r, sets *out) {
  const isc_samples *p = &s->samples;
  ISC_TRY(isc_calloc((size_t)p->n_texts + 1, sizeof *out->start, "words", (void **)&out->start));
  for (int64_t i = 0; i < p->n_texts; i++) {
    ISC_TRY(read_words(r, p->string[i], p->len[i]));
    ISC_TRY(add_set(out, r));
  }
  return ISC_OK;
}

static isc_status condition_sets(const isc_score *s, reader *r, sets *out) {
  const int64_t n = s->study->n_conditions;
  ISC_TRY(isc_calloc((size_t)n + 1, sizeof *out->start, "words", (void **)&out->start));
  for (int64_t i = 0; i < n; i++) {
    ISC_TRY(read_words(r, s->condition_text[i].data, s->condition_text[i].len));
    ISC_TRY(add_set(out, r));
  }
  return ISC_OK;
}

/* In how many training inputs each word is. Words that none of the other texts has are not asked for. */
static isc_status count_background(const isc_score *s, reader *r, int64_t n, int32_t n_words,
                                   int64_t *count) {
  isc_text text = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < n; i++) {
    isc_text_clear(&text);
    ISC_GO(isc_study_text(s->study, ISC_TRAIN, i, &text));
    ISC_GO(read_words(r, text.data ? text.data : "", text.len));
    for (int64_t k = 0; k < r->n; k++)
      if (r->distinct[k] < n_words) count[r->distinct[k]]++;
    if (i % 1024 == 0) ISC_GO(isc_stage_check(s->run));
  }
done:
  isc_text_free(&text);
  return st;
}

static isc_word_sets finished(const sets *s) {
  return (isc_word_sets){.n = s->n, .start = s->start, .word = s->word};
}

/* The same words are asked at every site; which samples are accepted differs. */
static isc_status top_of_sites(const isc_score *s, isc_insight *in, isc_enrichment *e,
                               int64_t *start, bool *accepted) {
  for (int64_t site = 0; site < s->study->sites.n; site++) {
    const isc_sample_set set = isc_score_set(s, site, start);
    const isc_kernel *k = s->study->site_kernel[site];
    const double epsilon = k->ops->epsilon(k->self);
    for (int64_t i = 0; i < set.start[set.n_conditions]; i++)
      accepted[i] = set.d[i] < epsilon && !(s->log_p[set.text[i]] == -INFINITY);
    e->start = set.start;
    e->sample = set.text;
    e->accepted = accepted;
    ISC_TRY(
        isc_enrichment_top(e, LEAST_Z, ISC_INSIGHT_WORDS, in->site[site].word, &in->site[site].n));
  }
  return ISC_OK;
}

isc_status isc_insight_words(const isc_score *s, isc_insight *in) {
  const int64_t rows = s->study->n_conditions * s->samples.n_samples,
                n_background = isc_score_draws(s->study);
  reader r = {.tokenizer = s->study->target.ops->tokenizer(s->study->target.self),
              .words = &in->words};
  sets sample = {0}, condition = {0};
  int64_t *background = NULL, *start = NULL;
  bool *accepted = NULL;
  isc_status st;
  ISC_GO(make_room(&r, 64));
  ISC_GO(condition_sets(s, &r, &condition));
  ISC_GO(sample_sets(s, &r, &sample));
  const int32_t n_words = in->words.count;
  ISC_GO(isc_calloc((size_t)n_words, sizeof *background, "words", (void **)&background));
  ISC_GO(isc_calloc((size_t)s->study->n_conditions + 1, sizeof *start, "samples", (void **)&start));
  ISC_GO(isc_calloc((size_t)rows, sizeof *accepted, "samples", (void **)&accepted));
  ISC_GO(count_background(s, &r, n_background, n_words, background));
  isc_enrichment e = {.n_words = n_words,
                      .n_background = n_background,
                      .background = background,
                      .condition = finished(&condition),
                      .text = finished(&sample)};
  ISC_GO(top_of_sites(s, in, &e, start, accepted));
done:
  reader_free(&r);
  sets_free(&sample);
  sets_free(&condition);
  free(background);
  free(start);
  free(accepted);
  return st;
}
