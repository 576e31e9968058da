/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_stages: how fast each stage of a study runs, and what share that is of what the machine's matrix products reach.
 *
 * The share is what can be compared between machines and between days; rates can not.
 */
#include "bench.h"
#include "base/base.h"
#include "config/config.h"
#include "plugin/registry.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct output {
  const bench_options *o;
  isc_device *device;
  bench_account *account; /* NULL unless asked for */
  int64_t threads;
  isc_sb json;
  bool any; /* was anything of that name run? */
} output;

/* ---- the device */

/* What the backend is told, in the syntax of a study's settings. */
static isc_status settings(const bench_options *o, char **out) {
  isc_sb b = {0};
  if (o->threads) isc_sb_addf(&b, "threads = %lld; ", (long long)o->threads);
  isc_sb_add(&b, o->settings ? o->settings : "");
  return isc_sb_finish(&b, out);
}

static isc_status open_device(const bench_options *o, isc_device **out) {
  isc_status st = ISC_OK;
  const isc_registry_entry *e;
  isc_config *config = NULL;
  void *conf = NULL;
  char *text = NULL;
  ISC_GO(isc_registry_search_path(NULL, 0));
  ISC_GO(isc_registry_find(ISC_BACKEND, o->device, &e));
  ISC_GO(isc_calloc(1, e->cls->conf_size, "a backend's settings", &conf));
  ISC_GO(settings(o, &text));
  ISC_GO(isc_config_parse(text, strlen(text), "--settings", ".", &config));
  ISC_GO(isc_config_fill(config, "", e->cls->options, NULL, conf));
  ISC_GO(isc_device_open(o->device, conf, out, NULL));
done:
  isc_config_free(config);
  free(conf);
  free(text);
  return st;
}

/* ---- results */

typedef struct figures {
  double lap, best, on_cores, rate, flops, share, core, busy;
} figures;

static figures figure(const bench_result *r, const bench_timer *t, const bench_gemm *g,
                      int64_t threads) {
  double work = r->units * r->flops, product = bench_gemm_flops(g);
  double lap = bench_median(t->wall, t->n), core = bench_median(t->core, t->n);
  return (figures){.lap = lap,
                   .best = bench_least(t->wall, t->n),
                   .on_cores = core,
                   .rate = r->units / lap,
                   .flops = work / lap,
                   .share = work / lap / (product / bench_median(g->wall, g->n)),
                   .core = work / core / (product / bench_median(g->core, g->n)),
                   .busy = core / lap / (double)threads};
}

static void print_head(const output *out, const bench_shape *s) {
  double load[3] = {0};
  getloadavg(load, 3);
  printf("%s; load %.1f\n%s: %lld blocks, %lld heads, width %lld, vocabulary %lld\n",
         out->device->description, load[0], s->name, (long long)s->layers, (long long)s->heads,
         (long long)s->width, (long long)s->vocab);
  printf("  %-18s %10s %10s  %-10s %9s %8s %6s %6s %6s %5s\n", "stage", "lap, ms", "rate", "",
         "MFLOP", "GFLOP/s", "share", "core", "busy", "laps");
}

static void report(output *out, const bench_shape *s, const bench_result *r, const bench_timer *t) {
  const figures f = figure(r, t, t->gemm, out->threads);
  out->any = true;
  if (!out->o->json) {
    printf("  %-18s %10.2f %10.1f  %-10s %9.4g %8.1f %5.0f%% %5.0f%% %5.0f%% %5lld\n", r->stage,
           1e3 * f.lap, f.rate, r->unit, 1e-6 * r->flops, 1e-9 * f.flops, 100 * f.share,
           100 * f.core, 100 * f.busy, (long long)t->n);
    fflush(stdout);
    return;
  }
  isc_sb_addf(
      &out->json,
      "%s\n  {\"shape\": \"%s\", \"precision\": \"%s\", \"stage\": \"%s\", \"unit\": \"%s\"",
      out->json.len ? "," : "", s->name, s->precision == ISC_BF16 ? "bf16" : "f32", r->stage,
      r->unit);
  const struct {
    const char *name;
    double value;
  } list[] = {{"seconds", f.lap},  {"best_seconds", f.best}, {"core_seconds", f.on_cores},
              {"units", r->units}, {"rate", f.rate},         {"flop", r->flops},
              {"flops", f.flops},  {"gemm_share", f.share},  {"core_share", f.core},
              {"busy", f.busy},    {"laps", (double)t->n}};
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    isc_sb_addf(&out->json, ", \"%s\": ", list[i].name);
    isc_sb_add_double(&out->json, list[i].value);
  }
  if (t->parameters > 0)
    isc_sb_addf(&out->json, ", \"parameters\": %lld", (long long)t->parameters);
  if (!isnan(t->loss)) {
    isc_sb_add(&out->json, ", \"loss\": ");
    isc_sb_add_double(&out->json, t->loss);
  }
  isc_sb_add(&out->json, "}");
}

static isc_status print_json(output *out) {
  double load[3] = {0};
  char *stages = NULL;
  isc_sb b = {0};
  getloadavg(load, 3);
  ISC_TRY(isc_sb_finish(&out->json, &stages));
  isc_sb_add_json(&b, out->device->description, strlen(out->device->description));
  printf("{\"device\": %s, \"threads\": %lld, \"load\": %.2f, \"stages\": [%s]}\n",
         b.s ? b.s : "null", (long long)out->threads, load[0], stages);
  isc_sb_free(&b);
  free(stages);
  return ISC_OK;
}

