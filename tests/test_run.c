/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about runs: what is up to date is left alone, what depends on a change is redone, and one seed makes one result.
 */
#include "support.h"
#include "support_run.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char ALL[] = "harvest backbone control sample score report";

Test(run, a_second_run_does_nothing) {
  const char *dir = isc_micro_new("run");
  cr_assert_str_eq(isc_micro_redone(dir, "study", NULL), ALL);
  isc_snapshot before = isc_snapshot_of(dir, "study");
  cr_assert_str_empty(isc_micro_redone(dir, "study", NULL));
  isc_snapshot after = isc_snapshot_of(dir, "study");
  const char *difference = isc_snapshot_difference(&before, &after, ISC_UNTOUCHED);
  cr_assert_null(difference, "%s", difference);
  isc_snapshot_free(&before);
  isc_snapshot_free(&after);
}

Test(run, a_changed_setting_redoes_what_depends_on_it) {
  static const struct {
    const char *set, *redone;
  } cases[] = {
      {"evaluate.samples=3", "sample score report"},
      {"evaluate.temperature=0.7", "sample score report"},
      {"evaluate.unconditional=10", "sample score report"},
      {"evaluate.bootstrap=20", "score report"},
      {"evaluate.max_support=0", "score report"},
      {"report.table_samples=2", "score report"},
      {"report.title=\"another\"", "report"},
      {"run.name=another", "report"},
      {"kernel.epsilon=0.2", "control sample score report"},
      {"kernel.profile=gaussian", "control sample score report"},
      {"method.control.lr=0.02", "control sample score report"},
      {"method.control.backbone=tuned", "control sample score report"},
      {"method.backbone.steps=40", "backbone control sample score report"},
      {"features.[0].name=first", "score report"},
      {"target.sites=[\"head.0.*\"]", "harvest control sample score report"},
      {"target.position=-2", "harvest control sample score report"},
      {"run.seed=6", ALL},
      {"prior.order=abba", ALL},
  };
  const char *dir = isc_micro_new("run");
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *redone = isc_micro_redone(dir, "study", SET(cases[i].set));
    cr_assert_str_eq(redone, cases[i].redone, "%s redoes \"%s\"", cases[i].set, redone);
    redone = isc_micro_redone(dir, "study", NULL);
    cr_assert_str_eq(redone, cases[i].redone, "back from %s: \"%s\"", cases[i].set, redone);
  }
  isc_assert_ok(isc_micro_run(dir, "fresh", NULL, NULL, NULL));
  isc_assert_same_runs(dir, "study", "fresh", "back at the first settings");
}

Test(run, settings_that_change_no_result_redo_nothing) {
  static const char *const sets[] = {
      "run.threads=2",           "run.checkpoint_seconds=5", "evaluate.batch=3",
      "target.batch=5",          "method.control.memory=0",  "method.control.looks=1",
      "method.backbone.looks=0", "backend.threads=2",        NULL};
  const char *dir = isc_micro_new("run");
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  for (int i = 0; sets[i]; i++) {
    const char *redone = isc_micro_redone(dir, "study", SET(sets[i]));
    cr_assert_str_empty(redone, "%s redoes \"%s\"", sets[i], redone);
  }
}

Test(run, the_target_is_known_by_its_content) {
  const char *dir = isc_micro_new("run");
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  char set[1200];
  snprintf(set, sizeof set, "target.path=\"%s\"", isc_test_path(dir, "moved"));
  cr_assert_eq(rename(isc_test_path(dir, "model"), isc_test_path(dir, "moved")), 0);
  const char *redone = isc_micro_redone(dir, "study", SET(set));
  cr_assert_str_empty(redone, "a moved model redoes \"%s\"", redone);
  size_t len;
  char *weights = isc_test_read(dir, "moved/model.safetensors", &len);
  weights[len - 1] ^= 1; /* a bit of the last tensor's last number */
  isc_test_write(dir, "moved/model.safetensors", weights, len);
  free(weights);
  redone = isc_micro_redone(dir, "study", SET(set));
  cr_assert_str_eq(redone, "harvest control sample score report", "other weights redo \"%s\"",
                   redone);
}

Test(run, a_stage_whose_file_is_gone_or_cut_is_redone) {
  static const struct {
    const char *file, *stage;
  } cases[] = {{"harvest/train/000000.safetensors", "harvest"},
               {"harvest/test/000000.safetensors", "harvest"},
               {"harvest/stage.json", "harvest"},
               {"backbone/model.safetensors", "backbone"},
               {"backbone/curve.csv", "backbone"},
               {"control/model.safetensors", "control"},
               {"control/stage.key", "control"},
               {"sample/samples.db", "sample"},
               {"score/distances.db", "score"},
               {"report/report.html", "report"}};
  const char *dir = isc_micro_new("run");
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  isc_snapshot before = isc_snapshot_of(dir, "study");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int cut = 0; cut < 2; cut++) {
      const char *path = isc_test_path(isc_test_path(dir, "study"), cases[i].file);
      cr_assert_eq(cut ? truncate(path, 7) : unlink(path), 0);
      const char *redone = isc_micro_redone(dir, "study", NULL);
      cr_assert_str_eq(redone, cases[i].stage, "%s %s: redoes \"%s\"", cases[i].file,
                       cut ? "cut" : "removed", redone);
      isc_snapshot after = isc_snapshot_of(dir, "study");
      const char *difference = isc_snapshot_difference(&before, &after, ISC_SAME_BYTES);
      cr_assert_null(difference, "%s: %s", cases[i].file, difference);
      isc_snapshot_free(&after);
    }
  isc_snapshot_free(&before);
}

Test(run, one_seed_makes_the_same_bytes_whatever_the_batches_and_threads) {
  static const char *const sets[][4] = {
      {"run.threads=2", "evaluate.batch=7", "target.batch=64", NULL},
      {"run.threads=2", "evaluate.batch=1024", "target.batch=1", NULL},
      {"run.threads=1", "evaluate.batch=1", "target.batch=7", NULL},
      {"run.threads=3", "method.control.memory=0", "run.checkpoint_seconds=0", NULL}};
  const char *dir = isc_micro_new("run");
  isc_assert_ok(isc_micro_run(dir, "first", NULL, NULL, NULL));
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    char name[16];
    snprintf(name, sizeof name, "run%zu", i);
    isc_assert_ok(isc_micro_run(dir, name, sets[i], NULL, NULL));
    isc_assert_same_runs(dir, "first", name, sets[i][1]);
  }
}

Test(run, another_seed_makes_other_samples) {
  const char *dir = isc_micro_new("run");
  size_t n, m;
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  char *before = isc_test_read(dir, "study/sample/samples.db", &n);
  isc_assert_ok(isc_micro_run(dir, "study", SET("run.seed=6"), NULL, NULL));
  char *after = isc_test_read(dir, "study/sample/samples.db", &m);
  cr_assert(n != m || memcmp(before, after, n));
  free(before);
  free(after);
}
