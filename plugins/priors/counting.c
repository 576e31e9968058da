/* SPDX-License-Identifier: Apache-2.0
 *
 * The prior of counting problems: "ccbcbabc|b:", three letters, each some number of times, and one of them asked for.
 *
 * The letters, the count of each, the arrangement and the letter asked are drawn uniformly one after the other, so texts
 * are not equally likely: few letters have few arrangements. Inputs are therefore drawn with replacement; each text falls
 * on one side of the split by a coin of its own.
 */
#include "counting_texts.h"
#include <inversescope/prior.h>
#include <inversescope/rng.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Up to so many texts the split's shares of P are looked at; of more, no side can be all but empty. */
enum { FEW = 1 << 16 };
/* A side with less of P than that is refused: its draws would be too many to wait for. */
static const double LEAST_SHARE = 1e-4;

typedef struct counting_conf {
  const char *letters;
  int64_t n_letters, min, max;
  double test_fraction;
} counting_conf;

#define AT(field) offsetof(counting_conf, field)
static const isc_option options[] = {
    {"letters", ISC_OPT_STRING, 0, AT(letters), NULL, "\"abcdefghijklmnopqrstuvwxyz\"", 0, 0, NULL,
     "The alphabet: three or more different letters, A to Z and a to z."},
    {"n_letters", ISC_OPT_INT, 0, AT(n_letters), NULL, "0", 0, COUNTING_LETTERS, NULL,
     "How many of them to use, from the first; 0 = all."},
    {"min", ISC_OPT_INT, 0, AT(min), NULL, "1", 1, COUNTING_MOST, NULL,
     "Smallest count of a letter."},
    {"max", ISC_OPT_INT, 0, AT(max), NULL, "9", 1, COUNTING_MOST, NULL,
     "Largest count of a letter."},
    {"test_fraction", ISC_OPT_FLOAT, 0, AT(test_fraction), NULL, "0.1", 0.001, 0.999, NULL,
     "Chance of a text to be held out in the test split."},
    ISC_OPTIONS_END};

typedef struct counting {
  counting_texts texts;
  double test_fraction;
  uint64_t seed;
} counting;

/* ---- the law */

static double log_prob_of(const counting *p, const counting_parts *x) {
  const counting_texts *t = &p->texts;
  return -log(3.0 * (double)t->sets) - log((double)t->cells) -
         log((double)counting_arrangements(x->count));
}

static bool is_test(const counting *p, int64_t number) {
  isc_rng coin = isc_rng_at(p->seed, ISC_RNG_SPLIT, (uint64_t)number);
  return isc_rng_uniform(&coin) < p->test_fraction;
}

/* Numbers are even over triples of counts, and within one over its arrangements. */
static int64_t draw_number(const counting *p, isc_rng *r) {
  const counting_texts *t = &p->texts;
  const int64_t asked = (int64_t)isc_rng_below(r, 3 * (uint64_t)t->sets),
                cell = (int64_t)isc_rng_below(r, (uint64_t)t->cells);
  const int64_t first = t->before[cell], n = t->before[cell + 1] - first;
  return asked * t->words + first + (int64_t)isc_rng_below(r, (uint64_t)n);
}

static isc_status check_shares(const counting *p) {
  double test = 0;
  if (p->texts.support > FEW) return ISC_OK;
  for (int64_t i = 0; i < p->texts.support; i++) {
    if (!is_test(p, i)) continue;
    const counting_parts x = counting_parts_at(&p->texts, i);
    test += exp(log_prob_of(p, &x));
  }
  if (test >= LEAST_SHARE && 1 - test >= LEAST_SHARE) return ISC_OK;
  return isc_fail(ISC_E_CONFIG,
                  "a test_fraction of %g of %" PRId64 " texts leaves %s; change it, or make the "
                  "prior larger",
                  p->test_fraction, p->texts.support,
                  test < LEAST_SHARE ? "nothing to test on" : "nothing to train on");
}

/* ---- opening */

