/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of what a method reads: more than chance where the site tells something, no more than chance where
 * it is noise, and from the training inputs alone.
 *
 * The null hypothesis is that answers do not depend on the held-out input's value. A slot's values are equally frequent,
 * so the number of right answers is then binomial with p = 1/values; drawing held-out inputs without replacement makes
 * large deviations rarer still.
 */
#include "conform/method_use.h"
#include "eval/goodness.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { N = ISC_TASK_HELD_OUT, BATCH = 64 };
static const double ALPHA = 1e-6;

/* P(at least `right` of N) by chance. */
static double by_chance(int64_t right, int64_t values) {
  const double p = 1 / (double)values;
  double sum = 0;
  for (int64_t k = right; k <= N; k++)
    sum += exp(lgamma(N + 1.0) - lgamma((double)k + 1) - lgamma((double)(N - k) + 1) +
               (double)k * log(p) + (double)(N - k) * log1p(-p));
  return sum < 1 ? sum : 1;
}

static int64_t needed(int64_t values) {
  int64_t right = 0;
  while (by_chance(right, values) >= ALPHA)
    right++;
  return right;
}

/* ---- inversion */

/* One sample for each held-out input at each site; row = input·sites + site, as a run mixes them. */
static isc_status invert_all(isc_reader *r, isc_request *q) {
  ISC_TRY(isc_request_new(N * ISC_TASK_SITES, 1, q));
  for (int64_t row = 0; row < q->q.n; row++)
    isc_request_row(q, r->task, row, row % ISC_TASK_SITES, ISC_TEST, row / ISC_TASK_SITES,
                    (uint64_t)row);
  isc_status st = isc_request_run(r, q, BATCH);
  if (st != ISC_OK) isc_request_free(q);
  return st;
}

/* Samples at a site that have the input's value of a slot. */
static int64_t right_samples(const isc_reader *r, const isc_request *q, int64_t site, int slot) {
  int64_t n = 0, truth[ISC_TASK_SLOTS], got[ISC_TASK_SLOTS];
  for (int64_t i = 0; i < N; i++) {
    const isc_text *text = &q->drawn[i * ISC_TASK_SITES + site].text;
    isc_task_values(r->task, ISC_TEST, i, truth);
    n += isc_task_parse(r->task, isc_label_shown(text), text->len, got) && got[slot] == truth[slot];
  }
  return n;
}

/* ---- labels */

/* The slot whose values the labels are; −1 when none of them is a value. */
static int slot_of(const isc_text *label, int64_t n) {
  int slot;
  int64_t value;
  for (int64_t i = 0; i < n; i++)
    if (isc_task_label(isc_label_shown(&label[i]), &slot, &value)) return slot;
  return -1;
}

static bool same(const isc_text *a, const isc_text *b) {
  return strcmp(isc_label_shown(a), isc_label_shown(b)) == 0;
}

/* What a label of the method's own means: the value of the slot that most training inputs with it have; −1 = none. */
static int64_t meaning(const isc_reader *r, const isc_text *label, const isc_text *train,
                       int slot) {
  int64_t count[16] = {0}, truth[ISC_TASK_SLOTS], best = -1;
  for (int64_t i = 0; i < r->task->env.n_train; i++) {
    if (!same(label, &train[i])) continue;
    isc_task_values(r->task, ISC_TRAIN, i, truth);
    count[truth[slot]]++;
  }
  for (int64_t v = 0; v < isc_task_choices(slot); v++)
    if (count[v] > 0 && (best < 0 || count[v] > count[best])) best = v;
  return best;
}

/* Labels of the held-out inputs that are right about `slot`. Labels that are no slot's values are read by what they mean
 * for training inputs (train [n_train]; NULL otherwise). */
static int64_t right_labels(const isc_reader *r, const isc_text *label, const isc_text *train,
                            int slot) {
  int64_t n = 0, truth[ISC_TASK_SLOTS], value = -1;
  int of;
  for (int64_t i = 0; i < N; i++) {
    isc_task_values(r->task, ISC_TEST, i, truth);
    if (train)
      value = meaning(r, &label[i], train, slot);
    else if (!isc_task_label(isc_label_shown(&label[i]), &of, &value) || of != slot)
      value = -1;
    n += value == truth[slot];
  }
  return n;
}

/* *slot: in, the slot that labels of the method's own are read as; out, the one they were. */
static isc_status label_score(isc_reader *r, int64_t site, int *slot, int64_t *right) {
  isc_text *label = NULL, *train = NULL;
  const int64_t n_train = r->task->env.n_train;
  isc_status st = ISC_OK;
  ISC_GO(isc_reader_labels(r, site, ISC_TEST, 0, N, &label));
  const int of = slot_of(label, N);
  if (of >= 0) *slot = of;
  if (of < 0) ISC_GO(isc_reader_labels(r, site, ISC_TRAIN, 0, n_train, &train));
  *right = right_labels(r, label, train, *slot);
done:
  isc_labels_free(label, N);
  isc_labels_free(train, n_train);
  return st;
}

/* ---- chance */

