/* SPDX-License-Identifier: Apache-2.0
 *
 * inversescope run: bring a study up to date and show its report.
 */
#include "cli/events.h"
#include "cli/memory_show.h"
#include "report/report.h"
#include "run/rehearsal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int show_report(const char *dir) {
  char *table = NULL;
  isc_status st = isc_report_table(dir, &table);
  if (st != ISC_OK) return isc_cli_fail(st);
  isc_cli_print_text(table, strlen(table));
  printf("\nreport: %s/report.html\n", isc_cli_safe(dir));
  free(table);
  return 0;
}

/* ---- --dry-run */

static void show_free(const isc_study_plan *p) {
  const double has = isc_memory_available(), needs = p->harvest.peak;
  const isc_memory_plan *m = &p->memory;
  if (has <= 0) return;
  printf("  %-22s %12s  of this machine's memory\n", "free", isc_cli_bytes(has));
  if (needs <= has) return;
  printf("\nThe harvest needs more memory than is free here.");
  if (!m->streamed)
    printf(" With target.resident = \"stream\" its weights take %s.",
           isc_cli_bytes(isc_plan_weights(m, m->spec.weights, true)));
  putchar('\n');
}

static void show_study(const isc_study *s) {
  printf("study       %s, in %s\n", isc_cli_safe(s->name), isc_cli_safe(s->dir));
  printf("device      %s\n", isc_cli_safe(s->device->description));
  printf("method      %s\n", isc_cli_safe(s->method[0].name));
  for (int64_t i = 1; i < s->n_methods; i++)
    printf("baseline    %s\n", isc_cli_safe(s->method[i].name));
  printf("target      %s\n", isc_cli_safe(s->target_class->name));
}

static void show_plan(const isc_study *s, const isc_study_plan *p) {
  isc_show_shape(&p->memory);
  printf("texts       %s for training and %s held out; the first %lld have %lld to %lld tokens\n",
         isc_cli_count(s->n_train), isc_cli_count(s->n_test), (long long)p->looked_at,
         (long long)p->shortest, (long long)p->longest);
  isc_show_memory(&p->memory);
  isc_show_harvest(&p->memory, &p->harvest);
  show_free(p);
}

static void show_time(double flops, double rate) {
  const double s = flops / rate;
  if (s < 120)
    printf("%8.0f s", s);
  else if (s < 7200)
    printf("%6.0f min", s / 60);
  else if (s < 172800)
    printf("%8.1f h", s / 3600);
  else
    printf("%5.0f days", s / 86400);
}

static void show_work(const char *name, const char *steps, double flops, double memory,
                      double rate) {
  printf("  %-28s %16s %10.3g ", isc_cli_safe(name), steps, flops);
  show_time(flops, rate);
  if (memory > 0) printf("  %12s", isc_cli_bytes(memory));
  putchar('\n');
}

static void show_budget(const isc_study *s, const isc_study_method *m, bool held) {
  const char *of = isc_cli_safe(s->method[0].name);
  if (m->budget == ISC_BUDGET_NONE) return;
  if (held)
    printf("  %-28s held to as many %s as the training of %s takes\n", "",
           isc_budget_names[m->budget], of);
  else
    printf("  %-28s its own settings; it ends sooner once it has taken as many %s as %s\n", "",
           isc_budget_names[m->budget], of);
}

/* With the first method's stages, the harvest before them. A baseline's stages are cut to what its budget will leave of them,
 * which the own method's rehearsal tells: `own`, filled by the first method, n_stages = 0 when that failed. */
static isc_status show_method(const isc_study *s, const isc_study_plan *p,
                              const isc_study_method *m, const char *scratch, double rate,
                              isc_rehearsal *own) {
  isc_rehearsal r;
  char name[96], *below;
  ISC_TRY(isc_asprintf(&below, "%s/method", scratch));
  const isc_status st = isc_rehearse(s, p, m, below, &r);
  free(below);
  if (m == s->method && r.harvest_flops > 0)
    show_work("harvest", "", r.harvest_flops, r.harvest_memory, rate);
  ISC_TRY(st);
  if (m == s->method) *own = r;
  isc_rehearsal_hold(&r, m->budget, own);
  for (int64_t k = 0; k < r.n_stages; k++) {
    snprintf(name, sizeof name, "%s%s", m->below, r.stage[k].name);
    show_work(name, isc_cli_count(r.stage[k].steps), r.stage[k].flops, r.stage[k].memory, rate);
  }
  snprintf(name, sizeof name, "%ssample, at most", m->below);
  show_work(name, "", r.sampling_flops, r.sampling_memory, rate);
  snprintf(name, sizeof name, "%sscore, at most", m->below);
  show_work(name, "", r.scoring_flops, r.harvest_memory, rate);
  show_budget(s, m, own->n_stages > 0);
  return ISC_OK;
}

