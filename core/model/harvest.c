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
#include "model/sequences.h"
#include "model/sites_internal.h"
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

/* ---- one batch */

/* Sites are in the order a pass comes to them. −1 when none is wanted. */
static int64_t deepest(const isc_harvest *h) {
  int64_t i = h->sites->n - 1;
  while (i >= 0 && !h->out[i])
    i--;
  return i;
}

typedef struct batch {
  const isc_harvest *h;
  const isc_sequence *seq; /* [n] */
  int64_t n, total;        /* sequences; their rows, padding included */
  const int64_t *row;      /* [n] of the position in a [total, …] tensor */
} batch;

static bool is_packed(const isc_harvest *h) {
  return h->target->info.packed;
}

/* Does a tensor at the place have only the rows that are asked for? */
static bool is_narrow(const isc_harvest *h, isc_place place, int64_t layer) {
  return is_packed(h) && layer == h->sites->layer[deepest(h)] && place >= ISC_HEADS;
}

static bool wants(void *user, isc_place place, int64_t layer) {
  const batch *b = user;
  int64_t first;
  for (int64_t n = isc_sites_at(b->h->sites, place, layer, &first); n > 0; n--)
    if (b->h->out[first + n - 1]) return true;
  return false;
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
  const bool narrow = is_narrow(b->h, place, layer);
  isc_tensor *picked = x;
  void *host;
  int64_t first, n = isc_sites_at(b->h->sites, place, layer, &first);
  *out = x;
  ISC_TRY(isc_sites_check_tensor(b->h->sites, first, n, narrow ? b->n : b->total, x));
  if (!narrow) ISC_TRY(isc_op_gather(s, x, b->row, b->n, &picked));
  ISC_TRY(isc_step_host_alloc(s, (size_t)isc_tensor_size(picked) * sizeof(float), &host));
  ISC_TRY(isc_tensor_download(s, picked, host));
  for (int64_t i = 0; i < n; i++)
    if (b->h->out[first + i]) keep(b, first + i, host, x->shape[1]);
  return ISC_OK;
}

/* Rows of n sequences in a pass. */
static int64_t count_rows(const isc_harvest *h, const isc_sequences *c, int64_t from, int64_t n) {
  return is_packed(h) ? isc_sequences_tokens(c, from, n) : n * c->seq[from + n - 1].len;
}

/* Blocks [first, end) of one batch; `resid` is what flows between parts, NULL for a whole pass (first = end = 0). */
static isc_status run_batch(const isc_harvest *h, isc_step *s, const isc_sequences *c, int64_t from,
                            int64_t n, isc_tensor *resid, int64_t first, int64_t end) {
  const int64_t last = deepest(h);
  batch b = {.h = h, .seq = c->seq + from, .n = n, .total = count_rows(h, c, from, n)};
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
  isc_step_reset(s);
  if (is_packed(h))
    ISC_TRY(isc_sequences_pack(c, from, n, s, &ids, &rows, &lens, &len));
  else
    ISC_TRY(isc_sequences_batch(c, from, n, s, &ids, &rows, &len));
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
  return h->target->ops->forward(h->target->self, s, &in, &taps, &hidden);
}

static int64_t batch_at(const isc_harvest *h, const isc_sequences *c, int64_t i) {
  return c->n - i < h->batch ? c->n - i : h->batch;
}

static isc_status run_whole(const isc_harvest *h, isc_step *s, const isc_sequences *c) {
  for (int64_t i = 0; i < c->n; i += h->batch)
    ISC_TRY(run_batch(h, s, c, i, batch_at(h, c, i), NULL, 0, 0));
  return ISC_OK;
}

/* ---- layer by layer */

/* Sequences from `from` on whose residual streams fit, at least a batch of them; a whole number of batches. */
static int64_t group_size(const isc_harvest *h, const isc_sequences *c, int64_t from) {
  int64_t n = 0, bytes = 0;
  while (from + n < c->n) {
    const int64_t more = batch_at(h, c, from + n);
    bytes += count_rows(h, c, from + n, more) * h->target->info.d_model * (int64_t)sizeof(float);
    if (n > 0 && bytes > ISC_HARVEST_WAITING) break;
    n += more;
  }
  return n;
}

/* Every batch of a group through every layer that a site needs; resid [batches of the group]. */
static isc_status run_layers(const isc_harvest *h, isc_step *s, const isc_sequences *c,
                             int64_t from, int64_t n, isc_tensor *resid) {
  const int64_t last = h->sites->layer[deepest(h)];
  for (int64_t layer = 0; layer <= last; layer++)
    for (int64_t i = 0; i < n; i += h->batch) {
      if (isc_cancelled()) return isc_fail(ISC_E_INTERRUPTED, "a harvest was stopped on request");
      ISC_TRY(run_batch(h, s, c, from + i, batch_at(h, c, from + i), &resid[i / h->batch], layer,
                        layer + 1));
    }
  return ISC_OK;
}

static isc_status run_group(const isc_harvest *h, isc_step *s, const isc_sequences *c, int64_t from,
                            int64_t n) {
  const int64_t batches = (n + h->batch - 1) / h->batch;
  isc_device *dev = isc_step_device(s);
  isc_status st = ISC_OK;
  isc_tensor *resid = NULL;
  ISC_GO(isc_calloc((size_t)batches, sizeof *resid, "residual streams", (void **)&resid));
  for (int64_t k = 0; k < batches; k++) {
    const int64_t first = from + k * h->batch, count = batch_at(h, c, first);
    const int64_t shape[] = {count_rows(h, c, first, count), h->target->info.d_model};
    ISC_GO(isc_tensor_alloc(dev, 2, shape, &resid[k]));
  }
  ISC_GO(run_layers(h, s, c, from, n, resid));
done:
  for (int64_t k = 0; resid && k < batches; k++)
    isc_tensor_release(dev, &resid[k]);
  free(resid);
  return st;
}

static isc_status run_by_layer(const isc_harvest *h, isc_step *s, const isc_sequences *c) {
  for (int64_t i = 0, n; i < c->n; i += n) {
    n = group_size(h, c, i);
    ISC_TRY(run_group(h, s, c, i, n));
  }
  return ISC_OK;
}

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
  if (h->batch < 1) return isc_fail(ISC_E_USAGE, "a harvest's batch is %lld", (long long)h->batch);
  if (isc_tape_on(s)) return isc_fail(ISC_E_USAGE, "a harvest has no gradient");
  if (deepest(h) < 0) return ISC_OK;
  ISC_TRY(isc_sequences_make(&source, &c));
  zero_bad(h);
  isc_status st = h->target->info.by_layer ? run_by_layer(h, s, &c) : run_whole(h, s, &c);
  isc_step_reset(s);
  isc_sequences_free(&c);
  return st;
}
