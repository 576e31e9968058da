/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking a trained method: samples, labels, and all it gives as bytes to compare.
 *
 * Inputs and outputs lie in guarded memory, so that the checks of buffers see the method's writes.
 */
#include "conform/method_use.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- inversion */

static isc_status on_sample(void *user, int64_t row, int64_t j, const char *text, size_t len,
                            double log_q) {
  isc_request *q = user;
  if (q->fail_after >= 0 && q->delivered >= q->fail_after)
    return isc_fail(ISC_E_IO, "the sample could not be taken");
  q->delivered++;
  if (row < 0 || row >= q->q.n || j < 0 || j >= q->q.samples) {
    q->strays++;
    return ISC_OK;
  }
  isc_drawn *d = &q->drawn[row * q->q.samples + j];
  d->times++;
  d->log_q = log_q;
  return isc_text_set(&d->text, text, len);
}

isc_status isc_request_new(int64_t n, int64_t samples, isc_request *q) {
  const size_t rows = (size_t)n;
  const char *what = "an inversion";
  isc_status st = ISC_OK;
  *q = (isc_request){
      .fail_after = -1,
      .q = {
          .size = sizeof q->q, .n = n, .samples = samples, .temperature = 1, .sample = on_sample}};
  ISC_GO(isc_calloc(rows, sizeof *q->site, what, (void **)&q->site));
  ISC_GO(isc_calloc(rows, sizeof *q->index, what, (void **)&q->index));
  ISC_GO(isc_calloc(rows, sizeof *q->z, what, (void **)&q->z));
  ISC_GO(isc_calloc(rows * ISC_TASK_WIDEST, sizeof *q->values, what, (void **)&q->values));
  ISC_GO(isc_calloc(rows * (size_t)samples, sizeof *q->drawn, what, (void **)&q->drawn));
done:
  if (st != ISC_OK) isc_request_free(q);
  return st;
}

void isc_request_free(isc_request *q) {
  for (int64_t i = 0; q->drawn && i < q->q.n * q->q.samples; i++)
    isc_text_free(&q->drawn[i].text);
  free(q->site);
  free(q->index);
  free(q->z);
  free(q->values);
  free(q->drawn);
  *q = (isc_request){0};
}

void isc_request_row(isc_request *q, const isc_task *t, int64_t row, int64_t site, isc_split split,
                     int64_t i, uint64_t index) {
  q->site[row] = site;
  q->index[row] = index;
  isc_task_activation(t, site, split, i, q->values + row * ISC_TASK_WIDEST);
}

/* The rows' activations as the method gets them: each in a buffer of its own. */
static isc_status seal_rows(isc_reader *r, isc_request *q) {
  for (int64_t i = 0; i < q->q.n; i++) {
    const size_t bytes = (size_t)r->task->site[q->site[i]].dim * sizeof(float);
    void *z = q->values + i * ISC_TASK_WIDEST;
    if (r->c->guard_inputs || r->c->guard_outputs) {
      ISC_TRY(isc_guard_new(r->c, bytes, &z));
      memcpy(z, q->values + i * ISC_TASK_WIDEST, bytes);
      ISC_TRY(isc_guard_seal(r->c, z));
    }
    q->z[i] = z;
  }
  return ISC_OK;
}

isc_status isc_request_run(isc_reader *r, isc_request *q, int64_t batch) {
  ISC_TRY(seal_rows(r, q));
  for (int64_t i = 0; i < q->q.n * q->q.samples; i++) {
    isc_text_clear(&q->drawn[i].text);
    q->drawn[i].times = 0;
  }
  q->strays = q->delivered = 0;
  q->q.site = q->site;
  q->q.z = q->z;
  q->q.index = q->index;
  q->q.seed = r->task->seed;
  q->q.batch = batch;
  q->q.user = q;
  return r->ops->invert(r->self, &q->q);
}

isc_status isc_requests_agree(const isc_request *a, const isc_request *b, const char *what) {
  for (int64_t i = 0; i < a->q.n * a->q.samples; i++) {
    const isc_drawn *x = &a->drawn[i], *y = &b->drawn[i];
    if (x->log_q == y->log_q && x->text.len == y->text.len &&
        (x->text.len == 0 || memcmp(x->text.data, y->text.data, x->text.len) == 0))
      continue;
    return isc_fail(ISC_E_INTERNAL,
                    "%s: sample %" PRId64 " of row %" PRId64
                    " is \"%.80s\" (log q %.17g) in one and \"%.80s\" (log q %.17g) in the other",
                    what, i % a->q.samples, i / a->q.samples, isc_label_shown(&x->text), x->log_q,
                    isc_label_shown(&y->text), y->log_q);
  }
  return ISC_OK;
}

