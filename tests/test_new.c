/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about `inversescope new`: what it writes, and what it refuses to.
 *
 * That the projects build, pass their tests and conform is shown by tests/sdk.sh, which needs an install.
 */
#include "support.h"
#include "support_run.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *const KINDS[] = {"target", "prior", "kernel", "feature", "method", "backend"};
enum { N_KINDS = sizeof KINDS / sizeof *KINDS };

static void ends(const char *dir, int status, const char *part, const char *const *args) {
  isc_cli c = isc_cli_run(dir, args, NULL);
  cr_assert_eq(c.status, status, "ended with %d: %s", c.status, c.err);
  cr_assert(strstr(status ? c.err : c.out, part), "no \"%s\" in: %s%s", part, c.err, c.out);
  isc_cli_free(&c);
}

/* The file holds `part`, and no token that should have been replaced. */
static void holds(const char *dir, const char *name, const char *part) {
  static const char *const tokens[] = {"@KIND@", "@NAME@", "@PLUGIN@", "@ABI@", "@BUILD@"};
  char *text = isc_test_read(dir, name, NULL);
  cr_assert(strstr(text, part), "no \"%s\" in %s", part, name);
  for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
    cr_assert_null(strstr(text, tokens[i]), "%s is left in %s", tokens[i], name);
  free(text);
}

static bool there(const char *dir, const char *name) {
  return isc_exists(isc_test_path(dir, name));
}

Test(new, writes_a_project_of_every_kind) {
  const char *dir = isc_scratch("new");
  for (int k = 0; k < N_KINDS; k++) {
    char at[64], file[128], want[64];
    snprintf(at, sizeof at, "%s-my-own-2", KINDS[k]);
    ends(dir, 0, at, ARGS("new", KINDS[k], "my-own-2"));
    snprintf(file, sizeof file, "%s/%s_my_own_2.c", at, KINDS[k]);
    holds(dir, file, "\"my-own-2\"");
    snprintf(file, sizeof file, "%s/tests/%s_my_own_2.c", at, KINDS[k]);
    holds(dir, file, "#include \"plugin_test.h\"");
    snprintf(file, sizeof file, "%s/tests/plugin_test.h", at);
    holds(dir, file, "plugin_class");
    snprintf(file, sizeof file, "%s/Makefile", at);
    snprintf(want, sizeof want, "PLUGIN = %s_my_own_2\n", KINDS[k]);
    holds(dir, file, want);
    char *text = isc_test_read(dir, file, NULL);
    int lines = 0;
    for (const char *c = text; *c; c++)
      lines += *c == '\n';
    cr_assert_eq(lines, 3);
    free(text);
    snprintf(file, sizeof file, "%s/README.md", at);
    holds(dir, file, "my-own-2");
    cr_assert(there(dir, isc_test_path(at, ".gitignore")));
    cr_assert(!there(dir, isc_test_path(at, "configure.ac")));
  }
}

Test(new, autotools_take_the_place_of_the_makefile) {
  const char *dir = isc_scratch("new");
  ends(dir, 0, "autoreconf", ARGS("new", "prior", "toy", "--autotools", "--dir", "a/b"));
  holds(dir, "a/b/configure.ac", "INVERSESCOPE_PLUGIN([" ISC_ABI_TEXT "])");
  holds(dir, "a/b/Makefile.am", "plugin_LTLIBRARIES = prior_toy.la");
  holds(dir, "a/b/README.md", "autoreconf");
  cr_assert(!there(dir, "a/b/Makefile"));
}

Test(new, an_empty_directory_will_do_and_a_full_one_is_left_alone) {
  const char *dir = isc_scratch("new");
  isc_assert_ok(isc_mkdirs(isc_test_path(dir, "empty")));
  ends(dir, 0, "empty", ARGS("new", "feature", "toy", "--dir=empty"));
  ends(dir, 0, "Next: cd 'a b' && make check", ARGS("new", "feature", "toy", "--dir=a b"));
  char *before = isc_test_read(dir, "empty/Makefile", NULL);
  ends(dir, 64, "not empty", ARGS("new", "kernel", "other", "--dir", "empty"));
  char *after = isc_test_read(dir, "empty/Makefile", NULL);
  cr_assert_str_eq(before, after);
  cr_assert(!there(dir, "empty/kernel_other.c"));
  free(before);
  free(after);
  ends(dir, 64, "no directory", ARGS("new", "kernel", "other", "--dir", "empty/Makefile"));
}

Test(new, wrong_usage_says_what_is_wrong_and_writes_nothing) {
  static const char *const cases[][6] = {
      {"new", NULL, NULL, NULL, NULL, "which KIND"},
      {"new", "prior", NULL, NULL, NULL, "which NAME"},
      {"new", "priar", "toy", NULL, NULL, "did you mean \"prior\"?"},
      {"new", "zebra", "toy", NULL, NULL, "kinds are target, prior"},
      {"new", "prior", "toy", "more", NULL, "more: one kind"},
      {"new", "prior", "toy", "--autotool", NULL, "--autotool: unknown option"},
      {"new", "prior", "toy", "--dir", NULL, "--dir needs"},
      {"new", "prior", "Toy", NULL, NULL, "\"Toy\": a name is"},
      {"new", "prior", "my_toy", NULL, NULL, "a name is"},
      {"new", "prior", "2toys", NULL, NULL, "a name is"},
      {"new", "prior", "toy-", NULL, NULL, "a name is"},
      {"new", "prior", "my--toy", NULL, NULL, "a name is"},
      {"new", "prior", "../toy", NULL, NULL, "a name is"},
      {"new", "prior", "", NULL, NULL, "a name is"},
      {"new", "prior", "ioi", NULL, NULL, "there is a prior \"ioi\" already"},
      {"new", "method", "inversescope", NULL, NULL, "there is a method \"inversescope\" already"},
  };
  const char *dir = isc_scratch("new");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    ends(dir, 64, cases[i][5], cases[i]);
  cr_assert(isc_dir_is_empty(dir));
}

static void no_templates(void) {
  setenv("INVERSESCOPE_SRCDIR", "/nowhere", 1);
}

Test(new, missing_templates_are_named_and_nothing_is_written) {
  const char *dir = isc_scratch("new");
  isc_cli c = isc_cli_run(dir, ARGS("new", "prior", "toy"), no_templates);
  cr_assert_eq(c.status, 66);
  cr_assert(strstr(c.err, "/nowhere/core/cli/new/prior/plugin.c"), "%s", c.err);
  cr_assert(!there(dir, "prior-toy"));
  isc_cli_free(&c);
}
