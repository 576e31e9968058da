/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about how `inversescope conform` runs checks and tells of them, whatever a plugin does to its process.
 *
 * The plugin of tests/conform/process.c misbehaves as its case says; the check it is tried with is any.same-seed.
 */
#include "support.h"
#include "support_conform.h"
#include "support_run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define CHECK     "any.same-seed"

static const char CASES[] =
    "cases = (\n"
    "  { class = \"feature/mood\"; name = \"well\"; },\n"
    "  { class = \"feature/mood\"; name = \"crash\"; options = { mood = \"crash\"; }; },\n"
    "  { class = \"feature/mood\"; name = \"hang\"; options = { mood = \"hang\"; note = \"pid\"; "
    "}; },\n"
    "  { class = \"feature/mood\"; name = \"exit\"; options = { mood = \"exit\"; }; },\n"
    "  { class = \"feature/mood\"; name = \"_exit\"; options = { mood = \"exit-at-once\"; }; },\n"
    "  { class = \"feature/mood\"; name = \"print\"; options = { mood = \"print\"; }; },\n"
    "  { class = \"feature/mood\"; name = \"fork\"; options = { mood = \"fork\"; note = \"pid\"; "
    "}; },\n"
    "  { class = \"feature/mood\"; name = \"escape\"; options = { mood = \"escape\"; note = "
    "\"pid\"; "
    "}; },\n"
    "  { class = \"feature/mood\"; name = \"fail\"; options = { mood = \"fail\"; }; },\n"
    "  { class = \"feature/mood\"; name = \"litter #1\"; options = { mood = \"litter\"; }; }\n"
    ");\n";

/* A directory with the cases, which is also where scratch directories are made. */
static const char *cases_dir(void) {
  const char *dir = isc_scratch("conform-runner");
  isc_test_write(dir, "cases.cfg", CASES, sizeof CASES - 1);
  setenv("TMPDIR", dir, 1);
  return dir;
}

static isc_conformed one_case(const char *dir, const char *name, const char *form) {
  return isc_conform_cli(ARGS(form, "--only", CHECK, "--case", name, "--timeout-scale", "0.05",
                              "--cases", isc_test_path(dir, "cases.cfg"), isc_mood_plugin()));
}

/* The one case ends so, with that exit code. */
static void ends(const char *name, int status, const char *outcome, const char *message) {
  const char *told;
  isc_conformed c = one_case(cases_dir(), name, "--json");
  cr_assert_eq(c.status, status, "%s: ended with %d: %s%s", name, c.status, c.out, c.err);
  cr_assert_eq(isc_report_plugins(c.json), 1);
  const char *found = isc_report_status(isc_report_plugin(c.json, 0), CHECK, name, &told);
  cr_assert_str_eq(found, outcome, "%s: %s: %s", name, found, told);
  cr_assert(strstr(told, message), "%s: no \"%s\" in: %s", name, message, told);
  cr_assert_str_empty(c.err);
  isc_conformed_free(&c);
}

/* Nothing of a run is left in TMPDIR. */
static void assert_no_scratch(const char *dir) {
  char command[512];
  snprintf(command, sizeof command, "ls '%s' | grep -q inversescope-conform", dir);
  cr_assert_neq(system(command), 0, "a scratch directory is left in %s", dir);
}

/* Does the process run? One that nobody has waited for yet does not. */
static bool runs(long pid) {
  char path[64], line[256] = "";
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *f = fopen(path, "r");
  if (!f) return false;
  if (!fgets(line, sizeof line, f)) line[0] = '\0';
  fclose(f);
  const char *state = strrchr(line, ')');
  return state && state[1] && state[2] != 'Z' && state[2] != 'X';
}

static long noted_pid(const char *dir) {
  char *text = isc_test_read(dir, "pid", NULL);
  const long pid = atol(text);
  free(text);
  cr_assert(pid > 1);
  return pid;
}

/* ---- what a plugin does to its process */

Test(conform_runner, a_well_behaved_check_passes) {
  ends("well", 0, "passed", "");
}

Test(conform_runner, a_failure_tells_its_message) {
  ends("fail", 1, "failed", "in a \"bad\" mood");
}

Test(conform_runner, a_crash_is_told_by_its_signal) {
  ends("crash", 2, "crashed", "SIGABRT");
}

Test(conform_runner, an_end_of_the_process_is_told_by_its_status) {
  ends("exit", 2, "crashed", "exited with status 0 within the check");
  ends("_exit", 2, "crashed", "exited with status 7 within the check");
}

Test(conform_runner, a_hanging_check_is_killed_at_its_limit) {
  const char *dir;
  ends("hang", 2, "timed out", "did not end within 1");
  dir = getenv("TMPDIR");
  cr_assert_not(runs(noted_pid(dir)), "the hanging process still runs");
  assert_no_scratch(dir);
}

Test(conform_runner, a_process_left_behind_neither_delays_nor_outlives_the_check) {
  ends("fork", 0, "passed", "");
  cr_assert_not(runs(noted_pid(getenv("TMPDIR"))), "the process left behind still runs");
}

