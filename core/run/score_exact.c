/* SPDX-License-Identifier: Apache-2.0
 *
 * The enumerated prior: exact FCR and ball sizes at every site, and chance levels.
 *
 * A prior that cannot be enumerated, or is larger than evaluate.max_support, gives chance levels from training inputs instead.
 */
#include "eval/exact.h"
#include "run/score.h"

#include <stdlib.h>
#include <string.h>

enum { SUPPORT_CHUNK = ISC_STORE_CHUNK, CHANCE_DRAWS = 20000 };

static isc_status support_text(const isc_study *s, int64_t i, isc_text *out) {
  return s->prior.ops->enumerate(s->prior.self, i, out);
}

static isc_status training_text(const isc_study *s, int64_t i, isc_text *out) {
  return isc_study_text(s, ISC_TRAIN, i, out);
}

static isc_status support_new(isc_score *s, int64_t n) {
  isc_verdicts *v = &s->support;
  const int64_t n_sites = s->study->sites.n;
  ISC_TRY(isc_calloc((size_t)n_sites, sizeof *v->y, "support", (void **)&v->y));
  v->n_sites = n_sites;
  ISC_TRY(isc_calloc((size_t)n, sizeof *v->log_p, "support", (void **)&v->log_p));
  for (int64_t i = 0; i < n_sites; i++)
    ISC_TRY(isc_calloc((size_t)n, (size_t)s->judge.isometry[i].width * sizeof(float), "support",
                       (void **)&v->y[i]));
  v->n = n;
  return ISC_OK;
}

static isc_status refuse_unread(const isc_verdicts *part, int64_t n, const char *const *text) {
  for (int64_t i = 0; i < n; i++)
    if (part->unread[i])
      return isc_fail(ISC_E_SHAPE, "the target cannot read \"%s\", which the prior makes", text[i]);
  return ISC_OK;
}

static isc_status judge_chunk(isc_score *s, int64_t first, int64_t n, isc_text *buffer,
                              isc_verdicts *part) {
  const char *text[SUPPORT_CHUNK] = {NULL};
  size_t len[SUPPORT_CHUNK] = {0};
  const int64_t n_feat = s->study->n_features;
  for (int64_t i = 0; i < n; i++) {
    isc_text_clear(&buffer[i]);
    ISC_TRY(support_text(s->study, first + i, &buffer[i]));
    text[i] = buffer[i].data;
    len[i] = buffer[i].len;
  }
  ISC_TRY(isc_judge_texts(&s->judge, text, len, n, part));
  ISC_TRY(refuse_unread(part, n, text));
  memcpy(s->support.log_p + first, part->log_p, (size_t)n * sizeof *part->log_p);
  for (int64_t i = 0; i < n; i++)
    for (int64_t f = 0; f < n_feat; f++)
      s->support_label[f][first + i] = part->label[i * n_feat + f];
  for (int64_t k = 0; k < s->study->sites.n; k++) {
    const int64_t w = s->judge.isometry[k].width;
    memcpy(s->support.y[k] + first * w, part->y[k], (size_t)(n * w) * sizeof(float));
  }
  return ISC_OK;
}

static isc_status judge_support(isc_score *s, int64_t n) {
  isc_status st = ISC_OK;
  isc_text *buffer = NULL;
  isc_verdicts part = {0};
  const int64_t piece = isc_study_piece(s->study);
  ISC_GO(isc_calloc(SUPPORT_CHUNK, sizeof *buffer, "support", (void **)&buffer));
  ISC_GO(support_new(s, n));
  ISC_GO(isc_calloc((size_t)s->study->n_features + 1, sizeof *s->support_label, "labels",
                    (void **)&s->support_label));
  for (int64_t f = 0; f < s->study->n_features; f++)
    ISC_GO(
        isc_calloc((size_t)n, sizeof **s->support_label, "labels", (void **)&s->support_label[f]));
  for (int64_t first = 0; first < n; first += piece) {
    const int64_t take = n - first < piece ? n - first : piece;
    ISC_GO(judge_chunk(s, first, take, buffer, &part));
    ISC_GO(isc_stage_progress(s->run, first + take, n, NULL, 0));
    ISC_GO(isc_stage_check(s->run));
  }
done:
  for (int64_t i = 0; buffer && i < SUPPORT_CHUNK; i++)
    isc_text_free(&buffer[i]);
  free(buffer);
  isc_verdicts_free(&part);
  return st;
}

