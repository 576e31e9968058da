/* SPDX-License-Identifier: Apache-2.0
 *
 * The samples in memory: distinct texts behind a hash table, and one id and log q per draw.
 */
#include "run/samples.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>

isc_status isc_samples_new(isc_samples *s, int64_t n_sites, int64_t n_conditions, int64_t n_samples,
                           int64_t n_unconditional) {
  memset(s, 0, sizeof *s);
  s->n_sites = n_sites;
  s->n_conditions = n_conditions;
  s->n_samples = n_samples;
  size_t rows = 0;
  ISC_TRY(isc_mul_size((size_t)n_sites, (size_t)n_conditions, "samples", &rows));
  ISC_TRY(isc_mul_size(rows, (size_t)n_samples, "samples", &rows));
  ISC_TRY(isc_calloc(rows, sizeof *s->text, "samples", (void **)&s->text));
  ISC_TRY(isc_calloc(rows, sizeof *s->log_q, "samples", (void **)&s->log_q));
  ISC_TRY(isc_calloc((size_t)n_unconditional, sizeof *s->unconditional, "samples",
                     (void **)&s->unconditional));
  s->n_unconditional = n_unconditional;
  return ISC_OK;
}

void isc_samples_free(isc_samples *s) {
  for (int64_t i = 0; i < s->n_texts; i++)
    free(s->string[i]);
  free(s->string);
  free(s->len);
  free(s->text);
  free(s->log_q);
  free(s->unconditional);
  free(s->bucket);
  memset(s, 0, sizeof *s);
}

int64_t isc_samples_rows(const isc_samples *s) {
  return s->n_sites * s->n_conditions * s->n_samples;
}

static uint64_t text_hash(const char *text, size_t len) {
  uint64_t h = 1469598103934665603u; /* FNV-1a */
  for (size_t i = 0; i < len; i++)
    h = (h ^ (uint8_t)text[i]) * 1099511628211u;
  return h;
}

static int64_t *find_bucket(isc_samples *s, const char *text, size_t len) {
  uint64_t at = text_hash(text, len) & (uint64_t)(s->n_buckets - 1);
  for (;; at = (at + 1) & (uint64_t)(s->n_buckets - 1)) {
    const int64_t id = s->bucket[at] - 1;
    if (id < 0 || (s->len[id] == len && !memcmp(s->string[id], text, len))) return &s->bucket[at];
  }
}

static isc_status grow(isc_samples *s) {
  const int64_t cap = s->cap_texts ? 2 * s->cap_texts : 1024;
  ISC_TRY(isc_realloc((void **)&s->string, (size_t)cap, sizeof *s->string, "sample texts"));
  ISC_TRY(isc_realloc((void **)&s->len, (size_t)cap, sizeof *s->len, "sample texts"));
  free(s->bucket);
  s->bucket = NULL;
  s->n_buckets = 4 * cap;
  ISC_TRY(isc_calloc((size_t)s->n_buckets, sizeof *s->bucket, "sample texts", (void **)&s->bucket));
  s->cap_texts = cap;
  for (int64_t i = 0; i < s->n_texts; i++)
    *find_bucket(s, s->string[i], s->len[i]) = i + 1;
  return ISC_OK;
}

isc_status isc_samples_intern(isc_samples *s, const char *text, size_t len, int64_t *id) {
  if (s->n_texts == s->cap_texts) ISC_TRY(grow(s));
  int64_t *b = find_bucket(s, text, len);
  if (!*b) {
    char *copy = NULL;
    ISC_TRY(isc_malloc(len + 1, "sample text", (void **)&copy));
    memcpy(copy, text, len);
    copy[len] = 0;
    s->string[s->n_texts] = copy;
    s->len[s->n_texts] = len;
    *b = ++s->n_texts;
  }
  *id = *b - 1;
  return ISC_OK;
}

isc_status isc_samples_renumber(isc_samples *s) {
  isc_samples t;
  isc_status st =
      isc_samples_new(&t, s->n_sites, s->n_conditions, s->n_samples, s->n_unconditional);
  for (int64_t r = 0; st == ISC_OK && r < isc_samples_rows(s); r++) {
    st = isc_samples_intern(&t, s->string[s->text[r]], s->len[s->text[r]], &t.text[r]);
    t.log_q[r] = s->log_q[r];
  }
  for (int64_t j = 0; st == ISC_OK && j < s->n_unconditional; j++)
    st = isc_samples_intern(&t, s->string[s->unconditional[j]], s->len[s->unconditional[j]],
                            &t.unconditional[j]);
  if (st != ISC_OK) {
    isc_samples_free(&t);
    return st;
  }
  isc_samples_free(s);
  *s = t;
  return ISC_OK;
}
