/* SPDX-License-Identifier: Apache-2.0
 *
 * A run of checks from its request to its report.
 */
#include "conform/runner.h"
#include "conform/places.h"
#include "conform/runner_plan.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWED_BY_SANITIZERS 10
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWED_BY_SANITIZERS 10
#endif
#endif
#ifndef SLOWED_BY_SANITIZERS
#define SLOWED_BY_SANITIZERS 1
#endif

enum { LISTING_SECONDS = 20 };

static double limit_of(const isc_run_plan *p, int seconds) {
  return seconds * p->request->timeout_scale * SLOWED_BY_SANITIZERS;
}

static int jobs_of(const isc_conform_request *r) {
  cpu_set_t cpus;
  if (r->jobs > 0) return r->jobs;
  return sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
}

/* ---- preparing */

static isc_status make_scratch(isc_run_plan *p) {
  const char *tmp = secure_getenv("TMPDIR");
  ISC_TRY(isc_asprintf(&p->scratch, "%s/inversescope-conform-XXXXXX",
                       tmp && tmp[0] == '/' ? tmp : "/tmp"));
  if (mkdtemp(p->scratch)) return ISC_OK;
  isc_status st = isc_fail(ISC_E_IO, "%s: no scratch directory can be made", p->scratch);
  free(p->scratch);
  p->scratch = NULL;
  return st;
}

static isc_status absolute_cases(isc_run_plan *p) {
  if (!p->request->cases) return ISC_OK;
  p->cases = realpath(p->request->cases, NULL);
  return p->cases ? ISC_OK
                  : isc_fail(ISC_E_MISSING, "%s: there is no such case file", p->request->cases);
}

static isc_status prepare(isc_run_plan *p) {
  const size_t n = (size_t)p->request->n_plugins;
  void *memory;
  ISC_TRY(isc_plan_check_ids(p->request));
  ISC_TRY(isc_pool_alloc(p->pool, n, sizeof *p->targets, "plugins", &memory));
  p->targets = memory;
  ISC_TRY(isc_pool_alloc(p->pool, n, sizeof *p->report->plugins, "plugins", &memory));
  p->report->plugins = memory;
  p->report->n_plugins = p->request->n_plugins;
  ISC_TRY(isc_plan_targets(p));
  ISC_TRY(absolute_cases(p));
  ISC_TRY(isc_conform_checker(&p->checker));
  ISC_TRY(isc_conform_library_dir(&p->library_dir));
  return make_scratch(p);
}

/* An install's programs find their library themselves; those of a build tree are told. */
static const char *library_path(const isc_run_plan *p) {
  const char *last = strrchr(p->library_dir, '/');
  return last && !strcmp(last, "/.libs") ? p->library_dir : NULL;
}

/* ---- listing */

static isc_status list_all(isc_run_plan *p) {
  const int64_t n = p->report->n_plugins;
  isc_job *jobs = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_calloc((size_t)n, sizeof *jobs, "the listing of plugins", (void **)&jobs));
  for (int64_t i = 0; i < n; i++) {
    jobs[i].limit = limit_of(p, LISTING_SECONDS);
    ISC_GO(isc_plan_argv(p, &p->targets[i], NULL, NULL, &jobs[i].argv));
  }
  ISC_GO(isc_jobs_run(jobs, n, jobs_of(p->request), library_path(p)));
  for (int64_t i = 0; i < n; i++)
    ISC_GO(isc_verdict_of(p->pool, &jobs[i], "its loading", &p->targets[i].listing));
done:
  for (int64_t i = 0; i < n && jobs; i++)
    isc_job_free(&jobs[i]);
  free(jobs);
  return st;
}

/* ---- checking */

/* The results that are still to be had, of all plugins. */
static isc_status gather(isc_run_plan *p, isc_conform_result ***out, int64_t *n, isc_job **jobs) {
  int64_t all = 0;
  char *scratch;
  *n = 0;
  for (int64_t t = 0; t < p->report->n_plugins; t++)
    all += p->report->plugins[t].n_results;
  ISC_TRY(isc_calloc((size_t)all, sizeof **out, "checks to run", (void **)out));
  ISC_TRY(isc_calloc((size_t)all, sizeof **jobs, "checks to run", (void **)jobs));
  for (int64_t t = 0; t < p->report->n_plugins; t++)
    for (int64_t i = 0; i < p->report->plugins[t].n_results; i++) {
      isc_conform_result *r = &p->report->plugins[t].results[i];
      if (r->message) continue;
      isc_job *j = &(*jobs)[*n];
      (*out)[(*n)++] = r;
      j->limit = limit_of(p, r->check->seconds);
      ISC_TRY(isc_pool_alloc(p->pool, strlen(p->scratch) + 24, 1, "a path", (void **)&scratch));
      sprintf(scratch, "%s/%lld", p->scratch, (long long)*n);
      j->scratch = scratch;
      ISC_TRY(isc_plan_argv(p, &p->targets[t], r, scratch, &j->argv));
    }
  return ISC_OK;
}

