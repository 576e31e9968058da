/* SPDX-License-Identifier: Apache-2.0
 *
 * A method's training stage, run between the core's progress, checkpoints and stop requests.
 */
#include "run/stage.h"

static isc_status on_progress(isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                              int64_t n) {
  return isc_stage_progress(io->core, done, total, m, n);
}

static bool on_checkpoint_due(isc_train_io *io) {
  return isc_stage_checkpoint_due(io->core);
}

/* A trainer that stops leaves a checkpoint, so the curve has to be there before it hears of it. */
static bool on_should_stop(isc_train_io *io) {
  if (!isc_stage_stopping(io->core)) return false;
  isc_stage_save_curve(io->core);
  return true;
}

isc_train_io isc_stage_io(isc_run_state *r) {
  return (isc_train_io){.size = sizeof(isc_train_io),
                        .dir = r->stage_dir,
                        .core = r,
                        .progress = on_progress,
                        .checkpoint_due = on_checkpoint_due,
                        .should_stop = on_should_stop};
}

isc_status isc_stage_train(isc_run_state *r, void *arg) {
  const int64_t stage = *(const int64_t *)arg;
  isc_train_io io = isc_stage_io(r);
  return r->study->method_ops->train(r->study->method, stage, &io);
}
