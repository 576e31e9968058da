/* SPDX-License-Identifier: Apache-2.0
 *
 * Patched forward passes: a run's own activation changes nothing, another's changes only what lies downstream.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"
#include "support_target.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 2, LEN = 6, ROWS = BATCH * LEN, D = 12 };

typedef struct fixture {
  isc_test_target t;
  isc_site_set sites; /* every site: 7 a layer, in model order */
  isc_step *s;
  int32_t *ids;
} fixture;

/* What a pass gave: captures of every site, and the hidden state. */
typedef struct result {
  float *at[3 * 7], hidden[ROWS * D];
} result;

static fixture setup(isc_device *dev) {
  fixture f = {.t = isc_test_target_new(dev), .ids = isc_test_ids(61, ROWS, 16)};
  isc_assert_ok(isc_sites_select(&f.t.target, (const char *const[]){"*"}, 1, &f.sites));
  isc_assert_ok(isc_step_new(dev, &f.s));
  return f;
}

static void teardown(fixture *f) {
  isc_step_free(f->s);
  isc_sites_free(&f->sites);
  isc_test_target_free(&f->t);
  free(f->ids);
}

static result run(fixture *f, const isc_patch *patch, int64_t n) {
  result r;
  isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = f->ids};
  isc_tensor *hidden;
  for (int64_t i = 0; i < f->sites.n; i++)
    r.at[i] = malloc((size_t)(ROWS * f->sites.site[i].stored) * sizeof(float));
  isc_step_reset(f->s);
  isc_assert_ok(isc_forward_patched(&f->t.target, &f->sites, f->s, &in, patch, n, r.at, &hidden));
  isc_assert_ok(isc_tensor_download(f->s, hidden, r.hidden));
  return r;
}

static void free_result(const fixture *f, result *r) {
  for (int64_t i = 0; i < f->sites.n; i++)
    free(r->at[i]);
}

static bool same(const fixture *f, const result *a, const result *b, int64_t site) {
  return memcmp(a->at[site], b->at[site],
                (size_t)(ROWS * f->sites.site[site].stored) * sizeof(float)) == 0;
}

ISC_TEST_ON_BOTH(patch, captures_are_those_of_a_plain_pass) {
  fixture f = setup(dev);
  result r = run(&f, NULL, 0);
  isc_test_capture c = {0};
  isc_taps taps = isc_test_taps(&c);
  isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = f.ids};
  isc_tensor *hidden;
  isc_step_reset(f.s);
  isc_assert_ok(isc_decoder_forward(f.t.decoder, f.s, &in, &taps, &hidden));
  for (int64_t i = 0; i < f.sites.n; i++) {
    int64_t stored = f.sites.site[i].stored,
            column = f.sites.head[i] < 0 ? 0 : f.sites.head[i] * stored;
    const float *all = c.at[f.sites.place[i]][f.sites.layer[i]];
    for (int64_t row = 0; row < ROWS; row++)
      cr_assert_eq(
          memcmp(r.at[i] + row * stored, all + row * D + column, (size_t)stored * sizeof(float)),
          0);
  }
  isc_test_capture_free(&c);
  free_result(&f, &r);
  teardown(&f);
}

ISC_TEST_ON_BOTH(patch, an_activation_put_back_changes_nothing) {
  fixture f = setup(dev);
  result before = run(&f, NULL, 0);
  static const int64_t pos[BATCH] = {1, 4};
  for (int64_t i = 0; i < f.sites.n; i++) {
    int64_t stored = f.sites.site[i].stored;
    float value[BATCH * D];
    for (int64_t b = 0; b < BATCH; b++)
      memcpy(value + b * stored, before.at[i] + (b * LEN + pos[b]) * stored,
             (size_t)stored * sizeof *value);
    isc_patch patch = {.site = i, .pos = pos, .value = value};
    result after = run(&f, &patch, 1);
    cr_assert_eq(memcmp(before.hidden, after.hidden, sizeof before.hidden), 0, "%s",
                 f.sites.site[i].name);
    for (int64_t k = 0; k < f.sites.n; k++)
      cr_assert(same(&f, &before, &after, k));
    free_result(&f, &after);
  }
  free_result(&f, &before);
  teardown(&f);
}

/* Sites in model order: those before the patched one, and the other head of its layer, keep their bits; positions
 * before the patched one keep theirs everywhere; the patched position moves in the end. */
