/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope generate: what a model writes on from a text, or how likely it finds a given one.
 *
 * A model that is to be studied is first asked to speak: wrong weights or a wrong tokenizer are heard at once.
 */
#include "cli/generate_show.h"
#include "cli/model_arguments.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_TEXT = 1 << 28 };

typedef struct arguments {
  isc_model_arguments model;
  isc_generation q;
  isc_text file;
  const char **text,
      **stop; /* room for what the command line can hold, and text for the file's lines */
  size_t *len;
  const char *text_file;
  int64_t seed; /* −1: run.seed */
  bool score, json;
} arguments;

/* ---- the command line */

static int take_count(const char *name, const char *value, int64_t lo, int64_t hi, int64_t *out) {
  if (isc_cli_whole(value, lo, hi, out)) return 0;
  return isc_cli_usage(&isc_command_generate, "%s needs a whole number from %lld to %lld", name,
                       (long long)lo, (long long)hi);
}

static int take_number(const char *name, const char *value, double lo, double hi, double *out) {
  if (isc_cli_number(value, lo, hi, out)) return 0;
  return isc_cli_usage(&isc_command_generate, "%s needs a number from %g to %g", name, lo, hi);
}

static int take_string(const char *name, const char *value, const char **list, int64_t *n) {
  if (!value) return isc_cli_usage(&isc_command_generate, "%s needs a text", name);
  list[(*n)++] = value;
  return 0;
}

static int take_option(arguments *a, int argc, char **argv, int *i) {
  isc_generation *q = &a->q;
  const char *v = NULL;
  if (!strcmp(argv[*i], "--greedy")) return q->temperature = 0, 0;
  if (!strcmp(argv[*i], "--score")) return a->score = true, 0;
  if (!strcmp(argv[*i], "--json")) return a->json = true, 0;
  if (isc_cli_option(argc, argv, i, "--text", &v)) return take_string("--text", v, a->text, &q->n);
  if (isc_cli_option(argc, argv, i, "--stop", &v))
    return v && !*v ? isc_cli_usage(&isc_command_generate, "--stop needs a text that is not empty")
                    : take_string("--stop", v, a->stop, &q->n_stop);
  if (isc_cli_option(argc, argv, i, "--text-file", &a->text_file))
    return a->text_file ? 0 : isc_cli_usage(&isc_command_generate, "--text-file needs a file");
  if (isc_cli_option(argc, argv, i, "--device", &v))
    return isc_model_arguments_device(&isc_command_generate, &a->model, v);
  if (isc_cli_option(argc, argv, i, "--max-tokens", &v))
    return take_count("--max-tokens", v, 1, 1 << 24, &q->max_tokens);
  if (isc_cli_option(argc, argv, i, "--n", &v) || isc_cli_option(argc, argv, i, "-n", &v))
    return take_count("-n", v, 1, 1000000, &q->samples);
  if (isc_cli_option(argc, argv, i, "--top-k", &v))
    return take_count("--top-k", v, 0, 1 << 28, &q->top_k);
  if (isc_cli_option(argc, argv, i, "--seed", &v))
    return take_count("--seed", v, 0, (int64_t)1 << 53, &a->seed);
  if (isc_cli_option(argc, argv, i, "--temperature", &v))
    return take_number("--temperature", v, 0, 100, &q->temperature);
  if (isc_cli_option(argc, argv, i, "--top-p", &v))
    return take_number("--top-p", v, 1e-6, 1, &q->top_p);
  return isc_cli_usage(&isc_command_generate, "%s: unknown option", isc_cli_safe(argv[*i]));
}

static int parse(arguments *a, int argc, char **argv) {
  const isc_command *c = &isc_command_generate;
  int code = 0;
  for (int i = 1; i < argc && !code; i++) {
    bool taken;
    code = isc_model_arguments_take(c, &a->model, argc, argv, &i, &taken);
    if (!code && !taken) code = take_option(a, argc, argv, &i);
  }
  if (code) return code;
  if (!a->model.request.path) return isc_cli_usage(c, "which model?");
  if (a->q.n == 0 && !a->text_file) return isc_cli_usage(c, "--text or --text-file is needed");
  return 0;
}

/* ---- texts */

/* Lines of the file that are not empty, counted and, with `to`, kept. */
static int64_t lines(const isc_text *file, const char **to, size_t *len) {
  const char *line;
  size_t at = 0, n;
  int64_t count = 0;
  while (isc_text_line(file, &at, &line, &n)) {
    if (n == 0) continue;
    if (to) to[count] = line, len[count] = n;
    count++;
  }
  return count;
}