Test(conform_runner, a_process_in_a_session_of_its_own_does_not_outlive_the_run) {
  if (access("/proc/self/task", R_OK) != 0) cr_skip_test("SKIPPED: needs /proc");
  ends("escape", 0, "passed", "");
  cr_assert_not(runs(noted_pid(getenv("TMPDIR"))), "the process that left still runs");
}

Test(conform_runner, files_left_behind_are_removed) {
  ends("litter #1", 0, "passed", "");
  assert_no_scratch(getenv("TMPDIR"));
}

Test(conform_runner, the_end_of_what_was_printed_is_shown_and_made_safe) {
  isc_conformed c = one_case(cases_dir(), "print", "--timeout-scale=1");
  cr_assert_eq(c.status, 2, "%s%s", c.out, c.err);
  cr_assert(strstr(c.out, "SIGABRT"), "%s", c.out);
  cr_assert(strstr(c.out, "last"), "%s", c.out);
  cr_assert(strstr(c.out, "| line 99999\n"), "%s", c.out);
  cr_assert_not(strstr(c.out, "line 17\n"), "the start of a long output is shown");
  cr_assert_not(strchr(c.out, '\033'), "an escape sequence reaches the terminal");
  isc_conformed_free(&c);
}

/* ---- the report */

static char *run_shell(const char *command, int *status) {
  char path[512], *line, *out;
  const char *dir = isc_scratch("conform-replay");
  snprintf(path, sizeof path, "%s/out", dir);
  cr_assert(asprintf(&line, "cd / && %s >'%s' 2>&1", command, path) > 0);
  const int s = system(line);
  *status = WIFEXITED(s) ? WEXITSTATUS(s) : -1;
  free(line);
  out = isc_test_read(dir, "out", NULL);
  return out;
}

Test(conform_runner, the_replay_command_does_it_again_from_anywhere) {
  int status;
  isc_conformed c = one_case(cases_dir(), "fail", "--json");
  const json_t *result =
      json_array_get(json_object_get(isc_report_plugin(c.json, 0), "results"), 0);
  const char *replay = json_string_value(json_object_get(result, "replay"));
  cr_assert(replay);
  char *out = run_shell(replay, &status);
  cr_assert_eq(status, 1, "%s: %s", replay, out);
  cr_assert(strstr(out, "in a \"bad\" mood"), "%s", out);
  cr_assert(strstr(out, "0 passed, 1 failed, 0 crashed, 0 timed out, 0 skipped"), "%s", out);
  free(out);
  isc_conformed_free(&c);
}

Test(conform_runner, the_replay_command_has_the_plugin_path_as_seen_from_anywhere) {
  char want[4200], *here = getcwd(NULL, 0);
  cr_assert(here);
  cr_assert_eq(setenv("INVERSESCOPE_PLUGIN_PATH", ".:/no such dir", 1), 0);
  isc_conformed c = one_case(cases_dir(), "fail", "--json");
  const json_t *result =
      json_array_get(json_object_get(isc_report_plugin(c.json, 0), "results"), 0);
  snprintf(want, sizeof want, "INVERSESCOPE_PLUGIN_PATH='%s:/no such dir' ", here);
  cr_assert(!strncmp(json_string_value(json_object_get(result, "replay")), want, strlen(want)),
            "%s", json_string_value(json_object_get(result, "replay")));
  free(here);
  isc_conformed_free(&c);
}

/* `results` without what differs from run to run. */
static json_t *timeless(const json_t *report) {
  json_t *copy = json_deep_copy(report), *p, *r;
  size_t i, k;
  json_array_foreach(json_object_get(copy, "plugins"), i, p)
      json_array_foreach(json_object_get(p, "results"), k, r) json_object_del(r, "seconds");
  return copy;
}

Test(conform_runner, the_report_does_not_depend_on_the_number_of_jobs) {
  const char *cases = isc_test_path(cases_dir(), "cases.cfg");
  json_t *report[2];
  for (int i = 0; i < 2; i++) {
    isc_conformed c = isc_conform_cli(ARGS("--json", "--only", CHECK ",any.load,any.metadata",
                                           "--jobs", i ? "8" : "1", "--timeout-scale", "0.05",
                                           "--cases", cases, isc_mood_plugin()));
    cr_assert_eq(c.status, 2, "%s%s", c.out, c.err);
    report[i] = timeless(c.json);
    isc_conformed_free(&c);
  }
  cr_assert(json_equal(report[0], report[1]));
  const json_t *totals = json_object_get(report[0], "totals");
  cr_assert_eq(json_integer_value(json_object_get(totals, "passed")), 6); /* of 12 */
  cr_assert_eq(json_integer_value(json_object_get(totals, "failed")), 1);
  cr_assert_eq(json_integer_value(json_object_get(totals, "crashed")), 4);
  cr_assert_eq(json_integer_value(json_object_get(totals, "timed out")), 1);
  json_decref(report[0]);
  json_decref(report[1]);
}

