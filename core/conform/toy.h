/* SPDX-License-Identifier: Apache-2.0
 *
 * A planted task for methods: a study so small that what can be read at each site is known exactly.
 *
 * A text is three words, "a3 b0 c5", the values of its slots A, B and C. At site 0 (a head, kept as a factor) the
 * activation tells A, at site 1 it tells B, at site 2 it is noise. What a method asks of its environment is counted, so
 * that asking for what it may not have is found.
 */
#ifndef ISC_CORE_CONFORM_TOY_H
#define ISC_CORE_CONFORM_TOY_H

#include "base/base.h"
#include <inversescope/method.h>
#include <inversescope/template.h>

enum { ISC_TASK_A, ISC_TASK_B, ISC_TASK_C, ISC_TASK_SLOTS };
/* The first two sites have the numbers of the slots they tell. */
enum { ISC_TASK_SITE_A, ISC_TASK_SITE_B, ISC_TASK_SITE_NOISE, ISC_TASK_SITES };
enum {
  ISC_TASK_TEXTS = 8 * 8 * 6,
  ISC_TASK_HELD_OUT = ISC_TASK_TEXTS / 4,
  ISC_TASK_TRAIN = ISC_TASK_TEXTS - ISC_TASK_HELD_OUT,
  ISC_TASK_WIDEST = 16 /* of the sites' dims */
};

/* What was asked of the environment so far. */
typedef struct isc_task_counts {
  int64_t activations, kernel; /* calls                                                         */
  int64_t held_out;            /* calls that give held-out inputs, or go beyond the training set */
  char offence[128];           /* the first of those                                            */
} isc_task_counts;

typedef struct isc_task {
  isc_method_env env; /* what the method is given */
  isc_task_counts counts;
  bool harvested; /* activations can be read; false at first */
  /* Its parts. */
  uint64_t seed;
  isc_prior prior;
  isc_template *texts;
  isc_tokenizer *tokenizer;
  isc_site site[ISC_TASK_SITES];
  struct isc_task_kernel {
    struct isc_task *task;
    void *law;
    isc_kernel opened;
  } kernel[ISC_TASK_SITES];
  const isc_kernel *kernel_of[ISC_TASK_SITES];
  float map[8 * ISC_TASK_WIDEST]; /* of site 0 */
} isc_task;

/* With the first n_train ≤ ISC_TASK_TRAIN training inputs; texts, split and activations come from `seed`. `dev` must outlive
 * it. Everything below is for one thread, as methods are. */
isc_status isc_task_open(isc_device *dev, uint64_t seed, int64_t n_train, isc_task **out);
void isc_task_close(isc_task *t); /* NULL is fine */

int64_t isc_task_choices(int slot); /* values of a slot; each has the same share of the texts */
/* The values of input i of a split. */
void isc_task_values(const isc_task *t, isc_split split, int64_t i, int64_t value[ISC_TASK_SLOTS]);
/* Those of a text; false when it is none of the task's. */
bool isc_task_parse(const isc_task *t, const char *text, size_t len, int64_t value[ISC_TASK_SLOTS]);
/* Is it the name of a value? Then which one, of which slot. */
bool isc_task_label(const char *label, int *slot, int64_t *value);
/* z(x) of input i of a split, host [dim of the site]. */
void isc_task_activation(const isc_task *t, int64_t site, isc_split split, int64_t i, float *z);

#endif
