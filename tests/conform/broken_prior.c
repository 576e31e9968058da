/* SPDX-License-Identifier: Apache-2.0
 *
 * A prior, and one way each to break what is asked of priors.
 *
 * A template prior behind a layer that spoils it. A defect touches one index, one text or one order of calls, so that the
 * other checks pass.
 */
#include "broken.h"
#include <inversescope/rng.h>
#include <inversescope/template.h>
#include <math.h>
#include <stdlib.h>

typedef struct conf {
  double test_fraction;
} conf;

static const isc_option OPTIONS[] = {
    {"test_fraction", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN | ISC_OPT_OPEN_MAX,
     offsetof(conf, test_fraction), NULL, "0.2", 0, 1, NULL, "Share of the texts held out."},
    ISC_OPTIONS_END};

typedef struct prior {
  isc_template *t;
  uint64_t seed;
  double test_fraction;
  int64_t last; /* index drawn before */
} prior;

static isc_template *of(void *self) {
  return ((const prior *)self)->t;
}

static isc_status open_prior(const void *settings, uint64_t seed, void **self) {
  static const char *const names[] = {"Mary", "John", "Anna", "Paul", "Zoe", "Omar", "Ines", "Kim"};
  static const char *const places[] = {"shop", "garden", "station", "old harbour", "bank"};
  static const char *const days[] = {"Monday", "Tuesday", "Sunday"};
  static const char *const templates[] = {"On [DAY] [A] met [B] in the [PLACE]",
                                          "[A] and [B] left the [PLACE] on [DAY]"};
  static const isc_template_slot slots[] = {
      {.name = "A", .values = names, .n = 8},
      {.name = "B", .values = names, .n = 8, .differs_from = "A"},
      {.name = "PLACE", .values = places, .n = 5},
      {.name = "DAY", .values = days, .n = 3}};
  const conf *c = settings;
  const isc_template_spec spec = {.size = sizeof spec,
                                  .templates = templates,
                                  .n_templates = 2,
                                  .slots = slots,
                                  .n_slots = 4,
                                  .test_fraction = c->test_fraction,
                                  .seed = BROKEN("prior.seed") ? 0 : seed};
  prior *p = calloc(1, sizeof *p);
  if (!p) return isc_fail(ISC_E_NOMEM, "prior broken: no memory");
  *p = (prior){.seed = seed, .test_fraction = c->test_fraction, .last = -1};
  isc_status st = isc_template_new(&spec, &p->t);
  if (st == ISC_OK)
    *self = p;
  else
    free(p);
  return st;
}

static void close_prior(void *self) {
  isc_template_free(of(self));
  free(self);
}

/* ---- texts that are no text: one in fifty has a byte behind it that is not UTF-8 */

static bool spoiled(int64_t i) {
  return BROKEN("prior.text") && i >= 0 && i % 50 == 0;
}

/* The index of a text, and how long it is without that byte; −1 for what is not of this prior. */
static int64_t find(const prior *p, const char *text, size_t *len) {
  const bool marked = BROKEN("prior.text") && *len > 0 && text[*len - 1] == '\xff';
  *len -= marked;
  const int64_t i = isc_template_parse(p->t, text, *len);
  return spoiled(i) == marked ? i : -1;
}

static isc_status enumerate(void *self, int64_t i, isc_text *out) {
  isc_status st = isc_template_enumerate(of(self), i, out);
  return st == ISC_OK && spoiled(i) ? isc_text_append(out, "\xff", 1) : st;
}

static int64_t support(void *self) {
  return isc_template_support(of(self));
}

static int64_t count(void *self, isc_split split) {
  return isc_template_count(of(self), split);
}

/* ---- draws */

/* As they stand in the list, from a place that the seed decides. */
static int64_t unshuffled(const prior *p, isc_split split, int64_t i) {
  const int64_t n = isc_template_support(p->t);
  const int64_t test = isc_template_count(p->t, ISC_TEST);
  return ((int64_t)(p->seed % 1000) * 7 + (split == ISC_TEST ? i : test + i)) % n;
}

