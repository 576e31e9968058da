/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope inspect: what a model is and what it needs, told from its files' headers.
 *
 * Verifying is the one thing here that reads weights, and all of them.
 */
#include "cli/memory_show.h"
#include "cli/model_arguments.h"
#include "run/inspect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
  isc_model_arguments model;
  int64_t harvest, tokens; /* 0 = no harvest */
  bool verify, sites, json;
} arguments;

/* ---- what is printed */

static const struct {
  const char *name;
  bool heads;
} PLACES[] = {{"resid_pre", false}, {"head", true},     {"attn_out", false},
              {"resid_mid", false}, {"mlp_out", false}, {"resid_post", false}};
enum { N_PLACES = sizeof PLACES / sizeof *PLACES };

static void print_sites(const isc_memory_plan *p, bool all) {
  const isc_decoder_spec *s = &p->spec;
  const long long layers = s->n_layer, heads = s->n_head, d = s->d_model;
  printf("\n%-24s %12s %12s\n", "sites", "dimension", "stored");
  for (long long l = 0; l < (all ? layers : 1); l++)
    for (int i = 0; i < N_PLACES; i++) {
      const long long stored = PLACES[i].heads ? s->d_head : d;
      char name[64];
      if (!all) {
        snprintf(name, sizeof name, PLACES[i].heads ? "%s.0-%lld.0-%lld" : "%s.0-%lld",
                 PLACES[i].name, layers - 1, heads - 1);
        printf("  %-22s %12lld %12lld\n", name, d, stored);
        continue;
      }
      for (long long h = 0; h < (PLACES[i].heads ? heads : 1); h++) {
        snprintf(name, sizeof name, PLACES[i].heads ? "%s.%lld.%lld" : "%s.%lld", PLACES[i].name, l,
                 h);
        printf("  %-22s %12lld %12lld\n", name, d, stored);
      }
    }
}

static void print_token(const char *name, int32_t id, const char *token) {
  if (id < 0)
    printf(", no %s", name);
  else
    printf(", %s %d \"%s\"", name, (int)id, token ? isc_cli_safe(token) : "");
}

static void print_tokenizer(const isc_inspection *i) {
  if (!i->tokenizer) {
    printf("tokenizer   cannot be opened: %s\n", isc_cli_safe(i->problem));
    return;
  }
  printf("tokenizer   %s, %s ids", i->tokenizer, isc_cli_count(i->ids));
  print_token("BOS", i->bos, i->bos_token);
  print_token("EOS", i->eos, i->eos_token);
  if (i->problem)
    printf("; %s", isc_cli_safe(i->problem));
  else if (i->bos >= 0)
    printf("; a text begins %s BOS", i->begins ? "with the" : "without");
  putchar('\n');
}

static void print_files(const isc_inspection *i) {
  printf("files       %s in %s tensors:", isc_cli_bytes(i->bytes), isc_cli_count(i->tensors));
  for (int64_t k = 0; k < i->n_types; k++)
    printf("%s %lld of %s, %s", k ? ";" : "", (long long)i->type[k].tensors,
           isc_cli_safe(i->type[k].type), isc_cli_bytes(i->type[k].bytes));
  putchar('\n');
}

static void print_all(const arguments *a, const isc_model *m, const isc_inspection *i,
                      const isc_harvest_plan *h) {
  printf("model       %s\n", isc_cli_safe(a->model.request.path));
  printf("target      %s", isc_cli_safe(m->cls->name));
  if (m->type) printf(", which reads model_type \"%s\"", isc_cli_safe(m->type));
  putchar('\n');
  isc_show_shape(&i->plan);
  print_files(i);
  print_tokenizer(i);
  print_sites(&i->plan, a->sites);
  isc_show_memory(&i->plan);
  if (h) isc_show_harvest(&i->plan, h);
}

/* ---- JSON */

static void add_string(isc_sb *b, const char *name, const char *value) {
  isc_sb_addf(b, ", \"%s\": ", name);
  if (value)
    isc_sb_add_json(b, value, strlen(value));
  else
    isc_sb_add(b, "null");
}

static void add_tokenizer(isc_sb *b, const isc_inspection *i) {
  isc_sb_add(b, ",\n \"tokenizer\": ");
  if (!i->tokenizer) {
    isc_sb_add(b, "null");
    add_string(b, "tokenizer_problem", i->problem);
    return;
  }
  isc_sb_addf(b, "{\"ids\": %lld", (long long)i->ids);
  add_string(b, "kind", i->tokenizer);
  isc_sb_addf(b, ", \"bos\": %d", (int)i->bos);
  add_string(b, "bos_token", i->bos_token);
  isc_sb_addf(b, ", \"eos\": %d", (int)i->eos);
  add_string(b, "eos_token", i->eos_token);
  isc_sb_addf(b, ", \"begins_with_bos\": %s}", i->begins ? "true" : "false");
}

