/* SPDX-License-Identifier: Apache-2.0
 *
 * Passes over packed sequences, whole and for last positions alone, against each sequence in a pass of its own.
 *
 * The decoders are of each family's kind: learned or rotary positions, shared key heads, windows, soft caps, norms of
 * branches and heads, both layouts of weights.
 */
#include "support.h"
#include "support_backend.h"
#include "support_decoder.h"

#include <stdlib.h>
#include <string.h>

enum { N = 6, LONGEST = 9, TOTAL = 3 + 3 + 1 + 9 + 5 + 5, KINDS = 5 };
static const int64_t LENS[N] = {3, 3, 1, 9, 5, 5}; /* runs, and not in order of length */

static isc_decoder_spec kind(int k) {
  isc_decoder_spec s = isc_test_spec();
  if (k == 0) return s; /* GPT-2's */
  s.norm = ISC_RMSNORM;
  s.positions = ISC_ROTARY;
  s.mlp = ISC_MLP_GATED;
  s.n_head = 4;
  s.n_kv_head = 2;
  s.no_qkv_bias = s.no_attn_out_bias = s.no_mlp_bias = s.out_in = true;
  s.rope_theta = 10000;
  if (k == 1) return s; /* LLaMA's */
  s.post_norms = true;
  s.embed_scale = 3.5;
  s.window = 4;
  s.full_every = 2;
  if (k == 2 || k == 4) {
    s.attn_soft_cap = 1.5; /* Gemma 2's */
    if (k == 4) s.weights = ISC_BF16;
    return s;
  }
  s.head_norms = true; /* Gemma 3's */
  s.rope_theta_window = 100;
  return s;
}

typedef struct fixture {
  isc_device *dev;
  isc_decoder_spec spec;
  isc_decoder *d;
  int32_t *ids;
  isc_step *s;
  isc_test_capture alone[N];
} fixture;

static fixture setup(isc_device *dev, int k) {
  fixture f = {.dev = dev, .spec = kind(k)};
  f.d = isc_test_decoder(dev, &f.spec, 70 + (uint64_t)k);
  f.ids = isc_test_ids(70, TOTAL, f.spec.vocab);
  isc_params_train(isc_decoder_params(f.d), false);
  isc_assert_ok(isc_step_new(dev, &f.s));
  for (int64_t i = 0, at = 0; i < N; at += LENS[i++]) {
    isc_taps taps = isc_test_taps(&f.alone[i]);
    const isc_decoder_input in = {.size = sizeof in, .batch = 1, .len = LENS[i], .ids = f.ids + at};
    isc_tensor *hidden;
    isc_step_reset(f.s);
    isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, &taps, &hidden));
  }
  isc_step_reset(f.s);
  return f;
}

static void teardown(fixture *f) {
  for (int i = 0; i < N; i++)
    isc_test_capture_free(&f->alone[i]);
  isc_step_free(f->s);
  free(f->ids);
  isc_decoder_free(f->d);
}

/* Rows of every sequence at a place, or with `last` its last row, against its own pass. */
static void check_place(const fixture *f, const isc_test_capture *c, int place, int64_t layer,
                        bool last) {
  const int64_t width = isc_test_width(&f->spec, (isc_place)place);
  for (int64_t i = 0, row = 0; i < N; i++) {
    const int64_t n = last ? 1 : LENS[i];
    cr_assert_eq(memcmp(c->at[place][layer] + row * width,
                        f->alone[i].at[place][layer] + (LENS[i] - n) * width,
                        (size_t)(n * width) * sizeof(float)),
                 0, "sequence %d of %d at place %d of layer %d", (int)i, N, place, (int)layer);
    row += n;
  }
}

static isc_decoder_input packed(const fixture *f) {
  return (isc_decoder_input){
      .size = sizeof(isc_decoder_input), .batch = N, .len = LONGEST, .ids = f->ids, .lens = LENS};
}

