/* SPDX-License-Identifier: Apache-2.0
 *
 * What is found without being asked: equalities of slots, hypotheses that say nothing new, and words that come back.
 */
#include "base/base.h"
#include "eval/enrichment.h"
#include "eval/hypothesis.h"
#include "support.h"
#include <inversescope/rng.h>
#include <math.h>

Test(insight, equality_needs_both_labels) {
  const int32_t a[] = {3, 3, -1, 4, -1}, b[] = {3, 2, 3, -1, -1}, want[] = {1, 0, -1, -1, -1};
  int32_t got[5];
  isc_hypothesis_equal(5, a, b, got);
  for (int i = 0; i < 5; i++)
    cr_assert_eq(got[i], want[i], "%d", i);
}

Test(insight, constant_labels_are_seen_past_missing_ones) {
  const int32_t one[] = {-1, 7, -1, 7}, two[] = {-1, 7, -1, 8}, none[] = {-1, -1};
  cr_assert(isc_hypothesis_constant(4, one));
  cr_assert_not(isc_hypothesis_constant(4, two));
  cr_assert(isc_hypothesis_constant(2, none));
}

static bool alike(const int32_t *a, const int32_t *b) {
  bool out;
  isc_assert_ok(isc_hypothesis_alike(5, a, b, 10, &out));
  return out;
}

Test(insight, labels_are_alike_up_to_their_names) {
  const int32_t a[] = {0, 1, 1, 2, -1}, renamed[] = {9, 0, 0, 1, -1}, coarser[] = {4, 1, 1, 1, -1},
                finer[] = {0, 1, 3, 2, -1}, there[] = {0, 1, 1, 2, 5};
  cr_assert(alike(a, renamed) && alike(renamed, a) && alike(a, a));
  cr_assert_not(alike(a, coarser) || alike(coarser, a));
  cr_assert_not(alike(a, finer) || alike(finer, a));
  cr_assert_not(alike(a, there) || alike(there, a));
}

/* Texts of four words: three of 0 … 19, distinct, and the commonplace 20 in all. */
enum { N = 120, EACH = 6, WORDS = 22, LENGTH = 4, KEPT = 3 };

typedef struct world {
  int64_t background[WORDS], hat_start[N + 1], text_start[N * EACH + 1], start[N + 1],
      sample[N * EACH];
  int32_t hat[N * LENGTH], text[N * EACH * LENGTH];
  bool accepted[N * EACH];
  isc_enrichment e;
} world;

/* A text that begins with `first`, or with any word. */
static void draw(isc_rng *rng, int32_t first, int32_t *out) {
  for (int k = 0; k + 1 < LENGTH; k++)
    do
      out[k] = k == 0 && first >= 0 ? first : (int32_t)isc_rng_below(rng, 20);
    while ((k > 0 && out[k] == out[0]) || (k > 1 && out[k] == out[1]));
  out[LENGTH - 1] = 20;
}

/* Accepted samples keep the word KEPT of an x̂ that begins with it, if `keep`; refused ones keep every first word. */
static void make(world *w, bool keep) {
  *w = (world){0};
  isc_rng rng = isc_rng_at(12, ISC_RNG_USER, keep);
  for (int i = 0; i < 2000; i++) {
    int32_t text[LENGTH];
    draw(&rng, -1, text);
    for (int k = 0; k < LENGTH; k++)
      w->background[text[k]]++;
  }
  for (int c = 0; c < N; c++) {
    int32_t *hat = w->hat + c * LENGTH;
    draw(&rng, c % 4 == 0 ? KEPT : -1, hat);
    w->hat_start[c + 1] = (c + 1) * LENGTH;
    w->start[c + 1] = (c + 1) * EACH;
    for (int j = 0; j < EACH; j++) {
      const int i = c * EACH + j;
      w->accepted[i] = j % 3 != 2 && c % 5 != 4; /* some conditions have no accepted sample */
      draw(&rng, !w->accepted[i] || (keep && hat[0] == KEPT) ? hat[0] : -1, w->text + i * LENGTH);
      w->text_start[i + 1] = (i + 1) * LENGTH;
      w->sample[i] = i;
    }
  }
  w->e = (isc_enrichment){.n_words = WORDS,
                          .n_background = 2000,
                          .background = w->background,
                          .condition = {N, w->hat_start, w->hat},
                          .text = {N * EACH, w->text_start, w->text},
                          .start = w->start,
                          .sample = w->sample,
                          .accepted = w->accepted};
}

