/* SPDX-License-Identifier: Apache-2.0
 *
 * The estimators of FCR against brute force on a small prior whose P(x; ẑ) is known.
 */
#include "eval/exact.h"
#include "eval/fcr.h"
#include "support.h"
#include <inversescope/noise_law.h>
#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  TEXTS = 300,
  WIDTH = 3,
  CONDITIONS = 5,
  LABELS = 4,
  OUTSIDE = 20 /* texts that are not of the prior */
};

static double log_gaussian(double ratio) {
  return -ratio * ratio;
}

static double log_hard(double ratio) {
  return ratio * 0;
}

static isc_status no_open(const void *conf, int64_t dim, void **self) {
  (void)conf, (void)dim, (void)self;
  return ISC_E_UNSUPPORTED;
}

static const isc_kernel_ops ops = ISC_NOISE_LAW_OPS(no_open);

static isc_kernel kernel(isc_geometry g, bool hard, double epsilon) {
  const isc_noise_spec spec = {
      sizeof spec,        g, ISC_LEBESGUE, WIDTH, epsilon, 0.3, hard ? log_hard : log_gaussian,
      hard ? 1 : INFINITY};
  isc_kernel k = {.ops = &ops, .name = "test"};
  isc_assert_ok(isc_noise_law_open(&spec, &k.self));
  return k;
}

/* A prior of TEXTS texts; the first OUTSIDE of them have no probability. Labels lean on the activation, so that near texts
 * agree more often than far ones; label 3 stands for null. */
typedef struct world {
  float z[TEXTS * WIDTH];
  double log_p[TEXTS];
  int32_t label[TEXTS];
  int64_t hat[CONDITIONS]; /* the text that is x̂ */
  int32_t label_hat[CONDITIONS];
} world;

static world make_world(void) {
  world w;
  isc_rng rng = isc_rng_at(41, ISC_RNG_USER, 0);
  isc_rng_normals(&rng, w.z, TEXTS * WIDTH);
  for (int i = 0; i < TEXTS; i++) {
    double norm = sqrt(w.z[3 * i] * w.z[3 * i] + w.z[3 * i + 1] * w.z[3 * i + 1] +
                       w.z[3 * i + 2] * w.z[3 * i + 2]);
    for (int j = 0; j < WIDTH; j++)
      w.z[3 * i + j] = (float)(w.z[3 * i + j] / norm * (0.8 + 0.4 * isc_rng_uniform(&rng)));
    w.log_p[i] = i < OUTSIDE ? -INFINITY : -3 * isc_rng_uniform(&rng);
    int leaning = w.z[3 * i] > 0 ? 0 : 1, any = (int)isc_rng_below(&rng, LABELS);
    w.label[i] = isc_rng_uniform(&rng) < 0.6 ? leaning : any;
    if (w.label[i] == 3) w.label[i] = ISC_LABEL_NULL;
  }
  for (int c = 0; c < CONDITIONS; c++) {
    w.hat[c] = OUTSIDE + 40 * c;
    w.label_hat[c] = c == 4 ? ISC_LABEL_NULL : c % 2;
  }
  return w;
}

/* By the definition, sharing nothing with the library. */
static double distance(const world *w, isc_geometry g, int64_t text, int64_t hat) {
  const float *a = w->z + WIDTH * text, *b = w->z + WIDTH * hat;
  double dot = 0, aa = 0, bb = 0, apart = 0;
  for (int j = 0; j < WIDTH; j++) {
    dot += (double)a[j] * b[j];
    aa += (double)a[j] * a[j];
    bb += (double)b[j] * b[j];
    apart += ((double)a[j] - b[j]) * ((double)a[j] - b[j]);
  }
  if (g == ISC_EUCLIDEAN) return sqrt(apart);
  if (g == ISC_NORMALISED) return sqrt(apart / bb);
  return fabs(sqrt(aa) - sqrt(bb)) < 0.3 * sqrt(bb) ? 1 - dot / sqrt(aa * bb) : INFINITY;
}

static double k_of(bool hard, double ratio) {
  return hard ? ratio < 1 : exp(-ratio * ratio);
}

typedef struct truth {
  double rate[CONDITIONS], ess[CONDITIONS], mass[CONDITIONS];
  int64_t ball[CONDITIONS];
} truth;

