/* SPDX-License-Identifier: Apache-2.0
 *
 * The evaluation's rows and summary say what their parts say.
 */
#include "base/base.h"
#include "eval/eval.h"
#include "support.h"
#include <inversescope/noise_law.h>
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SITES = 3, FEATURES = 2, CONDITIONS = 12, EACH = 8, ROWS = CONDITIONS * EACH };

static double log_hard(double ratio) {
  return ratio * 0;
}

static isc_status no_open(const void *conf, int64_t dim, void **self) {
  (void)conf, (void)dim, (void)self;
  return ISC_E_UNSUPPORTED;
}

static const isc_kernel_ops ops = ISC_NOISE_LAW_OPS(no_open);

/* Everything a study of three sites would have: site s agrees with x̂ with probability 0.9 − 0.3 s, and its samples reach
 * twice as far as the site before. */
typedef struct study {
  isc_kernel kernel;
  int64_t start[CONDITIONS + 1], ball[SITES][CONDITIONS];
  double d[SITES][ROWS], log_q[ROWS], log_p[ROWS], exact[SITES][FEATURES * CONDITIONS],
      ess[CONDITIONS];
  int32_t label[SITES][FEATURES][ROWS], label_hat[FEATURES][CONDITIONS];
} study;

static void study_open(study *s) {
  memset(s, 0, sizeof *s);
  const isc_noise_spec spec = {sizeof spec, ISC_EUCLIDEAN, ISC_LEBESGUE, 3, 0.1, 0, log_hard, 1};
  s->kernel.ops = &ops;
  isc_assert_ok(isc_noise_law_open(&spec, &s->kernel.self));
  isc_rng rng = isc_rng_at(51, ISC_RNG_USER, 0);
  for (int c = 0; c < CONDITIONS; c++) {
    s->start[c + 1] = EACH * (c + 1);
    s->ess[c] = 50 + c;
    for (int f = 0; f < FEATURES; f++)
      s->label_hat[f][c] = f == 1 && c == 0 ? ISC_LABEL_NULL : c % 3;
    for (int i = 0; i < SITES; i++)
      for (int f = 0; f < FEATURES; f++)
        s->exact[i][f * CONDITIONS + c] = s->label_hat[f][c] < 0 ? NAN : 0.9 - 0.3 * i;
    for (int i = 0; i < SITES; i++)
      s->ball[i][c] = i == 2 ? 5 : 40;
  }
  for (int r = 0; r < ROWS; r++) {
    s->log_q[r] = -2;
    s->log_p[r] = isc_rng_uniform(&rng) < 0.1 ? -INFINITY : -3;
    for (int i = 0; i < SITES; i++) {
      s->d[i][r] = isc_rng_uniform(&rng) * 0.12 * pow(2, i);
      for (int f = 0; f < FEATURES; f++) {
        int32_t want = s->label_hat[f][r / EACH];
        s->label[i][f][r] = isc_rng_uniform(&rng) < 0.9 - 0.3 * i ? (want < 0 ? 0 : want) : 7;
      }
    }
  }
  s->d[0][5] = NAN; /* an activation that could not be had */
}

static isc_status set_site(isc_eval *e, const study *s, int i) {
  const char *const name[] = {"head.0.0", "head.0.1", "resid_post.1"};
  const int32_t *label[] = {s->label[i][0], s->label[i][1]},
                *label_hat[] = {s->label_hat[0], s->label_hat[1]};
  const isc_eval_input in = {.name = name[i],
                             .kernel = &s->kernel,
                             .samples = {.n_conditions = CONDITIONS,
                                         .n_texts = ROWS,
                                         .start = s->start,
                                         .d = s->d[i],
                                         .log_q = s->log_q,
                                         .log_p = s->log_p},
                             .label = label,
                             .label_hat = label_hat,
                             .exact = s->exact[i],
                             .exact_ess = s->ess,
                             .ball = s->ball[i]};
  return isc_eval_set_site(e, i, &in);
}

static isc_eval *evaluate(const study *s, bool backwards) {
  isc_eval *e;
  isc_assert_ok(isc_eval_open(SITES, FEATURES, CONDITIONS, 200, 3, &e));
  for (int i = 0; i < SITES; i++)
    isc_assert_ok(set_site(e, s, backwards ? SITES - 1 - i : i));
  isc_assert_ok(isc_eval_finish(e));
  return e;
}

