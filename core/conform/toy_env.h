/* SPDX-License-Identifier: Apache-2.0
 *
 * The two halves of the planted task: what it is (toy.c), and what of it a method is shown (toy_env.c).
 */
#ifndef ISC_CORE_CONFORM_TOY_ENV_H
#define ISC_CORE_CONFORM_TOY_ENV_H

#include "conform/toy.h"

/* Fill t->env and open the kernels; texts, tokenizer and sites are there. */
isc_status isc_task_open_env(isc_task *t, isc_device *dev, int64_t n_train);
void isc_task_close_env(isc_task *t);
/* The stored factor of an input, host [stored]. */
void isc_task_factor(const isc_task *t, int64_t site, isc_split split, int64_t i, float *a);
/* That of a training input at token `position` < ISC_TASK_SLOTS: before a slot's word is read nothing tells its value. */
void isc_task_factor_at(const isc_task *t, int64_t site, int64_t i, int64_t position, float *a);

#endif
