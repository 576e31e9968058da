/* SPDX-License-Identifier: Apache-2.0
 *
 * The order of the stages of a study, and what each hands to the next.
 */
#include "run/run.h"

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
  trained[0] = 0;
  for (int64_t k = 0; isc_study_stage_name(s, k); k++) {
    char key[33];
    ISC_TRY(isc_key_method(s, k, harvest, trained, key));
    ISC_TRY(isc_stage_run(r, isc_study_stage_name(s, k), key, isc_stage_train, &k));
    ISC_TRY(s->method_ops->load(s->method, k, r->stage_dir));
    memcpy(trained, key, sizeof key);
  }
  return ISC_OK;
}

static isc_status run_stages(isc_run_state *r) {
  isc_study *s = r->study;
  char harvest[33], trained[33], sample[33], score[33], report[33];
  ISC_TRY(isc_key_harvest(s, harvest));
  ISC_TRY(isc_stage_run(r, "harvest", harvest, isc_stage_harvest, NULL));
  ISC_TRY(open_train_store(s));
  ISC_TRY(train_stages(r, harvest, trained));
  ISC_TRY(isc_key_sample(s, harvest, trained, sample));
  ISC_TRY(isc_stage_run(r, "sample", sample, isc_stage_sample, NULL));
  ISC_TRY(isc_key_score(s, sample, score));
  ISC_TRY(isc_stage_run(r, "score", score, isc_stage_score, NULL));
  if (!r->request->report) return ISC_OK;
  ISC_TRY(isc_key_report(s, score, report));
  return isc_stage_run(r, "report", report, isc_stage_report, NULL);
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
