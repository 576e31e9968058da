/* SPDX-License-Identifier: Apache-2.0
 *
 * The sample stage: x ~ q(x | ẑ) for every held-out condition at every site, and unconditional samples.
 */
#include "eval/distance.h"
#include "run/samples.h"
#include "run/scatter.h"
#include "run/stage.h"

#include <stdlib.h>

typedef struct sink {
  isc_run_state *r;
  isc_samples *samples;
  int64_t done, total;
} sink;

static isc_status keep(void *user, int64_t row, int64_t j, const char *text, size_t len,
                       double log_q) {
  sink *k = user;
  const int64_t at = row * k->samples->n_samples + j;
  ISC_TRY(isc_samples_intern(k->samples, text, len, &k->samples->text[at]));
  k->samples->log_q[at] = log_q;
  if (++k->done % 256 == 0 || k->done == k->total) {
    ISC_TRY(isc_stage_progress(k->r, k->done, k->total, NULL, 0));
    ISC_TRY(isc_stage_check(k->r));
  }
  return ISC_OK;
}

static isc_status keep_unconditional(void *user, int64_t row, int64_t j, const char *text,
                                     size_t len, double log_q) {
  sink *k = user;
  (void)j, (void)log_q;
  ISC_TRY(isc_stage_check(k->r));
  return isc_samples_intern(k->samples, text, len, &k->samples->unconditional[row]);
}

typedef struct conditions {
  int64_t *site;
  float **z;
  uint64_t *index;
  float *storage; /* every ẑ, site after site: [n_conditions, dim of the site] */
} conditions;

static void conditions_free(conditions *c) {
  free(c->site);
  free(c->z);
  free(c->index);
  free(c->storage);
}

static isc_status conditions_read(isc_study *s, const char *dir, conditions *c) {
  isc_status st = ISC_OK;
  isc_store *store = NULL;
  float *a = NULL;
  int64_t widest = 0, total = 0, row = 0;
  const int64_t n = s->n_conditions;
  for (int64_t i = 0; i < s->sites.n; i++) {
    if (s->sites.site[i].stored > widest) widest = s->sites.site[i].stored;
    total += s->sites.site[i].dim;
  }
  ISC_GO(isc_store_open(dir, s->sites.site, s->sites.n, s->n_test, &store));
  ISC_GO(isc_calloc((size_t)n, (size_t)widest * sizeof *a, "conditions", (void **)&a));
  ISC_GO(isc_calloc((size_t)n, (size_t)total * sizeof(float), "conditions", (void **)&c->storage));
  ISC_GO(isc_calloc((size_t)(n * s->sites.n), sizeof *c->site, "conditions", (void **)&c->site));
  ISC_GO(isc_calloc((size_t)(n * s->sites.n), sizeof *c->z, "conditions", (void **)&c->z));
  ISC_GO(isc_calloc((size_t)(n * s->sites.n), sizeof *c->index, "conditions", (void **)&c->index));
  float *z = c->storage;
  for (int64_t i = 0; i < s->sites.n; i++) {
    const isc_site *site = &s->sites.site[i];
    ISC_GO(isc_store_read(store, i, NULL, n, a));
    isc_site_expand(site, n, a, z);
    for (int64_t k = 0; k < n; k++, row++, z += site->dim) {
      c->site[row] = i;
      c->z[row] = z;
      /* An address of its own for every (site, condition, draw), the same however many are asked for. */
      c->index[row] = ((uint64_t)i << 44) | ((uint64_t)k << 20);
    }
  }
done:
  free(a);
  if (store) isc_store_close(store);
  return st;
}

isc_status isc_stage_sample(isc_run_state *r, void *arg) {
  isc_study *s = r->study;
  const isc_study_method *m = r->method;
  isc_status st = ISC_OK;
  isc_samples samples = {0};
  conditions c = {0};
  char *dir = NULL, *path = NULL;
  (void)arg;
  const int64_t extra = m->ops->sample_prior ? s->evaluate.unconditional : 0;
  ISC_GO(isc_study_path(s, &dir, "harvest/test"));
  ISC_GO(conditions_read(s, dir, &c));
  ISC_GO(isc_samples_new(&samples, s->sites.n, s->n_conditions, s->evaluate.samples, extra));
  sink k = {.r = r, .samples = &samples, .total = isc_samples_rows(&samples)};
  const isc_invert req = {.size = sizeof req,
                          .n = s->sites.n * s->n_conditions,
                          .site = c.site,
                          .z = (const float *const *)c.z,
                          .samples = s->evaluate.samples,
                          .temperature = s->evaluate.temperature,
                          .seed = (uint64_t)s->run.seed,
                          .index = c.index,
                          .batch = s->evaluate.batch,
                          .user = &k,
                          .sample = keep};
  ISC_GO(m->ops->invert(m->self, &req));
  if (extra)
    ISC_GO(m->ops->sample_prior(m->self, extra, s->evaluate.temperature, (uint64_t)s->run.seed,
                                s->evaluate.batch, &k, keep_unconditional));
  ISC_GO(isc_samples_renumber(&samples));
  ISC_GO(isc_path_join(r->stage_dir, "samples.db", &path));
  ISC_GO(isc_samples_write(&samples, path));
  ISC_GO(isc_scatter_sample(r));
done:
  isc_samples_free(&samples);
  conditions_free(&c);
  free(dir);
  free(path);
  return st;
}
