/* SPDX-License-Identifier: Apache-2.0
 *
 * The compare stage: the study's own method beside each baseline, NAME.json for each.
 */
#include "run/compare.h"
#include "run/stage.h"

#include <stdlib.h>
#include <string.h>

static isc_status compare_with(isc_run_state *r, const isc_study_method *m) {
  const isc_study *s = r->study;
  char *dir = NULL, *name = NULL, *path = NULL, *text = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_study_path(s, &dir, "%s", m->name));
  const isc_comparison c = {.a = s->dir,
                            .b = dir,
                            .name_a = s->method[0].name,
                            .name_b = m->name,
                            .resamples = s->evaluate.bootstrap,
                            .seed = (uint64_t)s->run.seed};
  ISC_GO(isc_compare_run(&c, &text));
  ISC_GO(isc_asprintf(&name, "%s.json", m->name));
  ISC_GO(isc_path_join(r->stage_dir, name, &path));
  ISC_GO(isc_write_file(path, text, strlen(text)));
done:
  free(dir);
  free(name);
  free(path);
  free(text);
  return st;
}

isc_status isc_stage_compare(isc_run_state *r, void *arg) {
  (void)arg;
  for (int64_t i = 1; i < r->study->n_methods; i++)
    ISC_TRY(compare_with(r, &r->study->method[i]));
  return ISC_OK;
}
