/* SPDX-License-Identifier: Apache-2.0
 *
 * Activations of some texts patched into the passes of others, for causal claims about sites.
 *
 * All sites of all sources come from one harvest; each site then costs one pass over the targets.
 */
#include "base/base.h"
#include "model/sequences.h"
#include "model/sites_internal.h"
#include <stdlib.h>
#include <string.h>

typedef struct pairing {
  const isc_patch_pairs *p;
  float **value; /* [sites] of [n, stored]: the sources' activations */
  isc_sequences into;
} pairing;

static isc_status harvest_sources(pairing *k, isc_step *s) {
  const isc_patch_pairs *p = k->p;
  ISC_TRY(isc_calloc((size_t)p->sites->n, sizeof *k->value, "patches", (void **)&k->value));
  for (int64_t i = 0; i < p->sites->n; i++) {
    size_t floats;
    ISC_TRY(isc_mul_size((size_t)p->n, (size_t)p->sites->site[i].stored, "patches", &floats));
    ISC_TRY(isc_calloc(floats, sizeof(float), "patches", (void **)&k->value[i]));
  }
  const isc_harvest h = {.target = p->target,
                         .sites = p->sites,
                         .text = p->source,
                         .len = p->source_len,
                         .n = p->n,
                         .position = p->source_position,
                         .batch = p->batch,
                         .out = k->value};
  return isc_harvest_run(&h, s);
}

/* Where each sequence of a batch is patched; it must have the position. */
static isc_status positions(const pairing *k, int64_t from, int64_t n, isc_step *s, int64_t **out) {
  void *memory;
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * sizeof(int64_t), &memory));
  *out = memory;
  for (int64_t b = 0; b < n; b++) {
    const isc_sequence *q = &k->into.seq[from + b];
    const int64_t at = k->p->into_position;
    (*out)[b] = at < 0 ? q->len + at : at;
    if ((*out)[b] < 0 || (*out)[b] >= q->len)
      return isc_fail(ISC_E_SHAPE, "target text %lld has %lld tokens and no position %lld",
                      (long long)q->text, (long long)q->len, (long long)at);
  }
  return ISC_OK;
}

/* The batch's rows of a site's activations, in the batch's order. */
static isc_status values(const pairing *k, int64_t site, int64_t from, int64_t n, isc_step *s,
                         float **out) {
  const size_t stored = (size_t)k->p->sites->site[site].stored;
  void *memory;
  ISC_TRY(isc_step_host_alloc(s, (size_t)n * stored * sizeof(float), &memory));
  *out = memory;
  for (int64_t b = 0; b < n; b++)
    memcpy(*out + (size_t)b * stored, k->value[site] + (size_t)k->into.seq[from + b].text * stored,
           stored * sizeof(float));
  return ISC_OK;
}

static isc_status tell(const pairing *k, int64_t site, int64_t from, int64_t n, isc_step *s,
                       isc_tensor *hidden, const int64_t *rows) {
  const isc_patch_pairs *p = k->p;
  isc_tensor *last, *logits;
  void *memory;
  ISC_TRY(isc_op_gather(s, hidden, rows, n, &last));
  ISC_TRY(p->target->ops->logits(p->target->self, s, last, &logits));
  const int64_t vocab = logits->shape[1];
  ISC_TRY(isc_step_host_alloc(s, (size_t)(n * vocab) * sizeof(float), &memory));
  ISC_TRY(isc_tensor_download(s, logits, memory));
  for (int64_t b = 0; b < n; b++)
    ISC_TRY(p->each(p->user, site, k->into.seq[from + b].text, (float *)memory + b * vocab, vocab));
  return ISC_OK;
}

/* One pass over a batch of targets; site −1 patches nothing. */
static isc_status run(const pairing *k, int64_t site, int64_t from, int64_t n, isc_step *s) {
  const isc_patch_pairs *p = k->p;
  isc_patch patch = {.site = site};
  int32_t *ids;
  int64_t *rows, *pos = NULL, len;
  float *value = NULL;
  isc_tensor *hidden;
  if (isc_cancelled()) return isc_fail(ISC_E_INTERRUPTED, "patching was stopped on request");
  isc_step_reset(s);
  ISC_TRY(isc_sequences_batch(&k->into, from, n, s, &ids, &rows, &len));
  if (site >= 0) {
    ISC_TRY(positions(k, from, n, s, &pos));
    ISC_TRY(values(k, site, from, n, s, &value));
  }
  patch.pos = pos;
  patch.value = value;
  const isc_decoder_input in = {.size = sizeof in, .batch = n, .len = len, .ids = ids};
  ISC_TRY(isc_forward_patched(p->target, p->sites, s, &in, &patch, site >= 0, NULL, &hidden));
  return tell(k, site, from, n, s, hidden, rows);
}

static isc_status run_all(const pairing *k, isc_step *s) {
  for (int64_t from = 0; from < k->into.n; from += k->p->batch) {
    const int64_t left = k->into.n - from, n = left < k->p->batch ? left : k->p->batch;
    for (int64_t site = -1; site < k->p->sites->n; site++)
      ISC_TRY(run(k, site, from, n, s));
  }
  return ISC_OK;
}

isc_status isc_patch_pairs_run(const isc_patch_pairs *p, isc_step *s) {
  const isc_sequence_source into = {.target = p->target,
                                    .text = p->into,
                                    .len = p->into_len,
                                    .n = p->n,
                                    .position = -1,
                                    .begin = false};
  pairing k = {.p = p};
  isc_status st = ISC_OK;
  if (p->batch < 1)
    return isc_fail(ISC_E_USAGE, "patching with batches of %lld", (long long)p->batch);
  ISC_GO(harvest_sources(&k, s));
  ISC_GO(isc_sequences_make(&into, &k.into));
  ISC_GO(run_all(&k, s));
done:
  isc_step_reset(s);
  for (int64_t i = 0; k.value && i < p->sites->n; i++)
    free(k.value[i]);
  free(k.value);
  isc_sequences_free(&k.into);
  return st;
}