Test(insight, the_word_that_comes_back_is_found_and_no_other) {
  static world w;
  isc_enriched top[8];
  int64_t n;
  make(&w, true);
  isc_assert_ok(isc_enrichment_top(&w.e, 3, 8, top, &n));
  cr_assert(n == 1 && top[0].word == KEPT, "%d words, first %d", (int)n, n ? top[0].word : -1);
  cr_assert_float_eq(top[0].base, (double)w.background[KEPT] / 2000, 1e-15);
  /* All of the x̂ that begin with it keep it; the few that have it elsewhere do not. */
  cr_assert(top[0].share > 0.6 && top[0].share < 1);
  make(&w, false);
  isc_assert_ok(isc_enrichment_top(&w.e, 3, 8, top, &n));
  cr_assert_eq(n, 0, "word %d of refused samples only: z = %g", top[0].word, top[0].z);
}

/* z by hand: 2 of 3 observations against 30 of 100, at = 30.5/101. */
Test(insight, z_is_the_log_odds_ratio_over_its_deviation) {
  const int64_t background[] = {30, 100, 0}, hat_start[] = {0, 1, 2, 4, 5},
                text_start[] = {0, 1, 1, 3}, start[] = {0, 1, 3, 5, 6},
                sample[] = {0, 0, 1, 2, 0, 1};
  const int32_t hat[] = {0, 0, 0, 1, 2}, text[] = {0, 1, 2};
  const bool accepted[] = {true, true, true, false, true, true};
  const isc_enrichment e = {3,     100,    background, {4, hat_start, hat}, {3, text_start, text},
                            start, sample, accepted};
  isc_enriched top[3];
  int64_t n;
  isc_assert_ok(isc_enrichment_top(&e, -100, 3, top, &n));
  /* Shares of conditions 0, 1 and 2: 1, 1/2 and 1; the words 1 and 2 are in all and in none of the texts. */
  const double at = 30.5 / 101, yes = 2.5 + at, no = 0.5 + 1 - at, y0 = 30 + at, n0 = 70 + 1 - at;
  cr_assert(n == 1 && top[0].word == 0 && top[0].conditions == 3);
  cr_assert_float_eq(top[0].share, 2.5 / 3, 1e-15);
  cr_assert_float_eq(
      top[0].z, (log(yes / no) - log(y0 / n0)) / sqrt(1 / yes + 1 / no + 1 / y0 + 1 / n0), 1e-12);
}

/* 20 inputs with word 0, which always comes back; 20 with word 1, which does in 14. Of 1: z = (2.06 less the prior's log odds) over
 * 0.5, of 0 the deviation alone is 1.1, so that z would put the lesser word first. */
Test(insight, a_word_that_always_comes_back_is_first) {
  enum { EACH_WORD = 20, KEEPS = 14 };
  const int64_t background[] = {200, 200, 600}, text_start[] = {0, 1, 2, 3};
  const int32_t text[] = {0, 1, 2};
  int64_t hat_start[2 * EACH_WORD + 1] = {0}, start[2 * EACH_WORD + 1] = {0}, sample[2 * EACH_WORD];
  int32_t hat[2 * EACH_WORD];
  bool accepted[2 * EACH_WORD];
  for (int c = 0; c < 2 * EACH_WORD; c++) {
    hat_start[c + 1] = start[c + 1] = c + 1;
    hat[c] = c < EACH_WORD ? 0 : 1;
    sample[c] = c < EACH_WORD + KEEPS ? hat[c] : 2;
    accepted[c] = true;
  }
  const isc_enrichment e = {
      3,     1000,   background, {2 * EACH_WORD, hat_start, hat}, {3, text_start, text},
      start, sample, accepted};
  isc_enriched top[1], both[2];
  int64_t n;
  isc_assert_ok(isc_enrichment_top(&e, 3, 2, both, &n));
  cr_assert(n == 2 && both[0].word == 0 && both[1].word == 1);
  cr_assert(both[0].z < both[1].z, "z %g and %g would order them the same way", both[0].z,
            both[1].z);
  isc_assert_ok(isc_enrichment_top(&e, 3, 1, top, &n));
  cr_assert(n == 1 && top[0].word == 0, "the word that always comes back is cut off");
}

Test(insight, every_failed_allocation_is_reported) {
  static world w;
  isc_enriched top[2];
  int64_t n;
  bool same;
  make(&w, true);
  for (int k = 1; k <= 3; k++) {
    isc_alloc_fail_at(k == 3 ? 1 : k);
    const isc_status st = k == 3 ? isc_hypothesis_alike(5, w.hat, w.hat, WORDS, &same)
                                 : isc_enrichment_top(&w.e, 3, 2, top, &n);
    isc_alloc_fail_at(0);
    cr_assert_eq(st, ISC_E_NOMEM);
  }
}