/* ---- running */

static bool wanted(const output *out, const char *stage) {
  return !out->o->stage || !strcmp(out->o->stage, stage);
}

static isc_status run_products(output *out, const bench_shape *s, bench_gemm *g, bench_timer *t) {
  bench_result r;
  bench_limits limits = out->o->limits;
  if (limits.repeat > 20) limits.repeat = 20;
  limits.group = 1;
  for (int64_t k = 0; bench_product(g, k, &r); k++) {
    if (!wanted(out, r.stage)) continue;
    ISC_TRY(bench_timer_start(t, g, &limits, r.warm));
    ISC_TRY(bench_product_run(g, k, t));
    report(out, s, &r, t);
  }
  return ISC_OK;
}

/* Of the processor time of the laps. */
static void report_ops(const bench_account *a, const bench_timer *t) {
  bench_op op[BENCH_OPS];
  const double group = (double)t->limits.group, laps = (double)t->n * group;
  double all = 0, left;
  for (int64_t i = 0; i < t->n; i++)
    all += t->core[i] * group;
  int64_t n = bench_account_read(a, op, &all);
  left = all;
  for (int64_t i = 0; i < n; i++) {
    left -= op[i].seconds;
    if (op[i].seconds < 0.005 * all) continue;
    printf("    %-16s %5.1f%% %10.3f ms %8.1f calls", op[i].name, 100 * op[i].seconds / all,
           1e3 * op[i].seconds / laps, (double)op[i].calls / laps);
    if (op[i].flops > 0) printf(" %8.1f GFLOP/s of a core", 1e-9 * op[i].flops / op[i].seconds);
    putchar('\n');
  }
  printf("    %-16s %5.1f%% %10.3f ms\n", "the host", 100 * left / all, 1e3 * left / laps);
}

static isc_status run_stages(output *out, bench_study *b, bench_gemm *g, bench_timer *t) {
  bench_result r;
  for (int64_t k = 0; bench_stage(b->shape, k, &r); k++) {
    if (!wanted(out, r.stage)) continue;
    ISC_TRY(bench_timer_start(t, g, &out->o->limits, r.warm));
    t->account = out->account;
    ISC_TRY(bench_stage_run(b, k, t));
    report(out, b->shape, &r, t);
    if (out->account && !out->o->json) report_ops(out->account, t);
  }
  return ISC_OK;
}

static isc_status run_shape(output *out, const bench_shape *s) {
  isc_status st = ISC_OK;
  bench_study study = {0};
  bench_gemm gemm = {0};
  void *timer = NULL;
  ISC_GO(isc_calloc(1, sizeof(bench_timer), "a timer", &timer));
  ISC_GO(bench_gemm_open(out->device, s->gemm, &gemm));
  if (!out->o->json) print_head(out, s);
  ISC_GO(run_products(out, s, &gemm, timer));
  if (out->o->stage && out->any) goto done;
  isc_device *dev = out->account ? bench_account_device(out->account) : out->device;
  ISC_GO(bench_study_open(s, dev, &study));
  ISC_GO(run_stages(out, &study, &gemm, timer));
done:
  bench_study_close(&study);
  bench_gemm_close(&gemm);
  free(timer);
  return st;
}

/* The threads the backend was opened with: what its description ends in, unless they were asked for; 1 of a GPU. */
static int64_t thread_count(const bench_options *o, const isc_device *dev) {
  const char *comma = strrchr(dev->description, ',');
  int64_t n = comma && strstr(comma, "thread") ? strtoll(comma + 1, NULL, 10) : 1;
  if (o->threads) n = o->threads;
  return n > 0 ? n : 1;
}

static isc_status run_shapes(output *out) {
  const bench_options *o = out->o;
  bool shape = false;
  for (const bench_shape *s = bench_shapes; s->name; s++) {
    if (o->shape ? strcmp(o->shape, s->name) != 0 : s->gemm != 1) continue;
    bench_shape own = *s;
    shape = true;
    ISC_TRY(bench_options_apply(o, &own));
    ISC_TRY(o->describe ? bench_describe(&own) : run_shape(out, &own));
  }
  if (!shape) return isc_fail(ISC_E_USAGE, "\"%s\": no such shape; --help lists them", o->shape);
  if (out->any || o->describe) return ISC_OK;
  return isc_fail(ISC_E_USAGE, "\"%s\": no such stage; --help lists them", o->stage);
}

static isc_status run(const bench_options *o) {
  isc_status st = ISC_OK;
  output out = {.o = o};
  if (o->describe) return run_shapes(&out);
  ISC_GO(open_device(o, &out.device));
  out.threads = thread_count(o, out.device);
  if (o->ops) ISC_GO(bench_account_new(out.device, &out.account));
  ISC_GO(run_shapes(&out));
  if (o->json) st = print_json(&out);
done:
  isc_sb_free(&out.json);
  bench_account_free(out.account);
  isc_device_close(out.device);
  return st;
}

int main(int argc, char **argv) {
  bench_options o;
  isc_status st = bench_options_parse(argc, argv, &o);
  if (st == ISC_OK && o.help)
    fputs(BENCH_HELP, stdout);
  else if (st == ISC_OK)
    st = run(&o);
  if (st != ISC_OK) fprintf(stderr, "bench_stages: %s\n", isc_error());
  return isc_exit_code(st);
}
