/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stage has taken: steps, examples, tokens, floating-point operations, seconds.
 *
 * Kept in spent.json of the stage's directory, in step with its checkpoints, so that a resumed training has taken what
 * an undisturbed one has (but for the seconds, which are those that really passed).
 */
#ifndef ISC_CORE_SPENT_H
#define ISC_CORE_SPENT_H

#include <inversescope/tensor.h>

typedef struct isc_spent {
  int64_t steps, examples, tokens;
  double flops, seconds; /* flops: as isc_device.flops counts */
  double memory; /* bytes of the device that were held at most; 0 = its backend does not say */
} isc_spent;

#define ISC_SPENT_FILE "spent.json"

/* The count of a stage in progress. */
typedef struct isc_meter {
  const isc_device *device;
  isc_spent so_far;  /* up to the last finished step                  */
  isc_spent kept[2]; /* at the two newest checkpoints, older first    */
  int64_t n_kept;
  bool running;                 /* has a step of this process been counted?      */
  double flops_from, time_from; /* where the step in progress begins             */
  int64_t examples, tokens;     /* of the step in progress                       */
  isc_spent begun;              /* of steps that end behind it, when a device answers later */
  int64_t n_begun;
  bool open; /* is a step in progress that is not finished? */
} isc_meter;

/* Begin, or go on where the directory's file ends. */
isc_status isc_meter_begin(isc_meter *m, const isc_device *device, const char *dir);
/* A step begins here. What was done before it is not the training's, unless a step had begun that is not finished. */
void isc_meter_mark(isc_meter *m);
void isc_meter_took(isc_meter *m, int64_t examples, int64_t tokens);
/* Step `done` is finished. ISC_E_FORMAT when it is not the first and nothing is known of those before. */
isc_status isc_meter_step(isc_meter *m, int64_t done, const char *dir);
/* A checkpoint is about to be written: write the file. */
isc_status isc_meter_keep(isc_meter *m, const char *dir);
/* The stage is finished. One without steps is counted as one piece of work. */
isc_status isc_meter_finish(isc_meter *m, const char *dir);

/* Of a finished stage. ISC_E_MISSING without the file. */
ISC_API isc_status isc_spent_read(const char *dir, isc_spent *out);
/* The object that the file has of it; NULL without memory. */
struct json_t *isc_spent_json(const isc_spent *s);
ISC_API void isc_spent_add(isc_spent *to, const isc_spent *more);

#endif
