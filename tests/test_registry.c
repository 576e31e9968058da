/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about plugins: how they are found, why they are refused, and what a descriptor must keep.
 *
 * Each test makes a directory of its own and puts the fixtures it wants there under the names it
 * wants; each runs in its own process, so the registry starts empty.
 */
#include "support.h"
#include "plugin/registry.h"
#include <inversescope/feature.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *dir;

static void enter(void) {
  unsetenv("INVERSESCOPE_PLUGIN_PATH");
  dir = isc_test_dir("registry");
  cr_assert_not_null(dir);
}

static void leave(void) {
  char command[2048];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  cr_assert_eq(system(command), 0);
}

TestSuite(registry, .init = enter, .fini = leave);

/* Put fixture `what` into `dir` as `name`. */
static void put(const char *what, const char *name) {
  char from[1024], to[2048];
  snprintf(from, sizeof from, "%s/fix_%s.so", isc_test_build("tests/fixtures/registry/.libs"),
           what);
  snprintf(to, sizeof to, "%s/%s", dir, name);
  cr_assert_eq(access(from, R_OK), 0, "the fixture %s is not built", from);
  cr_assert_eq(symlink(from, to), 0);
}

static void search_here(void) {
  isc_assert_ok(isc_registry_search_path(&dir, 1));
}

Test(registry, a_plugin_is_found_by_its_file_name) {
  const isc_registry_entry *e;
  put("good", "feature_fix_good.so");
  search_here();
  isc_assert_ok(isc_registry_find(ISC_FEATURE, "fix-good", &e));
  cr_assert_str_eq(e->cls->name, "fix-good");
  cr_assert_str_eq(e->plugin, "fix");
  cr_assert_str_eq(e->plugin_version, "1.2.0");
  cr_assert(strstr(e->path, "feature_fix_good.so"));
  const isc_registry_entry *again;
  isc_assert_ok(isc_registry_find(ISC_FEATURE, "fix-good", &again));
  cr_assert_eq(e, again);
}

Test(registry, a_class_is_found_in_a_plugin_of_another_name) {
  const isc_registry_entry *e;
  put("good", "whatever.so");
  search_here();
  isc_assert_ok(isc_registry_find(ISC_FEATURE, "fix-extra", &e));
  cr_assert_str_eq(e->cls->name, "fix-extra");
}

Test(registry, the_environment_comes_before_the_config) {
  const isc_registry_entry *e;
  const char *other = isc_test_dir("registry");
  const char *first = dir;
  put("again", "feature_fix_good.so");
  dir = other;
  put("good", "feature_fix_good.so");
  setenv("INVERSESCOPE_PLUGIN_PATH", first, 1);
  isc_assert_ok(isc_registry_search_path(&other, 1));
  isc_assert_ok(isc_registry_find(ISC_FEATURE, "fix-good", &e));
  cr_assert_str_eq(e->plugin, "fix-again");
  leave();
  dir = first;
}

Test(registry, the_search_path_has_its_order_and_no_doubles) {
  const char *const *dirs;
  const char *config[] = {dir, "/no/such/place", dir};
  setenv("INVERSESCOPE_PLUGIN_PATH", "/:", 1);
  isc_assert_ok(isc_registry_search_path(config, 3));
  int64_t n = isc_registry_dirs(&dirs);
  cr_assert_geq(n, 4, "the library's own directory is the last");
  cr_assert_str_eq(dirs[0], "/");
  cr_assert_str_eq(strrchr(dirs[1], '/'), strrchr(dir, '/'));
  cr_assert_str_eq(dirs[2], "/no/such/place");
}

Test(registry, a_miss_says_where_it_looked_and_what_is_near) {
  const isc_registry_entry *e;
  put("good", "feature_fix_good.so");
  search_here();
  isc_assert_fails(isc_registry_find(ISC_FEATURE, "fix-god", &e), ISC_E_MISSING,
                   "no feature plugin \"fix-god\"; did you mean \"fix-good\"?");
  cr_assert(strstr(isc_error(), strrchr(dir, '/')));
  cr_assert_null(e);
  isc_assert_fails(isc_registry_find(ISC_PRIOR, "fix-good", &e), ISC_E_MISSING, "no prior plugin");
  isc_assert_fails(isc_registry_find(ISC_FEATURE, "../fix", &e), ISC_E_MISSING, "../fix");
  isc_assert_fails(isc_registry_find((isc_kind)77, "x", &e), ISC_E_USAGE, "77");
}

Test(registry, a_miss_says_why_the_candidate_would_not_load) {
  const isc_registry_entry *e;
  put("unresolved", "feature_fix_good.so");
  search_here();
  isc_assert_fails(isc_registry_find(ISC_FEATURE, "fix-good", &e), ISC_E_MISSING,
                   "isc_nobody_has_this");
  put("good", "feature_other.so");
  isc_assert_ok(isc_registry_find(ISC_FEATURE, "fix-good", &e));
}

