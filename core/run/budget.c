/* SPDX-License-Identifier: Apache-2.0
 *
 * From what the study's own method took to the steps of a baseline's stage.
 */
#include "run/budget.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_UP = 4, TRIAL = 24 }; /* steps of a trial; the first ones take longer */

/* What all training stages of a method took. */
static isc_status method_spent(const isc_study *s, const isc_study_method *m, isc_spent *out) {
  *out = (isc_spent){0};
  for (int64_t k = 0; isc_method_stage(m, k); k++) {
    char *dir = NULL;
    isc_spent one;
    ISC_TRY(isc_study_path(s, &dir, "%s%s", m->below, isc_method_stage(m, k)));
    const isc_status st = isc_spent_read(dir, &one);
    free(dir);
    ISC_TRY(st);
    isc_spent_add(out, &one);
  }
  return ISC_OK;
}

static double measure(isc_budget b, const isc_spent *s) {
  switch (b) {
  case ISC_BUDGET_STEPS:
    return (double)s->steps;
  case ISC_BUDGET_TOKENS:
    return (double)s->tokens;
  case ISC_BUDGET_SECONDS:
    return s->seconds;
  case ISC_BUDGET_FLOPS:
    return s->flops;
  case ISC_BUDGET_NONE:
    break;
  }
  return 0;
}

/* ---- the trial */

typedef struct trial {
  isc_run_state *run;
  isc_meter meter;
  isc_spent warm; /* up to the end of the warm-up */
  char *dir;
} trial;

static isc_status trial_progress(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                                 int64_t n) {
  trial *t = io->core;
  (void)total, (void)m, (void)n;
  ISC_TRY(isc_meter_step(&t->meter, done, t->dir));
  if (done <= WARM_UP) t->warm = t->meter.so_far;
  return isc_stage_check(t->run);
}

static bool trial_no(isc_train_io *io) {
  (void)io;
  return false;
}

static bool trial_step_begins(isc_train_io *io) {
  isc_meter_mark(&((trial *)io->core)->meter);
  return false; /* trial_progress looks */
}

static void trial_took(isc_train_io *io, int64_t examples, int64_t tokens) {
  isc_meter_took(&((trial *)io->core)->meter, examples, tokens);
}

/* What one step of the stage takes, by steps in t->dir. */
static isc_status take_steps(isc_run_state *r, trial *t, int64_t stage, isc_budget b,
                             double *per_step) {
  const isc_study_method *m = r->method;
  ISC_TRY(isc_stage_remove(t->dir));
  ISC_TRY(isc_mkdirs(t->dir));
  ISC_TRY(isc_meter_begin(&t->meter, r->study->device, t->dir));
  isc_train_io io = {.size = sizeof io,
                     .dir = t->dir,
                     .core = t,
                     .progress = trial_progress,
                     .checkpoint_due = trial_no,
                     .should_stop = trial_step_begins,
                     .max_steps = WARM_UP + TRIAL,
                     .took = trial_took};
  ISC_TRY(m->ops->train(m->self, stage, &io));
  const isc_spent *end = &t->meter.so_far;
  const bool longer = end->steps > t->warm.steps;
  const int64_t steps = longer ? end->steps - t->warm.steps : end->steps;
  *per_step = (measure(b, end) - (longer ? measure(b, &t->warm) : 0)) / (double)steps;
  return ISC_OK;
}

static isc_status try_steps(isc_run_state *r, int64_t stage, isc_budget b, double *per_step) {
  trial t = {.run = r};
  ISC_TRY(isc_study_path(r->study, &t.dir, "%s.trial", r->method->below));
  const isc_status st = take_steps(r, &t, stage, b, per_step), removed = isc_stage_remove(t.dir);
  free(t.dir);
  return st == ISC_OK ? removed : st;
}

/* ---- budget.json: {"stage": {"basis": …, "steps": …}, …} */

static isc_status open_record(const isc_study *s, const isc_study_method *m, char **path,
                              json_t **j) {
  ISC_TRY(isc_study_path(s, path, "%sbudget.json", m->below));
  *j = isc_exists(*path) ? json_load_file(*path, JSON_REJECT_DUPLICATES, NULL) : NULL;
  if (!json_is_object(*j)) {
    json_decref(*j);
    *j = json_object();
  }
  if (*j) return ISC_OK;
  return isc_fail(ISC_E_NOMEM, "%s: no memory to read it", *path);
}

/* Steps settled for a stage on this basis (NULL = any), or 0. */
static int64_t settled(const json_t *j, const char *stage, const char *basis) {
  const json_t *of = json_object_get(j, stage);
  const char *have = json_string_value(json_object_get(of, "basis"));
  if (!have || (basis && strcmp(have, basis) != 0)) return 0;
  const json_int_t steps = json_integer_value(json_object_get(of, "steps"));
  return steps > 0 ? steps : 0;
}

