/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the program: its commands, their output, help and exit codes.
 */
#include "support.h"
#include "support_run.h"

#include "config/config.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Runs the program, which must end with `status`. */
static isc_cli cli(const char *cwd, int status, const char *const *args) {
  isc_cli c = isc_cli_run(cwd, args, NULL);
  cr_assert_eq(c.status, status, "%s %s: ended with %d: %s", args[0] ? args[0] : "",
               args[0] && args[1] ? args[1] : "", c.status, c.err);
  return c;
}

/* ---- help and usage */

Test(cli, help_goes_to_standard_output_and_succeeds) {
  static const char *const commands[] = {"run", "sample", "pretrain", "plugins", "describe", NULL};
  const char *dir = isc_scratch("cli");
  isc_cli all = cli(dir, 0, ARGS("--help"));
  cr_assert_str_empty(all.err);
  for (int i = 0; commands[i]; i++) {
    char usage[64];
    cr_assert(strstr(all.out, commands[i]), "--help does not name %s", commands[i]);
    isc_cli one = cli(dir, 0, ARGS(commands[i], "--help"));
    snprintf(usage, sizeof usage, "usage: inversescope %s ", commands[i]);
    cr_assert(strstr(one.out, usage) == one.out && strstr(one.out, "--"), "%s", one.out);
    cr_assert_str_empty(one.err);
    isc_cli_free(&one);
  }
  isc_cli_free(&all);
  isc_cli version = cli(dir, 0, ARGS("--version"));
  cr_assert_str_eq(version.out, "inversescope " PACKAGE_VERSION "\n");
  isc_cli_free(&version);
}

Test(cli, wrong_usage_ends_with_64_and_says_what_is_wrong) {
  static const char *const cases[][6] = {
      {"rnu", NULL, NULL, NULL, NULL, "did you mean \"run\"?"},
      {"run", NULL, NULL, NULL, NULL, "which config?"},
      {"run", "a.cfg", "b.cfg", NULL, NULL, "one config"},
      {"run", "a.cfg", "--sett", "x=1", NULL, "--sett: unknown option"},
      {"run", "a.cfg", "--set", NULL, NULL, "--set needs"},
      {"run", "a.cfg", "--dir", NULL, NULL, "--dir needs"},
      {"pretrain", NULL, NULL, NULL, NULL, "which config?"},
      {"sample", NULL, NULL, NULL, NULL, "which run"},
      {"sample", "study", "--text", "x", NULL, "--site"},
      {"sample", "study", "--site", "L0H0", NULL, "--text"},
      {"sample", "study", "-n", "0", NULL, "-n needs"},
      {"sample", "study", "-n", "ten", NULL, "-n needs"},
      {"sample", "study", "-n", NULL, NULL, "-n needs"},
      {"sample", "study", "--seed", "-1", NULL, "--seed needs"},
      {"sample", "study", "--temperature", "hot", NULL, "--temperature needs"},
      {"sample", "study", "--temperature", "nan", NULL, "--temperature needs"},
      {"plugins", "--jsno", NULL, NULL, NULL, "--jsno: unknown argument"},
      {"describe", NULL, NULL, NULL, NULL, "which class?"},
      {"describe", "ioi", NULL, NULL, NULL, "KIND/NAME"},
      {"describe", "priors/ioi", NULL, NULL, NULL, "priors: not a kind"},
  };
  const char *dir = isc_scratch("cli");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    isc_cli c = cli(dir, 64, cases[i]);
    cr_assert(strstr(c.err, cases[i][5]), "no \"%s\" in: %s", cases[i][5], c.err);
    cr_assert_str_empty(c.out);
    isc_cli_free(&c);
  }
  isc_cli none = cli(dir, 64, ARGS(NULL));
  cr_assert(strstr(none.err, "usage:"));
  isc_cli_free(&none);
}

