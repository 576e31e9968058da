/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of priors: addressing inputs by index, and the two splits.
 *
 * A study draws its inputs in whatever order batches and ranks ask for them, and measures on the test split what it
 * trained on the other; so an input is a function of its index, and no input is on both sides.
 */
#include "conform/prior_use.h"
#include <inversescope/rng.h>
#include <stdlib.h>

enum { FEW = 256, MANY = 200000, SOME = 50000 };

/* ---- prior.index */

typedef struct reading {
  isc_split split;
  int64_t i;
} reading;

static isc_status draws_again(const isc_prior *p, const isc_texts *known, reading r, int64_t at,
                              const char *how) {
  isc_text text = {0};
  isc_status st = isc_conform_draw(p, r.split, r.i, &text);
  if (st == ISC_OK && !isc_same_text(&text, &known->at[at]))
    st = isc_fail(ISC_E_INTERNAL, "draw(%s, %lld) gave %s in order and %s %s",
                  isc_split_name(r.split), (long long)r.i, isc_shown_text(&known->at[at]),
                  isc_shown_text(&text), how);
  isc_text_free(&text);
  return st;
}

/* Texts of `list`, drawn in that order. */
static isc_status stream(const isc_prior *p, const reading *list, int64_t n, isc_texts *out) {
  isc_text text = {0};
  isc_status st = ISC_OK;
  for (int64_t k = 0; k < n; k++) {
    ISC_GO(isc_conform_draw(p, list[k].split, list[k].i, &text));
    ISC_GO(isc_texts_add(out, text.data, text.len));
  }
done:
  isc_text_free(&text);
  return st;
}

static isc_status other_orders(isc_conform *c, const isc_prior *p, const isc_texts *known,
                               const reading *list, int64_t n) {
  isc_prior fresh = {0};
  isc_status st = ISC_OK;
  for (int64_t k = n - 1; k >= 0; k--)
    ISC_GO(draws_again(p, known, list[k], k, "backwards"));
  for (int64_t k = 0; k < n; k++)
    for (int twice = 0; twice < 2; twice++)
      ISC_GO(draws_again(p, known, list[k], k, "when drawn twice in a row"));
  ISC_GO(isc_conform_prior_open(c, c->conf, c->seed, &fresh));
  for (int64_t k = 0; k < n; k++) {
    const int64_t at = (int64_t)isc_rng_permute(c->seed, ISC_RNG_USER, (uint64_t)n, (uint64_t)k);
    ISC_GO(draws_again(&fresh, known, list[at], at, "in another order, from a fresh instance"));
  }
done:
  isc_conform_prior_close(&fresh);
  return st;
}

static isc_status index_access(isc_conform *c) {
  reading list[2 * FEW];
  isc_texts known = {0};
  isc_prior p = {0};
  int64_t n = 0;
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_prior_open(c, c->conf, c->seed, &p));
  for (int s = 0; s < 2; s++) {
    const isc_split split = s ? ISC_TEST : ISC_TRAIN;
    const int64_t count = p.ops->count(p.self, split);
    for (int64_t i = 0; i < count && i < FEW; i++)
      list[n++] = (reading){split, i};
  }
  ISC_GO(stream(&p, list, n, &known));
  ISC_GO(other_orders(c, &p, &known, list, n));
done:
  isc_texts_free(&known);
  isc_conform_prior_close(&p);
  return st;
}

/* ---- prior.seed */

static isc_status first_texts(isc_conform *c, uint64_t seed, uint64_t *hash, int64_t *support) {
  isc_prior p = {0};
  isc_text text = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_prior_open(c, c->conf, seed, &p));
  *hash = 0;
  *support = p.ops->count(p.self, ISC_TRAIN) + p.ops->count(p.self, ISC_TEST);
  for (int s = 0; s < 2; s++)
    for (int64_t i = 0; i < FEW && i < p.ops->count(p.self, s ? ISC_TEST : ISC_TRAIN); i++) {
      ISC_GO(isc_conform_draw(&p, s ? ISC_TEST : ISC_TRAIN, i, &text));
      *hash = *hash * 31 + isc_bytes_hash(text.data, text.len);
    }
done:
  isc_text_free(&text);
  isc_conform_prior_close(&p);
  return st;
}

