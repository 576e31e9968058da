/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about baselines: what is the same is found to be the same, budgets are kept, and a killed run ends where it would have.
 */
#include "support.h"
#include "support_run.h"

#include "run/compare.h"
#include "run/conditions.h"
#include "run/spent.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})
#define METHOD                                                                                     \
  "plugin = \"inversescope\"; backbone = { layers = 1; heads = 2; width = 16; mlp = 32;"           \
  " init_std = 0.1; looks = 2; steps = %d; batch = 16; lr = 2e-2; warmup = 5; schedule = "         \
  "\"linear\"; }; control = { heads = 2; head_dim = 4; score_scale = 0.3; looks = 2; steps = %d;"  \
  " batch = 16; lr = 1e-2; warmup = 5; };"

/* dir/study.cfg with a baseline of the method's own kind. */
static const char *study_with(const char *name, const char *budget, int backbone, int control) {
  const char *dir = isc_micro_new("baselines");
  char *text = isc_test_read(dir, "study.cfg", NULL), *all = NULL;
  cr_assert(asprintf(&all, "%s\nbaselines = ( { name = \"%s\"; budget = \"%s\"; " METHOD " } );\n",
                     text, name, budget, backbone, control) > 0);
  isc_test_write(dir, "study.cfg", all, strlen(all));
  free(text);
  free(all);
  return dir;
}

static json_t *load(const char *dir, const char *name) {
  json_error_t e;
  json_t *j = json_load_file(isc_test_path(dir, name), JSON_REJECT_DUPLICATES, &e);
  cr_assert_not_null(j, "%s: %s", name, e.text);
  return j;
}

static isc_spent spent(const char *dir, const char *stage) {
  isc_spent s;
  isc_assert_ok(isc_spent_read(isc_test_path(dir, stage), &s));
  return s;
}

static double at(const json_t *j, const char *a, const char *b, const char *c) {
  const json_t *v = json_object_get(json_object_get(json_object_get(j, a), b), c);
  cr_assert(json_is_number(v), "%s.%s.%s is no number", a, b, c);
  return json_number_value(v);
}

Test(baselines, the_same_method_has_the_same_scores) {
  const char *dir = study_with("again", "none", 60, 20);
  cr_assert_str_eq(isc_micro_redone(dir, "study", NULL),
                   "harvest backbone control sample score again/backbone again/control "
                   "again/sample again/score compare report");
  cr_assert_str_empty(isc_micro_redone(dir, "study", NULL), "a second run does nothing");
  size_t n, m;
  char *own = isc_test_read(dir, "study/sample/samples.db", &n),
       *its = isc_test_read(dir, "study/again/sample/samples.db", &m);
  cr_assert(n == m && !memcmp(own, its, n), "the same settings draw the same samples");
  json_t *j = load(dir, "study/compare/again.json"), *r = json_object_get(j, "refusal");
  cr_assert_eq(json_integer_value(json_object_get(j, "conditions")), 10);
  cr_assert_eq(json_array_size(json_object_get(j, "sites")), 4);
  cr_assert_eq(json_array_size(json_object_get(j, "differences")), 0);
  cr_assert_eq(at(r, "fixed", "kernel", "a"), at(r, "fixed", "kernel", "b"));
  cr_assert_eq(at(json_object_get(r, "fixed"), "kernel", "difference", "value"), 0);
  free(own);
  free(its);
  json_decref(j);
}

Test(baselines, a_budget_of_steps_is_kept_over_all_stages) {
  const char *dir = study_with("other", "steps", 1000, 1000);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  const char *run = isc_test_path(dir, "study");
  cr_assert_eq(spent(run, "backbone").steps + spent(run, "control").steps, 80);
  cr_assert_eq(spent(run, "other/backbone").steps, 40);
  cr_assert_eq(spent(run, "other/control").steps, 40);
  cr_assert_eq(spent(run, "other/control").examples, 40 * 16);
}

