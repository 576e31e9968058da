/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts that a target writes on: its likeliest tokens, or draws.
 *
 * A text depends on (prompt, index, sample, seed) and the law only: not on the batch that it is decoded in, nor on what else
 * is generated, because every operation of a row is independent of the others (operations.h) and every draw has an address
 * of its own.
 */
#ifndef ISC_CORE_GENERATE_H
#define ISC_CORE_GENERATE_H

#include "model/sites.h"

/* Why a text ended. */
typedef enum isc_text_end {
  ISC_END_EOS,    /* the model said so                       */
  ISC_END_STOP,   /* a stop string                           */
  ISC_END_LENGTH, /* max_tokens                              */
  ISC_END_CONTEXT /* the target has no position for one more */
} isc_text_end;

/* One text; it lives during the call that delivers it. */
typedef struct isc_generated {
  int64_t prompt, sample;
  const char *text; /* what follows the prompt, up to an EOS or a stop string; ends in a NUL */
  size_t len;
  const int32_t *ids; /* [n] all tokens drawn, an EOS included */
  int64_t n;
  double log_q; /* of these tokens under the law that they were drawn by; 0 at temperature 0 */
  double logp;  /* of these tokens under the model itself; NaN unless asked for               */
  isc_text_end end;
} isc_generated;

typedef struct isc_generation {
  const isc_target *target;
  const char *const *text; /* [n] prompts                                                   */
  const size_t *len;       /* [n]                                                           */
  int64_t n;
  int64_t samples;    /* of each prompt, ≤ 2^32                                             */
  int64_t max_tokens; /* of a text, its EOS included; ≥ 1                                   */
  int64_t batch;      /* texts decoded at once                                              */
  double temperature; /* 0 = always the likeliest token, the lower id among equals          */
  int64_t top_k;      /* draw from so many likeliest tokens; 0 = all                        */
  double top_p;       /* draw from the fewest likeliest tokens with this probability; 1 = all */
  uint64_t seed;
  const uint64_t *index; /* [n] addresses of the prompts' draws, below 2^32; NULL = 0, 1, …   */
  const char *const
      *stop; /* [n_stop] a text ends before any of these, or at a token that is written so */
  int64_t n_stop;
  bool want_logp; /* costs a look at every logit on the host                            */
  void *user;
  isc_status (*deliver)(void *user, const isc_generated *g); /* as texts end, in no set order */
  /* Of `total` tokens that there may be `done` are there or will not be; may be NULL. */
  void (*progress)(void *user, int64_t done, int64_t total);
} isc_generation;

/* Decodes with the target's key/value cache; a target without one runs every text from its beginning for each token. Memory: the
 * cache of `batch` texts of the prompt's length and max_tokens. A prompt longer than the target's n_ctx → ISC_E_SHAPE naming it, before
 * anything is generated. ISC_E_INTERRUPTED when the program was asked to stop; what had ended was delivered. The step is reset
 * again and again. One thread, the target's. */
ISC_API isc_status isc_generate(const isc_generation *q, isc_step *s);

/* ---- Given texts */

/* How likely a text's tokens are; it lives during the call that delivers it. */
typedef struct isc_scored {
  int64_t text;
  const int32_t *ids; /* [n]                                                           */
  int64_t n;
  const double
      *logp;    /* [n] log P(token | those before it); 0 for the first: nothing is before it */
  double total; /* their sum: exp(−total/(n − 1)) is the perplexity              */
} isc_scored;

typedef struct isc_scoring {
  const isc_target *target;
  const char *const *text; /* [n] */
  const size_t *len;       /* [n] */
  int64_t n, batch;        /* batch: texts in one forward pass; changes no result */
  void *user;
  isc_status (*deliver)(void *user, const isc_scored *g); /* shortest first */
} isc_scoring;

/* log P of texts by the target's tokenizer, with what that puts in front of them; natural logarithms. Errors as of isc_generate. */
ISC_API isc_status isc_score_texts(const isc_scoring *q, isc_step *s);

#endif