ISC_TEST_ON_BOTH(packed, every_place_has_the_bits_of_each_sequence_alone) {
  for (int k = 0; k < KINDS; k++) {
    fixture f = setup(dev, k);
    isc_test_capture c = {0};
    isc_taps taps = isc_test_taps(&c);
    isc_decoder_input in = packed(&f);
    isc_tensor *hidden;
    isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, &taps, &hidden));
    cr_assert_eq(hidden->shape[0], TOTAL);
    for (int64_t l = 0; l < f.spec.n_layer; l++)
      for (int place = 0; place < ISC_PLACE_COUNT; place++)
        check_place(&f, &c, place, l, false);
    isc_test_capture_free(&c);
    teardown(&f);
  }
}

ISC_TEST_ON_BOTH(packed, a_pass_counts_the_operations_of_each_sequence_alone) {
  for (int k = 0; k < KINDS; k++) {
    double before = dev->flops;
    fixture f = setup(dev, k);
    const double alone = dev->flops - before;
    const isc_decoder_input in = packed(&f);
    isc_tensor *hidden;
    before = dev->flops;
    isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, NULL, &hidden));
    cr_assert_eq(dev->flops - before, alone, "%g operations, not %g", dev->flops - before, alone);
    teardown(&f);
  }
}

static void stop_at(fixture *f, isc_decoder_input *in, int64_t layer, int place) {
  isc_test_capture c = {0};
  isc_taps taps = isc_test_taps(&c);
  isc_tensor *hidden;
  taps.stop_layer = layer;
  taps.stop_place = (isc_place)place;
  taps.transient = true;
  in->last = true;
  isc_step_reset(f->s);
  isc_assert_ok(isc_decoder_forward(f->d, f->s, in, &taps, &hidden));
  cr_assert_null(hidden);
  for (int64_t l = 0; l <= layer; l++)
    for (int at = 0; at < ISC_PLACE_COUNT && (l < layer || at <= place); at++)
      check_place(f, &c, at, l, l == layer && at >= ISC_HEADS);
  cr_assert_eq(c.calls, ISC_PLACE_COUNT * layer + place + 1);
  isc_test_capture_free(&c);
}

ISC_TEST_ON_BOTH(packed, last_positions_have_the_bits_of_the_whole) {
  for (int k = 0; k < KINDS; k++) {
    fixture f = setup(dev, k);
    for (int64_t layer = 0; layer < f.spec.n_layer; layer++)
      for (int place = 0; place < ISC_PLACE_COUNT; place++) {
        isc_decoder_input in = packed(&f);
        stop_at(&f, &in, layer, place);
      }
    teardown(&f);
  }
}

/* Padded sequences of one length have last positions too. */
Test(packed, last_positions_need_no_lengths) {
  isc_device dev = isc_test_plain_device();
  for (int k = 0; k < KINDS; k++) {
    fixture f = setup(&dev, k);
    isc_test_capture c = {0};
    isc_taps taps = isc_test_taps(&c);
    const int64_t width = isc_test_width(&f.spec, ISC_RESID_POST);
    const isc_decoder_input in = {
        .size = sizeof in, .batch = 2, .len = LENS[0], .ids = f.ids, .last = true};
    isc_tensor *hidden;
    taps.stop_layer = 2;
    taps.stop_place = ISC_RESID_POST;
    isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, &taps, &hidden));
    for (int i = 0; i < 2; i++)
      cr_assert_eq(memcmp(c.at[ISC_RESID_POST][2] + i * width,
                          f.alone[i].at[ISC_RESID_POST][2] + (LENS[0] - 1) * width,
                          (size_t)width * sizeof(float)),
                   0);
    isc_test_capture_free(&c);
    teardown(&f);
  }
}

