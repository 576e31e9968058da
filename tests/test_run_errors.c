/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about what goes wrong in a study: the program says so in one line that names the place, with sysexits' code.
 */
#include "method/inversescope.h"
#include "plugin/registry.h"
#include "run/study.h"
#include "support.h"
#include "support_run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int count_of(const char *text, const char *part) {
  int n = 0;
  for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
    n++;
  return n;
}

/* The program ends with `status` and one error, its last line, that has both parts in it. */
static void expect(const char *cwd, const char *const *args, void (*before)(void), int status,
                   const char *part, const char *part2) {
  isc_cli c = isc_cli_run(cwd, args, before);
  const char *told = strstr(c.err, "inversescope: ");
  cr_assert_eq(c.status, status, "%s %s: ended with %d\n%s", args[0], args[2] ? args[2] : "",
               c.status, c.err);
  cr_assert(told && count_of(c.err, "inversescope: ") == 1, "not one error line:\n%s", c.err);
  cr_assert_eq(strchr(told, '\n'), told + strlen(told) - 1, "the error is not one last line:\n%s",
               c.err);
  cr_assert(strstr(told, part), "no \"%s\" in: %s", part, told);
  cr_assert(strstr(told, part2), "no \"%s\" in: %s", part2, told);
  isc_cli_free(&c);
}

static void edit(const char *dir, const char *name, const char *to, const char *from,
                 const char *by) {
  char *text = isc_test_read(dir, name, NULL), *at = strstr(text, from), *all = NULL;
  cr_assert(at, "%s has no %s", name, from);
  isc_assert_ok(isc_asprintf(&all, "%.*s%s%s", (int)(at - text), text, by, at + strlen(from)));
  isc_test_write(dir, to, all, strlen(all));
  free(text);
  free(all);
}

Test(run_errors, an_unknown_key_is_shown_with_its_line_and_the_nearest_name) {
  const char *dir = isc_scratch("errors");
  isc_micro_write(dir);
  edit(dir, "study.cfg", "top.cfg", "\nevaluate = ", "\n# one line more\nevaluat = ");
  expect(dir, ARGS("run", "top.cfg"), NULL, 78, "top.cfg:18: evaluat: unknown setting",
         "did you mean \"evaluate\"?");
  edit(dir, "study.cfg", "low.cfg", "samples = 5", "smaples = 5");
  expect(dir, ARGS("run", "low.cfg"), NULL, 78, "low.cfg:17: evaluate.smaples: unknown setting",
         "did you mean \"samples\"?");
  edit(dir, "prior.inc", "prior.inc", "n_names", "n_nmaes");
  expect(dir, ARGS("pretrain", "pretrain.cfg"), NULL, 78, "prior.inc:4: prior.n_nmaes",
         "did you mean \"n_names\"?");
}

Test(run_errors, wrong_settings_are_config_errors) {
  static const char *const cases[][3] = {
      {"evaluate.sample=3", "--set evaluate.sample=3", "did you mean \"samples\"?"},
      {"evaluate.samples=0", "evaluate.samples", "[1, 1000000]"},
      {"evaluate.samples=many", "evaluate.samples", "integer"},
      {"evaluate.samples", "evaluate.samples", "path.to.setting=value"},
      {"kernel.epsilon=-1", "kernel.epsilon", "(0, "},
      {"target.plugin=gpt3", "target.plugin", "did you mean \"gpt2\"?"},
      {"kernel.plugin=cosine_band", "kernel.plugin", "did you mean \"cosine-band\"?"},
      {"features.[0].plugin=ioi-objects", "features.[0].plugin", "did you mean \"ioi-object\"?"},
      {"method.plugin=nothing", "method.plugin", "no method plugin"},
      {"run.device=no-such", "run.device", "no-such"},
      {"target.sites=[\"head.9.*\"]", "target.sites", "head.9.*"},
      {"target.sites=[\"haed.0.0\"]", "target.sites=[\"haed.0.0\"]: target.sites: ", "haed.0.0"},
      {"target.sites=[]", "target.sites=[]: target.sites: ", "head.*.*"},
      {"prior.n_names=1", "prior.inc:2: prior: ", "must differ from A"},
      {"method.backbone.heads=3", "study.cfg:10: method: ", "backbone.heads 3"},
      {"features.[1].name=object", "features", "two features are named \"object\""},
      {"prior.n_templates=999", "n_templates", "999"},
      {"prior.test_fraction=0.001", "prior", "test inputs"},
      {"method.backbone.width=15", "backbone.width 15", "backbone.heads 2"},
      {"kernel.profile=round", "kernel.profile", "\"hard\""},
  };
  const char *dir = isc_micro_new("errors");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    expect(dir, ARGS("run", "study.cfg", "--set", cases[i][0]), NULL, 78, cases[i][1], cases[i][2]);
}