static void full_output(void) {
  const int fd = open("/dev/full", O_WRONLY);
  if (fd < 0 || dup2(fd, 1) < 0) _exit(126);
}

Test(cli, output_that_cannot_be_written_is_an_error) {
  if (access("/dev/full", W_OK) != 0) cr_skip_test("SKIPPED: needs /dev/full");
  isc_cli c = isc_cli_run(isc_scratch("cli"), ARGS("plugins"), full_output);
  cr_assert_eq(c.status, 74);
  cr_assert(strstr(c.err, "standard output"), "%s", c.err);
  isc_cli_free(&c);
}

/* ---- plugins and describe */

/* "prior_ioi.so" is the class prior/ioi; file names have "_" where names have "-". */
static bool listed(const json_t *plugins, const char *file) {
  size_t i;
  json_t *p;
  json_array_foreach(plugins, i, p) {
    char want[128];
    snprintf(want, sizeof want, "%s_%s.so", json_string_value(json_object_get(p, "kind")),
             json_string_value(json_object_get(p, "name")));
    for (char *c = want; *c; c++)
      if (*c == '-') *c = '_';
    if (!strcmp(want, file)) return true;
  }
  return false;
}

static json_t *plugins(const char *dir) {
  json_error_t why;
  isc_cli c = cli(dir, 0, ARGS("plugins", "--json"));
  json_t *j = json_loads(c.out, JSON_REJECT_DUPLICATES, &why);
  cr_assert(j, "line %d: %s", why.line, why.text);
  isc_cli_free(&c);
  return j;
}

Test(cli, plugins_lists_every_class_of_the_build) {
  static const char *const dirs[] = {"plugins/.libs", "kernels/.libs"};
  json_t *j = plugins(isc_scratch("cli")), *list = json_object_get(j, "plugins");
  size_t built = 0;
  for (int i = 0; i < 2; i++) {
    DIR *d = opendir(isc_test_build(dirs[i]));
    cr_assert(d, "%s is not built", dirs[i]);
    for (struct dirent *e; (e = readdir(d));) {
      const size_t len = strlen(e->d_name);
      if (len < 4 || strcmp(e->d_name + len - 3, ".so")) continue;
      cr_assert(listed(list, e->d_name), "%s is not listed", e->d_name);
      built++;
    }
    closedir(d);
  }
  cr_assert_eq(json_array_size(list), built + 1, "the modules, and the method in the library");
  cr_assert(listed(list, "method_inversescope.so"));
  cr_assert_eq(json_array_size(json_object_get(j, "problems")), 0);
  json_decref(j);
}

Test(cli, every_class_describes_itself_and_its_stanza_is_a_config) {
  const char *dir = isc_scratch("cli");
  size_t i;
  json_t *j = plugins(dir), *p;
  json_array_foreach(json_object_get(j, "plugins"), i, p) {
    char name[128];
    isc_config *c;
    snprintf(name, sizeof name, "%s/%s", json_string_value(json_object_get(p, "kind")),
             json_string_value(json_object_get(p, "name")));
    isc_cli words = cli(dir, 0, ARGS("describe", name)),
            conf = cli(dir, 0, ARGS("describe", name, "--conf"));
    cr_assert(strstr(words.out, json_string_value(json_object_get(p, "summary"))));
    isc_assert_ok(isc_config_parse(conf.out, strlen(conf.out), name, dir, &c));
    isc_config_free(c);
    isc_cli_free(&words);
    isc_cli_free(&conf);
  }
  json_decref(j);
}