static truth brute_force(const world *w, isc_geometry g, bool hard, double epsilon) {
  truth t = {0};
  for (int c = 0; c < CONDITIONS; c++) {
    double sum = 0, square = 0, match = 0, prior = 0;
    for (int i = 0; i < TEXTS; i++) {
      double d = distance(w, g, i, w->hat[c]), p = exp(w->log_p[i]),
             weight = p * k_of(hard, d / epsilon);
      prior += p;
      sum += weight;
      square += weight * weight;
      t.ball[c] += d < epsilon;
      if (w->label[i] == w->label_hat[c]) match += weight;
    }
    t.rate[c] = match / sum;
    t.ess[c] = sum * sum / square;
    t.mass[c] = sum / prior;
  }
  return t;
}

static void check_exact(isc_geometry g, bool hard, double epsilon) {
  world w = make_world();
  isc_kernel k = kernel(g, hard, epsilon);
  float centre[CONDITIONS * WIDTH];
  for (int c = 0; c < CONDITIONS; c++)
    memcpy(centre + WIDTH * c, w.z + WIDTH * w.hat[c], WIDTH * sizeof *centre);
  const int32_t *label[] = {w.label}, *label_hat[] = {w.label_hat};
  truth want = brute_force(&w, g, hard, epsilon), got;
  const isc_exact e = {.kernel = &k,
                       .width = WIDTH,
                       .n_support = TEXTS,
                       .n_conditions = CONDITIONS,
                       .n_features = 1,
                       .support = w.z,
                       .condition = centre,
                       .log_p = w.log_p,
                       .label = label,
                       .label_hat = label_hat,
                       .rate = got.rate,
                       .ess = got.ess,
                       .mass = got.mass,
                       .ball = got.ball};
  isc_assert_ok(isc_exact_run(&e));
  for (int c = 0; c < CONDITIONS; c++) {
    cr_assert(want.ball[c] > 1 && want.ball[c] < TEXTS, "a ball of %d says little",
              (int)want.ball[c]);
    cr_assert_eq(got.ball[c], want.ball[c]);
    cr_assert_float_eq(got.ess[c], want.ess[c], 1e-9 * want.ess[c]);
    cr_assert_float_eq(got.mass[c], want.mass[c], 1e-12);
    if (c == 4)
      cr_assert(isnan(got.rate[c]));
    else
      cr_assert_float_eq(got.rate[c], want.rate[c], 1e-12);
  }
  isc_noise_law_close(k.self);
}

Test(exact, is_the_weighted_mean_over_the_whole_prior) {
  check_exact(ISC_ANGULAR, true, 0.1);
  check_exact(ISC_ANGULAR, false, 0.1);
  check_exact(ISC_EUCLIDEAN, true, 0.5);
  check_exact(ISC_NORMALISED, false, 0.4);
}

Test(exact, a_uniform_prior_needs_no_log_p) {
  world w = make_world();
  isc_kernel k = kernel(ISC_ANGULAR, true, 0.1);
  const int32_t *label[] = {w.label}, *label_hat[] = {w.label_hat};
  for (int i = 0; i < TEXTS; i++)
    w.log_p[i] = -7;
  double with, without;
  isc_exact e = {.kernel = &k,
                 .width = WIDTH,
                 .n_support = TEXTS,
                 .n_conditions = 1,
                 .n_features = 1,
                 .support = w.z,
                 .condition = w.z + WIDTH * w.hat[0],
                 .log_p = w.log_p,
                 .label = label,
                 .label_hat = label_hat,
                 .rate = &with};
  isc_assert_ok(isc_exact_run(&e));
  e.log_p = NULL;
  e.rate = &without;
  isc_assert_ok(isc_exact_run(&e));
  cr_assert_eq(with, without);
  e.log_p = (const double[TEXTS]){0};
  w.log_p[9] = NAN;
  e.log_p = w.log_p;
  isc_assert_fails(isc_exact_run(&e), ISC_E_NUMERIC, "input 9");
  isc_noise_law_close(k.self);
}

/* Draws from a known q: nearer texts likelier, everything possible, log q exact. */
typedef struct drawn {
  int64_t start[CONDITIONS + 1], *text;
  double *d, *log_q;
} drawn;