Test(baselines, budgets_are_met_within_a_step) {
  static const char *const budgets[] = {"tokens", "flops"};
  for (int k = 0; k < 2; k++) {
    const char *dir = study_with("other", budgets[k], 1000, 1000),
               *run = isc_test_path(dir, "study");
    isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
    const isc_spent own[] = {spent(run, "backbone"), spent(run, "control")},
                    its[] = {spent(run, "other/backbone"), spent(run, "other/control")};
    const double have = k ? own[0].flops + own[1].flops : (double)(own[0].tokens + own[1].tokens);
    for (int i = 0; i < 2; i++) {
      const double took = k ? its[i].flops : (double)its[i].tokens, step = took / its[i].steps;
      cr_assert(its[i].steps > 4 && took > 0);
      /* Batches differ a little in length, so steps differ a little in cost. */
      cr_assert(took <= 1.03 * have / 2 && took >= 0.97 * have / 2 - step, "%s: %g of %g",
                budgets[k], took, have / 2);
    }
    cr_assert(!isc_is_dir(isc_test_path(run, "other/.trial")), "the trial is left behind");
  }
}

Test(baselines, seconds_are_settled_once) {
  const char *dir = study_with("other", "seconds", 100000, 100000);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  cr_assert_str_empty(isc_micro_redone(dir, "study", NULL));
  json_t *j = load(dir, "study/other/budget.json");
  cr_assert(json_integer_value(json_object_get(json_object_get(j, "control"), "steps")) > 0);
  json_decref(j);
}

/* Stops before the k-th look. */
typedef struct stopper {
  int left;
  volatile sig_atomic_t stop;
} stopper;

static void on_progress(void *user, const char *stage, int64_t done, int64_t total,
                        const isc_metric *m, int64_t n, double seconds) {
  stopper *s = user;
  (void)done, (void)total, (void)m, (void)n, (void)seconds;
  if (!strncmp(stage, "other/control", 13) && --s->left == 0) s->stop = 1;
}

Test(baselines, a_baseline_that_is_stopped_goes_on_to_the_same_end) {
  const char *dir = study_with("other", "flops", 1000, 1000);
  isc_assert_ok(isc_micro_run(dir, "whole", NULL, NULL, NULL));
  stopper s = {.left = 7};
  const isc_run_events ev = {.user = &s, .progress = on_progress};
  cr_assert_eq(isc_micro_run(dir, "cut", NULL, &ev, &s.stop), ISC_E_INTERRUPTED);
  isc_assert_ok(isc_micro_run(dir, "cut", NULL, NULL, NULL));
  static const char *const same[] = {"other/backbone/model.safetensors",
                                     "other/control/model.safetensors", "other/sample/samples.db",
                                     "other/score/conditions.safetensors"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    size_t n, m;
    char *x = isc_test_read(isc_test_path(dir, "whole"), same[i], &n),
         *y = isc_test_read(isc_test_path(dir, "cut"), same[i], &m);
    cr_assert(n == m && !memcmp(x, y, n), "%s differs", same[i]);
    free(x);
    free(y);
  }
  const isc_spent whole = spent(isc_test_path(dir, "whole"), "other/control"),
                  cut = spent(isc_test_path(dir, "cut"), "other/control");
  cr_assert(whole.steps == cut.steps && whole.examples == cut.examples &&
                whole.tokens == cut.tokens && whole.flops == cut.flops,
            "%g operations, and %g when stopped", whole.flops, cut.flops);
}

Test(baselines, the_best_position_is_never_worse) {
  const char *dir = study_with("again", "none", 60, 20);
  isc_assert_ok(isc_micro_run(dir, "study", SET("evaluate.any_position=true"), NULL, NULL));
  json_t *j = load(dir, "study/compare/again.json"), *r = json_object_get(j, "refusal");
  static const char *const distances[] = {"kernel", "cosine", "l2"};
  for (int i = 0; i < 3; i++)
    cr_assert(at(r, "any", distances[i], "a") <= at(r, "fixed", distances[i], "a") + 1e-12);
  cr_assert(at(r, "fixed", "cosine", "a") <= at(r, "fixed", "kernel", "a") + 1e-12,
            "the kernel's band refuses more");
  json_decref(j);
}

