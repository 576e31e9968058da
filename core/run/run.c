/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of the stages of a study, and what each hands to the next.
 */
#include "run/run.h"

#include "run/budget.h"
#include "run/run_dir.h"

#include <stdlib.h>
#include <string.h>

static isc_status open_train_store(isc_study *s) {
  char *dir = NULL;
  ISC_TRY(isc_study_path(s, &dir, "harvest/train"));
  isc_status st = isc_store_open(dir, s->sites.site, s->sites.n, s->n_train, &s->train_store);
  free(dir);
  return st;
}

static isc_status train_stages(isc_run_state *r, const char harvest[33], char trained[33]) {
  isc_study *s = r->study;
  const isc_study_method *m = r->method;
  trained[0] = 0;
  for (int64_t k = 0; isc_method_stage(m, k); k++) {
    char key[33];
    isc_training t = {.stage = k};
    ISC_TRY(isc_budget_settle(r, k, harvest, trained, &t.max_steps));
    ISC_TRY(isc_key_method(s, m, k, t.max_steps, harvest, trained, key));
    ISC_TRY(isc_stage_run(r, isc_method_stage(m, k), key, isc_stage_train, &t));
    ISC_TRY(m->ops->load(m->self, k, r->stage_dir));
    memcpy(trained, key, sizeof key);
  }
  return ISC_OK;
}

/* A method from its training to its scores; `score` is their fingerprint. */
static isc_status run_method(isc_run_state *r, int64_t i, const char harvest[33], char score[33]) {
  isc_study *s = r->study;
  char trained[33], sample[33];
  isc_status st = ISC_OK;
  r->method = &s->method[i];
  ISC_GO(train_stages(r, harvest, trained));
  ISC_GO(isc_key_sample(s, r->method, harvest, trained, sample));
  ISC_GO(isc_stage_run(r, "sample", sample, isc_stage_sample, NULL));
  ISC_GO(isc_key_score(s, sample, score));
  ISC_GO(isc_stage_run(r, "score", score, isc_stage_score, NULL));
done:
  r->method = NULL;
  return st;
}

/* Every method, and what they come to beside each other; `scores` is the fingerprint of all that a report shows. */
static isc_status run_methods(isc_run_state *r, const char harvest[33], char scores[33]) {
  isc_study *s = r->study;
  ISC_TRY(run_method(r, 0, harvest, scores));
  for (int64_t i = 1; i < s->n_methods; i++) {
    char score[33], both[33];
    ISC_TRY(run_method(r, i, harvest, score));
    ISC_TRY(isc_key_compare(s, &s->method[i], scores, score, both));
    memcpy(scores, both, sizeof both);
  }
  return s->n_methods > 1 ? isc_stage_run(r, "compare", scores, isc_stage_compare, NULL) : ISC_OK;
}

static isc_status run_stages(isc_run_state *r) {
  isc_study *s = r->study;
  char harvest[33], scores[33], report[33];
  ISC_TRY(isc_key_harvest(s, harvest));
  ISC_TRY(isc_stage_run(r, "harvest", harvest, isc_stage_harvest, NULL));
  ISC_TRY(open_train_store(s));
  ISC_TRY(run_methods(r, harvest, scores));
  if (!r->request->report) return ISC_OK;
  ISC_TRY(isc_key_report(s, scores, report));
  return isc_stage_run(r, "report", report, isc_stage_report, NULL);
}

/* A number that was asked for and is not to be had: the study goes on with less, and says so. */
static void tell_fewer(const isc_run_state *r, const char *path, int64_t asked, int64_t has,
                       const char *of) {
  const isc_study *s = r->study;
  char *text;
  if (!r->request->events.note || asked <= has || !isc_config_has(s->config, path)) return;
  if (isc_asprintf(&text, "%s: %s is %lld, but %s %lld; the study goes on with these",
                   isc_config_where(s->config, path), path, (long long)asked, of,
                   (long long)has) != ISC_OK)
    return;
  r->request->events.note(r->request->events.user, text);
  free(text);
}

static void tell_all_fewer(const isc_run_state *r) {
  const isc_study *s = r->study;
  tell_fewer(r, "prior.train", s->prior_settings.train, s->n_train,
             "the prior's training inputs are");
  tell_fewer(r, "prior.test", s->prior_settings.test, s->n_test, "the prior's held-out inputs are");
  tell_fewer(r, "evaluate.conditions", s->evaluate.conditions, s->n_conditions,
             "the held-out inputs are");
  if (s->evaluate.scatter_noise.count)
    tell_fewer(r, "evaluate.scatter_conditions", s->evaluate.scatter_conditions, s->n_conditions,
               "the held-out inputs are");
}

isc_status isc_run(const isc_run_request *request, char **report_dir) {
  isc_status st = ISC_OK;
  isc_run_state r = {.request = request, .started = isc_now()};
  int lock = -1;
  *report_dir = NULL;
  ISC_GO(isc_study_open(&request->source, request->dir, &r.study));
  if (request->events.note && r.study->device_report && *r.study->device_report)
    request->events.note(request->events.user, r.study->device_report);
  if (request->events.note)
    request->events.note(request->events.user, r.study->device->description);
  tell_all_fewer(&r);
  ISC_GO(isc_run_dir_open(&r, &lock));
  ISC_GO(run_stages(&r));
  ISC_GO(isc_study_path(r.study, report_dir, "report"));
done:
  isc_curve_free(&r.curve);
  free(r.stage_dir);
  isc_study_close(r.study);
  isc_run_dir_close(&r, lock);
  return st;
}