/* A stanza put in place of the group it describes: the study is the one with that group's defaults. */
Test(cli, stanzas_stand_in_a_study) {
  static const char *const cases[][3] = {{"kernel/cosine-band", "kernel = {", "};\n"},
                                         {"feature/ioi-object", "features = (", ");\n"},
                                         {"backend/cpu", "run = {", "};\n"}};
  const char *dir = isc_micro_new("cli");
  char *study = isc_test_read(dir, "study.cfg", NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    isc_study *s;
    isc_cli conf = cli(dir, 0, ARGS("describe", cases[i][0], "--conf"));
    const char *from = strstr(study, cases[i][1]), *to = strstr(from, cases[i][2]);
    char *text = NULL;
    isc_assert_ok(isc_asprintf(&text, "%.*s%s%s", (int)(from - study), study, conf.out,
                               to + strlen(cases[i][2])));
    isc_test_write(dir, "stanza.cfg", text, strlen(text));
    const isc_config_source source = {.path = isc_test_path(dir, "stanza.cfg")};
    isc_assert_ok(isc_study_open(&source, NULL, &s));
    isc_study_close(s);
    free(text);
    isc_cli_free(&conf);
  }
  free(study);
}

Test(cli, describe_names_what_is_near) {
  isc_cli c = cli(isc_scratch("cli"), 66, ARGS("describe", "prior/oii"));
  cr_assert(strstr(c.err, "did you mean \"ioi\"?"), "%s", c.err);
  isc_cli_free(&c);
}

/* ---- run and sample */

Test(cli, run_prints_the_table_and_where_the_report_is) {
  const char *dir = isc_micro_new("cli");
  isc_cli first = cli(dir, 0, ARGS("run", "study.cfg")),
          second = cli(dir, 0, ARGS("run", "study.cfg"));
  cr_assert(strstr(first.out, "head.1.1") && strstr(first.out, "mean refusal"), "%s", first.out);
  cr_assert(strstr(first.out, "study/report/report.html\n"));
  cr_assert_str_eq(first.out, second.out);
  cr_assert(strstr(first.err, "backbone (new)"), "%s", first.err);
  cr_assert(strstr(second.err, "backbone (up to date)"), "%s", second.err);
  isc_cli_free(&first);
  isc_cli_free(&second);
}

/* What a run shows on standard error when that is a terminal; malloc'd. */
static char *shown_on_terminal(const char *dir) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
    cr_skip_test("SKIPPED: needs a pseudo-terminal");
  const char *name = ptsname(master), *program = isc_test_build("inversescope");
  size_t len = 0;
  char *text = calloc(1, 1u << 16);
  const pid_t pid = fork();
  if (pid == 0) {
    const int slave = open(name, O_RDWR | O_NOCTTY), null = open("/dev/null", O_WRONLY);
    if (dup2(null, 1) < 0 || dup2(slave, 2) < 0 || chdir(dir) != 0) _exit(126);
    close(slave);
    execl(program, program, "run", "study.cfg", (char *)NULL);
    _exit(127);
  }
  int status = 0;
  for (ssize_t n = 1; n > 0 || waitpid(pid, &status, WNOHANG) == 0;) {
    n = read(master, text + len, (1u << 16) - 1 - len);
    if (n > 0) len += (size_t)n;
  }
  cr_assert_eq(status, 0);
  close(master);
  return text;
}

Test(cli, progress_is_one_updating_line_on_a_terminal_and_lines_elsewhere) {
  const char *dir = isc_micro_new("cli");
  char *shown = shown_on_terminal(dir);
  cr_assert(strstr(shown, "\r\x1b[K  backbone  60/60  loss "), "%s", shown);
  cr_assert(strstr(shown, "\r\x1b[Kbackbone done in "), "%s", shown);
  free(shown);
  isc_cli c = cli(dir, 0, ARGS("run", "study.cfg", "--dir", "other"));
  cr_assert_null(strpbrk(c.err, "\r\x1b"), "%s", c.err);
  cr_assert(strstr(c.err, "\n  backbone  60/60  loss "), "%s", c.err);
  isc_cli_free(&c);
}