static void add_files(isc_sb *b, const isc_inspection *i) {
  isc_sb_add(b, ",\n \"files\": [");
  for (int64_t k = 0; k < i->n_types; k++) {
    isc_sb_addf(b, "%s{\"tensors\": %lld", k ? ", " : "", (long long)i->type[k].tensors);
    add_string(b, "type", i->type[k].type);
    isc_sb_add(b, ", \"elements\": ");
    isc_sb_add_double(b, i->type[k].elements);
    isc_sb_add(b, ", \"bytes\": ");
    isc_sb_add_double(b, i->type[k].bytes);
    isc_sb_add(b, "}");
  }
  isc_sb_add(b, "]");
}

static void add_sites(isc_sb *b, const isc_memory_plan *p) {
  const isc_decoder_spec *s = &p->spec;
  isc_sb_add(b, ",\n \"sites\": [");
  for (int i = 0; i < N_PLACES; i++)
    isc_sb_addf(b,
                "%s{\"place\": \"%s\", \"layers\": %lld, \"heads\": %lld, \"dimension\": %lld, "
                "\"stored\": %lld}",
                i ? ", " : "", PLACES[i].name, (long long)s->n_layer,
                PLACES[i].heads ? (long long)s->n_head : 0LL, (long long)s->d_model,
                (long long)(PLACES[i].heads ? s->d_head : s->d_model));
  isc_sb_add(b, "]");
}

/* `more`: members that are ready, or "". */
static isc_status print_json(const arguments *a, const isc_model *m, const isc_inspection *i,
                             const isc_harvest_plan *h, const char *more) {
  isc_sb b = {0};
  char *text;
  isc_sb_add(&b, "{\n \"path\": ");
  isc_sb_add_json(&b, a->model.request.path, strlen(a->model.request.path));
  add_string(&b, "target", m->cls->name);
  add_string(&b, "model_type", m->type);
  isc_add_memory_json(&b, &i->plan);
  add_files(&b, i);
  add_tokenizer(&b, i);
  add_sites(&b, &i->plan);
  if (h) isc_add_harvest_json(&b, h);
  isc_sb_add(&b, more);
  isc_sb_add(&b, "\n}");
  ISC_TRY(isc_sb_finish(&b, &text));
  puts(text);
  free(text);
  return ISC_OK;
}

/* ---- verifying */

typedef struct verification {
  const arguments *a;
  isc_sb json; /* the files */
  isc_progress progress;
  double started;
  int64_t done, tensors, bad, files;
} verification;

static isc_status saw_tensor(void *user, const isc_weight_finding *f) {
  verification *v = user;
  isc_progress_show(&v->progress, "verify", ++v->done, v->tensors, "", isc_now() - v->started);
  if (f->first < 0) return ISC_OK;
  v->bad++;
  isc_progress_line(&v->progress, "  %s: %lld NaN, %lld infinite, the first at element %lld",
                    isc_cli_safe(f->tensor->name), (long long)f->nan, (long long)f->infinite,
                    (long long)f->first);
  return ISC_OK;
}

static isc_status saw_file(void *user, const char *path, uint64_t bytes, const char hex[33]) {
  verification *v = user;
  if (!v->a->json) {
    isc_progress_close(&v->progress);
    printf("%s%s  %s  %s\n", v->files ? "" : "\nXXH3-128 of the files\n", hex, isc_cli_safe(path),
           isc_cli_bytes((double)bytes));
  }
  isc_sb_addf(&v->json, "%s{\"bytes\": %llu, \"xxh3_128\": \"%s\"", v->files ? ", " : "",
              (unsigned long long)bytes, hex);
  add_string(&v->json, "path", path);
  isc_sb_add(&v->json, "}");
  v->files++;
  return ISC_OK;
}

/* *more = what JSON says of it. */
static isc_status verify(const arguments *a, const isc_model *m, char **more) {
  const isc_decoder_family *family;
  const isc_decoder_options *options;
  isc_weights *w;
  verification v = {.a = a, .started = isc_now()};
  const isc_weights_visitor visitor = {.user = &v, .tensor = saw_tensor, .file = saw_file};
  isc_target_family(m->cls, m->conf, &family, &options);
  ISC_TRY(isc_weights_open(options->path, &w));
  v.tensors = isc_weights_count(w);
  isc_progress_init(&v.progress);
  isc_sb_add(&v.json, ",\n \"verified\": [");
  isc_status st = isc_weights_verify(w, &visitor);
  isc_progress_close(&v.progress);
  isc_weights_close(w);
  isc_sb_addf(&v.json, "], \"tensors_not_finite\": %lld", (long long)v.bad);
  if (st == ISC_OK && !a->json)
    printf("every value of %s tensors is finite\n", isc_cli_count(v.tensors));
  if (st == ISC_OK || st == ISC_E_NUMERIC) {
    const isc_status wrote = isc_sb_finish(&v.json, more);
    return wrote == ISC_OK ? st : wrote;
  }
  isc_sb_free(&v.json);
  return st;
}

