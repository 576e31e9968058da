/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of targets: what they say of themselves, and what a forward pass gives at all.
 */
#include "conform/target_use.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- info */

static isc_status info(isc_conform *c) {
  isc_subject s;
  isc_status st = ISC_OK;
  ISC_TRY(isc_subject_open(c, c->conf, 2, &s));
  const isc_target_info *i = &s.target.info;
  const struct {
    const char *name;
    int64_t value;
  } positive[] = {{"n_layer", i->n_layer},      {"n_head", i->n_head}, {"d_model", i->d_model},
                  {"d_head", i->d_head},        {"n_ctx", i->n_ctx},   {"vocab", i->vocab},
                  {"parameters", i->parameters}};
  for (size_t k = 0; k < sizeof positive / sizeof *positive && st == ISC_OK; k++)
    if (positive[k].value < 1)
      st = isc_fail(ISC_E_INTERNAL, "info: %s is %lld; it must be at least 1", positive[k].name,
                    (long long)positive[k].value);
  isc_subject_close(&s);
  return st;
}

/* ---- shapes */

static isc_status offers_in_order(const isc_subject *s, const isc_pass *p) {
  for (int64_t e = 0; e < isc_pass_hidden(s); e++) {
    if (p->offered[e] != 1)
      return isc_fail(ISC_E_INTERNAL, "a pass with taps offered %s %lld times; once is expected",
                      isc_pass_name(s, e), (long long)p->offered[e]);
    if (p->order[e] != e)
      return isc_fail(ISC_E_INTERNAL, "place %lld of the pass is %s; %s comes there", (long long)e,
                      isc_pass_name(s, p->order[e]), isc_pass_name(s, e));
  }
  return ISC_OK;
}

static isc_status look_at_shapes(isc_subject *s) {
  isc_prompts prompts;
  isc_pass p = {0};
  isc_status st = ISC_OK;
  isc_prompts_make(s, &prompts);
  ISC_GO(isc_pass_plain(s, prompts.ids, prompts.batch, prompts.len, &p));
  ISC_GO(offers_in_order(s, &p));
  if (p.odd_ndim >= 0)
    ISC_GO(isc_fail(ISC_E_INTERNAL, "%s is no matrix of %lld rows", isc_pass_name(s, p.odd_ndim),
                    (long long)p.rows));
  if (p.qkv)
    ISC_GO(isc_fail(ISC_E_INTERNAL,
                    "a place that is no site was offered %lld times to taps without `wants`",
                    (long long)p.qkv));
  if (!p.at[isc_pass_hidden(s)])
    st = isc_fail(ISC_E_INTERNAL, "a pass that nothing stops gave no hidden");
done:
  isc_pass_free(&p);
  return st;
}

static isc_status shapes(isc_conform *c) {
  return isc_with_subject(c, look_at_shapes);
}

/* ---- finite */

static isc_status look_for_nan(isc_subject *s) {
  isc_prompts prompts;
  isc_pass p = {0};
  isc_status st = ISC_OK;
  isc_prompts_make(s, &prompts);
  ISC_GO(isc_pass_plain(s, prompts.ids, prompts.batch, prompts.len, &p));
  for (int64_t e = 0; e < p.entries; e++)
    for (int64_t i = 0; p.at[e] && i < p.rows * p.width[e]; i++)
      if (!isfinite(p.at[e][i]))
        ISC_GO(isc_fail(ISC_E_INTERNAL, "%s, row %lld, element %lld is %g", isc_pass_name(s, e),
                        (long long)(i / p.width[e]), (long long)(i % p.width[e]),
                        (double)p.at[e][i]));
done:
  isc_pass_free(&p);
  return st;
}

static isc_status all_finite(isc_conform *c) {
  return isc_with_subject(c, look_for_nan);
}

/* ---- fingerprint */

static isc_status fingerprint_of(isc_conform *c, char hex[33]) {
  isc_subject s;
  ISC_TRY(isc_subject_open(c, c->conf, 2, &s));
  memset(hex, '?', 33);
  isc_status st = s.target.ops->fingerprint(s.target.self, hex);
  isc_subject_close(&s);
  return st;
}

