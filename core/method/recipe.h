/* SPDX-License-Identifier: Apache-2.0
 *
 * The option rows of a training recipe, written once for every stage that trains.
 *
 * A stage names its group prefix, its conf struct and the field that holds the isc_recipe, and gives its own
 * defaults; names, ranges and explanations are the same everywhere.
 */
#ifndef ISC_CORE_RECIPE_H
#define ISC_CORE_RECIPE_H

#include "method/train_loop.h"
#include <stddef.h>

extern const char *const isc_schedule_names[]; /* choices of isc_schedule_kind */

#define ISC_RECIPE_ROW(p, key, type, flags, T, f, unit, preset, lo, hi, choices, doc)              \
  { p key, type, flags, offsetof(T, f), unit, preset, lo, hi, choices, doc }

/* steps_min 0 lets a pretrained model be used as it is. */
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
                     "Largest norm of the whole gradient; 0 leaves it as it is.")

#endif
