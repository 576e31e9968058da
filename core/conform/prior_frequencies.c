/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance check of priors: what is drawn has the frequencies that log P says.
 *
 * A training set is the first inputs of its split, so those must look like the prior. Of S equally likely texts drawn
 * without replacement the first N are a simple random sample, whose counts vary by (S − N)/(S − 1) of what Pearson's
 * statistic supposes. A prior with unequal probabilities is looked at only as far as repeats are rare: no further does a
 * split, which has some of the texts, look like the whole prior.
 */
#include "conform/prior_use.h"
#include "eval/goodness.h"
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXACT = 20000, SAMPLE = 8000, LEAST = 50, SLOTS = 16, BINS = 16, TESTS = 2 * (SLOTS + 1) };
static const double ALPHA = 1e-6;

typedef struct item {
  uint64_t hash; /* of the text        */
  int64_t i;     /* in the enumeration */
  double p;      /* of the whole list, 1 */
} item;

typedef struct tally {
  isc_conform *c;
  const isc_prior *prior;
  item *item; /* [n] sorted by hash; the support, or a random part of it */
  int64_t n, support, slots;
  bool exact, uniform;
  double most; /* the largest p */
  /* One column for each slot and, when exact, one for the place in the enumeration. */
  uint64_t *listed; /* [columns, n] values, as hashes                           */
  double p[TESTS];
  isc_fit fit[TESTS];
  int64_t sample[TESTS], column[TESTS], tests;
  isc_split split[TESTS];
} tally;

static int by_hash(const void *a, const void *b) {
  const item *x = a, *y = b;
  return (x->hash > y->hash) - (x->hash < y->hash);
}

static int64_t columns(const tally *s) {
  return s->slots + s->exact;
}

static isc_status slot_value(const tally *s, const isc_text *x, int64_t k, isc_text *value,
                             uint64_t *out) {
  isc_text_clear(value);
  if (s->prior->ops->slot(s->prior->self, x->data, x->len, k, value) != ISC_OK)
    return isc_fail_in("slot %lld of %s", (long long)k, isc_shown_text(x));
  *out = isc_bytes_hash(value->data ? value->data : "", value->len);
  return ISC_OK;
}

/* ---- what is expected */

static isc_status read_item(tally *s, int64_t i, isc_text *x, item *out) {
  const isc_prior_ops *o = s->prior->ops;
  double log_p = 0;
  isc_text_clear(x);
  ISC_TRY(o->enumerate(s->prior->self, i, x));
  ISC_TRY(o->log_prob(s->prior->self, x->data, x->len, &log_p));
  *out = (item){isc_bytes_hash(x->data, x->len), i, exp(log_p)};
  return ISC_OK;
}

static isc_status list_items(tally *s) {
  isc_text x = {0};
  double least = INFINITY, total = 0;
  isc_status st = ISC_OK;
  for (int64_t k = 0; k < s->n; k++) {
    const int64_t i = s->exact ? k
                               : (int64_t)isc_rng_permute(s->c->seed, ISC_RNG_USER + 5,
                                                          (uint64_t)s->support, (uint64_t)k);
    ISC_GO(read_item(s, i, &x, &s->item[k]));
    total += s->item[k].p;
    s->most = fmax(s->most, s->item[k].p);
    least = fmin(least, s->item[k].p);
  }
  s->uniform = s->most - least <= 1e-9 * s->most;
  for (int64_t k = 0; k < s->n && total > 0; k++)
    s->item[k].p /= total; /* whether they sum to 1 is prior.sum's to say */
  s->most /= total;
  if (s->exact) qsort(s->item, (size_t)s->n, sizeof *s->item, by_hash);
done:
  isc_text_free(&x);
  return st;
}

static isc_status list_values(tally *s) {
  isc_text x = {0}, value = {0};
  isc_status st = ISC_OK;
  for (int64_t k = 0; k < s->n; k++) {
    const item *t = &s->item[k];
    if (s->slots > 0) ISC_GO(s->prior->ops->enumerate(s->prior->self, t->i, &x));
    for (int64_t j = 0; j < s->slots; j++)
      ISC_GO(slot_value(s, &x, j, &value, &s->listed[j * s->n + k]));
    if (s->exact) s->listed[s->slots * s->n + k] = (uint64_t)(t->i * BINS / s->n);
  }
done:
  isc_text_free(&x);
  isc_text_free(&value);
  return st;
}

