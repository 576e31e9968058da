/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of bench_stages, and what it makes of a shape.
 */
#include "bench.h"
#include "base/base.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char BENCH_HELP[] =
    "usage: bench_stages [OPTION…]\n\n"
    "Times the stages of a study on random numbers: harvest, training, sampling.\n\n"
    "  --shape NAME   gpt2-small, ioi-tiny, smoke, and of a harvest alone llama-1b, gemma2-2b,\n"
    "                 smoke-llama and smoke-gemma2; by default the first two\n"
    "  --small        the same as --shape smoke: to see that all of it runs\n"
    "  --stage NAME   gemm, gemm-bf16, decode, decode-bf16, decode-16, decode-16-bf16, harvest,\n"
    "                 backbone, control, control-projected, sample, sample-apart or\n"
    "                 sample-backbone\n"
    "  --device NAME  the backend (default cpu)\n"
    "  --settings T   its settings, as in a study's file: 'products = \"cublas\";'\n"
    "  --batch N      prompts, sequences, examples and texts in a lap, in place of the shape's\n"
    "  --repeat N     laps of a stage, at most (default 200)\n"
    "  --seconds S    time for the laps of a stage, beyond two (default 5)\n"
    "  --threads N    threads of the CPU backend (default: every core)\n"
    "  --ops          what each operation of the backend costs in each stage\n"
    "  --precision P  f32 or bf16: of the weights of a harvest, and of the products of a\n"
    "                 training and of a sampling\n"
    "  --group N      a lap is N steps, harvests or samplings, whose time is divided by N\n"
    "  --least N      a harvest's texts have N words and more, up to the shape's number\n"
    "  --paced        a lap begins with a line on stdin, and its wall and processor seconds\n"
    "                 are a line on stdout: for laps in turn with another program\n"
    "  --json         one JSON object instead of a table\n"
    "  --describe     the shape and what its stages have to compute, as a JSON object, and no\n"
    "                 more\n\n"
    "share: of the machine's rate, that of a matrix product timed between the laps:\n"
    "[1536, 768] by [768, 3072], or its weight's gradient if that is faster. core: the\n"
    "same in processor seconds, which other work on the machine disturbs less. busy:\n"
    "how much of its threads' time this process got.\n";

static isc_status number(const char *name, const char *s, double least, double most, double *out) {
  char *end;
  errno = 0;
  *out = s ? strtod(s, &end) : 0;
  if (s && *s && !*end && !errno && *out >= least && *out <= most) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "%s needs a number from %g to %g", name, least, most);
}

static isc_status count(const char *name, const char *s, double most, int64_t *out) {
  double x = 0;
  ISC_TRY(number(name, s, 1, most, &x));
  *out = (int64_t)x;
  return ISC_OK;
}

static isc_status text(const char *name, const char *s, const char **out) {
  if (s) {
    *out = s;
    return ISC_OK;
  }
  return isc_fail(ISC_E_USAGE, "%s needs a name", name);
}

static isc_status with_value(bench_options *o, const char *name, const char *value, int *used) {
  *used = 2;
  if (!strcmp(name, "--shape")) return text(name, value, &o->shape);
  if (!strcmp(name, "--stage")) return text(name, value, &o->stage);
  if (!strcmp(name, "--device")) return text(name, value, &o->device);
  if (!strcmp(name, "--settings")) return text(name, value, &o->settings);
  if (!strcmp(name, "--seconds")) return number(name, value, 0, 1e6, &o->limits.seconds);
  if (!strcmp(name, "--repeat")) return count(name, value, BENCH_LAPS, &o->limits.repeat);
  if (!strcmp(name, "--least")) return count(name, value, 1e6, &o->least);
  if (!strcmp(name, "--group")) return count(name, value, 1e6, &o->limits.group);
  if (!strcmp(name, "--batch")) return count(name, value, 1e6, &o->batch);
  if (!strcmp(name, "--threads")) return count(name, value, 1024, &o->threads);
  if (!strcmp(name, "--precision")) {
    if (!value || (strcmp(value, "f32") != 0 && strcmp(value, "bf16") != 0))
      return isc_fail(ISC_E_USAGE, "--precision needs f32 or bf16");
    o->precision = strcmp(value, "bf16") == 0 ? ISC_BF16 : ISC_F32;
    return ISC_OK;
  }
  return isc_fail(ISC_E_USAGE, "\"%s\": unknown option; --help lists them", name);
}

isc_status bench_options_parse(int argc, char **argv, bench_options *o) {
  *o = (bench_options){.device = "cpu", .limits = {.repeat = 200, .group = 1, .seconds = 5}};
  for (int i = 1, used = 1; i < argc; i += used) {
    used = 1;
    if (!strcmp(argv[i], "--json"))
      o->json = true;
    else if (!strcmp(argv[i], "--paced"))
      o->limits.paced = true;
    else if (!strcmp(argv[i], "--ops"))
      o->ops = true;
    else if (!strcmp(argv[i], "--describe"))
      o->describe = true;
    else if (!strcmp(argv[i], "--small"))
      o->shape = "smoke";
    else if (!strcmp(argv[i], "--help"))
      o->help = true;
    else
      ISC_TRY(with_value(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used));
  }
  return ISC_OK;
}

isc_status bench_options_apply(const bench_options *o, bench_shape *s) {
  s->precision = o->precision;
  s->least = o->least;
  if (o->batch) bench_shape_resize(s, o->batch);
  if (s->least <= s->tokens) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "--least %lld: the texts of %s have %lld words at most",
                  (long long)s->least, s->name, (long long)s->tokens);
}
