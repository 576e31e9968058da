/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about runs that end early: killed, stopped or out of disk space, the next run ends in an undisturbed run's bytes.
 *
 * Checkpoints are taken at every step, so that every kind of file is in the middle of being written at some moment.
 */
#include "faulty_io.h"
#include "support.h"
#include "support_run.h"

#include <inversescope/rng.h>
#include <stdlib.h>
#include <string.h>

static const char *const SETTINGS[] = {"run.checkpoint_seconds=0", "method.backbone.steps=12",
                                       "method.control.steps=12", NULL};

/* A directory with an undisturbed run in "whole"; *commits = the renames it made. */
static const char *undisturbed(int64_t *commits) {
  const char *dir = isc_micro_new("kill");
  isc_fault_at(ISC_FAULT_NONE, 0);
  isc_assert_ok(isc_micro_run(dir, "whole", SETTINGS, NULL, NULL));
  if (commits) *commits = isc_fault_commits();
  return dir;
}

static bool any_half_written(const isc_snapshot *s) {
  for (int64_t i = 0; i < s->n; i++) {
    const size_t len = strlen(s->file[i].path);
    if (len > 4 && !strcmp(s->file[i].path + len - 4, ".tmp")) return true;
  }
  return false;
}

/* A run in a child that meets the fault, then one that does not. One failure to write a training curve is made good at
 * the next step, and then the first run ends well too. *half += whether a half-written file was left. */
static void disturb(const char *dir, const char *run, isc_fault fault, int64_t at, int *half) {
  char told[96];
  isc_fault_at(fault, at);
  const int status = isc_micro_run_child(dir, run, SETTINGS, NULL);
  isc_fault_at(ISC_FAULT_NONE, 0);
  snprintf(told, sizeof told, "fault %d at commit %lld", (int)fault, (long long)at);
  if (fault == ISC_FAULT_FULL)
    cr_assert(status == isc_exit_code(ISC_E_IO) || status == 0, "%s: %d", told, status);
  else
    cr_assert_eq(status, -SIGKILL, "%s: %d", told, status);
  isc_snapshot left = isc_snapshot_of(dir, run);
  *half += any_half_written(&left);
  isc_snapshot_free(&left);
  isc_assert_ok(isc_micro_run(dir, run, SETTINGS, NULL, NULL));
  isc_assert_same_runs(dir, "whole", run, told);
}

/* Moments spread over the whole run, the two sides of a commit by turns. */
Test(run_kill, at_any_commit_the_next_run_ends_in_the_same_bytes) {
  enum { MOMENTS = 16 };
  int64_t commits;
  int half = 0;
  const char *dir = undisturbed(&commits);
  for (int64_t k = 0; k < MOMENTS; k++) {
    char run[32];
    const int64_t at = 1 + k * (commits - 1) / (MOMENTS - 1);
    snprintf(run, sizeof run, "run%lld", (long long)k);
    disturb(dir, run, k % 2 ? ISC_FAULT_KILL_AFTER : ISC_FAULT_KILL_BEFORE, at, &half);
  }
  cr_assert_geq(half, MOMENTS / 2 - 1, "kills left half-written files only %d times", half);
}

Test(run_kill, at_random_commits_the_next_run_ends_in_the_same_bytes) {
  int64_t commits;
  int half = 0;
  const char *dir = undisturbed(&commits);
  for (uint64_t k = 0; k < 6; k++) {
    char run[32];
    isc_rng r = isc_rng_at(17, ISC_RNG_USER, k);
    const bool after = isc_rng_below(&r, 2);
    const int64_t at = 1 + (int64_t)isc_rng_below(&r, (uint64_t)commits);
    snprintf(run, sizeof run, "run%d", (int)k);
    disturb(dir, run, after ? ISC_FAULT_KILL_AFTER : ISC_FAULT_KILL_BEFORE, at, &half);
  }
}

/* Lives too short for the whole run, but long enough for any one stage after the trained ones, and to record a trained
 * stage within the life that ends its training: the checkpoint goes before the record comes. */
Test(run_kill, killed_over_and_over_a_run_still_ends) {
  const char *dir = undisturbed(NULL);
  int lives = 1, status;
  isc_fault_at(ISC_FAULT_KILL_BEFORE, 18);
  while ((status = isc_micro_run_child(dir, "run", SETTINGS, NULL)) == -SIGKILL && lives < 40)
    lives++;
  isc_fault_at(ISC_FAULT_NONE, 0);
  cr_assert_eq(status, 0, "life %d ended with %d", lives, status);
  cr_assert_geq(lives, 5);
  isc_assert_same_runs(dir, "whole", "run", "killed over and over");
}

/* ---- between commits: at the k-th report of progress of a stage */

typedef struct moment {
  const char *stage;
  int left;
  volatile sig_atomic_t *stop; /* raised instead of a kill */
} moment;

static void on_progress(void *user, const char *stage, int64_t done, int64_t total,
                        const isc_metric *m, int64_t n, double seconds) {
  moment *at = user;
  (void)done, (void)total, (void)m, (void)n, (void)seconds;
  if (strcmp(stage, at->stage) || --at->left > 0) return;
  if (at->stop)
    *at->stop = 1;
  else
    raise(SIGKILL);
}

