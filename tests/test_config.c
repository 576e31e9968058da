/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about configs as trees: looking things up, overrides, unknown settings, and memory that runs
 * out half way.
 */
#include "support.h"
#include "base/base.h"
#include "config/config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct run {
  int64_t seed, steps;
  double rate;
  const char *name, *path;
  isc_list sites;
} run;

static const isc_option run_options[] = {
    {.name = "seed",
     .type = ISC_OPT_INT,
     .offset = offsetof(run, seed),
     .preset = "1",
     .doc = "S."},
    {.name = "steps",
     .type = ISC_OPT_INT,
     .offset = offsetof(run, steps),
     .preset = "10",
     .min = 1,
     .max = 100,
     .unit = "steps",
     .doc = "S."},
    {.name = "rate",
     .type = ISC_OPT_FLOAT,
     .offset = offsetof(run, rate),
     .preset = "0.1",
     .doc = "R."},
    {.name = "name", .type = ISC_OPT_STRING, .offset = offsetof(run, name), .doc = "N."},
    {.name = "path", .type = ISC_OPT_PATH, .offset = offsetof(run, path), .doc = "P."},
    {.name = "sites", .type = ISC_OPT_STRING_LIST, .offset = offsetof(run, sites), .doc = "S."},
    ISC_OPTIONS_END};

static const char *dir;

static void enter(void) {
  static const char text[] = "run = {\n  seed = 7;\n  sites = [\"a\", \"b\"];\n};\n"
                             "features = ( { plugin = \"x\"; },\n  { plugin = \"y\"; } );\n";
  char path[1024];
  dir = isc_test_dir("config");
  cr_assert_not_null(dir);
  snprintf(path, sizeof path, "%s/x.cfg", dir);
  isc_assert_ok(isc_write_file(path, text, sizeof text - 1));
}

static void leave(void) {
  char command[2048];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  cr_assert_eq(system(command), 0);
}

static isc_status load_set(const char *set, isc_config **c) {
  char path[1024];
  snprintf(path, sizeof path, "%s/x.cfg", dir);
  isc_config_source src = {.path = path, .overrides = &set, .n_overrides = set ? 1 : 0};
  return isc_config_load(&src, c);
}

static isc_config *with(const char *set) {
  isc_config *c = NULL;
  isc_assert_ok(load_set(set, &c));
  return c;
}

static run filled(isc_config *c) {
  run r;
  isc_assert_ok(isc_config_fill(c, "run", run_options, NULL, &r));
  return r;
}

static isc_status fill_set(const char *set) {
  run r;
  isc_config *c = NULL;
  isc_status st = load_set(set, &c);
  if (st == ISC_OK) st = isc_config_fill(c, "run", run_options, NULL, &r);
  isc_config_free(c);
  return st;
}

TestSuite(config, .init = enter, .fini = leave);

Test(config, settings_are_found_by_path) {
  isc_config *c = with(NULL);
  cr_assert(isc_config_has(c, "run.seed") && isc_config_has(c, "features.[1].plugin"));
  cr_assert(isc_config_has(c, "features[1].plugin"));
  cr_assert_not(isc_config_has(c, "run.steps"));
  cr_assert_not(isc_config_has(c, "features.[2]"));
  cr_assert_not(isc_config_has(c, "run.seed.x"));
  cr_assert_not(isc_config_has(c, "run."));
  cr_assert_not(isc_config_has(c, "run.see"));
  cr_assert_eq(isc_config_count(c, "features"), 2);
  cr_assert_eq(isc_config_count(c, "run"), 1);
  cr_assert_eq(isc_config_count(c, "none"), 0);
  cr_assert_str_eq(strrchr(isc_config_where(c, "features.[1]"), '/'), "/x.cfg:6");
  isc_config_free(c);
}

Test(config, an_override_replaces_a_value) {
  isc_config *c = with("run.seed=5000000000");
  cr_assert_eq(filled(c).seed, 5000000000);
  cr_assert_str_eq(isc_config_where(c, "run.seed"), "--set run.seed=5000000000");
  isc_config_free(c);
  c = with(" run.rate = 3 ");
  cr_assert_eq(filled(c).rate, 3.0);
  isc_config_free(c);
}

Test(config, an_override_makes_the_groups_it_needs) {
  isc_config *c = with("method.optimizer.rate=1e-3");
  cr_assert(isc_config_has(c, "method.optimizer.rate"));
  isc_config_free(c);
}