Test(eval, a_row_holds_the_means_over_conditions) {
  static study s;
  study_open(&s);
  isc_eval *e = evaluate(&s, false);
  for (int i = 0; i < SITES; i++) {
    const isc_eval_site *row = &e->site[i];
    double refused = 0, valid = 0, match = 0, used = 0, reject = 0;
    for (int c = 0; c < CONDITIONS; c++) {
      double in = 0, same = 0;
      for (int r = EACH * c; r < EACH * (c + 1); r++) {
        bool inside = s.d[i][r]<0.1, of_prior = s.log_p[r]> - INFINITY,
             agrees = s.label[i][0][r] == s.label_hat[0][c];
        refused += !inside;
        valid += of_prior;
        match += agrees;
        in += inside && of_prior;
        same += inside && of_prior && agrees;
      }
      used += in > 0;
      if (in > 0) reject += same / in;
    }
    const isc_fcr *f = row->fcr;
    cr_assert_float_eq(row->refusal.estimate, refused / ROWS, 1e-14);
    cr_assert_float_eq(row->validity.estimate, valid / ROWS, 1e-14);
    cr_assert_float_eq(f[ISC_FCR_PLAIN].rate.estimate, match / ROWS, 1e-14);
    cr_assert_float_eq(f[ISC_FCR_REJECT].rate.estimate, reject / used, 1e-14);
    cr_assert_eq(f[ISC_FCR_REJECT].rate.n, (int64_t)used);
    cr_assert_eq(f[ISC_FCR_PLAIN].ess, EACH);
    /* Equal P, k and q: the importance weights are those of rejection. */
    cr_assert_float_eq(f[ISC_FCR_SNIS].rate.estimate, f[ISC_FCR_REJECT].rate.estimate, 1e-14);
    cr_assert_float_eq(f[ISC_FCR_EXACT].rate.estimate, 0.9 - 0.3 * i, 1e-14);
    cr_assert_float_eq(f[ISC_FCR_EXACT].ess, 55.5, 1e-12);
    cr_assert_eq(row->fcr[ISC_ESTIMATORS + ISC_FCR_PLAIN].rate.n,
                 CONDITIONS - 1); /* one x̂ has no second label */
    cr_assert_eq(row->fcr[ISC_ESTIMATORS + ISC_FCR_EXACT].rate.n, CONDITIONS - 1);
    cr_assert_float_eq(row->ball.estimate, i == 2 ? 5 : 40, 1e-12);
    cr_assert_eq(row->samples, ROWS);
    for (int k = 0; k < ISC_ESTIMATORS; k++)
      cr_assert(f[k].rate.lo <= f[k].rate.estimate && f[k].rate.estimate <= f[k].rate.hi);
    for (int q = 1; q < ISC_EVAL_QUANTILES; q++)
      cr_assert(row->distance[q] >= row->distance[q - 1]);
  }
  cr_assert_str_eq(e->site[2].name, "resid_post.1");
  isc_eval_close(e);
  isc_noise_law_close(s.kernel.self);
}

Test(eval, the_summary_is_of_the_rows) {
  static study s;
  study_open(&s);
  isc_eval *e = evaluate(&s, false);
  double mean = 0, error[FEATURES] = {0}, largest[FEATURES] = {0};
  for (int i = 0; i < SITES; i++) {
    mean += e->site[i].refusal.estimate / SITES;
    for (int f = 0; f < FEATURES; f++) {
      const isc_fcr *r = e->site[i].fcr + f * ISC_ESTIMATORS;
      double off = fabs(r[ISC_FCR_REJECT].rate.estimate - r[ISC_FCR_EXACT].rate.estimate);
      error[f] += off / SITES;
      if (i < 2) largest[f] = fmax(largest[f], off); /* the third ball is too small to count */
    }
  }
  cr_assert_float_eq(e->refusal.estimate, mean, 1e-14);
  cr_assert(e->refusal.lo < mean && mean < e->refusal.hi && e->refusal.n == CONDITIONS);
  cr_assert_eq(e->worst, 2);
  for (int f = 0; f < FEATURES; f++) {
    cr_assert_float_eq(e->agreement[f].mean_error, error[f], 1e-14);
    cr_assert_float_eq(e->agreement[f].max_error, largest[f], 1e-14);
  }
  int64_t top[5];
  cr_assert_eq(isc_eval_top(e, 0, ISC_FCR_EXACT, 5, top), 3);
  cr_assert(top[0] == 0 && top[1] == 1 && top[2] == 2);
  cr_assert_eq(isc_eval_top(e, 0, ISC_FCR_EXACT, 2, top), 2);
  cr_assert(top[0] == 0 && top[1] == 1);
  isc_eval_close(e);
  isc_noise_law_close(s.kernel.self);
}

