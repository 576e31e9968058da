/* SPDX-License-Identifier: Apache-2.0
 *
 * What a rehearsal says a study takes is what the study then takes.
 */
#include "support.h"
#include "support_run.h"

#include "run/rehearsal.h"
#include "run/spent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static isc_rehearsal rehearse(const char *dir, int64_t method, const char *const *set) {
  isc_study *s;
  isc_study_plan plan;
  isc_rehearsal r;
  isc_config_source source = {.path = isc_test_path(dir, "study.cfg"), .overrides = set};
  while (set && set[source.n_overrides])
    source.n_overrides++;
  isc_assert_ok(isc_study_read(&source, isc_test_path(dir, "study"), &s));
  isc_assert_ok(isc_study_plan_make(s, &plan));
  isc_assert_ok(isc_rehearse(s, &plan, &s->method[method], isc_test_path(dir, "scratch"), &r));
  isc_study_close(s);
  return r;
}

static double took(const char *dir, const char *stage) {
  isc_spent s;
  isc_assert_ok(isc_spent_read(isc_test_path(isc_test_path(dir, "study"), stage), &s));
  return s.flops;
}

static isc_rehearsal check_operations(const char *name, const char *const *set) {
  const char *dir = isc_micro_new(name);
  const isc_rehearsal r = rehearse(dir, 0, set);
  isc_assert_ok(isc_micro_run(dir, "study", set, NULL, NULL));
  cr_assert_eq(r.n_stages, 2);
  cr_assert_str_eq(r.stage[0].name, "backbone");
  cr_assert_eq(r.stage[0].steps, 60);
  cr_assert_eq(r.stage[1].steps, 20);
  for (int k = 0; k < 2; k++) {
    const double have = took(dir, r.stage[k].name);
    cr_assert(fabs(r.stage[k].flops / have - 1) < 0.05, "%s: %g foretold, %g taken",
              r.stage[k].name, r.stage[k].flops, have);
    /* Parameters, their gradients and two moments, at the least. */
    cr_assert(r.stage[k].memory > 16e3 && r.stage[k].memory < 1e9, "%g bytes", r.stage[k].memory);
  }
  const double sampled = took(dir, "sample"), read = took(dir, "harvest");
  cr_assert(r.sampling_flops > 0.5 * sampled && r.sampling_flops < 4 * sampled,
            "sampling: %g foretold, %g taken", r.sampling_flops, sampled);
  /* Texts that are sampled more than once are read once; distances to the enumerated prior come on top. */
  const double scored = took(dir, "score");
  cr_assert(r.scoring_flops > 0.9 * scored && r.scoring_flops < 4 * scored,
            "scoring: %g foretold, %g taken", r.scoring_flops, scored);
  cr_assert(fabs(r.harvest_flops / read - 1) < 0.05, "harvest: %g foretold, %g taken",
            r.harvest_flops, read);
  cr_assert(!isc_is_dir(isc_test_path(dir, "scratch")), "the scratch directory is left behind");
  cr_assert(r.parameters > 1000);
  return r;
}

Test(rehearsal, operations_are_those_of_the_run) {
  check_operations("rehearsal", NULL);
}

/* A copy of the backbone that is trained along has gradients and moments, and its products' gradients are operations. */
Test(rehearsal, a_tuned_backbone_is_foretold) {
  const char *const tuned[] = {"method.control.backbone=tuned", NULL};
  const isc_rehearsal frozen = check_operations("frozen", NULL),
                      r = check_operations("tuned", tuned);
  const double more = (double)(r.parameters - frozen.parameters);
  cr_assert(more > 1000);
  cr_assert(r.stage[1].memory - frozen.stage[1].memory >= 16 * more, "%g bytes more for %g numbers",
            r.stage[1].memory - frozen.stage[1].memory, more);
  cr_assert_gt(r.stage[1].flops, 1.1 * frozen.stage[1].flops);
  cr_assert_eq(r.stage[0].flops, frozen.stage[0].flops);
}

/* Activations that are made anew for each example are the method's to pay for. */
Test(rehearsal, fresh_activations_are_foretold) {
  const char *dir = isc_micro_new("fresh");
  char *text = isc_test_read(dir, "study.cfg", NULL), *all;
  cr_assert(
      asprintf(&all,
               "%s\nbaselines = ( { plugin = \"inversionview\"; budget = \"none\"; layers = 1; "
               "heads = 2; width = 8; blocks = 0; steps = 30; batch = 16; position = \"any\"; } "
               ");\n",
               text) > 0);
  isc_test_write(dir, "study.cfg", all, strlen(all));
  free(text);
  free(all);
  const isc_rehearsal r = rehearse(dir, 1, NULL);
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  const double have = took(dir, "inversionview/decoder");
  cr_assert(r.stage[0].flops >= have && r.stage[0].flops < 2 * have, "%g foretold, %g taken",
            r.stage[0].flops, have);
}

/* A baseline whose settings say more than its budget gives is foretold to stop where it then does. */
Test(rehearsal, budgets_are_foretold) {
  static const char *const budgets[] = {"flops", "tokens", "steps"};
  for (int i = 0; i < 3; i++) {
    const char *dir = isc_micro_new("held");
    char *text = isc_test_read(dir, "study.cfg", NULL), *all;
    cr_assert(asprintf(&all,
                       "%s\nbaselines = ( { plugin = \"inversionview\"; budget = \"%s\"; layers = "
                       "1; heads = 2; width = 8; blocks = 0; steps = 100000; batch = 16; } );\n",
                       text, budgets[i]) > 0);
    isc_test_write(dir, "study.cfg", all, strlen(all));
    free(text);
    free(all);
    const isc_rehearsal own = rehearse(dir, 0, NULL);
    isc_rehearsal r = rehearse(dir, 1, NULL), free_of_it = r;
    isc_rehearsal_hold(&free_of_it, ISC_BUDGET_NONE, &own);
    cr_assert_eq(free_of_it.stage[0].steps, 100000);
    isc_rehearsal_hold(&r,
                       i == 0   ? ISC_BUDGET_FLOPS
                       : i == 1 ? ISC_BUDGET_TOKENS
                                : ISC_BUDGET_STEPS,
                       &own);
    isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
    isc_spent s;
    isc_assert_ok(isc_spent_read(isc_test_path(dir, "study/inversionview/decoder"), &s));
    cr_assert(fabs((double)r.stage[0].steps / (double)s.steps - 1) < 0.05 && s.steps < 10000,
              "%s: %d steps foretold, %d taken", budgets[i], (int)r.stage[0].steps, (int)s.steps);
    cr_assert(fabs(r.stage[0].flops / s.flops - 1) < 0.05, "%s: %g foretold, %g taken", budgets[i],
              r.stage[0].flops, s.flops);
    cr_assert(fabs(r.stage[0].tokens / (double)s.tokens - 1) < 0.05, "%s: %g tokens foretold, %lld",
              budgets[i], r.stage[0].tokens, (long long)s.tokens);
  }
}