/* log.jsonl: each stage begins, ends, and reports its last step in between; nothing when all is up to date. */
Test(cli, log_has_a_line_of_json_for_each_event) {
  static const char *const stages[] = {"harvest", "backbone", "control",
                                       "sample",  "score",    "report"};
  const char *dir = isc_micro_new("cli");
  char *save = NULL, begun[64] = "";
  int ended = 0;
  isc_cli first = cli(dir, 0, ARGS("run", "study.cfg")),
          second = cli(dir, 0, ARGS("run", "study.cfg"));
  char *log = isc_test_read(dir, "study/log.jsonl", NULL);
  for (char *line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    cr_assert(j, "%s", line);
    const char *event = json_string_value(json_object_get(j, "event")),
               *stage = json_string_value(json_object_get(j, "stage"));
    cr_assert(event && stage && json_is_string(json_object_get(j, "time")), "%s", line);
    if (!strcmp(event, "begin")) snprintf(begun, sizeof begun, "%s", stage);
    cr_assert_str_eq(stage, begun, "%s", line);
    if (!strcmp(event, "step") && !strcmp(stage, "backbone"))
      cr_assert(json_is_number(json_object_get(j, "loss")), "%s", line);
    if (!strcmp(event, "end")) cr_assert_str_eq(stage, stages[ended++]);
    json_decref(j);
  }
  cr_assert_eq(ended, 6);
  free(log);
  isc_cli_free(&first);
  isc_cli_free(&second);
}

Test(cli, run_json_tells_where_the_run_came_from) {
  const char *dir = isc_micro_new("cli");
  json_error_t why;
  isc_cli c = cli(dir, 0, ARGS("run", "study.cfg"));
  json_t *j = json_load_file(isc_test_path(dir, "study/run.json"), JSON_REJECT_DUPLICATES, &why);
  cr_assert(j, "%s", why.text);
  cr_assert_str_eq(json_string_value(json_object_get(j, "program")),
                   "inversescope " PACKAGE_VERSION);
  cr_assert_eq(json_integer_value(json_object_get(j, "seed")), 5);
  cr_assert_eq(json_string_length(json_object_get(j, "target_hash")), 32);
  cr_assert_eq(json_string_length(json_object_get(j, "prior_hash")), 32);
  /* backend, target, prior, kernel, method and two features */
  cr_assert_eq(json_array_size(json_object_get(j, "plugins")), 7);
  json_decref(j);
  isc_cli_free(&c);
}

Test(cli, the_resolved_config_is_the_same_study) {
  const char *dir = isc_micro_new("cli");
  isc_cli first = cli(dir, 0, ARGS("run", "study.cfg", "--set", "evaluate.samples=3")),
          again = cli("/", 0,
                      ARGS("run", isc_test_path(dir, "study/config.cfg"), "--dir",
                           isc_test_path(dir, "study")));
  cr_assert_null(strstr(again.err, "(new)"), "%s", again.err);
  cr_assert_null(strstr(again.err, "(changed)"), "%s", again.err);
  cr_assert_str_eq(first.out, again.out);
  isc_cli_free(&first);
  isc_cli_free(&again);
}

Test(cli, the_run_directory_is_named_by_the_option_the_setting_or_the_config) {
  const char *dir = isc_micro_new("cli");
  char *study = isc_test_read(dir, "study.cfg", NULL), *at = strstr(study, " dir = \"study\";");
  memset(at, ' ', strlen(" dir = \"study\";"));
  isc_test_write(dir, "nameless.cfg", study, strlen(study));
  static const char few[] = "method.backbone.steps=2", fewer[] = "method.control.steps=2";
  isc_cli a = cli(dir, 0, ARGS("run", "nameless.cfg", "--set", few, "--set", fewer)),
          b = cli(dir, 0, ARGS("run", "nameless.cfg", "--dir=here", "--set", few, "--set", fewer));
  cr_assert(isc_exists(isc_test_path(dir, "runs/micro/report/report.html")));
  cr_assert(isc_exists(isc_test_path(dir, "here/report/report.html")));
  isc_assert_same_runs(dir, "runs/micro", "here", "the same study in two places");
  isc_cli_free(&a);
  isc_cli_free(&b);
  free(study);
}

