/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about plugin directories that hold hostile files: each is listed with its reason, the good ones
 * beside them work, and nothing of theirs runs in this process.
 */
#include "support.h"
#include "support_run.h"
#include "plugin/registry.h"
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <inversescope/tensor.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *dir;

static void enter(void) {
  char here[1024];
  dir = isc_test_dir("hostile");
  cr_assert_not_null(dir);
  snprintf(here, sizeof here, "%s", dir);
  dir = strdup(here);
  setenv("INVERSESCOPE_PLUGIN_PATH", dir, 1);
  isc_assert_ok(isc_registry_search_path(NULL, 0));
}

static void leave(void) {
  char command[2048];
  snprintf(command, sizeof command, "chmod -R u+rwx '%s' && rm -rf '%s'", dir, dir);
  cr_assert_eq(system(command), 0);
}

TestSuite(hostile, .init = enter, .fini = leave);

/* ---- files */

static char *module(const char *which, size_t *size) {
  char *bytes;
  isc_assert_ok(isc_read_file(isc_test_build(which), 1 << 26, &bytes, size));
  return bytes;
}

static void put_bytes(const char *name, const char *bytes, size_t n) {
  isc_test_write(dir, name, bytes, n);
  cr_assert_eq(chmod(isc_test_path(dir, name), 0644), 0);
}

static void put(const char *which, const char *name) {
  size_t n;
  char *bytes = module(which, &n);
  put_bytes(name, bytes, n);
  free(bytes);
}

#define HOSTILE "tests/fixtures/hostile/.libs/hostile.so"
#define FIXTURE "tests/fixtures/registry/.libs/fix_"
/* A file that does at load what its name says. */
static void put_hostile(const char *name) {
  put(HOSTILE, name);
}

/* A good module, changed at one byte or cut. */
static void put_bent(const char *name, size_t at, unsigned char value) {
  size_t n;
  char *bytes = module(FIXTURE "good.so", &n);
  bytes[at] = (char)value;
  put_bytes(name, bytes, n);
  free(bytes);
}

static void put_cut(const char *name, size_t keep_percent) {
  size_t n;
  char *bytes = module(FIXTURE "good.so", &n);
  put_bytes(name, bytes, n * keep_percent / 100);
  free(bytes);
}

/* ---- surveys */

static isc_survey survey(void) {
  isc_survey s;
  isc_assert_ok(isc_registry_survey(&s));
  return s;
}

static bool is_here(const char *path, const char *name) {
  const char *slash = strrchr(path, '/');
  return strstr(path, strrchr(dir, '/')) && slash && strcmp(slash + 1, name) == 0;
}

static const char *reason_of(const isc_survey *s, const char *name) {
  for (int64_t i = 0; i < s->n_problems; i++)
    if (is_here(s->problems[i].path, name)) return s->problems[i].reason;
  return NULL;
}

static const isc_registry_entry *offered_by(const isc_survey *s, const char *name) {
  for (int64_t i = 0; i < s->n; i++)
    if (is_here(s->entries[i].path, name)) return &s->entries[i];
  return NULL;
}

static int64_t problems_here(const isc_survey *s) {
  int64_t n = 0;
  for (int64_t i = 0; i < s->n_problems; i++)
    n += strstr(s->problems[i].path, strrchr(dir, '/')) != NULL;
  return n;
}

typedef struct expectation {
  const char *name, *reason;
} expectation;

static void expect_all(const isc_survey *s, const expectation *e, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const char *reason = reason_of(s, e[i].name);
    cr_assert(reason, "%s is not listed", e[i].name);
    cr_assert(strstr(reason, e[i].reason), "%s: \"%s\" is not in: %s", e[i].name, e[i].reason,
              reason);
    cr_assert_neq(*reason, '/', "the reason repeats the path: %s", reason);
    cr_assert_null(offered_by(s, e[i].name), "%s is offered all the same", e[i].name);
  }
  cr_assert_eq(problems_here(s), (int64_t)n);
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* ---- what can be told from the outside */

static const expectation still[] = {
    {"cut0.so", "is empty"},
    {"cut1.so", "truncated"},
    {"cut50.so", "truncated"},
    {"cut99.so", "truncated"},
    {"dangling.so", "symbolic link to a file that is not there"},
    {"directory.so", "is a directory"},
    {"fifo.so", "is a FIFO"},
    {"link.so", "everyone may write to it"},
    {"loop.so", "cannot be read"},
    {"machine.so", "is built for"},
    {"major.so", "is built for plugin ABI 2, this library speaks ABI " ISC_ABI_TEXT},
    {"minor.so", "is built for plugin ABI 1.7"},
    {"nothing.so", "is no InverseScope plugin"},
    {"small.so", "its descriptor has"},
    {"text.so", "is no ELF file"},
    {"tiny.so", "is no plugin descriptor"},
    {"unresolved.so", "undefined symbol: isc_nobody_has_this"},
    {"writable.so", "everyone may write to it; run chmod o-w"},
};