Test(config, an_override_reaches_into_lists) {
  isc_config *c = with("run.sites.[1]=z");
  run r = filled(c);
  cr_assert_eq(r.sites.count, 2);
  cr_assert_str_eq(r.sites.at.s[1], "z");
  isc_config_free(c);
  c = with("features.[0].count=3");
  cr_assert(isc_config_has(c, "features.[0].count"));
  isc_config_free(c);
  isc_assert_fails(load_set("features.[2].x=1", &c), ISC_E_CONFIG,
                   "there is no element 2; the list has 2");
}

Test(config, bare_words_are_strings) {
  static const char *const cases[][2] = {
      {"run.name=hard", "hard"},
      {"run.name=/a/b c", "/a/b c"},
      {"run.name=\"q\\n\"", "q\n"},
      {"run.name=12ab", "12ab"},
      {"run.name=1; seed = 2", "1; seed = 2"},
      {"run.name=-x", "-x"},
      {"run.name=a=b", "a=b"},
      {"run.name=\"5\"", "5"},
      {"run.name=1.2.3", "1.2.3"},
      {"run.name=nan", "nan"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    isc_config *c = with(cases[i][0]);
    cr_assert_str_eq(filled(c).name, cases[i][1]);
    isc_config_free(c);
  }
}

Test(config, lists_and_groups_are_taken_in_config_syntax) {
  isc_config *c = with("run.sites=[\"p\", \"q\", \"r\"]");
  cr_assert_eq(filled(c).sites.count, 3);
  isc_config_free(c);
  c = with("features=({plugin = \"only\"})");
  cr_assert_eq(isc_config_count(c, "features"), 1);
  isc_config_free(c);
  c = with("run={seed = 9}");
  cr_assert_eq(filled(c).seed, 9);
  isc_config_free(c);
}

Test(config, an_override_is_checked_like_the_file) {
  isc_config *c;
  isc_assert_fails(fill_set("run.seed=x"), ISC_E_CONFIG,
                   "--set run.seed=x: run.seed: must be an integer, not the string \"x\"");
  isc_assert_fails(fill_set("run.rate=nan"), ISC_E_CONFIG,
                   "must be a number, not the string \"nan\"");
  isc_assert_fails(fill_set("run.steps=0"), ISC_E_CONFIG, "0 is outside the range [1, 100] steps");
  isc_assert_fails(fill_set("run.sede=1"), ISC_E_CONFIG,
                   "--set run.sede=1: run.sede: unknown setting; did you mean \"seed\"?");
  isc_assert_fails(load_set("run.seed=99999999999999999999", &c), ISC_E_CONFIG, "does not fit");
  isc_assert_fails(load_set("run.seed=010", &c), ISC_E_CONFIG, "leading zero");
  isc_assert_fails(load_set("run.name=\"open", &c), ISC_E_CONFIG,
                   "--set run.name=\"open: a string is not closed");
  isc_assert_fails(load_set("run.sites=[1", &c), ISC_E_CONFIG, "lacks its \"]\"");
  isc_assert_fails(load_set("run.sites=[1]; seed = 2", &c), ISC_E_CONFIG, "one setting at a time");
  isc_assert_fails(load_set("run={\n@include \"x.cfg\"\n}", &c), ISC_E_CONFIG, "not allowed here");
  isc_assert_fails(load_set("run.seed.x=1", &c), ISC_E_CONFIG, "seed is a number, not a group");
  isc_assert_fails(load_set("features.x=1", &c), ISC_E_CONFIG, "features is a list, not a group");
}

Test(config, a_malformed_override_says_what_to_write) {
  static const char *const bad[] = {"run.seed", "=1",        "run..seed=1", "run.=1",
                                    "[0]=1",    "run.[x]=1", "9=1",         "a b=1"};
  isc_config *c;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    isc_assert_fails(load_set(bad[i], &c), ISC_E_CONFIG, "write --set path.to.setting=value");
  isc_assert_fails(load_set("run.seed=", &c), ISC_E_CONFIG, "the value is missing");
}

Test(config, paths_start_where_they_were_written) {
  char want[1024], *cwd = getcwd(NULL, 0), *real = realpath(dir, NULL);
  isc_config *c = with("run.path=m/x");
  snprintf(want, sizeof want, "%s/m/x", cwd);
  cr_assert_str_eq(filled(c).path, want);
  isc_config_free(c);
  c = with("run.path=/m/x");
  cr_assert_str_eq(filled(c).path, "/m/x");
  isc_config_free(c);
  isc_assert_ok(isc_config_parse("run = { path = \"m/x\"; };", 24, "t", dir, &c));
  snprintf(want, sizeof want, "%s/m/x", real);
  cr_assert_str_eq(filled(c).path, want);
  isc_config_free(c);
  isc_assert_ok(isc_config_parse("run = { path = \".././m/../x\"; };", 32, "t", dir, &c));
  *strrchr(real, '/') = '\0';
  snprintf(want, sizeof want, "%s/m/../x", real);
  cr_assert_str_eq(filled(c).path, want, "\"..\" behind a name stays: the name may be a link");
  isc_config_free(c);
  free(cwd);
  free(real);
}

Test(config, unknown_settings_are_told_with_the_nearest_name) {
  static const char text[] = "run = {\n  seed = 1;\n  evaluat = 2;\n};\n";
  static const char *const also[] = {"evaluate", NULL};
  isc_config *c;
  run r;
  isc_assert_ok(isc_config_parse(text, sizeof text - 1, "x.cfg", ".", &c));
  isc_assert_fails(isc_config_fill(c, "run", run_options, also, &r), ISC_E_CONFIG,
                   "x.cfg:3: run.evaluat: unknown setting; did you mean \"evaluate\"?");
  cr_assert_eq(isc_exit_code(isc_error_code()), 78);
  isc_config_free(c);
}

Test(config, what_nobody_asked_for_at_the_top_is_an_error) {
  static const char *const known[] = {"report", NULL};
  run r;
  isc_config *c = with(NULL);
  isc_assert_ok(isc_config_fill(c, "run", run_options, NULL, &r));
  isc_assert_fails(isc_config_check_unused(c, known), ISC_E_CONFIG,
                   "x.cfg:5: features: unknown setting");
  isc_config_free(c);
  c = with("rum.seed=1");
  isc_assert_ok(isc_config_fill(c, "run", run_options, NULL, &r));
  static const char *const features[] = {"features", NULL};
  isc_assert_fails(isc_config_check_unused(c, features), ISC_E_CONFIG,
                   "--set rum.seed=1: rum: unknown setting; did you mean \"run\"?");
  isc_config_free(c);
  c = with("report=1");
  isc_assert_ok(isc_config_fill(c, "run", run_options, NULL, &r));
  isc_assert_ok(
      isc_config_fill(c, "features.[0]", NULL, (const char *const[]){"plugin", NULL}, &r));
  isc_assert_ok(isc_config_check_unused(c, known));
  isc_config_free(c);
}

Test(config, a_group_must_be_a_group) {
  isc_config *c = with("run=5");
  run r;
  isc_assert_fails(isc_config_fill(c, "run", run_options, NULL, &r), ISC_E_CONFIG,
                   "--set run=5: run: must be a group { … }, not a number");
  isc_config_free(c);
}

/* Every allocation of parsing, filling and writing back is made to fail in turn. libconfig's own are
 * beyond the hook. */
Test(config, memory_running_out_is_an_error_at_every_point) {
  static const char text[] =
      "run = { seed = 3; name = \"a\" \"b\"; path = \"p\"; sites = [\"x\", \"y\"]; };\n"
      "other = ( { a = 1; }, 2.5, true );\n";
  bool clean = false;
  int64_t k = 0;
  while (!clean) {
    isc_config *c = NULL;
    char *resolved = NULL, *canonical = NULL;
    run r;
    cr_assert_lt(++k, 2000);
    isc_alloc_fail_at(k);
    isc_status st = isc_config_parse(text, sizeof text - 1, "x.cfg", ".", &c);
    if (st == ISC_OK) st = isc_config_fill(c, "run", run_options, NULL, &r);
    if (st == ISC_OK) st = isc_config_resolved(c, &resolved);
    if (st == ISC_OK) st = isc_config_canonical(c, "run", &canonical);
    clean = isc_alloc_fail_at(0) < k;
    cr_assert(clean ? st == ISC_OK : st == ISC_E_NOMEM, "allocation %lld: %s: %s", (long long)k,
              isc_status_name(st), isc_error());
    free(resolved);
    free(canonical);
    isc_config_free(c);
  }
  cr_assert_gt(k, 50);
}

Test(config, memory_running_out_in_an_override_is_an_error) {
  bool clean = false;
  for (int64_t k = 1; !clean; k++) {
    isc_config *c = NULL;
    cr_assert_lt(k, 2000);
    isc_alloc_fail_at(k);
    isc_status st = load_set("run.new.sites=[\"p\", 2]", &c);
    clean = isc_alloc_fail_at(0) < k;
    cr_assert(clean ? st == ISC_OK : st == ISC_E_NOMEM, "allocation %lld: %s", (long long)k,
              isc_error());
    isc_config_free(c);
  }
}