static void stop_behind_own(void *user, const char *stage, double seconds) {
  (void)seconds;
  if (!strcmp(stage, "score")) *(volatile sig_atomic_t *)user = 1;
}

Test(baselines, a_trial_that_is_stopped_leaves_nothing) {
  const char *dir = study_with("other", "flops", 1000, 1000);
  volatile sig_atomic_t stop = 0;
  const isc_run_events ev = {.user = (void *)&stop, .end = stop_behind_own};
  cr_assert_eq(isc_micro_run(dir, "study", NULL, &ev, &stop), ISC_E_INTERRUPTED);
  cr_assert(isc_is_dir(isc_test_path(dir, "study/other")), "the trial had not begun");
  cr_assert(!isc_is_dir(isc_test_path(dir, "study/other/.trial")));
}

Test(baselines, names_that_cannot_be_used_are_refused) {
  static const char *const names[] = {
      "score", "control", "compare", "Bad", "a/b", "", "a-name-that-is-longer-than-any-other"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *dir = study_with(names[i], "none", 1, 1);
    const isc_status st = isc_micro_run(dir, "study", NULL, NULL, NULL);
    cr_assert_eq(st, ISC_E_CONFIG, "\"%s\": %s", names[i], isc_error());
    cr_assert(strstr(isc_error(), "name"), "%s", isc_error());
  }
}

/* ---- the command */

Test(baselines, compare_shows_a_run_and_its_baseline) {
  const char *dir = study_with("again", "none", 60, 20);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  static const char *const args[] = {"compare", "study", "study/again", "--output", "out", NULL};
  isc_cli c = isc_cli_run(dir, args, NULL);
  cr_assert_eq(c.status, 0, "%s", c.err);
  cr_assert(strstr(c.out, "refusal") && strstr(c.out, "+0.000"), "%s", c.out);
  cr_assert(strstr(c.out, "rank correlation of sites 1.000; |reject - exact|"), "%s", c.out);
  /* Columns stand below each other: the two bytes of the hat of x̂ take none of their own. */
  const char *copies = strstr(c.out, "\nsamples that are x̂ itself"),
             *validity = strstr(c.out, "\nvalidity");
  cr_assert(copies && validity, "%s", c.out);
  cr_assert_eq(strchr(copies, '.') - copies, strchr(validity, '.') - validity + 2, "%s", c.out);
  char *csv = isc_test_read(dir, "out/compare.csv", NULL),
       *html = isc_test_read(dir, "out/compare.html", NULL);
  cr_assert(strstr(csv, "\"again\",\"\",\"refusal fixed kernel\","), "%s", csv);
  cr_assert(strstr(csv, "\"again\",\"\",\"training steps\",80,80,,,\n"), "%s", csv);
  cr_assert(strstr(html, "Refusal over sites") && !strstr(html, "<script"));
  free(csv);
  free(html);
  isc_cli_free(&c);
}

Test(baselines, compare_refuses_what_has_nothing_in_common) {
  const char *dir = study_with("again", "none", 2, 2);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  isc_assert_ok(isc_micro_run(dir, "sites", SET("target.sites=[\"resid_post.0\"]"), NULL, NULL));
  char *text;
  isc_comparison c = {
      .a = isc_test_path(dir, "study"), .b = isc_test_path(dir, "sites"), .resamples = 20};
  isc_assert_fails(isc_compare_run(&c, &text), ISC_E_USAGE, "no site in common");
  c.b = isc_test_path(dir, "model");
  isc_assert_fails(isc_compare_run(&c, &text), ISC_E_MISSING, "not a finished run");
}

/* Does the list of differences have this key? */
static bool differs(const json_t *comparison, const char *key) {
  size_t i;
  json_t *d;
  json_array_foreach(json_object_get(comparison, "differences"), i,
                     d) if (!strcmp(json_string_value(json_object_get(d, "key")), key)) return true;
  return false;
}

/* Weights of the same shape, the same templates with other words, a feature of the same name: nothing but a hash or a plugin's
 * name tells them apart. */
