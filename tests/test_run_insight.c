/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the insight of a run: lifts follow from the samples and the prior, and the hypotheses are those the prior has.
 *
 * The micro study, its places and objects sharing a word so that an equality is worth testing, and with a feature that is a
 * slot by another name. Slots are read off the words here; the 96 prompts are equally likely.
 */
#include "support.h"
#include "support_run.h"

#include <jansson.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { SUPPORT = 96, SITES = 4, CONDS = 10, DRAWS = 5, ROWS = SITES * CONDS * DRAWS };
enum { A, B, PLACE, OBJECT, TEMPLATE, SAME, HYPOTHESES };
static const char *const name_of[] = {"A", "B", "PLACE", "OBJECT", "template", "PLACE = OBJECT"};

typedef struct world {
  char prior[SUPPORT][160]; /* test inputs first: condition c is text c */
  char sample[ROWS][512];
  bool accepted[ROWS];
  json_t *score;
} world;

/* ---- slots, from the words alone: A is the name that comes once, B the other; then place and object */

static void slots_of(const char *text, char out[HYPOTHESES][16]) {
  static const char *const names[] = {"Emma", "Peter", "Laura", "Simon"}, *const things[] = {
                                                                              "garden", "lamp",
                                                                              "kitchen"};
  char copy[512], met[3][16] = {""}, thing[2][16] = {""}, *save = NULL;
  int n = 0, m = 0;
  snprintf(copy, sizeof copy, "%s", text);
  for (char *w = strtok_r(copy, " .,;", &save); w; w = strtok_r(NULL, " .,;", &save)) {
    for (int i = 0; i < 4; i++)
      if (!strcmp(w, names[i]) && n < 3) snprintf(met[n++], 16, "%s", w);
    for (int i = 0; i < 3; i++)
      if (!strcmp(w, things[i]) && m < 2) snprintf(thing[m++], 16, "%s", w);
  }
  const bool first_again = !strcmp(met[0], met[2]);
  snprintf(out[A], 16, "%s", met[first_again]);
  snprintf(out[B], 16, "%s", met[!first_again]);
  snprintf(out[PLACE], 16, "%s", thing[0]);
  snprintf(out[OBJECT], 16, "%s", thing[1]);
  snprintf(out[TEMPLATE], 16, "%d", first_again);
  snprintf(out[SAME], 16, "%d", !strcmp(thing[0], thing[1]));
}

static bool agree(const char *a, const char *b, int hypothesis) {
  char x[HYPOTHESES][16], y[HYPOTHESES][16];
  slots_of(a, x);
  slots_of(b, y);
  return !strcmp(x[hypothesis], y[hypothesis]);
}

/* ---- the run */

static void replace(const char *dir, const char *file, const char *old, const char *with) {
  char *text = isc_test_read(dir, file, NULL), *at = strstr(text, old), out[4096];
  cr_assert(at, "%s has no %s", file, old);
  const int n =
      snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, with, at + strlen(old));
  isc_test_write(dir, file, out, (size_t)n);
  free(text);
}

static void read_prior(world *w, const char *dir) {
  isc_study *s;
  isc_text text = {0};
  const isc_config_source source = {.path = isc_test_path(dir, "study.cfg")};
  isc_assert_ok(isc_study_read(&source, isc_test_path(dir, "study"), &s));
  for (int i = 0; i < SUPPORT; i++) {
    isc_assert_ok(isc_study_text(s, i < 24 ? ISC_TEST : ISC_TRAIN, i < 24 ? i : i - 24, &text));
    snprintf(w->prior[i], sizeof w->prior[i], "%s", text.data);
  }
  isc_text_free(&text);
  isc_study_close(s);
}

static bool of_prior(const world *w, const char *text) {
  for (int i = 0; i < SUPPORT; i++)
    if (!strcmp(text, w->prior[i])) return true;
  return false;
}

