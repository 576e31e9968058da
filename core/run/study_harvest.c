/* SPDX-License-Identifier: Apache-2.0
 *
 * A method's fresh activations: training texts drawn anew and run through the target up to the tokens asked for.
 *
 * The pass ends behind the one site, and its batches are the target's, which change no bit.
 */
#include "run/study_harvest.h"
#include "run/study.h"
#include <stdlib.h>

typedef struct request {
  isc_study *s;
  isc_text *text;     /* [n] */
  const char **start; /* [n] */
  size_t *len;        /* [n] */
  float **out;        /* [sites.n], NULL but for the one */
  int64_t n;
} request;

static void request_free(request *q) {
  for (int64_t i = 0; q->text && i < q->n; i++)
    isc_text_free(&q->text[i]);
  free(q->text);
  free(q->start);
  free(q->len);
  free(q->out);
}

static isc_status request_new(isc_study *s, int64_t n, request *q) {
  const char *what = "fresh activations";
  *q = (request){.s = s, .n = n};
  ISC_TRY(isc_calloc((size_t)n, sizeof *q->text, what, (void **)&q->text));
  ISC_TRY(isc_calloc((size_t)n, sizeof *q->start, what, (void **)&q->start));
  ISC_TRY(isc_calloc((size_t)n, sizeof *q->len, what, (void **)&q->len));
  return isc_calloc((size_t)s->sites.n, sizeof *q->out, what, (void **)&q->out);
}

static isc_status read_texts(const isc_method_env *env, const int64_t *row, request *q) {
  for (int64_t i = 0; i < q->n; i++) {
    ISC_TRY(env->text(env, row[i], &q->text[i]));
    q->start[i] = q->text[i].data;
    q->len[i] = q->text[i].len;
  }
  return ISC_OK;
}

isc_status isc_study_env_harvest(const isc_method_env *env, int64_t site, const int64_t *row,
                                 const int64_t *position, int64_t n, float *out) {
  isc_study *s = env->core;
  isc_status st = ISC_OK;
  request q = {0};
  if (site < 0 || site >= s->sites.n)
    return isc_fail(ISC_E_USAGE, "method asked for site %lld", (long long)site);
  for (int64_t i = 0; i < n; i++)
    if (position[i] < 0)
      return isc_fail(ISC_E_USAGE, "method asked for token %lld of training input %lld",
                      (long long)position[i], (long long)row[i]);
  if (n < 1) return ISC_OK;
  ISC_GO(request_new(s, n, &q));
  ISC_GO(read_texts(env, row, &q));
  q.out[site] = out;
  const isc_harvest h = {.target = &s->target,
                         .sites = &s->sites,
                         .text = q.start,
                         .len = q.len,
                         .n = n,
                         .batch = s->target_settings.batch,
                         .out = q.out,
                         .positions = position};
  ISC_GO(isc_harvest_run(&h, s->step));
done:
  request_free(&q);
  return st;
}
