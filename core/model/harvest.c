/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations of many texts at every selected site, one position each, in batches of like length.
 *
 * Attention is causal, so a sequence is run only up to the position asked for, and the pass ends after
 * the deepest site wanted, in whose layer only that position goes beyond the keys and values. Sequences of a batch are
 * packed, not padded, where the target can. Nothing of it changes a bit of the result, nor does the batch a text is in.
 *
 * Where a layer is costly to begin, because its weights are fetched for it, as many batches as their residual streams leave
 * room for go through it before the next.
 */
#include "model/harvest_reads.h"
#include "model/sites_internal.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* What a run goes by. */
typedef struct work {
  const isc_harvest *h;
  const isc_sequences *c;
  isc_step *s;
  isc_harvest_reads reads;
} work;

/* ---- one batch */

/* Sites are in the order a pass comes to them. −1 when none is wanted. */
static int64_t deepest(const isc_harvest *h) {
  int64_t i = h->sites->n - 1;
  while (i >= 0 && !h->out[i])
    i--;
  return i;
}

typedef struct batch {
  work *w;
  int64_t n, total;   /* sequences; their rows, padding included */
  const int64_t *row; /* [n] of the position in a [total, …] tensor */
} batch;

static bool is_packed(const isc_harvest *h) {
  return h->target->info.packed;
}

/* Does a tensor at the place have only the rows that are asked for? */
static bool is_narrow(const isc_harvest *h, isc_place place, int64_t layer) {
  return is_packed(h) && layer == h->sites->layer[deepest(h)] && place >= ISC_HEADS;
}

static bool wants(void *user, isc_place place, int64_t layer) {
  const isc_harvest *h = ((const batch *)user)->w->h;
  int64_t first;
  for (int64_t n = isc_sites_at(h->sites, place, layer, &first); n > 0; n--)
    if (h->out[first + n - 1]) return true;
  return false;
}

static isc_status at(void *user, isc_step *s, isc_place place, int64_t layer, isc_tensor *x,
                     isc_tensor **out) {
  const batch *b = user;
  const isc_harvest *h = b->w->h;
  const bool narrow = is_narrow(h, place, layer);
  isc_tensor *picked = x;
  int64_t first, n = isc_sites_at(h->sites, place, layer, &first);
  *out = x;
  ISC_TRY(isc_sites_check_tensor(h->sites, first, n, narrow ? b->n : b->total, x));
  if (!narrow) ISC_TRY(isc_op_gather(s, x, b->row, b->n, &picked));
  return isc_harvest_reads_take(&b->w->reads, s, picked, first, n);
}

/* Rows of n sequences in a pass. */
static int64_t count_rows(const work *w, int64_t from, int64_t n) {
  return is_packed(w->h) ? isc_sequences_tokens(w->c, from, n) : n * w->c->seq[from + n - 1].len;
}

/* Blocks [first, end) of one batch; `resid` is what flows between parts, NULL for a whole pass (first = end = 0). */
static isc_status run_batch(work *w, int64_t from, int64_t n, isc_tensor *resid, int64_t first,
                            int64_t end) {
  const isc_harvest *h = w->h;
  const int64_t last = deepest(h);
  batch b = {.w = w, .n = n, .total = count_rows(w, from, n)};
  isc_taps taps = {.size = sizeof taps,
                   .user = &b,
                   .wants = wants,
                   .at = at,
                   .transient = true,
                   .stop_layer = h->sites->layer[last],
                   .stop_place = h->sites->place[last]};
  int32_t *ids;
  int64_t *rows, *lens = NULL, len;
  isc_tensor *hidden;
  isc_step_reset(w->s);
  if (is_packed(h))
    ISC_TRY(isc_sequences_pack(w->c, from, n, w->s, &ids, &rows, &lens, &len));
  else
    ISC_TRY(isc_sequences_batch(w->c, from, n, w->s, &ids, &rows, &len));
  b.row = rows;
  isc_decoder_input in = {.size = sizeof in,
                          .batch = n,
                          .len = len,
                          .ids = ids,
                          .resid = resid,
                          .first_layer = first,
                          .end_layer = end,
                          .lens = lens,
                          .last = is_packed(h)};
  isc_harvest_reads_begin(&w->reads, w->c->seq + from, n);
  ISC_TRY(h->target->ops->forward(h->target->self, w->s, &in, &taps, &hidden));
  return isc_harvest_reads_end(&w->reads);
}

