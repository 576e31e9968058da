/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of a training stage in one go: its progress, its budget, and what it reads.
 */
#include "conform/method_use.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Load stage k, for the stages that build on it. */
static isc_status load(isc_reader *r, int64_t k) {
  if (isc_reader_load(r, k + 1) == ISC_OK) return ISC_OK;
  return isc_fail_in("loading stage %s after its training", isc_reader_stage_name(r, k));
}

/* Train and load stage k with nothing asked of it. */
static isc_status train(isc_reader *r, int64_t k, isc_training *t) {
  if (isc_reader_train(r, k, t) != ISC_OK)
    return isc_fail_in("training stage %s", isc_reader_stage_name(r, k));
  return load(r, k);
}

/* ---- progress */

static isc_status told_well(const char *stage, const isc_training *t) {
  if (t->problem[0]) return isc_fail(ISC_E_INTERNAL, "stage %s: %s", stage, t->problem);
  if (t->done == t->total) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "stage %s: progress ends at step %" PRId64 " of %" PRId64
                  ", and the training well",
                  stage, t->done, t->total);
}

/* Progress that fails must end the training with its status. */
static isc_status failure_ends(isc_reader *r, int64_t k) {
  isc_training t = isc_training_new();
  t.fail_at = 1;
  const isc_status st = isc_reader_train(r, k, &t);
  if (t.calls == 0) return ISC_OK;
  if (st == ISC_E_IO && t.calls == 1) return ISC_OK;
  return isc_fail(ISC_E_INTERNAL,
                  "stage %s: progress failed with ISC_E_IO at step %" PRId64
                  "; the training went on for %" PRId64 " steps and ended with %s",
                  isc_reader_stage_name(r, k), t.first, t.calls - 1, isc_status_name(st));
}

isc_status isc_check_method_progress(isc_conform *c) {
  isc_reader r;
  isc_status st = ISC_OK;
  ISC_TRY(isc_reader_open(c, c->conf, c->seed, 1, ISC_TASK_TRAIN, "study", &r));
  r.max_steps = ISC_READER_FEW;
  for (int64_t k = 0; k < isc_reader_stages(&r); k++) {
    isc_training t = isc_training_new();
    ISC_GO(failure_ends(&r, k));
    ISC_GO(isc_reader_reopen(&r));
    ISC_GO(isc_reader_load(&r, k));
    ISC_GO(train(&r, k, &t));
    ISC_GO(told_well(isc_reader_stage_name(&r, k), &t));
  }
done:
  isc_reader_close(&r);
  return st;
}

/* ---- budget */

enum { BUDGET = 3 };

/* Totals of the stages under `max_steps`. */
static isc_status totals(isc_conform *c, int64_t max_steps, const char *name,
                         isc_training out[ISC_READER_STAGES]) {
  isc_reader r;
  isc_status st = ISC_OK;
  ISC_TRY(isc_reader_open(c, c->conf, c->seed, 1, ISC_TASK_TRAIN, name, &r));
  r.max_steps = max_steps;
  for (int64_t k = 0; k < isc_reader_stages(&r); k++) {
    out[k] = isc_training_new();
    ISC_GO(train(&r, k, &out[k]));
  }
done:
  isc_reader_close(&r);
  return st;
}

isc_status isc_check_method_budget(isc_conform *c) {
  isc_training many[ISC_READER_STAGES] = {{.calls = 0}}, few[ISC_READER_STAGES] = {{.calls = 0}};
  ISC_TRY(totals(c, ISC_READER_FEW, "many", many));
  ISC_TRY(totals(c, BUDGET, "few", few));
  for (int64_t k = 0; k < ISC_READER_STAGES; k++) {
    const int64_t want = many[k].total < BUDGET ? many[k].total : BUDGET;
    if (many[k].total > ISC_READER_FEW)
      return isc_fail(ISC_E_INTERNAL,
                      "stage %" PRId64 " announces %" PRId64 " steps with a budget of %d", k,
                      many[k].total, (int)ISC_READER_FEW);
    if (few[k].total != want || few[k].done != want)
      return isc_fail(ISC_E_INTERNAL,
                      "with a budget of %d steps, stage %" PRId64 " announces %" PRId64
                      " and makes %" PRId64 "; %" PRId64 " are expected",
                      (int)BUDGET, k, few[k].total, few[k].done, want);
  }
  return ISC_OK;
}

/* ---- what a stage uses */

static isc_status used_only(isc_reader *r, int64_t k) {
  const uint32_t uses = r->ops->stage_uses(r->self, k);
  const isc_task_counts before = r->task->counts;
  const char *name = isc_reader_stage_name(r, k);
  isc_training t = isc_training_new();
  const isc_status st = isc_reader_train(r, k, &t);
  const int64_t read = r->task->counts.activations - before.activations,
                asked = r->task->counts.kernel - before.kernel;
  if (read > 0 && !(uses & ISC_USES_ACTIVATIONS))
    return isc_fail(
        ISC_E_INTERNAL,
        "stage %s does not list ISC_USES_ACTIVATIONS and asked for activations, %" PRId64 " time%s",
        name, read, read > 1 ? "s" : "");
  if (asked > 0 && !(uses & ISC_USES_KERNEL))
    return isc_fail(ISC_E_INTERNAL,
                    "stage %s does not list ISC_USES_KERNEL and asked the kernel, %" PRId64
                    " time%s",
                    name, asked, asked > 1 ? "s" : "");
  return st == ISC_OK ? load(r, k) : isc_fail_in("training stage %s", name);
}

isc_status isc_check_method_stage_uses(isc_conform *c) {
  isc_reader r;
  isc_status st = ISC_OK;
  ISC_TRY(isc_reader_open(c, c->conf, c->seed, 1, ISC_TASK_TRAIN, "study", &r));
  r.max_steps = ISC_READER_FEW;
  r.as_listed = true;
  if (!r.ops->stage_uses) {
    isc_reader_close(&r);
    return isc_conform_skip(c, "it has no stage_uses: all stages may use everything");
  }
  for (int64_t k = 0; k < isc_reader_stages(&r); k++)
    ISC_GO(used_only(&r, k));
done:
  isc_reader_close(&r);
  return st;
}
