/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of priors: log P against the texts there are.
 *
 * Weighted estimates multiply by P(x) and take a text without probability for no evidence at all; both go wrong silently
 * when log P belongs to another set of texts than the one that is drawn.
 */
#include "conform/prior_use.h"
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 64, MEMBERS = 100000, ALL = 200000, SOME = 50000, MOST_SECONDS = 5 };

static isc_status ask(const isc_prior *p, const isc_text *x, double *out) {
  *out = NAN;
  if (p->ops->log_prob(p->self, x->data, x->len, out) != ISC_OK)
    return isc_fail_in("log_prob(%s)", isc_shown_text(x));
  if (isnan(*out))
    return isc_fail(ISC_E_INTERNAL, "log_prob(%s) is not a number", isc_shown_text(x));
  /* A support of one text has log P = 0; 1e-12 is rounding of the sum that gave it. */
  if (*out > 1e-12)
    return isc_fail(ISC_E_INTERNAL, "log_prob(%s) is %g: a probability above 1", isc_shown_text(x),
                    *out);
  return ISC_OK;
}

static isc_status possible(const isc_prior *p, const isc_text *x, const char *what) {
  double log_p;
  ISC_TRY(ask(p, x, &log_p));
  if (isfinite(log_p)) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "log_prob(%s) is %g, but it is %s", isc_shown_text(x), log_p,
                  what);
}

static isc_status impossible(const isc_prior *p, const isc_text *x, const char *what) {
  double log_p;
  ISC_TRY(ask(p, x, &log_p));
  if (!isfinite(log_p)) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "log_prob(%s) is %g, but it is %s: -inf is expected",
                  isc_shown_text(x), log_p, what);
}

static isc_status enumerated(const isc_prior *p, int64_t i, isc_text *out) {
  isc_text_clear(out);
  if (p->ops->enumerate(p->self, i, out) != ISC_OK)
    return isc_fail_in("enumerate(%lld)", (long long)i);
  if (out->data) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "enumerate(%lld) returns ISC_OK without a text", (long long)i);
}

static bool enumerable(const isc_prior *p) {
  return p->ops->support && p->ops->enumerate && p->ops->support(p->self) > 0;
}

/* ---- prior.log-prob */

typedef struct members {
  uint64_t
      *hash; /* [n] sorted, of every text; NULL when there are too many or they cannot be listed */
  int64_t n;
} members;

static int by_value(const void *a, const void *b) {
  const uint64_t *x = a, *y = b;
  return (*x > *y) - (*x < *y);
}

static isc_status list_members(const isc_prior *p, members *m) {
  isc_text text = {0};
  void *memory;
  isc_status st = ISC_OK;
  *m = (members){0};
  if (!enumerable(p) || p->ops->support(p->self) > MEMBERS) return ISC_OK;
  m->n = p->ops->support(p->self);
  ISC_TRY(isc_calloc((size_t)m->n, sizeof *m->hash, "the support", &memory));
  m->hash = memory;
  for (int64_t i = 0; i < m->n; i++) {
    ISC_GO(enumerated(p, i, &text));
    m->hash[i] = isc_bytes_hash(text.data, text.len);
  }
  qsort(m->hash, (size_t)m->n, sizeof *m->hash, by_value);
done:
  isc_text_free(&text);
  return st;
}

/* A text near one of the prior's; whether it is one too, the enumeration decides. */
static isc_status try_neighbour(const isc_prior *p, const members *m, const isc_text *x) {
  double log_p;
  if (!m->hash) return ask(p, x, &log_p);
  const uint64_t h = isc_bytes_hash(x->data, x->len);
  return bsearch(&h, m->hash, (size_t)m->n, sizeof h, by_value)
             ? possible(p, x, "among the enumerated texts")
             : impossible(p, x, "not among the enumerated texts");
}

/* Cut, lengthened, and with one byte changed. */
static isc_status try_neighbours(const isc_prior *p, const members *m, const isc_text *sample,
                                 isc_rng *r) {
  isc_text x = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_text_set(&x, sample->data, sample->len - 1));
  ISC_GO(try_neighbour(p, m, &x));
  ISC_GO(isc_text_set(&x, sample->data + 1, sample->len - 1));
  ISC_GO(try_neighbour(p, m, &x));
  ISC_GO(isc_text_set(&x, sample->data, sample->len));
  ISC_GO(isc_text_append(&x, "x", 1));
  ISC_GO(try_neighbour(p, m, &x));
  for (int i = 0; i < 4; i++) {
    ISC_GO(isc_text_set(&x, sample->data, sample->len));
    x.data[isc_rng_below(r, x.len)] = "aZ0 ,?\n"[isc_rng_below(r, 7)];
    ISC_GO(try_neighbour(p, m, &x));
  }
done:
  isc_text_free(&x);
  return st;
}

static isc_status log_prob_of(isc_conform *c, const isc_prior *p) {
  isc_texts samples = {0}, foreign = {0};
  members m = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_samples(p, SAMPLES, c->seed, &samples));
  for (int64_t i = 0; i < samples.n; i++)
    ISC_GO(possible(p, &samples.at[i], "a text it draws"));
  ISC_GO(isc_texts_add_foreign(&foreign, &samples.at[0]));
  for (int64_t i = 0; i < foreign.n; i++)
    ISC_GO(impossible(p, &foreign.at[i], "no text"));
  ISC_GO(list_members(p, &m));
  for (int64_t i = 0; i < samples.n; i++) {
    isc_rng r = isc_rng_at(c->seed, ISC_RNG_USER + 3, (uint64_t)i);
    if (samples.at[i].len > 0) ISC_GO(try_neighbours(p, &m, &samples.at[i], &r));
  }