static int64_t batch_at(const work *w, int64_t i) {
  return w->c->n - i < w->h->batch ? w->c->n - i : w->h->batch;
}

static isc_status run_whole(work *w) {
  for (int64_t i = 0; i < w->c->n; i += w->h->batch)
    ISC_TRY(run_batch(w, i, batch_at(w, i), NULL, 0, 0));
  return ISC_OK;
}

/* ---- layer by layer */

/* Sequences from `from` on whose residual streams fit, at least a batch of them; a whole number of batches. */
static int64_t group_size(const work *w, int64_t from) {
  int64_t n = 0, bytes = 0;
  while (from + n < w->c->n) {
    const int64_t more = batch_at(w, from + n);
    bytes += count_rows(w, from + n, more) * w->h->target->info.d_model * (int64_t)sizeof(float);
    if (n > 0 && bytes > ISC_HARVEST_WAITING) break;
    n += more;
  }
  return n;
}

/* Every batch of a group through every layer that a site needs; resid [batches of the group]. */
static isc_status run_layers(work *w, int64_t from, int64_t n, isc_tensor *resid) {
  const int64_t last = w->h->sites->layer[deepest(w->h)], each = w->h->batch;
  for (int64_t layer = 0; layer <= last; layer++)
    for (int64_t i = 0; i < n; i += each) {
      if (isc_cancelled()) return isc_fail(ISC_E_INTERRUPTED, "a harvest was stopped on request");
      ISC_TRY(run_batch(w, from + i, batch_at(w, from + i), &resid[i / each], layer, layer + 1));
    }
  return ISC_OK;
}

static isc_status run_group(work *w, int64_t from, int64_t n) {
  const int64_t batches = (n + w->h->batch - 1) / w->h->batch;
  isc_device *dev = isc_step_device(w->s);
  isc_status st = ISC_OK;
  isc_tensor *resid = NULL;
  ISC_GO(isc_calloc((size_t)batches, sizeof *resid, "residual streams", (void **)&resid));
  for (int64_t k = 0; k < batches; k++) {
    const int64_t first = from + k * w->h->batch;
    const int64_t shape[] = {count_rows(w, first, batch_at(w, first)), w->h->target->info.d_model};
    ISC_GO(isc_tensor_alloc(dev, 2, shape, &resid[k]));
  }
  ISC_GO(run_layers(w, from, n, resid));
done:
  for (int64_t k = 0; resid && k < batches; k++)
    isc_tensor_release(dev, &resid[k]);
  free(resid);
  return st;
}

static isc_status run_by_layer(work *w) {
  for (int64_t i = 0, n; i < w->c->n; i += n) {
    n = group_size(w, i);
    ISC_TRY(run_group(w, i, n));
  }
  return ISC_OK;
}

/* ---- */

/* The rows of texts that cannot be run. */
static void zero_bad(const isc_harvest *h) {
  for (int64_t i = 0; h->bad && i < h->n; i++)
    for (int64_t k = 0; h->bad[i] && k < h->sites->n; k++) {
      if (!h->out[k]) continue;
      const int64_t stored = h->sites->site[k].stored;
      memset(h->out[k] + i * stored, 0, (size_t)stored * sizeof(float));
    }
}

isc_status isc_harvest_run(const isc_harvest *h, isc_step *s) {
  const isc_sequence_source source = {.target = h->target,
                                      .text = h->text,
                                      .len = h->len,
                                      .n = h->n,
                                      .position = h->position,
                                      .bad = h->bad,
                                      .positions = h->positions};
  isc_sequences c;
  work w = {.h = h, .c = &c, .s = s};
  if (h->batch < 1) return isc_fail(ISC_E_USAGE, "a harvest's batch is %lld", (long long)h->batch);
  if (isc_tape_on(s)) return isc_fail(ISC_E_USAGE, "a harvest has no gradient");
  if (deepest(h) < 0) return ISC_OK;
  ISC_TRY(isc_sequences_make(&source, &c));
  zero_bad(h);
  isc_status st = isc_harvest_reads_open(h, isc_step_device(s), batch_at(&w, 0), &w.reads);
  if (st == ISC_OK) st = h->target->info.by_layer ? run_by_layer(&w) : run_whole(&w);
  if (st == ISC_OK) st = isc_harvest_reads_finish(&w.reads);
  isc_harvest_reads_close(&w.reads);
  isc_step_reset(s);
  isc_sequences_free(&c);
  return st;
}