static isc_status exact_sites(isc_score *s) {
  const isc_study *study = s->study;
  const size_t n_cond = (size_t)study->n_conditions, n_sites = (size_t)study->sites.n,
               n_feat = (size_t)study->n_features;
  ISC_TRY(isc_calloc(n_sites * n_cond, (n_feat + 1) * sizeof *s->exact, "exact FCR",
                     (void **)&s->exact));
  ISC_TRY(isc_calloc(n_sites * n_cond, sizeof *s->exact_ess, "exact FCR", (void **)&s->exact_ess));
  ISC_TRY(isc_calloc(n_sites * n_cond, sizeof *s->ball, "exact FCR", (void **)&s->ball));
  for (size_t i = 0; i < n_sites; i++) {
    const isc_exact e = {.kernel = study->site_kernel[i],
                         .device = study->device,
                         .width = s->judge.isometry[i].width,
                         .n_support = s->support.n,
                         .n_conditions = study->n_conditions,
                         .n_features = study->n_features,
                         .support = s->support.y[i],
                         .condition = s->condition.y[i],
                         .log_p = s->support.log_p,
                         .label = (const int32_t *const *)s->support_label,
                         .label_hat = (const int32_t *const *)s->label_hat,
                         .rate = s->exact + i * n_feat * n_cond,
                         .ess = s->exact_ess + i * n_cond,
                         .ball = s->ball + i * n_cond};
    ISC_TRY(isc_exact_run(&e));
    ISC_TRY(isc_stage_check(s->run));
  }
  return ISC_OK;
}

int64_t isc_score_draws(const isc_study *study) {
  return study->n_train < CHANCE_DRAWS ? study->n_train : CHANCE_DRAWS;
}

/* Labels of training inputs, when the prior is too large to enumerate. */
static isc_status training_labels(isc_score *s) {
  const isc_study *study = s->study;
  const int64_t n = isc_score_draws(study);
  isc_text text = {0}, label = {0};
  isc_status st = ISC_OK;
  ISC_GO(isc_calloc((size_t)(study->n_features + 1), (size_t)n * sizeof *s->draw_label, "labels",
                    (void **)&s->draw_label));
  for (int64_t i = 0; i < n; i++) {
    isc_text_clear(&text);
    ISC_GO(training_text(study, i, &text));
    for (int64_t f = 0; f < study->n_features; f++) {
      isc_text_clear(&label);
      ISC_GO(study->feature[f].ops->label(study->feature[f].self, text.data, text.len, &label));
      ISC_GO(isc_labels_intern(&s->judge.labels, label.data ? label.data : "", label.len,
                               &s->draw_label[f * n + i]));
    }
  }
  s->n_draws = n;
done:
  isc_text_free(&text);
  isc_text_free(&label);
  return st;
}

static isc_status chance_levels(isc_score *s) {
  const isc_study *study = s->study;
  isc_status st = ISC_OK;
  ISC_GO(isc_calloc((size_t)study->n_features + 1, (size_t)study->n_conditions * sizeof *s->chance,
                    "chance", (void **)&s->chance));
  if (!s->support.n) ISC_GO(training_labels(s));
  for (int64_t f = 0; f < study->n_features; f++)
    ISC_GO(
        isc_chance_by_condition(s->n_draws ? s->n_draws : s->support.n,
                                s->n_draws ? s->draw_label + f * s->n_draws : s->support_label[f],
                                s->n_draws ? NULL : s->support.log_p, study->n_conditions,
                                s->label_hat[f], s->chance + f * study->n_conditions));
done:
  return st;
}

isc_status isc_score_exact(isc_score *s) {
  const isc_prior_ops *ops = s->study->prior.ops;
  const int64_t n = ops->support && ops->enumerate ? ops->support(s->study->prior.self) : 0;
  if (n > 0 && n <= s->study->evaluate.max_support) {
    ISC_TRY(judge_support(s, n));
    ISC_TRY(exact_sites(s));
  }
  return chance_levels(s);
}
