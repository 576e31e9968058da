/* SPDX-License-Identifier: Apache-2.0
 *
 * The compare stage: the study's own method beside each baseline, NAME.json for each and all in score.json.
 */
#include "run/compare.h"
#include "run/stage.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* The comparison into NAME.json, and into the list. */
static isc_status compare_with(isc_run_state *r, const isc_study_method *m, json_t *list) {
  const isc_study *s = r->study;
  char *dir = NULL, *name = NULL, *path = NULL, *text = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_study_path(s, &dir, "%s", m->name));
  const isc_comparison c = {.a = s->dir,
                            .b = dir,
                            .name_a = s->method[0].name,
                            .name_b = m->name,
                            .budget = isc_budget_names[m->budget],
                            .resamples = s->evaluate.bootstrap,
                            .seed = (uint64_t)s->run.seed};
  ISC_GO(isc_compare_run(&c, &text));
  ISC_GO(isc_asprintf(&name, "%s.json", m->name));
  ISC_GO(isc_path_join(r->stage_dir, name, &path));
  ISC_GO(isc_write_file(path, text, strlen(text)));
  if (json_array_append_new(list, json_loads(text, JSON_REJECT_DUPLICATES, NULL)) != 0)
    st = isc_fail(ISC_E_NOMEM, "%s: no memory to show it", path);
done:
  free(dir);
  free(name);
  free(path);
  free(text);
  return st;
}

/* The scores of the study's own method with the comparisons beside them. */
static isc_status write_scores(isc_run_state *r, json_t *list) {
  char *from = NULL, *to = NULL, *text = NULL;
  json_t *doc = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_study_path(r->study, &from, "score/score.json"));
  ISC_GO(isc_path_join(r->stage_dir, "score.json", &to));
  doc = json_load_file(from, JSON_REJECT_DUPLICATES, NULL);
  if (!json_is_object(doc)) {
    st = isc_fail(ISC_E_FORMAT, "%s: cannot be read", from);
    goto done;
  }
  if (json_object_set(doc, "comparisons", list) == 0)
    text = json_dumps(doc, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
  st = text ? isc_write_file(to, text, strlen(text))
            : isc_fail(ISC_E_NOMEM, "%s: no memory to write it", to);
done:
  json_decref(doc);
  free(from);
  free(to);
  free(text);
  return st;
}

isc_status isc_stage_compare(isc_run_state *r, void *arg) {
  isc_status st = ISC_OK;
  json_t *list = json_array();
  (void)arg;
  for (int64_t i = 1; i < r->study->n_methods; i++)
    ISC_GO(compare_with(r, &r->study->method[i], list));
  ISC_GO(write_scores(r, list));
done:
  json_decref(list);
  return st;
}