static void read_samples(world *w, const char *dir) {
  sqlite3 *db;
  sqlite3_stmt *q;
  char attach[1200];
  cr_assert_eq(sqlite3_open(isc_test_path(dir, "study/sample/samples.db"), &db), SQLITE_OK);
  snprintf(attach, sizeof attach, "ATTACH '%s' AS scored",
           isc_test_path(dir, "study/score/distances.db"));
  cr_assert_eq(sqlite3_exec(db, attach, NULL, NULL, NULL), SQLITE_OK);
  cr_assert_eq(sqlite3_prepare_v2(db,
                                  "SELECT t.text, angular < 0.1 AND abs(norm_ratio - 1) < 0.1 "
                                  "FROM sample s JOIN text t ON t.id = s.text "
                                  "JOIN distance USING (site, cond, j) ORDER BY site, cond, j",
                                  -1, &q, NULL),
               SQLITE_OK, "%s", sqlite3_errmsg(db));
  for (int r = 0; r < ROWS; r++) {
    cr_assert_eq(sqlite3_step(q), SQLITE_ROW, "only %d samples", r);
    snprintf(w->sample[r], sizeof w->sample[r], "%s", (const char *)sqlite3_column_text(q, 0));
    w->accepted[r] = sqlite3_column_int(q, 1) && of_prior(w, w->sample[r]);
  }
  sqlite3_finalize(q);
  sqlite3_close(db);
}

static world *run_study(void) {
  const char *dir = isc_scratch("insight");
  world *w = calloc(1, sizeof *w);
  json_error_t why;
  isc_micro_write(dir);
  replace(dir, "prior.inc", "n_places = 2; n_objects = 2;",
          "places = [\"garden\", \"lamp\"]; objects = [\"garden\", \"kitchen\"];");
  replace(dir, "study.cfg", "{ plugin = \"ioi-subject\"; name = \"subject\"; }",
          "{ plugin = \"slot\"; name = \"where\"; slot = \"PLACE\"; }");
  isc_micro_pretrain(dir);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  read_prior(w, dir);
  read_samples(w, dir);
  w->score = json_load_file(isc_test_path(dir, "study/score/score.json"), 0, &why);
  cr_assert(w->score, "%s", why.text);
  return w;
}

static void end(world *w) {
  json_decref(w->score);
  free(w);
}

/* ---- what the document says */

static const json_t *insight_of(const world *w) {
  return json_object_get(w->score, "insight");
}

static const char *text_of(const json_t *j, const char *key) {
  return json_string_value(json_object_get(j, key));
}

static double number_of(const json_t *j, const char *key) {
  return json_number_value(json_object_get(j, key));
}

static const json_t *named(const json_t *list, const char *key, const char *name) {
  size_t i;
  json_t *j;
  json_array_foreach(list, i, j) if (!strcmp(text_of(j, key), name)) return j;
  return NULL;
}

static const json_t *finding(const world *w, int site, int hypothesis) {
  const json_t *s = json_array_get(json_object_get(insight_of(w), "sites"), (size_t)site);
  return named(json_object_get(s, "ranked"), "hypothesis", name_of[hypothesis]);
}

/* The share of the prior that agrees with x̂. */
static double chance(const world *w, int c, int hypothesis) {
  int hits = 0;
  for (int i = 0; i < SUPPORT; i++)
    hits += agree(w->prior[i], w->prior[c], hypothesis);
  return hits / (double)SUPPORT;
}