static drawn draw(const world *w, isc_geometry g, double epsilon, int64_t each, uint64_t stream) {
  drawn s = {.text = calloc((size_t)(CONDITIONS * each), sizeof *s.text),
             .d = calloc((size_t)(CONDITIONS * each), sizeof *s.d),
             .log_q = calloc((size_t)(CONDITIONS * each), sizeof *s.log_q)};
  for (int c = 0; c < CONDITIONS; c++) {
    double q[TEXTS], total = 0;
    for (int i = 0; i < TEXTS; i++) {
      q[i] = exp(-distance(w, g, i, w->hat[c]) / epsilon) + 1e-3;
      total += q[i];
    }
    isc_rng rng = isc_rng_at(42, ISC_RNG_USER, stream * 1000 + (uint64_t)c);
    s.start[c + 1] = (c + 1) * each;
    for (int64_t j = c * each; j < (c + 1) * each; j++) {
      double u = isc_rng_uniform(&rng) * total;
      int i = 0;
      while (i < TEXTS - 1 && (u -= q[i]) > 0)
        i++;
      s.text[j] = i;
      s.d[j] = distance(w, g, i, w->hat[c]);
      s.log_q[j] = log(q[i] / total);
    }
  }
  return s;
}

static void drawn_free(drawn *s) {
  free(s->text);
  free(s->d);
  free(s->log_q);
}

static isc_sample_set as_set(const world *w, const drawn *s) {
  return (isc_sample_set){.n_conditions = CONDITIONS,
                          .n_texts = TEXTS,
                          .start = s->start,
                          .d = s->d,
                          .log_q = s->log_q,
                          .text = s->text,
                          .log_p = w->log_p};
}

Test(fcr, plain_and_reject_count_as_defined) {
  enum { EACH = 50 };
  world w = make_world();
  isc_kernel k = kernel(ISC_ANGULAR, false, 0.1);
  drawn s = draw(&w, ISC_ANGULAR, 0.1, EACH, 0);
  isc_sample_set set = as_set(&w, &s);
  isc_assert_ok(isc_sample_set_check(&set));
  double plain[CONDITIONS], reject[CONDITIONS], refusal[CONDITIONS], validity[CONDITIONS],
      ess[CONDITIONS];
  isc_fcr_by_condition(ISC_FCR_PLAIN, &set, &k, w.label, w.label_hat, plain, NULL);
  isc_fcr_by_condition(ISC_FCR_REJECT, &set, &k, w.label, w.label_hat, reject, ess);
  isc_refusal_by_condition(&set, 0.1, refusal);
  isc_validity_by_condition(&set, validity);
  for (int c = 0; c < CONDITIONS; c++) {
    double all = 0, inside = 0, match = 0, match_inside = 0, far = 0;
    for (int j = EACH * c; j < EACH * (c + 1); j++) {
      bool same = w.label[s.text[j]] == w.label_hat[c], of_prior = s.text[j] >= OUTSIDE,
           near = s.d[j] < 0.1;
      all += of_prior;
      far += !near;
      match += same;
      inside += near && of_prior;
      match_inside += near && of_prior && same;
    }
    cr_assert_float_eq(refusal[c], far / EACH, 1e-15);
    cr_assert_float_eq(validity[c], all / EACH, 1e-15);
    if (c == 4) {
      cr_assert(isnan(plain[c]) && isnan(reject[c]) && isnan(ess[c]));
      continue;
    }
    cr_assert(inside > 0 && inside < EACH);
    cr_assert_float_eq(plain[c], match / EACH, 1e-15);
    cr_assert_float_eq(reject[c], match_inside / inside, 1e-15);
    cr_assert_float_eq(ess[c], inside, 1e-9);
  }
  drawn_free(&s);
  isc_noise_law_close(k.self);
}

/* Self-normalised importance sampling converges to the exact value at the rate its effective sample size says. */
static void check_snis(isc_geometry g, bool hard, double epsilon) {
  enum { EACH = 40000 };
  world w = make_world();
  isc_kernel k = kernel(g, hard, epsilon);
  drawn s = draw(&w, g, epsilon, EACH, 1);
  isc_sample_set set = as_set(&w, &s);
  truth want = brute_force(&w, g, hard, epsilon);
  double rate[CONDITIONS], ess[CONDITIONS], plain[CONDITIONS], off = 0;
  isc_fcr_by_condition(ISC_FCR_SNIS, &set, &k, w.label, w.label_hat, rate, ess);
  isc_fcr_by_condition(ISC_FCR_PLAIN, &set, &k, w.label, w.label_hat, plain, NULL);
  for (int c = 0; c < 4; c++) {
    cr_assert(ess[c] > 1000 && ess[c] < EACH);
    double error = sqrt(want.rate[c] * (1 - want.rate[c]) / ess[c]);
    cr_assert_float_eq(rate[c], want.rate[c], 5 * error, "%g, exactly %g ± %g", rate[c],
                       want.rate[c], error);
    off = fmax(off, fabs(plain[c] - want.rate[c]) / error);
  }
  cr_assert_gt(off, 10, "q should differ from P(x; ẑ), or this shows nothing");
  drawn_free(&s);
  isc_noise_law_close(k.self);
}

