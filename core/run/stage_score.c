/* SPDX-License-Identifier: Apache-2.0
 *
 * The score stage: every distinct sampled text goes through the target once; distances, labels and estimates follow.
 */
#include "run/ablation.h"
#include "run/conditions.h"
#include "run/insight.h"
#include "run/scatter.h"
#include "run/score.h"

#include <math.h>
#include <stdlib.h>

static void score_free(isc_score *s) {
  for (int64_t i = 0; s->condition_text && i < s->study->n_conditions; i++)
    isc_text_free(&s->condition_text[i]);
  for (int64_t f = 0; f < s->study->n_features; f++) {
    if (s->label) free(s->label[f]);
    if (s->label_hat) free(s->label_hat[f]);
    if (s->support_label) free(s->support_label[f]);
  }
  isc_eval_close(s->eval);
  isc_verdicts_free(&s->condition);
  isc_verdicts_free(&s->support);
  isc_samples_free(&s->samples);
  isc_judge_close(&s->judge);
  free(s->condition_text);
  free(s->label);
  free(s->label_hat);
  free(s->support_label);
  free(s->distance);
  free(s->d);
  free(s->nearest);
  free(s->log_p);
  free(s->exact);
  free(s->exact_ess);
  free(s->ball);
  free(s->chance);
  free(s->draw_label);
  isc_insight_close(s->insight);
  isc_scatter_close(s->scatter);
  isc_ablation_close(s->ablation);
}

static isc_status label_arrays(const isc_study *study, int64_t n, int32_t ***out) {
  ISC_TRY(isc_calloc((size_t)study->n_features + 1, sizeof **out, "labels", (void **)out));
  for (int64_t f = 0; f < study->n_features; f++)
    ISC_TRY(isc_calloc((size_t)n, sizeof ***out, "labels", (void **)&(*out)[f]));
  return ISC_OK;
}

static isc_status score_new(isc_score *s) {
  const size_t rows = (size_t)isc_samples_rows(&s->samples);
  ISC_TRY(isc_calloc(rows, sizeof *s->distance, "distances", (void **)&s->distance));
  ISC_TRY(isc_calloc(rows, sizeof *s->d, "distances", (void **)&s->d));
  ISC_TRY(isc_calloc((size_t)s->samples.n_texts, sizeof *s->log_p, "log P", (void **)&s->log_p));
  ISC_TRY(label_arrays(s->study, s->samples.n_texts, &s->label));
  return label_arrays(s->study, s->study->n_conditions, &s->label_hat);
}

static isc_status judge_conditions(isc_score *s) {
  isc_study *study = s->study;
  const int64_t n = study->n_conditions;
  const char **text = NULL;
  size_t *len = NULL;
  isc_status st = ISC_OK;
  ISC_GO(
      isc_calloc((size_t)n, sizeof *s->condition_text, "conditions", (void **)&s->condition_text));
  ISC_GO(isc_calloc((size_t)n, sizeof *text, "conditions", (void **)&text));
  ISC_GO(isc_calloc((size_t)n, sizeof *len, "conditions", (void **)&len));
  for (int64_t i = 0; i < n; i++) {
    ISC_GO(isc_study_text(study, ISC_TEST, i, &s->condition_text[i]));
    text[i] = s->condition_text[i].data;
    len[i] = s->condition_text[i].len;
  }
  ISC_GO(isc_judge_texts(&s->judge, text, len, n, &s->condition));
  for (int64_t i = 0; i < n; i++)
    for (int64_t f = 0; f < study->n_features; f++)
      s->label_hat[f][i] = s->condition.label[i * study->n_features + f];
done:
  free(text);
  free(len);
  return st;
}

/* ---- samples */

static isc_sample_distance measure(int64_t width, const float *y, const float *y_hat) {
  const double norm_hat = isc_norm(width, y_hat);
  return (isc_sample_distance){.angular = isc_distance(ISC_ANGULAR, 0, width, y, y_hat),
                               .norm_ratio = norm_hat > 0 ? isc_norm(width, y) / norm_hat : NAN,
                               .normalised = isc_distance(ISC_NORMALISED, 0, width, y, y_hat)};
}

static void measure_row(isc_score *s, int64_t row, const isc_verdicts *v, int64_t at) {
  const int64_t per_site = s->samples.n_conditions * s->samples.n_samples;
  const int64_t site = row / per_site, c = row % per_site / s->samples.n_samples;
  if (v->unread[at]) {
    s->distance[row] = (isc_sample_distance){NAN, NAN, NAN};
    s->d[row] = INFINITY;
    return;
  }
  const int64_t w = s->judge.isometry[site].width;
  const float *y = v->y[site] + at * w, *y_hat = s->condition.y[site] + c * w;
  s->distance[row] = measure(w, y, y_hat);
  s->d[row] = isc_judge_distance(&s->judge, site, y, y_hat);
}

isc_status isc_score_rows_by_text(const isc_samples *s, int64_t **start, int64_t **order) {
  const int64_t rows = isc_samples_rows(s);
  ISC_TRY(isc_calloc((size_t)s->n_texts + 2, sizeof **start, "sample order", (void **)start));
  ISC_TRY(isc_calloc((size_t)rows, sizeof **order, "sample order", (void **)order));
  for (int64_t r = 0; r < rows; r++)
    (*start)[s->text[r] + 2]++;
  for (int64_t t = 0; t < s->n_texts; t++)
    (*start)[t + 2] += (*start)[t + 1];
  for (int64_t r = 0; r < rows; r++)
    (*order)[(*start)[s->text[r] + 1]++] = r;
  return ISC_OK;
}

