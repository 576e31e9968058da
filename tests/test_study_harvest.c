/* SPDX-License-Identifier: Apache-2.0
 *
 * Fresh activations of a study: those of the harvest where both ask for the same token, of training inputs only.
 */
#include "support.h"
#include "run/study.h"
#include "support_run.h"

#include <stdlib.h>
#include <string.h>

enum { N = 40, MOST = 64 };

static isc_study *open_study(void) {
  const isc_config_source source = {.path = isc_test_source("conf/ioi-tiny.cfg")};
  isc_study *s = NULL;
  isc_assert_ok(isc_study_open(&source, isc_test_dir("study"), &s));
  return s;
}

/* Tokens of a training input as the target reads it. */
static int64_t tokens(const isc_study *s, int64_t i) {
  isc_text text = {0};
  int32_t ids[MOST];
  int64_t n;
  isc_assert_ok(isc_study_text(s, ISC_TRAIN, i, &text));
  isc_assert_ok(isc_tokenizer_encode(s->env.target_tokenizer, text.data, text.len, ids, MOST, &n));
  isc_text_free(&text);
  return n;
}

/* Activations at `position` of text i at every site, by a harvest of that text alone. */
static float *alone(isc_study *s, int64_t i, int64_t position, int64_t site) {
  isc_text text = {0};
  float **out = calloc((size_t)s->sites.n, sizeof *out);
  isc_assert_ok(isc_study_text(s, ISC_TRAIN, i, &text));
  for (int64_t k = 0; k < s->sites.n; k++)
    out[k] = calloc((size_t)s->sites.site[k].stored, sizeof **out);
  const isc_harvest h = {.target = &s->target,
                         .sites = &s->sites,
                         .text = (const char *const[]){text.data},
                         .len = &text.len,
                         .n = 1,
                         .position = position,
                         .batch = 1,
                         .out = out};
  isc_assert_ok(isc_harvest_run(&h, s->step));
  float *one = out[site];
  out[site] = NULL;
  for (int64_t k = 0; k < s->sites.n; k++)
    free(out[k]);
  free(out);
  isc_text_free(&text);
  return one;
}

Test(study_harvest, gives_the_targets_activations_at_any_token, .timeout = 120) {
  isc_study *s = open_study();
  int64_t row[N], position[N];
  for (int i = 0; i < N; i++) {
    row[i] = 97 * i % s->n_train;
    position[i] = i % tokens(s, row[i]);
  }
  for (int64_t site = 0; site < s->sites.n; site += 3) {
    const int64_t stored = s->sites.site[site].stored;
    float *out = calloc((size_t)(N * stored), sizeof *out);
    isc_assert_ok(s->env.harvest(&s->env, site, row, position, N, out));
    for (int i = 0; i < N; i++) {
      float *want = alone(s, row[i], position[i], site);
      cr_assert_eq(memcmp(out + i * stored, want, (size_t)stored * sizeof *want), 0,
                   "site %d, text %d", (int)site, i);
      free(want);
    }
    free(out);
  }
  isc_study_close(s);
}

/* z = a W_O of a head's factor, summed in double. */
Test(study_harvest, is_whole_through_the_helper, .timeout = 120) {
  isc_study *s = open_study();
  const isc_site *head = &s->sites.site[0];
  const int64_t row[] = {3}, position[] = {2};
  float *a = calloc((size_t)head->stored, sizeof *a), *z = calloc((size_t)head->dim, sizeof *z);
  isc_assert_ok(s->env.harvest(&s->env, 0, row, position, 1, a));
  isc_assert_ok(isc_method_harvest(&s->env, 0, row, position, 1, z));
  for (int64_t d = 0; d < head->dim; d++) {
    double sum = 0;
    for (int64_t k = 0; k < head->stored; k++)
      sum += (double)a[k] * head->map[k * head->dim + d];
    cr_assert_float_eq(z[d], sum, 1e-5);
  }
  free(a);
  free(z);
  isc_study_close(s);
}

Test(study_harvest, refuses_what_a_method_may_not_have, .timeout = 120) {
  isc_study *s = open_study();
  float *out = calloc((size_t)s->sites.site[0].stored, sizeof *out);
  const isc_method_env *env = &s->env;
  isc_assert_fails(env->harvest(env, 0, &s->n_train, (int64_t[]){0}, 1, out), ISC_E_USAGE,
                   "training input");
  isc_assert_fails(env->harvest(env, s->sites.n, (int64_t[]){0}, (int64_t[]){0}, 1, out),
                   ISC_E_USAGE, "site");
  isc_assert_fails(env->harvest(env, 0, (int64_t[]){0}, (int64_t[]){-1}, 1, out), ISC_E_USAGE,
                   "token -1");
  isc_assert_fails(env->harvest(env, 0, (int64_t[]){0}, (int64_t[]){tokens(s, 0)}, 1, out),
                   ISC_E_SHAPE, "no position");
  isc_method_env old = *env;
  old.harvest = NULL;
  isc_assert_fails(isc_method_harvest(&old, 0, (int64_t[]){0}, (int64_t[]){0}, 1, out),
                   ISC_E_UNSUPPORTED, "no target");
  free(out);
  isc_study_close(s);
}