static isc_status seeds(isc_conform *c) {
  enum { SEEDS = 32 };
  uint64_t first = 0, other = 0;
  int64_t support = 0;
  ISC_TRY(first_texts(c, c->seed, &first, &support));
  if (support < 2) return isc_conform_skip(c, "its support has one text only");
  /* Two texts have two orders, so a seed may give the same by chance; 32 in a row do not. */
  for (uint64_t k = 1; k <= SEEDS; k++) {
    ISC_TRY(first_texts(c, c->seed + k, &other, &support));
    if (other != first) return ISC_OK;
  }
  return isc_fail(ISC_E_INTERNAL, "seed %llu and the %d after it all draw the same texts",
                  (unsigned long long)c->seed, (int)SEEDS);
}

/* ---- prior.split */

typedef struct drawn {
  uint64_t hash;
  reading from;
} drawn;

static int by_hash(const void *a, const void *b) {
  const drawn *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  if (x->from.split != y->from.split) return x->from.split < y->from.split ? -1 : 1;
  return (x->from.i > y->from.i) - (x->from.i < y->from.i);
}

/* Everything of a split, or the first inputs and as many from anywhere. */
static isc_status take_split(const isc_prior *p, uint64_t seed, isc_split split, int64_t most,
                             drawn *out, int64_t *n) {
  const int64_t count = p->ops->count(p->self, split), take = count < most ? count : most;
  isc_text text = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < take; i++) {
    int64_t at = i;
    if (take < count && i >= take / 2)
      at = (int64_t)isc_rng_permute(seed, ISC_RNG_USER + 2, (uint64_t)count, (uint64_t)i);
    ISC_GO(isc_conform_draw(p, split, at, &text));
    out[(*n)++] = (drawn){isc_bytes_hash(text.data, text.len), {split, at}};
  }
done:
  isc_text_free(&text);
  return st;
}

/* Two inputs of one hash: the same text, which a split may repeat if it says so, or a coincidence of hashes. */
static isc_status differ(const isc_prior *p, reading a, reading b) {
  isc_text x = {0}, y = {0};
  isc_status st = ISC_OK;
  if (a.split == b.split && (a.i == b.i || p->ops->draws == ISC_DRAWS_REPEAT)) return ISC_OK;
  ISC_GO(isc_conform_draw(p, a.split, a.i, &x));
  ISC_GO(isc_conform_draw(p, b.split, b.i, &y));
  if (isc_same_text(&x, &y))
    st = isc_fail(ISC_E_INTERNAL, "draw(%s, %lld) and draw(%s, %lld) are both %s",
                  isc_split_name(a.split), (long long)a.i, isc_split_name(b.split), (long long)b.i,
                  isc_shown_text(&x));
done:
  isc_text_free(&x);
  isc_text_free(&y);
  return st;
}

static isc_status all_differ(isc_conform *c, const isc_prior *p, int64_t most) {
  void *memory;
  int64_t n = 0;
  isc_status st;
  ISC_TRY(isc_calloc(2 * (size_t)most, sizeof(drawn), "drawn texts", &memory));
  drawn *list = memory;
  ISC_GO(take_split(p, c->seed, ISC_TRAIN, most, list, &n));
  ISC_GO(take_split(p, c->seed, ISC_TEST, most, list, &n));
  qsort(list, (size_t)n, sizeof *list, by_hash);
  for (int64_t i = 1; i < n; i++)
    if (list[i].hash == list[i - 1].hash) ISC_GO(differ(p, list[i - 1].from, list[i].from));
done:
  free(list);
  return st;
}

static isc_status counts(const isc_prior *p, int64_t *all) {
  const int64_t train = p->ops->count(p->self, ISC_TRAIN), test = p->ops->count(p->self, ISC_TEST);
  if (train < 1 || test < 1)
    return isc_fail(ISC_E_INTERNAL, "count is %lld for train and %lld for test; neither is empty",
                    (long long)train, (long long)test);
  *all = train + test;
  if (!p->ops->support) return ISC_OK;
  const int64_t support = p->ops->support(p->self);
  if (support == *all) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "the support has %lld texts, but the splits %lld + %lld = %lld together",
                  (long long)support, (long long)train, (long long)test, (long long)*all);
}

static isc_status split(isc_conform *c) {
  isc_prior p = {0};
  int64_t all = 0;
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_prior_open(c, c->conf, c->seed, &p));
  ISC_GO(counts(&p, &all));
  ISC_GO(all_differ(c, &p, all <= MANY ? all : SOME));
done:
  isc_conform_prior_close(&p);
  return st;
}

/* ---- prior.bounds */

static isc_status refused(isc_status got, const char *call, int64_t i) {
  if (got == ISC_OK)
    return isc_fail(ISC_E_INTERNAL, "%s with number %lld returns ISC_OK", call, (long long)i);
  if (!isc_error()[0])
    return isc_fail(ISC_E_INTERNAL, "%s with number %lld fails without a message", call,
                    (long long)i);
  return ISC_OK;
}

