/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts as tokens, sorted by length so that batches waste little on padding.
 */
#include "model/sequences.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* The beginning of a text, fit for a message. */
static const char *excerpt(const char *s, size_t len, char out[64]) {
  size_t n = len < 56 ? len : 56;
  while (n < len && n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80)
    n--;
  for (size_t i = 0; i < n; i++)
    out[i] = (unsigned char)s[i] < 0x20 || s[i] == 0x7F ? ' ' : s[i];
  snprintf(out + n, 64 - n, "%s", n < len ? "…" : "");
  return out;
}

/* A text that cannot be run: an error, or a mark where the caller wants one. */
static isc_status refuse(const isc_sequence_source *h, int64_t i, const char *why) {
  char text[64];
  if (!h->bad)
    return isc_fail(ISC_E_SHAPE, "text %lld, \"%s\", %s", (long long)i,
                    excerpt(h->text[i], h->len[i], text), why);
  h->bad[i] = true;
  return ISC_OK;
}

/* Failures of the machine are failures; anything else is the text's. */
static bool machine_failed(isc_status st) {
  return st == ISC_E_NOMEM || st == ISC_E_IO || st == ISC_E_DEVICE || st == ISC_E_INTERNAL;
}

static isc_status make_room(isc_sequences *c, int64_t n) {
  if (c->cap - c->n_ids >= n) return ISC_OK;
  int64_t cap = c->cap + c->cap / 2 + n;
  void *p = c->ids;
  ISC_TRY(isc_realloc(&p, (size_t)cap, sizeof *c->ids, "the texts' tokens"));
  c->ids = p;
  c->cap = cap;
  return ISC_OK;
}

static isc_status add_text(const isc_sequence_source *h, const isc_tokenizer *tok, int64_t i,
                           isc_sequences *c) {
  int64_t n_ctx = h->target->info.n_ctx, n;
  char why[160];
  ISC_TRY(make_room(c, n_ctx));
  isc_status st = isc_tokenizer_encode(tok, h->text[i], h->len[i], c->ids + c->n_ids, n_ctx, &n);
  if (st != ISC_OK) {
    if (machine_failed(st) || !h->bad) return isc_fail_in("text %lld", (long long)i);
    return refuse(h, i, "");
  }
  if (n == 0 && h->begin && isc_tokenizer_bos(tok) >= 0)
    c->ids[c->n_ids + n++] = isc_tokenizer_bos(tok);
  const int64_t asked = h->positions ? h->positions[i] : h->position;
  const int64_t position = asked < 0 ? n + asked : asked;
  if (n > n_ctx) {
    snprintf(why, sizeof why, "has %lld tokens, and the target %lld positions", (long long)n,
             (long long)n_ctx);
    return refuse(h, i, why);
  }
  if (position < 0 || position >= n) {
    snprintf(why, sizeof why, "has %lld tokens and no position %lld", (long long)n,
             (long long)asked);
    return refuse(h, i, why);
  }
  c->seq[c->n++] = (isc_sequence){.text = i, .start = c->n_ids, .len = position + 1};
  c->n_ids += position + 1;
  return ISC_OK;
}

static int by_length(const void *a, const void *b) {
  const isc_sequence *x = a, *y = b;
  if (x->len != y->len) return x->len < y->len ? -1 : 1;
  return x->text < y->text ? -1 : x->text > y->text;
}

static isc_status tokenise(const isc_sequence_source *h, isc_sequences *c) {
  const isc_tokenizer *tok = h->target->ops->tokenizer(h->target->self);
  ISC_TRY(isc_calloc((size_t)h->n, sizeof *c->seq, "the texts", (void **)&c->seq));
  for (int64_t i = 0; i < h->n; i++)
    ISC_TRY(add_text(h, tok, i, c));
  if (c->n) qsort(c->seq, (size_t)c->n, sizeof *c->seq, by_length);
  return ISC_OK;
}

isc_status isc_sequences_make(const isc_sequence_source *from, isc_sequences *out) {
  *out = (isc_sequences){0};
  isc_status st = tokenise(from, out);
  if (st != ISC_OK) isc_sequences_free(out);
  return st;
}

void isc_sequences_free(isc_sequences *s) {
  free(s->seq);
  free(s->ids);
  *s = (isc_sequences){0};
}

int64_t isc_sequences_alike(const isc_sequences *s, int64_t from) {
  int64_t n = 0;
  while (from + n < s->n && s->seq[from + n].len == s->seq[from].len)
    n++;
  return n;
}

isc_status isc_sequences_batch(const isc_sequences *s, int64_t first, int64_t n, isc_step *step,
                               int32_t **ids, int64_t **rows, int64_t *len) {
  const isc_sequence *seq = s->seq + first;
  const int64_t longest = seq[n - 1].len;
  void *memory;
  ISC_TRY(isc_step_host_alloc(step, (size_t)(n * longest) * sizeof(int32_t), &memory));
  *ids = memory;
  ISC_TRY(isc_step_host_alloc(step, (size_t)n * sizeof(int64_t), &memory));
  *rows = memory;
  memset(*ids, 0, (size_t)(n * longest) * sizeof(int32_t));
  for (int64_t i = 0; i < n; i++) {
    memcpy(*ids + i * longest, s->ids + seq[i].start, (size_t)seq[i].len * sizeof(int32_t));
    (*rows)[i] = i * longest + seq[i].len - 1;
  }
  *len = longest;
  return ISC_OK;
}

int64_t isc_sequences_tokens(const isc_sequences *s, int64_t first, int64_t n) {
  int64_t total = 0;
  for (int64_t i = 0; i < n; i++)
    total += s->seq[first + i].len;
  return total;
}

isc_status isc_sequences_pack(const isc_sequences *s, int64_t first, int64_t n, isc_step *step,
                              int32_t **ids, int64_t **rows, int64_t **lens, int64_t *len) {
  const isc_sequence *seq = s->seq + first;
  const int64_t total = isc_sequences_tokens(s, first, n);
  void *memory;
  ISC_TRY(isc_step_host_alloc(step, (size_t)total * sizeof(int32_t), &memory));
  *ids = memory;
  ISC_TRY(isc_step_host_alloc(step, (size_t)n * sizeof(int64_t), &memory));
  *rows = memory;
  ISC_TRY(isc_step_host_alloc(step, (size_t)n * sizeof(int64_t), &memory));
  *lens = memory;
  for (int64_t i = 0, at = 0; i < n; i++) {
    memcpy(*ids + at, s->ids + seq[i].start, (size_t)seq[i].len * sizeof(int32_t));
    at += seq[i].len;
    (*rows)[i] = at - 1;
    (*lens)[i] = seq[i].len;
  }
  *len = seq[n - 1].len;
  return ISC_OK;
}
