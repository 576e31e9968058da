/* SPDX-License-Identifier: Apache-2.0
 *
 * Which words of x̂ come back in the samples of its ẑ more often than in the prior's texts.
 *
 * Over all conditions together a right sampler gives the prior back, and no word is enriched. So a word is looked at where
 * x̂ has it: the share of a condition's accepted samples that have it too, each condition counting as one observation,
 * against the share of the prior's texts. The log odds ratio is shrunk by a Dirichlet prior of one observation at the
 * prior's own share and divided by its standard deviation (Monroe, Colaresi and Quinn 2008). Any thread.
 */
#ifndef ISC_CORE_ENRICHMENT_H
#define ISC_CORE_ENRICHMENT_H

#include <inversescope/status.h>
#include <stdbool.h>
#include <stdint.h>

/* The distinct words of many texts: those of text t are word[start[t]] … word[start[t + 1] − 1]. */
typedef struct isc_word_sets {
  int64_t n; /* texts */
  const int64_t *start /* [n + 1] */;
  const int32_t *word;
} isc_word_sets;

/* Samples of one site; arrays are the caller's. */
typedef struct isc_enrichment {
  int32_t n_words; /* words are 0 … n_words − 1                                                   */
  int64_t n_background;
  const int64_t
      *background;         /* [n_words] how many of n_background texts of the prior have the word */
  isc_word_sets condition; /* of the x̂                                                            */
  isc_word_sets text;      /* of the sampled texts                                                */
  const int64_t *start; /* [condition.n + 1] samples of condition c: start[c] … start[c + 1] − 1 */
  const int64_t *sample; /* [samples] which text                                                */
  const bool *accepted;  /* [samples] only these count                                          */
} isc_enrichment;

typedef struct isc_enriched {
  int32_t word;
  int64_t conditions; /* x̂ that have it and an accepted sample                    */
  double share;       /* of their samples have it, mean over those conditions     */
  double base;        /* of the prior's texts have it                             */
  double z;           /* standard deviations of the log odds ratio above 0        */
} isc_enriched;

/* Words of z ≥ least, highest share − base first (ties: lower word), at most `most`; *n how many there are. Words that all or none of
 * the background's texts have are left out: they tell nothing. ISC_E_NOMEM. */
ISC_API isc_status isc_enrichment_top(const isc_enrichment *e, double least, int64_t most,
                                      isc_enriched *out /* [most] */, int64_t *n);

#endif
