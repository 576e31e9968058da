/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations of many texts at every one of their tokens, in batches of one length.
 */
#include "base/base.h"
#include "model/sequences.h"
#include <stdlib.h>
#include <string.h>

typedef struct run {
  const isc_harvest_all *h;
  isc_step *s;
  isc_sequences texts;
  float **all;       /* [n_sites] host [batch, len, stored] */
  const float **one; /* [n_sites] where a text's begin      */
} run;

static isc_status make_room(run *r, int64_t tokens) {
  const isc_site_set *sites = r->h->sites;
  for (int64_t k = 0; k < sites->n; k++) {
    void *p;
    ISC_TRY(
        isc_step_host_alloc(r->s, (size_t)(tokens * sites->site[k].stored) * sizeof(float), &p));
    r->all[k] = p;
  }
  return ISC_OK;
}

static isc_status run_batch(run *r, int64_t first, int64_t n) {
  const isc_site_set *sites = r->h->sites;
  const isc_sequence *seq = r->texts.seq + first;
  int32_t *ids;
  int64_t *rows, len;
  if (isc_cancelled()) return isc_fail(ISC_E_INTERRUPTED, "a harvest was stopped on request");
  isc_step_reset(r->s);
  ISC_TRY(isc_sequences_batch(&r->texts, first, n, r->s, &ids, &rows, &len));
  ISC_TRY(make_room(r, n * len));
  const isc_decoder_input in = {.size = sizeof in, .batch = n, .len = len, .ids = ids};
  ISC_TRY(isc_forward_patched(r->h->target, sites, r->s, &in, NULL, 0, r->all, NULL));
  for (int64_t i = 0; i < n; i++) {
    for (int64_t k = 0; k < sites->n; k++)
      r->one[k] = r->all[k] + i * len * sites->site[k].stored;
    ISC_TRY(r->h->each(r->h->user, seq[i].text, len, r->one));
  }
  return ISC_OK;
}

/* Texts of one length in a pass: as many as asked for, and no more than its tokens allow. */
static int64_t batch_at(const run *r, int64_t i) {
  const int64_t alike = isc_sequences_alike(&r->texts, i),
                fit = ISC_PASS_TOKENS / r->texts.seq[i].len, most = fit > 1 ? fit : 1,
                n = alike < most ? alike : most;
  return n < r->h->batch ? n : r->h->batch;
}

isc_status isc_harvest_all_run(const isc_harvest_all *h, isc_step *s) {
  isc_status st = ISC_OK;
  run r = {.h = h, .s = s};
  if (h->batch < 1) return isc_fail(ISC_E_USAGE, "a harvest's batch is %lld", (long long)h->batch);
  const isc_sequence_source source = {.target = h->target,
                                      .text = h->text,
                                      .len = h->len,
                                      .n = h->n,
                                      .position = -1,
                                      .bad = h->bad};
  ISC_GO(isc_sequences_make(&source, &r.texts));
  ISC_GO(isc_calloc((size_t)h->sites->n, sizeof *r.all, "activations", (void **)&r.all));
  ISC_GO(isc_calloc((size_t)h->sites->n, sizeof *r.one, "activations", (void **)&r.one));
  for (int64_t i = 0, n; i < r.texts.n; i += n) {
    n = batch_at(&r, i);
    ISC_GO(run_batch(&r, i, n));
  }
done:
  isc_step_reset(s);
  isc_sequences_free(&r.texts);
  free(r.all);
  free(r.one);
  return st;
}
