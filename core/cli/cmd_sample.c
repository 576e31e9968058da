/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope sample: for any text the user types, the inputs that give a site the same activation.
 */
#include "cli/cli.h"
#include "run/ask.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_answer(const isc_answer *a) {
  int64_t accepted = 0;
  for (int64_t i = 0; i < a->n; i++)
    accepted += a->row[i].accepted;
  printf("%s: %lld of %lld samples within %g\n", a->site, (long long)accepted, (long long)a->n,
         a->epsilon);
  for (int64_t f = 0; f < a->n_features; f++)
    printf("%s of the text: %s\n", isc_cli_safe(a->feature[f]),
           a->label[f] ? isc_cli_safe(a->label[f]) : "(none)");
  printf("\n%7s  ", "d");
  for (int64_t f = 0; f < a->n_features; f++)
    printf("%-15s ", isc_cli_safe(a->feature[f]));
  puts("x");
  for (int64_t i = 0; i < a->n; i++) {
    const isc_answer_row *r = &a->row[i];
    if (isinf(r->d))
      printf("%7s  ", "inf");
    else
      printf("%7.4f  ", r->d);
    for (int64_t f = 0; f < a->n_features; f++)
      printf("%-2s%-13s ", r->match[f] ? "=" : "-",
             r->label[f] ? isc_cli_safe(r->label[f]) : "(none)");
    printf("%s%s\n", isc_cli_safe(r->text), r->valid ? "" : "   (not of the prior)");
  }
}

static bool parse_int(const char *s, int64_t lo, int64_t hi, int64_t *out) {
  char *end = NULL;
  if (!s || !*s) return false;
  errno = 0;
  const long long x = strtoll(s, &end, 10);
  *out = x;
  return !errno && !*end && x >= lo && x <= hi;
}

static bool parse_temperature(const char *s, double *out) {
  char *end = NULL;
  if (!s || !*s) return false;
  *out = strtod(s, &end);
  return !*end && *out >= 0 && *out <= 100;
}

static int parse(int argc, char **argv, isc_ask *ask) {
  const isc_command *c = &isc_command_sample;
  const char *value = NULL;
  for (int i = 1; i < argc; i++) {
    if (isc_cli_option(argc, argv, &i, "--site", &ask->site) ||
        isc_cli_option(argc, argv, &i, "--method", &ask->method) ||
        isc_cli_option(argc, argv, &i, "--text", &ask->text))
      continue;
    if (isc_cli_option(argc, argv, &i, "-n", &value)) {
      if (!parse_int(value, 1, 1000000, &ask->n))
        return isc_cli_usage(c, "-n needs a number from 1 to 1000000");
    } else if (isc_cli_option(argc, argv, &i, "--seed", &value)) {
      if (!parse_int(value, 0, INT64_MAX, &ask->seed))
        return isc_cli_usage(c, "--seed needs a whole number from 0");
    } else if (isc_cli_option(argc, argv, &i, "--temperature", &value)) {
      if (!parse_temperature(value, &ask->temperature))
        return isc_cli_usage(c, "--temperature needs a number from 0 to 100");
    } else if (argv[i][0] == '-' || ask->run_dir) {
      return isc_cli_usage(c, "%s: unknown argument", isc_cli_safe(argv[i]));
    } else {
      ask->run_dir = argv[i];
    }
  }
  if (!ask->run_dir) return isc_cli_usage(c, "which run directory?");
  if (!ask->site) return isc_cli_usage(c, "--site is needed, for example --site L2H1");
  if (!ask->text) return isc_cli_usage(c, "--text is needed");
  return 0;
}

static int run(int argc, char **argv) {
  isc_ask ask = {.n = 10, .seed = -1, .temperature = -1};
  isc_answer answer = {0};
  const int code = parse(argc, argv, &ask);
  if (code) return code;
  const isc_status st = isc_ask_run(&ask, &answer);
  if (st != ISC_OK) return isc_cli_fail(st);
  print_answer(&answer);
  isc_answer_free(&answer);
  return 0;
}

const isc_command isc_command_sample = {
    .name = "sample",
    .synopsis =
        "sample RUN --site SITE --text TEXT [-n N] [--seed S] [--temperature T] [--method NAME]",
    .summary = "Invert the activation that a text gives at a site of a finished run",
    .help = "  --site SITE      a site of the run: head.2.1, L2H1, resid_post.0 …\n"
            "  --text TEXT      the text whose activation is inverted\n"
            "  -n N             samples, 10 by default\n"
            "  --seed S         another seed than the run's\n"
            "  --temperature T  another temperature than the run's\n"
            "  --method NAME    ask a baseline of the run instead of its own method\n",
    .run = run};