static isc_status judge_samples(isc_score *s) {
  isc_status st = ISC_OK;
  int64_t *start = NULL, *order = NULL;
  isc_verdicts v = {0};
  const int64_t n_features = s->study->n_features, n_texts = s->samples.n_texts,
                piece = isc_study_piece(s->study);
  ISC_GO(isc_score_rows_by_text(&s->samples, &start, &order));
  for (int64_t t0 = 0; t0 < n_texts; t0 += piece) {
    const int64_t n = n_texts - t0 < piece ? n_texts - t0 : piece;
    ISC_GO(isc_judge_texts(&s->judge, (const char *const *)s->samples.string + t0,
                           s->samples.len + t0, n, &v));
    for (int64_t i = 0; i < n; i++) {
      s->log_p[t0 + i] = v.log_p[i];
      for (int64_t f = 0; f < n_features; f++)
        s->label[f][t0 + i] = v.label[i * n_features + f];
      for (int64_t k = start[t0 + i]; k < start[t0 + i + 1]; k++)
        measure_row(s, order[k], &v, i);
    }
    ISC_GO(isc_stage_progress(s->run, t0 + n, n_texts, NULL, 0));
    ISC_GO(isc_stage_check(s->run));
  }
done:
  isc_verdicts_free(&v);
  free(start);
  free(order);
  return st;
}

/* ---- estimates */

static isc_status evaluate_site(isc_score *s, int64_t site, int64_t *start) {
  const isc_study *study = s->study;
  const int64_t n_cond = study->n_conditions, n_feat = study->n_features;
  const isc_eval_input in = {.name = study->sites.site[site].name,
                             .kernel = study->site_kernel[site],
                             .samples = isc_score_set(s, site, start),
                             .label = (const int32_t *const *)s->label,
                             .label_hat = (const int32_t *const *)s->label_hat,
                             .exact = s->exact ? s->exact + site * n_feat * n_cond : NULL,
                             .exact_ess = s->exact_ess ? s->exact_ess + site * n_cond : NULL,
                             .ball = s->ball ? s->ball + site * n_cond : NULL};
  return isc_eval_set_site(s->eval, site, &in);
}

static isc_status evaluate(isc_score *s) {
  const isc_study *study = s->study;
  isc_status st = ISC_OK;
  int64_t *start = NULL;
  ISC_GO(isc_eval_open(study->sites.n, study->n_features, study->n_conditions,
                       study->evaluate.bootstrap, (uint64_t)study->run.seed, &s->eval));
  ISC_GO(isc_calloc((size_t)study->n_conditions + 1, sizeof *start, "samples", (void **)&start));
  for (int64_t f = 0; f < study->n_features; f++)
    ISC_GO(isc_eval_set_chance(s->eval, f, s->chance + f * study->n_conditions));
  for (int64_t i = 0; i < study->sites.n; i++) {
    ISC_GO(evaluate_site(s, i, start));
    ISC_GO(isc_stage_check(s->run));
  }
  ISC_GO(isc_eval_finish(s->eval));
done:
  free(start);
  return st;
}

static isc_status read_samples(isc_score *s) {
  char *path = NULL;
  ISC_TRY(isc_study_path(s->study, &path, "%ssample/samples.db", s->run->method->below));
  isc_status st = isc_samples_read(path, &s->samples);
  if (st == ISC_OK && (s->samples.n_sites != s->study->sites.n ||
                       s->samples.n_conditions != s->study->n_conditions))
    st = isc_fail(ISC_E_SHAPE, "%s: %lld sites x %lld conditions, expected %lld x %lld", path,
                  (long long)s->samples.n_sites, (long long)s->samples.n_conditions,
                  (long long)s->study->sites.n, (long long)s->study->n_conditions);
  free(path);
  return st;
}

isc_status isc_stage_score(isc_run_state *r, void *arg) {
  isc_status st = ISC_OK;
  isc_score s = {.run = r, .study = r->study};
  char *db = NULL, *conditions = NULL, *json = NULL;
  (void)arg;
  ISC_GO(isc_judge_open(r->study, &s.judge));
  ISC_GO(read_samples(&s));
  ISC_GO(score_new(&s));
  ISC_GO(judge_conditions(&s));
  ISC_GO(judge_samples(&s));
  ISC_GO(isc_path_join(r->stage_dir, "distances.db", &db));
  ISC_GO(isc_distances_write(&s.samples, s.distance, db));
  if (r->study->evaluate.any_position) ISC_GO(isc_score_any(&s));
  ISC_GO(isc_score_exact(&s));
  ISC_GO(evaluate(&s));
  ISC_GO(isc_path_join(r->stage_dir, ISC_CONDITIONS_FILE, &conditions));
  ISC_GO(isc_score_conditions(&s, conditions));
  if (r->study->evaluate.insight) ISC_GO(isc_insight_find(&s, &s.insight));
  ISC_GO(isc_scatter_find(&s, &s.scatter));
  ISC_GO(isc_ablation_find(&s, &s.ablation));
  ISC_GO(isc_path_join(r->stage_dir, "score.json", &json));
  ISC_GO(isc_score_write(&s, json));
done:
  score_free(&s);
  free(db);
  free(conditions);
  free(json);
  return st;
}