/* The lines of TAP 13: version, plan, points in order, YAML blocks of `  key: "JSON string"`. */
Test(conform_runner, tap_is_well_formed) {
  int points = 0, bad = 0, planned = -1;
  bool yaml = false;
  isc_conformed c =
      isc_conform_cli(ARGS("--tap", "--only", CHECK, "--timeout-scale", "0.05", "--cases",
                           isc_test_path(cases_dir(), "cases.cfg"), isc_mood_plugin()));
  cr_assert_eq(c.status, 2);
  cr_assert_eq(strncmp(c.out, "TAP version 13\n", 15), 0, "%s", c.out);
  for (char *rest = c.out + 15, *line; (line = strsep(&rest, "\n")) && rest;) {
    if (!strcmp(line, "  ---") || !strcmp(line, "  ...")) {
      cr_assert_eq(yaml, !strcmp(line, "  ..."), "%s", line);
      yaml = !yaml;
    } else if (yaml) {
      const char *value = strstr(line, ": ");
      json_t *s = value ? json_loads(value + 2, JSON_DECODE_ANY, NULL) : NULL;
      cr_assert(s && line[0] == ' ' && line[1] == ' ', "%s", line);
      json_decref(s);
    } else if (sscanf(line, "1..%d", &planned) != 1 && line[0] != '#') {
      char want[64];
      const bool ok = !strncmp(line, "ok ", 3);
      snprintf(want, sizeof want, "%s %d - " CHECK " ", ok ? "ok" : "not ok", ++points);
      cr_assert_eq(strncmp(line, want, strlen(want)), 0, "\"%s\" is not \"%s…\"", line, want);
      cr_assert(!strchr(line, '#') || strstr(line, "litter \\#1"), "%s", line);
      bad += !ok;
    }
  }
  cr_assert_not(yaml);
  cr_assert_eq(planned, 10);
  cr_assert_eq(points, 10);
  cr_assert_eq(bad, 6);
  isc_conformed_free(&c);
}

Test(conform_runner, a_plugin_that_crashes_on_loading_is_told_once) {
  const char *message;
  isc_conformed c = isc_conform_cli(ARGS("--json", "--timeout-scale", "4",
                                         isc_test_build("tests/conform/.libs/process_load.so")));
  cr_assert_eq(c.status, 2, "%s%s", c.out, c.err);
  const json_t *p = isc_report_plugin(c.json, 0);
  cr_assert_str_eq(isc_report_status(p, "any.load", NULL, &message), "crashed");
  cr_assert(strstr(message, "SIGABRT"), "%s", message);
  cr_assert_str_eq(isc_report_status(p, CHECK, NULL, &message), "skipped");
  cr_assert(strstr(message, "does not load"), "%s", message);
  isc_conformed_free(&c);
}

Test(conform_runner, a_library_that_is_no_plugin_fails_to_load) {
  const char *message;
  isc_conformed c =
      isc_conform_cli(ARGS("--json", "--only", CHECK, isc_test_build(".libs/libinversescope.so")));
  cr_assert_eq(c.status, 1, "%s%s", c.out, c.err);
  cr_assert_str_eq(isc_report_status(isc_report_plugin(c.json, 0), "any.load", NULL, &message),
                   "failed");
  cr_assert(strstr(message, "no InverseScope plugin"), "%s", message);
  isc_conformed_free(&c);
}

Test(conform_runner, a_class_is_found_by_name) {
  isc_conformed c = isc_conform_cli(ARGS("--json", "--only", "any.metadata", "kernel/hard"));
  cr_assert_eq(c.status, 0, "%s%s", c.out, c.err);
  cr_assert_str_eq(isc_report_status(isc_report_plugin(c.json, 0), "any.metadata", NULL, NULL),
                   "passed");
  isc_conformed_free(&c);
  c = isc_conform_cli(ARGS("--json", "--only", "any.metadata", "method/inversescope"));
  cr_assert_eq(c.status, 0, "%s%s", c.out, c.err);
  isc_conformed_free(&c);
}

Test(conform_runner, an_interrupt_ends_all_and_leaves_nothing) {
  const char *dir = cases_dir(), *program = isc_test_build("inversescope");
  const char *cases = isc_test_path(dir, "cases.cfg"), *note = isc_test_path(dir, "pid");
  const char *out = isc_test_path(dir, "out"), *so = isc_mood_plugin();
  const pid_t pid = fork();
  int status;
  cr_assert(pid >= 0);
  if (pid == 0) {
    if (!freopen(out, "w", stderr) || !freopen("/dev/null", "w", stdout)) _exit(126);
    execl(program, program, "conform", "--only", CHECK, "--case", "hang", "--timeout-scale", "100",
          "--cases", cases, so, (char *)NULL);
    _exit(127);
  }
  struct stat sb;
  while (stat(note, &sb) != 0 || sb.st_size == 0) {
    cr_assert_eq(waitpid(pid, &status, WNOHANG), 0, "it ended early: %x", status);
    usleep(2000);
  }
  kill(pid, SIGINT);
  cr_assert_eq(waitpid(pid, &status, 0), pid);
  cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status %x", status);
  cr_assert_not(runs(noted_pid(dir)), "the check still runs");
  assert_no_scratch(dir);
}
