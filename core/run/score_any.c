/* SPDX-License-Identifier: Apache-2.0
 *
 * Distances at the best position of a sample: InversionView counts a sample as a success when any of its tokens gives an
 * activation near ẑ (Huang et al. 2024), the paper only the position that is studied.
 */
#include "run/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct pass {
  isc_score *s;
  int64_t *start, *order; /* rows by text       */
  int64_t first;          /* text of the piece  */
  float *y;               /* [tokens, width]    */
  int64_t room;           /* floats             */
} pass;

static void lower(double *least, double d) {
  if (d < *least) *least = d;
}

static void measure(const isc_score *s, int64_t site, int64_t tokens, const float *y,
                    const float *y_hat, isc_nearest *out) {
  const isc_kernel *k = s->study->site_kernel[site];
  const int64_t w = s->judge.isometry[site].width;
  for (int64_t t = 0; t < tokens; t++, y += w) {
    const isc_separation z = isc_separate(w, y, y_hat);
    lower(&out->angular, z.angular);
    lower(&out->normalised, z.normalised);
    lower(&out->kernel, isc_separation_distance(&z, k->ops->geometry(k->self),
                                                k->ops->band(k->self), isc_norm(w, y_hat)));
  }
}

static isc_status make_room(pass *p, int64_t floats) {
  if (floats <= p->room) return ISC_OK;
  ISC_TRY(isc_realloc((void **)&p->y, (size_t)floats, sizeof *p->y, "activations"));
  p->room = floats;
  return ISC_OK;
}

/* Rows are in site order within a text. */
static isc_status each(void *user, int64_t text, int64_t tokens, const float *const *a) {
  pass *p = user;
  isc_score *s = p->s;
  const int64_t per_site = s->samples.n_conditions * s->samples.n_samples, t = p->first + text;
  int64_t at = -1;
  for (int64_t k = p->start[t]; k < p->start[t + 1]; k++) {
    const int64_t row = p->order[k], site = row / per_site,
                  c = row % per_site / s->samples.n_samples, w = s->judge.isometry[site].width;
    ISC_TRY(make_room(p, tokens * w));
    if (site != at) isc_isometry_apply(&s->judge.isometry[site], tokens, a[site], p->y);
    at = site;
    measure(s, site, tokens, p->y, s->condition.y[site] + c * w, &s->nearest[row]);
  }
  return ISC_OK;
}

static isc_status run_piece(pass *p, int64_t n, bool *bad) {
  isc_study *study = p->s->study;
  memset(bad, 0, (size_t)n * sizeof *bad);
  const isc_harvest_all h = {.target = &study->target,
                             .sites = &study->sites,
                             .text = (const char *const *)p->s->samples.string + p->first,
                             .len = p->s->samples.len + p->first,
                             .n = n,
                             .batch = study->target_settings.batch,
                             .bad = bad,
                             .each = each,
                             .user = p};
  return isc_harvest_all_run(&h, study->step);
}

isc_status isc_score_any(isc_score *s) {
  isc_status st = ISC_OK;
  pass p = {.s = s};
  bool *bad = NULL;
  const int64_t rows = isc_samples_rows(&s->samples), n_texts = s->samples.n_texts,
                piece = isc_study_piece(s->study);
  ISC_GO(isc_calloc((size_t)rows, sizeof *s->nearest, "distances", (void **)&s->nearest));
  for (int64_t i = 0; i < rows; i++)
    s->nearest[i] = (isc_nearest){INFINITY, INFINITY, INFINITY};
  ISC_GO(isc_calloc((size_t)piece, sizeof *bad, "texts", (void **)&bad));
  ISC_GO(isc_score_rows_by_text(&s->samples, &p.start, &p.order));
  for (; p.first < n_texts; p.first += piece) {
    const int64_t n = n_texts - p.first < piece ? n_texts - p.first : piece;
    ISC_GO(run_piece(&p, n, bad));
    ISC_GO(isc_stage_progress(s->run, p.first + n, n_texts, NULL, 0));
    ISC_GO(isc_stage_check(s->run));
  }
done:
  free(p.start);
  free(p.order);
  free(p.y);
  free(bad);
  return st;
}