static isc_status take_letters(counting_texts *t, const counting_conf *c) {
  const size_t n = c->n_letters ? (size_t)c->n_letters : strlen(c->letters);
  if (n < 3 || n > strlen(c->letters))
    return isc_fail(ISC_E_CONFIG,
                    "%zu of the letters \"%s\" are to be used; 3 or more are needed, "
                    "and no more than there are",
                    n, c->letters);
  for (size_t k = 0; c->letters[k]; k++) {
    const char l = c->letters[k];
    if (!((l >= 'a' && l <= 'z') || (l >= 'A' && l <= 'Z')) ||
        strchr(c->letters, l) != c->letters + k)
      return isc_fail(ISC_E_CONFIG,
                      "letters = \"%s\": character %zu is no letter from A to Z or a "
                      "to z, or is there twice",
                      c->letters, k + 1);
    if (k < n) t->letter[k][0] = l;
  }
  t->n_letters = (int64_t)n;
  return ISC_OK;
}

static void counting_close(void *self) {
  counting *p = self;
  if (p) counting_texts_free(&p->texts);
  free(p);
}

static isc_status counting_open(const void *conf, uint64_t seed, void **self) {
  const counting_conf *c = conf;
  isc_status st = ISC_OK;
  counting *p = calloc(1, sizeof *p);
  if (!p) return isc_fail(ISC_E_NOMEM, "prior counting: no memory");
  *p = (counting){
      .texts = {.min = c->min, .max = c->max}, .test_fraction = c->test_fraction, .seed = seed};
  if (c->min > c->max)
    ISC_GO(isc_fail(ISC_E_CONFIG, "counts from min = %" PRId64 " to max = %" PRId64 " are none",
                    c->min, c->max));
  ISC_GO(take_letters(&p->texts, c));
  ISC_GO(counting_texts_number(&p->texts));
  ISC_GO(check_shares(p));
  *self = p;
done:
  if (st == ISC_OK) return st;
  counting_close(p);
  return isc_fail_in("prior counting");
}

/* ---- texts */

static int64_t counting_support(void *self) {
  return ((const counting *)self)->texts.support;
}

static int64_t counting_count(void *self, isc_split split) {
  const counting *p = self;
  return isc_split_count(p->texts.support, p->test_fraction, split);
}

static int64_t counting_max_bytes(void *self) {
  return 3 * ((const counting *)self)->texts.max + 3;
}

static isc_status counting_enumerate(void *self, int64_t i, isc_text *out) {
  const counting *p = self;
  if (i < 0 || i >= p->texts.support)
    return isc_fail(ISC_E_USAGE,
                    "prior counting: there are %" PRId64 " texts, and no number %" PRId64,
                    p->texts.support, i);
  return counting_write(&p->texts, counting_parts_at(&p->texts, i), out);
}

static isc_status counting_draw(void *self, isc_split split, int64_t i, isc_text *out) {
  const counting *p = self;
  const int64_t n = counting_count(self, split);
  if (i < 0 || i >= n)
    return isc_fail(ISC_E_USAGE,
                    "prior counting: the %s split has %" PRId64 " inputs, and no number %" PRId64,
                    split == ISC_TEST ? "test" : "training", n, i);
  isc_rng r = isc_rng_at(p->seed, split == ISC_TEST ? ISC_RNG_PRIOR_TEST : ISC_RNG_PRIOR_TRAIN,
                         (uint64_t)i);
  int64_t number = draw_number(p, &r);
  while (is_test(p, number) != (split == ISC_TEST))
    number = draw_number(p, &r);
  return counting_enumerate(self, number, out);
}

static isc_status counting_log_prob(void *self, const char *text, size_t len, double *out) {
  const counting *p = self;
  counting_parts x;
  *out = counting_read(&p->texts, text, len, &x) ? log_prob_of(p, &x) : -INFINITY;
  return ISC_OK;
}

static isc_status counting_answer(void *self, const char *text, size_t len, isc_text *out) {
  const counting *p = self;
  counting_parts x;
  if (!counting_read(&p->texts, text, len, &x)) return isc_text_set(out, "", 0);
  return isc_text_format(out, "%d", x.count[x.asked]);
}

