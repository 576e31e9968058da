/* SPDX-License-Identifier: Apache-2.0
 *
 * The scores of every condition at every site.
 */
#include "run/conditions.h"
#include "run/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Distance of a sample by a convention; NaN or INFINITY when there is none. */
static double distance_of(const isc_score *s, isc_convention c, int64_t row) {
  switch (c) {
  case ISC_FIXED_KERNEL:
    return s->d[row];
  case ISC_FIXED_COSINE:
    return s->distance[row].angular;
  case ISC_FIXED_L2:
    return s->distance[row].normalised;
  case ISC_ANY_KERNEL:
    return s->nearest[row].kernel;
  case ISC_ANY_COSINE:
    return s->nearest[row].angular;
  case ISC_ANY_L2:
    return s->nearest[row].normalised;
  }
  return NAN;
}

static void refusals(const isc_score *s, isc_convention convention, float *out) {
  const int64_t n = s->samples.n_samples;
  for (int64_t site = 0; site < s->study->sites.n; site++) {
    const isc_kernel *k = s->study->site_kernel[site];
    const double epsilon = k->ops->epsilon(k->self);
    for (int64_t c = 0; c < s->study->n_conditions; c++, out++) {
      const int64_t first = (site * s->study->n_conditions + c) * n;
      int64_t refused = 0;
      for (int64_t j = 0; j < n; j++)
        refused += !(distance_of(s, convention, first + j) < epsilon);
      *out = (float)refused / (float)n;
    }
  }
}

/* A method that gives back what it was asked about says nothing of P(x; ẑ), and is never refused. */
static void copies(const isc_score *s, float *out) {
  const isc_samples *p = &s->samples;
  const int64_t n = p->n_samples;
  for (int64_t site = 0; site < s->study->sites.n; site++)
    for (int64_t c = 0; c < s->study->n_conditions; c++, out++) {
      const isc_text *x_hat = &s->condition_text[c];
      int64_t same = 0;
      for (int64_t j = 0; j < n; j++) {
        const int64_t t = p->text[(site * s->study->n_conditions + c) * n + j];
        same += p->len[t] == x_hat->len && !memcmp(p->string[t], x_hat->data, x_hat->len);
      }
      *out = (float)same / (float)n;
    }
}

static void narrow(int64_t n, const double *from, float *to) {
  for (int64_t i = 0; i < n; i++)
    to[i] = (float)from[i];
}

static isc_status rates(const isc_score *s, isc_conditions *out) {
  const int64_t n = s->study->n_conditions, n_sites = s->study->sites.n,
                n_feat = s->study->n_features;
  int64_t *start = NULL;
  double *rate = NULL;
  isc_status st = ISC_OK;
  ISC_GO(isc_calloc((size_t)n + 1, sizeof *start, "conditions", (void **)&start));
  ISC_GO(isc_calloc((size_t)n, sizeof *rate, "conditions", (void **)&rate));
  for (int64_t k = 0; k < n_sites; k++) {
    const isc_sample_set set = isc_score_set(s, k, start);
    if (set.log_p) isc_validity_by_condition(&set, rate);
    if (set.log_p) narrow(n, rate, out->validity + k * n);
    for (int64_t f = 0; f < n_feat; f++) {
      isc_fcr_by_condition(ISC_FCR_REJECT, &set, s->study->site_kernel[k], s->label[f],
                           s->label_hat[f], rate, NULL);
      narrow(n, rate, out->reject + (f * n_sites + k) * n);
      if (s->exact) narrow(n, s->exact + (k * n_feat + f) * n, out->exact + (f * n_sites + k) * n);
    }
  }
done:
  free(start);
  free(rate);
  return st;
}

static isc_status hash_text(const isc_text *t, int64_t *out) {
  isc_hash h;
  ISC_TRY(isc_hash_begin(&h));
  isc_hash_add(&h, t->data, t->len);
  const isc_digest d = isc_hash_end(&h);
  memcpy(out, &d.lo, sizeof *out);
  return ISC_OK;
}

isc_status isc_score_conditions(const isc_score *s, const char *path) {
  isc_conditions c;
  isc_status st = ISC_OK;
  ISC_GO(isc_conditions_new(s->study->sites.n, s->study->n_features, s->study->n_conditions, &c));
  for (int64_t i = 0; i < c.n; i++)
    ISC_GO(hash_text(&s->condition_text[i], &c.text[i]));
  for (int v = 0; v < (s->nearest ? ISC_CONVENTIONS : ISC_ANY_KERNEL); v++)
    refusals(s, (isc_convention)v, c.refusal[v]);
  copies(s, c.copies);
  ISC_GO(rates(s, &c));
  ISC_GO(isc_conditions_write(&c, path));
done:
  isc_conditions_free(&c);
  return st;
}