/* Layer by layer, with the residual stream between the parts. */
ISC_TEST_ON_BOTH(packed, parts_have_the_bits_of_the_whole) {
  for (int k = 0; k < KINDS; k++) {
    fixture f = setup(dev, k);
    isc_test_capture c = {0};
    isc_taps taps = isc_test_taps(&c);
    isc_tensor resid, *hidden;
    taps.stop_layer = f.spec.n_layer - 1;
    taps.stop_place = ISC_RESID_POST;
    isc_assert_ok(isc_tensor_alloc(dev, 2, (const int64_t[]){TOTAL, f.spec.d_model}, &resid));
    for (int64_t l = 0; l < f.spec.n_layer; l++) {
      isc_decoder_input in = packed(&f);
      in.resid = &resid;
      in.first_layer = l;
      in.end_layer = l + 1;
      in.last = true;
      isc_step_reset(f.s);
      isc_assert_ok(isc_decoder_forward(f.d, f.s, &in, &taps, &hidden));
    }
    for (int64_t l = 0; l < f.spec.n_layer; l++)
      for (int place = 0; place < ISC_PLACE_COUNT; place++)
        check_place(&f, &c, place, l, l == f.spec.n_layer - 1 && place >= ISC_HEADS);
    isc_tensor_release(dev, &resid);
    isc_test_capture_free(&c);
    teardown(&f);
  }
}

/* The last block's output projection and MLP see one row of each sequence. */
static int64_t rows_seen[8], products;
static isc_status (*plain_gemm)(void *impl, const isc_gemm *g);
static isc_status count_rows(void *impl, const isc_gemm *g) {
  if (products < 8) rows_seen[products] = g->m;
  products++;
  return plain_gemm(impl, g);
}

Test(packed, last_positions_alone_are_worked_on) {
  isc_device dev = isc_test_plain_device();
  isc_backend_ops ops = *dev.ops;
  plain_gemm = ops.gemm;
  ops.gemm = count_rows;
  fixture f = setup(&dev, 0);
  isc_device counting = dev;
  counting.ops = &ops;
  isc_step *s;
  isc_test_capture c = {0};
  isc_taps taps = isc_test_taps(&c);
  isc_decoder_input in = packed(&f);
  isc_tensor *hidden;
  taps.stop_layer = 1;
  taps.stop_place = ISC_RESID_POST;
  in.last = true;
  products = 0;
  isc_assert_ok(isc_step_new(&counting, &s));
  isc_assert_ok(isc_decoder_forward(f.d, s, &in, &taps, &hidden));
  const int64_t want[8] = {TOTAL, TOTAL, TOTAL, TOTAL, TOTAL, N, N, N};
  cr_assert_eq(products, 8);
  cr_assert_arr_eq(rows_seen, want, sizeof want);
  isc_step_free(s);
  isc_test_capture_free(&c);
  teardown(&f);
}

static void refused(fixture *f, const isc_decoder_input *in, const isc_taps *taps, isc_status want,
                    const char *why) {
  isc_tensor *hidden;
  isc_assert_fails(isc_decoder_forward(f->d, f->s, in, taps, &hidden), want, why);
}

Test(packed, refuses_what_does_not_fit) {
  isc_device dev = isc_test_plain_device();
  fixture f = setup(&dev, 1);
  isc_kv_cache *cache;
  isc_taps taps = {.size = sizeof taps, .stop_layer = -1};
  int64_t lens[N];
  isc_decoder_input in = packed(&f);
  memcpy(lens, LENS, sizeof lens);
  in.lens = lens;
  lens[2] = 0;
  refused(&f, &in, NULL, ISC_E_SHAPE, "sequence 2 of a forward pass has 0 positions");
  lens[2] = LONGEST + 1;
  refused(&f, &in, NULL, ISC_E_SHAPE, "sequence 2 of a forward pass has 10 positions");
  lens[2] = LENS[2];
  in.last = true;
  refused(&f, &in, NULL, ISC_E_USAGE, "taps that stop it");
  refused(&f, &in, &taps, ISC_E_USAGE, "taps that stop it");
  taps.stop_layer = f.spec.n_layer;
  refused(&f, &in, &taps, ISC_E_USAGE, "taps that stop it");
  taps.stop_layer = 0;
  taps.stop_place = ISC_QKV;
  refused(&f, &in, &taps, ISC_E_USAGE, "taps that stop it");
  in.last = false;
  isc_assert_ok(isc_kv_cache_new(f.d, N, LONGEST, &cache));
  in.cache = cache;
  refused(&f, &in, NULL, ISC_E_USAGE, "neither a cache nor a gradient");
  isc_kv_cache_free(cache);
  teardown(&f);
}
