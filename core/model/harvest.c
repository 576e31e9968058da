/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations of many texts at every selected site, one position each, in batches of like length.
 *
 * Attention is causal, so a sequence is run only up to the position asked for, and the pass ends after
 * the deepest site. Neither changes a bit of the result, nor does the batch a text is in.
 *
 * Where a layer is costly to begin, because its weights are fetched for it, as many batches as their residual streams leave
 * room for go through it before the next.
 */
#include "model/sites_internal.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

typedef struct sequence {
  int64_t text;  /* index of its text          */
  int64_t start; /* of its ids in `ids`        */
  int64_t len;   /* tokens up to the position  */
} sequence;

typedef struct corpus {
  sequence *seq; /* [n] the texts that can be run, shortest first */
  int64_t n;
  int32_t *ids;
  int64_t n_ids, cap;
} corpus;

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
static isc_status refuse(const isc_harvest *h, int64_t i, const char *why) {
  char text[64];
  if (!h->bad)
    return isc_fail(ISC_E_SHAPE, "text %lld, \"%s\", %s", (long long)i,
                    excerpt(h->text[i], h->len[i], text), why);
  h->bad[i] = true;
  for (int64_t k = 0; k < h->sites->n; k++) {
    int64_t stored = h->sites->site[k].stored;
    memset(h->out[k] + i * stored, 0, (size_t)stored * sizeof(float));
  }
  return ISC_OK;
}

/* Failures of the machine are failures; anything else is the text's. */
static bool machine_failed(isc_status st) {
  return st == ISC_E_NOMEM || st == ISC_E_IO || st == ISC_E_DEVICE || st == ISC_E_INTERNAL;
}

static isc_status make_room(corpus *c, int64_t n) {
  if (c->cap - c->n_ids >= n) return ISC_OK;
  int64_t cap = c->cap + c->cap / 2 + n;
  void *p = c->ids;
  ISC_TRY(isc_realloc(&p, (size_t)cap, sizeof *c->ids, "the texts' tokens"));
  c->ids = p;
  c->cap = cap;
  return ISC_OK;
}

static isc_status add_text(const isc_harvest *h, const isc_tokenizer *tok, int64_t i, corpus *c) {
  int64_t n_ctx = h->target->info.n_ctx, n;
  char why[160];
  ISC_TRY(make_room(c, n_ctx));
  isc_status st = isc_tokenizer_encode(tok, h->text[i], h->len[i], c->ids + c->n_ids, n_ctx, &n);
  if (st != ISC_OK) {
    if (machine_failed(st) || !h->bad) return isc_fail_in("text %lld", (long long)i);
    return refuse(h, i, "");
  }
  int64_t position = h->position < 0 ? n + h->position : h->position;
  if (n > n_ctx) {
    snprintf(why, sizeof why, "has %lld tokens, and the target %lld positions", (long long)n,
             (long long)n_ctx);
    return refuse(h, i, why);
  }
  if (position < 0 || position >= n) {
    snprintf(why, sizeof why, "has %lld tokens and no position %lld", (long long)n,
             (long long)h->position);
    return refuse(h, i, why);
  }
  c->seq[c->n++] = (sequence){.text = i, .start = c->n_ids, .len = position + 1};
  c->n_ids += position + 1;
  return ISC_OK;
}

static int by_length(const void *a, const void *b) {
  const sequence *x = a, *y = b;
  if (x->len != y->len) return x->len < y->len ? -1 : 1;
  return x->text < y->text ? -1 : x->text > y->text;
}

static isc_status tokenise(const isc_harvest *h, corpus *c) {
  const isc_tokenizer *tok = h->target->ops->tokenizer(h->target->self);
  ISC_TRY(isc_calloc((size_t)h->n, sizeof *c->seq, "the texts", (void **)&c->seq));
  for (int64_t i = 0; i < h->n; i++)
    ISC_TRY(add_text(h, tok, i, c));
  if (c->n) qsort(c->seq, (size_t)c->n, sizeof *c->seq, by_length);
  return ISC_OK;
}

/* ---- one batch */

typedef struct batch {
  const isc_harvest *h;
  const sequence *seq; /* [n] */
  int64_t n, len;
  const int64_t *row; /* [n] of the position in a [n·len, …] tensor */
} batch;

static bool wants(void *user, isc_place place, int64_t layer) {
  const batch *b = user;
  int64_t first;
  return isc_sites_at(b->h->sites, place, layer, &first) > 0;
}

/* picked [n, width]: the rows of every sequence's position */
static void keep(const batch *b, int64_t site, const float *picked, int64_t width) {
  const isc_site_set *s = b->h->sites;
  int64_t stored = s->site[site].stored, column = isc_site_column(s, site);
  for (int64_t i = 0; i < b->n; i++)
    memcpy(b->h->out[site] + b->seq[i].text * stored, picked + i * width + column,
           (size_t)stored * sizeof *picked);
}

static isc_status at(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                     isc_tensor **out) {
  const batch *b = user;
  isc_tensor *picked;
  void *host;
  int64_t first, n = isc_sites_at(b->h->sites, place, layer, &first);
  *out = x;
  ISC_TRY(isc_sites_check_tensor(b->h->sites, first, n, b->n * b->len, x));
  ISC_TRY(isc_op_gather(s, x, b->row, b->n, &picked));
  ISC_TRY(isc_step_host_alloc(s, (size_t)isc_tensor_size(picked) * sizeof(float), &host));
  ISC_TRY(isc_tensor_download(s, picked, host));
  for (int64_t i = 0; i < n; i++)
    keep(b, first + i, host, x->shape[1]);
  return ISC_OK;
}