static isc_status fingerprint(isc_conform *c) {
  char first[33], again[33];
  ISC_TRY(fingerprint_of(c, first));
  ISC_TRY(fingerprint_of(c, again));
  if (first[32] != '\0' || strspn(first, "0123456789abcdef") != 32)
    return isc_fail(ISC_E_INTERNAL,
                    "the fingerprint is \"%.32s\"; 32 lower-case hex digits and a "
                    "NUL are expected",
                    first);
  if (memcmp(first, again, 33) != 0)
    return isc_fail(ISC_E_INTERNAL,
                    "the fingerprint is %s, and %.32s when the target is opened "
                    "again",
                    first, again);
  return ISC_OK;
}

/* ---- head maps */

static isc_status one_map(isc_subject *s, int64_t layer, int64_t head, float *map) {
  const isc_target_info *i = &s->target.info;
  int64_t n = i->d_head * i->d_model, zeros = 0;
  for (int64_t k = 0; k < n; k++)
    map[k] = NAN;
  ISC_TRY(s->target.ops->head_map(s->target.self, layer, head, map));
  for (int64_t k = 0; k < n; k++) {
    zeros += map[k] == 0;
    if (!isfinite(map[k]))
      return isc_fail(ISC_E_INTERNAL,
                      "head_map of layer %lld, head %lld: element [%lld, %lld] of "
                      "[%lld, %lld] is %g",
                      (long long)layer, (long long)head, (long long)(k / i->d_model),
                      (long long)(k % i->d_model), (long long)i->d_head, (long long)i->d_model,
                      (double)map[k]);
  }
  if (zeros == n)
    return isc_fail(ISC_E_INTERNAL, "head_map of layer %lld, head %lld is all zero",
                    (long long)layer, (long long)head);
  return ISC_OK;
}

static isc_status no_map(isc_subject *s, int64_t layer, int64_t head, float *map) {
  if (s->target.ops->head_map(s->target.self, layer, head, map) != ISC_OK) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL, "head_map of layer %lld, head %lld succeeded; there is none",
                  (long long)layer, (long long)head);
}

static isc_status look_at_maps(isc_subject *s) {
  const isc_target_info *i = &s->target.info;
  void *map;
  isc_status st = ISC_OK;
  ISC_TRY(isc_calloc((size_t)(i->d_head * i->d_model), sizeof(float), "a head's map", &map));
  for (int64_t l = 0; l < i->n_layer; l++)
    for (int64_t h = 0; h < i->n_head; h++)
      ISC_GO(one_map(s, l, h, map));
  ISC_GO(no_map(s, -1, 0, map));
  ISC_GO(no_map(s, 0, -1, map));
  ISC_GO(no_map(s, i->n_layer, 0, map));
  ISC_GO(no_map(s, 0, i->n_head, map));
done:
  free(map);
  return st;
}

static isc_status head_map(isc_conform *c) {
  return isc_with_subject(c, look_at_maps);
}

#define ENTRY(name, rule, advice, run)                                                             \
  { "target." name, ISC_OF(ISC_TARGET), ISC_PER_CASE, 60, rule, advice, run }
const isc_check isc_checks_target[] = {
    ENTRY("info", "All sizes that info gives are at least 1.",
          "Fill in every member, parameters included.", info),
    ENTRY(
        "shapes",
        "A pass offers every place once, in the order of isc_place, in its declared shape; hidden "
        "is [batch * len, d_model] and logits [batch * len, vocab].",
        "Call isc_tap at each place of each layer, on matrices of one row a position, and ISC_QKV "
        "only where `wants` asks for it.",
        shapes),
    ENTRY("finite", "Everything that a pass gives is finite.",
          "A mask of -inf over a whole row, a norm without its eps, or weights read in the wrong "
          "dtype.",
          all_finite),
    ENTRY("fingerprint",
          "The fingerprint is 32 lower-case hex digits, the same whenever the same model is "
          "opened.",
          "Hash numbers and names, never addresses or the time; isc_decoder_fingerprint does it.",
          fingerprint),
    ENTRY("head-map",
          "head_map fills [d_head, d_model] finite numbers that are not all zero, for every head, "
          "and refuses a head that is not there.",
          "Give the head's rows of W_O; transpose it when the file stores [d_model, n_head * "
          "d_head].",
          head_map),
    {0}};
