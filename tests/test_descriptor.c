/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about the static conformance rules: texts, licences, versions, imports, descriptors.
 */
#include "support.h"
#include "conform/descriptor.h"
#include "conform/forbidden.h"
#include "conform/words.h"
#include <inversescope/feature.h>
#include <stdint.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

Test(words, a_text_is_one_clean_line) {
  static const char *const clean[] = {"a", "k = 1 for d < epsilon", "‖z‖ and Ελληνικά", "🙂 x"};
  static const struct {
    const char *text, *problem;
  } dirty[] = {
      {NULL, "is missing"},
      {"", "is empty"},
      {" a", "starts or ends"},
      {"a ", "starts or ends"},
      {"a  b", "two spaces"},
      {"a\nb", "more than one line"},
      {"a\tb", "control character"},
      {"a\033[31m", "control character"},
      {"a\x7f", "control character"},
      {"a\xC2\x9B", "control character"},     /* U+009B, an escape sequence's start in 8 bits */
      {"a\xE2\x80\xAE", "control character"}, /* U+202E, right-to-left override               */
      {"a\xFF", "not UTF-8"},
      {"a\xC0\xAF", "not UTF-8"},     /* '/' in two bytes */
      {"a\xED\xA0\x80", "not UTF-8"}, /* a surrogate      */
      {"a\xF4\x90\x80\x80", "not UTF-8"},
      {"a\xE2\x82", "not UTF-8"}, /* cut              */
  };
  for (size_t i = 0; i < COUNT(clean); i++)
    cr_assert_null(isc_words_problem(clean[i]), "%s", clean[i]);
  for (size_t i = 0; i < COUNT(dirty); i++) {
    const char *problem = isc_words_problem(dirty[i].text);
    cr_assert(problem && strstr(problem, dirty[i].problem), "case %zu: %s", i,
              problem ? problem : "clean");
  }
  cr_assert_eq(isc_words_length("‖z‖"), 3);
  cr_assert_eq(isc_words_count("a bc d"), 3);
}

/* Annex D of the SPDX specification 2.3 has the grammar. */
Test(words, licences_are_spdx_expressions) {
  static const char *const good[] = {
      "MIT",
      "0BSD",
      "Apache-2.0",
      "GPL-2.0+",
      "LicenseRef-ours",
      "DocumentRef-x:LicenseRef-y",
      "MIT OR Apache-2.0",
      "(MIT AND 0BSD) OR ISC",
      "GPL-2.0-or-later WITH Classpath-exception-2.0",
      "MIT OR (0BSD AND (ISC OR Zlib))",
  };
  static const char *const bad[] = {"",   "Apache 2.0", "MIT OR",  "OR MIT", "(MIT",     "MIT)",
                                    "()", "MIT, BSD",   "MIT/BSD", "AND",    "MIT or X", "GPL+2",
                                    "+",  "MIT (ISC)",  "© us",    "-MIT"};
  for (size_t i = 0; i < COUNT(good); i++)
    cr_assert(isc_words_is_licence(good[i]), "%s", good[i]);
  for (size_t i = 0; i < COUNT(bad); i++)
    cr_assert_not(isc_words_is_licence(bad[i]), "%s", bad[i]);
}

Test(words, versions_have_three_numbers) {
  static const char *const good[] = {"0.1.0", "1.2.3", "10.20.30", "1.0.0-rc.1", "1.0.0+abc"};
  static const char *const bad[] = {"",       "1",       "1.2",    "1.2.3.4", "v1.2.3",
                                    "1.2.x",  "01.2.3",  "1.2.3-", "1.2.3 ",  "1..2",
                                    "-1.0.0", "1.2.3~1", "1.2."};
  for (size_t i = 0; i < COUNT(good); i++)
    cr_assert(isc_words_is_version(good[i]), "%s", good[i]);
  for (size_t i = 0; i < COUNT(bad); i++)
    cr_assert_not(isc_words_is_version(bad[i]), "%s", bad[i]);
}

Test(forbidden, what_belongs_to_the_process_may_not_be_imported) {
  static const char *const no[] = {
      "rand",
      "lcong48_r",
      "time",
      "exit",
      "abort",
      "__assert_fail",
      "fork",
      "posix_spawnp",
      "execvp",
      "setlocale",
      "signal",
      "sigaction",
      "stdout",
      "__printf_chk",
      "puts",
      "putenv",
      "chdir",
      "dlclose",
      "_ZSt4cout",
      "quick_exit",
      "system",
      "gettimeofday",
      "__printf_chk",
      "_ZNSt13random_device7_M_initERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"};
  static const char *const yes[] = {
      "malloc", "snprintf", "isc_rng_at", "clock_gettime", "strand", "randomise", "pthread_sigmask",
      "timer",  "ran",      "",           "fprintf",       "getenv", "dlopen",    "exits"};
  for (size_t i = 0; i < COUNT(no); i++)
    cr_assert(isc_forbidden_instead(no[i]), "%s", no[i]);
  for (size_t i = 0; i < COUNT(yes); i++)
    cr_assert_null(isc_forbidden_instead(yes[i]), "%s", yes[i]);
  cr_assert(strstr(isc_forbidden_instead("rand"), "isc_rng_at"));
}

/* ---- descriptors */

typedef struct conf {
  int64_t n;
  double x;
  int32_t e;
  const char *path;
} conf;

static const char *const colours[] = {"red", "green", NULL};
static const char *const doubled[] = {"red", "green", "red", NULL};
static const char *const unclean[] = {"green", "a\tb", NULL};
static char long_doc[400];