/* ---- slots: the letters in the alphabet's order, their counts, the letter asked and its count */

enum { LETTER = 0, COUNT = 3, ASKED = 6, ASKED_COUNT = 7, N_SLOTS = 8 };

static int64_t counting_n_slots(void *self) {
  (void)self;
  return N_SLOTS;
}

static const char *counting_slot_name(void *self, int64_t k) {
  static const char *const name[N_SLOTS] = {"letter1", "letter2", "letter3", "count1",
                                            "count2",  "count3",  "asked",   "count"};
  (void)self;
  return k >= 0 && k < N_SLOTS ? name[k] : NULL;
}

/* Letter i of three may be any that leaves i before it and 2 − i behind. */
static int64_t counting_slot_choices(void *self, int64_t k) {
  const counting_texts *t = &((const counting *)self)->texts;
  if (!counting_slot_name(self, k)) return 0;
  if (k < COUNT) return t->n_letters - 2;
  return k == ASKED ? t->n_letters : t->max - t->min + 1;
}

static const char *counting_slot_choice(void *self, int64_t k, int64_t j) {
  static const char *const number[COUNTING_MOST] = {"1",  "2",  "3",  "4",  "5",  "6",  "7",
                                                    "8",  "9",  "10", "11", "12", "13", "14",
                                                    "15", "16", "17", "18", "19", "20"};
  const counting_texts *t = &((const counting *)self)->texts;
  if (j < 0 || j >= counting_slot_choices(self, k)) return NULL;
  if (k < COUNT) return t->letter[k - LETTER + j];
  return k == ASKED ? t->letter[j] : number[t->min + j - 1];
}

static isc_status counting_slot(void *self, const char *text, size_t len, int64_t k,
                                isc_text *out) {
  const counting_texts *t = &((const counting *)self)->texts;
  counting_parts x;
  if (!counting_slot_name(self, k))
    return isc_fail(ISC_E_USAGE, "prior counting: there is no slot number %" PRId64, k);
  if (!counting_read(t, text, len, &x)) return isc_text_set(out, "", 0);
  if (k < COUNT) return isc_text_set(out, t->letter[x.letter[k - LETTER]], 1);
  if (k == ASKED) return isc_text_set(out, t->letter[x.letter[x.asked]], 1);
  return isc_text_format(out, "%d", x.count[k == ASKED_COUNT ? x.asked : k - COUNT]);
}

static isc_status counting_fingerprint(void *self, char hex[33]) {
  const counting *p = self;
  const counting_texts *c = &p->texts;
  isc_text t = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_text_format(&t, "%" PRId64 " %" PRId64 " %a %" PRIu64 " ", c->min, c->max,
                         p->test_fraction, p->seed));
  for (int64_t k = 0; k < c->n_letters; k++)
    ISC_GO(isc_text_append(&t, c->letter[k], 1));
  ISC_GO(isc_text_hash(t.data, t.len, hex));
done:
  isc_text_free(&t);
  return st;
}

static const isc_prior_ops ops = {.size = sizeof ops,
                                  .open = counting_open,
                                  .close = counting_close,
                                  .count = counting_count,
                                  .draw = counting_draw,
                                  .answer = counting_answer,
                                  .log_prob = counting_log_prob,
                                  .support = counting_support,
                                  .enumerate = counting_enumerate,
                                  .n_slots = counting_n_slots,
                                  .slot_name = counting_slot_name,
                                  .slot = counting_slot,
                                  .fingerprint = counting_fingerprint,
                                  .slot_choices = counting_slot_choices,
                                  .slot_choice = counting_slot_choice,
                                  .max_bytes = counting_max_bytes,
                                  .draws = ISC_DRAWS_REPEAT};

ISC_PLUGIN_CLASS(ISC_PRIOR, "counting", "1.0.0",
                 .summary = "How often does a letter come: ccbcbabc|b:", .licence = "Apache-2.0",
                 .options = options, .conf_size = sizeof(counting_conf), .ops = &ops);