static isc_status enough(const isc_reader *r, const char *what, int64_t site, int slot,
                         int64_t right) {
  const int64_t values = isc_task_choices(slot);
  if (right >= needed(values)) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "at the site %s, which tells the slot %c, %" PRId64 " of %d %s have the held-out "
                  "input's value; chance is 1 in %" PRId64 ", and %" PRId64
                  " or more would show that it is read",
                  r->task->site[site].name, 'A' + slot, right, (int)N, what, values,
                  needed(values));
}

static isc_status chance_of_samples(isc_reader *r) {
  isc_request q;
  isc_status st = ISC_OK;
  ISC_TRY(invert_all(r, &q));
  for (int slot = ISC_TASK_A; slot <= ISC_TASK_B; slot++)
    ISC_GO(enough(r, "samples", slot, slot, right_samples(r, &q, slot, slot)));
done:
  isc_request_free(&q);
  return st;
}

static isc_status chance_of_labels(isc_reader *r) {
  int slot = ISC_TASK_A;
  int64_t right;
  ISC_TRY(label_score(r, ISC_TASK_SITE_A, &slot, &right));
  if (slot == ISC_TASK_B) ISC_TRY(label_score(r, ISC_TASK_SITE_B, &slot, &right));
  if (slot == ISC_TASK_C)
    return isc_conform_skip(r->c, "its labels are the slot C, which no site tells: give it the "
                                  "slot A or B in a case file");
  return enough(r, "labels", slot, slot, right);
}

isc_status isc_check_method_chance(isc_conform *c) {
  isc_reader r;
  ISC_TRY(isc_reader_fitted(c, 0, "study", &r));
  isc_status st = r.ops->invert ? chance_of_samples(&r) : ISC_OK;
  if (st == ISC_OK && r.ops->classify) st = chance_of_labels(&r);
  isc_reader_close(&r);
  return st;
}

/* ---- noise */

typedef struct noise_test {
  const char *what;
  int slot;
  int64_t right;
} noise_test;

static isc_status verdict(const noise_test *t, int64_t n) {
  double p[2 * ISC_TASK_SLOTS];
  bool rejected[2 * ISC_TASK_SLOTS];
  for (int64_t i = 0; i < n; i++)
    p[i] = by_chance(t[i].right, isc_task_choices(t[i].slot));
  const int64_t found = isc_holm(n, p, ALPHA, rejected);
  if (found < 0) return ISC_E_NOMEM;
  for (int64_t i = 0; found > 0 && i < n; i++)
    if (rejected[i])
      return isc_fail(ISC_E_INTERNAL,
                      "at a site that is noise, %" PRId64 " of %d %s have the held-out input's "
                      "value of the slot %c; chance is 1 in %" PRId64 " (p = %.1g)",
                      t[i].right, (int)N, t[i].what, 'A' + t[i].slot, isc_task_choices(t[i].slot),
                      p[i]);
  return ISC_OK;
}

static isc_status noise_of_samples(isc_reader *r, noise_test *t, int64_t *n) {
  isc_request q;
  ISC_TRY(invert_all(r, &q));
  for (int slot = 0; slot < ISC_TASK_SLOTS; slot++)
    t[(*n)++] = (noise_test){"samples", slot, right_samples(r, &q, ISC_TASK_SITE_NOISE, slot)};
  isc_request_free(&q);
  return ISC_OK;
}

/* The sites in order, the noise last: what a method keeps from one call to the next must not matter. */
static isc_status noise_of_labels(isc_reader *r, noise_test *t, int64_t *n) {
  noise_test test = {.what = "labels", .slot = ISC_TASK_A};
  for (int64_t site = 0; site < ISC_TASK_SITES; site++)
    ISC_TRY(label_score(r, site, &test.slot, &test.right));
  t[(*n)++] = test;
  return ISC_OK;
}

isc_status isc_check_method_noise_site(isc_conform *c) {
  isc_reader r;
  noise_test t[2 * ISC_TASK_SLOTS];
  int64_t n = 0;
  isc_status st = ISC_OK;
  ISC_TRY(isc_reader_fitted(c, 0, "study", &r));
  if (r.ops->invert) ISC_GO(noise_of_samples(&r, t, &n));
  if (r.ops->classify) ISC_GO(noise_of_labels(&r, t, &n));
  ISC_GO(verdict(t, n));
done:
  isc_reader_close(&r);
  return st;
}

/* ---- held-out inputs */

isc_status isc_check_method_held_out(isc_conform *c) {
  isc_reader r;
  isc_sb out = {0};
  ISC_TRY(isc_reader_fitted(c, ISC_READER_FEW, "study", &r));
  isc_status st = isc_reader_outputs(&r, &out);
  const isc_task_counts *n = &r.task->counts;
  if (st == ISC_OK && n->held_out > 0)
    st = isc_fail(ISC_E_INTERNAL, "%s (%" PRId64 " such call%s)", n->offence, n->held_out,
                  n->held_out > 1 ? "s" : "");
  isc_sb_free(&out);
  isc_reader_close(&r);
  return st;
}
