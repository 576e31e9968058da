/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of inversion: every sample comes once, whatever is in the batch, and log q is what it says.
 */
#include "conform/method_use.h"
#include "eval/goodness.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- every sample once */

enum { ROWS = 7, EACH = 5, SMALL_BATCH = 4 };

static void fill_rows(isc_request *q, const isc_task *t) {
  for (int64_t i = 0; i < q->q.n; i++)
    isc_request_row(q, t, i, i % ISC_TASK_SITES, ISC_TEST, i, (uint64_t)(1000 + i * q->q.samples));
}

static isc_status each_once(const isc_request *q) {
  if (q->strays > 0)
    return isc_fail(ISC_E_INTERNAL, "%" PRId64 " samples came for rows or numbers not asked for",
                    q->strays);
  for (int64_t i = 0; i < q->q.n * q->q.samples; i++)
    if (q->drawn[i].times != 1)
      return isc_fail(ISC_E_INTERNAL,
                      "sample %" PRId64 " of row %" PRId64 " came %" PRId64 " times",
                      i % q->q.samples, i / q->q.samples, q->drawn[i].times);
  return ISC_OK;
}

static isc_status failure_is_passed_on(isc_reader *r, isc_request *q) {
  q->fail_after = 2;
  const isc_status st = isc_request_run(r, q, SMALL_BATCH);
  if (st == ISC_E_IO && q->delivered == 2) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "req->sample failed with ISC_E_IO after 2 samples; the inversion took it %" PRId64
                  " more and ended with %s",
                  q->delivered - 2, isc_status_name(st));
}

isc_status isc_check_method_samples(isc_conform *c) {
  isc_reader r;
  isc_request q = {0}, none = {0};
  isc_status st = ISC_OK;
  ISC_TRY(isc_reader_fitted(c, ISC_READER_FEW, "study", &r));
  if (!r.ops->invert) {
    isc_reader_close(&r);
    return isc_conform_skip(c, "it does not invert");
  }
  ISC_GO(isc_request_new(ROWS, EACH, &q));
  fill_rows(&q, r.task);
  if (isc_request_run(&r, &q, SMALL_BATCH) != ISC_OK) ISC_GO(isc_fail_in("inverting"));
  ISC_GO(each_once(&q));
  ISC_GO(failure_is_passed_on(&r, &q));
  ISC_GO(isc_request_new(0, 0, &none));
  if (isc_request_run(&r, &none, SMALL_BATCH) != ISC_OK) ISC_GO(isc_fail_in("inverting no rows"));
done:
  isc_request_free(&q);
  isc_request_free(&none);
  isc_reader_close(&r);
  return st;
}

/* ---- batches */

/* Rows 0 … n−1 of `all` backwards, asked for in `batch` and compared one by one. */
static isc_status reversed(isc_reader *r, const isc_request *all, int64_t batch) {
  isc_request q;
  isc_status st = ISC_OK;
  const int64_t n = all->q.n, each = all->q.samples;
  ISC_TRY(isc_request_new(n, each, &q));
  for (int64_t i = 0; i < n; i++) {
    q.site[i] = all->site[n - 1 - i];
    q.index[i] = all->index[n - 1 - i];
    memcpy(q.values + i * ISC_TASK_WIDEST, all->values + (n - 1 - i) * ISC_TASK_WIDEST,
           ISC_TASK_WIDEST * sizeof *q.values);
  }
  ISC_GO(isc_request_run(r, &q, batch));
  for (int64_t i = 0; i < n / 2; i++)
    for (int64_t j = 0; j < each; j++) {
      isc_drawn d = q.drawn[i * each + j];
      q.drawn[i * each + j] = q.drawn[(n - 1 - i) * each + j];
      q.drawn[(n - 1 - i) * each + j] = d;
    }
  st = isc_requests_agree(all, &q, "rows in order, and backwards");
done:
  isc_request_free(&q);
  return st;
}

/* The second sample of each row, as the only one that is asked for. */
static isc_status alone(isc_reader *r, const isc_request *all) {
  isc_request q;
  isc_status st = ISC_OK;
  ISC_TRY(isc_request_new(1, 1, &q));
  for (int64_t i = 0; i < all->q.n && st == ISC_OK; i++) {
    const isc_drawn *want = &all->drawn[i * all->q.samples + 1];
    q.site[0] = all->site[i];
    q.index[0] = all->index[i] + 1;
    memcpy(q.values, all->values + i * ISC_TASK_WIDEST, ISC_TASK_WIDEST * sizeof *q.values);
    st = isc_request_run(r, &q, 1);
    const isc_request one = {.q = {.n = 1, .samples = 1}, .drawn = (isc_drawn *)(uintptr_t)want};
    if (st == ISC_OK) st = isc_requests_agree(&one, &q, "with other rows, and alone");
  }
  isc_request_free(&q);
  return st;
}

static isc_status samples_of_batches(isc_reader *r) {
  isc_request all = {0}, other = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_request_new(ROWS, EACH, &all));
  ISC_GO(isc_request_new(ROWS, EACH, &other));
  fill_rows(&all, r->task);
  fill_rows(&other, r->task);
  ISC_GO(isc_request_run(r, &all, 64));
  ISC_GO(isc_request_run(r, &other, 1));
  ISC_GO(isc_requests_agree(&all, &other, "in batches of 64, and of 1"));
  ISC_GO(reversed(r, &all, SMALL_BATCH));
  ISC_GO(alone(r, &all));
  ISC_GO(isc_request_run(r, &other, 64));
  ISC_GO(isc_requests_agree(&all, &other, "asked for twice"));
done:
  isc_request_free(&all);
  isc_request_free(&other);
  return st;
}

static isc_status labels_of_batches(isc_reader *r) {
  enum { N = 24 };
  isc_text *all = NULL, *one = NULL;
  isc_status st = ISC_OK;
  for (int64_t s = 0; s < ISC_TASK_SITES; s++) {
    ISC_GO(isc_reader_labels(r, s, ISC_TEST, 0, N, &all));
    for (int64_t i = N - 1; i >= 0; i--) {
      ISC_GO(isc_reader_labels(r, s, ISC_TEST, i, 1, &one));
      if (strcmp(isc_label_shown(&all[i]), isc_label_shown(&one[0])) != 0)
        ISC_GO(isc_fail(ISC_E_INTERNAL,
                        "activation %" PRId64 " of %d at site %s has the label \"%.80s\", and "
                        "\"%.80s\" alone",
                        i, (int)N, r->task->site[s].name, isc_label_shown(&all[i]),
                        isc_label_shown(&one[0])));
      isc_labels_free(one, 1);
      one = NULL;
    }
    isc_labels_free(all, N);
    all = NULL;
  }
done:
  isc_labels_free(all, N);
  isc_labels_free(one, 1);
  return st;
}

isc_status isc_check_method_batch(isc_conform *c) {
  isc_reader r;
  ISC_TRY(isc_reader_fitted(c, ISC_READER_FEW, "study", &r));
  isc_status st = r.ops->invert ? samples_of_batches(&r) : ISC_OK;
  if (st == ISC_OK && r.ops->classify) st = labels_of_batches(&r);
  isc_reader_close(&r);
  return st;
}