static void put_still(void) {
  put_cut("cut0.so", 0);
  put_cut("cut1.so", 1);
  put_cut("cut50.so", 50);
  put_cut("cut99.so", 99);
  cr_assert_eq(symlink("/no/such/file.so", isc_test_path(dir, "dangling.so")), 0);
  cr_assert_eq(mkdir(isc_test_path(dir, "directory.so"), 0755), 0);
  cr_assert_eq(mkfifo(isc_test_path(dir, "fifo.so"), 0644), 0);
  cr_assert_eq(symlink("writable.so", isc_test_path(dir, "link.so")), 0);
  cr_assert_eq(symlink("loop.so", isc_test_path(dir, "loop.so")), 0);
  put_bent("machine.so", offsetof(Elf64_Ehdr, e_machine), EM_S390);
  put(FIXTURE "major.so", "major.so");
  put(FIXTURE "minor.so", "minor.so");
  put(FIXTURE "nothing.so", "nothing.so");
  put(FIXTURE "small.so", "small.so");
  put_bytes("text.so", "plain text\n", 11);
  put(FIXTURE "tiny.so", "tiny.so");
  put(FIXTURE "unresolved.so", "unresolved.so");
  put(FIXTURE "good.so", "writable.so");
  cr_assert_eq(chmod(isc_test_path(dir, "writable.so"), 0646), 0);
}

Test(hostile, what_is_wrong_from_the_outside_is_told, .timeout = 120) {
  put_still();
  put(FIXTURE "good.so", "good.so");
  isc_survey s = survey();
  expect_all(&s, still, COUNT(still));
  cr_assert(offered_by(&s, "good.so"));
  isc_survey_free(&s);
}

Test(hostile, a_directory_that_everyone_may_write_to_holds_nothing_usable, .timeout = 120) {
  put(FIXTURE "good.so", "good.so");
  cr_assert_eq(chmod(dir, 0777), 0);
  isc_survey s = survey();
  const char *reason = reason_of(&s, "good.so");
  cr_assert(reason && strstr(reason, "where everyone may replace it; run chmod o-w"));
  isc_survey_free(&s);
  cr_assert_eq(chmod(dir, 01777), 0);
  s = survey();
  cr_assert(offered_by(&s, "good.so"), "with the sticky bit only its owner can replace a file");
  isc_survey_free(&s);
}

Test(hostile, files_of_strangers_are_not_loaded, .timeout = 120) {
  put(FIXTURE "good.so", "good.so");
  if (chown(isc_test_path(dir, "good.so"), 54321, 54321) != 0)
    cr_skip_test("SKIPPED: needs the right to give a file to another user");
  isc_survey s = survey();
  const char *reason = reason_of(&s, "good.so");
  cr_assert(reason && strstr(reason, "belongs to user 54321"), "%s", reason);
  isc_survey_free(&s);
}

Test(hostile, files_and_directories_that_cannot_be_read_are_told, .timeout = 120) {
  put(FIXTURE "good.so", "good.so");
  cr_assert_eq(chmod(isc_test_path(dir, "good.so"), 0), 0);
  if (access(isc_test_path(dir, "good.so"), R_OK) == 0)
    cr_skip_test("SKIPPED: needs a user whom file modes bind");
  isc_survey s = survey();
  const char *reason = reason_of(&s, "good.so");
  cr_assert(reason && strstr(reason, "cannot be read: Permission denied"), "%s", reason);
  isc_survey_free(&s);
  cr_assert_eq(chmod(dir, 0), 0);
  s = survey();
  cr_assert_eq(problems_here(&s), 1);
  isc_survey_free(&s);
}

Test(hostile, a_named_plugin_is_examined_as_well) {
  const isc_registry_entry *e;
  put(FIXTURE "good.so", "feature_fix_good.so");
  cr_assert_eq(chmod(isc_test_path(dir, "feature_fix_good.so"), 0666), 0);
  isc_assert_fails(isc_registry_find(ISC_FEATURE, "fix-good", &e), ISC_E_MISSING,
                   "everyone may write to it");
  isc_assert_fails(isc_registry_load(isc_test_path(dir, "feature_fix_good.so")), ISC_E_FORMAT,
                   "everyone may write to it");
}

