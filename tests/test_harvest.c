/* SPDX-License-Identifier: Apache-2.0
 *
 * Harvests against one forward pass per text: the right rows at the right sites, in the same bits however batched.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"
#include "support_target.h"

#include <stdlib.h>
#include <string.h>

enum { N = 7 };
static const char *const TEXT[N] = {
    "w3 w1 w4",       "w1 w5 w9 w2 w6", "w5",         "w3 w5 w8 w9 w7 w9 w3 w2 w3",
    "w8 w4 w6 w2 w6", "w4 w3 w3",       "w8 w3 w2 w7"};
static const int TOKENS[N] = {3, 5, 1, 9, 5, 3, 4};

typedef struct fixture {
  isc_test_target t;
  isc_site_set sites;
  isc_step *s;
  size_t len[N];
} fixture;

static fixture setup(isc_device *dev, const char *const *patterns, int64_t n) {
  fixture f = {.t = isc_test_target_new(dev)};
  isc_assert_ok(isc_sites_select(&f.t.target, patterns, n, &f.sites));
  isc_assert_ok(isc_step_new(dev, &f.s));
  for (int i = 0; i < N; i++)
    f.len[i] = strlen(TEXT[i]);
  return f;
}

static void teardown(fixture *f) {
  isc_step_free(f->s);
  isc_sites_free(&f->sites);
  isc_test_target_free(&f->t);
}

static float **new_output(const isc_site_set *s, int64_t rows) {
  float **out = malloc((size_t)s->n * sizeof *out);
  for (int64_t i = 0; i < s->n; i++)
    out[i] = calloc((size_t)(rows * s->site[i].stored), sizeof **out);
  return out;
}

static void free_output(const isc_site_set *s, float **out) {
  for (int64_t i = 0; i < s->n; i++)
    free(out[i]);
  free(out);
}

static isc_status harvest(fixture *f, int64_t position, int64_t batch, float **out, bool *bad) {
  isc_harvest h = {.target = &f->t.target,
                   .sites = &f->sites,
                   .text = TEXT,
                   .len = f->len,
                   .n = N,
                   .position = position,
                   .batch = batch,
                   .out = out,
                   .bad = bad};
  return isc_harvest_run(&h, f->s);
}

/* The whole of text i, every place, in a pass of its own. */
static isc_test_capture alone(fixture *f, int i) {
  isc_test_capture c = {0};
  isc_taps taps = isc_test_taps(&c);
  int32_t ids[9];
  int64_t n;
  isc_assert_ok(isc_tokenizer_encode(f->t.tokenizer, TEXT[i], f->len[i], ids, 9, &n));
  cr_assert_eq(n, TOKENS[i]);
  isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = n, .ids = ids};
  isc_tensor *hidden;
  isc_step_reset(f->s);
  isc_assert_ok(isc_decoder_forward(f->t.decoder, f->s, &in, &taps, &hidden));
  return c;
}

static void check_text(fixture *f, float **out, int i, int64_t position) {
  isc_test_capture c = alone(f, i);
  for (int64_t k = 0; k < f->sites.n; k++) {
    int64_t stored = f->sites.site[k].stored, head = f->sites.head[k];
    int64_t at =
        position * 12 + (head < 0 ? 0 : head * 6); /* heads and model are both 12 wide here */
    cr_assert_eq(memcmp(out[k] + i * stored, c.at[f->sites.place[k]][f->sites.layer[k]] + at,
                        (size_t)stored * sizeof(float)),
                 0, "%s of \"%s\"", f->sites.site[k].name, TEXT[i]);
  }
  isc_test_capture_free(&c);
}

static const char *const EVERYTHING[] = {"*"};

ISC_TEST_ON_BOTH(harvest, is_each_texts_own_pass_whatever_the_batch) {
  fixture f = setup(dev, EVERYTHING, 1);
  for (int k = 0; k < 10; k++) {
    const int64_t batch = 1 + k / 2 * 2;
    f.t.target.info.packed = k % 2; /* packed or padded */
    float **out = new_output(&f.sites, N);
    isc_assert_ok(harvest(&f, -1, batch, out, NULL));
    for (int i = 0; i < N; i++)
      check_text(&f, out, i, TOKENS[i] - 1);
    free_output(&f.sites, out);
  }
  teardown(&f);
}

ISC_TEST_ON_BOTH(harvest, counts_positions_from_either_end) {
  fixture f = setup(dev, EVERYTHING, 1);
  float **out = new_output(&f.sites, N);
  bool bad[N] = {0};
  isc_assert_ok(harvest(&f, -2, 4, out, bad));
  for (int i = 0; i < N; i++) {
    cr_assert_eq(bad[i], TOKENS[i] < 2);
    if (!bad[i]) check_text(&f, out, i, TOKENS[i] - 2);
  }
  memset(bad, 0, sizeof bad);
  isc_assert_ok(harvest(&f, 2, 4, out, bad));
  for (int i = 0; i < N; i++) {
    cr_assert_eq(bad[i], TOKENS[i] < 3);
    if (!bad[i]) check_text(&f, out, i, 2);
  }
  free_output(&f.sites, out);
  teardown(&f);
}

