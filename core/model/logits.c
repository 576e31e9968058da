/* SPDX-License-Identifier: Apache-2.0
 *
 * Log-probabilities and restricted draws from a row of logits.
 *
 * The likeliest tokens come off a heap one by one, so that a draw from few of many tokens need not sort them all.
 */
#include "model/logits.h"
#include <math.h>

static float greatest(const float *l, int64_t n) {
  float most = -INFINITY;
  for (int64_t i = 0; i < n; i++) {
    if (!(l[i] < INFINITY)) return NAN;
    if (l[i] > most) most = l[i];
  }
  return most;
}

double isc_logits_logp(const float *l, int64_t n, int32_t id) {
  const double most = (double)greatest(l, n);
  double sum = 0;
  for (int64_t i = 0; i < n; i++)
    sum += exp((double)l[i] - most);
  return (double)l[id] - most - log(sum);
}

/* ---- a heap of ids, the likeliest on top */

static bool before(const float *l, int32_t a, int32_t b) {
  return l[a] > l[b] || (l[a] == l[b] && a < b);
}

static void sink(const float *l, int32_t *heap, int64_t n, int64_t at) {
  const int32_t id = heap[at];
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && before(l, heap[child + 1], heap[child])) child++;
    if (!before(l, heap[child], id)) break;
    heap[at] = heap[child];
  }
  heap[at] = id;
}

static void make_heap(const float *l, int32_t *heap, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    heap[i] = (int32_t)i;
  for (int64_t i = n / 2 - 1; i >= 0; i--)
    sink(l, heap, n, i);
}

/* ---- draws */

typedef struct row {
  const float *logit; /* [vocab] */
  int64_t vocab;
  double most, temperature;
} row;

/* exp((l − most)/T); −infinity has no probability, whatever the temperature. */
static double weight(const row *r, int32_t id) {
  return exp(((double)r->logit[id] - r->most) / r->temperature);
}

static double total_weight(const row *r) {
  double sum = 0;
  for (int64_t i = 0; i < r->vocab; i++)
    sum += weight(r, (int32_t)i);
  return sum;
}

/* Take the likeliest off the heap until there are `k` of them or their weights reach `goal`: the first then lies at its end, the
 * others before it. *sum is their weight. */
static int64_t take(const row *r, int32_t *heap, int64_t k, double goal, double *sum) {
  int64_t taken = 0;
  *sum = 0;
  while (taken < k && *sum < goal) {
    const int32_t id = heap[0];
    const int64_t left = r->vocab - 1 - taken++;
    *sum += weight(r, id);
    heap[0] = heap[left];
    heap[left] = id;
    sink(r->logit, heap, left, 0);
  }
  return taken;
}

/* How many of the m taken have `goal` of the weight; *sum is what they have. */
static int64_t nucleus(const row *r, const int32_t *first, int64_t m, double goal, double *sum) {
  int64_t n = 0;
  *sum = 0;
  for (; n < m && *sum < goal; n++)
    *sum += weight(r, first[-n]);
  return n;
}

isc_status isc_logits_draw(const float *l, int64_t vocab, const isc_draw_law *law, double u,
                           int32_t *room, int32_t *id, double *log_q) {
  const row r = {l, vocab, (double)greatest(l, vocab), law->temperature};
  const bool few = law->top_k > 0 && law->top_k < vocab;
  const int32_t *first = room + vocab - 1;
  double sum = 0, reached = 0;
  if (!isfinite(r.most)) return isc_fail(ISC_E_NUMERIC, "the logits hold NaN or infinity");
  make_heap(l, room, vocab);
  /* top_p is of what top_k leaves, so with both the k come first. */
  int64_t m = few ? take(&r, room, law->top_k, INFINITY, &sum)
                  : take(&r, room, vocab, law->top_p * total_weight(&r), &sum);
  if (few && law->top_p < 1) m = nucleus(&r, first, m, law->top_p * sum, &sum);
  for (int64_t i = 0; i < m; i++) {
    const double w = weight(&r, first[-i]);
    if (w == 0) break; /* rounding kept the sum short: the last that is possible stays */
    *id = first[-i];
    *log_q = log(w / sum);
    if ((reached += w) > u * sum) break;
  }
  return ISC_OK;
}