/* Distances of the table's rows: lines after the one that begins with "      d". */
static int read_table(const char *out, double d[64]) {
  const char *at = strstr(out, "\n      d  ");
  int n = 0;
  cr_assert(at, "no table in: %s", out);
  for (at = strchr(at + 1, '\n'); at && at[1]; at = strchr(at + 1, '\n'))
    d[n++] = strtod(at + 1, NULL);
  return n;
}

Test(cli, sample_prints_as_many_rows_as_asked_for_sorted_by_distance) {
  const char *dir = isc_micro_new("cli");
  const char *text =
      "After breakfast , Emma and Peter walked to the market . Emma handed a book to";
  double d[64];
  isc_assert_ok(isc_micro_run(dir, "study", NULL, NULL, NULL));
  isc_snapshot before = isc_snapshot_of(dir, "study");
  isc_cli ten = cli(dir, 0, ARGS("sample", "study", "--site", "L1H1", "--text", text)),
          again = cli(dir, 0, ARGS("sample", "study", "--site", "head.1.1", "--text", text)),
          some = cli("/", 0,
                     ARGS("sample", isc_test_path(dir, "study"), "--site=L0H0", "--text", text,
                          "-n", "23", "--seed", "4", "--temperature", "0.5"));
  cr_assert_str_eq(ten.out, again.out, "the same question has the same answer");
  cr_assert(strstr(ten.out, "object of the text: Peter\nsubject of the text: Emma\n"), "%s",
            ten.out);
  cr_assert_eq(read_table(ten.out, d), 10);
  cr_assert_eq(read_table(some.out, d), 23);
  for (int i = 1; i < 23; i++)
    cr_assert(d[i - 1] <= d[i], "row %d: %g after %g", i, d[i], d[i - 1]);
  isc_snapshot after = isc_snapshot_of(dir, "study");
  const char *difference = isc_snapshot_difference(&before, &after, ISC_UNTOUCHED);
  cr_assert_null(difference, "asking changed the run: %s", difference);
  isc_cli_free(&ten);
  isc_cli_free(&again);
  isc_cli_free(&some);
  isc_snapshot_free(&before);
  isc_snapshot_free(&after);
}

/* The words of a text are not the program's to run: control characters are shown as "?". */
Test(cli, control_characters_do_not_reach_the_terminal) {
  isc_cli c = cli(isc_scratch("cli"), 64, ARGS("\x1b]0;title\x07"));
  cr_assert_null(strchr(c.err, 0x1b));
  cr_assert(strstr(c.err, "?]0;title?"), "%s", c.err);
  isc_cli_free(&c);
}

Test(cli, pretrain_writes_a_directory_that_a_study_reads) {
  const char *dir = isc_scratch("cli");
  isc_micro_write(dir);
  isc_cli first = cli(dir, 0, ARGS("pretrain", "pretrain.cfg"));
  cr_assert(strstr(first.out, "right answers on 24 held-out inputs"), "%s", first.out);
  cr_assert(strstr(first.out, "/model\n"), "%s", first.out);
  isc_snapshot before = isc_snapshot_of(dir, "model");
  isc_cli second = cli(dir, 0, ARGS("pretrain", "pretrain.cfg"));
  cr_assert(strstr(second.err, "pretrain (up to date)"), "%s", second.err);
  isc_cli third = cli(dir, 0, ARGS("pretrain", "pretrain.cfg", "--dir", "elsewhere"));
  isc_snapshot after = isc_snapshot_of(dir, "model");
  const char *difference = isc_snapshot_difference(&before, &after, ISC_SAME_BYTES);
  cr_assert_null(difference, "%s", difference);
  isc_cli_free(&first);
  isc_cli_free(&second);
  isc_cli_free(&third);
  isc_snapshot_free(&before);
  isc_snapshot_free(&after);
}
