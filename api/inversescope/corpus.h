/* SPDX-License-Identifier: Apache-2.0
 *
 * Token sequences to train a language model on: tokenised once, packed into one buffer.
 *
 * Methods that generate texts read their batches from here. Which sequence is in which batch depends on (seed,
 * example number) alone. Filled by one thread; then immutable, any thread. Since 1.1.
 */
#ifndef ISC_CORPUS_H
#define ISC_CORPUS_H

#include <inversescope/method.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeros are an empty one. Frozen. */
typedef struct isc_corpus {
  int32_t *ids;   /* [start[n]] every sequence, one after another              */
  int64_t *start; /* [n + 1]                                                   */
  int64_t *from;  /* [n] the first position of a sequence that is a target; ≥ 1 */
  int64_t n, longest;
  int64_t cap_ids, cap_n;
} isc_corpus;

/* Append ids[0 … n); positions `from` … n−1 are targets. 1 ≤ from < n. */
ISC_API isc_status isc_corpus_add(isc_corpus *c, const int32_t *ids, int64_t n, int64_t from);
/* bos + text + eos of every training input. A text that the tokenizer does not give back, or that is longer than `max`
 * tokens in all (0 = any), is an error that quotes it. */
ISC_API isc_status isc_corpus_fill(isc_corpus *c, const isc_method_env *env,
                                   const isc_tokenizer *tok, int32_t bos, int32_t eos, int64_t max);
ISC_API void isc_corpus_free(isc_corpus *c);

/* Sequences `row` as decoder input and targets, right-padded to the longest, in step memory. Frozen. */
typedef struct isc_corpus_batch {
  int64_t batch, len;
  int32_t *ids;    /* [batch, len]                                 */
  int32_t *target; /* [batch, len] the next token; −1 = no loss    */
  int64_t tokens;  /* with a loss                                  */
} isc_corpus_batch;
ISC_API isc_status isc_corpus_take(const isc_corpus *c, isc_step *s, const int64_t *row,
                                   int64_t batch, isc_corpus_batch *out);

/* Which of n inputs is training example `example`: every run of n examples is a permutation. */
ISC_API int64_t isc_epoch_row(uint64_t seed, int64_t n, int64_t example);

#ifdef __cplusplus
}
#endif
#endif
