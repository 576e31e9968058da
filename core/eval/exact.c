/* SPDX-License-Identifier: Apache-2.0
 *
 * Weighted label counts over all inputs near each ẑ, accumulated as the ball search finds them.
 */
#include "eval/exact.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

/* k below this is no evidence: the support would have to outweigh it a million million times. */
static const double NEGLIGIBLE = 1e-16;

enum { PIECE = 512 };

typedef struct sums {
  const isc_exact *e;
  double epsilon, largest_log_p, prior_mass;
  double *weight, *square; /* [n_conditions]             */
  double *match;           /* [n_features, n_conditions] */
  int64_t *ball;           /* [n_conditions]             */
} sums;

/* P(x) relative to the likeliest x. */
static double prior(const sums *s, int64_t row) {
  return s->e->log_p ? exp(s->e->log_p[row] - s->largest_log_p) : 1;
}

/* Feature by feature, so that each runs through its labels in order. */
static void add_piece(sums *s, int64_t c, int64_t n, const int64_t *row, const double *d) {
  const isc_exact *e = s->e;
  double w[PIECE];
  for (int64_t i = 0; i < n; i++) {
    s->ball[c] += d[i] < s->epsilon;
    w[i] = prior(s, row[i]) * e->kernel->ops->profile(e->kernel->self, d[i] / s->epsilon);
    s->weight[c] += w[i];
    s->square[c] += w[i] * w[i];
  }
  for (int64_t f = 0; f < e->n_features; f++) {
    const int32_t *label = e->label[f], want = e->label_hat[f][c];
    double match = s->match[f * e->n_conditions + c];
    for (int64_t i = 0; i < n; i++)
      match += label[row[i]] == want ? w[i] : 0;
    s->match[f * e->n_conditions + c] = match;
  }
}

static isc_status add(void *user, int64_t c, int64_t n, const int64_t *row, const double *d) {
  for (int64_t i = 0; i < n; i += PIECE)
    add_piece(user, c, n - i < PIECE ? n - i : PIECE, row + i, d + i);
  return ISC_OK;
}

static isc_status weigh_prior(sums *s) {
  const isc_exact *e = s->e;
  s->largest_log_p = -INFINITY;
  for (int64_t i = 0; e->log_p && i < e->n_support; i++) {
    if (isnan(e->log_p[i]) || e->log_p[i] == INFINITY)
      return isc_fail(ISC_E_NUMERIC, "exact: log P of input %lld is %g", (long long)i, e->log_p[i]);
    s->largest_log_p = fmax(s->largest_log_p, e->log_p[i]);
  }
  if (e->log_p && s->largest_log_p == -INFINITY)
    return isc_fail(ISC_E_NUMERIC, "exact: no input of the prior has a positive probability");
  for (int64_t i = 0; i < e->n_support; i++)
    s->prior_mass += prior(s, i);
  return ISC_OK;
}

static void deliver(const sums *s) {
  const isc_exact *e = s->e;
  for (int64_t c = 0; c < e->n_conditions; c++) {
    double w = s->weight[c];
    if (e->ess) e->ess[c] = w > 0 ? w * w / s->square[c] : NAN;
    if (e->mass) e->mass[c] = w / s->prior_mass;
    if (e->ball) e->ball[c] = s->ball[c];
    for (int64_t f = 0; e->rate && f < e->n_features; f++) {
      bool silent = e->label_hat[f][c] == ISC_LABEL_NULL || !(w > 0);
      e->rate[f * e->n_conditions + c] = silent ? NAN : s->match[f * e->n_conditions + c] / w;
    }
  }
}

/* How far to look, and how well to know the distances there. */
static void set_reach(const isc_kernel *k, isc_ball *b) {
  double epsilon = k->ops->epsilon(k->self), ratio = 1;
  while (k->ops->profile(k->self, ratio) > NEGLIGIBLE && ratio < 1e6)
    ratio *= 1.25;
  b->reach = ratio < 1e6 ? ratio * epsilon : INFINITY;
  bool flat = ratio == 1 && k->ops->profile(k->self, nextafter(1, 0)) == 1;
  b->edge = epsilon;
  b->tolerance = flat ? INFINITY : 1e-3 * epsilon;
  b->geometry = k->ops->geometry(k->self);
  b->band = k->ops->band(k->self);
}

isc_status isc_exact_run(const isc_exact *e) {
  sums s = {.e = e, .epsilon = e->kernel->ops->epsilon(e->kernel->self)};
  size_t n = (size_t)e->n_conditions, matches;
  isc_ball b = {.width = e->width,
                .n_support = e->n_support,
                .n_centre = e->n_conditions,
                .support = e->support,
                .centre = e->condition,
                .device = e->device,
                .user = &s,
                .visit = add};
  set_reach(e->kernel, &b);
  isc_status st;
  ISC_GO(isc_mul_size(n, (size_t)e->n_features, "exact label counts", &matches));
  ISC_GO(isc_calloc(n, sizeof *s.weight, "exact weights", (void **)&s.weight));
  ISC_GO(isc_calloc(n, sizeof *s.square, "exact weights", (void **)&s.square));
  ISC_GO(isc_calloc(n, sizeof *s.ball, "ball sizes", (void **)&s.ball));
  ISC_GO(isc_calloc(matches, sizeof *s.match, "exact label counts", (void **)&s.match));
  ISC_GO(weigh_prior(&s));
  ISC_GO(isc_ball_search(&b));
  deliver(&s);
done:
  free(s.weight);
  free(s.square);
  free(s.ball);
  free(s.match);
  return st;
}