Test(baselines, compare_tells_what_two_runs_do_not_share) {
  const char *dir = study_with("again", "none", 2, 2);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  isc_assert_ok(isc_micro_run(
      dir, "feature", SET("features.[0].plugin=\"ioi-subject\"", "target.sites=[\"head.0.*\"]"),
      NULL, NULL));
  char *pretrain = isc_test_read(dir, "pretrain.cfg", NULL),
       *seed = strstr(pretrain, "seed = 3; steps");
  cr_assert_not_null(seed);
  seed[7] = '4';
  isc_test_write(dir, "pretrain.cfg", pretrain, strlen(pretrain));
  isc_micro_pretrain(dir);
  isc_assert_ok(isc_micro_run(dir, "target", NULL, NULL, NULL));
  isc_comparison c = {.a = isc_test_path(dir, "study"), .resamples = 20};
  char *text;
  c.b = isc_test_path(dir, "target");
  isc_assert_ok(isc_compare_run(&c, &text));
  json_t *j = json_loads(text, 0, NULL);
  cr_assert(differs(j, "target.hash") && !differs(j, "prior.hash"), "%.900s", text);
  cr_assert_eq(json_array_size(json_object_get(j, "differences")), 1, "%.900s", text);
  json_decref(j);
  free(text);
  c.b = isc_test_path(dir, "feature");
  isc_assert_ok(isc_compare_run(&c, &text));
  j = json_loads(text, 0, NULL);
  cr_assert(differs(j, "features.object.plugin") && differs(j, "sites"), "%.900s", text);
  cr_assert_eq(json_array_size(json_object_get(j, "differences")), 2, "%.900s", text);
  json_decref(j);
  free(text);
  free(pretrain);
}

/* One input of ten without an accepted sample at one of four sites on one side; another that no feature has a label for. */
Test(baselines, inputs_without_an_answer_are_counted) {
  const char *dir = study_with("again", "none", 2, 2);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  const isc_comparison c = {
      .a = isc_test_path(dir, "study"), .b = isc_test_path(dir, "study/again"), .resamples = 20};
  const char *sides[] = {c.a, c.b};
  for (int k = 0; k < 2; k++) {
    isc_conditions x;
    char *path;
    cr_assert(asprintf(&path, "%s/score/conditions.safetensors", sides[k]) > 0);
    isc_assert_ok(isc_conditions_read(path, 4, 2, &x));
    for (int64_t i = 0; i < 2 * 4 * 10; i++)
      x.reject[i] = i % 10 == 7 ? NAN : 0.5f;
    for (int64_t f = 0; k == 1 && f < 2; f++)
      x.reject[(f * 4 + 2) * 10 + 3] = NAN;
    isc_assert_ok(isc_conditions_write(&x, path));
    isc_conditions_free(&x);
    free(path);
  }
  char *text;
  isc_assert_ok(isc_compare_run(&c, &text));
  json_t *j = json_loads(text, 0, NULL), *part = json_object_get(j, "unanswered");
  cr_assert_eq(json_number_value(json_object_get(part, "a")), 0);
  cr_assert_float_eq(json_number_value(json_object_get(part, "b")), 1.0 / (9 * 4), 1e-12);
  cr_assert_eq(json_integer_value(json_object_get(json_object_get(part, "difference"), "n")), 9);
  json_decref(j);
  free(text);
}