/* ---- what comes */

static const item *find_item(const tally *s, const isc_text *x) {
  const item key = {.hash = isc_bytes_hash(x->data, x->len)};
  return bsearch(&key, s->item, (size_t)s->n, sizeof key, by_hash);
}

/* The split whole: each text is one of the enumerated. That none comes twice is prior.split's. */
static isc_status is_enumerated(tally *s, isc_split split) {
  const isc_prior *p = s->prior;
  const int64_t n = p->ops->count(p->self, split);
  isc_text x = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < n && i < EXACT; i++) {
    ISC_GO(isc_conform_draw(p, split, i, &x));
    if (!find_item(s, &x))
      ISC_GO(isc_fail(ISC_E_INTERNAL, "draw(%s, %lld) is %s, which enumerate never gives",
                      isc_split_name(split), (long long)i, isc_shown_text(&x)));
  }
done:
  isc_text_free(&x);
  return st;
}

static isc_status draw_values(const tally *s, isc_split split, int64_t n, uint64_t *drawn) {
  isc_text x = {0}, value = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < n; i++) {
    ISC_GO(isc_conform_draw(s->prior, split, i, &x));
    for (int64_t j = 0; j < s->slots; j++)
      ISC_GO(slot_value(s, &x, j, &value, &drawn[j * n + i]));
    if (s->exact) {
      const item *t = find_item(s, &x);
      drawn[s->slots * n + i] = t ? (uint64_t)(t->i * BINS / s->n) : BINS;
    }
  }
done:
  isc_text_free(&x);
  isc_text_free(&value);
  return st;
}

/* ---- the comparison */

typedef struct vote { /* of one text for one value */
  uint64_t value;
  double p;
  bool drawn;
} vote;

static int by_vote(const void *a, const void *b) {
  const vote *x = a, *y = b;
  return (x->value > y->value) - (x->value < y->value);
}

typedef struct cells {
  vote *vote;
  int64_t *drawn, *listed;
  double *expected;
  int64_t n;
} cells;

static isc_status make_cells(int64_t votes, cells *out) {
  *out = (cells){0};
  ISC_TRY(isc_calloc((size_t)votes, sizeof *out->vote, "votes", (void **)&out->vote));
  ISC_TRY(isc_calloc((size_t)votes, sizeof *out->drawn, "counts", (void **)&out->drawn));
  ISC_TRY(isc_calloc((size_t)votes, sizeof *out->listed, "counts", (void **)&out->listed));
  return isc_calloc((size_t)votes, sizeof *out->expected, "counts", (void **)&out->expected);
}

static void free_cells(cells *c) {
  free(c->vote);
  free(c->drawn);
  free(c->listed);
  free(c->expected);
}

/* Sorted votes into one cell a value. */
static void count_votes(cells *c, int64_t votes, int64_t n) {
  qsort(c->vote, (size_t)votes, sizeof *c->vote, by_vote);
  c->n = 0;
  for (int64_t i = 0; i < votes; i++) {
    c->n += i == 0 || c->vote[i].value != c->vote[i - 1].value;
    c->drawn[c->n - 1] += c->vote[i].drawn;
    c->listed[c->n - 1] += !c->vote[i].drawn;
    c->expected[c->n - 1] += (double)n * c->vote[i].p;
  }
}

static isc_status compare(tally *s, isc_split split, int64_t column, const uint64_t *drawn,
                          int64_t n) {
  cells c;
  isc_status st;
  ISC_GO(make_cells(s->n + n, &c));
  for (int64_t i = 0; i < s->n; i++)
    c.vote[i] = (vote){s->listed[column * s->n + i], s->item[i].p, false};
  for (int64_t i = 0; i < n; i++)
    c.vote[s->n + i] = (vote){drawn[column * n + i], 0, true};
  count_votes(&c, s->n + n, n);
  isc_fit f = s->exact ? isc_fit_expected(c.n, c.drawn, c.expected)
                       : isc_fit_samples(c.n, c.drawn, c.listed);
  if (s->exact && s->uniform && s->prior->ops->draws == ISC_DRAWS_DISTINCT)
    f.x *= (double)(s->support - 1) / (double)(s->support - n);
  const int64_t t = s->tests++;
  s->fit[t] = f;
  s->p[t] = isc_fit_p(f);
  s->split[t] = split;
  s->column[t] = column;
  s->sample[t] = n;
done:
  free_cells(&c);
  return st;
}

