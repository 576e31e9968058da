/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of targets: what the places of a block have to do with each other, stopping, and asking for some.
 */
#include "conform/target_use.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- heads */

/* W_O applied to a row of heads' outputs, in double, and the sum of its terms' magnitudes. */
static void project(const isc_target_info *i, const float *maps, const float *factor, double *sum,
                    double *terms) {
  memset(sum, 0, (size_t)i->d_model * sizeof *sum);
  memset(terms, 0, (size_t)i->d_model * sizeof *terms);
  for (int64_t k = 0; k < i->n_head * i->d_head; k++)
    for (int64_t j = 0; j < i->d_model; j++) {
      double term = (double)factor[k] * (double)maps[k * i->d_model + j];
      sum[j] += term;
      terms[j] += fabs(term);
    }
}

/* How far a sum of products may be from ours, of its terms' magnitudes. */
static double rounding(const isc_target_info *i) {
  return i->product == ISC_BF16 ? 0x1p-7 : 2e-5;
}

/* attn_out less the heads is the same vector in every row: the bias. */
static isc_status same_bias(isc_subject *s, const isc_pass *p, int64_t layer, const float *maps,
                            double *work /* [3, d_model] */) {
  const isc_target_info *i = &s->target.info;
  const float *heads = p->at[isc_pass_entry(ISC_HEADS, layer)];
  const float *out = p->at[isc_pass_entry(ISC_ATTN_OUT, layer)];
  double *sum = work, *terms = work + i->d_model, *bias = work + 2 * i->d_model;
  for (int64_t r = 0; r < p->rows; r++) {
    project(i, maps, heads + r * i->n_head * i->d_head, sum, terms);
    for (int64_t j = 0; j < i->d_model; j++) {
      double got = (double)out[r * i->d_model + j], rest = got - sum[j];
      if (r == 0) bias[j] = rest;
      double allowed = rounding(i) * (terms[j] + fabs(got) + fabs(bias[j])) + 1e-7;
      if (fabs(rest - bias[j]) <= allowed) continue;
      return isc_fail(ISC_E_INTERNAL,
                      "attn_out.%lld, element %lld: attn_out less the sum of the heads is %.9g in "
                      "row 0 and %.9g in row %lld; a bias is the same in all",
                      (long long)layer, (long long)j, bias[j], rest, (long long)r);
    }
  }
  return ISC_OK;
}

static isc_status sum_heads(isc_subject *s) {
  const isc_target_info *i = &s->target.info;
  isc_prompts prompts;
  isc_pass p = {0};
  void *maps = NULL, *work = NULL;
  isc_status st = ISC_OK;
  size_t map = (size_t)(i->d_head * i->d_model);
  isc_prompts_make(s, &prompts);
  ISC_GO(isc_calloc(map * (size_t)i->n_head, sizeof(float), "head maps", &maps));
  ISC_GO(isc_calloc((size_t)(3 * i->d_model), sizeof(double), "a sum", &work));
  ISC_GO(isc_pass_plain(s, prompts.ids, prompts.batch, prompts.len, &p));
  for (int64_t l = 0; l < i->n_layer; l++) {
    for (int64_t h = 0; h < i->n_head; h++)
      ISC_GO(s->target.ops->head_map(s->target.self, l, h, (float *)maps + map * (size_t)h));
    if (p.at[isc_pass_entry(ISC_HEADS, l)] && p.at[isc_pass_entry(ISC_ATTN_OUT, l)])
      ISC_GO(same_bias(s, &p, l, maps, work));
  }
done:
  free(maps);
  free(work);
  isc_pass_free(&p);
  return st;
}

static isc_status heads(isc_conform *c) {
  return isc_with_subject(c, sum_heads);
}

/* ---- the residual stream */

/* The first element of row r where `from` plus `branch` is not `to`; −1 when there is none. */
static int64_t not_sum(const isc_target_info *i, const float *from, const float *branch,
                       const float *to, int64_t r) {
  for (int64_t j = r * i->d_model; j < (r + 1) * i->d_model; j++) {
    double a = (double)from[j], b = (double)branch[j];
    if (!(fabs((double)to[j] - (a + b)) <= 2e-6 * (fabs(a) + fabs(b)) + 1e-30)) return j;
  }
  return -1;
}

