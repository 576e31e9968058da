/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance check of log q: the frequencies of samples agree with the probabilities that come with them.
 *
 * Half of the samples of a condition say which texts there are and how probable; the other half is counted against that,
 * all other texts being one more cell. So the cells do not depend on what is counted.
 */
#include "conform/method_use.h"
#include "eval/goodness.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONDITIONS = 3, DRAWS = 2048, BATCH = 256 };
static const double ALPHA = 1e-6;
/* log q sums a few single-precision numbers: probabilities good to a few 1e-6, and so their sums. */
static const double ROUNDING = 1e-4;

typedef struct cells {
  const isc_drawn *text[DRAWS]; /* one sample of each distinct text; [n] */
  int64_t count[DRAWS + 1];     /* the last: all other texts             */
  double expected[DRAWS + 1];
  int64_t n;
} cells;

static int by_text(const void *a, const void *b) {
  const isc_text *x = &(*(const isc_drawn *const *)a)->text,
                 *y = &(*(const isc_drawn *const *)b)->text;
  const size_t len = x->len < y->len ? x->len : y->len;
  const int order = len ? memcmp(x->data, y->data, len) : 0;
  return order ? order : (x->len > y->len) - (x->len < y->len);
}

static isc_status sane(const isc_drawn *d) {
  if (d->log_q <= 0 && isfinite(d->log_q)) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "log q of the sample \"%.80s\" is %g: a finite number up to 0 is expected",
                  isc_label_shown(&d->text), d->log_q);
}

/* The same text under the same condition must have the same log q. */
static isc_status join(cells *c, const isc_drawn *d) {
  const isc_drawn *last = c->n > 0 ? c->text[c->n - 1] : NULL;
  if (!last || by_text(&last, &d) != 0) {
    c->text[c->n++] = d;
    return ISC_OK;
  }
  if (fabs(last->log_q - d->log_q) <= ROUNDING * (1 + fabs(d->log_q))) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "the sample \"%.80s\" has log q %g and, under the same condition, %g",
                  isc_label_shown(&d->text), last->log_q, d->log_q);
}

/* The texts of the first half and what the second should have of each. */
static isc_status expect(cells *c, const isc_drawn *drawn) {
  static const isc_drawn *sorted[DRAWS];
  double sum = 0;
  c->n = 0;
  for (int64_t i = 0; i < DRAWS; i++)
    sorted[i] = &drawn[i];
  qsort(sorted, DRAWS, sizeof *sorted, by_text);
  for (int64_t i = 0; i < DRAWS; i++)
    ISC_TRY(join(c, sorted[i]));
  for (int64_t i = 0; i < c->n; i++) {
    c->expected[i] = DRAWS * exp(c->text[i]->log_q);
    c->count[i] = 0;
    sum += exp(c->text[i]->log_q);
  }
  c->count[c->n] = 0;
  c->expected[c->n] = DRAWS * fmax(1 - sum, ROUNDING);
  if (sum <= 1 + ROUNDING) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "the probabilities exp(log q) of %" PRId64
                  " different samples of one condition add up to %g, more than 1",
                  c->n, sum);
}

static void count(cells *c, const isc_drawn *drawn) {
  for (int64_t i = 0; i < DRAWS; i++) {
    const isc_drawn *d = &drawn[i], *const * hit;
    hit = bsearch(&d, c->text, (size_t)c->n, sizeof *c->text, by_text);
    c->count[hit ? hit - c->text : c->n]++;
  }
}

/* The text that stands out most, for the message. */
static isc_status disagree(const cells *c, int64_t condition, double p) {
  int64_t worst = 0;
  double most = -1;
  for (int64_t i = 0; i <= c->n; i++) {
    const double x = pow((double)c->count[i] - c->expected[i], 2) / fmax(c->expected[i], 5);
    if (x > most) most = x, worst = i;
  }
  const char *text = worst < c->n ? isc_label_shown(&c->text[worst]->text) : "any other text";
  return isc_fail(ISC_E_INTERNAL,
                  "condition %" PRId64 ": frequencies do not agree with log q (chi-square p = "
                  "%.1g); of %d samples %" PRId64 " are \"%.80s\", and %.1f are expected by log q",
                  condition, p, (int)DRAWS, c->count[worst], text, c->expected[worst]);
}

static isc_status test(isc_reader *r) {
  static cells c[CONDITIONS];
  isc_request q;
  double p[CONDITIONS];
  bool rejected[CONDITIONS];
  isc_status st = ISC_OK;
  ISC_TRY(isc_request_new(CONDITIONS, 2 * DRAWS, &q));
  for (int64_t i = 0; i < CONDITIONS; i++)
    isc_request_row(&q, r->task, i, i % ISC_TASK_SITES, ISC_TEST, i, (uint64_t)(i * 2 * DRAWS));
  ISC_GO(isc_request_run(r, &q, BATCH));
  for (int64_t i = 0; i < 2 * DRAWS * CONDITIONS; i++)
    ISC_GO(sane(&q.drawn[i]));
  for (int64_t i = 0; i < CONDITIONS; i++) {
    ISC_GO(expect(&c[i], q.drawn + i * 2 * DRAWS));
    count(&c[i], q.drawn + (i * 2 + 1) * DRAWS);
    p[i] = isc_fit_p(isc_fit_expected(c[i].n + 1, c[i].count, c[i].expected));
  }
  if (isc_holm(CONDITIONS, p, ALPHA, rejected) < 0) ISC_GO(ISC_E_NOMEM);
  for (int64_t i = 0; i < CONDITIONS; i++)
    if (rejected[i]) ISC_GO(disagree(&c[i], i, p[i]));
done:
  isc_request_free(&q);
  return st;
}

isc_status isc_check_method_log_q(isc_conform *c) {
  isc_reader r;
  ISC_TRY(isc_reader_fitted(c, ISC_READER_FEW, "study", &r));
  isc_status st = r.ops->invert ? test(&r) : isc_conform_skip(c, "it does not invert");
  isc_reader_close(&r);
  return st;
}
