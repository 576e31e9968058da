/* SPDX-License-Identifier: Apache-2.0
 *
 * Training a decoder as a language model on a corpus: the backbone's stage, and `pretrain`.
 */
#ifndef ISC_CORE_LM_TRAINER_H
#define ISC_CORE_LM_TRAINER_H

#include <inversescope/corpus.h>
#include <inversescope/training_loop.h>
#include "method/watch.h"
#include <inversescope/decoder.h>

typedef struct isc_lm_training {
  isc_decoder *decoder;
  isc_device *device;
  const isc_corpus *corpus;
  const isc_recipe *recipe;
  uint64_t seed;                     /* of the batches and of dropout */
  double dropout, attention_dropout; /* see dropout.h; 0 = none */
  isc_train_io *io;
  isc_watch *watch; /* NULL, or looks at samples while it trains */
} isc_lm_training;

/* Minimise the mean −log p over the targets of each batch; see isc_train_run for stopping and resuming. One thread. */
ISC_API isc_status isc_lm_train(const isc_lm_training *t);

#endif
