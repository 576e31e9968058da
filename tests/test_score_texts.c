/* SPDX-License-Identifier: Apache-2.0
 *
 * Log-probabilities of texts against a float64 decoder, and what is made of rows of logits against plain sums.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"
#include "support_target.h"
#include "base/base.h"
#include "model/generate.h"
#include "model/logits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 5, VOCAB = 17, CTX = 9 };
static const char *const TEXT[N] = {"w3 w1 w4", "w1 w5 w9 w2 w6", "w5",
                                    "w3 w5 w8 w9 w7 w9 w3 w2 w3", "w8 w4 w6"};

typedef struct scores {
  int64_t n[N];
  double logp[N][CTX], total[N];
} scores;

static isc_status keep(void *user, const isc_scored *g) {
  scores *s = user;
  s->n[g->text] = g->n;
  s->total[g->text] = g->total;
  memcpy(s->logp[g->text], g->logp, (size_t)g->n * sizeof *g->logp);
  return ISC_OK;
}

static scores score(const isc_test_target *t, isc_step *s, int64_t batch) {
  size_t len[N];
  scores out = {0};
  for (int i = 0; i < N; i++)
    len[i] = strlen(TEXT[i]);
  const isc_scoring q = {.target = &t->target,
                         .text = TEXT,
                         .len = len,
                         .n = N,
                         .batch = batch,
                         .user = &out,
                         .deliver = keep};
  isc_assert_ok(isc_score_texts(&q, s));
  return out;
}

/* log softmax of row `row` at id, from the reference's logits. */
static double reference(const isc_test_pass *p, int64_t row, int32_t id) {
  double sum = 0;
  for (int64_t i = 0; i < VOCAB; i++)
    sum += exp(p->logits[row * VOCAB + i]);
  return p->logits[row * VOCAB + id] - log(sum);
}

ISC_TEST_ON_BOTH(score_texts, is_the_sum_over_tokens_of_a_float64_decoder) {
  isc_test_target t = isc_test_target_new(dev);
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  const scores got = score(&t, s, 64);
  for (int i = 0; i < N; i++) {
    int32_t ids[CTX];
    int64_t n;
    double total = 0;
    isc_assert_ok(isc_tokenizer_encode_plain(t.tokenizer, TEXT[i], strlen(TEXT[i]), ids, CTX, &n));
    isc_test_pass p = isc_test_reference(t.decoder, ids, 1, n);
    cr_assert_eq(got.n[i], n);
    cr_assert_eq(got.logp[i][0], 0);
    for (int64_t k = 1; k < n; k++) {
      const double want = reference(&p, k - 1, ids[k]);
      /* logits in f32 through three layers: 1e-6 of their size, which is about 1 */
      cr_assert_float_eq(got.logp[i][k], want, 2e-5, "text %d, token %d", i, (int)k);
      total += want;
    }
    cr_assert_float_eq(got.total[i], total, 1e-4);
    isc_test_pass_free(&p);
  }
  isc_step_free(s);
  isc_test_target_free(&t);
}

ISC_TEST_ON_BOTH(score_texts, does_not_depend_on_the_batch) {
  isc_test_target t = isc_test_target_new(dev);
  isc_step *s;
  isc_assert_ok(isc_step_new(dev, &s));
  const scores a = score(&t, s, 64), b = score(&t, s, 1);
  cr_assert_arr_eq(&a, &b, sizeof a);
  isc_step_free(s);
  isc_test_target_free(&t);
}

/* ---- rows of logits */

Test(logits, log_softmax_is_exact_for_large_logits_and_nan_for_nan) {
  const float l[] = {1000, 1001, -INFINITY, 1000.5f};
  const double sum = exp(-1) + 1 + exp(-0.5);
  cr_assert_float_eq(isc_logits_logp(l, 4, 0), -1 - log(sum), 1e-12);
  cr_assert_float_eq(isc_logits_logp(l, 4, 1), -log(sum), 1e-12);
  cr_assert(isinf(isc_logits_logp(l, 4, 2)));
  const float bad[] = {1, NAN, 2};
  cr_assert(isnan(isc_logits_logp(bad, 3, 0)));
}

/* Weights 8, 4, 4, 2, 1, 1 of 20, at ids out of order; ties go to the lower id. */
static const float L[] = {0.6931472f, 0, 2.0794415f, 1.3862944f, 0, 1.3862944f, -INFINITY};
static const int32_t ORDER[] = {2, 3, 5, 0, 1, 4};
static const double SHARE[] = {0.4, 0.2, 0.2, 0.1, 0.05, 0.05};

static int32_t at(double u, int64_t top_k, double top_p, double *log_q) {
  const isc_draw_law law = {1, top_p, top_k};
  int32_t room[7], id = -1;
  isc_assert_ok(isc_logits_draw(L, 7, &law, u, room, &id, log_q));
  return id;
}

static void intervals(int64_t top_k, double top_p, int allowed) {
  double sum = 0, from = 0, log_q;
  for (int i = 0; i < allowed; i++)
    sum += SHARE[i];
  for (int i = 0; i < allowed; i++) {
    const double to = from + SHARE[i] / sum;
    cr_assert_eq(at(from + 1e-6, top_k, top_p, &log_q), ORDER[i], "k %d p %g: from of %d",
                 (int)top_k, top_p, i);
    cr_assert_float_eq(log_q, log(SHARE[i] / sum), 1e-6); /* the logits are f32 */
    cr_assert_eq(at(to - 1e-6, top_k, top_p, &log_q), ORDER[i], "to of %d", i);
    from = to;
  }
}

Test(logits, draws_take_the_likeliest_first_and_no_more_than_the_law_allows) {
  intervals(7, 1, 6); /* −infinity is never drawn */
  intervals(1, 1, 1);
  intervals(2, 1, 2);
  intervals(4, 1, 4);
  intervals(0, 0.39, 1);
  intervals(0, 0.41, 2);
  intervals(0, 0.79, 3);
  intervals(0, 0.97, 6);
  intervals(3, 0.49, 1); /* of 0.8, 0.4 is half */
  intervals(3, 0.51, 2);
}

Test(logits, temperature_sharpens) {
  const isc_draw_law law = {0.5, 1, 2};
  int32_t room[7], id;
  double log_q;
  isc_assert_ok(isc_logits_draw(L, 7, &law, 0.5, room, &id, &log_q)); /* 64 to 16 */
  cr_assert_eq(id, 2);
  cr_assert_float_eq(log_q, log(0.8), 1e-6);
}

Test(logits, what_is_no_distribution_is_refused) {
  const isc_draw_law law = {1, 0.5, 0};
  const float none[] = {-INFINITY, -INFINITY}, nan[] = {0, NAN}, inf[] = {0, INFINITY};
  int32_t room[2], id;
  double log_q;
  isc_assert_fails(isc_logits_draw(none, 2, &law, 0.5, room, &id, &log_q), ISC_E_NUMERIC, "NaN");
  isc_assert_fails(isc_logits_draw(nan, 2, &law, 0.5, room, &id, &log_q), ISC_E_NUMERIC, "NaN");
  isc_assert_fails(isc_logits_draw(inf, 2, &law, 0.5, room, &id, &log_q), ISC_E_NUMERIC, "NaN");
}