Test(registry, a_candidate_without_the_class_is_named) {
  const isc_registry_entry *e;
  put("good", "feature_nobody.so");
  search_here();
  isc_assert_fails(isc_registry_find(ISC_FEATURE, "nobody", &e), ISC_E_MISSING,
                   "offers no feature \"nobody\"");
}

static void refused(const char *fixture, const char *part, const char *other_part) {
  char path[2048];
  put(fixture, "x.so");
  snprintf(path, sizeof path, "%s/x.so", dir);
  isc_assert_fails(isc_registry_load(path), ISC_E_FORMAT, part);
  cr_assert(strstr(isc_error(), other_part), "%s", isc_error());
  cr_assert(strstr(isc_error(), "x.so"));
}

Test(registry, another_major_names_both_versions) {
  refused("major", "built for plugin ABI 2", "speaks ABI " ISC_ABI_TEXT);
}

Test(registry, a_later_minor_names_both_versions) {
  refused("minor", "built for plugin ABI 1.7", "speaks ABI " ISC_ABI_TEXT);
}

Test(registry, a_smaller_descriptor_names_both_sizes) {
  refused("small", "has 32 bytes (ABI 1.0)", "has 40 (ABI " ISC_ABI_TEXT ")");
}

Test(registry, a_symbol_too_small_for_a_descriptor_is_not_read) {
  refused("tiny", "has 8 bytes", "no plugin descriptor");
}

Test(registry, a_library_that_is_no_plugin_is_told) {
  refused("nothing", "no InverseScope plugin", "isc_plugin_v1");
}

Test(registry, a_broken_option_table_is_told) {
  refused("option", "feature/fix-option: option \"count\": its default \"0\"", "[1, 9]");
}

Test(registry, a_file_that_is_no_library_is_told) {
  char path[2048];
  snprintf(path, sizeof path, "%s/x.so", dir);
  FILE *f = fopen(path, "w");
  fputs("not an ELF file", f);
  fclose(f);
  isc_assert_fails(isc_registry_load(path), ISC_E_FORMAT, "is no ELF file");
  isc_assert_fails(isc_registry_load("/no/such.so"), ISC_E_MISSING, "/no/such.so");
}

Test(registry, a_scan_lists_what_loads_and_reports_what_does_not) {
  char **problems = NULL;
  int64_t n = 0;
  const isc_registry_entry *const *list;
  put("good", "b.so");
  put("major", "a.so");
  put("unresolved", "c.so");
  put("nothing", "libhelper.so");
  search_here();
  isc_assert_ok(isc_registry_scan(0, &problems, &n));
  int64_t ours = 0;
  for (int64_t i = 0; i < n; i++) {
    ours += strstr(problems[i], strrchr(dir, '/')) != NULL;
    free(problems[i]);
  }
  free(problems);
  cr_assert_eq(ours, 2, "a lib*.so is not a plugin and no problem");
  int64_t count = isc_registry_list(ISC_FEATURE, &list), at = -1;
  for (int64_t i = 0; i < count; i++) {
    cr_assert_eq(list[i]->cls->kind, ISC_FEATURE);
    if (i) cr_assert_lt(strcmp(list[i - 1]->cls->name, list[i]->cls->name), 0);
    if (strcmp(list[i]->cls->name, "fix-extra") == 0) at = i;
  }
  cr_assert(at >= 0 && strcmp(list[at + 1]->cls->name, "fix-good") == 0);
  isc_assert_ok(isc_registry_scan(0, NULL, NULL));
}

Test(registry, the_same_name_twice_is_refused_when_asked_for_by_path) {
  char path[2048];
  put("good", "a.so");
  put("again", "b.so");
  snprintf(path, sizeof path, "%s/a.so", dir);
  isc_assert_ok(isc_registry_load(path));
  isc_assert_ok(isc_registry_load(path));
  snprintf(path, sizeof path, "%s/b.so", dir);
  isc_assert_fails(isc_registry_load(path), ISC_E_USAGE, "feature/fix-good is already registered");
}

static void *find_good(void *out) {
  const isc_registry_entry *e = NULL;
  isc_registry_find(ISC_FEATURE, "fix-good", &e);
  *(const isc_registry_entry **)out = e;
  return NULL;
}

Test(registry, threads_find_one_and_the_same_entry) {
  enum { N = 8 };
  pthread_t t[N];
  const isc_registry_entry *e[N];
  put("good", "feature_fix_good.so");
  search_here();
  for (int i = 0; i < N; i++)
    cr_assert_eq(pthread_create(&t[i], NULL, find_good, &e[i]), 0);
  for (int i = 0; i < N; i++)
    pthread_join(t[i], NULL);
  for (int i = 0; i < N; i++)
    cr_assert(e[i] && e[i] == e[0]);
}

/* ---- descriptors */

typedef struct conf {
  int64_t n;
  double x;
  const char *mode;
  int32_t e;
} conf;

