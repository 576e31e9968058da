/* SPDX-License-Identifier: Apache-2.0
 *
 * FCR and refusal at each other ε, site by site, with the bootstrap weights of the study's own numbers.
 */
#include "run/ablation.h"

#include "eval/exact.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the kernel with another ε */

typedef struct other_kernel {
  isc_kernel kernel;
  void *conf; /* the study's, but for ε */
} other_kernel;

static const isc_option *epsilon_option(const isc_class *cls) {
  for (const isc_option *o = cls->options; o && o->name; o++)
    if (!strcmp(o->name, "epsilon") && o->type == ISC_OPT_FLOAT) return o;
  return NULL;
}

static void kernel_close(other_kernel *k) {
  if (k->kernel.self) k->kernel.ops->close(k->kernel.self);
  free(k->conf);
  *k = (other_kernel){0};
}

static isc_status kernel_open(const isc_study *s, double epsilon, int64_t dim, other_kernel *out) {
  const isc_class *cls = s->kernel_class;
  const isc_option *o = epsilon_option(cls);
  *out = (other_kernel){.kernel = {.ops = cls->ops, .name = cls->name}};
  if (!o)
    return isc_fail(
        ISC_E_CONFIG,
        "%s: the kernel \"%s\" has no option epsilon that evaluate.epsilons could change",
        isc_config_where(s->config, "evaluate.epsilons"), cls->name);
  if (epsilon < o->min || epsilon > o->max)
    return isc_fail(ISC_E_CONFIG, "%s: %g: the kernel \"%s\" takes an epsilon from %g to %g",
                    isc_config_where(s->config, "evaluate.epsilons"), epsilon, cls->name, o->min,
                    o->max);
  ISC_TRY(isc_malloc(cls->conf_size, "kernel options", &out->conf));
  memcpy(out->conf, s->kernel_conf, cls->conf_size);
  memcpy((char *)out->conf + o->offset, &epsilon, sizeof epsilon);
  const isc_status st = out->kernel.ops->open(out->conf, dim, &out->kernel.self);
  if (st != ISC_OK) kernel_close(out);
  return st;
}

isc_status isc_ablation_check(const isc_study *s) {
  const isc_list *list = &s->evaluate.epsilons;
  for (int64_t e = 0; e < list->count; e++) {
    other_kernel k;
    ISC_TRY(kernel_open(s, list->at.f[e], s->sites.site[0].dim, &k));
    kernel_close(&k);
  }
  return ISC_OK;
}

/* ---- one site at one ε */

static const isc_estimator estimators[] = {ISC_FCR_REJECT, ISC_FCR_SNIS, ISC_FCR_EXACT};
enum { ESTIMATORS = 3 };

/* Rates by condition: [n_features, ESTIMATORS] columns and the refusal, each [n_conditions]; ess likewise. */
typedef struct columns {
  double *rate, *ess;
  isc_interval *interval;
  int64_t n, *start;
} columns;

static void columns_free(columns *c) {
  free(c->rate);
  free(c->ess);
  free(c->interval);
  free(c->start);
}

static isc_status columns_new(const isc_study *s, columns *c) {
  const size_t n_cond = (size_t)s->n_conditions;
  c->n = s->n_features * ESTIMATORS + 1;
  ISC_TRY(isc_calloc((size_t)c->n, n_cond * sizeof *c->rate, "ablation", (void **)&c->rate));
  ISC_TRY(isc_calloc((size_t)c->n, n_cond * sizeof *c->ess, "ablation", (void **)&c->ess));
  ISC_TRY(isc_calloc((size_t)c->n, sizeof *c->interval, "ablation", (void **)&c->interval));
  return isc_calloc(n_cond + 1, sizeof *c->start, "ablation", (void **)&c->start);
}

static double mean_known(int64_t n, const double *rate, const double *ess) {
  double sum = 0, used = 0;
  for (int64_t i = 0; i < n; i++) {
    if (isnan(rate[i]) || isnan(ess[i])) continue;
    sum += ess[i];
    used++;
  }
  return used > 0 ? sum / used : NAN;
}

/* The exact rates of all features come from one search of the ball. */
static isc_status fill_exact(const isc_score *s, int64_t site, const isc_kernel *k, columns *c) {
  const int64_t n = s->study->n_conditions, n_features = s->study->n_features;
  double *rate = NULL, *ess = NULL;
  isc_status st;
  ISC_GO(isc_calloc((size_t)n_features + 1, (size_t)n * sizeof *rate, "exact FCR", (void **)&rate));
  ISC_GO(isc_calloc((size_t)n, sizeof *ess, "exact FCR", (void **)&ess));
  const isc_exact e = {.kernel = k,
                       .device = s->study->device,
                       .width = s->judge.isometry[site].width,
                       .n_support = s->support.n,
                       .n_conditions = n,
                       .n_features = n_features,
                       .support = s->support.y[site],
                       .condition = s->condition.y[site],
                       .log_p = s->support.log_p,
                       .label = (const int32_t *const *)s->support_label,
                       .label_hat = (const int32_t *const *)s->label_hat,
                       .rate = rate,
                       .ess = ess};
  ISC_GO(isc_exact_run(&e));
  for (int64_t f = 0; f < n_features; f++) {
    const int64_t column = (f * ESTIMATORS + 2) * n;
    memcpy(c->rate + column, rate + f * n, (size_t)n * sizeof *rate);
    memcpy(c->ess + column, ess, (size_t)n * sizeof *ess);
  }
done:
  free(rate);
  free(ess);
  return st;
}

