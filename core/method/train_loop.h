/* SPDX-License-Identifier: Apache-2.0
 *
 * The training loop that the backbone, the control layers and `pretrain` share.
 *
 * Its whole state is the parameters, their moments, the number of steps done and `held`, so a run resumed from
 * a checkpoint ends in the same bytes as one that was never stopped. One thread.
 */
#ifndef ISC_CORE_TRAIN_LOOP_H
#define ISC_CORE_TRAIN_LOOP_H

#include <inversescope/method.h>
#include <inversescope/parameters.h>

/* How to optimise: the same settings wherever something is trained (see ISC_RECIPE_OPTIONS in recipe.h). */
typedef struct isc_recipe {
  int64_t steps, batch, warmup;
  double lr, final_lr; /* final_lr: share of lr left at the last step        */
  int32_t schedule;    /* isc_schedule_kind                                  */
  double beta2, weight_decay, clip;
} isc_recipe;

enum { ISC_TRAIN_METRICS = 4 }; /* a step's own metrics, at most */

typedef struct isc_train_loop {
  isc_device *device;
  isc_params *params;
  const isc_recipe *recipe;
  isc_train_io *io;
  double group_lr[8]; /* rate of each parameter group as a multiple of recipe->lr */
  double *
      held; /* NULL, or a number that metrics hold from one step to later ones: saved with the state */
  void *user;
  /* Forward pass of step `k` under a tape: *loss is its scalar. May report up to ISC_TRAIN_METRICS own metrics. */
  isc_status (*forward)(void *user, isc_step *s, int64_t k, isc_tensor **loss, isc_metric *m,
                        int64_t *n);
} isc_train_loop;

/* Train from io->dir's checkpoint.safetensors, or from the parameters as they are, to recipe->steps or the io's budget,
 * whichever is less. On a request to stop the state is saved and ISC_E_INTERRUPTED returned. The caller saves the
 * result, then calls isc_train_finish. */
ISC_API isc_status isc_train_run(const isc_train_loop *t);
/* The result is safe: drop the checkpoint. */
ISC_API isc_status isc_train_finish(const isc_train_io *io);

#endif