static isc_status settle_record(const char *path, json_t *j, const char *stage, const char *basis,
                                int64_t steps) {
  json_object_set_new(j, stage, json_pack("{ss sI}", "basis", basis, "steps", (json_int_t)steps));
  char *text = json_dumps(j, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
  if (!text) return isc_fail(ISC_E_NOMEM, "%s: no memory to write it", path);
  const isc_status st = isc_write_file(path, text, strlen(text));
  free(text);
  return st;
}

/* What the number of steps follows from. */
static isc_status basis_of(isc_run_state *r, int64_t stage, double share, const char harvest[33],
                           const char previous[33], char basis[33]) {
  isc_hash h;
  char key[33];
  const int32_t kind = (int32_t)r->method->budget;
  ISC_TRY(isc_key_method(r->study, r->method, stage, 0, harvest, previous, key));
  ISC_TRY(isc_hash_begin(&h));
  isc_hash_str(&h, key);
  isc_hash_add(&h, &kind, sizeof kind);
  isc_hash_add(&h, &share, sizeof share);
  isc_digest_hex(isc_hash_end(&h), basis);
  return ISC_OK;
}

/* ---- */

static int64_t n_stages(const isc_study_method *m) {
  int64_t n = 0;
  while (isc_method_stage(m, n))
    n++;
  return n;
}

static isc_status measure_steps(isc_run_state *r, int64_t stage, double share, int64_t *steps) {
  const isc_budget b = r->method->budget;
  double per_step = 1;
  if (b != ISC_BUDGET_STEPS) ISC_TRY(try_steps(r, stage, b, &per_step));
  if (!(per_step > 0) || !(share > 0))
    return isc_fail(
        ISC_E_CONFIG,
        "%s: method %s or %s does not tell what its training takes in %s; choose another "
        "`budget`",
        isc_config_where(r->study->config, r->method->group), r->method->name,
        r->study->method[0].name, isc_budget_names[b]);
  const double n = floor(share / per_step);
  *steps = n < 1 ? 1 : n > 1e12 ? (int64_t)1e12 : (int64_t)n;
  return ISC_OK;
}

static void tell(isc_run_state *r, int64_t stage, int64_t steps) {
  char members[160], text[240];
  const isc_study_method *m = r->method;
  snprintf(members, sizeof members, "\"budget\":\"%s\",\"steps\":%lld", isc_budget_names[m->budget],
           (long long)steps);
  snprintf(text, sizeof text, "%s%s: %lld steps are as many %s as the training of %s took",
           m->below, isc_method_stage(m, stage), (long long)steps, isc_budget_names[m->budget],
           r->study->method[0].name);
  isc_stage_note(r, "budget", members, text);
}

isc_status isc_budget_settle(isc_run_state *r, int64_t stage, const char harvest[33],
                             const char previous[33], int64_t *max_steps) {
  isc_study *s = r->study;
  const isc_study_method *m = r->method;
  const char *name = isc_method_stage(m, stage);
  isc_status st = ISC_OK;
  isc_spent own;
  char basis[33], *path = NULL, *dir = NULL;
  json_t *record = NULL;
  *max_steps = 0;
  if (m->budget == ISC_BUDGET_NONE) return ISC_OK;
  ISC_GO(method_spent(s, &s->method[0], &own));
  const double share = measure(m->budget, &own) / (double)n_stages(m);
  ISC_GO(basis_of(r, stage, share, harvest, previous, basis));
  ISC_GO(open_record(s, m, &path, &record));
  *max_steps = settled(record, name, basis);
  if (*max_steps) goto done;
  ISC_GO(isc_study_path(s, &dir, "%s", m->below));
  ISC_GO(isc_mkdirs(dir));
  ISC_GO(measure_steps(r, stage, share, max_steps));
  ISC_GO(settle_record(path, record, name, basis, *max_steps));
  tell(r, stage, *max_steps);
done:
  json_decref(record);
  free(path);
  free(dir);
  return st;
}

isc_status isc_budget_known(isc_study *s, const isc_study_method *m, int64_t stage,
                            int64_t *max_steps) {
  isc_status st = ISC_OK;
  char *path = NULL;
  json_t *record = NULL;
  *max_steps = 0;
  if (m->budget == ISC_BUDGET_NONE) return ISC_OK;
  ISC_GO(open_record(s, m, &path, &record));
  *max_steps = settled(record, isc_method_stage(m, stage), NULL);
  if (!*max_steps)
    st = isc_fail(ISC_E_MISSING, "%s: the baseline %s has not been trained; run the study first",
                  s->dir, m->name);
done:
  json_decref(record);
  free(path);
  return st;
}