static const struct {
  const char *stage;
  int at;
} MOMENTS[] = {{"harvest", 1}, {"backbone", 1}, {"backbone", 7}, {"backbone", 12}, {"control", 1},
               {"control", 8}, {"control", 12}, {"sample", 1},   {"score", 1},     {"score", 2}};
enum { N_MOMENTS = sizeof MOMENTS / sizeof *MOMENTS };

Test(run_kill, at_any_progress_the_next_run_ends_in_the_same_bytes) {
  const char *dir = undisturbed(NULL);
  for (int k = 0; k < N_MOMENTS; k++) {
    char run[32], told[64];
    moment at = {.stage = MOMENTS[k].stage, .left = MOMENTS[k].at};
    const isc_run_events ev = {.user = &at, .progress = on_progress};
    snprintf(run, sizeof run, "run%d", k);
    snprintf(told, sizeof told, "%s %d", MOMENTS[k].stage, MOMENTS[k].at);
    cr_assert_eq(isc_micro_run_child(dir, run, SETTINGS, &ev), -SIGKILL, "%s", told);
    isc_assert_ok(isc_micro_run(dir, run, SETTINGS, NULL, NULL));
    isc_assert_same_runs(dir, "whole", run, told);
  }
}

Test(run_kill, a_stop_is_obeyed_in_every_stage_and_the_next_run_goes_on) {
  const char *dir = undisturbed(NULL);
  /* Few checkpoints but the one of the stop itself: the curve must keep up with it. */
  static const char *const rarely[] = {"run.checkpoint_seconds=60", "method.backbone.steps=12",
                                       "method.control.steps=12", NULL};
  for (int k = 0; k < N_MOMENTS; k++) {
    char run[32], told[64];
    volatile sig_atomic_t stop = 0;
    moment at = {.stage = MOMENTS[k].stage, .left = MOMENTS[k].at, .stop = &stop};
    const isc_run_events ev = {.user = &at, .progress = on_progress};
    snprintf(run, sizeof run, "run%d", k);
    snprintf(told, sizeof told, "%s %d", MOMENTS[k].stage, MOMENTS[k].at);
    const isc_status st = isc_micro_run(dir, run, rarely, &ev, &stop);
    cr_assert_eq(st, ISC_E_INTERRUPTED, "%s: %s", told, isc_status_name(st));
    isc_assert_ok(isc_micro_run(dir, run, rarely, NULL, NULL));
    isc_assert_same_runs(dir, "whole", run, told);
  }
}

/* ---- a harvest of more than one chunk */

static int64_t mtime_of(const isc_snapshot *s, const char *path) {
  for (int64_t i = 0; i < s->n; i++)
    if (!strcmp(s->file[i].path, path)) return s->file[i].mtime_ns;
  return 0;
}

Test(run_kill, a_killed_harvest_keeps_its_finished_chunks) {
  static const char FIRST[] = "harvest/train/000000.safetensors",
                    SECOND[] = "harvest/train/000001.safetensors";
  static const char PRIOR[] =
      "prior = { plugin = \"ioi\"; spacing = \"words\"; n_templates = 1;"
      " n_names = 12; n_places = 4; n_objects = 4; test_fraction = 0.01; };";
  static const char *const settings[] = {"method.backbone.steps=2", "method.control.steps=2",
                                         "evaluate.max_support=0", NULL};
  const char *dir = isc_scratch("kill");
  isc_micro_write(dir);
  isc_test_write(dir, "prior.inc", PRIOR, sizeof PRIOR - 1);
  isc_micro_pretrain(dir);
  isc_assert_ok(isc_micro_run(dir, "whole", settings, NULL, NULL));
  /* Commits: config.cfg, run.json, stage.key, the first chunk, and then the second. */
  isc_fault_at(ISC_FAULT_KILL_BEFORE, 5);
  cr_assert_eq(isc_micro_run_child(dir, "run", settings, NULL), -SIGKILL);
  isc_fault_at(ISC_FAULT_NONE, 0);
  isc_snapshot left = isc_snapshot_of(dir, "run");
  cr_assert(mtime_of(&left, FIRST) && !mtime_of(&left, SECOND));
  isc_assert_ok(isc_micro_run(dir, "run", settings, NULL, NULL));
  isc_snapshot after = isc_snapshot_of(dir, "run");
  cr_assert_eq(mtime_of(&left, FIRST), mtime_of(&after, FIRST), "the first chunk was made again");
  cr_assert(mtime_of(&after, SECOND));
  isc_assert_same_runs(dir, "whole", "run", "killed in the second chunk");
  isc_snapshot_free(&left);
  isc_snapshot_free(&after);
}

/* ---- a full disk */

Test(run_kill, a_commit_that_fails_is_an_error_and_the_next_run_goes_on) {
  enum { FAILURES = 10 };
  int64_t commits;
  int half = 0;
  const char *dir = undisturbed(&commits);
  for (int64_t k = 0; k < FAILURES; k++) {
    char run[32];
    snprintf(run, sizeof run, "run%lld", (long long)k);
    disturb(dir, run, ISC_FAULT_FULL, 1 + k * (commits - 1) / (FAILURES - 1), &half);
  }
  cr_assert_eq(half, 0, "a failed write leaves a temporary file behind");
}
