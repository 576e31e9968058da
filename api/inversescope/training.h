/* SPDX-License-Identifier: Apache-2.0
 *
 * A method's training stage: how it reports, is stopped, keeps to a budget, and keeps its state.
 *
 * Used by `train` and `load` of isc_method_ops, in the thread that called them.
 */
#ifndef ISC_TRAINING_H
#define ISC_TRAINING_H

#include <inversescope/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A number that a training stage reports. The name is a word, and lives until the next report. */
typedef struct isc_metric {
  const char *name;
  double value;
} isc_metric;

/* A training stage's ears and mouth. */
typedef struct isc_train_io {
  size_t size;
  const char *
      dir; /* the stage's directory: checkpoints go here, and are found here after a kill          */
  void *core;
  /* Report step `done` of `total` with a few metrics ("loss", "lr", …); cheap, call every step. `done` grows up to `total`,
   * which stays as it is. A failure ends the training. */
  isc_status (*progress)(struct isc_train_io *io, int64_t done, int64_t total, const isc_metric *m,
                         int64_t n);
  /* Time to save? Says yes every so many seconds and before stopping. */
  bool (*checkpoint_due)(struct isc_train_io *io);
  /* Asked to stop (signal)? Save, then return ISC_E_INTERRUPTED. */
  bool (*should_stop)(struct isc_train_io *io);
  /* Budget: the stage is finished, as it is, after this many steps, those before a resume counted too; a schedule ends there
   * as well. 0 = no limit. Rationale: methods are compared at equal cost, and steps are what a resumed run can repeat. */
  int64_t max_steps;
  /* since 1.1. What the step in progress trains on, told before its `progress`: examples, and tokens whose probability is in
   * the loss. Methods are compared by it. NULL: nobody asks. */
  void (*took)(struct isc_train_io *io, int64_t examples, int64_t tokens);
} isc_train_io;

/* io->took, where there is one. Since 1.1; any older io is fine. */
static inline void isc_train_took(isc_train_io *io, int64_t examples, int64_t tokens) {
  const bool has = io->size >= offsetof(isc_train_io, took) + sizeof io->took;
  if (has && io->took) io->took(io, examples, tokens);
}

/* Steps of a stage whose options ask for `steps`, within its budget: the `total` of its progress. Any thread. */
static inline int64_t isc_train_steps(const isc_train_io *io, int64_t steps) {
  return io->max_steps > 0 && io->max_steps < steps ? io->max_steps : steps;
}

/* A stage's state that is plain memory, kept in the file `name` of its directory: written atomically, with its length and
 * hash. Restoring fills `data` only when the file holds exactly `len` bytes that were saved: ISC_E_MISSING without a file,
 * ISC_E_FORMAT for any other one. Any thread. */
ISC_API isc_status isc_state_save(const char *dir, const char *name, const void *data, size_t len);
ISC_API isc_status isc_state_restore(const char *dir, const char *name, void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