ISC_TEST_ON_BOTH(harvest, sums_of_heads_and_bias_are_the_attention_output) {
  fixture f = setup(dev, (const char *const[]){"head.1.*", "attn_out.1"}, 2);
  float **out = new_output(&f.sites, N), bias[12];
  isc_params *p = isc_decoder_params(f.t.decoder);
  isc_assert_ok(isc_param_get(p, isc_params_find(p, "h.1.attn.c_proj.bias"), bias));
  isc_assert_ok(harvest(&f, -1, 3, out, NULL));
  for (int i = 0; i < N; i++)
    for (int j = 0; j < 12; j++) {
      double sum = bias[j];
      for (int head = 0; head < 2; head++)
        for (int k = 0; k < 6; k++)
          sum += (double)out[head][i * 6 + k] * f.sites.site[head].map[k * 12 + j];
      cr_assert_float_eq(out[2][i * 12 + j], sum, 1e-5); /* the same sum in f32 */
    }
  free_output(&f.sites, out);
  teardown(&f);
}

/* Only the layers below the deepest site are run, and the last one only as far as its place. */
Test(harvest, stops_at_the_deepest_site) {
  isc_device plain = isc_test_plain_device();
  isc_test_wrapper w;
  isc_test_wrap(&w, plain);
  fixture f = setup(&w.device, (const char *const[]){"head.0.0", "L1H1"}, 2);
  float **out = new_output(&f.sites, N);
  w.n = (isc_test_counts){0};
  isc_assert_ok(harvest(&f, -1, N, out, NULL));
  cr_assert_eq(w.n.gemm, 4 + 1); /* layer 0, then the queries, keys and values of layer 1 */
  free_output(&f.sites, out);
  teardown(&f);
}

/* ---- texts that cannot be harvested */

Test(harvest, names_the_text_it_cannot_take) {
  isc_device dev = isc_test_plain_device();
  fixture f = setup(&dev, EVERYTHING, 1);
  static const char *const bad_text[3] = {"w1 w2", "w1\n nonsense",
                                          "w1 w1 w1 w1 w1 w1 w1 w1 w1 w1"};
  size_t len[3];
  for (int i = 0; i < 3; i++)
    len[i] = strlen(bad_text[i]);
  float **out = new_output(&f.sites, 3);
  bool bad[3] = {0};
  isc_harvest h = {.target = &f.t.target,
                   .sites = &f.sites,
                   .text = bad_text,
                   .len = len,
                   .n = 2,
                   .position = -1,
                   .batch = 2,
                   .out = out};
  isc_assert_fails(isc_harvest_run(&h, f.s), ISC_E_SHAPE, "text 1");
  cr_assert(strstr(isc_error(), "nonsense"), "%s", isc_error());
  h.text = bad_text + 2;
  h.len = len + 2;
  h.n = 1;
  isc_assert_fails(
      isc_harvest_run(&h, f.s), ISC_E_SHAPE,
      "text 0, \"w1 w1 w1 w1 w1 w1 w1 w1 w1 w1\", has 10 tokens, and the target 9 positions");
  h.position = 9;
  h.text = bad_text;
  h.len = len;
  isc_assert_fails(isc_harvest_run(&h, f.s), ISC_E_SHAPE,
                   "\"w1 w2\", has 2 tokens and no position 9");
  h.n = 3;
  h.position = -1;
  h.bad = bad;
  for (int64_t k = 0; k < f.sites.n; k++)
    memset(out[k], 0x7F, (size_t)(3 * f.sites.site[k].stored) * sizeof **out);
  isc_assert_ok(isc_harvest_run(&h, f.s));
  cr_assert(!bad[0] && bad[1] && bad[2]);
  for (int64_t k = 0; k < f.sites.n; k++)
    for (int64_t i = 0; i < 2 * f.sites.site[k].stored; i++)
      cr_assert_eq(out[k][f.sites.site[k].stored + i], 0);
  free_output(&f.sites, out);
  teardown(&f);
}

/* A position of its own for each text, and one site alone: the same bits, and less of the pass. */
ISC_TEST_ON_BOTH(harvest, takes_each_texts_own_position_at_the_sites_wanted) {
  fixture f = setup(dev, EVERYTHING, 1);
  const int64_t position[N] = {0, 4, 0, 7, 2, -1, 1}, at[N] = {0, 4, 0, 7, 2, 2, 1};
  float **whole = new_output(&f.sites, N);
  isc_harvest h = {.target = &f.t.target,
                   .sites = &f.sites,
                   .text = TEXT,
                   .len = f.len,
                   .n = N,
                   .batch = 2,
                   .out = whole,
                   .positions = position};
  isc_assert_ok(isc_harvest_run(&h, f.s));
  for (int i = 0; i < N; i++)
    check_text(&f, whole, i, at[i]);
  for (int64_t k = 0; k < f.sites.n; k += 3) {
    float **one = calloc((size_t)f.sites.n, sizeof *one);
    const int64_t values = N * f.sites.site[k].stored;
    one[k] = calloc((size_t)values, sizeof **one);
    h.out = one;
    isc_assert_ok(isc_harvest_run(&h, f.s));
    cr_assert_eq(memcmp(one[k], whole[k], (size_t)values * sizeof(float)), 0, "%s",
                 f.sites.site[k].name);
    free(one[k]);
    free(one);
  }
  free_output(&f.sites, whole);
  teardown(&f);
}
