/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about option tables: every type into its field, what is refused, and settings written back.
 *
 * "Reads back" is tested by reading back: the text goes through the same parser into a second struct.
 */
#include "support.h"
#include "base/base.h"
#include "config/config.h"
#include "plugin/registry.h"
#include <inversescope/feature.h>
#include <inversescope/rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const colours[] = {"red", "dark-green", "blue", NULL};

typedef struct all {
  bool b;
  int64_t i;
  double f;
  const char *s, *p;
  int32_t e;
  isc_list bs, is, fs, ss, ps, es;
} all;

#define OPTION(field, kind, text)                                                                  \
  { .name = #field, .type = kind, .offset = offsetof(all, field), .preset = text, .doc = "D." }

static const isc_option options[] = {OPTION(b, ISC_OPT_BOOL, "true"),
                                     {.name = "i",
                                      .type = ISC_OPT_INT,
                                      .offset = offsetof(all, i),
                                      .preset = "0x10",
                                      .min = 1,
                                      .max = 1e10,
                                      .unit = "steps",
                                      .doc = "How many."},
                                     {.name = "f",
                                      .type = ISC_OPT_FLOAT,
                                      .flags = ISC_OPT_OPEN_MIN,
                                      .offset = offsetof(all, f),
                                      .preset = "0.5",
                                      .max = 1,
                                      .doc = "A share."},
                                     OPTION(s, ISC_OPT_STRING, "two words"),
                                     OPTION(p, ISC_OPT_PATH, NULL),
                                     {.name = "e",
                                      .type = ISC_OPT_ENUM,
                                      .offset = offsetof(all, e),
                                      .preset = "dark-green",
                                      .choices = colours,
                                      .doc = "A colour."},
                                     OPTION(bs, ISC_OPT_BOOL_LIST, "[true, false]"),
                                     OPTION(is, ISC_OPT_INT_LIST, "[ 1,2 , -3 ]"),
                                     OPTION(fs, ISC_OPT_FLOAT_LIST, "[]"),
                                     OPTION(ss, ISC_OPT_STRING_LIST, "[a b, \"c, d\"]"),
                                     OPTION(ps, ISC_OPT_PATH_LIST, NULL),
                                     {.name = "es",
                                      .type = ISC_OPT_ENUM_LIST,
                                      .offset = offsetof(all, es),
                                      .preset = "[blue, red]",
                                      .choices = colours,
                                      .doc = "Colours."},
                                     ISC_OPTIONS_END};

static isc_config *parsed(const char *text) {
  isc_config *c = NULL;
  isc_assert_ok(isc_config_parse(text, strlen(text), "x.cfg", "/", &c));
  return c;
}

Test(options, defaults_fill_every_field) {
  all a;
  memset(&a, 0xFF, sizeof a);
  isc_config *c = parsed("");
  isc_assert_ok(isc_config_fill(c, "g", options, NULL, &a));
  cr_assert(a.b && a.i == 16 && a.f == 0.5 && a.e == 1);
  cr_assert_str_eq(a.s, "two words");
  cr_assert_null(a.p);
  cr_assert(a.bs.count == 2 && a.bs.at.b[0] && !a.bs.at.b[1]);
  cr_assert(a.is.count == 3 && a.is.at.i[0] == 1 && a.is.at.i[2] == -3);
  cr_assert_eq(a.fs.count, 0);
  cr_assert(a.ss.count == 2 && !strcmp(a.ss.at.s[0], "a b") && !strcmp(a.ss.at.s[1], "c, d"));
  cr_assert_eq(a.ps.count, 0);
  cr_assert(a.es.count == 2 && a.es.at.e[0] == 2 && a.es.at.e[1] == 0);
  isc_config_free(c);
}

static const char given[] =
    "g = { b = FALSE; i = 9999999999; f = 1; s = \"\\\"q\\\" \\\\ \\n\\t\\x07\\x7f \xC3\xA9\"; p = "
    "\"m/x\";\n"
    "  e = \"blue\"; bs = []; is = (9223372036854775807, -1); fs = [1, 0.1, 1e-300, 1e22];\n"
    "  ss = \"alone\"; ps = [\"../a\", \"/b\"]; es = [\"red\"]; };\n";

static void check_given(const all *a) {
  cr_assert(!a->b && a->i == 9999999999 && a->f == 1.0 && a->e == 2);
  cr_assert_str_eq(a->s, "\"q\" \\ \n\t\x07\x7f \xC3\xA9");
  cr_assert_str_eq(a->p, "/m/x");
  cr_assert_eq(a->bs.count, 0);
  cr_assert(a->is.count == 2 && a->is.at.i[0] == INT64_MAX && a->is.at.i[1] == -1);
  cr_assert(a->fs.count == 4 && a->fs.at.f[0] == 1 && a->fs.at.f[1] == 0.1 &&
            a->fs.at.f[2] == 1e-300 && a->fs.at.f[3] == 1e22);
  cr_assert(a->ss.count == 1 && !strcmp(a->ss.at.s[0], "alone"), "one value does for a list");
  cr_assert(a->ps.count == 2 && !strcmp(a->ps.at.s[0], "/a") && !strcmp(a->ps.at.s[1], "/b"));
  cr_assert(a->es.count == 1 && a->es.at.e[0] == 0);
}

Test(options, given_values_of_every_type_are_stored) {
  all a;
  isc_config *c = parsed(given);
  isc_assert_ok(isc_config_fill(c, "g", options, NULL, &a));
  check_given(&a);
  isc_config_free(c);
}

Test(options, the_resolved_config_reads_back_to_the_same_values) {
  all a;
  char *once, *twice;
  isc_config *c = parsed(given), *d;
  isc_assert_ok(isc_config_fill(c, "g", options, NULL, &a));
  isc_assert_ok(isc_config_resolved(c, &once));
  d = parsed(once);
  isc_assert_ok(isc_config_fill(d, "g", options, NULL, &a));
  check_given(&a);
  isc_assert_ok(isc_config_resolved(d, &twice));
  cr_assert_str_eq(once, twice);
  isc_config_free(c);
  isc_config_free(d);
  free(once);
  free(twice);
}

Test(options, floats_read_back_to_the_last_bit) {
  isc_rng r = isc_rng_at(1, ISC_RNG_USER, 0);
  static const isc_option any[] = {OPTION(f, ISC_OPT_FLOAT, "0"), ISC_OPTIONS_END};
  for (int i = 0; i < 200; i++) {
    all a, b;
    char text[64], *resolved;
    double v = ldexp(isc_rng_normal(&r), (int)isc_rng_below(&r, 600) - 300);
    snprintf(text, sizeof text, "f = %.17g;", v);
    isc_config *c = parsed(text), *d;
    isc_assert_ok(isc_config_fill(c, "", any, NULL, &a));
    cr_assert_eq(a.f, v);
    isc_assert_ok(isc_config_resolved(c, &resolved));
    d = parsed(resolved);
    isc_assert_ok(isc_config_fill(d, "", any, NULL, &b));
    cr_assert_eq(b.f, v);
    isc_config_free(c);
    isc_config_free(d);
    free(resolved);
  }
}

Test(options, the_resolved_config_keeps_nesting_and_lists_of_groups) {
  static const isc_option one[] = {OPTION(i, ISC_OPT_INT, "5"), ISC_OPTIONS_END};
  static const char *const plugin[] = {"deep", "plugin", NULL};
  char *text;
  all a;
  isc_config *c = parsed("l = ( { i = 1; }, { plugin = \"x\"; deep = { i = 2; }; } );");
  isc_assert_ok(isc_config_fill(c, "", one, (const char *const[]){"l", NULL}, &a));
  isc_assert_ok(isc_config_fill(c, "l.[0]", one, plugin, &a));
  isc_assert_ok(isc_config_fill(c, "l[1].deep", one, plugin, &a));
  isc_assert_ok(isc_config_fill(c, "m.n", one, NULL, &a));
  isc_assert_ok(isc_config_resolved(c, &text));
  cr_assert_str_eq(text, "i = 5;\n"
                         "l = (\n"
                         "  {\n"
                         "    i = 1;\n"
                         "  },\n"
                         "  {\n"
                         "    deep = {\n"
                         "      i = 2;\n"
                         "    };\n"
                         "  }\n"
                         ");\n"
                         "m = {\n"
                         "  n = {\n"
                         "    i = 5;\n"
                         "  };\n"
                         "};\n");
  free(text);
  isc_config_free(c);
}

Test(options, the_canonical_lines_are_sorted_and_leave_runtime_options_out) {
  static const isc_option some[] = {
      {.name = "z", .type = ISC_OPT_INT, .offset = offsetof(all, i), .preset = "5", .doc = "Z."},
      {.name = "threads",
       .type = ISC_OPT_INT,
       .flags = ISC_OPT_RUNTIME,
       .offset = offsetof(all, i),
       .preset = "2",
       .doc = "T."},
      {.name = "a", .type = ISC_OPT_FLOAT, .offset = offsetof(all, f), .preset = "1", .doc = "A."},
      ISC_OPTIONS_END};
  all a;
  char *one, *other;
  isc_config *c = parsed("g = { threads = 8; z = 0x5; };"),
             *d = parsed("g = { a = 1.0; threads = 1; };");
  isc_assert_ok(isc_config_fill(c, "g", some, (const char *const[]){"h", NULL}, &a));
  isc_assert_ok(isc_config_fill(c, "g.h", some, NULL, &a));
  isc_assert_ok(isc_config_fill(c, "gg", some, NULL, &a));
  isc_assert_ok(isc_config_canonical(c, "g", &one));
  cr_assert_str_eq(one, "a = 1.0\nh.a = 1.0\nh.z = 5\nz = 5\n");
  isc_assert_ok(isc_config_fill(d, "g", some, NULL, &a));
  isc_assert_ok(isc_config_fill(d, "g.h", some, NULL, &a));
  isc_assert_ok(isc_config_canonical(d, "g", &other));
  cr_assert_str_eq(one, other);
  free(one);
  free(other);
  isc_config_free(c);
  isc_config_free(d);
}

static void refused(const char *text, const char *message) {
  all a;
  isc_config *c = parsed(text);
  isc_assert_fails(isc_config_fill(c, "g", options, NULL, &a), ISC_E_CONFIG, message);
  isc_config_free(c);
}

Test(options, wrong_types_are_told) {
  refused("g = {\n b = 1; };", "x.cfg:2: g.b: must be true or false, not 1");
  refused("g = { i = 1.5; };", "g.i: must be an integer, not 1.5");
  refused("g = { i = 1e6; };", "must be an integer, not 1000000.0; write 1000000");
  refused("g = { f = \"x\"; };", "must be a number, not the string \"x\"");
  refused("g = { s = 5; };", "must be a string, not 5");
  refused("g = { s = [\"x\"]; };", "must be a string, not a list");
  refused("g = { s = { }; };", "must be a string, not a group");
  refused("g = { p = \"\"; };", "must be a path, not an empty string");
  refused("g = { is = [1,\n 2.5]; };", "x.cfg:2: g.is: element 1: must be an integer, not 2.5");
  refused("g = { is = ([1]); };", "g.is: element 0 must be an integer, not a list");
  refused("g = { is = { a = 1; }; };", "must be a list of integers, not a group");
}

Test(options, ranges_are_told_with_their_unit) {
  refused("g = { i = 0; };", "g.i: 0 is outside the range [1, 10000000000] steps");
  refused("g = { i = 10000000001; };", "outside the range");
  refused("g = { f = 0; };", "0 is outside the range (0, 1]");
  refused("g = { f = 1.0000001; };", "outside the range (0, 1]");
  refused("g = { e = \"Blue\"; };",
          "\"Blue\" is none of \"red\", \"dark-green\", \"blue\"; did you mean \"blue\"?");
  refused("g = { es = [\"red\", \"puce\"]; };", "g.es: element 1: \"puce\" is none of");
}

Test(options, bounds_beyond_doubles_are_exact) {
  static const isc_option big[] = {{.name = "i",
                                    .type = ISC_OPT_INT,
                                    .offset = offsetof(all, i),
                                    .preset = "0",
                                    .min = 0,
                                    .max = 9007199254740992.0,
                                    .doc = "D."},
                                   ISC_OPTIONS_END};
  all a;
  isc_config *c = parsed("i = 9007199254740993;"); /* 2^53 + 1: as a double it equals the bound */
  isc_assert_fails(isc_config_fill(c, "", big, NULL, &a), ISC_E_CONFIG, "outside the range");
  isc_config_free(c);
}

Test(options, one_sided_and_open_bounds) {
  static const isc_option positive[] = {{.name = "f",
                                         .type = ISC_OPT_FLOAT,
                                         .flags = ISC_OPT_OPEN_MIN,
                                         .offset = offsetof(all, f),
                                         .preset = "1",
                                         .doc = "D."},
                                        {.name = "i",
                                         .type = ISC_OPT_INT,
                                         .offset = offsetof(all, i),
                                         .preset = "1",
                                         .min = 1,
                                         .max = INFINITY,
                                         .doc = "D."},
                                        ISC_OPTIONS_END};
  all a;
  isc_config *c = parsed("f = 0;"), *d = parsed("i = 0;"),
             *e = parsed("f = 1e300; i = 9223372036854775807;");
  isc_assert_fails(isc_config_fill(c, "", positive, NULL, &a), ISC_E_CONFIG,
                   "0 is outside the range (0, inf)");
  isc_assert_fails(isc_config_fill(d, "", positive, NULL, &a), ISC_E_CONFIG,
                   "0 is outside the range [1, inf)");
  isc_assert_ok(isc_config_fill(e, "", positive, NULL, &a));
  isc_config_free(c);
  isc_config_free(d);
  isc_config_free(e);
}

Test(options, required_and_existing) {
  static const isc_option must[] = {{.name = "p",
                                     .type = ISC_OPT_PATH,
                                     .flags = ISC_OPT_REQUIRED | ISC_OPT_MUST_EXIST,
                                     .offset = offsetof(all, p),
                                     .doc = "The model."},
                                    ISC_OPTIONS_END};
  all a;
  isc_config *c = parsed("\ng = { };"), *d = parsed("g = { p = \"no/such\"; };"),
             *e = parsed("g = { p = \"etc\"; };");
  isc_assert_fails(isc_config_fill(c, "g", must, NULL, &a), ISC_E_CONFIG,
                   "x.cfg:2: g.p: must be given: a path");
  cr_assert(strstr(isc_error(), "The model."));
  isc_assert_fails(isc_config_fill(c, "h", must, NULL, &a), ISC_E_CONFIG,
                   "x.cfg: h.p: must be given");
  isc_assert_fails(isc_config_fill(d, "g", must, NULL, &a), ISC_E_MISSING,
                   "x.cfg:1: g.p: there is no file or directory /no/such");
  isc_assert_ok(isc_config_fill(e, "g", must, NULL, &a));
  isc_config_free(c);
  isc_config_free(d);
  isc_config_free(e);
}

/* ---- stanzas */

Test(options, a_stanza_reads_back_to_the_defaults) {
  all a, b;
  char *text;
  isc_config *c = parsed(""), *d;
  isc_assert_ok(isc_option_stanza("g", "thing", options, &text));
  cr_assert_eq(strncmp(text, "g = {\n  plugin = \"thing\";\n", 26), 0, "%s", text);
  cr_assert(strstr(text, "\n  # How many. (int in [1, 10000000000] steps)\n  i = 16;\n"), "%s",
            text);
  cr_assert(
      strstr(
          text,
          "\n  # A colour. (enum: \"red\" | \"dark-green\" | \"blue\")\n  e = \"dark-green\";\n"),
      "%s", text);
  d = parsed(text);
  isc_assert_ok(isc_config_fill(c, "g", options, NULL, &a));
  isc_assert_ok(isc_config_fill(d, "g", options, (const char *const[]){"plugin", NULL}, &b));
  cr_assert(a.b == b.b && a.i == b.i && a.f == b.f && a.e == b.e && !strcmp(a.s, b.s) && !b.p);
  cr_assert(b.ss.count == 2 && !strcmp(b.ss.at.s[1], "c, d") && b.es.at.e[0] == 2);
  free(text);
  isc_config_free(c);
  isc_config_free(d);
}

/* ---- plugins */

static isc_status feature_open(const void *conf, const isc_prior *prior, void **self) {
  (void)conf, (void)prior, (void)self;
  return ISC_OK;
}
static void feature_close(void *self) {
  (void)self;
}
static isc_status feature_label(void *self, const char *text, size_t len, isc_text *out) {
  (void)self, (void)text, (void)len, (void)out;
  return ISC_OK;
}
static const isc_feature_ops ops = {
    .size = sizeof ops, .open = feature_open, .close = feature_close, .label = feature_label};
static const isc_class cls = {ISC_CLASS(ISC_FEATURE),   .name = "built-in", .version = "1.0",
                              .summary = "S.",          .licence = "MIT",   .options = options,
                              .conf_size = sizeof(all), .ops = &ops};

Test(options, a_group_names_its_plugin) {
  const isc_class *found;
  void *conf;
  char *text;
  isc_assert_ok(isc_registry_add_builtin(&cls));
  isc_config *c = parsed("fs = (\n { plugin = \"built-in\"; i = 3; every = 2; },\n { plugin = "
                         "\"built-im\"; },\n { i = 1; } );\n bad = { plugin = 5; };");
  isc_assert_ok(isc_config_plugin(c, "fs.[0]", ISC_FEATURE, NULL,
                                  (const char *const[]){"every", NULL}, &found, &conf));
  cr_assert_eq(found, &cls);
  cr_assert_eq(((all *)conf)->i, 3);
  cr_assert_eq(((all *)conf)->f, 0.5);
  free(conf);
  isc_assert_fails(
      isc_config_plugin(c, "fs.[1]", ISC_FEATURE, NULL, NULL, &found, &conf), ISC_E_CONFIG,
      "x.cfg:3: fs.[1].plugin: no feature plugin \"built-im\"; did you mean \"built-in\"?");
  cr_assert_null(conf);
  isc_assert_fails(isc_config_plugin(c, "fs.[2]", ISC_FEATURE, NULL, NULL, &found, &conf),
                   ISC_E_CONFIG, "x.cfg:4: fs.[2].plugin: must be given");
  isc_assert_ok(isc_config_plugin(c, "fs.[2]", ISC_FEATURE, "built-in", NULL, &found, &conf));
  free(conf);
  isc_assert_ok(isc_config_plugin(c, "absent", ISC_FEATURE, "built-in", NULL, &found, &conf));
  free(conf);
  isc_assert_fails(isc_config_plugin(c, "absent", ISC_FEATURE, NULL, NULL, &found, &conf),
                   ISC_E_CONFIG, "x.cfg: absent.plugin: must be given");
  isc_assert_fails(isc_config_plugin(c, "bad", ISC_FEATURE, NULL, NULL, &found, &conf),
                   ISC_E_CONFIG,
                   "x.cfg:5: bad.plugin: must be a plugin's name (a string), not a number");
  isc_assert_fails(isc_config_plugin(c, "fs.[0]", ISC_FEATURE, NULL, NULL, &found, &conf),
                   ISC_E_CONFIG, "x.cfg:2: fs.[0].every: unknown setting");
  isc_assert_ok(isc_config_resolved(c, &text));
  cr_assert(strstr(text, "absent = {\n  plugin = \"built-in\";\n  b = true;\n  i = 16;\n"), "%s",
            text);
  free(text);
  isc_config_free(c);
}