static isc_status read_texts(arguments *a) {
  isc_generation *q = &a->q;
  int64_t more = 0;
  void *text = a->text;
  if (a->text_file) {
    ISC_TRY(isc_text_read(&a->file, a->text_file, MOST_TEXT));
    more = lines(&a->file, NULL, NULL);
    if (more == 0) return isc_fail(ISC_E_FORMAT, "%s: there is no text in it", a->text_file);
  }
  ISC_TRY(isc_realloc(&text, (size_t)(q->n + more), sizeof *a->text, "texts"));
  a->text = text;
  ISC_TRY(isc_calloc((size_t)(q->n + more), sizeof *a->len, "texts", (void **)&a->len));
  for (int64_t i = 0; i < q->n; i++)
    a->len[i] = strlen(a->text[i]);
  if (more) lines(&a->file, a->text + q->n, a->len + q->n);
  q->n += more;
  q->text = a->text;
  q->len = a->len;
  q->stop = a->stop;
  return ISC_OK;
}

/* ---- */

static isc_status work(arguments *a, const isc_model *m) {
  const isc_show show = {.model = m, .json = a->json};
  a->q.target = &m->target;
  a->q.batch = m->settings.batch;
  a->q.seed = (uint64_t)(a->seed < 0 ? m->run.seed : a->seed);
  return a->score ? isc_show_scores(&show, &a->q) : isc_show_texts(&show, &a->q);
}

static int run_arguments(arguments *a) {
  isc_model m;
  isc_cli_catch_signals();
  isc_status st = read_texts(a);
  if (st != ISC_OK) return isc_cli_fail(st);
  st = isc_model_find(&a->model.request, &m);
  if (st != ISC_OK) return isc_cli_fail(st);
  st = isc_model_open(&m);
  if (st == ISC_OK) st = work(a, &m);
  isc_model_close(&m);
  return st == ISC_OK ? 0 : isc_cli_fail(st);
}

static int run(int argc, char **argv) {
  arguments a = {.q = {.samples = 1, .max_tokens = 64, .temperature = 1, .top_p = 1}, .seed = -1};
  const size_t room = (size_t)argc + 1;
  int code = 0;
  isc_status st = isc_model_arguments_new(&a.model, argc);
  if (st == ISC_OK) st = isc_calloc(room, sizeof *a.text, "arguments", (void **)&a.text);
  if (st == ISC_OK) st = isc_calloc(room, sizeof *a.stop, "arguments", (void **)&a.stop);
  code = st == ISC_OK ? parse(&a, argc, argv) : isc_cli_fail(st);
  if (!code) code = run_arguments(&a);
  isc_model_arguments_free(&a.model);
  isc_text_free(&a.file);
  free(a.text);
  free(a.len);
  free(a.stop);
  return code;
}

const isc_command isc_command_generate = {
    .name = "generate",
    .synopsis = "generate MODEL [--text TEXT]… [--text-file FILE] [-n N] [--max-tokens N] "
                "[--greedy | --temperature T] [--top-k K] [--top-p P] [--stop TEXT]… [--seed S] "
                "[--score] [--json] [--plugin NAME] [--device NAME] [--set PATH=VALUE]…",
    .summary = "Let a model write a text on, or tell how likely it finds one",
    .help =
        "  --text TEXT       the text to go on from; several may be given\n"
        "  --text-file FILE  more texts, one a line\n"
        "  -n N              continuations of each text, 1 by default\n"
        "  --max-tokens N    tokens of a continuation at most, 64 by default\n"
        "  --greedy          always the likeliest token\n"
        "  --temperature T   of the draws, 1 by default; below 1 likely tokens become likelier\n"
        "  --top-k K         draw from the K likeliest tokens only; 0, the default, is all\n"
        "  --top-p P         draw from the fewest likeliest tokens that have probability P; 1 by "
        "default\n"
        "  --stop TEXT       end before this text, or at the token that is written so\n"
        "  --seed S          another seed than run.seed\n"
        "  --score           tell the log-probability of the texts instead\n"
        "  --json            one JSON document on standard output\n"
        "  --plugin NAME     the target plugin, when it is not found by what the model calls "
        "itself\n"
        "  --device NAME     the compute backend, as run.device\n"
        "  --set PATH=VALUE  a setting of the groups target and run: --set "
        "target.precision=bf16\n\n"
        "MODEL is a model directory or a GGUF file. Continuation J of text I is the same whatever "
        "else is\nasked for. Logarithms are natural.\n",
    .run = run};