static isc_status draw(void *self, isc_split split, int64_t i, isc_text *out) {
  prior *p = self;
  const int64_t n = count(self, split), before = p->last;
  if (BROKEN("prior.bounds") && i == n) i = 0;
  if (i < 0 || i >= n)
    return isc_fail(ISC_E_USAGE, "prior broken: there is no input %lld", (long long)i);
  p->last = BROKEN("prior.index") ? i : -1;
  if (BROKEN("prior.index") && i == 100 && before == 101) i = 102;
  if (BROKEN("prior.split") && split == ISC_TEST && i == 5) return draw(self, ISC_TRAIN, 7, out);
  const int64_t at = BROKEN("prior.frequencies")
                         ? unshuffled(p, split, i)
                         : isc_split_index(BROKEN("prior.seed") ? 0 : p->seed, support(self),
                                           p->test_fraction, split, i);
  return enumerate(self, at, out);
}

/* ---- what is known of a text */

static isc_status log_prob(void *self, const char *text, size_t len, double *out) {
  if (BROKEN("prior.log-prob") && len > 0 && text[len - 1] == 'x') len--;
  const double n = (double)support(self) + (BROKEN("prior.sum") ? 1 : 0);
  *out = find(self, text, &len) < 0 ? -INFINITY : -log(n);
  return ISC_OK;
}

static int64_t n_slots(void *self) {
  return isc_template_n_slots(of(self));
}

static const char *slot_name(void *self, int64_t k) {
  return isc_template_slot_name(of(self), k);
}

static isc_status slot(void *self, const char *text, size_t len, int64_t k, isc_text *out) {
  const int64_t i = find(self, text, &len);
  if (BROKEN("prior.slots") && k == 0 && i >= 0 && i % 23 == 0) return isc_text_set(out, "Eve", 3);
  return isc_template_slot_value(of(self), text, i < 0 ? 0 : len, k, out);
}

static isc_status answer(void *self, const char *text, size_t len, isc_text *out) {
  isc_text name = {0};
  if (BROKEN("prior.answer") && len == 0) return isc_text_set(out, " Mary", 5);
  isc_status st = slot(self, text, len, 1, &name);
  if (st == ISC_OK) st = isc_text_set(out, " ", name.len > 0);
  if (st == ISC_OK && name.len > 0) st = isc_text_append(out, name.data, name.len);
  isc_text_free(&name);
  return st;
}

static int64_t slot_choices(void *self, int64_t k) {
  return isc_template_slot_choices(of(self), k);
}

static const char *slot_choice(void *self, int64_t k, int64_t j) {
  return isc_template_slot_choice(of(self), k, j);
}

static int64_t max_bytes(void *self) {
  return isc_template_max_bytes(of(self)) - (BROKEN("prior.length") ? 5 : -1);
}

static isc_status fingerprint(void *self, char hex[33]) {
  const prior *p = self;
  struct {
    uint64_t seed;
    double test_fraction;
  } all = {BROKEN("prior.fingerprint") ? 0 : p->seed, p->test_fraction};
  return isc_text_hash((const char *)&all, sizeof all, hex);
}

static const isc_prior_ops OPS = {.size = sizeof OPS,
                                  .open = open_prior,
                                  .close = close_prior,
                                  .count = count,
                                  .draw = draw,
                                  .answer = answer,
                                  .log_prob = log_prob,
                                  .support = support,
                                  .enumerate = enumerate,
                                  .n_slots = n_slots,
                                  .slot_name = slot_name,
                                  .slot = slot,
                                  .fingerprint = fingerprint,
                                  .slot_choices = slot_choices,
                                  .slot_choice = slot_choice,
                                  .max_bytes = max_bytes};

ISC_PLUGIN_CLASS(ISC_PRIOR, "broken-prior", "1.0.0", .summary = "Who met whom, where and when",
                 .licence = "Apache-2.0", .source = "the conformance tests", .options = OPTIONS,
                 .conf_size = sizeof(conf), .ops = &OPS);