/* So many draws that they still are a sample: half of equally likely texts, few repeats of others. */
static int64_t sample_size(const tally *s, isc_split split) {
  const int64_t count = s->prior->ops->count(s->prior->self, split);
  double n = SAMPLE;
  n = fmin(n, s->uniform ? (double)s->support / 2 : 0.05 / s->most);
  n = fmin(n, (double)count);
  return n < LEAST ? 0 : (int64_t)n;
}

static isc_status compare_split(tally *s, isc_split split) {
  const int64_t n = sample_size(s, split);
  void *memory;
  isc_status st = ISC_OK;
  if (n == 0 || columns(s) == 0) return ISC_OK;
  ISC_TRY(isc_calloc((size_t)(n * columns(s)), sizeof(uint64_t), "the values of slots", &memory));
  ISC_GO(draw_values(s, split, n, memory));
  for (int64_t k = 0; k < columns(s); k++)
    ISC_GO(compare(s, split, k, memory, n));
done:
  free(memory);
  return st;
}

static isc_status judge(const tally *s) {
  bool rejected[TESTS];
  if (isc_holm(s->tests, s->p, ALPHA, rejected) < 0) return isc_error_code();
  for (int64_t t = 0; t < s->tests; t++) {
    const char *name =
        s->column[t] < s->slots ? s->prior->ops->slot_name(s->prior->self, s->column[t]) : NULL;
    if (rejected[t])
      return isc_fail(ISC_E_INTERNAL,
                      "%s%s of the first %lld %s texts does not have the frequencies of log P: "
                      "chi-square %.1f with %lld degrees of freedom, p = %.1e (Holm over %lld)",
                      name ? "slot " : "the place in the enumeration", name ? name : "",
                      (long long)s->sample[t], isc_split_name(s->split[t]), s->fit[t].x,
                      (long long)s->fit[t].freedom, s->p[t], (long long)s->tests);
  }
  return ISC_OK;
}

static isc_status look(tally *s) {
  const int64_t size = s->n * columns(s);
  ISC_TRY(isc_calloc((size_t)s->n, sizeof *s->item, "the support", (void **)&s->item));
  ISC_TRY(isc_calloc((size_t)size, sizeof *s->listed, "the values of slots", (void **)&s->listed));
  ISC_TRY(list_items(s));
  if (!s->exact && !s->uniform)
    return isc_conform_skip(s->c, "%lld texts of unequal probability are too many to enumerate",
                            (long long)s->support);
  if (s->exact)
    for (int k = 0; k < 2; k++)
      ISC_TRY(is_enumerated(s, k ? ISC_TEST : ISC_TRAIN));
  ISC_TRY(list_values(s));
  for (int k = 0; k < 2; k++)
    ISC_TRY(compare_split(s, k ? ISC_TEST : ISC_TRAIN));
  return judge(s);
}

static isc_status frequencies(isc_conform *c) {
  isc_prior p = {0};
  tally s = {.c = c, .prior = &p};
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_prior_open(c, c->conf, c->seed, &p));
  if (!p.ops->support || !p.ops->enumerate || !p.ops->log_prob || p.ops->support(p.self) < 1) {
    st = isc_conform_skip(c, "it cannot be enumerated with log P, so nothing says what to expect");
    goto done;
  }
  s.support = p.ops->support(p.self);
  s.exact = s.support <= EXACT;
  s.n = s.exact ? s.support : SAMPLE;
  s.slots = p.ops->slot && p.ops->slot_name && p.ops->n_slots ? p.ops->n_slots(p.self) : 0;
  s.slots = s.slots < SLOTS ? s.slots : SLOTS;
  st = look(&s);
done:
  free(s.item);
  free(s.listed);
  isc_conform_prior_close(&p);
  return st;
}

const isc_check isc_checks_prior_frequencies[] = {
    {"prior.frequencies", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 40,
     "The values of slots, and the places in the enumeration, come as often in the first draws of "
     "each split as log P says; of a small support, every draw is one of the enumerated texts.",
     "Shuffle the whole support (isc_split_index does) before it is split: the first N inputs are "
     "a training set.",
     frequencies},
    {0}};