typedef struct addition {
  int64_t holds, fails; /* rows */
  char message[256];    /* of the first that fails */
} addition;

static void add_up(const isc_subject *s, const isc_pass *p, int64_t layer, isc_place from,
                   isc_place branch, isc_place to, addition *sum) {
  const int64_t d = s->target.info.d_model;
  const int64_t e[3] = {isc_pass_entry(from, layer), isc_pass_entry(branch, layer),
                        isc_pass_entry(to, layer)};
  const float *x[3] = {p->at[e[0]], p->at[e[1]], p->at[e[2]]};
  for (int64_t r = 0; x[0] && x[1] && x[2] && r < p->rows; r++) {
    int64_t at = not_sum(&s->target.info, x[0], x[1], x[2], r);
    sum->holds += at < 0;
    if (at < 0) continue;
    if (sum->fails++ == 0)
      snprintf(sum->message, sizeof sum->message,
               "%s, row %lld, element %lld is %.9g; %s and %s add up to %.9g",
               isc_pass_name(s, e[2]), (long long)r, (long long)(at % d), (double)x[2][at],
               isc_pass_name(s, e[0]), isc_pass_name(s, e[1]), (double)x[0][at] + (double)x[1][at]);
  }
}

/* Blocks with a norm behind each branch add something else: then neither addition holds in any row, and there is
 * nothing to say. An addition that holds in some rows, or one of two, is a mistake. */
static isc_status judge(isc_conform *c, const addition sum[2]) {
  bool none = sum[0].holds == 0 && sum[1].holds == 0;
  if (none)
    return isc_conform_skip(c,
                            "no branch adds to the stream as it is tapped, as in a model with "
                            "norms behind its branches (%s)",
                            sum[0].message);
  for (int k = 0; k < 2; k++)
    if (sum[k].fails) return isc_fail(ISC_E_INTERNAL, "%s", sum[k].message);
  return ISC_OK;
}

/* What leaves a block enters the next. */
static isc_status handed_on(isc_subject *s, const isc_pass *p) {
  for (int64_t l = 0; l + 1 < s->target.info.n_layer; l++) {
    const float *post = p->at[isc_pass_entry(ISC_RESID_POST, l)];
    const float *pre = p->at[isc_pass_entry(ISC_RESID_PRE, l + 1)];
    for (int64_t i = 0; post && pre && i < p->rows * s->target.info.d_model; i++)
      if (!(post[i] == pre[i]))
        return isc_fail(ISC_E_INTERNAL,
                        "resid_pre.%lld, row %lld, element %lld is %.9g; resid_post.%lld was %.9g",
                        (long long)(l + 1), (long long)(i / s->target.info.d_model),
                        (long long)(i % s->target.info.d_model), (double)pre[i], (long long)l,
                        (double)post[i]);
  }
  return ISC_OK;
}

static isc_status follow_stream(isc_subject *s) {
  isc_prompts prompts;
  isc_pass p = {0};
  addition sum[2] = {{0}};
  isc_status st = ISC_OK;
  isc_prompts_make(s, &prompts);
  ISC_GO(isc_pass_plain(s, prompts.ids, prompts.batch, prompts.len, &p));
  ISC_GO(handed_on(s, &p));
  for (int64_t l = 0; l < s->target.info.n_layer; l++) {
    add_up(s, &p, l, ISC_RESID_PRE, ISC_ATTN_OUT, ISC_RESID_MID, &sum[0]);
    add_up(s, &p, l, ISC_RESID_MID, ISC_MLP_OUT, ISC_RESID_POST, &sum[1]);
  }
  ISC_GO(judge(s->c, sum));
done:
  isc_pass_free(&p);
  return st;
}

static isc_status residual(isc_conform *c) {
  return isc_with_subject(c, follow_stream);
}

/* ---- stopping and asking */