static isc_status open_it(const void *c, const isc_prior *prior, void **self) {
  (void)c, (void)prior, (void)self;
  return ISC_OK;
}
static void close_it(void *self) {
  (void)self;
}
static isc_status label_it(void *self, const char *text, size_t len, isc_text *out) {
  (void)self, (void)text, (void)len, (void)out;
  return ISC_OK;
}
static const isc_feature_ops ops = {
    .size = sizeof ops, .open = open_it, .close = close_it, .label = label_it};

static isc_option table[5];
static isc_class cls;
static isc_plugin plugin;

static void fresh(void) {
  table[0] = (isc_option){.name = "size.n",
                          .type = ISC_OPT_INT,
                          .offset = offsetof(conf, n),
                          .unit = "tokens",
                          .preset = "3",
                          .min = 1,
                          .max = 20,
                          .doc = "Number of tokens."};
  table[1] = (isc_option){.name = "size.x",
                          .type = ISC_OPT_FLOAT,
                          .offset = offsetof(conf, x),
                          .preset = "1",
                          .doc = "Scale of all."};
  table[2] = (isc_option){.name = "e",
                          .type = ISC_OPT_ENUM,
                          .offset = offsetof(conf, e),
                          .preset = "green",
                          .choices = colours,
                          .doc = "red: the colour; green: another."};
  table[3] = (isc_option){.name = "path",
                          .type = ISC_OPT_PATH,
                          .flags = ISC_OPT_MUST_EXIST | ISC_OPT_RUNTIME,
                          .offset = offsetof(conf, path),
                          .doc = "A file of lines."};
  table[4] = (isc_option)ISC_OPTIONS_END;
  cls = (isc_class){ISC_CLASS(ISC_FEATURE),        .name = "a-b2",   .version = "1.0.0",
                    .summary = "The first of all", .licence = "MIT", .options = table,
                    .conf_size = sizeof(conf),     .ops = &ops};
  plugin = (isc_plugin){sizeof plugin, ISC_ABI_MINOR, "a", "1.0.0", NULL};
  memset(long_doc, 'a', sizeof long_doc - 2);
  long_doc[1] = ' ';
  long_doc[sizeof long_doc - 2] = '.';
}

TestSuite(descriptor, .init = fresh);

Test(descriptor, a_right_one_passes) {
  isc_assert_ok(isc_descriptor_metadata(&plugin, &cls));
  isc_assert_ok(isc_descriptor_metadata(NULL, &cls));
  isc_assert_ok(isc_descriptor_options(&cls));
  cls.source = "Somebody et al. (2024), section 3";
  isc_assert_ok(isc_descriptor_metadata(&plugin, &cls));
  cls.options = NULL;
  cls.conf_size = 0;
  isc_assert_ok(isc_descriptor_options(&cls));
}

/* Change one thing, expect one complaint. */
#define BREAK(check, change, part)                                                                 \
  do {                                                                                             \
    fresh();                                                                                       \
    change;                                                                                        \
    isc_assert_fails(check, ISC_E_FORMAT, part);                                                   \
  } while (0)
#define METADATA(change, part) BREAK(isc_descriptor_metadata(&plugin, &cls), change, part)
#define OPTIONS(change, part)  BREAK(isc_descriptor_options(&cls), change, part)

Test(descriptor, each_rule_of_the_metadata_is_kept) {
  METADATA(plugin.name = NULL, "the plugin's name is missing");
  METADATA(plugin.name = "My plugin", "the plugin's name \"My plugin\" must be words");
  METADATA(plugin.version = "1.0", "the plugin's version \"1.0\" must be MAJOR.MINOR.PATCH");
  METADATA(cls.name = "a--b", "must be words");
  METADATA(cls.name = "a-", "must be words");
  METADATA(cls.name = "2a", "must be words");
  METADATA(cls.version = "1.0.0.0", "the class's version");
  METADATA(cls.summary = "Word", "is one word");
  METADATA(cls.summary = "Ends with a full stop.", "full stop");
  METADATA(cls.summary = long_doc, "the summary has 399 characters, more than 100");
  METADATA(cls.summary = "a\033[1m b", "the summary holds a control character");
  METADATA(cls.licence = "Apache 2.0", "is no SPDX expression");
  METADATA(cls.licence = "", "the licence is empty");
  METADATA(cls.source = "", "the source is empty");
  METADATA(cls.source = "a\nb", "the source is more than one line");
}

Test(descriptor, each_rule_of_the_options_is_kept) {
  OPTIONS(table[0].doc = "Tokens.", "option \"size.n\": the doc \"Tokens.\" must be a sentence");
  OPTIONS(table[0].doc = "Number of tokens", "must be a sentence");
  OPTIONS(table[0].doc = "Number  of tokens.", "the doc has two spaces");
  OPTIONS(table[0].doc = long_doc, "more than 300");
  OPTIONS(table[0].preset = "0", "its default \"0\"");
  OPTIONS(table[0].unit = "", "the unit is empty");
  OPTIONS(table[2].unit = "bytes", "has a unit, but is no number");
  OPTIONS(table[0].min = 0.5, "is an integer with the bound 0.5");
  OPTIONS(table[0].max = 1e300, "is an integer with the bound");
  OPTIONS(table[0].flags = 1u << 20, "unknown flags 0x100000");
  OPTIONS(table[0].flags = ISC_OPT_MUST_EXIST, "but is no path");
  OPTIONS(table[2].choices = doubled, "has the choice \"red\" twice");
  OPTIONS(table[2].choices = unclean, "the choice holds a control character");
  OPTIONS(table[1].offset = 0, "shares bytes");
  OPTIONS(table[2].name = "size", "has the name of the group of \"size.n\"");
  OPTIONS(table[1].name = "alone";
          table[2].name = "size.e", "option \"size.e\": stands apart from \"size.n\"");
  OPTIONS(cls.conf_size = 8, "outside the conf struct");
}
