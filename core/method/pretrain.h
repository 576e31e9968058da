/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a small target: a GPT-2-family model trained on a prior from scratch.
 *
 * The result is a Hugging Face directory that the gpt2 target and the transformers library read.
 */
#ifndef ISC_CORE_PRETRAIN_H
#define ISC_CORE_PRETRAIN_H

#include <inversescope/training_loop.h>
#include <inversescope/prior.h>

typedef struct isc_pretrain_conf { /* group `pretrain` */
  int32_t tokenizer;
  int64_t layers, heads, width, mlp, context;
  double init_std, dropout, attention_dropout;
  int32_t loss;
  int64_t train, test, seed;
  isc_recipe recipe;
} isc_pretrain_conf;

ISC_API extern const isc_option isc_pretrain_options[];

typedef struct isc_pretrain_result {
  double
      accuracy; /* share of held-out inputs whose whole answer is the most likely one, token by token; NaN without answers */
  int64_t evaluated; /* held-out inputs it was measured on */
  int64_t parameters, vocabulary;
} isc_pretrain_result;

/* Train on the prior's training inputs, each followed by its answer where it has one, and write config.json,
 * model.safetensors and tokenizer.json to `dir` (made if need be; checkpoints go to io->dir). One thread. */
ISC_API isc_status isc_pretrain(const isc_prior *prior, isc_device *dev,
                                const isc_pretrain_conf *conf, const char *dir, isc_train_io *io,
                                isc_pretrain_result *out);

#endif