static isc_status stop_one(isc_subject *s, const isc_prompts *p, const isc_pass *full,
                           isc_place place, int64_t layer) {
  int64_t here = isc_pass_entry(place, layer);
  isc_pass part = {0};
  char what[96];
  isc_status st = ISC_OK;
  snprintf(what, sizeof what, "a full pass, and one that stops at %s", isc_pass_name(s, here));
  ISC_GO(isc_pass_run(s,
                      &(isc_pass_request){.ids = p->ids,
                                          .batch = p->batch,
                                          .len = p->len,
                                          .stops = true,
                                          .stop_layer = layer,
                                          .stop_place = place},
                      &part));
  for (int64_t e = here + 1; e < part.entries; e++)
    if (part.at[e])
      ISC_GO(isc_fail(ISC_E_INTERNAL, "a pass that stops at %s went on to %s",
                      isc_pass_name(s, here), isc_pass_name(s, e)));
  for (int64_t r = 0; r < part.rows; r++)
    ISC_GO(isc_pass_agree(s, full, r, &part, r, 0, here + 1, ISC_ROW_TOLERANCE, what));
done:
  isc_pass_free(&part);
  return st;
}

/* `wants` asks for one place: that one comes and no other. */
static isc_status want_one(isc_subject *s, const isc_prompts *p, const isc_pass *full,
                           isc_place place, int64_t layer) {
  int64_t here = isc_pass_entry(place, layer);
  isc_pass part = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_pass_run(s,
                      &(isc_pass_request){.ids = p->ids,
                                          .batch = p->batch,
                                          .len = p->len,
                                          .selects = true,
                                          .wanted_layer = layer,
                                          .wanted_place = place},
                      &part));
  for (int64_t e = 0; e < isc_pass_hidden(s); e++)
    if (e != here && part.at[e])
      ISC_GO(isc_fail(ISC_E_INTERNAL, "taps that want %s were given %s", isc_pass_name(s, here),
                      isc_pass_name(s, e)));
  for (int64_t r = 0; r < part.rows; r++)
    ISC_GO(isc_pass_agree(s, full, r, &part, r, here, here + 1, ISC_ROW_TOLERANCE,
                          "with taps everywhere, and at one place"));
done:
  isc_pass_free(&part);
  return st;
}

/* Every place of the first, a middle and the last layer. */
static isc_status at_places(isc_subject *s, isc_status (*one)(isc_subject *s, const isc_prompts *p,
                                                              const isc_pass *full, isc_place place,
                                                              int64_t layer)) {
  isc_prompts p;
  isc_pass full = {0};
  const int64_t last = s->target.info.n_layer - 1, layers[] = {0, last / 2, last};
  isc_prompts_make(s, &p);
  isc_status st = isc_pass_plain(s, p.ids, p.batch, p.len, &full);
  for (int k = 0; k < 3 && st == ISC_OK; k++)
    for (int place = 0; place < ISC_PLACE_COUNT && st == ISC_OK; place++)
      if (k == 0 || layers[k] != layers[k - 1]) st = one(s, &p, &full, (isc_place)place, layers[k]);
  isc_pass_free(&full);
  return st;
}

static isc_status stop_everywhere(isc_subject *s) {
  return at_places(s, stop_one);
}

static isc_status want_everywhere(isc_subject *s) {
  return at_places(s, want_one);
}

static isc_status stop(isc_conform *c) {
  return isc_with_subject(c, stop_everywhere);
}

static isc_status wants(isc_conform *c) {
  return isc_with_subject(c, want_everywhere);
}

#define ENTRY(name, rule, advice, run)                                                             \
  { "target." name, ISC_OF(ISC_TARGET), ISC_PER_CASE, 60, rule, advice, run }
const isc_check isc_checks_target_sites[] = {
    ENTRY(
        "heads",
        "The heads' outputs through their head_maps, summed, and a bias that is the same "
        "everywhere make attn_out.",
        "Tap ISC_HEADS right before W_O, in the order of the heads; with grouped queries there are "
        "n_head of them, not n_kv_head.",
        heads),
    ENTRY("residual",
          "resid_pre of a layer is resid_post of the one before; where blocks add their branches "
          "as they are, resid_mid = resid_pre + attn_out and resid_post = resid_mid + mlp_out.",
          "Tap the stream itself, after the addition and before the next norm.", residual),
    ENTRY("stop", "A pass ends right after the place at which taps stop it, with hidden NULL.",
          "Ask isc_tap_stops after each isc_tap, and return.", stop),
    ENTRY("wants", "Taps get the places that `wants` says yes to, and no others.",
          "Call isc_tap, which asks, instead of `at`.", wants),
    {0}};