/* ---- what only loading shows */

static const expectation lively[] = {
    {"abort.so", "its loading crashed (SIGABRT)"},
    {"crash.so", "its loading crashed (SIGSEGV)"},
    {"endless.so", "its list of classes has no end"},
    {"exit.so", "its loading exited with status 3"},
    {"exit_quietly.so", "its loading exited with status 0"},
    {"lie.so", "disturbed the process"},
    {"option.so", "option \"count\": its default \"0\""},
    {"wild.so", "reading its descriptor crashed (SIGSEGV)"},
    {"wild_name.so", "reading its descriptor crashed (SIGSEGV)"},
};

static void put_lively(void) {
  for (size_t i = 0; i < COUNT(lively); i++)
    if (strcmp(lively[i].name, "option.so") != 0) put_hostile(lively[i].name);
  put(FIXTURE "option.so", "option.so");
}

static void left_a_mark(void) {
  close(creat(isc_test_path(dir, "mark"), 0644));
}

Test(hostile, what_loading_breaks_breaks_elsewhere, .timeout = 120) {
  put_lively();
  put(FIXTURE "good.so", "good.so");
  atexit(left_a_mark);
  isc_survey s = survey();
  expect_all(&s, lively, COUNT(lively));
  cr_assert(offered_by(&s, "good.so"));
  cr_assert_neq(access(isc_test_path(dir, "mark"), F_OK), 0,
                "a constructor's exit ran this process's handlers");
  isc_survey_free(&s);
}

Test(hostile, a_hanging_constructor_is_given_up, .timeout = 120) {
  put_hostile("hang.so");
  put(FIXTURE "good.so", "good.so");
  isc_survey s = survey();
  const char *reason = reason_of(&s, "hang.so");
  cr_assert(reason && strstr(reason, "its loading did not end within 5 s"), "%s", reason);
  cr_assert(offered_by(&s, "good.so"));
  isc_survey_free(&s);
}

Test(hostile, constructors_that_do_no_harm_are_no_fault, .timeout = 120) {
  static const char *const files[] = {"escape.so", "friendly.so", "say.so", "spawn.so"};
  for (size_t i = 0; i < COUNT(files); i++)
    put_hostile(files[i]);
  isc_survey s = survey();
  cr_assert_eq(problems_here(&s), 0);
  for (size_t i = 0; i < COUNT(files); i++) {
    const isc_registry_entry *e = offered_by(&s, files[i]);
    cr_assert(e, "%s", files[i]);
    cr_assert_eq(e->cls->kind, ISC_FEATURE);
    cr_assert(!strncmp(e->cls->name, files[i], strlen(e->cls->name)));
    cr_assert_str_eq(e->plugin, "hostile");
  }
  isc_survey_free(&s);
}

Test(hostile, a_survey_loads_nothing_into_this_process, .timeout = 120) {
  put_hostile("friendly.so");
  isc_survey s = survey();
  cr_assert(offered_by(&s, "friendly.so"));
  cr_assert_null(dlopen(isc_test_path(dir, "friendly.so"), RTLD_LAZY | RTLD_NOLOAD));
  isc_survey_free(&s);
  const isc_registry_entry *e;
  isc_assert_ok(isc_registry_find(ISC_FEATURE, "friendly", &e));
  cr_assert(dlopen(isc_test_path(dir, "friendly.so"), RTLD_LAZY | RTLD_NOLOAD));
  cr_assert(e->cls->ops);
}

static bool is_loaded(const char *name) {
  return dlopen(isc_test_path(dir, name), RTLD_LAZY | RTLD_NOLOAD) != NULL;
}

Test(hostile, a_scan_of_one_kind_loads_no_other, .timeout = 120) {
  char *name = NULL, *report = NULL;
  put_hostile("friendly.so"); /* a feature */
  isc_assert_ok(isc_registry_scan(ISC_BACKEND, NULL, NULL));
  cr_assert(!is_loaded("friendly.so"));
  isc_assert_ok(isc_device_pick(&name, &report));
  cr_assert(!is_loaded("friendly.so"), "choosing a device runs a feature's code");
  isc_assert_ok(isc_registry_scan(ISC_FEATURE, NULL, NULL));
  cr_assert(is_loaded("friendly.so"));
  free(name);
  free(report);
}

