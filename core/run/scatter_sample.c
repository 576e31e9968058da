/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples from ẑ + noise, for diversity: Gaussian, of the expected relative length that was asked for.
 */
#include "run/scatter.h"

#include <inversescope/rng.h>
#include <math.h>
#include <stdlib.h>

enum { MOST_SCALES = 16 }; /* that addresses have room for */

/* Rows are (site, condition, scale), the scale running fastest. */
typedef struct request {
  int64_t n_sites, n_conditions, n_scales, each;
  int64_t *site;   /* [rows] */
  const float **z; /* [rows] */
  uint64_t *index; /* [rows] */
  float *storage;
  isc_run_state *run;
  isc_samples samples;
} request;

static void request_free(request *q) {
  free(q->site);
  free(q->z);
  free(q->index);
  free(q->storage);
  isc_samples_free(&q->samples);
}

isc_status isc_scatter_check(const isc_study *s) {
  const int64_t n = s->evaluate.scatter_noise.count;
  if (n <= MOST_SCALES) return ISC_OK;
  return isc_fail(ISC_E_CONFIG, "%s: evaluate.scatter_noise has %lld lengths; at most %d",
                  isc_config_where(s->config, "evaluate.scatter_noise"), (long long)n, MOST_SCALES);
}

static isc_status request_new(const isc_study *s, isc_run_state *r, request *q) {
  size_t rows, total = 0;
  q->run = r;
  q->n_sites = s->sites.n;
  q->n_conditions = s->evaluate.scatter_conditions < s->n_conditions
                        ? s->evaluate.scatter_conditions
                        : s->n_conditions;
  q->n_scales = s->evaluate.scatter_noise.count;
  q->each = s->evaluate.samples;
  for (int64_t i = 0; i < q->n_sites; i++)
    total += (size_t)s->sites.site[i].dim;
  ISC_TRY(isc_mul_size((size_t)q->n_conditions, (size_t)q->n_scales, "noisy conditions", &rows));
  ISC_TRY(isc_calloc(rows, total * sizeof *q->storage, "noisy conditions", (void **)&q->storage));
  ISC_TRY(isc_mul_size(rows, (size_t)q->n_sites, "noisy conditions", &rows));
  ISC_TRY(isc_calloc(rows, sizeof *q->site, "noisy conditions", (void **)&q->site));
  ISC_TRY(isc_calloc(rows, sizeof *q->z, "noisy conditions", (void **)&q->z));
  ISC_TRY(isc_calloc(rows, sizeof *q->index, "noisy conditions", (void **)&q->index));
  return isc_samples_new(&q->samples, q->n_sites, q->n_conditions, q->n_scales * q->each, 0);
}

/* ẑ + scale·‖ẑ‖/√dim·N(0, I), whose noise has the expected squared length (scale·‖ẑ‖)². */
static void add_noise(int64_t dim, double scale, uint64_t seed, uint64_t index, const float *z_hat,
                      float *z) {
  double square = 0;
  isc_rng rng = isc_rng_at(seed, ISC_RNG_SCATTER, index);
  for (int64_t k = 0; k < dim; k++)
    square += (double)z_hat[k] * (double)z_hat[k];
  const double sigma = scale * sqrt(square / (double)dim);
  isc_rng_normals(&rng, z, dim);
  for (int64_t k = 0; k < dim; k++)
    z[k] = (float)((double)z_hat[k] + sigma * (double)z[k]);
}

/* Addresses of draws that no sample of the run has: those leave bit 62 free, and bits 40 to 43 of fewer conditions. */
static uint64_t address(int64_t site, int64_t condition, int64_t scale) {
  return (uint64_t)1 << 62 | (uint64_t)site << 44 | (uint64_t)scale << 40 |
         (uint64_t)condition << 20;
}

static isc_status fill_site(const isc_study *s, isc_store *store, int64_t i, request *q, float *a,
                            float *z_hat, float **next) {
  const isc_site *site = &s->sites.site[i];
  ISC_TRY(isc_store_read(store, i, NULL, q->n_conditions, a));
  for (int64_t c = 0; c < q->n_conditions; c++) {
    isc_site_expand(site, 1, a + c * site->stored, z_hat);
    for (int64_t k = 0; k < q->n_scales; k++, *next += site->dim) {
      const int64_t row = (i * q->n_conditions + c) * q->n_scales + k;
      q->site[row] = i;
      q->z[row] = *next;
      q->index[row] = address(i, c, k);
      add_noise(site->dim, s->evaluate.scatter_noise.at.f[k], (uint64_t)s->run.seed, q->index[row],
                z_hat, *next);
    }
  }
  return ISC_OK;
}

static isc_status fill(isc_study *s, request *q) {
  isc_status st = ISC_OK;
  isc_store *store = NULL;
  char *dir = NULL;
  float *a = NULL, *z_hat = NULL, *next = q->storage;
  int64_t widest = 1;
  for (int64_t i = 0; i < s->sites.n; i++) {
    const isc_site *site = &s->sites.site[i];
    if (site->stored > widest) widest = site->stored;
    if (site->dim > widest) widest = site->dim;
  }
  ISC_GO(isc_study_path(s, &dir, "harvest/test"));
  ISC_GO(isc_store_open(dir, s->sites.site, s->sites.n, s->n_test, &store));
  ISC_GO(
      isc_calloc((size_t)q->n_conditions, (size_t)widest * sizeof *a, "conditions", (void **)&a));
  ISC_GO(isc_calloc((size_t)widest, sizeof *z_hat, "conditions", (void **)&z_hat));
  for (int64_t i = 0; i < s->sites.n; i++)
    ISC_GO(fill_site(s, store, i, q, a, z_hat, &next));
done:
  if (store) isc_store_close(store);
  free(dir);
  free(a);
  free(z_hat);
  return st;
}

static isc_status keep(void *user, int64_t row, int64_t j, const char *text, size_t len,
                       double log_q) {
  request *q = user;
  const int64_t at = row * q->each + j; /* (site, condition, scale, draw) is the file's order */
  ISC_TRY(isc_stage_check(q->run));
  ISC_TRY(isc_samples_intern(&q->samples, text, len, &q->samples.text[at]));
  q->samples.log_q[at] = log_q;
  return ISC_OK;
}

static isc_status draw(isc_run_state *r, request *q) {
  const isc_study *s = r->study;
  const isc_invert req = {.size = sizeof req,
                          .n = q->n_sites * q->n_conditions * q->n_scales,
                          .site = q->site,
                          .z = q->z,
                          .samples = q->each,
                          .temperature = s->evaluate.temperature,
                          .seed = (uint64_t)s->run.seed,
                          .index = q->index,
                          .batch = s->evaluate.batch,
                          .user = q,
                          .sample = keep};
  return r->method->ops->invert(r->method->self, &req);
}

isc_status isc_scatter_sample(isc_run_state *r) {
  isc_status st = ISC_OK;
  request q = {0};
  char *path = NULL;
  if (!r->study->evaluate.scatter_noise.count) return ISC_OK;
  ISC_GO(request_new(r->study, r, &q));
  ISC_GO(fill(r->study, &q));
  ISC_GO(draw(r, &q));
  ISC_GO(isc_samples_renumber(&q.samples));
  ISC_GO(isc_path_join(r->stage_dir, ISC_SCATTER_FILE, &path));
  ISC_GO(isc_samples_write(&q.samples, path));
done:
  request_free(&q);
  free(path);
  return st;
}