Test(eval, the_order_of_sites_changes_nothing) {
  static study s;
  study_open(&s);
  isc_eval *a = evaluate(&s, false), *b = evaluate(&s, true);
  for (int i = 0; i < SITES; i++) {
    cr_assert_eq(memcmp(&a->site[i].refusal, &b->site[i].refusal, sizeof(isc_interval)), 0);
    for (int k = 0; k < FEATURES * ISC_ESTIMATORS; k++)
      cr_assert_eq(memcmp(&a->site[i].fcr[k].rate, &b->site[i].fcr[k].rate, sizeof(isc_interval)),
                   0);
  }
  cr_assert_eq(memcmp(&a->refusal, &b->refusal, sizeof a->refusal), 0);
  isc_eval_close(a);
  isc_eval_close(b);
  isc_noise_law_close(s.kernel.self);
}

Test(eval, what_is_not_known_is_marked) {
  static study s;
  study_open(&s);
  isc_eval *e;
  isc_assert_ok(isc_eval_open(2, 1, CONDITIONS, 100, 1, &e));
  const int32_t *label[] = {s.label[0][0]}, *label_hat[] = {s.label_hat[0]};
  const isc_eval_input in = {
      .name = "x",
      .kernel = &s.kernel,
      .label = label,
      .label_hat = label_hat,
      .samples = {.n_conditions = CONDITIONS, .n_texts = ROWS, .start = s.start, .d = s.d[0]}};
  isc_assert_ok(isc_eval_set_site(e, 1, &in));
  isc_assert_ok(isc_eval_finish(e));
  cr_assert_eq(e->site[1].fcr[ISC_FCR_SNIS].rate.n, 0);
  cr_assert(isnan(e->site[1].fcr[ISC_FCR_EXACT].rate.estimate) &&
            isnan(e->site[1].validity.estimate));
  cr_assert_eq(e->site[1].ball.n, 0);
  cr_assert(isnan(e->agreement[0].mean_error) && isnan(e->chance[0].estimate) &&
            isnan(e->validity.estimate));
  cr_assert_eq(e->worst, 1); /* site 0 was never set */
  cr_assert_gt(e->refusal.n, 0);
  isc_eval_close(e);
  isc_noise_law_close(s.kernel.self);
}

Test(eval, samples_of_another_study_are_refused) {
  static study s;
  study_open(&s);
  isc_eval *e;
  isc_assert_ok(isc_eval_open(1, 1, CONDITIONS + 1, 100, 1, &e));
  isc_assert_fails(set_site(e, &s, 0), ISC_E_SHAPE, "head.0.0");
  isc_eval_close(e);
  isc_assert_ok(isc_eval_open(1, 1, CONDITIONS, 100, 1, &e));
  s.log_q[3] = NAN;
  isc_assert_fails(set_site(e, &s, 0), ISC_E_NUMERIC, "site head.0.0: samples: log q of sample 3");
  isc_eval_close(e);
  isc_noise_law_close(s.kernel.self);
}

Test(eval, every_failed_allocation_is_reported) {
  static study s;
  study_open(&s);
  int64_t k = 1;
  for (isc_status st = ISC_E_NOMEM; st != ISC_OK; k++) {
    isc_eval *e = NULL;
    isc_alloc_fail_at(k);
    st = isc_eval_open(SITES, FEATURES, CONDITIONS, 20, 3, &e);
    if (st == ISC_OK) st = isc_eval_set_chance(e, 0, s.exact[0]);
    for (int i = 0; st == ISC_OK && i < SITES; i++)
      st = set_site(e, &s, i);
    if (st == ISC_OK) st = isc_eval_finish(e);
    isc_alloc_fail_at(0);
    cr_assert(st == ISC_OK || st == ISC_E_NOMEM);
    isc_eval_close(e);
  }
  cr_assert_gt(k, 20);
  isc_noise_law_close(s.kernel.self);
}
