/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging texts in batches.
 */
#include "run/judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

isc_status isc_judge_open(isc_study *s, isc_judge *out) {
  isc_status st = ISC_OK;
  const size_t n = (size_t)s->sites.n;
  *out = (isc_judge){.study = s};
  ISC_GO(isc_calloc(n, sizeof *out->isometry, "isometries", (void **)&out->isometry));
  ISC_GO(isc_calloc(n, sizeof *out->factor, "activations", (void **)&out->factor));
  for (int64_t i = 0; i < s->sites.n; i++)
    ISC_GO(isc_isometry_open(&s->sites.site[i], &out->isometry[i]));
done:
  if (st != ISC_OK) isc_judge_close(out);
  return st;
}

void isc_judge_close(isc_judge *j) {
  if (!j->study) return;
  for (int64_t i = 0; i < j->study->sites.n; i++) {
    if (j->isometry) isc_isometry_close(&j->isometry[i]);
    if (j->factor) free(j->factor[i]);
  }
  free(j->isometry);
  free(j->factor);
  isc_labels_free(&j->labels);
  memset(j, 0, sizeof *j);
}

void isc_verdicts_free(isc_verdicts *v) {
  for (int64_t i = 0; v->y && i < v->n_sites; i++)
    free(v->y[i]);
  free(v->y);
  free(v->unread);
  free(v->log_p);
  free(v->label);
  memset(v, 0, sizeof *v);
}

static isc_status grow_factors(isc_judge *j, int64_t n) {
  const isc_site_set *sites = &j->study->sites;
  if (n <= j->room) return ISC_OK;
  for (int64_t i = 0; i < sites->n; i++)
    ISC_TRY(isc_realloc((void **)&j->factor[i], (size_t)n,
                        (size_t)sites->site[i].stored * sizeof(float), "activations"));
  j->room = n;
  return ISC_OK;
}

static isc_status grow(isc_judge *j, int64_t n, isc_verdicts *v) {
  const int64_t n_sites = j->study->sites.n;
  ISC_TRY(grow_factors(j, n));
  v->n = n;
  if (n <= v->room) return ISC_OK;
  if (!v->y) ISC_TRY(isc_calloc((size_t)n_sites, sizeof *v->y, "activations", (void **)&v->y));
  v->n_sites = n_sites;
  ISC_TRY(isc_realloc((void **)&v->unread, (size_t)n, sizeof *v->unread, "verdicts"));
  ISC_TRY(isc_realloc((void **)&v->log_p, (size_t)n, sizeof *v->log_p, "verdicts"));
  ISC_TRY(isc_realloc((void **)&v->label, (size_t)n,
                      ((size_t)j->study->n_features + 1) * sizeof *v->label, "labels"));
  for (int64_t i = 0; i < n_sites; i++)
    ISC_TRY(isc_realloc((void **)&v->y[i], (size_t)n, (size_t)j->isometry[i].width * sizeof(float),
                        "activations"));
  v->room = n;
  return ISC_OK;
}

static isc_status judge_words(isc_judge *j, const char *const *text, const size_t *len, int64_t n,
                              isc_verdicts *v) {
  const isc_study *s = j->study;
  isc_text label = {0};
  isc_status st = ISC_OK;
  for (int64_t i = 0; i < n; i++) {
    v->log_p[i] = NAN;
    if (s->prior.ops->log_prob)
      ISC_GO(s->prior.ops->log_prob(s->prior.self, text[i], len[i], &v->log_p[i]));
    for (int64_t f = 0; f < s->n_features; f++) {
      isc_text_clear(&label);
      ISC_GO(s->feature[f].ops->label(s->feature[f].self, text[i], len[i], &label));
      ISC_GO(isc_labels_intern(&j->labels, label.data ? label.data : "", label.len,
                               &v->label[i * s->n_features + f]));
    }
  }
done:
  isc_text_free(&label);
  return st;
}

isc_status isc_judge_texts(isc_judge *j, const char *const *text, const size_t *len, int64_t n,
                           isc_verdicts *v) {
  isc_study *s = j->study;
  ISC_TRY(grow(j, n, v));
  memset(v->unread, 0, (size_t)n * sizeof *v->unread);
  ISC_TRY(judge_words(j, text, len, n, v));
  const isc_harvest h = {.target = &s->target,
                         .sites = &s->sites,
                         .text = text,
                         .len = len,
                         .n = n,
                         .position = s->target_settings.position,
                         .batch = s->target_settings.batch,
                         .out = j->factor,
                         .bad = v->unread};
  ISC_TRY(isc_harvest_run(&h, s->step));
  for (int64_t i = 0; i < s->sites.n; i++)
    isc_isometry_apply(&j->isometry[i], n, j->factor[i], v->y[i]);
  return ISC_OK;
}

double isc_judge_distance(const isc_judge *j, int64_t site, const float *y, const float *y_hat) {
  const isc_kernel *k = j->study->site_kernel[site];
  return isc_distance(k->ops->geometry(k->self), k->ops->band(k->self), j->isometry[site].width, y,
                      y_hat);
}