static isc_status judge(isc_run_plan *p, const isc_job *j, isc_conform_result *r) {
  isc_verdict v;
  ISC_TRY(isc_verdict_of(p->pool, j, "the check", &v));
  json_decref(v.answer);
  r->outcome = v.outcome;
  r->message = v.message;
  r->output = v.outcome == ISC_PASSED ? "" : v.output;
  r->seconds = j->seconds;
  for (int64_t t = 0; v.broken && t < p->report->n_plugins; t++) {
    isc_conform_plugin *plugin = &p->report->plugins[t];
    if (r >= plugin->results && r < plugin->results + plugin->n_results && !plugin->problem)
      plugin->problem = v.message;
  }
  return ISC_OK;
}

static isc_status check_all(isc_run_plan *p) {
  isc_conform_result **results = NULL;
  isc_job *jobs = NULL;
  int64_t n = 0;
  isc_status st = ISC_OK;
  ISC_GO(gather(p, &results, &n, &jobs));
  ISC_GO(isc_jobs_run(jobs, n, jobs_of(p->request), library_path(p)));
  for (int64_t i = 0; i < n; i++)
    ISC_GO(judge(p, &jobs[i], results[i]));
done:
  for (int64_t i = 0; i < n && jobs; i++)
    isc_job_free(&jobs[i]);
  free(jobs);
  free(results);
  return st;
}

/* ---- the outcome */

/* That a plugin does not load is a failure even when no check of the file says why. */
static isc_status blame_loading(isc_run_plan *p, int64_t t) {
  const isc_verdict *v = &p->targets[t].listing;
  isc_conform_plugin *plugin = &p->report->plugins[t];
  isc_conform_result *load = NULL;
  const isc_check *check = isc_check_find("any.load");
  if (v->outcome == ISC_PASSED || v->broken || !check) return ISC_OK;
  for (int64_t i = 0; i < plugin->n_results; i++) {
    isc_conform_result *r = &plugin->results[i];
    if (r->outcome != ISC_PASSED && r->outcome != ISC_SKIPPED) return ISC_OK;
    if (r->check == check) load = r;
  }
  if (!load) {
    void *more;
    ISC_TRY(isc_pool_alloc(p->pool, (size_t)plugin->n_results + 1, sizeof *load, "results", &more));
    load = more;
    if (plugin->n_results)
      memcpy(load + 1, plugin->results, (size_t)plugin->n_results * sizeof *load);
    plugin->results = load;
    plugin->n_results++;
    *load = (isc_conform_result){.check = check, .cls = "", .cs = ""};
    ISC_TRY(isc_plan_replay(p, &p->targets[t], load, &load->replay));
  }
  load->outcome = v->outcome;
  load->message = v->message;
  load->output = v->output;
  return ISC_OK;
}

static isc_status conclude(isc_run_plan *p) {
  for (int64_t t = 0; t < p->report->n_plugins; t++) {
    ISC_TRY(blame_loading(p, t));
    for (int64_t i = 0; i < p->report->plugins[t].n_results; i++)
      p->report->totals[p->report->plugins[t].results[i].outcome]++;
  }
  return ISC_OK;
}

isc_status isc_conform_run(const isc_conform_request *request, isc_conform_report *out) {
  isc_run_plan p = {.request = request, .report = out, .pool = &out->pool};
  isc_status st = ISC_OK;
  *out = (isc_conform_report){.seed = request->seed};
  ISC_GO(prepare(&p));
  ISC_GO(list_all(&p));
  ISC_GO(isc_plan_check_names(&p));
  for (int64_t i = 0; i < out->n_plugins; i++)
    ISC_GO(isc_plan_results(&p, i));
  ISC_GO(check_all(&p));
  ISC_GO(conclude(&p));
done:
  for (int64_t i = 0; i < out->n_plugins && p.targets; i++)
    json_decref(p.targets[i].listing.answer);
  if (p.scratch) isc_remove_tree(p.scratch);
  free(p.scratch);
  free(p.checker);
  free(p.library_dir);
  free(p.cases);
  if (st != ISC_OK) isc_conform_report_free(out);
  return st;
}

void isc_conform_report_free(isc_conform_report *r) {
  isc_pool_free(&r->pool);
  *r = (isc_conform_report){0};
}

int isc_conform_exit_code(const isc_conform_report *r) {
  for (int64_t i = 0; i < r->n_plugins; i++)
    if (r->plugins[i].problem) return 3;
  if (r->totals[ISC_CRASHED] + r->totals[ISC_TIMED_OUT]) return 2;
  if (r->totals[ISC_FAILED]) return 1;
  return r->totals[ISC_PASSED] ? 0 : 77;
}