static const char *const colours[] = {"red", "green", NULL};
static isc_status open_nothing(const void *c, const isc_prior *prior, void **self) {
  (void)c, (void)prior, (void)self;
  return ISC_OK;
}
static void close_nothing(void *self) {
  (void)self;
}
static isc_status label_nothing(void *self, const char *text, size_t len, isc_text *out) {
  (void)self, (void)text, (void)len, (void)out;
  return ISC_OK;
}
static isc_feature_ops ops;
static isc_option table[4];
static isc_class cls;

static void fresh(void) {
  ops = (isc_feature_ops){
      .size = sizeof ops, .open = open_nothing, .close = close_nothing, .label = label_nothing};
  table[0] = (isc_option){.name = "n",
                          .type = ISC_OPT_INT,
                          .offset = offsetof(conf, n),
                          .preset = "0x10",
                          .min = 1,
                          .max = 20,
                          .doc = "N."};
  table[1] = (isc_option){
      .name = "x", .type = ISC_OPT_FLOAT, .offset = offsetof(conf, x), .preset = "1", .doc = "X."};
  table[2] = (isc_option){.name = "e",
                          .type = ISC_OPT_ENUM,
                          .offset = offsetof(conf, e),
                          .preset = "green",
                          .choices = colours,
                          .doc = "E."};
  table[3] = (isc_option)ISC_OPTIONS_END;
  cls = (isc_class){ISC_CLASS(ISC_FEATURE),    .name = "a-b2",   .version = "1.0.0",
                    .summary = "S.",           .licence = "MIT", .options = table,
                    .conf_size = sizeof(conf), .ops = &ops};
}

TestSuite(class_check, .init = fresh);

Test(class_check, a_right_class_passes) {
  isc_assert_ok(isc_class_check(&cls));
  isc_assert_ok(isc_registry_add_builtin(&cls));
  const isc_registry_entry *e;
  isc_assert_ok(isc_registry_find(ISC_FEATURE, "a-b2", &e));
  cr_assert_str_eq(e->path, "(built in)");
  cls.options = NULL;
  cls.conf_size = 0;
  isc_assert_ok(isc_class_check(&cls));
}

/* Change one thing, expect one complaint, put it back. */
#define BREAK(change, part)                                                                        \
  do {                                                                                             \
    fresh();                                                                                       \
    change;                                                                                        \
    isc_assert_fails(isc_class_check(&cls), ISC_E_FORMAT, part);                                   \
  } while (0)

Test(class_check, each_rule_of_the_class_is_kept) {
  BREAK(cls.size -= 8, "80 bytes");
  BREAK(cls.kind = (isc_kind)9, "unknown kind 9");
  BREAK(cls.name = "A", "name must match");
  BREAK(cls.name = NULL, "name must match");
  BREAK(cls.version = "", "version");
  BREAK(cls.summary = "a\nb", "summary");
  BREAK(cls.licence = NULL, "licence");
  BREAK(cls.ops = NULL, "no ops table");
  BREAK(ops.label = NULL, "lacks `label`");
  BREAK(cls.option_size = 0, "begin the class with ISC_CLASS");
  BREAK(ops.size = 8, "ops table has 8 bytes");
  BREAK(ops.size = 0, "set its first member, size, to its sizeof");
}

Test(class_check, each_rule_of_the_options_is_kept) {
  BREAK(table[0].name = "a-b", "name must be words");
  BREAK(table[0].name = "a..b", "name must be words");
  BREAK(table[0].name = ".a", "name must be words");
  BREAK(table[0].name = "a.", "name must be words");
  BREAK(table[0].name = "plugin", "names the plugin itself");
  BREAK(table[1].name = "n", "declared twice");
  BREAK(table[0].doc = NULL, "no one-line doc");
  BREAK(table[0].type = (isc_option_type)99, "unknown type 99");
  BREAK(table[0].offset = sizeof(conf) - 4, "outside the conf struct");
  BREAK(table[0].offset = SIZE_MAX - 3, "outside the conf struct");
  BREAK(table[0].offset = 4, "which its type may not");
  BREAK(table[1].offset = 0, "shares bytes");
  BREAK(table[0].preset = "21", "outside the range [1, 20]");
  BREAK(table[0].preset = "1.5", "must be an integer");
  BREAK(table[0].preset = "many", "is not a number");
  BREAK(table[0].preset = NULL, "neither a default nor");
  BREAK(table[0].flags = ISC_OPT_REQUIRED, "yet has a default");
  BREAK(table[0].max = 0.5, "empty range");
  BREAK(table[0].min = 0.0 / 0.0, "empty range");
  BREAK(table[0].choices = colours, "no enum");
  BREAK(table[2].preset = "gren", "did you mean \"green\"?");
  BREAK(table[2].choices = NULL, "without choices");
  BREAK(table[2].max = 3, "is no number");
}

Test(class_check, kinds_have_names) {
  cr_assert_str_eq(isc_kind_name(ISC_TARGET), "target");
  cr_assert_str_eq(isc_kind_name(ISC_BACKEND), "backend");
  cr_assert_null(isc_kind_name((isc_kind)0));
  cr_assert_null(isc_kind_name((isc_kind)7));
}
