/* SPDX-License-Identifier: Apache-2.0
 *
 * A method's training stage, run between the core's progress, checkpoints and stop requests.
 */
#include "run/stage.h"
#include "run/study_open.h"

static isc_status on_progress(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                              int64_t n) {
  isc_run_state *r = io->core;
  ISC_TRY(isc_meter_step(&r->meter, done, r->stage_dir));
  return isc_stage_progress(r, done, total, m, n);
}

static bool on_checkpoint_due(isc_train_io *io) {
  return isc_stage_checkpoint_due(io->core);
}

/* A trainer that stops leaves a checkpoint, so the curve has to be there before it hears of it. One that goes on begins its
 * next step here. */
static bool on_should_stop(isc_train_io *io) {
  isc_run_state *r = io->core;
  const bool stops = isc_stage_stopping(r);
  if (stops) isc_stage_save_curve(r);
  isc_meter_mark(&r->meter);
  return stops;
}

static void on_took(isc_train_io *io, int64_t examples, int64_t tokens) {
  isc_meter_took(&((isc_run_state *)io->core)->meter, examples, tokens);
}

isc_train_io isc_stage_io(isc_run_state *r) {
  return (isc_train_io){.size = sizeof(isc_train_io),
                        .dir = r->stage_dir,
                        .core = r,
                        .progress = on_progress,
                        .checkpoint_due = on_checkpoint_due,
                        .should_stop = on_should_stop,
                        .took = on_took};
}

isc_status isc_stage_train(isc_run_state *r, void *arg) {
  const isc_training *t = arg;
  isc_train_io io = isc_stage_io(r);
  io.max_steps = t->max_steps;
  const isc_status st = r->method->ops->train(r->method->self, t->stage, &io);
  return st == ISC_E_CONFIG ? isc_study_in(r->study, r->method->group, st) : st;
}
