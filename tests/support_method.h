/* SPDX-License-Identifier: Apache-2.0
 *
 * A toy study for the tests of the method: texts, activations with a planted meaning, a noise kernel.
 *
 * A text is three words, "x2 y0 z5". Site 0 is a head whose factor is a random vector of the x word; site 1 a
 * vector of the y word plus half of one of the z word; site 2, where there is one, a narrower vector of the z word.
 */
#ifndef ISC_TESTS_SUPPORT_METHOD_H
#define ISC_TESTS_SUPPORT_METHOD_H

#include "method/inversescope.h"
#include <inversescope/noise_law.h>

enum {
  ISC_TOY_WORDS = 6,
  ISC_TOY_TEXTS = ISC_TOY_WORDS * ISC_TOY_WORDS * ISC_TOY_WORDS,
  ISC_TOY_TRAIN = 180, /* the others are held out */
  ISC_TOY_DIM = 16,
  ISC_TOY_NARROW = 9,
  ISC_TOY_HEAD = 6
};

typedef struct isc_toy {
  isc_method_env env;
  isc_site site[3];
  const isc_kernel *kernel_of[3];
  isc_kernel kernel[2]; /* cosine-band hard, ε 0.1, δ 0.1: for dim 16, and 9 */
  isc_tokenizer *tokenizer;
  isc_prior prior; /* knows its texts by log P, nothing else */
  float map[ISC_TOY_HEAD * ISC_TOY_DIM];
  float x[ISC_TOY_WORDS][ISC_TOY_HEAD], y[ISC_TOY_WORDS][ISC_TOY_DIM],
      z[ISC_TOY_WORDS][ISC_TOY_DIM];
} isc_toy;

/* `sites` 2 or 3. Closed with isc_toy_close. */
void isc_toy_open(isc_toy *t, isc_device *dev, int64_t sites);
void isc_toy_close(isc_toy *t);
/* Words of input i (0 … TEXTS−1; the first TRAIN are the training inputs): word[0 … 3). */
void isc_toy_words(int64_t i, int64_t word[3]);
/* Words of a text; false if it is none of the toy's. */
bool isc_toy_parse(const char *text, size_t len, int64_t word[3]);
/* Stored factor of input i at a site, and its activation [dim]. */
void isc_toy_factor(const isc_toy *t, int64_t site, int64_t i, float *out);
void isc_toy_activation(const isc_toy *t, int64_t site, int64_t i, float *out);

/* The settings' defaults, then a generator small enough for a test. */
isc_inversescope_conf isc_toy_conf(void);

/* Progress, checkpoints and stops by step number. */
typedef struct isc_toy_io {
  isc_train_io io;
  int64_t steps;         /* done since the stage began                       */
  int64_t stop_at;       /* ask to stop once that many are done; −1 = never   */
  int64_t checkpoint_at; /* save then; −1 = never                            */
  double first_loss, loss, valid, saturated; /* of the latest step, NAN when not reported */
} isc_toy_io;
isc_toy_io isc_toy_io_new(const char *dir);

/* The CPU backend with that many threads; the caller closes it. Skips the test when it is not there. */
isc_device *isc_toy_device(int64_t threads);

/* Do two files have the same bytes? */
bool isc_toy_same_file(const char *dir_a, const char *dir_b, const char *name);

#endif