static isc_status slots_out_of_range(const isc_prior *p, int64_t k, const isc_text *sample,
                                     isc_text *out) {
  const isc_prior_ops *o = p->ops;
  if (o->slot) {
    isc_error_clear();
    ISC_TRY(refused(o->slot(p->self, sample->data, sample->len, k, out), "slot", k));
  }
  if (o->slot_name && o->slot_name(p->self, k))
    return isc_fail(ISC_E_INTERNAL, "slot_name of slot %lld, which there is not, is no NULL",
                    (long long)k);
  if (o->slot_choices && o->slot_choices(p->self, k) != 0)
    return isc_fail(ISC_E_INTERNAL, "slot_choices of slot %lld, which there is not, is not 0",
                    (long long)k);
  return ISC_OK;
}

static isc_status choices_out_of_range(const isc_prior *p, int64_t k) {
  const isc_prior_ops *o = p->ops;
  if (!o->slot_choices || !o->slot_choice) return ISC_OK;
  const int64_t n = o->slot_choices(p->self, k), odd[] = {-1, n, n + 1, INT64_MIN, INT64_MAX};
  for (int i = 0; i < 5; i++)
    if (o->slot_choice(p->self, k, odd[i]))
      return isc_fail(ISC_E_INTERNAL, "slot_choice(%lld, %lld) of %lld choices is no NULL",
                      (long long)k, (long long)odd[i], (long long)n);
  return ISC_OK;
}

/* Numbers that are none, below and behind 0 … n − 1. */
static isc_status out_of_range(const isc_prior *p, const isc_text *sample, isc_text *out) {
  const isc_prior_ops *o = p->ops;
  const int64_t train = o->count(p->self, ISC_TRAIN), test = o->count(p->self, ISC_TEST),
                support = o->support ? o->support(p->self) : 0,
                slots = o->n_slots ? o->n_slots(p->self) : 0;
  const int64_t behind[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX};
  for (int i = 0; i < 6; i++) {
    const int64_t b = behind[i];
    const bool small = b == 0 || b == 1;
    isc_error_clear();
    ISC_TRY(refused(o->draw(p->self, ISC_TRAIN, small ? train + b : b, out), "draw(train)",
                    small ? train + b : b));
    isc_error_clear();
    ISC_TRY(refused(o->draw(p->self, ISC_TEST, small ? test + b : b, out), "draw(test)",
                    small ? test + b : b));
    isc_error_clear();
    if (o->enumerate)
      ISC_TRY(refused(o->enumerate(p->self, small ? support + b : b, out), "enumerate",
                      small ? support + b : b));
    if (o->n_slots) ISC_TRY(slots_out_of_range(p, small ? slots + b : b, sample, out));
  }
  for (int64_t k = 0; k < slots; k++)
    ISC_TRY(choices_out_of_range(p, k));
  return ISC_OK;
}

static isc_status bounds(isc_conform *c) {
  isc_prior p = {0};
  isc_text sample = {0}, out = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_conform_prior_open(c, c->conf, c->seed, &p));
  ISC_GO(isc_conform_draw(&p, ISC_TRAIN, 0, &sample));
  ISC_GO(out_of_range(&p, &sample, &out));
done:
  isc_text_free(&sample);
  isc_text_free(&out);
  isc_conform_prior_close(&p);
  return st;
}

const isc_check isc_checks_prior[] = {
    {"prior.index", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 20,
     "An input depends on its split and index alone: any order of drawing gives the same texts.",
     "Draw from isc_rng_at(seed, purpose, index), or take text isc_split_index(…, i) of the "
     "support; keep no position in the instance.",
     index_access},
    {"prior.seed", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 20, "Another seed draws other texts.",
     "Pass the seed of `open` on to isc_split_index, or to isc_rng_at.", seeds},
    {"prior.split", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 30,
     "No text comes in both splits, nor twice in one unless `draws` is ISC_DRAWS_REPEAT, and the "
     "splits together are as large as the support.",
     "Number the distinct texts and let isc_split_count and isc_split_index share them out; "
     "refuse lists with repeated values. Where texts are not equally likely, let each text fall on "
     "one side for good, and draw until one of the wanted side comes.",
     split},
    {"prior.bounds", ISC_OF(ISC_PRIOR), ISC_PER_CASE, 10,
     "A number outside its range is an error with a message in draw, enumerate and slot, and gives "
     "NULL or 0 in slot_name, slot_choices and slot_choice.",
     "Compare with both ends, in 64 bits, before the number is used.", bounds},
    {0}};
