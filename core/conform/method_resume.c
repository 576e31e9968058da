/* SPDX-License-Identifier: Apache-2.0
 *
 * Conformance checks of training that does not run through: stopped, or killed, and taken up again by a fresh instance.
 *
 * What comes out in the end is compared with a training that ran through, as samples with log q and labels: a method's
 * files are its own affair.
 */
#include "conform/exercise.h"
#include "conform/method_use.h"
#include <inttypes.h>
#include <string.h>

/* Train stage k from where it is, load it. */
static isc_status finish(isc_reader *r, int64_t k, isc_training *t, const char *after) {
  if (isc_reader_train(r, k, t) != ISC_OK)
    return isc_fail_in("training stage %s %s", isc_reader_stage_name(r, k), after);
  if (isc_reader_load(r, k + 1) == ISC_OK) return ISC_OK;
  return isc_fail_in("loading stage %s after its training", isc_reader_stage_name(r, k));
}

/* ---- interrupt */

enum { GRACE = 1 }; /* seconds */

/* `usual`: seconds that getting to the first step took, on a machine that may be busy. */
static isc_status stopped_well(const char *stage, const isc_training *t, isc_status st,
                               double usual, double took) {
  if (st == ISC_OK && t->total <= 1) return ISC_OK; /* nowhere to stop */
  if (t->asked == 0 && st != ISC_OK) return isc_fail_in("training stage %s", stage);
  if (t->asked == 0)
    return isc_fail(ISC_E_INTERNAL,
                    "stage %s made %" PRId64 " steps without asking io->should_stop", stage,
                    t->done);
  if (st == ISC_OK)
    return isc_fail(ISC_E_INTERNAL,
                    "stage %s was asked to stop and ended well, at step %" PRId64 " of %" PRId64,
                    stage, t->done, t->total);
  if (st != ISC_E_INTERRUPTED)
    return isc_fail_in("stage %s was asked to stop and ended with %s", stage, isc_status_name(st));
  if (t->late > 1)
    return isc_fail(ISC_E_INTERNAL, "stage %s was asked to stop and made %" PRId64 " more steps",
                    stage, t->late);
  if (took > GRACE + usual)
    return isc_fail(ISC_E_INTERNAL, "stage %s went on for %.1f s after it was asked to stop", stage,
                    took);
  return ISC_OK;
}

isc_status isc_check_method_interrupt(isc_conform *c) {
  isc_reader r;
  isc_status st = ISC_OK;
  ISC_TRY(isc_reader_open(c, c->conf, c->seed, 1, ISC_TASK_TRAIN, "study", &r));
  r.max_steps = ISC_READER_FEW;
  for (int64_t k = 0; k < isc_reader_stages(&r); k++) {
    isc_training t = isc_training_new(), rest = isc_training_new();
    t.stop_after = 1;
    const double start = isc_now();
    const isc_status ended = isc_reader_train(&r, k, &t);
    const double asked = t.asked > 0 ? t.asked : start;
    ISC_GO(stopped_well(isc_reader_stage_name(&r, k), &t, ended, asked - start, isc_now() - asked));
    ISC_GO(isc_reader_reopen(&r));
    ISC_GO(isc_reader_load(&r, k));
    ISC_GO(finish(&r, k, &rest, "after it was stopped"));
  }
done:
  isc_reader_close(&r);
  return st;
}

/* ---- resume and checkpoint */

/* How stage k of a training that is broken off is treated; total: of the one that ran through. */
typedef void (*break_off)(isc_training *t, int64_t total);

static void stop_half_way(isc_training *t, int64_t total) {
  t->stop_after = total / 2;
}

static void kill_after_saving(isc_training *t, int64_t total) {
  if (total < 3) return;
  t->checkpoint_at = total / 3;
  t->fail_at = 2 * total / 3;
}

/* A training that runs through: its totals and outputs. */
static isc_status run_through(isc_conform *c, int64_t total[ISC_READER_STAGES], isc_sb *out) {
  isc_reader r;
  isc_status st = ISC_OK;
  ISC_TRY(isc_reader_open(c, c->conf, c->seed, 1, ISC_TASK_TRAIN, "whole", &r));
  r.max_steps = ISC_READER_FEW;
  for (int64_t k = 0; k < isc_reader_stages(&r); k++) {
    isc_training t = isc_training_new();
    ISC_GO(finish(&r, k, &t, "without a stop"));
    total[k] = t.total;
  }
  ISC_GO(isc_reader_outputs(&r, out));
done:
  isc_reader_close(&r);
  return st;
}

/* From which step on it must go on: behind the state that it was stopped in, or told to save. */
static isc_status went_on(const char *stage, const isc_training *t, const isc_training *rest,
                          bool stopped) {
  const int64_t kept = stopped ? t->done : t->saved;
  if (!stopped && t->fail_at >= 0 && t->saved < 0 && t->calls >= 3)
    return isc_fail(ISC_E_INTERNAL,
                    "stage %s made %" PRId64 " steps without asking io->checkpoint_due", stage,
                    t->done);
  if (kept < 1 || rest->calls == 0 || rest->first > kept) return ISC_OK;
  return isc_fail(
      ISC_E_INTERNAL,
      "stage %s was %s step %" PRId64 " of %" PRId64 "; resumed, it went on with step %" PRId64,
      stage, stopped ? "stopped after" : "told to save at", kept, t->total, rest->first);
}

static isc_status broken_stage(isc_reader *r, int64_t k, int64_t total, break_off how) {
  const bool stop = how == stop_half_way;
  isc_training t = isc_training_new(), rest = isc_training_new();
  how(&t, total);
  /* That it ends, and how, is what method.interrupt and method.progress look at. */
  const isc_status st = isc_reader_train(r, k, &t);
  ISC_TRY(isc_reader_reopen(r));
  ISC_TRY(isc_reader_load(r, k));
  ISC_TRY(finish(r, k, &rest, stop ? "after it was stopped" : "after it was killed"));
  if (st == ISC_OK) return ISC_OK;
  return went_on(isc_reader_stage_name(r, k), &t, &rest, stop);
}

static isc_status broken_off(isc_conform *c, break_off how, const char *what) {
  isc_reader r = {0};
  isc_sb whole = {0}, parts = {0};
  int64_t total[ISC_READER_STAGES] = {0};
  isc_status st = ISC_OK;
  ISC_GO(run_through(c, total, &whole));
  ISC_GO(isc_reader_open(c, c->conf, c->seed, 1, ISC_TASK_TRAIN, "parts", &r));
  r.max_steps = ISC_READER_FEW;
  for (int64_t k = 0; k < isc_reader_stages(&r); k++)
    ISC_GO(broken_stage(&r, k, total[k], how));
  ISC_GO(isc_reader_outputs(&r, &parts));
  ISC_GO(isc_transcripts_agree(&whole, &parts, what));
done:
  isc_reader_close(&r);
  isc_sb_free(&whole);
  isc_sb_free(&parts);
  return st;
}

isc_status isc_check_method_resume(isc_conform *c) {
  return broken_off(c, stop_half_way,
                    "samples and labels after a training in one go, and after "
                    "one that was stopped and resumed");
}

isc_status isc_check_method_checkpoint(isc_conform *c) {
  return broken_off(c, kill_after_saving,
                    "samples and labels after a training in one go, and "
                    "after one that was killed and resumed");
}