/* What the stages take. A method whose rehearsal fails says why; the others are shown. */
static isc_status show_stages(const isc_study *s, const isc_study_plan *p) {
  const char *tmp = getenv("TMPDIR");
  char *scratch = NULL;
  double rate;
  isc_rehearsal own = {0};
  ISC_TRY(isc_measure_rate(s->device, &rate));
  ISC_TRY(isc_asprintf(&scratch, "%s/inversescope-XXXXXX", tmp && *tmp ? tmp : "/tmp"));
  if (!mkdtemp(scratch)) {
    const isc_status st = isc_fail(ISC_E_IO, "%s: %s", scratch, strerror(errno));
    free(scratch);
    return st;
  }
  printf("\n%-30s %16s %10s %10s  %12s\n", "stages", "steps", "FLOP", "time", "device memory");
  for (int64_t i = 0; i < s->n_methods; i++)
    if (show_method(s, p, &s->method[i], scratch, rate, &own) != ISC_OK)
      printf("  %-28s unknown: %s\n", isc_cli_safe(s->method[i].name), isc_cli_safe(isc_error()));
  printf("\nTimes are at %.3g FLOP/s, which this device reached in products of f32 just now; "
         "nothing runs "
         "faster, and small models run slower.\n",
         rate);
  rmdir(scratch);
  free(scratch);
  return ISC_OK;
}

static int dry_run(const isc_run_request *req) {
  isc_study *s = NULL;
  isc_study_plan plan;
  isc_status st = isc_study_read(&req->source, req->dir, &s);
  if (st != ISC_OK) return isc_cli_fail(st);
  show_study(s);
  st = isc_study_plan_make(s, &plan);
  if (st == ISC_OK) show_plan(s, &plan);
  if (st == ISC_OK) st = show_stages(s, &plan);
  isc_study_close(s);
  if (st == ISC_E_UNSUPPORTED)
    return printf("memory      unknown: %s\n", isc_cli_safe(isc_error())), 0;
  return st == ISC_OK ? 0 : isc_cli_fail(st);
}

/* ---- */

/* Is the option among the arguments? It is taken out of them. */
static bool take_flag(int *argc, char **argv, const char *name) {
  int to = 1;
  for (int i = 1; i < *argc; i++)
    if (strcmp(argv[i], name) != 0) argv[to++] = argv[i];
  const bool there = to < *argc;
  *argc = to;
  return there;
}

static int run(int argc, char **argv) {
  const char **set = calloc((size_t)argc + 1, sizeof *set);
  isc_progress progress;
  isc_run_request req = {.report = isc_report_write, .stop = &isc_cli_stop};
  const bool dry = take_flag(&argc, argv, "--dry-run");
  char *report = NULL;
  if (!set) return isc_cli_fail(isc_fail(ISC_E_NOMEM, "no memory for the command line"));
  int code = isc_cli_parse_source(&isc_command_run, argc, argv, set, &req);
  if (!code && dry) {
    code = dry_run(&req);
  } else if (!code) {
    req.events = isc_cli_events(&progress);
    isc_cli_catch_signals();
    const isc_status st = isc_run(&req, &report);
    isc_progress_close(&progress);
    code = st == ISC_OK ? show_report(report) : isc_cli_fail(st);
  }
  free(report);
  free(set);
  return code;
}

const isc_command isc_command_run = {
    .name = "run",
    .synopsis = "run CONFIG [--set PATH=VALUE]… [--dir DIR] [--dry-run]",
    .summary = "Run a study from its config file, or bring it up to date",
    .help =
        "  --set PATH=VALUE          override a setting: --set evaluate.samples=32\n"
        "  --dir DIR                 the run directory, instead of run.dir\n"
        "  --dry-run                 read the config, tell what memory, operations and time each "
        "stage takes, "
        "and end\n"
        "  --allow-outside-includes  let @include leave the config's own directory\n\n"
        "What has not changed since the last run is not redone. Ctrl-C checkpoints and exits 75.\n",
    .run = run};
