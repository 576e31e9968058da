/* SPDX-License-Identifier: Apache-2.0
 *
 * The report stage: hands the scores to the report layer.
 */
#include "run/stage.h"

#include <stdlib.h>

isc_status isc_stage_report(isc_run_state *r, void *arg) {
  const isc_study *s = r->study;
  const char *title = s->report.title && *s->report.title ? s->report.title : s->name;
  char *scores = NULL;
  (void)arg;
  ISC_TRY(isc_study_path(s, &scores, "%s/score.json", s->n_methods > 1 ? "compare" : "score"));
  isc_status st = r->request->report(scores, r->stage_dir, title);
  free(scores);
  return st;
}