Test(fcr, snis_converges_to_exact) {
  check_snis(ISC_ANGULAR, true, 0.1);
  check_snis(ISC_ANGULAR, false, 0.1);
  check_snis(ISC_EUCLIDEAN, true, 0.6);
}

/* With few samples its bias is of the order 1/n: the mean over many small runs lies close to exact. */
Test(fcr, snis_bias_is_small_with_few_samples) {
  enum { EACH = 30, RUNS = 2000 };
  world w = make_world();
  isc_kernel k = kernel(ISC_ANGULAR, true, 0.2);
  truth want = brute_force(&w, ISC_ANGULAR, true, 0.2);
  double mean[CONDITIONS] = {0}, runs[CONDITIONS] = {0};
  drawn s = draw(&w, ISC_ANGULAR, 0.2, EACH * RUNS, 2);
  for (int r = 0; r < RUNS; r++) {
    int64_t start[CONDITIONS + 1] = {0}, text[CONDITIONS * EACH];
    double d[CONDITIONS * EACH], log_q[CONDITIONS * EACH], rate[CONDITIONS];
    for (int c = 0; c < CONDITIONS; c++) {
      start[c + 1] = (c + 1) * EACH;
      for (int j = 0; j < EACH; j++) {
        int64_t from = (int64_t)c * EACH * RUNS + (int64_t)r * EACH + j;
        text[c * EACH + j] = s.text[from];
        d[c * EACH + j] = s.d[from];
        log_q[c * EACH + j] = s.log_q[from];
      }
    }
    isc_sample_set set = as_set(&w, &s);
    set.start = start;
    set.text = text;
    set.d = d;
    set.log_q = log_q;
    isc_fcr_by_condition(ISC_FCR_SNIS, &set, &k, w.label, w.label_hat, rate, NULL);
    for (int c = 0; c < 4; c++)
      if (!isnan(rate[c])) {
        mean[c] += rate[c];
        runs[c]++;
      }
  }
  for (int c = 0; c < 4; c++) /* 1/30, plus noise of 0.5/√2000 ≈ 0.01 */
    cr_assert_float_eq(mean[c] / runs[c], want.rate[c], 0.04, "%g, exactly %g", mean[c] / runs[c],
                       want.rate[c]);
  drawn_free(&s);
  isc_noise_law_close(k.self);
}

Test(fcr, a_multiplicity_is_that_many_samples) {
  world w = make_world();
  isc_kernel k = kernel(ISC_ANGULAR, false, 0.3);
  const int64_t start[] = {0, 3}, count[] = {3, 0, 2}, text[] = {60, 70, 80};
  const int64_t long_start[] = {0, 5}, long_text[] = {60, 60, 60, 80, 80};
  double d[] = {0.05, 0.2, 0.1}, q[] = {-1, -2, -3}, long_d[] = {0.05, 0.05, 0.05, 0.1, 0.1};
  double long_q[] = {-1, -1, -1, -3, -3};
  w.label[60] = w.label_hat[0];
  w.label[80] = 1 - w.label_hat[0];
  isc_sample_set a = {.n_conditions = 1,
                      .n_texts = TEXTS,
                      .start = start,
                      .d = d,
                      .log_q = q,
                      .count = count,
                      .text = text,
                      .log_p = w.log_p};
  isc_sample_set b = {.n_conditions = 1,
                      .n_texts = TEXTS,
                      .start = long_start,
                      .d = long_d,
                      .log_q = long_q,
                      .text = long_text,
                      .log_p = w.log_p};
  for (int e = 0; e < 3; e++) {
    double x, y, ex, ey;
    isc_fcr_by_condition((isc_estimator)e, &a, &k, w.label, w.label_hat, &x, &ex);
    isc_fcr_by_condition((isc_estimator)e, &b, &k, w.label, w.label_hat, &y, &ey);
    cr_assert_float_eq(x, y, 1e-14);
    cr_assert_float_eq(ex, ey, 1e-12);
    cr_assert(x > 0 && x < 1);
  }
  isc_noise_law_close(k.self);
}