/* ---- a method that has no samples to give */

static isc_status open_labeller(const void *conf, const isc_method_env *env, void **self) {
  (void)conf, (void)env, (void)self;
  cr_assert_fail("a method that a study cannot use was opened");
  return ISC_OK;
}

Test(run_errors, a_part_that_does_not_open_is_named_with_its_place) {
  const char *dir = isc_micro_new("errors");
  edit(dir, "study.cfg", "slot.cfg", "\"ioi-subject\"", "\"slot\"; slot = \"PLAICE\"");
  expect(dir, ARGS("run", "slot.cfg"), NULL, 78,
         "slot.cfg:8: features.[1]: ", "no slot \"PLAICE\"");
  expect(dir, ARGS("run", "study.cfg", "--set", "target.position=99"), NULL, 65,
         "--set target.position=99: target.position: text 0", "no position 99");
}

/* Fewer inputs than were asked for are not held back: the intervals are wider than the config says. */
Test(run_errors, fewer_inputs_than_asked_for_are_told) {
  const char *dir = isc_micro_new("fewer");
  isc_cli c = isc_cli_run(
      dir, ARGS("run", "study.cfg", "--set", "prior.train=80", "--set", "evaluate.conditions=25"),
      NULL);
  cr_assert_eq(c.status, 0, "%s", c.err);
  cr_assert(strstr(c.err,
                   "--set prior.train=80: prior.train is 80, but the prior's training inputs are "
                   "72; the study goes on with these\n"),
            "%s", c.err);
  cr_assert(strstr(c.err, "evaluate.conditions is 25, but the held-out inputs are 24;"), "%s",
            c.err);
  isc_cli_free(&c);
  isc_cli all = isc_cli_run(dir, ARGS("run", "study.cfg", "--dir", "all"), NULL);
  cr_assert(all.status == 0 && !strstr(all.err, "goes on with these"), "%s", all.err);
  isc_cli_free(&all);
}

Test(run_errors, a_method_that_only_classifies_is_refused_at_once) {
  static isc_method_ops ops;
  static const isc_class labeller = {
      ISC_CLASS(ISC_METHOD),   "labeller", "1.0.0", .summary = "Labels",
      .licence = "Apache-2.0", .ops = &ops};
  ops = *(const isc_method_ops *)isc_method_inversescope_class()->ops;
  ops.open = open_labeller;
  ops.invert = NULL;
  static const char *const set[] = {"method={ plugin=\"labeller\"; }"};
  const char *dir = isc_micro_new("errors");
  isc_study *s;
  const isc_config_source source = {
      .path = isc_test_path(dir, "study.cfg"), .overrides = set, .n_overrides = 1};
  isc_assert_ok(isc_registry_add_builtin(&labeller));
  isc_assert_fails(isc_study_open(&source, isc_test_path(dir, "study"), &s), ISC_E_CONFIG,
                   "method \"labeller\" does not invert activations");
}

Test(run_errors, a_config_that_cannot_be_read) {
  const char *dir = isc_scratch("errors");
  isc_micro_write(dir);
  isc_test_write(dir, "open.cfg", "run = {\n  seed = 1;\n", 19);
  expect(dir, ARGS("run", "no.cfg"), NULL, 66, "no.cfg", "No such file");
  expect(dir, ARGS("run", "."), NULL, 74, ".", "directory");
  expect(dir, ARGS("run", "open.cfg"), NULL, 78, "open.cfg:1", "}");
  cr_assert_eq(chmod(isc_test_path(dir, "study.cfg"), 0), 0);
  if (geteuid() != 0) /* root reads everything */
    expect(dir, ARGS("run", "study.cfg"), NULL, 74, "study.cfg", "Permission denied");
}