ISC_TEST_ON_BOTH(patch, another_activation_changes_only_what_is_downstream) {
  fixture f = setup(dev);
  result before = run(&f, NULL, 0);
  static const int64_t pos[BATCH] = {3, 2};
  float value[BATCH * D];
  for (int i = 0; i < BATCH * D; i++)
    value[i] = 1.0f + 0.25f * (float)(i % 5);
  for (int64_t i = 0; i < f.sites.n; i++) {
    isc_patch patch = {.site = i, .pos = pos, .value = value};
    result after = run(&f, &patch, 1);
    int64_t stored = f.sites.site[i].stored;
    for (int64_t k = 0; k < f.sites.n; k++) {
      bool other_head = f.sites.place[k] == ISC_HEADS && f.sites.place[i] == ISC_HEADS &&
                        f.sites.layer[k] == f.sites.layer[i] && k != i;
      cr_assert_eq(same(&f, &before, &after, k), k < i || other_head, "patched %s, looked at %s",
                   f.sites.site[i].name, f.sites.site[k].name);
    }
    for (int64_t b = 0; b < BATCH; b++) {
      cr_assert_eq(memcmp(after.at[i] + (b * LEN + pos[b]) * stored, value + b * stored,
                          (size_t)stored * sizeof *value),
                   0, "the capture is not the patch");
      for (int64_t t = 0; t < LEN; t++)
        cr_assert_eq(memcmp(before.hidden + (b * LEN + t) * D, after.hidden + (b * LEN + t) * D,
                            D * sizeof(float)) == 0,
                     t < pos[b] ||
                         (t > pos[b] && f.sites.layer[i] == 2 && f.sites.place[i] != ISC_RESID_PRE),
                     "%s, sequence %d, position %d", f.sites.site[i].name, (int)b, (int)t);
    }
    free_result(&f, &after);
  }
  free_result(&f, &before);
  teardown(&f);
}

/* Patching both heads of a layer is patching its attention output with their maps' sum and the bias. */
ISC_TEST_ON_BOTH(patch, heads_patched_in_their_factors_add_up) {
  fixture f = setup(dev);
  static const int64_t pos[BATCH] = {5, 0};
  float factor[2][BATCH * 6], whole[BATCH * D], bias[D];
  isc_params *p = isc_decoder_params(f.t.decoder);
  isc_assert_ok(isc_param_get(p, isc_params_find(p, "h.1.attn.c_proj.bias"), bias));
  isc_test_normals(1, factor[0], BATCH * 6);
  isc_test_normals(2, factor[1], BATCH * 6);
  int64_t first = isc_sites_find(&f.sites, "L1H0");
  for (int b = 0; b < BATCH; b++)
    for (int j = 0; j < D; j++) {
      double sum = bias[j];
      for (int head = 0; head < 2; head++)
        for (int k = 0; k < 6; k++)
          sum += (double)factor[head][b * 6 + k] * f.sites.site[first + head].map[k * D + j];
      whole[b * D + j] = (float)sum;
    }
  isc_patch heads[2] = {{first, pos, factor[0]}, {first + 1, pos, factor[1]}};
  isc_patch out = {isc_sites_find(&f.sites, "attn_out.1"), pos, whole};
  result a = run(&f, heads, 2), b = run(&f, &out, 1);
  for (int i = 0; i < ROWS * D; i++)
    cr_assert_float_eq(a.hidden[i], b.hidden[i], 2e-5); /* the sum was rounded to f32 once more */
  free_result(&f, &a);
  free_result(&f, &b);
  teardown(&f);
}

Test(patch, without_a_hidden_state_it_stops_at_the_last_site) {
  isc_device plain = isc_test_plain_device();
  isc_test_wrapper w;
  isc_test_wrap(&w, plain);
  fixture f = setup(&w.device);
  isc_site_set one;
  isc_assert_ok(isc_sites_select(&f.t.target, (const char *const[]){"resid_pre.1"}, 1, &one));
  float *captures[1] = {malloc(ROWS * D * sizeof(float))};
  isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = f.ids};
  w.n = (isc_test_counts){0};
  isc_assert_ok(isc_forward_patched(&f.t.target, &one, f.s, &in, NULL, 0, captures, NULL));
  cr_assert_eq(w.n.gemm, 4);
  result all = run(&f, NULL, 0);
  cr_assert_eq(memcmp(captures[0], all.at[isc_sites_find(&f.sites, "resid_pre.1")],
                      ROWS * D * sizeof(float)),
               0);
  free(captures[0]);
  free_result(&f, &all);
  isc_sites_free(&one);
  teardown(&f);
}

Test(patch, refuses_a_place_that_is_not_there) {
  isc_device dev = isc_test_plain_device();
  fixture f = setup(&dev);
  isc_decoder_input in = {.size = sizeof in, .batch = BATCH, .len = LEN, .ids = f.ids};
  float value[BATCH * D] = {0};
  isc_patch patch = {.site = 0, .pos = (int64_t[]){0, LEN}, .value = value};
  isc_tensor *hidden;
  isc_assert_fails(isc_forward_patched(&f.t.target, &f.sites, f.s, &in, &patch, 1, NULL, &hidden),
                   ISC_E_SHAPE, "position 6 is patched in a sequence of 6");
  patch.site = 21;
  isc_assert_fails(isc_forward_patched(&f.t.target, &f.sites, f.s, &in, &patch, 1, NULL, &hidden),
                   ISC_E_USAGE, "site 21 of 21");
  teardown(&f);
}