done:
  free(m.hash);
  isc_texts_free(&samples);
  isc_texts_free(&foreign);
  return st;
}

static isc_status log_prob(isc_conform *c) {
  isc_prior p = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_prior_open(c, c->conf, c->seed, &p));
  st = p.ops->log_prob ? log_prob_of(c, &p) : isc_conform_skip(c, "it does not know log P");
done:
  isc_conform_prior_close(&p);
  return st;
}

/* ---- prior.sum */

typedef struct entry {
  uint64_t hash;
  int64_t i;
} entry;

typedef struct sum {
  entry *list; /* [n] what was looked at                        */
  int64_t n, support;
  double total, squares; /* of support · P; the sum with its carry   */
  double carry, least, most;
  bool late;
} sum;

static int by_hash(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return (x->i > y->i) - (x->i < y->i);
}

static void add_weight(sum *s, double w) {
  const double y = w - s->carry, t = s->total + y;
  s->carry = (t - s->total) - y; /* Kahan */
  s->total = t;
  s->squares += w * w;
  s->least = fmin(s->least, w);
  s->most = fmax(s->most, w);
}

static isc_status add_up(const isc_prior *p, uint64_t seed, int64_t n, sum *s) {
  isc_text x = {0};
  double log_p;
  const double start = isc_now();
  isc_status st = ISC_OK;
  for (int64_t k = 0; k < n && !s->late; k++) {
    const int64_t i = n == s->support ? k
                                      : (int64_t)isc_rng_permute(seed, ISC_RNG_USER + 4,
                                                                 (uint64_t)s->support, (uint64_t)k);
    ISC_GO(enumerated(p, i, &x));
    ISC_GO(ask(p, &x, &log_p));
    if (!isfinite(log_p))
      ISC_GO(isc_fail(ISC_E_INTERNAL, "enumerate(%lld) gives %s, whose log_prob is %g",
                      (long long)i, isc_shown_text(&x), log_p));
    add_weight(s, exp(log_p) * (double)s->support);
    s->list[s->n++] = (entry){isc_bytes_hash(x.data, x.len), i};
    s->late = k % 1000 == 0 && isc_now() - start > MOST_SECONDS;
  }
done:
  isc_text_free(&x);
  return st;
}

static isc_status distinct(const isc_prior *p, const sum *s) {
  isc_text x = {0}, y = {0};
  isc_status st = ISC_OK;
  qsort(s->list, (size_t)s->n, sizeof *s->list, by_hash);
  for (int64_t k = 1; k < s->n; k++) {
    if (s->list[k].hash != s->list[k - 1].hash) continue;
    ISC_GO(enumerated(p, s->list[k - 1].i, &x));
    ISC_GO(enumerated(p, s->list[k].i, &y));
    if (isc_same_text(&x, &y))
      ISC_GO(isc_fail(ISC_E_INTERNAL, "enumerate(%lld) and enumerate(%lld) are both %s",
                      (long long)s->list[k - 1].i, (long long)s->list[k].i, isc_shown_text(&x)));
  }
done:
  isc_text_free(&x);
  isc_text_free(&y);
  return st;
}

/* Of the whole support the mean weight is 1 to rounding; of a part it is within five standard errors. */
static isc_status judge_sum(const sum *s) {
  const double mean = s->total / (double)s->n,
               variance = fmax(0, s->squares / (double)s->n - mean * mean);
  const double error = s->n == s->support || s->most - s->least < 1e-9 * s->most
                           ? 0
                           : 5 * sqrt(variance / (double)s->n);
  if (fabs(mean - 1) <= 1e-9 + error) return ISC_OK;
  if (s->n == s->support)
    return isc_fail(ISC_E_INTERNAL, "the probabilities of all %lld texts sum to %.12g, not to 1",
                    (long long)s->n, mean);
  return isc_fail(ISC_E_INTERNAL,
                  "from %lld of %lld texts the probabilities sum to %.9g +- %.2g, not to 1",
                  (long long)s->n, (long long)s->support, mean, error);
}

static isc_status sum_of(isc_conform *c, const isc_prior *p) {
  sum s = {.support = p->ops->support(p->self), .least = INFINITY};
  const int64_t n = s.support <= ALL ? s.support : SOME;
  void *memory;
  isc_status st;
  ISC_TRY(isc_calloc((size_t)n, sizeof *s.list, "the support", &memory));
  s.list = memory;
  ISC_GO(add_up(p, c->seed, n, &s));
  ISC_GO(distinct(p, &s));
  st = s.late ? isc_conform_skip(c, "%lld of %lld texts took more than %d seconds", (long long)s.n,
                                 (long long)n, (int)MOST_SECONDS)
              : judge_sum(&s);
done:
  free(s.list);
  return st;
}

static isc_status sums(isc_conform *c) {
  isc_prior p = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_prior_open(c, c->conf, c->seed, &p));
  if (!enumerable(&p))
    st = isc_conform_skip(c, "its support cannot be enumerated");
  else if (!p.ops->log_prob)
    st = isc_conform_skip(c, "it does not know log P");
  else
    st = sum_of(c, &p);
done:
  isc_conform_prior_close(&p);
  return st;
}

const isc_check isc_checks_prior_law[] = {
    {"prior.log-prob", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 20,
     "log P is finite and at most 0 for the prior's own texts, -infinity for all others, and never "
     "NaN.",
     "Parse the whole text by its length; a prefix, a suffix or one other letter is another text.",
     log_prob},
    {"prior.sum", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 40,
     "The enumerated texts are distinct, each has a probability, and the probabilities sum to 1.",
     "log P is over the whole prior, both splits together, and `support` counts distinct texts. "
     "Beyond 200,000 texts 50,000 of them are taken at random.",
     sums},
    {0}};
