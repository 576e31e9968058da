/* SPDX-License-Identifier: Apache-2.0
 *
 * What each site encodes, without being asked: every slot of the prior, and every equality of two, as a hypothesis of its
 * own, and the words that come back.
 *
 * The features of the config are ranked among them, so that an answer to a question can be held against what nobody asked.
 */
#ifndef ISC_CORE_INSIGHT_H
#define ISC_CORE_INSIGHT_H

#include "eval/enrichment.h"
#include "eval/lift.h"
#include "run/score.h"

typedef struct isc_hypothesis {
  char *name;       /* "PLACE", "a1 = b1", or the feature's                               */
  const char *kind; /* "slot", "equality", "feature"                                      */
  char *alike;      /* names of hypotheses that part the prior alike, ", " between; or "" */
  int64_t values;   /* distinct labels among the draws                                    */
  double chance;    /* mean over conditions                                               */
  int32_t *draw;    /* [n_draws]      labels of draws of the prior                        */
  int32_t *text;    /* [n_texts]      of sampled texts                                    */
  int32_t *hat;     /* [n_conditions] of the x̂                                            */
} isc_hypothesis;

typedef struct isc_finding {
  isc_interval rate; /* FCR by reject, with no ends         */
  isc_lift reject, exact;
  double q;
} isc_finding;

enum { ISC_INSIGHT_WORDS = 8 };
typedef struct isc_site_words {
  int64_t n;
  isc_enriched word[ISC_INSIGHT_WORDS];
} isc_site_words;

typedef struct isc_insight {
  int64_t n_draws; /* of the enumerated prior, or training inputs */
  isc_labels values;
  isc_hypothesis *hypothesis; /* [n] */
  int64_t n, room;
  isc_finding *finding; /* [n_sites, n]                                 */
  int64_t *ranked;      /* [n_sites, n] hypotheses by lift, highest first */
  isc_labels words;     /* the target's tokens, without white space       */
  isc_site_words *site; /* [n_sites]                                      */
} isc_insight;

/* After the exact rates and the evaluation. */
isc_status isc_insight_find(isc_score *s, isc_insight **out);
void isc_insight_close(isc_insight *in); /* NULL is fine */
/* insight_slots.c: the hypotheses, with their labels. */
isc_status isc_insight_hypotheses(isc_score *s, isc_insight *in);
void isc_hypothesis_free(isc_hypothesis *h);
/* insight_words.c */
isc_status isc_insight_words(const isc_score *s, isc_insight *in);
/* insight_json.c: the part "insight" of the document. */
json_t *isc_insight_part(const isc_score *s, const isc_insight *in);

#endif
