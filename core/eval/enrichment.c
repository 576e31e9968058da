/* SPDX-License-Identifier: Apache-2.0
 *
 * One pass over a site's samples, condition by condition, then the z scores.
 */
#include "eval/enrichment.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double STRENGTH = 1; /* observations that the Dirichlet prior is worth */

/* Adds a condition's shares to those of its words. `seen` [n_words] is zero before and after. */
static void add_condition(const isc_enrichment *e, int64_t c, double *seen, isc_enriched *all) {
  const isc_word_sets *words = &e->condition, *text = &e->text;
  double accepted = 0;
  for (int64_t i = e->start[c]; i < e->start[c + 1]; i++)
    accepted += e->accepted[i];
  if (accepted == 0) return;
  for (int64_t i = e->start[c]; i < e->start[c + 1]; i++)
    for (int64_t k = text->start[e->sample[i]]; k < text->start[e->sample[i] + 1]; k++)
      seen[text->word[k]] += e->accepted[i];
  for (int64_t k = words->start[c]; k < words->start[c + 1]; k++) {
    all[words->word[k]].share += seen[words->word[k]] / accepted;
    all[words->word[k]].conditions++;
  }
  for (int64_t i = e->start[c]; i < e->start[c + 1]; i++)
    for (int64_t k = text->start[e->sample[i]]; k < text->start[e->sample[i] + 1]; k++)
      seen[text->word[k]] = 0;
}

/* `hits` of `n` observations with the prior's share `at`. */
static double log_odds(double hits, double n, double at, double *variance) {
  const double yes = hits + STRENGTH * at, no = n - hits + STRENGTH * (1 - at);
  *variance = 1 / yes + 1 / no;
  return log(yes) - log(no);
}

static void finish(const isc_enrichment *e, isc_enriched *w) {
  const double n = (double)e->n_background, count = (double)e->background[w->word],
               at = (count + 0.5) / (n + 1);
  double here, there;
  const double ratio =
      log_odds(w->share, (double)w->conditions, at, &here) - log_odds(count, n, at, &there);
  w->z = ratio / sqrt(here + there);
  w->base = count / n;
  w->share /= (double)w->conditions;
}

/* By what is gained over the prior, as hypotheses are. z would put a word that always comes back behind others: how far a share
 * of 1 lies from any other is least known. */
static void keep_if_high(const isc_enriched *w, int64_t most, isc_enriched *out, int64_t *n) {
  int64_t at = *n;
  while (at > 0 && out[at - 1].share - out[at - 1].base < w->share - w->base)
    at--;
  if (at >= most) return;
  if (*n < most) ++*n;
  memmove(out + at + 1, out + at, (size_t)(*n - at - 1) * sizeof *out);
  out[at] = *w;
}

isc_status isc_enrichment_top(const isc_enrichment *e, double least, int64_t most,
                              isc_enriched *out /* [most] */, int64_t *n) {
  double *seen = NULL;
  isc_enriched *all = NULL;
  isc_status st;
  *n = 0;
  ISC_GO(isc_calloc((size_t)e->n_words, sizeof *seen, "word counts", (void **)&seen));
  ISC_GO(isc_calloc((size_t)e->n_words, sizeof *all, "word counts", (void **)&all));
  for (int64_t c = 0; c < e->condition.n; c++)
    add_condition(e, c, seen, all);
  for (int32_t w = 0; w < e->n_words; w++) {
    all[w].word = w;
    if (!all[w].conditions || !e->background[w] || e->background[w] == e->n_background) continue;
    finish(e, &all[w]);
    if (all[w].z >= least) keep_if_high(&all[w], most, out, n);
  }
done:
  free(seen);
  free(all);
  return st;
}