/* Blocks [first, end) of one batch; `resid` is what flows between parts, NULL for a whole pass (first = end = 0). */
static isc_status run_batch(const isc_harvest *h, isc_step *s, const corpus *c, const sequence *seq,
                            int64_t n, isc_tensor *resid, int64_t first, int64_t end) {
  batch b = {.h = h, .seq = seq, .n = n, .len = seq[n - 1].len};
  isc_taps taps = {.size = sizeof taps,
                   .user = &b,
                   .wants = wants,
                   .at = at,
                   .transient = true,
                   .stop_layer = h->sites->last_layer,
                   .stop_place = h->sites->last_place};
  void *ids, *rows;
  isc_tensor *hidden;
  isc_step_reset(s);
  ISC_TRY(isc_step_host_alloc(s, (size_t)(n * b.len) * sizeof(int32_t), &ids));
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(int64_t), &rows));
  memset(ids, 0, (size_t)(n * b.len) * sizeof(int32_t));
  for (int64_t i = 0; i < n; i++) {
    memcpy((int32_t *)ids + i * b.len, c->ids + seq[i].start, (size_t)seq[i].len * sizeof(int32_t));
    ((int64_t *)rows)[i] = i * b.len + seq[i].len - 1;
  }
  b.row = rows;
  isc_decoder_input in = {.size = sizeof in,
                          .batch = n,
                          .len = b.len,
                          .ids = ids,
                          .resid = resid,
                          .first_layer = first,
                          .end_layer = end};
  return h->target->ops->forward(h->target->self, s, &in, &taps, &hidden);
}

static int64_t batch_at(const isc_harvest *h, const corpus *c, int64_t i) {
  return c->n - i < h->batch ? c->n - i : h->batch;
}

static isc_status run_whole(const isc_harvest *h, isc_step *s, const corpus *c) {
  for (int64_t i = 0; i < c->n; i += h->batch)
    ISC_TRY(run_batch(h, s, c, c->seq + i, batch_at(h, c, i), NULL, 0, 0));
  return ISC_OK;
}

/* ---- layer by layer */

/* Bytes of residual streams that wait between layers. */
static const int64_t WAITING = (int64_t)1 << 30;

/* Sequences from `from` on whose residual streams fit, at least a batch of them; a whole number of batches. */
static int64_t group_size(const isc_harvest *h, const corpus *c, int64_t from) {
  int64_t n = 0, bytes = 0;
  while (from + n < c->n) {
    const int64_t more = batch_at(h, c, from + n), len = c->seq[from + n + more - 1].len;
    bytes += more * len * h->target->info.d_model * (int64_t)sizeof(float);
    if (n > 0 && bytes > WAITING) break;
    n += more;
  }
  return n;
}

/* Every batch of a group through every layer that a site needs; resid [batches of the group]. */
static isc_status run_layers(const isc_harvest *h, isc_step *s, const corpus *c, int64_t from,
                             int64_t n, isc_tensor *resid) {
  for (int64_t layer = 0; layer <= h->sites->last_layer; layer++)
    for (int64_t i = 0; i < n; i += h->batch) {
      if (isc_cancelled()) return isc_fail(ISC_E_INTERRUPTED, "a harvest was stopped on request");
      ISC_TRY(run_batch(h, s, c, c->seq + from + i, batch_at(h, c, from + i), &resid[i / h->batch],
                        layer, layer + 1));
    }
  return ISC_OK;
}

static isc_status run_group(const isc_harvest *h, isc_step *s, const corpus *c, int64_t from,
                            int64_t n) {
  const int64_t batches = (n + h->batch - 1) / h->batch;
  isc_device *dev = isc_step_device(s);
  isc_status st = ISC_OK;
  isc_tensor *resid = NULL;
  ISC_GO(isc_calloc((size_t)batches, sizeof *resid, "residual streams", (void **)&resid));
  for (int64_t k = 0; k < batches; k++) {
    const int64_t first = from + k * h->batch, count = batch_at(h, c, first);
    const int64_t shape[] = {count * c->seq[first + count - 1].len, h->target->info.d_model};
    ISC_GO(isc_tensor_alloc(dev, 2, shape, &resid[k]));
  }
  ISC_GO(run_layers(h, s, c, from, n, resid));
done:
  for (int64_t k = 0; resid && k < batches; k++)
    isc_tensor_release(dev, &resid[k]);
  free(resid);
  return st;
}

static isc_status run_by_layer(const isc_harvest *h, isc_step *s, const corpus *c) {
  for (int64_t i = 0, n; i < c->n; i += n) {
    n = group_size(h, c, i);
    ISC_TRY(run_group(h, s, c, i, n));
  }
  return ISC_OK;
}

isc_status isc_harvest_run(const isc_harvest *h, isc_step *s) {
  isc_status st = ISC_OK;
  corpus c = {0};
  if (h->batch < 1) return isc_fail(ISC_E_USAGE, "a harvest's batch is %lld", (long long)h->batch);
  if (isc_tape_on(s)) return isc_fail(ISC_E_USAGE, "a harvest has no gradient");
  ISC_GO(tokenise(h, &c));
  ISC_GO(h->target->info.by_layer ? run_by_layer(h, s, &c) : run_whole(h, s, &c));
done:
  isc_step_reset(s);
  free(c.seq);
  free(c.ids);
  return st;
}
