/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts about dotted options: "backbone.lr" is the key lr of the sub-group backbone, everywhere the same.
 */
#include "support.h"

#include "config/config.h"

#include <stdlib.h>
#include <string.h>

typedef struct conf {
  int64_t steps;
  double lr, rate;
} conf;

static const isc_option options[] = {{.name = "rate",
                                      .type = ISC_OPT_FLOAT,
                                      .offset = offsetof(conf, rate),
                                      .preset = "0.5",
                                      .doc = "A rate."},
                                     {.name = "backbone.steps",
                                      .type = ISC_OPT_INT,
                                      .offset = offsetof(conf, steps),
                                      .preset = "10",
                                      .min = 1,
                                      .max = 99,
                                      .doc = "Steps."},
                                     {.name = "backbone.lr",
                                      .type = ISC_OPT_FLOAT,
                                      .offset = offsetof(conf, lr),
                                      .preset = "0.1",
                                      .doc = "The rate."},
                                     ISC_OPTIONS_END};

static isc_status fill(const char *text, isc_config **c, conf *out) {
  isc_status st = isc_config_parse(text, strlen(text), "x.cfg", "/tmp", c);
  return st == ISC_OK ? isc_config_fill(*c, "method", options, NULL, out) : st;
}

Test(config_nested, values_and_defaults) {
  isc_config *c = NULL;
  conf k = {0};
  isc_assert_ok(fill("method = { rate = 0.25; backbone = { steps = 7; }; };", &c, &k));
  cr_assert_eq(k.steps, 7);
  cr_assert_eq(k.lr, 0.1);
  cr_assert_eq(k.rate, 0.25);
  isc_config_free(c);
}

Test(config_nested, resolved_reads_back) {
  isc_config *c = NULL, *again = NULL;
  conf k = {0}, l = {0};
  char *text = NULL;
  isc_assert_ok(fill("method = { backbone = { steps = 7; lr = 2; }; };", &c, &k));
  isc_assert_ok(isc_config_resolved(c, &text));
  isc_assert_ok(fill(text, &again, &l));
  cr_assert_eq(l.steps, 7, "%s", text);
  cr_assert_eq(l.lr, 2);
  free(text);
  isc_config_free(c);
  isc_config_free(again);
}

Test(config_nested, canonical_of_one_option) {
  isc_config *c = NULL;
  conf k = {0};
  char *text = NULL;
  isc_assert_ok(fill("method = { backbone = { steps = 7; }; };", &c, &k));
  isc_assert_ok(isc_config_canonical(c, "method.backbone.steps", &text));
  cr_assert_str_eq(text, "steps = 7\n");
  free(text);
  isc_assert_ok(isc_config_canonical(c, "method.backbone", &text));
  cr_assert_str_eq(text, "lr = 0.1\nsteps = 7\n");
  free(text);
  isc_assert_ok(isc_config_canonical(c, "method", &text));
  cr_assert_str_eq(text, "backbone.lr = 0.1\nbackbone.steps = 7\nrate = 0.5\n");
  free(text);
  isc_config_free(c);
}

Test(config_nested, unknown_keys_are_told_where_they_stand) {
  isc_config *c = NULL;
  conf k = {0};
  isc_assert_fails(fill("method = {\n backbone = { stepps = 7; }; };", &c, &k), ISC_E_CONFIG,
                   "x.cfg:2: method.backbone.stepps: unknown setting; did you mean \"steps\"?");
  isc_config_free(c);
  isc_assert_fails(fill("method = { bakbone = { steps = 7; }; };", &c, &k), ISC_E_CONFIG,
                   "did you mean \"backbone\"?");
  isc_config_free(c);
  isc_assert_fails(fill("method = { backbone = 3; };", &c, &k), ISC_E_CONFIG, "must be a group");
  isc_config_free(c);
  isc_assert_fails(fill("method = { backbone = { steps = 100; }; };", &c, &k), ISC_E_CONFIG,
                   "method.backbone.steps");
  isc_config_free(c);
}

Test(config_nested, stanza_parses_to_the_defaults) {
  isc_config *c = NULL;
  conf k = {0};
  char *text = NULL;
  isc_assert_ok(isc_option_stanza("method", NULL, options, &text));
  isc_assert_ok(fill(text, &c, &k));
  cr_assert_eq(k.steps, 10, "%s", text);
  cr_assert_eq(k.lr, 0.1);
  free(text);
  isc_config_free(c);
}

Test(config_nested, a_misplaced_top_level_name_is_suggested) {
  static const char *const known[] = {"method", "evaluate", NULL};
  static const char text[] = "method = {\n evaluat = 3;\n};";
  isc_config *c = NULL;
  conf k = {0};
  isc_assert_ok(isc_config_parse(text, strlen(text), "x.cfg", "/tmp", &c));
  isc_assert_ok(isc_config_check_unused(c, known));
  isc_assert_fails(isc_config_fill(c, "method", options, NULL, &k), ISC_E_CONFIG,
                   "x.cfg:2: method.evaluat: unknown setting; did you mean \"evaluate\"?");
  isc_config_free(c);
}