/* ---- labels */

const char *isc_label_shown(const isc_text *label) {
  return label->data ? label->data : "";
}

void isc_labels_free(isc_text *labels, int64_t n) {
  for (int64_t i = 0; labels && i < n; i++)
    isc_text_free(&labels[i]);
  free(labels);
}

isc_status isc_reader_labels(isc_reader *r, int64_t site, isc_split split, int64_t first, int64_t n,
                             isc_text **out) {
  isc_status st = ISC_OK;
  const int64_t dim = r->task->site[site].dim;
  void *z, *labels;
  *out = NULL;
  ISC_TRY(isc_guard_new(r->c, (size_t)(n * dim) * sizeof(float), &z));
  for (int64_t i = 0; i < n; i++)
    isc_task_activation(r->task, site, split, first + i, (float *)z + i * dim);
  ISC_TRY(isc_guard_seal(r->c, z));
  ISC_TRY(isc_calloc((size_t)n, sizeof **out, "labels", &labels));
  ISC_GO(r->ops->classify(r->self, site, z, n, labels));
  *out = labels;
  labels = NULL;
done:
  isc_labels_free(labels, n);
  return st;
}

/* ---- everything */

enum { INPUTS = 8, SAMPLES = 3, PRIOR_SAMPLES = 8, BATCH = 16 };

static void add_drawn(isc_sb *out, const isc_request *q) {
  for (int64_t i = 0; i < q->q.n * q->q.samples; i++) {
    const isc_drawn *d = &q->drawn[i];
    isc_sb_addf(out, "%" PRId64 " %a ", d->times, d->log_q);
    isc_sb_addn(out, isc_label_shown(&d->text), d->text.len);
    isc_sb_add(out, "\n");
  }
}

static isc_status add_samples(isc_reader *r, isc_sb *out) {
  isc_request q;
  isc_status st = ISC_OK;
  ISC_TRY(isc_request_new(INPUTS * ISC_TASK_SITES, SAMPLES, &q));
  for (int64_t i = 0; i < q.q.n; i++)
    isc_request_row(&q, r->task, i, i % ISC_TASK_SITES, ISC_TEST, i / ISC_TASK_SITES,
                    (uint64_t)(i * SAMPLES));
  ISC_GO(isc_request_run(r, &q, BATCH));
  add_drawn(out, &q);
done:
  isc_request_free(&q);
  return st;
}

static isc_status add_prior_samples(isc_reader *r, isc_sb *out) {
  isc_request q;
  isc_status st = ISC_OK;
  ISC_TRY(isc_request_new(PRIOR_SAMPLES, 1, &q));
  ISC_GO(r->ops->sample_prior(r->self, PRIOR_SAMPLES, 1, r->task->seed, BATCH, &q, on_sample));
  add_drawn(out, &q);
done:
  isc_request_free(&q);
  return st;
}

static isc_status add_labels(isc_reader *r, int64_t site, isc_sb *out) {
  isc_text *labels;
  ISC_TRY(isc_reader_labels(r, site, ISC_TEST, 0, INPUTS, &labels));
  for (int64_t i = 0; i < INPUTS; i++) {
    isc_sb_addn(out, isc_label_shown(&labels[i]), labels[i].len);
    isc_sb_add(out, "\n");
  }
  isc_labels_free(labels, INPUTS);
  return ISC_OK;
}

isc_status isc_reader_outputs(isc_reader *r, isc_sb *out) {
  if (r->ops->invert) ISC_TRY(add_samples(r, out));
  for (int64_t s = 0; r->ops->classify && s < ISC_TASK_SITES; s++)
    ISC_TRY(add_labels(r, s, out));
  if (r->ops->sample_prior) ISC_TRY(add_prior_samples(r, out));
  isc_sb_addf(out, "%" PRId64 "\n", r->ops->parameters(r->self));
  return out->failed ? isc_fail(ISC_E_NOMEM, "no memory for what came out") : ISC_OK;
}