Test(hostile, directories_that_cannot_be_looked_into_are_no_files) {
  const isc_registry_entry *e;
  char path[2048], want[4200];
  snprintf(path, sizeof path, "%s/none:%s", dir, dir);
  cr_assert_eq(setenv("INVERSESCOPE_PLUGIN_PATH", path, 1), 0);
  isc_assert_ok(isc_registry_search_path(NULL, 0));
  snprintf(want, sizeof want, "looked in %s/none (no such directory), ", dir);
  isc_assert_fails(isc_registry_find(ISC_FEATURE, "fix-good", &e), ISC_E_MISSING, want);
  cr_assert_null(strstr(isc_error(), "file(s) there"), "%s", isc_error());
}

Test(hostile, finding_and_scanning_pass_them_by, .timeout = 120) {
  const isc_registry_entry *e;
  put_still();
  put_lively();
  put(FIXTURE "good.so", "zgood.so");
  isc_assert_ok(isc_registry_find(ISC_FEATURE, "fix-extra", &e));
  isc_assert_fails(isc_registry_find(ISC_FEATURE, "fix-extar", &e), ISC_E_MISSING,
                   "did you mean \"fix-extra\"?");
  char count[64];
  snprintf(count, sizeof count, "%zu file(s) there cannot be used", COUNT(still) + COUNT(lively));
  cr_assert(strstr(isc_error(), count), "%s", isc_error());
  isc_assert_ok(isc_registry_scan(0, NULL, NULL));
}

Test(hostile, a_process_that_ignores_its_children_still_surveys, .timeout = 120) {
  signal(SIGCHLD, SIG_IGN);
  put_hostile("crash.so");
  put(FIXTURE "good.so", "good.so");
  isc_survey s = survey();
  cr_assert(offered_by(&s, "good.so"));
  cr_assert(reason_of(&s, "crash.so"));
  isc_survey_free(&s);
  signal(SIGCHLD, SIG_DFL);
}

Test(hostile, failing_allocations_are_errors_of_the_survey, .timeout = 300) {
  put(FIXTURE "good.so", "good.so");
  put_bytes("text.so", "plain text\n", 11);
  cr_assert_eq(setenv("INVERSESCOPE_PLUGIN_PATH", dir, 1), 0);
  isc_survey s = survey(); /* whatever is made once is made */
  isc_survey_free(&s);
  for (int64_t k = 1; k < 40; k++) {
    isc_alloc_fail_at(k);
    isc_status st = isc_registry_survey(&s);
    isc_alloc_fail_at(0);
    cr_assert(st == ISC_OK || st == ISC_E_NOMEM, "%lld: %s", (long long)k, isc_error());
    if (st == ISC_OK) cr_assert(offered_by(&s, "good.so") && reason_of(&s, "text.so"));
    isc_survey_free(&s);
  }
}

/* ---- the program */

Test(hostile, the_program_lists_them_with_their_reasons, .timeout = 120) {
  static const char *const table[] = {"plugins", NULL}, *const json[] = {"plugins", "--json", NULL},
                           *const list[] = {"describe", "--list", NULL};
  put_still();
  put_lively();
  put_hostile("say.so");
  put_hostile("escape.so");
  put(FIXTURE "good.so", "good.so");
  isc_cli c = isc_cli_run(dir, table, NULL);
  cr_assert_eq(c.status, 0, "%d: %s", c.status, c.err);
  cr_assert_str_empty(c.err);
  const char *bad = strstr(c.out, "\nnot usable:\n");
  cr_assert(bad, "%s", c.out);
  const char *good = strstr(c.out, "fix-good");
  cr_assert(good && good < bad);
  for (size_t i = 0; i < COUNT(still); i++)
    cr_assert(strstr(bad, still[i].reason), "%s", still[i].reason);
  for (size_t i = 0; i < COUNT(lively); i++)
    cr_assert(strstr(bad, lively[i].reason), "%s", lively[i].reason);
  cr_assert_null(strstr(c.out, "HELLO"));
  cr_assert_null(strchr(c.out, '\033'), "a control character reached the terminal");
  isc_cli_free(&c);
  c = isc_cli_run(dir, list, NULL);
  cr_assert_eq(c.status, 0, "%d: %s", c.status, c.err);
  cr_assert(strstr(c.out, "feature/fix-good\n") && strstr(c.out, "feature/say\n"), "%s", c.out);
  cr_assert_null(strstr(c.out, "HELLO"), "a list of names has run a plugin's code");
  isc_cli_free(&c);
  c = isc_cli_run(dir, json, NULL);
  cr_assert_eq(c.status, 0);
  cr_assert(strstr(c.out, "text.so\", \"reason\": \"is no ELF file\"}"), "%s", c.out);
  cr_assert(strstr(c.out, "Red \\u001b[31m and \xEF\xBF\xBD no UTF-8"), "%s", c.out);
  isc_cli_free(&c);
}
