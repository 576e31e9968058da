/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about other bandwidths: at a run's own ε they are its own numbers, at another those that a run with it gives to the
 * same samples, and what cannot be asked is refused before anything starts.
 */
#include "support.h"
#include "support_run.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})
enum { SITES = 4 };
static const char *const features[] = {"object", "subject"}, *const estimators[] = {
                                                                 "reject", "snis", "exact"};

static json_t *score_of(const char *dir, const char *run) {
  char name[64];
  json_error_t why;
  snprintf(name, sizeof name, "%s/score/score.json", run);
  json_t *j = json_load_file(isc_test_path(dir, name), 0, &why);
  cr_assert(j, "%s", why.text);
  return j;
}

static const json_t *get(const json_t *j, const char *key) {
  return json_object_get(j, key);
}

/* Every number of the ablation is that of a document whose ε it has. */
static void assert_same_numbers(const json_t *at, const json_t *score, const char *told) {
  for (size_t s = 0; s < SITES; s++) {
    const json_t *a = json_array_get(get(at, "sites"), s),
                 *b = json_array_get(get(score, "sites"), s);
    cr_assert(json_equal(get(a, "name"), get(b, "name")));
    cr_assert(json_equal(get(a, "refusal"), get(b, "refusal")), "%s: refusal of site %zu", told, s);
    for (int f = 0; f < 2; f++)
      for (int e = 0; e < 3; e++) {
        const json_t *x = get(get(get(a, "fcr"), features[f]), estimators[e]),
                     *y = get(get(get(b, "fcr"), features[f]), estimators[e]);
        cr_assert(x && json_equal(x, y), "%s: site %zu, %s by %s", told, s, features[f],
                  estimators[e]);
      }
    cr_assert_null(get(get(get(a, "fcr"), features[0]), "plain"));
  }
}

/* The micro study trains on kernel noise, so a run with another ε trains anew: only its own entry can be held against it. */
Test(run_ablation, own_epsilon_gives_the_runs_own_numbers) {
  const char *dir = isc_micro_new("ablation");
  static const char *const epsilons[] = {"0.1", "0.3"};
  for (int k = 0; k < 2; k++) {
    char own[64];
    snprintf(own, sizeof own, "kernel.epsilon=%s", epsilons[k]);
    isc_assert_ok(
        isc_micro_run(dir, "study", SET(own, "evaluate.epsilons=[0.1, 0.3]"), NULL, NULL));
    json_t *score = score_of(dir, "study");
    const json_t *at = json_array_get(get(score, "ablation"), (size_t)k), *alike;
    cr_assert_eq(json_array_size(get(score, "ablation")), 2);
    cr_assert_eq(json_number_value(get(at, "epsilon")), k ? 0.3 : 0.1);
    assert_same_numbers(at, score, own);
    for (int f = 0; f < 2; f++) {
      alike = get(get(get(at, "agreement"), features[f]), "exact");
      cr_assert_float_eq(json_number_value(get(alike, "spearman")), 1, 1e-12);
      cr_assert_eq(json_integer_value(get(alike, "overlap")), SITES);
    }
    json_decref(score);
  }
}

static double exact_ess(const json_t *site) {
  return json_number_value(get(get(get(get(site, "fcr"), "object"), "exact"), "ess"));
}

/* A larger ball refuses less and holds more; by exact, both runs ask the same prior. */
Test(run_ablation, another_epsilon_asks_the_same_prior) {
  const char *dir = isc_micro_new("wider");
  isc_assert_ok(isc_micro_run(dir, "narrow", SET("kernel.epsilon=0.01", "evaluate.epsilons=[0.1]"),
                              NULL, NULL));
  isc_assert_ok(isc_micro_run(dir, "wide", NULL, NULL, NULL));
  json_t *narrow = score_of(dir, "narrow"), *wide = score_of(dir, "wide");
  const json_t *at = json_array_get(get(narrow, "ablation"), 0);
  int wider = 0;
  cr_assert(json_is_null(get(wide, "ablation")));
  for (size_t s = 0; s < SITES; s++) {
    const json_t *a = json_array_get(get(at, "sites"), s),
                 *b = json_array_get(get(wide, "sites"), s),
                 *own = json_array_get(get(narrow, "sites"), s);
    for (int f = 0; f < 2; f++)
      cr_assert(json_equal(get(get(get(a, "fcr"), features[f]), "exact"),
                           get(get(get(b, "fcr"), features[f]), "exact")),
                "site %zu", s);
    cr_assert_leq(json_number_value(get(get(a, "refusal"), "value")),
                  json_number_value(get(get(own, "refusal"), "value")));
    const double here = exact_ess(a), there = exact_ess(own);
    cr_assert_geq(here, there);
    wider += here > there;
  }
  cr_assert_gt(wider, 0);
  json_decref(narrow);
  json_decref(wide);
}

Test(run_ablation, only_the_scores_are_redone) {
  const char *dir = isc_micro_new("redo");
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  cr_assert_str_eq(isc_micro_redone(dir, "study", SET("evaluate.epsilons=[0.05, 0.15]")),
                   "score report");
  cr_assert_str_empty(isc_micro_redone(dir, "study", SET("evaluate.epsilons=[0.05, 0.15]")));
}

Test(run_ablation, an_epsilon_that_no_kernel_takes_is_refused_at_once) {
  const char *dir = isc_scratch("refused");
  isc_micro_write(dir);
  isc_micro_pretrain(dir);
  isc_assert_fails(isc_micro_run(dir, "study", SET("evaluate.epsilons=[0.1, 0.0]"), NULL, NULL),
                   ISC_E_CONFIG, "evaluate.epsilons");
  cr_assert_not(isc_exists(isc_test_path(dir, "study/harvest")), "a stage began");
}