Test(fcr, conditions_without_evidence_say_nothing) {
  world w = make_world();
  isc_kernel k = kernel(ISC_ANGULAR, true, 0.1);
  /* All far; all off the prior; no samples at all. */
  const int64_t start[] = {0, 2, 3, 3}, text[] = {100, 101, 0};
  const double d[] = {0.5, INFINITY, 0.01}, q[] = {-1, -1, -1};
  isc_sample_set s = {.n_conditions = 3,
                      .n_texts = TEXTS,
                      .start = start,
                      .d = d,
                      .log_q = q,
                      .text = text,
                      .log_p = w.log_p};
  double rate[3], refusal[3], validity[3];
  const isc_estimator weighed[] = {ISC_FCR_REJECT, ISC_FCR_SNIS, ISC_FCR_EXACT};
  for (int e = 0; e < 3; e++) {
    isc_fcr_by_condition(weighed[e], &s, &k, w.label, w.label_hat, rate, NULL);
    cr_assert(isnan(rate[0]) && isnan(rate[1]) && isnan(rate[2]), "%s",
              isc_estimator_name(weighed[e]));
  }
  isc_refusal_by_condition(&s, 0.1, refusal);
  isc_validity_by_condition(&s, validity);
  cr_assert(refusal[0] == 1 && refusal[1] == 0 && isnan(refusal[2]));
  cr_assert(validity[0] == 1 && validity[1] == 0 && isnan(validity[2]));
  s.log_p = NULL; /* a prior that cannot tell: ball only, and no importance weights */
  isc_fcr_by_condition(ISC_FCR_REJECT, &s, &k, w.label, w.label_hat, rate, NULL);
  cr_assert(!isnan(rate[1]));
  isc_fcr_by_condition(ISC_FCR_SNIS, &s, &k, w.label, w.label_hat, rate, NULL);
  cr_assert(isnan(rate[1]));
  isc_validity_by_condition(&s, validity);
  cr_assert(isnan(validity[0]));
  isc_noise_law_close(k.self);
}

/* A distance of exactly ε is outside: the ball is open. */
Test(fcr, the_ball_is_open) {
  const int64_t start[] = {0, 2};
  const double d[] = {0.1, 0.09999};
  const isc_sample_set s = {.n_conditions = 1, .n_texts = 2, .start = start, .d = d};
  double refusal;
  isc_refusal_by_condition(&s, 0.1, &refusal);
  cr_assert_eq(refusal, 0.5);
}

Test(fcr, broken_samples_are_refused) {
  const int64_t start[] = {0, 2}, text[] = {0, 5}, back[] = {0, -1}, count[] = {1, -1};
  const double d[] = {0, 0}, q[] = {-1, NAN}, p[] = {0, INFINITY};
  isc_sample_set s = {.n_conditions = 1, .n_texts = 2, .start = start, .d = d};
  isc_assert_ok(isc_sample_set_check(&s));
  s.text = text;
  isc_assert_fails(isc_sample_set_check(&s), ISC_E_FORMAT, "text 5 of 2");
  s.text = NULL;
  s.count = count;
  isc_assert_fails(isc_sample_set_check(&s), ISC_E_FORMAT, "-1 times");
  s.count = NULL;
  s.log_q = q;
  isc_assert_fails(isc_sample_set_check(&s), ISC_E_NUMERIC, "log q of sample 1");
  s.log_q = NULL;
  s.log_p = p;
  isc_assert_fails(isc_sample_set_check(&s), ISC_E_NUMERIC, "log P of text 1");
  s.start = back;
  isc_assert_fails(isc_sample_set_check(&s), ISC_E_FORMAT, "ends before");
}

Test(fcr, chance_is_the_priors_share_of_the_label) {
  const int32_t label[] = {0, 1, 1, ISC_LABEL_NULL, 2}, hat[] = {1, 0, ISC_LABEL_NULL, 9};
  const double log_p[] = {log(0.4), log(0.3), log(0.1), log(0.1), log(0.1)};
  double rate[4];
  isc_assert_ok(isc_chance_by_condition(5, label, NULL, 4, hat, rate));
  cr_assert(rate[0] == 0.4 && rate[1] == 0.2 && isnan(rate[2]) && rate[3] == 0);
  isc_assert_ok(isc_chance_by_condition(5, label, log_p, 4, hat, rate));
  cr_assert_float_eq(rate[0], 0.4, 1e-15);
  cr_assert_float_eq(rate[1], 0.4, 1e-15);
  isc_assert_ok(isc_chance_by_condition(0, label, NULL, 1, hat, rate));
  cr_assert(isnan(rate[0]));
}
