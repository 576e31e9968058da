/* SPDX-License-Identifier: Apache-2.0
 *
 * The training loop that methods share: AdamW with a schedule, checkpoints, progress, and a way to stop.
 *
 * A method gives the forward pass of a step. What a step does must depend on its number and the parameters alone; then a
 * run resumed from a checkpoint ends in the same bytes as one that was never stopped. One thread. Since 1.1.
 */
#ifndef ISC_TRAINING_LOOP_H
#define ISC_TRAINING_LOOP_H

#include <inversescope/option.h>
#include <inversescope/parameters.h>
#include <inversescope/training.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How to optimise: the same settings wherever something is trained. β1 is 0.9 and eps 1e-8. Frozen. */
typedef struct isc_recipe {
  int64_t steps, batch, warmup;
  double lr, final_lr; /* final_lr: share of lr left at the last step        */
  int32_t schedule;    /* isc_schedule_kind                                  */
  int32_t precision;   /* isc_dtype that operands of matrix products are rounded to */
  double beta2, weight_decay, clip;
} isc_recipe;

ISC_API extern const char *const isc_schedule_names[];  /* choices of isc_schedule_kind */
ISC_API extern const char *const isc_precision_names[]; /* and of precision */

/* One row of the table below. */
#define ISC_RECIPE_ROW(p, key, type, flags, T, f, unit, preset, lo, hi, choices, doc)              \
  { p key, type, flags, offsetof(T, f), unit, preset, lo, hi, choices, doc }

/* In an option table: the settings of the isc_recipe that is field f of the conf struct T, their names after the prefix p
 * ("control." or ""), with the stage's own defaults as config text. steps_min 0 lets a pretrained model be used as it is. */
#define ISC_RECIPE_OPTIONS(p, T, f, steps_def, steps_min, batch_def, lr_def, warmup_def,           \
                           schedule_def)                                                           \
  ISC_RECIPE_ROW(p, "steps", ISC_OPT_INT, 0, T, f.steps, "steps", steps_def, steps_min, 1e9, NULL, \
                 "Number of updates."),                                                            \
      ISC_RECIPE_ROW(p, "batch", ISC_OPT_INT, 0, T, f.batch, "examples", batch_def, 1, 1e6, NULL,  \
                     "Examples in an update."),                                                    \
      ISC_RECIPE_ROW(p, "lr", ISC_OPT_FLOAT, ISC_OPT_OPEN_MIN, T, f.lr, NULL, lr_def, 0, 10, NULL, \
                     "AdamW's learning rate after warm-up."),                                      \
      ISC_RECIPE_ROW(p, "warmup", ISC_OPT_INT, 0, T, f.warmup, "steps", warmup_def, 0, 1e9, NULL,  \
                     "Updates over which the rate rises linearly to lr."),                         \
      ISC_RECIPE_ROW(p, "schedule", ISC_OPT_ENUM, 0, T, f.schedule, NULL, schedule_def, 0, 0,      \
                     isc_schedule_names, "What the rate does after warm-up."),                     \
      ISC_RECIPE_ROW(p, "final_lr", ISC_OPT_FLOAT, 0, T, f.final_lr, NULL, "0.0", 0, 1, NULL,      \
                     "Share of lr left at the last step of a linear or cosine schedule."),         \
      ISC_RECIPE_ROW(p, "beta2", ISC_OPT_FLOAT, ISC_OPT_OPEN_MAX, T, f.beta2, NULL, "0.999", 0, 1, \
                     NULL, "AdamW's decay rate of the squared gradient."),                         \
      ISC_RECIPE_ROW(p, "weight_decay", ISC_OPT_FLOAT, 0, T, f.weight_decay, NULL, "0.01", 0, 10,  \
                     NULL, "AdamW's decoupled weight decay."),                                     \
      ISC_RECIPE_ROW(p, "clip", ISC_OPT_FLOAT, 0, T, f.clip, NULL, "0.0", 0, 1e9, NULL,            \
                     "Largest norm of the whole gradient; 0 leaves it as it is."),                 \
      ISC_RECIPE_ROW(                                                                              \
          p, "precision", ISC_OPT_ENUM, 0, T, f.precision, NULL, "f32", 0, 0, isc_precision_names, \
          "What matrix products round their operands to in training; sums, weights and "           \
          "updates are f32.")

/* The names of these options for stage_options of isc_method_ops, separated by commas. */
#define ISC_RECIPE_NAMES(p)                                                                        \
  p "steps", p "batch", p "lr", p "warmup", p "schedule", p "final_lr", p "beta2",                 \
      p "weight_decay", p "clip", p "precision"

enum {
  ISC_TRAIN_METRICS = 4,
  ISC_TRAIN_HELD = 2
}; /* a step's own metrics, and those held, at most */

/* What is trained, and by what. */
typedef struct isc_train_loop {
  size_t size; /* sizeof(isc_train_loop) */
  isc_device *device;
  isc_params *params;
  const isc_recipe *recipe;
  isc_train_io *io;
  double group_lr[8]; /* rate of each parameter group as a multiple of recipe->lr */
  double *
      held; /* NULL, or numbers that metrics hold from one step to later ones: saved with the state */
  void *user;
  /* Forward pass of step `k` under a tape: *loss is its scalar. May report up to ISC_TRAIN_METRICS own metrics. A parameter
   * that gets no gradient is not updated but saved with the rest: it can hold what a step must know of those before. */
  isc_status (*forward)(void *user, isc_step *s, int64_t k, isc_tensor **loss, isc_metric *m,
                        int64_t *n);
  int64_t n_held; /* numbers in held; 0 = 1 */
} isc_train_loop;

/* Train from io->dir's checkpoint.safetensors, or from the parameters as they are, to recipe->steps or the io's budget,
 * whichever is less. Reports each step with the metrics "loss", "lr", "grad_norm" and the step's own. On a request to stop
 * the state is saved and ISC_E_INTERRUPTED returned. The caller saves the result, then calls isc_train_finish. */
ISC_API isc_status isc_train_run(const isc_train_loop *t);
/* The result is safe: drop the checkpoint. */
ISC_API isc_status isc_train_finish(const isc_train_io *io);

#ifdef __cplusplus
}
#endif
#endif