static isc_status fill(const isc_score *s, int64_t site, const isc_kernel *k, columns *c) {
  const int64_t n = s->study->n_conditions;
  const isc_sample_set set = isc_score_set(s, site, c->start);
  for (int64_t i = 0; i < c->n * n; i++)
    c->rate[i] = c->ess[i] = NAN;
  for (int64_t f = 0; f < s->study->n_features; f++)
    for (int64_t e = 0; e < 2; e++)
      isc_fcr_by_condition(estimators[e], &set, k, s->label[f], s->label_hat[f],
                           c->rate + (f * ESTIMATORS + e) * n, c->ess + (f * ESTIMATORS + e) * n);
  isc_refusal_by_condition(&set, k->ops->epsilon(k->self), c->rate + (c->n - 1) * n);
  return s->support.n ? fill_exact(s, site, k, c) : ISC_OK;
}

/* At the study's own ε these are the study's own numbers: the bootstrap's address is the site's. */
static isc_status site_at(const isc_score *s, int64_t site, const isc_kernel *k, columns *c,
                          isc_ablation_at *out) {
  const int64_t n = s->study->n_conditions, n_features = s->study->n_features;
  ISC_TRY(fill(s, site, k, c));
  const isc_bootstrap b = {.n = n,
                           .columns = c->n,
                           .resamples = s->study->evaluate.bootstrap,
                           .value = c->rate,
                           .seed = (uint64_t)s->study->run.seed,
                           .index = (uint64_t)site};
  ISC_TRY(isc_interval_bootstrap(&b, c->interval));
  for (int64_t f = 0; f < n_features; f++)
    for (int64_t e = 0; e < ESTIMATORS; e++) {
      const int64_t column = f * ESTIMATORS + e;
      out->fcr[(site * n_features + f) * ISC_ESTIMATORS + estimators[e]] =
          (isc_fcr){.rate = c->interval[column],
                    .ess = mean_known(n, c->rate + column * n, c->ess + column * n)};
    }
  out->refusal[site] = c->interval[c->n - 1];
  return ISC_OK;
}

static isc_status at_epsilon(isc_score *s, double epsilon, columns *c, isc_ablation_at *out) {
  const size_t n_sites = (size_t)s->study->sites.n, n_features = (size_t)s->study->n_features;
  out->epsilon = epsilon;
  ISC_TRY(isc_calloc(n_sites, (n_features + 1) * ISC_ESTIMATORS * sizeof *out->fcr, "ablation",
                     (void **)&out->fcr));
  ISC_TRY(isc_calloc(n_sites, sizeof *out->refusal, "ablation", (void **)&out->refusal));
  for (int64_t i = 0; i < s->study->sites.n; i++) {
    other_kernel k;
    ISC_TRY(kernel_open(s->study, epsilon, s->study->sites.site[i].dim, &k));
    const isc_status st = site_at(s, i, &k.kernel, c, out);
    kernel_close(&k);
    ISC_TRY(st);
    ISC_TRY(isc_stage_check(s->run));
  }
  return ISC_OK;
}

void isc_ablation_close(isc_ablation *a) {
  if (!a) return;
  for (int64_t e = 0; a->at && e < a->n; e++) {
    free(a->at[e].fcr);
    free(a->at[e].refusal);
  }
  free(a->at);
  free(a);
}

isc_status isc_ablation_find(isc_score *s, isc_ablation **out) {
  const isc_list *list = &s->study->evaluate.epsilons;
  columns c = {0};
  isc_status st = ISC_OK;
  *out = NULL;
  if (!list->count) return ISC_OK;
  ISC_GO(isc_calloc(1, sizeof **out, "ablation", (void **)out));
  ISC_GO(isc_calloc((size_t)list->count, sizeof *(*out)->at, "ablation", (void **)&(*out)->at));
  (*out)->n = list->count;
  ISC_GO(columns_new(s->study, &c));
  for (int64_t e = 0; e < list->count; e++)
    ISC_GO(at_epsilon(s, list->at.f[e], &c, &(*out)->at[e]));
done:
  columns_free(&c);
  if (st != ISC_OK) {
    isc_ablation_close(*out);
    *out = NULL;
  }
  return st;
}