/* ---- the target's directory */

static void copy(const char *dir, const char *from, const char *to) {
  size_t len;
  char *data = isc_test_read(dir, from, &len);
  isc_test_write(dir, to, data, len);
  free(data);
}

static const char *const MODEL[] = {"config.json", "model.safetensors", "tokenizer.json",
                                    "tokenizer_config.json", NULL};

/* dir/broken becomes a copy of dir/model. */
static void mend(const char *dir) {
  char from[64], to[64];
  mkdir(isc_test_path(dir, "broken"), 0777);
  for (int i = 0; MODEL[i]; i++) {
    snprintf(from, sizeof from, "model/%s", MODEL[i]);
    snprintf(to, sizeof to, "broken/%s", MODEL[i]);
    copy(dir, from, to);
  }
}

Test(run_errors, a_target_that_is_not_whole) {
  const char *dir = isc_micro_new("errors");
  const char *const *run = ARGS("run", "study.cfg", "--set", "target.path=broken");
  expect(dir, run, NULL, 66, "target.path", "broken");
  mend(dir);
  unlink(isc_test_path(dir, "broken/model.safetensors"));
  expect(dir, run, NULL, 66, "broken", "model.safetensors");
  mend(dir);
  cr_assert_eq(truncate(isc_test_path(dir, "broken/model.safetensors"), 10000), 0);
  expect(dir, run, NULL, 65, "broken/model.safetensors", "truncated");
  mend(dir);
  cr_assert_eq(truncate(isc_test_path(dir, "broken/model.safetensors"), 100), 0);
  expect(dir, run, NULL, 65, "broken/model.safetensors", "header");
  mend(dir);
  unlink(isc_test_path(dir, "broken/tokenizer.json"));
  expect(dir, run, NULL, 66, "broken", "tokenizer.json");
  mend(dir);
  isc_test_write(dir, "broken/config.json", "{", 1);
  expect(dir, run, NULL, 65, "broken/config.json:1", "expected");
}

Test(run_errors, a_target_whose_parts_do_not_fit) {
  const char *dir = isc_micro_new("errors");
  const char *const *run = ARGS("run", "study.cfg", "--set", "target.path=broken");
  mend(dir);
  edit(dir, "model/config.json", "broken/config.json", "\"n_inner\": 32", "\"n_inner\": 33");
  expect(dir, run, NULL, 65, "h.0.mlp.c_fc.weight\" has shape [16, 32]", "[16, 33]");
  mend(dir);
  edit(dir, "model/tokenizer.json", "broken/tokenizer.json", "\"walked\": 18",
       "\"walked\": 18, \"ran\": 19");
  expect(dir, run, NULL, 65, "the tokenizer has 20 ids", "only 19 rows");
  mend(dir);
  edit(dir, "model/tokenizer.json", "broken/tokenizer.json", "\"Emma\"", "\"Anna\"");
  expect(dir, run, NULL, 65, "the vocabulary has no", "\"Emma\"");
  expect(dir, ARGS("run", "study.cfg", "--set", "target.position=200"), NULL, 65, "16 tokens",
         "no position 200");
}

/* ---- the run directory */

