/* SPDX-License-Identifier: Apache-2.0
 *
 * Sampling a few texts in the middle of training and asking the prior about them.
 *
 * The draws are always the same ones, so that successive looks differ by the training alone.
 */
#include "method/watch.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

typedef struct tally {
  const isc_prior *prior;
  int64_t valid;
} tally;

typedef struct conditions {
  float *z; /* [n, widest] */
  const float **at;
  int64_t *site;
  uint64_t *index;
} conditions;

isc_watch isc_watch_new(const isc_method_env *env, const isc_sampler *sampler,
                        const isc_factors *factors, int64_t looks, int64_t steps) {
  bool possible = looks > 0 && env->prior && env->prior->ops->log_prob;
  int64_t every = possible && steps > looks ? steps / looks : possible;
  return (isc_watch){.env = env, .sampler = *sampler, .factors = factors, .every = every};
}

static isc_status count(void *user, int64_t row, int64_t j, const char *text, size_t len,
                        double log_q) {
  tally *t = user;
  double log_p;
  (void)row;
  (void)j;
  (void)log_q;
  ISC_TRY(t->prior->ops->log_prob(t->prior->self, text, len, &log_p));
  t->valid += log_p > -INFINITY;
  return ISC_OK;
}

/* z = a·M of one training input. */
static isc_status activation(const isc_factors *f, int64_t site, int64_t row, float *a, float *z) {
  const isc_site *s = &f->env->sites[site];
  ISC_TRY(isc_factors_rows(f, site, &row, 1, s->map ? a : z));
  for (int64_t k = 0; s->map && k < s->dim; k++) {
    double sum = 0;
    for (int64_t i = 0; i < s->stored; i++)
      sum += (double)a[i] * s->map[i * s->dim + k];
    z[k] = (float)sum;
  }
  return ISC_OK;
}

static isc_status fill(const isc_factors *f, int64_t n, conditions *c) {
  isc_status st = ISC_OK;
  int64_t wide = 1;
  float *a = NULL;
  for (int64_t g = 0; g < f->env->n_sites; g++) {
    const isc_site *s = &f->env->sites[g];
    wide = s->dim > wide ? s->dim : wide;
    wide = s->stored > wide ? s->stored : wide;
  }
  ISC_GO(isc_calloc((size_t)wide, sizeof *a, "activations", (void **)&a));
  ISC_GO(isc_calloc((size_t)(n * wide), sizeof *c->z, "activations", (void **)&c->z));
  for (int64_t r = 0; r < n; r++) {
    c->site[r] = r % f->env->n_sites;
    c->at[r] = c->z + r * wide;
    ISC_GO(activation(f, c->site[r], r % f->env->n_train, a, c->z + r * wide));
  }
done:
  free(a);
  return st;
}

static isc_status look(isc_watch *w) {
  enum { N = ISC_WATCH_SAMPLES };
  isc_status st = ISC_OK;
  conditions c = {0};
  tally t = {.prior = w->env->prior};
  ISC_GO(isc_calloc(N, sizeof *c.at, "sampling", (void **)&c.at));
  ISC_GO(isc_calloc(N, sizeof *c.site, "sampling", (void **)&c.site));
  ISC_GO(isc_calloc(N, sizeof *c.index, "sampling", (void **)&c.index));
  for (int64_t r = 0; r < N; r++)
    c.index[r] = (uint64_t)r;
  if (w->sampler.control) ISC_GO(fill(w->factors, N, &c));
  const isc_invert req = {.size = sizeof req,
                          .n = N,
                          .site = c.site,
                          .z = c.at,
                          .samples = 1,
                          .temperature = 1,
                          .seed = w->env->seed,
                          .index = c.index,
                          .batch = N,
                          .user = &t,
                          .sample = count};
  ISC_GO(isc_sampler_run(&w->sampler, &req));
  w->valid = (double)t.valid / N;
done:
  free(c.z);
  free(c.at);
  free(c.site);
  free(c.index);
  return st;
}

isc_status isc_watch_step(isc_watch *w, int64_t step, isc_metric *m, int64_t *n) {
  if (!w->every) return ISC_OK;
  const double flops = w->env->device->flops;
  if (step % w->every == 0) ISC_TRY(look(w));
  w->env->device->flops = flops; /* looking is not training */
  m[(*n)++] = (isc_metric){"valid", w->valid};
  return ISC_OK;
}