/* Files of strangers: numbers that no evaluation gives, sizes that the file does not have, names of any bytes. */
Test(baselines, compare_believes_no_file) {
  const char *dir = study_with("again", "none", 2, 2);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  isc_assert_ok(isc_micro_run(dir, "caf\xE9", NULL, NULL, NULL));
  const isc_comparison c = {
      .a = isc_test_path(dir, "study"), .b = isc_test_path(dir, "caf\xE9"), .resamples = 20};
  char *text, *path;
  isc_assert_ok(isc_compare_run(&c, &text));
  json_t *j = json_loads(text, 0, NULL);
  cr_assert(strstr(json_string_value(json_object_get(json_object_get(j, "b"), "name")), "caf"),
            "%.300s", text);
  json_decref(j);
  free(text);
  cr_assert(asprintf(&path, "%s/score/conditions.safetensors", c.b) > 0);
  isc_conditions x;
  isc_assert_fails(isc_conditions_read(path, INT64_MAX / 2, INT64_MAX / 2, &x), ISC_E_FORMAT,
                   "not of the run's sites");
  static const float wrong[] = {7.5f, -1e-3f, INFINITY};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    isc_assert_ok(isc_conditions_read(path, 4, 2, &x));
    const float before = x.copies[3];
    x.copies[3] = wrong[i];
    isc_assert_ok(isc_conditions_write(&x, path));
    isc_assert_fails(isc_compare_run(&c, &text), ISC_E_FORMAT, "\"copies\" holds");
    x.copies[3] = before;
    isc_assert_ok(isc_conditions_write(&x, path));
    isc_conditions_free(&x);
  }
  free(path);
}

/* A prior of texts of unequal probability draws some of them again. */
Test(baselines, compare_pairs_an_input_as_often_as_both_have_it) {
  const char *dir = study_with("again", "none", 2, 2);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  const char *sides[] = {isc_test_path(dir, "study"), isc_test_path(dir, "study/again")};
  const isc_comparison c = {.a = sides[0], .b = sides[1], .resamples = 20};
  static const int64_t often[2] = {3, 2}; /* of ten inputs, the first comes so often */
  for (int k = 0; k < 2; k++) {
    isc_conditions x;
    char *path;
    cr_assert(asprintf(&path, "%s/score/conditions.safetensors", sides[k]) > 0);
    isc_assert_ok(isc_conditions_read(path, 4, 2, &x));
    for (int64_t i = 0; i < often[k]; i++)
      x.text[i] = x.text[0];
    for (int64_t i = 0; i < 4 * 10; i++)
      x.copies[i] = (float)(i % 10) / 16;
    isc_assert_ok(isc_conditions_write(&x, path));
    isc_conditions_free(&x);
    free(path);
  }
  char *text;
  isc_assert_ok(isc_compare_run(&c, &text));
  json_t *j = json_loads(text, 0, NULL);
  cr_assert_eq(json_integer_value(json_object_get(j, "conditions")), 9, "%.200s", text);
  cr_assert_eq(at(j, "copies", "difference", "value"), 0, "the k-th is paired with the k-th");
  json_decref(j);
  free(text);
}

Test(baselines, what_is_spent_has_a_largest) {
  isc_spent sum = {.steps = INT64_MAX, .tokens = 3, .flops = 1.7e308};
  const isc_spent more = {.steps = INT64_MAX, .tokens = 4, .flops = 1.7e308, .seconds = 2};
  isc_spent_add(&sum, &more);
  cr_assert(sum.steps == INT64_MAX && sum.tokens == 7 && sum.seconds == 2 && isfinite(sum.flops));
}

Test(baselines, sample_asks_a_baseline) {
  const char *dir = study_with("again", "none", 60, 20);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  static const char *const text[] = {"sample", "study", "--site", "L0H0", "--text",
                                     NULL,     NULL,    NULL,     NULL};
  char *example = NULL;
  json_t *j = load(dir, "study/score/score.json");
  isc_assert_ok(isc_strdup(
      json_string_value(json_object_get(json_object_get(j, "prior"), "example")), &example));
  const char *args[9];
  memcpy(args, text, sizeof args);
  args[5] = example;
  isc_cli own = isc_cli_run(dir, args, NULL);
  args[6] = "--method";
  args[7] = "again";
  isc_cli its = isc_cli_run(dir, args, NULL);
  cr_assert(own.status == 0 && its.status == 0, "%s%s", own.err, its.err);
  cr_assert_str_eq(own.out, its.out);
  args[7] = "nobody";
  isc_cli none = isc_cli_run(dir, args, NULL);
  cr_assert_eq(none.status, 64);
  cr_assert(strstr(none.err, "it has inversescope, again"), "%s", none.err);
  isc_cli_free(&own);
  isc_cli_free(&its);
  isc_cli_free(&none);
  free(example);
  json_decref(j);
}