Test(run_errors, a_directory_that_is_in_use_or_holds_something_else) {
  const char *dir = isc_micro_new("errors");
  mkdir(isc_test_path(dir, "other"), 0777);
  isc_test_write(dir, "other/thesis.tex", "x", 1);
  expect(dir, ARGS("run", "study.cfg", "--dir", "other"), NULL, 64, "other", "not a run directory");
  expect(dir, ARGS("pretrain", "pretrain.cfg", "--dir", "other"), NULL, 64, "other",
         "not a run directory");
  isc_test_write(dir, "plain", "x", 1);
  expect(dir, ARGS("run", "study.cfg", "--dir", "plain"), NULL, 74, "plain", "directory");
  expect(dir, ARGS("run", "study.cfg", "--dir", "/proc/no"), NULL, 74, "/proc/no", "directory");
  const int fd = open(isc_test_path(dir, "pretrain/.lock"), O_RDWR);
  cr_assert(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
  expect(dir, ARGS("run", "study.cfg", "--dir", "pretrain"), NULL, 64, "pretrain",
         "another process");
  expect(dir, ARGS("pretrain", "pretrain.cfg"), NULL, 64, "pretrain", "another process");
  close(fd);
}

static void spoil(const char *dir, const char *name, int64_t at, const char *with) {
  size_t len;
  char *data = isc_test_read(dir, name, &len);
  memcpy(data + at, with, strlen(with));
  isc_test_write(dir, name, data, len);
  free(data);
}

/* Of the right size, so that the stage still counts as finished. */
Test(run_errors, a_spoiled_file_of_a_finished_stage_is_named) {
  static const struct {
    const char *file, *redo;
    int64_t at;
  } cases[] = {{"study/harvest/train/000000.safetensors", NULL, 0},
               {"study/harvest/test/000000.safetensors", "study/sample/samples.db", 10},
               {"study/backbone/model.safetensors", NULL, 4},
               {"study/backbone/tokenizer.json", NULL, 0},
               {"study/control/model.safetensors", NULL, 12},
               {"study/sample/samples.db", "study/score/score.json", 0},
               {"study/score/score.json", "study/report/report.json", 2}};
  const char *dir = isc_micro_new("errors");
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    copy(dir, cases[i].file, "kept");
    spoil(dir, cases[i].file, cases[i].at, "\"spoiled\"");
    if (cases[i].redo) unlink(isc_test_path(dir, cases[i].redo));
    expect(dir, ARGS("run", "study.cfg"), NULL, 65, strchr(cases[i].file, '/') + 1, "");
    copy(dir, "kept", cases[i].file);
    isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  }
}

/* ---- a full disk: no file may grow beyond a few bytes */

static rlim_t file_limit;

static void limit_files(void) {
  const struct rlimit r = {file_limit, file_limit};
  signal(SIGXFSZ, SIG_IGN);
  if (setrlimit(RLIMIT_FSIZE, &r) != 0) _exit(126);
}

Test(run_errors, a_full_disk_is_told_and_the_next_run_goes_on) {
  static const struct {
    rlim_t limit;
    const char *file;
  } cases[] = {{500, "config.cfg"},
               {4000, "harvest/train/000000.safetensors"},
               {9600, "backbone/model.safetensors"},
               {22000, "sample/samples.db"}};
  const char *dir = isc_micro_new("errors");
  isc_assert_ok(isc_micro_run(dir, "whole", NULL, NULL, NULL));
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    file_limit = cases[i].limit;
    expect(dir, ARGS("run", "study.cfg"), limit_files, 74, cases[i].file, "");
  }
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  isc_assert_same_runs(dir, "whole", "study", "after full disks");
}

/* ---- questions */

Test(run_errors, questions_that_cannot_be_answered) {
  const char *dir = isc_micro_new("errors");
  const char *text = "After breakfast";
  expect(dir, ARGS("sample", "study", "--site", "L0H0", "--text", text), NULL, 66, "study",
         "not a run directory");
  static const char *const short_run[] = {"method.backbone.steps=3", NULL};
  isc_assert_ok(isc_micro_run(dir, "study", short_run, NULL, NULL));
  expect(dir, ARGS("sample", "study", "--site", "L9H0", "--text", text), NULL, 64, "L9H0",
         "head.0.0 to head.1.1");
  expect(dir, ARGS("sample", "study", "--site", "L0H0", "--text", "After supper"), NULL, 65,
         "vocabulary has no", "\"supper\"");
  expect(dir, ARGS("sample", "study", "--site", "L0H0", "--text", ""), NULL, 65, "0 tokens",
         "no position -1");
  /* The config of a run that was stopped before it got to the stage. */
  copy(dir, "study/config.cfg", "config.cfg");
  edit(dir, "config.cfg", "study/config.cfg", "head_dim = 4", "head_dim = 5");
  expect(dir, ARGS("sample", "study", "--site", "L0H0", "--text", text), NULL, 66,
         "stage control is not finished", "study/config.cfg");
}