/* ---- */

static isc_status inspect(const arguments *a, const isc_model *m, isc_inspection *i) {
  isc_harvest_plan h;
  isc_site_sum sites;
  char *more = NULL;
  isc_status st = ISC_OK;
  ISC_TRY(isc_inspect(m, i));
  ISC_TRY(
      isc_sites_measure(&i->plan.info, m->settings.sites.at.s, m->settings.sites.count, &sites));
  isc_harvest_plan_make(&i->plan, &sites, a->harvest, m->settings.batch, a->tokens, &h);
  const isc_harvest_plan *shown = a->harvest ? &h : NULL;
  if (!a->json) print_all(a, m, i, shown);
  if (a->verify) st = verify(a, m, &more);
  if (a->json && (st == ISC_OK || st == ISC_E_NUMERIC)) {
    const isc_status printed = print_json(a, m, i, shown, more ? more : "");
    if (st == ISC_OK) st = printed;
  }
  free(more);
  return st;
}

static int parse(arguments *a, int argc, char **argv) {
  const isc_command *c = &isc_command_inspect;
  const char *v = NULL;
  int code = 0;
  for (int i = 1; i < argc && !code; i++) {
    bool taken;
    code = isc_model_arguments_take(c, &a->model, argc, argv, &i, &taken);
    if (code || taken) continue;
    if (!strcmp(argv[i], "--verify"))
      a->verify = true;
    else if (!strcmp(argv[i], "--sites"))
      a->sites = true;
    else if (!strcmp(argv[i], "--json"))
      a->json = true;
    else if (isc_cli_option(argc, argv, &i, "--harvest", &v))
      code = isc_cli_whole(v, 1, (int64_t)1 << 40, &a->harvest)
                 ? 0
                 : isc_cli_usage(c, "--harvest needs a number of texts from 1");
    else if (isc_cli_option(argc, argv, &i, "--tokens", &v))
      code = isc_cli_whole(v, 1, 1 << 28, &a->tokens)
                 ? 0
                 : isc_cli_usage(c, "--tokens needs a number from 1");
    else
      code = isc_cli_usage(c, "%s: unknown option", isc_cli_safe(argv[i]));
  }
  if (code) return code;
  return a->model.request.path ? 0 : isc_cli_usage(c, "which model?");
}

static int run(int argc, char **argv) {
  arguments a = {.tokens = 32};
  isc_inspection i = {0};
  isc_model m = {0};
  isc_status st = isc_model_arguments_new(&a.model, argc);
  int code = st == ISC_OK ? parse(&a, argc, argv) : isc_cli_fail(st);
  if (!code) {
    isc_cli_catch_signals();
    st = isc_model_find(&a.model.request, &m);
    if (st == ISC_OK) st = inspect(&a, &m, &i);
    if (st != ISC_OK) code = isc_cli_fail(st);
    isc_inspection_free(&i);
    isc_model_close(&m);
  }
  isc_model_arguments_free(&a.model);
  return code;
}

const isc_command isc_command_inspect = {
    .name = "inspect",
    .synopsis = "inspect MODEL [--verify] [--harvest N] [--tokens N] [--sites] [--json] "
                "[--plugin NAME] [--set PATH=VALUE]…",
    .summary = "Tell what a model is and what memory it needs, without loading it",
    .help = "  --verify          read every value, tell NaN and infinities, and hash the files\n"
            "  --harvest N       what harvesting N texts takes, at the sites of target.sites\n"
            "  --tokens N        tokens of each of these texts, 32 by default\n"
            "  --sites           every site by its name\n"
            "  --json            one JSON document on standard output\n"
            "  --plugin NAME     the target plugin, when it is not found by what the model calls "
            "itself\n"
            "  --set PATH=VALUE  a setting of the groups target and run: --set "
            "'target.sites=[\"head\"]'\n\n"
            "MODEL is a model directory or a GGUF file. Every tensor is looked for and its shape "
            "checked; only\n--verify reads them. Bytes are counted in powers of 1000.\n",
    .run = run};