Test(run_insight, hypotheses_are_the_slots_and_what_may_be_equal) {
  world *w = run_study();
  const json_t *list = json_object_get(insight_of(w), "hypotheses");
  for (int h = 0; h < HYPOTHESES; h++) {
    const json_t *j = named(list, "name", name_of[h]);
    double mean = 0;
    cr_assert(j, "%s is not tested", name_of[h]);
    for (int c = 0; c < CONDS; c++)
      mean += chance(w, c, h) / CONDS;
    cr_assert_float_eq(number_of(j, "chance"), mean, 1e-11, "%s", name_of[h]);
    cr_assert_str_eq(text_of(j, "kind"), h == SAME ? "equality" : "slot");
    cr_assert_eq((int)number_of(j, "values"), h <= B ? 4 : 2, "%s", name_of[h]);
  }
  /* A and B always differ, names are no places, and both features are slots by another name. */
  cr_assert_eq(json_array_size(list), HYPOTHESES);
  cr_assert_str_eq(text_of(named(list, "name", "A"), "alike"), "object");
  cr_assert_str_eq(text_of(named(list, "name", "PLACE"), "alike"), "where");
  end(w);
}

Test(run_insight, lifts_follow_from_the_accepted_samples) {
  world *w = run_study();
  int compared = 0;
  for (int s = 0; s < SITES; s++)
    for (int h = 0; h < HYPOTHESES; h++) {
      double rates = 0, lifts = 0;
      int n = 0;
      for (int c = 0; c < CONDS; c++) {
        int hits = 0, all = 0;
        for (int r = (s * CONDS + c) * DRAWS; r < (s * CONDS + c + 1) * DRAWS; r++) {
          all += w->accepted[r];
          hits += w->accepted[r] && agree(w->sample[r], w->prior[c], h);
        }
        if (!all) continue;
        rates += hits / (double)all;
        lifts += hits / (double)all - chance(w, c, h);
        n++;
      }
      const json_t *f = finding(w, s, h), *lift = json_object_get(f, "lift");
      cr_assert_eq(json_is_null(lift), n == 0);
      if (!n) continue;
      cr_assert_float_eq(number_of(f, "fcr"), rates / n, 1e-11);
      cr_assert_float_eq(number_of(lift, "value"), lifts / n, 1e-11);
      cr_assert_eq((int)number_of(lift, "n"), n);
      cr_assert(number_of(lift, "lo") <= lifts / n && lifts / n <= number_of(lift, "hi"));
      cr_assert(number_of(f, "p") <= number_of(f, "q"));
      compared++;
    }
  cr_assert_gt(compared, 10, "too few accepted samples to tell anything");
  end(w);
}

/* The document has the exact FCR of "where", a feature of its own; that of PLACE must agree. */
Test(run_insight, exact_lift_of_a_slot_is_that_of_its_feature) {
  world *w = run_study();
  for (int s = 0; s < SITES; s++) {
    const json_t *site = json_array_get(json_object_get(w->score, "sites"), (size_t)s);
    const json_t *exact =
        json_object_get(json_object_get(json_object_get(site, "fcr"), "where"), "exact");
    cr_assert_float_eq(number_of(json_object_get(finding(w, s, PLACE), "exact"), "value"),
                       number_of(exact, "value") - 0.5, 1e-11);
  }
  end(w);
}

Test(run_insight, findings_are_ranked_by_lift) {
  world *w = run_study();
  size_t s, k;
  json_t *site, *f;
  json_array_foreach(json_object_get(insight_of(w), "sites"), s, site) {
    double before = INFINITY;
    json_array_foreach(json_object_get(site, "ranked"), k, f) {
      const json_t *lift = json_object_get(f, "lift");
      const double x = json_is_null(lift) ? -INFINITY : number_of(lift, "value");
      cr_assert(x <= before);
      before = x;
    }
    cr_assert_eq(k, HYPOTHESES);
  }
  end(w);
}

Test(run_insight, can_be_left_out) {
  const char *dir = isc_micro_new("no-insight");
  isc_assert_ok(isc_micro_run(dir, "study", (const char *const[]){"evaluate.insight=false", NULL},
                              NULL, NULL));
  json_t *score = json_load_file(isc_test_path(dir, "study/score/score.json"), 0, NULL);
  cr_assert(json_is_null(json_object_get(score, "insight")));
  json_decref(score);
  cr_assert_str_eq(isc_micro_redone(dir, "study", NULL), "score report");
}
